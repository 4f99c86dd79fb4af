"""A disk that fills up in the middle of a map, or may not be written: one line, the old map, and a next run goes on."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from full_disk import no_file_above
from matplotlib.figure import Figure
from safetensors.numpy import save_file
from small_map import small_map

from model_utils import atomic
from model_utils.cli.main import main
from model_utils.errors import InputError
from model_utils.figures.saving import save_figure
from model_utils.mapping.files.geotiff import write_geotiffs
from model_utils.mapping.files.netcdf import write_netcdf


def table(folder: Path) -> None:
    with atomic.replacing(folder / "a.parquet") as temporary:
        pd.DataFrame({"a": np.random.default_rng(0).random(10_000)}).to_parquet(temporary)


def arrays(folder: Path) -> None:
    with atomic.replacing(folder / "a.npz") as temporary, temporary.open("wb") as file:
        np.savez(file, a=np.zeros(10_000))


def tensors(folder: Path) -> None:
    with atomic.replacing(folder / "a.safetensors") as temporary:
        save_file({"a": np.zeros(10_000)}, temporary)  # removes what it cannot finish


WRITERS: dict[str, Callable[[Path], object]] = {
    "map.nc": lambda folder: write_netcdf(small_map(200, 300, 2), folder / "map.nc"),
    "pm25_2019-11-01.tif": lambda folder: write_geotiffs(small_map(200, 300, 2), folder),
    "a.png": lambda folder: save_figure(Figure(), folder, "a"),
    "a.parquet": table,
    "a.npz": arrays,
    "a.safetensors": tensors,
    "page.html": lambda folder: atomic.write_text(folder / "page.html", "a" * 20_000),
}


@pytest.mark.parametrize("size", [0, 500, 1500])
@pytest.mark.parametrize("name", WRITERS)
def test_whatever_a_library_says_the_line_names_the_file_and_the_reason(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, size: int
) -> None:
    (tmp_path / name).write_text("old")
    with no_file_above(size), pytest.raises(InputError) as refused:
        WRITERS[name](tmp_path)
    assert str(refused.value) == f"{tmp_path / name}: cannot be written: file too large"
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "old"
    assert capfd.readouterr() == ("", "")


def stopped_by(fault: BaseException, writing: AbstractContextManager[Path]) -> None:
    with writing as temporary:
        if temporary.is_dir():
            (temporary / "half").touch()
        else:
            temporary.touch()
        raise fault


def test_a_fault_of_ours_is_no_full_disk(tmp_path: Path) -> None:
    for fault in (ValueError("ours"), FileNotFoundError(errno.ENOENT, "no such file", "/else/where")):
        with pytest.raises(type(fault)):
            stopped_by(fault, atomic.replacing(tmp_path / "a"))
    assert not list(tmp_path.iterdir())


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "map"
    for stopped in (KeyboardInterrupt, ValueError):
        with pytest.raises(stopped):
            stopped_by(stopped(), atomic.replacing_folder(folder))
        assert not list(tmp_path.iterdir())
    for content in ("old", "new"):
        with atomic.replacing_folder(folder) as temporary:
            (temporary / content).touch()
        assert [path.name for path in folder.iterdir()] == [content]
    assert list(tmp_path.iterdir()) == [folder]


def test_a_folder_that_a_kill_took_between_two_names_comes_back(tmp_path: Path) -> None:
    (tmp_path / ".map.old").mkdir()
    (tmp_path / ".map.old" / "old").touch()
    (tmp_path / ".map.partial").mkdir()
    with pytest.raises(ValueError, match="later"):
        stopped_by(ValueError("later"), atomic.replacing_folder(tmp_path / "map"))
    assert [path.name for path in (tmp_path / "map").iterdir()] == ["old"]
    assert [path.name for path in tmp_path.iterdir()] == ["map"]


FILES = (
    *("air.npz", "0.npz", "map.nc", "pm25_2019-01.tif", "reason_2019-02.tif", "map_2019-01.png"),
    *("report.html", "item.json", "config.yaml", "map.json"),
)
"""In the order in which a map writes them; the last one says that it is whole."""


@pytest.mark.usefixtures("figures_unrendered")
def test_a_map_is_new_or_as_it_was_wherever_the_disk_fills(
    town: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--name", "filled", "--period", "month", "--area=77.21,28.62,77.24,28.65", "--overwrite"]
    folder = town / "results" / "Town" / "filled"
    assert run(town, *words, "--period", "year") == 0  # an old map of other settings
    old = contents(folder)
    for name in FILES:
        with monkeypatch.context() as patched:
            patched.setattr(atomic, "sync", full_at(name))
            if name == "pm25_2019-01.tif":  # the blocks stand: from here on nothing is predicted again
                monkeypatch.setattr("model_utils.mapping.blocks.predict_cells", None)
            capsys.readouterr()
            assert run(town, *words) == 2
        *_, line = capsys.readouterr().err.splitlines()
        assert line.startswith(f"pm25 map: {folder.parent}")
        assert line.endswith(f"/{name}: cannot be written: the disk is full")
        assert contents(folder) == old
        assert not list(folder.parent.glob(".filled.partial"))
    assert run(town, *words) == 0
    assert contents(folder).keys() != old.keys()
    assert not list(folder.parent.glob(".filled*"))


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_results_that_may_not_be_written_are_one_line(
    town: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    real = os.mkdir

    def mkdir(path: str | Path, *arguments: int) -> None:
        if Path(path).name.endswith(".blocks"):
            raise OSError(number, os.strerror(number), str(path))
        real(path, *arguments)

    monkeypatch.setattr(os, "mkdir", mkdir)
    assert run(town, "--name", "forbidden") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"pm25 map: {town / 'results' / 'Town'}")
    assert line.endswith(f"/air.npz: cannot be written: {os.strerror(number).lower()}")


def run(town: Path, *words: str) -> int:
    return main(["map", "--city", "Town", "--root", str(town), "--model", str(town / "model"), *words])


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def full_at(name: str) -> Callable[[Path], None]:
    """In place of `atomic.sync`: fails for the temporary file that is to get a name."""
    real, stem = atomic.sync, Path(name).stem

    def sync(path: Path) -> None:
        if path.name.startswith(f".{stem}.") and path.suffix == Path(name).suffix:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(path)

    return sync
