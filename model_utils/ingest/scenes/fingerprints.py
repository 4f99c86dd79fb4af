"""Which files an archive was made from, so that a second run knows what is new."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from model_utils.errors import InputError
from model_utils.ingest.chips import file_hash

Source = Mapping[str, str]


def source(path: Path, known: Iterable[Source] = (), **more: str) -> dict[str, str]:
    """What `archive.json` says of a file: path, sha256, size in bytes and time of last change.

    Args:
        path: The file.
        known: Entries of an earlier run; a file of the same path, size and time is not read again.
        more: Further keys, such as the file's role.

    Raises:
        InputError: The file cannot be read, or its name cannot be written down.
    """
    try:
        str(path).encode()
        status = path.stat()
        identity = {"path": str(path), "size": str(status.st_size), "changed_ns": str(status.st_mtime_ns)}
        for entry in known:
            if all(entry.get(key) == value for key, value in identity.items()):
                return {**identity, "sha256": entry["sha256"], **more}
        return {**identity, "sha256": file_hash(path), **more}
    except UnicodeEncodeError:
        raise InputError(f"{path}: its name is not UTF-8, expected another name") from None
    except OSError as error:
        raise InputError(f"{path}: not readable ({error.strerror})") from None
