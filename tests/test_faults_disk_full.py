"""Every verb that writes, on a disk that fills up somewhere: one line, nothing damaged, and the next run is right."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from disturbed_root import DisturbedRoot
from fault_verbs import VERBS
from fork_server import Ended, ForkServer
from full_disk import ROOMY, Room, small_disk

pytestmark = pytest.mark.slow


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Room | None]:
    """A disk at `root`."""
    (tmp_path / "root").mkdir()
    with small_disk(tmp_path / "root") as leave:
        yield leave


@pytest.mark.parametrize("name", VERBS)
def test_a_full_disk_is_told_in_a_line_and_the_next_run_is_right(
    tmp_path: Path, server: ForkServer, name: str, disk: Room | None
) -> None:
    disturbed = DisturbedRoot(tmp_path, VERBS[name], server)
    moments = disturbed.moments(1)
    for turn in range(VERBS[name].turns):
        disturbed.restore()
        if disk and turn % 2 == 0:
            room = moments.randrange(int(1.2 * disturbed.written))
            disk(room)
            ended = disturbed.run()
            disk(ROOMY)
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
