"""Every verb that writes, on a disk that fills up somewhere: one line, nothing damaged, and the next run is right."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from disturbed_root import DisturbedRoot
from fault_verbs import VERBS
from fork_server import Ended, ForkServer

pytestmark = pytest.mark.slow

ROOMY = 2**30
Room = Callable[[int], None]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Room | None]:
    """Mounts a disk at `root`; gives what leaves so many bytes of room on it, or None where mounting is not allowed."""
    disk = tmp_path / "root"
    disk.mkdir()

    def mount(*options: str) -> bool:
        words = ["mount", *options, "tmpfs", str(disk)]
        return subprocess.run(words, check=False, capture_output=True).returncode == 0

    def leave(room: int) -> None:
        state = os.statvfs(disk)
        used = (state.f_blocks - state.f_bfree) * state.f_frsize
        assert mount("-o", f"remount,size={max(used + room, state.f_frsize)}")

    mounted = mount("-t", "tmpfs", "-o", f"size={ROOMY}")
    yield leave if mounted else None
    if mounted:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("name", VERBS)
def test_a_full_disk_is_told_in_a_line_and_the_next_run_is_right(
    tmp_path: Path, server: ForkServer, name: str, small_disk: Room | None
) -> None:
    disturbed = DisturbedRoot(tmp_path, VERBS[name], server)
    moments = disturbed.moments(1)
    for turn in range(VERBS[name].turns):
        disturbed.restore()
        if small_disk and turn % 2 == 0:
            room = moments.randrange(int(1.2 * disturbed.written))
            small_disk(room)
            ended = disturbed.run()
            small_disk(ROOMY)
        else:
            room = int(1.2 * disturbed.largest_file * moments.random() ** 2)  # most files are far smaller
            ended = disturbed.run(largest_file=room)
        disturbed.tell(ended)
        assert ended.code == 0 or refused(disturbed, ended), (turn, room, ended)
        assert not ended.traceback, ended
        assert not disturbed.faults(), (turn, room, ended)
        assert not disturbed.faults_of_next_run(), (turn, room, ended)
    print(name, dict(disturbed.told))


def refused(disturbed: DisturbedRoot, ended: Ended) -> bool:
    return any(disturbed.refused_in_a_line(ended, because) for because in ("the disk is full", "file too large"))
