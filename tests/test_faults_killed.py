"""Every verb that writes, killed (SIGKILL) at random moments: nothing is damaged or lost, and the next run is right."""

from __future__ import annotations

from pathlib import Path

import pytest
from disturbed_root import KILLED, DisturbedRoot
from fault_verbs import VERBS
from fork_server import ForkServer

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", VERBS)
def test_a_killed_run_damages_nothing_and_the_next_one_is_right(tmp_path: Path, server: ForkServer, name: str) -> None:
    disturbed = DisturbedRoot(tmp_path, VERBS[name], server)
    moments = disturbed.moments(0)
    turns, turn = VERBS[name].turns, 0
    while turn < turns or (disturbed.told[KILLED] < turns and turn < 3 * turns):  # a run may be done before its moment
        turn += 1
        disturbed.restore()
        alone = (turn + len(name)) % 2 == 1  # its children are to end by themselves then
        moment = moments.uniform(0, disturbed.seconds)
        ended = disturbed.run(kill_after=moment, group=not alone)
        disturbed.tell(ended)
        assert ended.killed or ended.code == 0, ended
        assert not ended.traceback, ended
        assert not disturbed.faults(), (turn, moment, ended)
        assert not disturbed.faults_of_next_run(), (turn, moment, ended)
    print(name, dict(disturbed.told))
