"""Tasks of a map: any number of workers, and workers that are killed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from model_utils import atomic
from model_utils.errors import InputError
from model_utils.mapping.tasks import run_tasks


def write_square(folder: Path, key: int) -> None:
    atomic.write_text(folder / f"{key}.txt", str(key * key))


def write_square_or_die_once(folder: Path, key: int) -> None:
    """The first process that takes task 3 is killed in the middle of it."""
    if key == 3 and not (folder / "died").exists():
        (folder / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    write_square(folder, key)


def always_die(folder: Path, key: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(folder: Path, key: int) -> None:
    raise InputError(f"block {key}: wrong")


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.glob("*.txt")}


@pytest.mark.parametrize("workers", [1, 3])
def test_every_task_is_done(tmp_path, workers):
    run_tasks("squares", write_square, tmp_path, range(7), workers, None)
    assert contents(tmp_path) == {f"{key}.txt": str(key * key) for key in range(7)}


@pytest.mark.slow
def test_a_killed_worker_changes_nothing(tmp_path):
    run_tasks("squares", write_square_or_die_once, tmp_path, range(7), 2, None)
    assert (tmp_path / "died").exists()
    assert contents(tmp_path) == {f"{key}.txt": str(key * key) for key in range(7)}


@pytest.mark.slow
def test_workers_that_die_again_and_again_are_one_line(tmp_path):
    with pytest.raises(InputError, match="worker processes died again and again"):
        run_tasks("squares", always_die, tmp_path, range(2), 2, None)


@pytest.mark.parametrize("workers", [1, 2])
def test_what_a_task_says_is_passed_on(tmp_path, workers):
    with pytest.raises(InputError, match=r"block \d: wrong"):
        run_tasks("squares", refuse, tmp_path, range(3), workers, None)
