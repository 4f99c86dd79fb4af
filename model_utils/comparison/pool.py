"""Tasks in parallel processes, whose number changes no number."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, TypeVar

from rich.progress import Progress

from model_utils.errors import InputError

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

Key = TypeVar("Key", bound=Hashable)

_state: dict[str, Any] = {}


def run_tasks(
    what: str, tasks: Mapping[Key, str], work: Callable[[Any, Key], float], state: Any, jobs: int
) -> dict[str, float]:
    """Does tasks, one thread each; each writes its own file.

    Also one job runs in a process of its own with one thread: sums then round alike however many jobs there are.

    Args:
        what: They are called, in words.
        tasks: Key of each task -> the method whose seconds it counts to.
        work: Does one: (state, key) -> seconds. A function of a module, since processes look it up there.
        state: What all tasks share; it is sent to every process once.
        jobs: Processes.

    Returns:
        Seconds by method.
    """
    seconds: dict[str, float] = {}
    if not tasks:
        return seconds
    context = multiprocessing.get_context("spawn")
    with (
        _single_threaded(),
        ProcessPoolExecutor(min(jobs, len(tasks)), context, _begin, (work, state)) as pool,
        Progress(disable=not sys.stdout.isatty()) as progress,
    ):
        bar = progress.add_task(what, total=len(tasks))
        futures = {pool.submit(_work, key): key for key in tasks}
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                name = tasks[futures[future]]
                try:
                    seconds[name] = seconds.get(name, 0.0) + future.result()
                except BrokenProcessPool:
                    raise InputError(
                        "a process of the comparison died, of too little memory perhaps (--jobs)"
                    ) from None
                except Exception as error:
                    error.add_note(f"in {futures[future]}")
                    raise
                progress.update(bar, completed=done)
                if not sys.stdout.isatty() and (done % max(1, len(tasks) // 10) == 0 or done == len(tasks)):
                    print(f"{what}: {done} of {len(tasks)}", flush=True)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return seconds


def _begin(work: Callable[[Any, Any], float], state: Any) -> None:
    import torch

    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    _state.update(work=work, state=state)


def _end_with_parent() -> None:
    """A killed comparison cannot stop its processes, and they would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(key: Any) -> float:
    seconds: float = _state["work"](_state["state"], key)
    return seconds


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
