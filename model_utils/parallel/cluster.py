"""Dask futures for tasks that share their state; importing it imports Dask, which takes a second."""

from __future__ import annotations

import logging
import os
import signal
import uuid
from asyncio import CancelledError
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from typing import Any

import dask
from distributed import Client, KilledWorker, LocalCluster, Security, WorkerPlugin, as_completed, get_worker
from distributed.comm import get_address_host
from distributed.core import Status

from model_utils.errors import InputError
from model_utils.parallel.tasks import with_note

_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_CONFIG: dict[str, object] = {
    "distributed.nanny.pre-spawn-environ": {},  # Dask's gives freed memory back at once: a tenth more time
    "distributed.scheduler.worker-ttl": None,  # a dead process is noticed at once, and a long sum is not death
    "distributed.scheduler.worker-saturation": 1.0,  # no task waits behind a long one while another worker is idle
}
_SECONDS_TO_CONNECT = "10s"


class SharedWork(WorkerPlugin):  # type: ignore[misc]  # Dask has no types
    """What the tasks of a run share; Dask gives it to each worker once, to those that come later as well."""

    def __init__(self, work: Callable[[Any, Any], Any], shared: Any) -> None:
        self.work = work
        self.shared = shared


@dataclass(frozen=True)
class SubmittedTasks:
    """Tasks of one run.

    Attributes:
        client: Of the cluster.
        name: Of the run's `SharedWork` on the workers.
    """

    client: Any
    name: str

    def submit(self, key: Any) -> Any:
        """A future of the task of a key; the task is forgotten when the future is."""
        return self.client.submit(_do, self.name, key, pure=False)

    def threads(self) -> int:
        """How many tasks are worked on at a time now; at least 1, since a cluster may begin without workers."""
        threads: dict[str, int] = self.client.nthreads()
        return max(1, sum(threads.values()))

    def as_completed(self, futures: Sequence[Any]) -> Iterator[Any]:
        """Futures as they are done."""
        done: Iterator[Any] = as_completed(futures, loop=self.client.loop)
        return done

    def result(self, future: Any) -> Any:
        """Waits for a task.

        Raises:
            InputError: The task says so, or its workers keep dying.
        """
        try:
            return future.result()
        except KilledWorker:
            raise InputError(
                "worker processes died again and again, perhaps for lack of memory; fewer of them need less"
            ) from None


@contextmanager
def submitting(
    work: Callable[[Any, Any], Any], shared: Any, processes: int, scheduler: str | None
) -> Iterator[SubmittedTasks]:
    """A cluster whose workers know what tasks share; what is not done when it is left is dropped.

    Args:
        work: Does a task: (shared, key) -> result.
        shared: What all tasks are given.
        processes: On this machine.
        scheduler: Address of a Dask scheduler, in place of them.

    Raises:
        InputError: There is no such scheduler, or it is gone in the middle.
    """
    with _standing(scheduler) if scheduler else _local(processes) as client:
        name = f"pm25-{uuid.uuid4().hex}"
        client.register_plugin(SharedWork(work, shared), name=name)
        try:
            yield SubmittedTasks(client, name)
        finally:
            if scheduler and client.status == "running":
                client.unregister_worker_plugin(name)


def _do(name: str, key: Any) -> Any:
    plugin = get_worker().plugins[name]
    return with_note(plugin.work, plugin.shared, key)


@contextmanager
def _standing(scheduler: str) -> Iterator[Any]:
    try:
        _check_address(scheduler)
        client = Client(scheduler, timeout=_SECONDS_TO_CONNECT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(f"--scheduler {scheduler}: no Dask scheduler answers there ({error})") from None
    with _silent("distributed.client"), client:
        try:
            yield client
        except (Exception, CancelledError):
            if client.status == "running":
                raise
            raise InputError(f"--scheduler {scheduler}: the Dask scheduler no longer answers") from None


def _check_address(scheduler: str) -> None:
    """Refuses what `Client` would refuse when it is half made: its finaliser then waits, perhaps for ever.

    Raises:
        ValueError: The address is none, or asks for encryption without certificates.
    """
    get_address_host(scheduler)
    if scheduler.startswith("tls:") and Security().get_connection_args("client").get("ssl_context") is None:
        raise ValueError("Dask's configuration names no certificates for tls")


@contextmanager
def _silent(name: str) -> Iterator[None]:
    """Logs no traceback of what Dask loses, a scheduler or a process, and of which we say a line."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


@contextmanager
def _local(processes: int) -> Iterator[Any]:
    """Processes that end with this one, however it ends.

    Dask's limits on memory would only pause or end a process that needs more than its share, and wait for what it holds
    to be spilled: tasks hold nothing.
    """
    before = dict(os.environ)  # processes inherit it, and Dask changes it as well
    try:
        os.environ.update(_ONE_THREAD)
        with dask.config.set(_CONFIG), _silent("tornado.application"), ExitStack() as stack:
            with _deaf_to_interrupts():
                cluster = LocalCluster(
                    n_workers=processes,
                    threads_per_worker=1,
                    processes=True,
                    memory_limit=None,
                    dashboard_address="127.0.0.1:0",  # None would be port 8787, which another run may hold
                    scheduler_kwargs={"dashboard": False},
                    silence_logs=50,
                )
            stack.callback(_close, cluster, processes)
            yield stack.enter_context(Client(cluster, set_as_default=False))
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


def _close(cluster: LocalCluster, processes: int) -> None:
    """Ends the processes, also one that has just died: Dask may be starting it again, and then trips over it."""
    for _ in range(processes):
        try:
            cluster.close()
            return
        except AssertionError:
            cluster.status = Status.failed  # or the next call would wait for this one
    cluster.close()


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Threads that start meanwhile, and all processes that those start, never see Ctrl-C: this process ends them.

    This thread sees it later.
    """
    resource_tracker.ensure_running()  # which lets interrupts through again when it is started
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
