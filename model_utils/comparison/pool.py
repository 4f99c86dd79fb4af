"""Cells in parallel processes, whose number changes no number."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

from rich.progress import Progress

from model_utils.comparison.cells import Cell, run_cell
from model_utils.comparison.methods import Ingredients, MethodEntry, method_entries
from model_utils.errors import InputError
from model_utils.sampling.designs import Run

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

_state: dict[str, object] = {}


def run_cells(cells: Sequence[Cell], folder: Path, shared: Ingredients, jobs: int) -> dict[str, float]:
    """Computes cells, one thread each, and writes them under a folder.

    Also one job runs in a process of its own with one thread: sums then round alike however many jobs there are.

    Args:
        cells: What to compute.
        folder: Of all cells.
        shared: What they are made of.
        jobs: Processes.

    Returns:
        Seconds by method, summed over its cells.
    """
    seconds: dict[str, float] = {}
    if not cells:
        return seconds
    runs = {cell.run.name: cell.run for cell in cells}
    context = multiprocessing.get_context("spawn")
    with (
        _single_threaded(),
        ProcessPoolExecutor(min(jobs, len(cells)), context, _begin, (folder, shared, runs)) as pool,
        Progress(disable=not sys.stdout.isatty()) as progress,
    ):
        task = progress.add_task("cells", total=len(cells))
        futures = {pool.submit(_work, cell.run.name, cell.entry.name, cell.seed): cell for cell in cells}
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                name = futures[future].entry.name
                try:
                    seconds[name] = seconds.get(name, 0.0) + future.result()
                except BrokenProcessPool:
                    raise InputError(
                        "a process of the comparison died, of too little memory perhaps (--jobs)"
                    ) from None
                except Exception as error:
                    error.add_note(f"in {futures[future].path}")
                    raise
                progress.update(task, completed=done)
                if not sys.stdout.isatty() and (done % max(1, len(cells) // 10) == 0 or done == len(cells)):
                    print(f"cells: {done} of {len(cells)}", flush=True)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return seconds


def _begin(folder: Path, shared: Ingredients, runs: dict[str, Run]) -> None:
    import torch

    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    entries: dict[str, MethodEntry] = {
        entry.name: entry for entry in method_entries(shared.config, shared.samples, shared.ring_km)
    }
    _state.update(folder=folder, shared=shared, runs=runs, entries=entries)


def _end_with_parent() -> None:
    """A killed comparison cannot stop its processes, and they would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(run: str, method: str, seed: int) -> float:
    runs, entries, shared, folder = (_state[name] for name in ("runs", "entries", "shared", "folder"))
    return run_cell(Cell(runs[run], entries[method], seed), folder, shared)  # type: ignore[index, arg-type]


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Processes that start meanwhile have linear algebra with one thread."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
