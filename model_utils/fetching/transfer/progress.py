"""How many bytes have come, and how long the others take: a bar on a terminal, lines in a log."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from model_utils.fetching.transfer.remote_file import megabytes
from model_utils.progress import MOST_SECONDS_SILENT, duration


class Arrivals:
    """Counts files and bytes, and prints a line for each tenth of them and at least one a minute.

    Args:
        what: The first word of a line.
        files: How many are to come.
        size: Their bytes, or None where that is not known of each.
    """

    def __init__(self, what: str, files: int, size: int | None) -> None:
        self._what, self._all_files, self._size = what, files, size
        self._files = self._bytes = self._tenth = 0
        self._lock = threading.Lock()
        self._began = self._said = time.monotonic()

    def bytes_came(self, count: int) -> None:
        """Some more bytes; a negative number of bytes that have to come again."""
        with self._lock:
            self._bytes += count
            self._show()

    def file_done(self) -> None:
        """One more file is there, or will not be."""
        with self._lock:
            self._files += 1
            self._show()

    def line(self, seconds: float) -> str:
        """'readings: 40 of 365 files, 1.2 of 10.9 MB, 0.4 MB/s, 24 s left'."""
        words = [f"{self._what}: {self._files} of {self._all_files} files"]
        words.append(megabytes(self._bytes) if self._size is None else f"{megabytes(self._bytes)} of {self._said_size}")
        share = self._share
        if seconds >= 1 and share > 0:
            words.append(f"{self._bytes / seconds / 1e6:.2g} MB/s")
            words.append(f"{duration(seconds / share * (1 - share))} left")
        return ", ".join(words)

    @property
    def _said_size(self) -> str:
        return megabytes(self._size or 0)

    @property
    def _share(self) -> float:
        done, all_ = (self._files, self._all_files) if self._size is None else (self._bytes, self._size)
        return min(done / all_, 1.0) if all_ else 1.0

    def _show(self) -> None:
        now, tenth = time.monotonic(), int(10 * self._share)
        if tenth > self._tenth or now - self._said >= MOST_SECONDS_SILENT:
            self._tenth, self._said = max(tenth, self._tenth), now
            print(self.line(now - self._began), file=sys.stderr, flush=True)


class _Bar(Arrivals):
    """On a terminal."""

    def __init__(self, what: str, files: int, size: int | None, progress: Progress) -> None:
        super().__init__(what, files, size)
        self._progress = progress
        self._task = progress.add_task(what, total=size)

    def _show(self) -> None:
        self._progress.update(
            self._task, completed=self._bytes, description=f"{self._what}: {self._files} of {self._all_files} files"
        )


@contextmanager
def arrivals(what: str, files: int, size: int | None) -> Iterator[Arrivals]:
    """Gives what counts arrivals and shows them on stderr; see `Arrivals`."""
    if not sys.stderr.isatty():
        yield Arrivals(what, files, size)
        return
    columns = (
        *(TextColumn("{task.description}"), BarColumn()),
        *(DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield _Bar(what, files, size, progress)
