"""Tasks: any number of workers, workers that are killed, and a parent that is."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client, LocalCluster, Nanny
from distributed.core import Status

from model_utils.errors import InputError
from model_utils.parallel.tasks import Workers, results_as_completed, results_in_order

VARIABLES = "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "MALLOC_TRIM_THRESHOLD_"
HERE, TWO = Workers(1), Workers(2)


class Folder:
    """Shared by tasks; each time it is unpickled, a file says so."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __setstate__(self, state: dict[str, Path]) -> None:
        self.path = state["path"]
        with (self.path / "arrived").open("a") as file:
            file.write(f"{os.getpid()}\n")


def square(folder: Path, key: int) -> int:
    (folder / f"{key}.txt").write_text(str(key * key))
    return key * key


def square_or_die_once(folder: Path, key: int) -> int:
    """The first process that takes task 3 is killed in the middle of it."""
    if key == 3 and not (folder / "died").exists():
        (folder / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return square(folder, key)


def always_die(folder: Path, key: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(folder: Path, key: int) -> None:
    raise InputError(f"block {key}: wrong")


def fail_at_two(folder: Path, key: int) -> int:
    if key == 2:
        raise ZeroDivisionError
    return key


def where(folder: Folder, key: int) -> tuple[int, int, list[str | None]]:
    import torch

    return os.getpid(), torch.get_num_threads(), [os.environ.get(name) for name in VARIABLES]


def begin(folder: Path, key: int) -> None:
    (folder / f"{key}.begun").touch()


def first_waits_for_others(folder: Path, key: int) -> int:
    (folder / f"{key}.begun").touch()
    deadline = time.monotonic() + 60
    while key == 0 and len(list(folder.glob("*.begun"))) < 4:
        assert time.monotonic() < deadline, "a task waits behind this one"
        time.sleep(0.01)
    return key


def say_who_and_wait(folder: Path, key: int) -> None:
    (folder / f"{os.getpid()}.worker").touch()
    time.sleep(600)


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.glob("*.txt")}


@pytest.fixture(scope="module")
def standing() -> Iterator[Workers]:
    """A cluster that somebody else started."""
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=50) as cluster:
        yield Workers(scheduler=cluster.scheduler_address)


@pytest.mark.parametrize("workers", [HERE, Workers(3), Workers(1, separate=True)])
def test_every_task_is_done(tmp_path, workers):
    squares = {key: key * key for key in range(7)}
    assert dict(results_as_completed(square, tmp_path, range(7), workers)) == squares
    assert contents(tmp_path) == {f"{key}.txt": str(value) for key, value in squares.items()}
    assert list(results_in_order(square, tmp_path, range(7), workers)) == list(squares.values())
    assert not list(results_in_order(square, tmp_path, [], workers))


def test_a_cluster_that_stands_works_for_several_runs_and_keeps_nothing_of_them(tmp_path, standing):
    for _ in range(2):
        assert list(results_in_order(square, tmp_path, range(7), standing)) == [key * key for key in range(7)]
    with pytest.raises(InputError, match="wrong"):
        list(results_as_completed(refuse, tmp_path, range(7), standing))
    with Client(standing.scheduler) as client:
        kept = client.run(lambda dask_worker: [name for name in dask_worker.plugins if name.startswith("pm25")])
    assert list(kept.values()) == [[], []]


@pytest.mark.parametrize(
    "address",
    ["nowhere", "carrier-pigeon://roof", "tls://127.0.0.1:9", pytest.param("127.0.0.1:9", marks=pytest.mark.slow)],
)
def test_a_scheduler_that_is_not_there_is_one_line_and_leaves_no_client_half_made(tmp_path, address):
    with pytest.raises(InputError, match=f"--scheduler {address}: no Dask scheduler answers there"):
        list(results_in_order(square, tmp_path, range(2), Workers(scheduler=address)))
    open_clients = [item for item in gc.get_objects() if type(item) is Client and item.status != "closed"]
    assert not open_clients


@pytest.mark.slow
def test_a_scheduler_that_goes_away_is_one_line(tmp_path):
    with LocalCluster(n_workers=1, dashboard_address="127.0.0.1:0", silence_logs=50) as cluster:
        results = results_in_order(square, tmp_path, range(50), Workers(scheduler=cluster.scheduler_address))
        assert next(results) == 0
    with pytest.raises(InputError, match="the Dask scheduler no longer answers"):
        list(results)


@pytest.mark.slow
@pytest.mark.parametrize("results", [results_as_completed, results_in_order])
def test_a_killed_worker_changes_nothing(tmp_path, results):
    found = dict(enumerate(results(square_or_die_once, tmp_path, range(7), TWO)))
    values = found if results is results_in_order else dict(found.values())
    assert (tmp_path / "died").exists()
    assert values == {key: key * key for key in range(7)}
    assert contents(tmp_path) == {f"{key}.txt": str(key * key) for key in range(7)}


@pytest.mark.slow
def test_workers_that_die_again_and_again_are_one_line(tmp_path):
    with pytest.raises(InputError, match="worker processes died again and again"):
        list(results_as_completed(always_die, tmp_path, range(2), TWO))


def test_a_cluster_that_trips_over_a_dead_process_as_it_closes_is_closed_all_the_same(tmp_path, monkeypatch):
    """Dask asserts that a process was started which it has just stopped starting."""
    closed, close, others = [], Nanny.close, set(LocalCluster._instances)

    async def stumbling(self, *args, **options):
        await close(self, *args, **options)
        closed.append(self.name)
        assert len(closed) > 2, "can only join a started process"

    monkeypatch.setattr(Nanny, "close", stumbling)
    with pytest.raises(InputError, match=r"block \d: wrong"):
        list(results_as_completed(refuse, tmp_path, range(2), TWO))
    assert len(closed) > 2
    assert {cluster.status for cluster in set(LocalCluster._instances) - others} <= {Status.closed}


@pytest.mark.parametrize("workers", [HERE, TWO])
def test_what_a_task_says_is_passed_on_and_a_fault_names_it(tmp_path, workers):
    with pytest.raises(InputError, match=r"block \d: wrong"):
        list(results_as_completed(refuse, tmp_path, range(3), workers))
    results = results_in_order(fail_at_two, tmp_path, range(4), workers)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ZeroDivisionError) as caught:
        next(results)
    assert "in task 2" in caught.value.__notes__


@pytest.mark.parametrize("processes", [1, 2])
def test_separate_processes_have_one_thread_and_are_sent_what_tasks_share_once(tmp_path, monkeypatch, processes):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    for name in ("MKL_NUM_THREADS", "MALLOC_TRIM_THRESHOLD_"):  # which a cluster of another test may have left
        monkeypatch.delenv(name, raising=False)
    before = dict(os.environ)
    workers = Workers(processes, separate=True)
    found = [result for _, result in results_as_completed(where, Folder(tmp_path), range(20), workers)]
    pids = {pid for pid, *_ in found}
    assert os.getpid() not in pids
    assert [threads for _, *threads in found] == [[1, ["1", "1", "1", None]]] * 20
    assert dict(os.environ) == before
    arrived = (tmp_path / "arrived").read_text().split()
    assert len(arrived) == len(set(arrived)) == processes
    assert pids <= set(map(int, arrived))


def test_in_order_at_most_one_task_more_than_workers_is_begun_and_not_taken(tmp_path):
    for taken, _ in enumerate(results_in_order(begin, tmp_path, range(12), TWO)):
        time.sleep(0.1)
        assert len(list(tmp_path.glob("*.begun"))) <= taken + 3


def test_no_task_waits_for_a_long_one(tmp_path):
    completed = [key for key, _ in results_as_completed(first_waits_for_others, tmp_path, range(4), TWO)]
    assert sorted(completed) == [0, 1, 2, 3]


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_processes_end_in_silence_with_a_killed_or_interrupted_parent(tmp_path, how):
    """SIGKILL to the parent alone; Ctrl-C, which a terminal sends to all of them."""
    program = (
        "from pathlib import Path\nimport test_parallel_tasks as tests\n"
        "if __name__ == '__main__':\n"
        f"    list(tests.results_as_completed(tests.say_who_and_wait, Path({str(tmp_path)!r}), range(2), tests.TWO))\n"
    )
    script = tmp_path / "program.py"
    script.write_text(program)
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    parent = subprocess.Popen(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": path},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while len(workers := list(tmp_path.glob("*.worker"))) < 2:
        assert parent.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    if how == signal.SIGINT:
        os.killpg(parent.pid, how)
    else:
        parent.send_signal(how)
    _, said = parent.communicate(timeout=60)
    assert "Dask" not in said
    assert said.count("Traceback") == (how == signal.SIGINT)  # the parent's own
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{worker.stem}").exists() for worker in workers):
        assert time.monotonic() < deadline, "a worker outlived its parent"
        time.sleep(0.1)
