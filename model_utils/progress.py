"""Progress of long work: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
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
    speed = f"{rate:.3g} a second" if rate >= 1 else f"{1 / rate:.3g} s each"
    return f", {speed}, {duration((total - done) / rate)} left"


def duration(seconds: float) -> str:
    """'40 s', '12 min', '3.5 h', '2.1 days'."""
    for size, unit, digits in ((86_400, "days", 1), (3_600, "h", 1), (60, "min", 0)):
        if seconds >= 2 * size or (size == 3_600 and seconds >= size):
            return f"{seconds / size:.{digits}f} {unit}"
    return f"{seconds:.0f} s"


def shown(blocks: Iterable[Block], total: int, what: str) -> Iterator[Block]:
    """Passes blocks on and shows on stderr how many of `total` items they held so far."""
    done = 0
    if not sys.stderr.isatty():
        tenth, began = 0, time.monotonic()
        said = began
        for block in blocks:
            yield block
            done += len(block)
            now = time.monotonic()
            if done * 10 // total > tenth or now - said >= MOST_SECONDS_SILENT:
                tenth, said = done * 10 // total, now
                print(f"{what}: {done} of {total}{pace(done, total, now - began)}", file=sys.stderr, flush=True)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(what, total=total)
        for block in blocks:
            yield block
            progress.advance(task, len(block))


def counted(items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
    """Passes items on, each of which counts as one; see `shown`."""
    for (item,) in shown(((item,) for item in items), total, what):
        yield item
