"""Progress of long work: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

MOST_SECONDS_SILENT = 60.0
"""A log has a line at least so often, as far as what is worked on comes in smaller pieces."""

Block = TypeVar("Block", bound=Any)
Item = TypeVar("Item")


def pace(done: float, total: float, seconds: float) -> str:
    """', 12.3 a second, 4 min left'; nothing in the first second."""
    if seconds < 1 or done <= 0:
        return ""
    rate = done / seconds
    speed = (
        f"{rate:,.0f} a second" if rate >= 100 else f"{rate:.3g} a second" if rate >= 1 else f"{1 / rate:.3g} s each"
    )
    return f", {speed}, {duration((total - done) / rate)} left"


def duration(seconds: float) -> str:
    """'40 s', '12 min', '3.5 h', '2.1 days'."""
    for size, unit, digits in ((86_400, "days", 1), (3_600, "h", 1), (60, "min", 0)):
        if seconds >= 2 * size or (size == 3_600 and seconds >= size):
            return f"{seconds / size:.{digits}f} {unit}"
    return f"{seconds:.0f} s"


@contextmanager
def reported(total: int, what: str) -> Iterator[Callable[[int], None]]:
    """Gives a function that takes how many of `total` items are done so far, and shows that on stderr."""
    if not sys.stderr.isatty():
        yield _Lines(total, what)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done: progress.update(task, completed=done)


class _Lines:
    """A line in a log for each tenth, and at least one a minute."""

    def __init__(self, total: int, what: str) -> None:
        self._total, self._what, self._tenth = total, what, 0
        self._began = self._said = time.monotonic()

    def __call__(self, done: int) -> None:
        now, tenth = time.monotonic(), done * 10 // self._total
        if tenth > self._tenth or now - self._said >= MOST_SECONDS_SILENT:
            self._tenth, self._said = tenth, now
            told = pace(done, self._total, now - self._began)
            print(f"{self._what}: {done} of {self._total}{told}", file=sys.stderr, flush=True)


def shown(blocks: Iterable[Block], total: int, what: str) -> Iterator[Block]:
    """Passes blocks on and shows on stderr how many of `total` items they held so far."""
    done = 0
    with reported(total, what) as report:
        for block in blocks:
            yield block
            done += len(block)
            report(done)


def counted(items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
    """Passes items on, each of which counts as one; see `shown`."""
    for (item,) in shown(((item,) for item in items), total, what):
        yield item
