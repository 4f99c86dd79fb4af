"""Progress of long work: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Block = TypeVar("Block", bound=Any)
Item = TypeVar("Item")


def shown(blocks: Iterable[Block], total: int, what: str) -> Iterator[Block]:
    """Passes blocks on and shows on stderr how many of `total` items they held so far."""
    done = 0
    if not sys.stderr.isatty():
        tenth = 0
        for block in blocks:
            yield block
            done += len(block)
            if done * 10 // total > tenth:
                tenth = done * 10 // total
                print(f"{what}: {done} of {total}", file=sys.stderr, flush=True)
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
