"""Tasks of a comparison in parallel processes, whose number changes no number, and the time that they took."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import TypeVar

from model_utils.parallel.tasks import Workers, results_as_completed
from model_utils.progress import counted

Shared = TypeVar("Shared")
Key = TypeVar("Key")


def run_timed_tasks(
    what: str, tasks: Mapping[Key, str], work: Callable[[Shared, Key], float], shared: Shared, jobs: int
) -> dict[str, float]:
    """Does tasks, one thread each; each writes its own file.

    Also one job runs in a process of its own with one thread: sums then round alike however many jobs there are.

    Args:
        what: They are called, in words.
        tasks: Key of each task -> the method whose seconds it counts to.
        work: Does one: (shared, key) -> seconds. A function of a module, since processes look it up there.
        shared: What all tasks are given; it is sent to every process once.
        jobs: Processes.

    Returns:
        Seconds by method.

    Raises:
        InputError: A task says so, or processes keep dying.
    """
    seconds: defaultdict[str, float] = defaultdict(float)
    results = results_as_completed(work, shared, list(tasks), Workers(jobs, separate=True))
    for key, spent in counted(results, len(tasks), what):
        seconds[tasks[key]] += spent
    return dict(seconds)
