"""Which files an archive was made from, so that a second run knows what is new."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath

from model_utils.errors import InputError
from model_utils.ingest.storage import file_hash, member_of, size_and_change

Source = Mapping[str, str]
Known = Mapping[tuple[str | None, ...], str]
"""SHA-256 by folder and file name, size and time of last change: the same file is not read again, wherever the folders
lie now. Bands of many scenes are called alike, such as B04.tif."""


def known_hashes(sources: Iterable[Source]) -> Known:
    """What an earlier run says of its files; entries without size and time are of no use."""
    return {
        (*PurePath(item["path"]).parts[-2:], item.get("size"), item.get("changed_ns")): item["sha256"]
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
        digest = known.get((*path.parts[-2:], size, changed)) if member_of(path) is None else None
        digest = digest or file_hash(path)  # in a package, all files have its size and time
    except UnicodeEncodeError:
        raise InputError(f"{path}: its name is not UTF-8, expected another name") from None
    except OSError as error:
        raise InputError(f"{path}: not readable ({error.strerror})") from None
    return {"path": str(path), "size": size, "changed_ns": changed, "sha256": digest, **more}
