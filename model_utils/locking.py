"""One writer at a time of a folder or file; the system frees what a process held that dies."""

from __future__ import annotations

import fcntl
import os
import shlex
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from model_utils.errors import InputError

_LONGEST = 200  # characters of the holder's command
_TRIES = 1000
_held: set[IO[bytes]] = set()


class InUseError(InputError):
    """Another process writes here; nothing is wrong with the input."""


@contextmanager
def locked(*paths: Path) -> Iterator[None]:
    """Keeps other processes from writing what this one writes, as long as they ask here too.

    The lock is one of the system on a file beside the path (`flock`): a process that is killed holds it no longer, and
    neither do its children. It never waits. Where the file system knows no such lock, or does not let the file be made,
    nothing is kept and nothing is said: what cannot be written says so itself. Readers need no lock.

    Args:
        paths: Folders or files, there or not.

    Raises:
        InUseError: Another process holds one of them; says which process, where, since when and by which command.
    """
    with ExitStack() as stack:
        for path in sorted(paths):
            stack.enter_context(exclusive(path))
        yield


@contextmanager
def exclusive(path: Path) -> Iterator[bool]:
    """As `locked` for one path; gives whether it is kept from others, which it is not where there are no locks.

    Raises:
        InUseError: Another process holds it.
    """
    beside = path.absolute()
    beside = beside.with_name(f".{beside.name}.lock")
    made = [folder for folder in beside.parents if not folder.exists()]
    try:
        file = _open_and_lock(beside)
    except BlockingIOError:
        raise InUseError(f"{path}: another process is writing it{_holder(beside)}") from None
    except OSError:  # no locks here, or no file
        file = None
    if file is None:
        yield False
        return
    _held.add(file)
    with suppress(OSError):  # a full disk: who holds it is not told then
        file.write(_this_process().encode())
    try:
        yield True
    finally:
        beside.unlink(missing_ok=True)  # still held: whoever opened it meanwhile finds that it is gone
        _held.discard(file)
        with suppress(OSError):  # of a network drive
            file.close()
        for folder in made:
            try:
                folder.rmdir()
            except OSError:  # something was written
                break


def _open_and_lock(beside: Path) -> IO[bytes]:
    """The locked, empty file.

    Raises:
        BlockingIOError: Another process holds it.
        OSError: There are no locks here, or there can be no file.
    """
    for _ in range(_TRIES):
        with suppress(FileNotFoundError):  # another process took away the folder that it had made, or the file
            beside.parent.mkdir(parents=True, exist_ok=True)
            file = beside.open("ab", buffering=0)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(file.fileno()), beside.stat()):
                    file.truncate(0)  # of a process that was killed
                    return file
            except BaseException:
                file.close()
                raise
            file.close()  # removed between opening and locking, and made again
    raise OSError(f"{beside}: is taken away all the time")


def _this_process() -> str:
    command = shlex.join([Path(word).name if number == 0 else word for number, word in enumerate(sys.argv)])
    command = command if len(command) <= _LONGEST else f"{command[:_LONGEST]}..."
    return f"process {os.getpid()} on {socket.gethostname()} since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC: {command}"


def _holder(beside: Path) -> str:
    try:
        said = " ".join(beside.read_text(encoding="utf-8", errors="replace").split())
    except OSError:
        said = ""
    return f" ({said})" if said else ""


def _forget() -> None:
    """In a forked child, which would hold the locks of a parent that was killed."""
    while _held:
        with suppress(OSError):
            _held.pop().close()


os.register_at_fork(after_in_child=_forget)
