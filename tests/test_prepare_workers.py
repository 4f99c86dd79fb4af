"""`pm25 prepare --scenes` by several workers: what they cut, whether they live or die, is what one process cuts."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest
from distributed import LocalCluster
from scene_city import config, contents, last_line, make_root, pixels, run, scene_name, write_scene

from model_utils.archive.writer import ArchiveWriter
from model_utils.ingest.prepare import prepare
from model_utils.ingest.scene_archive import shards

CUT = shards.cut_scene
GRID = {"grid_metres": 300.0}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A city of three stations and six scenes."""
    make_root(tmp_path)
    for day in range(1, 7):
        write_scene(tmp_path, scene_name(day), pixels(day))
    return tmp_path


def cut_a_little_and_die(scene: Any, *rest: Any) -> Any:
    """Kills its process when some of the scene's tiles are written."""
    cuts = CUT(scene, *rest)
    yield next(cuts)
    yield next(cuts)
    os.kill(os.getpid(), signal.SIGKILL)


def die_once_in_the_middle_of_scene_two(work: shards.ShardWork, number: int) -> Any:
    died = work.folder.parent.parent / "died"
    if number == 2 and not died.exists():
        died.touch()
        shards.cut_scene = cut_a_little_and_die
    return shards.write_shard(work.scenes[number], work.settings, work.path(number))


def test_two_workers_give_what_one_gives(root: Path) -> None:
    prepare(config(root, **GRID))
    one = contents(root)
    prepare(config(root, workers=2, overwrite=True, **GRID))
    assert contents(root) == one
    assert not list((root / "data" / "Delhi").glob(".shards*"))


def test_a_cluster_that_stands_gives_what_one_process_gives(root: Path) -> None:
    prepare(config(root, **GRID))
    one = contents(root)
    with LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address="127.0.0.1:0", silence_logs=50) as cluster:
        prepare(config(root, scheduler=cluster.scheduler_address, overwrite=True, **GRID))
    assert contents(root) == one


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_of_a_scene_changes_nothing(root: Path, monkeypatch) -> None:
    prepare(config(root, **GRID))
    one = contents(root)
    monkeypatch.setattr(shards, "work_on_shard", die_once_in_the_middle_of_scene_two)
    prepare(config(root, workers=2, overwrite=True, **GRID))
    assert (root / "data" / "died").exists()
    assert contents(root) == one
    assert not list((root / "data" / "Delhi").glob(".shards*"))


def test_a_broken_scene_gives_the_line_that_one_process_gives(root: Path, capsys) -> None:
    path = root / "scenes" / f"{scene_name(3)}.tif"
    path.write_bytes(path.read_bytes()[:20_000])
    said = []
    for workers in ("1", "2"):
        assert run(root, "--workers", workers) == 2
        said.append(last_line(capsys))
        assert not (root / "data" / "Delhi" / "archive.json").exists()
    assert path.name in said[0]
    assert said[0] == said[1]
    broken = []
    for workers in (1, 2):
        prepare(config(root, workers=workers, skip_broken=True, overwrite=True, **GRID))
        broken.append(contents(root))
    assert broken[0] == broken[1]


def test_a_run_that_stops_midway_leaves_no_shard_and_no_process(root: Path, monkeypatch) -> None:
    def full(self: ArchiveWriter, *rest: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(ArchiveWriter, "append", full)
    with pytest.raises(OSError, match="no space left") as caught:
        prepare(config(root, workers=2, **GRID))
    assert caught.tb  # it holds on to all that prepare held, and still it is closed
    assert not list((root / "data").glob("**/.shards*"))
    assert not [child for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--scheduler", "nowhere"], "--scheduler nowhere: no Dask scheduler answers there"),
        (["--workers", "0"], "--workers: found 0"),
    ],
)
def test_wrong_flags_are_one_line(root: Path, capsys, flags: list[str], words: str) -> None:
    assert run(root, *flags) == 2
    assert words in last_line(capsys)
    assert not list((root / "data").glob("**/.shards*"))
