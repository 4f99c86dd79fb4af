"""Which files an archive was made from, so that a second run knows what is new."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from model_utils.errors import InputError
from model_utils.ingest.storage import file_hash, size_and_change

Source = Mapping[str, str]
Known = Mapping[tuple[str | None, ...], str]
"""SHA-256 by path, size and time of last change. The whole path: bands of many scenes are called alike, such as
B04.tif, and those that come out of one package are as old and often as large."""


def known_hashes(sources: Iterable[Source]) -> Known:
    """What an earlier run says of its files; entries without size and time are of no use."""
    return {
        (item["path"], item.get("size"), item.get("changed_ns")): item["sha256"]
        for item in sources
        if "changed_ns" in item
    }


def source(path: Path, known: Known, **more: str) -> dict[str, str]:
    """What `archive.json` says of a file: path, sha256, size in bytes and time of last change.

    Args:
        path: The file.
        known: Of an earlier run.
        more: Further keys, such as the file's role.

    Raises:
        InputError: The file cannot be read, or its name cannot be written down.
    """
    try:
        str(path).encode()
        size, changed = map(str, size_and_change(path))
        digest = known.get((str(path), size, changed)) or file_hash(path)
    except UnicodeEncodeError:
        raise InputError(f"{path}: its name is not UTF-8, expected another name") from None
    except OSError as error:
        raise InputError(f"{path}: not readable ({error.strerror})") from None
    return {"path": str(path), "size": size, "changed_ns": changed, "sha256": digest, **more}
