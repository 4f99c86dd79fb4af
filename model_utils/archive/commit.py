"""The files of a new archive take their places: all of them, even where the process is killed in the middle of it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from model_utils import atomic
from model_utils.archive.format import METADATA
from model_utils.locking import InUseError, locked

_PARTIAL, _READY = ".partial", f".{METADATA}.ready"


def temporary(folder: Path, name: str) -> Path:
    """Where a file of an archive is written."""
    return folder / f".{name}{_PARTIAL}"


def discard(folder: Path) -> None:
    """Removes what was written and not committed; the caller holds the folder's lock."""
    if (folder / _READY).exists():  # it is committed, and something is in the way of putting it in place
        return
    for path in folder.glob(f".*{_PARTIAL}"):
        path.unlink(missing_ok=True)


def commit(folder: Path) -> None:
    """Lets all temporary files take their places, `archive.json` last; the caller holds the folder's lock.

    From the moment in which the new `archive.json` is called ready the new archive is the one that is there: whoever
    comes next puts the rest in place.
    """
    for path in folder.glob(f".*{_PARTIAL}"):
        atomic.sync(path)
    temporary(folder, METADATA).replace(folder / _READY)
    atomic.sync(folder)
    _put_in_place(folder)


def finish_commit(folder: Path) -> None:
    """Puts in place what a killed writer had called ready; the caller does not hold the folder's lock."""
    if (folder / _READY).exists():
        with suppress(InUseError, OSError), locked(folder):  # its writer lives, or the folder may only be read
            _put_in_place(folder)


def finish_commit_locked(folder: Path) -> None:
    """As `finish_commit`, for who holds the lock."""
    if (folder / _READY).exists():
        _put_in_place(folder)


def has_archive(folder: Path) -> bool:
    """Whether a folder holds an archive."""
    finish_commit(folder)
    return (folder / METADATA).exists()


def _put_in_place(folder: Path) -> None:
    (folder / METADATA).unlink(missing_ok=True)  # it never stands beside files of the other archive
    atomic.sync(folder)
    for path in folder.glob(f".*{_PARTIAL}"):
        path.replace(folder / path.name.removeprefix(".").removesuffix(_PARTIAL))
    atomic.sync(folder)
    (folder / _READY).replace(folder / METADATA)
    atomic.sync(folder)
