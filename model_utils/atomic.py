"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from model_utils.errors import InputError, UnwritableError
from model_utils.locking import InUseError, exclusive

_NO_ROOM = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is used up", errno.EFBIG: "file too large"}
_UMASK = os.umask(0o077)
os.umask(_UMASK)  # it can only be read by setting it
_MODE = 0o666 & ~_UMASK
_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.ENOTDIR, errno.EISDIR, errno.EMFILE)
_PROBE = bytes(4 * 2**20)
"""More than any library writes at once, a chunk of a NetCDF file being at most 1 MiB."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a temporary path beside `path`; on success it is fsynced and renamed over `path`.

    After an exception, Ctrl-C included, the temporary file is removed and `path` is as it was. What a killed process
    leaves has the name that the next one takes.

    Raises:
        UnwritableError: The disk is full, or the file may not be written; says which.
    """
    with _temporary(path) as temporary:
        try:
            with refusals_named(path, temporary):
                path.parent.mkdir(parents=True, exist_ok=True)
                temporary.unlink(missing_ok=True)  # of a killed process
                yield temporary
                temporary.chmod(_MODE)  # some libraries let nobody else read what they write
                sync(temporary)
                temporary.replace(path)
                sync(path.parent)
        finally:
            if path.parent.is_dir():
                temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Gives an empty folder beside `folder`; on success it takes the place of `folder` and of all that lies in it.

    After an exception, Ctrl-C included, it is removed and `folder` is as it was. A process that is killed in the moment
    in which one folder takes the place of the other leaves neither; the old one comes back with the next call.

    Raises:
        UnwritableError: The disk is full, or the folder may not be written; says which.
    """
    temporary = partial_folder(folder)
    try:
        with refusals_named(folder, temporary):
            clear_leftovers(folder)
            temporary.mkdir(parents=True)
            yield temporary
            sync(temporary)
            _rename_over(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def replacing_files(folder: Path, stale: Sequence[Path]) -> Iterator[Path]:
    """Gives an empty folder; on success its files take their places in `folder`, one after the other.

    Other files stay. After an exception nothing has changed, and a process that is killed leaves every file that was
    there, or the new one of its name.

    Args:
        folder: Gets the files.
        stale: Files in it that are removed in the end, but for those that are written anew.

    Raises:
        UnwritableError: The disk is full, or the folder may not be written; says which.
    """
    temporary = partial_folder(folder / "files")
    try:
        with refusals_named(folder, temporary):
            shutil.rmtree(temporary, ignore_errors=True)  # of a killed process
            temporary.mkdir(parents=True)
            yield temporary
            written = [path.relative_to(temporary) for path in temporary.rglob("*") if path.is_file()]
            for name in written:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (temporary / name).replace(folder / name)
            for path in set(stale) - {folder / name for name in written}:
                path.unlink(missing_ok=True)
            for changed in {(folder / name).parent for name in written}:
                sync(changed)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def partial_folder(folder: Path) -> Path:
    """Where a folder is written until it is whole."""
    return folder.with_name(f".{folder.name}.partial")


def clear_leftovers(folder: Path) -> None:
    """Removes what a killed process left of `replacing_folder`, or brings back what it had put aside."""
    old = _old_folder(folder)
    if old.exists() and not folder.exists():
        old.rename(folder)
    for leftover in (partial_folder(folder), old):
        shutil.rmtree(leftover, ignore_errors=True)


def move_folder(new: Path, folder: Path) -> None:
    """Lets a folder take the place of another, and of all that lies in it; as `replacing_folder` at its end.

    Raises:
        UnwritableError: The file system refuses; says why.
    """
    with refusals_named(folder, new):
        sync(new)
        _rename_over(new, folder)


def write_text(path: Path, text: str) -> None:
    """Writes a UTF-8 text file atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_bytes(path: Path, data: bytes | memoryview) -> None:
    """Writes a file atomically."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def sync(path: Path) -> None:
    """Forces a file, or a folder's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def refusal(error: OSError) -> str | None:
    """What a file system refuses, in a line that names the file; None where the error is of another kind."""
    named = f"{os.fsdecode(error.filename)}: " if error.filename is not None else ""
    if error.errno in _NO_ROOM:
        return f"{named}{_NO_ROOM[error.errno]}"
    if error.errno in _NOT_ALLOWED and named:
        return f"{named}{(error.strerror or str(error)).lower()}"
    return None


@contextmanager
def refusals_named(path: Path, temporary: Path) -> Iterator[None]:
    """Says in one line why `path` cannot be written, where it is the file system that refuses.

    What comes out of a library when the disk is full may be anything: the disk is asked again then.

    Args:
        path: What the line names.
        temporary: What is written to become it.

    Raises:
        UnwritableError: The disk is full, or the file may not be written.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        refusal = error if isinstance(error, OSError) and error.errno in _NO_ROOM else _refusal(temporary)
        if refusal is None and isinstance(error, OSError) and error.filename is not None:
            named = Path(os.fsdecode(error.filename))
            refusal = error if named in (temporary, path, *path.parents) else None
        if refusal is None:
            raise
        reason = _NO_ROOM.get(refusal.errno or 0) or (refusal.strerror or str(refusal)).lower()
        raise UnwritableError(f"{path}: cannot be written: {reason}") from error


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """The name of a temporary file: always the same one, unless another process may be writing under it."""
    usual = path.with_name(f".{path.stem}.partial{path.suffix}")
    with ExitStack() as stack:
        try:
            alone = stack.enter_context(exclusive(usual))
        except InUseError:
            alone = False
        yield usual if alone else path.with_name(f".{path.stem}.{secrets.token_hex(8)}.partial{path.suffix}")


def _old_folder(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def _rename_over(new: Path, folder: Path) -> None:
    """Puts the old folder aside, and removes it when the new one stands."""
    old = _old_folder(folder)
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
    try:
        new.rename(folder)
        sync(folder.parent)
    finally:
        if not folder.exists() and old.exists():  # stopped just between
            old.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _refusal(temporary: Path) -> OSError | None:
    """What the file system says to some more megabytes in a file or a folder, if they do not fit.

    There may be no file: some libraries remove what they cannot finish.
    """
    path = temporary / "probe" if temporary.is_dir() else temporary
    made = not path.exists()
    try:
        with path.open("ab") as file:
            file.write(_PROBE)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error if error.errno in _NO_ROOM else None
    finally:
        if made:
            with suppress(OSError):
                path.unlink()
    return None
