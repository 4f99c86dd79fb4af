"""A command's processor time, which a busy machine hardly changes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path


def least_seconds(command: Sequence[str | Path], enough: float, turns: int = 5) -> tuple[float, str]:
    """Runs a command a few times, or until a turn takes less than `enough` seconds.

    Returns:
        The least processor time of a turn, seconds, and what the last turn printed.
    """
    seconds = []
    for _ in range(turns):
        before = os.times()
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        after = os.times()
        seconds.append(after.children_user + after.children_system - before.children_user - before.children_system)
        if seconds[-1] < enough:
            break
    return min(seconds), done.stdout
