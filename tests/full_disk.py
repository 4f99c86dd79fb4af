"""A disk that is full, for a single process or for all."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOMY = 2**30
Room = Callable[[int], None]


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """Like a full disk for every library of this process: the system refuses to let a file grow beyond some bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def small_disk(folder: Path) -> Iterator[Room | None]:
    """Mounts a disk at a folder; gives what leaves so many bytes of room on it, or None where one may not mount."""

    def mount(*options: str) -> bool:
        words = ["mount", *options, "tmpfs", str(folder)]
        return subprocess.run(words, check=False, capture_output=True).returncode == 0

    def leave(room: int) -> None:
        state = os.statvfs(folder)
        used = (state.f_blocks - state.f_bfree) * state.f_frsize
        assert mount("-o", f"remount,size={max(used + room, state.f_frsize)}")

    mounted = mount("-t", "tmpfs", "-o", f"size={ROOMY}")
    try:
        yield leave if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=True)
