"""A map by one process, by three, and by three of which one is killed is the same, byte for byte."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from map_town import write_town

from model_utils.mapping.blocks import AIR

pytestmark = pytest.mark.slow

AREA = "76.90,28.35,77.55,28.95"  # nine blocks and more; those around the middle show nothing


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("town")
    write_town(root)
    return root


def started(town: Path, name: str, *flags: str) -> subprocess.Popen[str]:
    words = ["--city", "Town", "--root", town, "--model", town / "model", "--scenes", town / "all"]
    words += ["--spacing-metres", "300", f"--area={AREA}", "--name", name, "--precision", "32-true", *flags]
    command = [sys.executable, "-m", "model_utils.cli.main", "map", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def is_worker(child: psutil.Process) -> bool:
    try:
        return "spawn_main" in " ".join(child.cmdline())
    except psutil.Error:  # it is over
        return False


def kill_a_worker(process: subprocess.Popen[str], town: Path, name: str) -> None:
    """As soon as the first block is there."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        done = [path for path in (town / "results" / "Town").glob(f".{name}.*.blocks/*.npz") if path.stem != AIR]
        workers = [child for child in psutil.Process(process.pid).children(recursive=True) if is_worker(child)]
        if done and workers:
            workers[0].kill()
            return
        time.sleep(0.01)
    raise AssertionError("the map was there before a worker could be killed")


def files_of(folder: Path) -> dict[str, bytes]:
    """All but what names the flags."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("config.yaml", "map.json")
    }


def test_neither_workers_nor_their_death_change_a_byte(town: Path) -> None:
    results = town / "results" / "Town"
    for name, flags in {"one": (), "three": ("--workers", "3"), "killed": ("--workers", "3")}.items():
        process = started(town, name, *flags)
        if name == "killed":
            kill_a_worker(process, town, name)
        said, _ = process.communicate(timeout=600)
        assert process.returncode == 0, said
    one = files_of(results / "one")
    assert {"map.nc", "report.html", "item.json"} < set(one)
    for name in ("three", "killed"):
        other = files_of(results / name)
        assert other.keys() == one.keys()
        assert [file for file in one if one[file] != other[file]] == []
