"""Independent tasks on Dask: in processes of this machine, or on a cluster that stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from model_utils.errors import InputError
from model_utils.ingest.progress import shown

Key = TypeVar("Key")

RETRIES = 3
"""Of a task whose worker died."""


def run_tasks(
    what: str, work: Callable[[Any, Key], None], shared: Any, keys: Sequence[Key], workers: int, scheduler: str | None
) -> None:
    """Does tasks that write a file each; their number and order change no file.

    Args:
        what: They are called, for the progress bar.
        work: Does one: (shared, key). A function of a module: processes look it up there.
        shared: What all tasks are given; small.
        keys: Of the tasks.
        workers: Processes on this machine; 1 works in this one.
        scheduler: Address of a Dask scheduler, in place of them; its workers see the same files.

    Raises:
        InputError: A task says so, workers keep dying, or there is no such scheduler.
    """
    if workers == 1 and scheduler is None:
        for key in _counted(keys, len(keys), what):
            work(shared, key)
        return
    from distributed import KilledWorker, as_completed

    with _client(min(workers, len(keys) or 1), scheduler) as client:
        futures = [client.submit(work, shared, key, pure=False, retries=RETRIES) for key in keys]
        try:
            for future in _counted(as_completed(futures), len(futures), what):
                future.result()
        except KilledWorker:
            raise InputError(
                "worker processes died again and again, perhaps for lack of memory; --workers 1 needs the least"
            ) from None
        finally:
            client.cancel(futures)


@contextmanager
def _client(workers: int, scheduler: str | None) -> Iterator[Any]:
    from distributed import Client, LocalCluster

    if scheduler is not None:
        try:
            client = Client(scheduler, timeout="10s")
        except (OSError, ValueError) as error:
            raise InputError(f"--scheduler {scheduler}: no Dask scheduler answers there ({error})") from None
        with client:
            yield client
        return
    with (
        LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def _counted(items: Any, total: int, what: str) -> Iterator[Any]:
    for (item,) in shown(([item] for item in items), total, what):
        yield item
