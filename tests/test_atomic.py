"""Files that appear whole or not at all, and that everybody may read whom the user lets."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import write_small_archive

from contrastive_models.weights import WeightsError, read_encoder
from model_utils import atomic
from model_utils.configuration import from_preset
from model_utils.errors import InputError
from model_utils.pretraining.config import PretrainConfig
from model_utils.pretraining.run import pretrain
from model_utils.supervision.config import SuperviseConfig
from model_utils.supervision.supervise import run_experiment


@pytest.fixture
def mode() -> int:
    umask = os.umask(0o077)
    os.umask(umask)
    return 0o666 & ~umask


@pytest.mark.usefixtures("figures_unrendered")
def test_what_runs_write_has_the_mode_of_any_file(tmp_path: Path, mode: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights, heads, arrays and checkpoints too: safetensors and others make files that nobody else may read."""
    monkeypatch.setattr("model_utils.supervision.scoring.REFERENCES", {})
    write_small_archive(tmp_path, days=3, cells=8)
    common = {"city": "Delhi", "root": tmp_path}
    pretrain(from_preset(PretrainConfig, "smoke", method="SimCLR", pairs="regular", epochs=1, **common))
    for estimator in ("place_and_day", "paper"):
        run_experiment(
            from_preset(SuperviseConfig, "smoke", start="SimCLR_regular", estimator=estimator, epochs=1, **common)
        )
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} >= {".safetensors", ".json", ".parquet", ".npy", ".ckpt"}
    assert {str(path): oct(path.stat().st_mode & 0o777) for path in files if path.stat().st_mode & 0o777 != mode} == {}


def test_weights_that_may_not_be_read_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "some.safetensors"
    path.write_bytes(b"")

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "open", refused)  # root may read everything
    with pytest.raises(WeightsError, match=r"some\.safetensors: cannot be read \(permission denied\)"):
        read_encoder(path)


def test_a_failure_leaves_what_was_there_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "numbers.txt"
    atomic.write_text(path, "first")

    def interrupted(temporary: Path) -> None:
        temporary.write_text("half of the sec")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), atomic.replacing(path) as temporary:
        interrupted(temporary)
    assert path.read_text() == "first"
    assert [each.name for each in path.parent.iterdir()] == ["numbers.txt"]


def test_a_folder_is_as_it_was_when_its_replacement_is_stopped_in_the_last_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "first").touch()
    rename = Path.rename

    def stopped(path: Path, target: Path) -> Path:
        if target == folder and path.name.endswith(".partial"):
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", stopped)
    with pytest.raises(KeyboardInterrupt), atomic.replacing_folder(folder) as temporary:
        (temporary / "second").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["results", "first"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS])
def test_what_the_file_system_refuses_is_one_line_that_names_the_file(tmp_path: Path, number: int) -> None:
    path = tmp_path / "numbers.txt"
    with pytest.raises(InputError) as caught, atomic.replacing(path) as temporary:
        raise OSError(number, os.strerror(number), str(temporary))
    assert str(caught.value).startswith(f"{path}: cannot be written: ")
    assert len(str(caught.value).splitlines()) == 1


def test_faults_that_are_not_of_the_file_are_not_blamed_on_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic.replacing(tmp_path / "a.txt"):
        (tmp_path / "elsewhere" / "b.txt").read_text()
    with pytest.raises(ZeroDivisionError), atomic.replacing(tmp_path / "a.txt"):
        raise ZeroDivisionError


def test_what_a_killed_process_left_goes_with_the_next_writing(tmp_path: Path) -> None:
    path = tmp_path / "numbers.txt"
    code = (
        "import os, signal, sys; from pathlib import Path; from model_utils import atomic\n"
        "with atomic.replacing(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False, env=environment).returncode == -9
    assert len(list(tmp_path.iterdir())) == 2  # and the lock
    atomic.write_text(path, "whole")
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_of_one_file_do_not_share_a_temporary_one(tmp_path: Path) -> None:
    path = tmp_path / "numbers.txt"
    with atomic.replacing(path) as one:
        one.write_text("first")
        with atomic.replacing(path) as other:
            assert other != one
            other.write_text("second")
        assert path.read_text() == "second"
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_files_are_replaced_together_and_stale_ones_go(tmp_path: Path) -> None:
    for name in ("table.csv", "figures/a.png", "figures/old.png", "figures/truth.png", "cells/1.parquet"):
        atomic.write_text(tmp_path / name, "old")
    stale = [tmp_path / "figures" / "a.png", tmp_path / "figures" / "old.png"]
    before = contents(tmp_path)

    def written(folder: Path, fault: BaseException | None) -> None:
        with atomic.replacing_files(folder, stale) as partial:
            for name in ("table.csv", "figures/a.png"):
                atomic.write_text(partial / name, "new")
            if fault:
                raise fault

    for fault in (KeyboardInterrupt(), ZeroDivisionError()):
        with pytest.raises(type(fault)):
            written(tmp_path, fault)
        assert contents(tmp_path) == before
    written(tmp_path, None)
    new = {"table.csv": "new", "figures/a.png": "new", "figures/truth.png": "old", "cells/1.parquet": "old"}
    assert contents(tmp_path) == new


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}
