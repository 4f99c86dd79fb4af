"""Two of every verb that writes at once: both are right, or one is refused and says who is at it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from disturbed_root import DisturbedRoot
from fault_verbs import VERBS
from fork_server import ForkServer

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", VERBS)
def test_two_at_once(tmp_path: Path, server: ForkServer, name: str) -> None:
    disturbed = DisturbedRoot(tmp_path, VERBS[name], server)
    moments = disturbed.moments(2)
    for turn in range(VERBS[name].turns):
        disturbed.restore()
        first = disturbed.start()
        time.sleep(moments.uniform(0, 0.5) * disturbed.seconds if turn else 0)
        both = [run.wait() for run in (first, disturbed.start())]
        for ended in both:
            disturbed.tell(ended)
            waits = disturbed.refused_in_a_line(ended, "another process is writing it (process ")
            assert ended.code == 0 or waits, both
            assert not ended.traceback, ended
        assert any(ended.code == 0 for ended in both), both
        assert not disturbed.faults_in_the_end(), both
    print(name, dict(disturbed.told))
