"""Ctrl-C in the middle of a map: exit code 130, one line, nothing half-written, and a next run goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

BLOCK_OF_2_KM = """
import sys
import torch
torch.set_num_threads(1)
from model_utils.cli.main import main
from model_utils.mapping.places.cells import MapCells
MapCells.blocks.__defaults__ = (2000.0,)
if __name__ == "__main__":
    sys.exit(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_interrupted_map(town: Path, tmp_path: Path, workers: str) -> None:
    """Like a person at a terminal: the signal reaches all processes."""
    script = tmp_path / "script.py"
    script.write_text(BLOCK_OF_2_KM)
    name = f"interrupted{workers}"
    scenes = ["--scenes", str(town / "all"), "--spacing-metres", "400", "--name", name, "--workers", workers]
    flags = ["--city", "Town", "--root", str(town), "--model", str(town / "model"), *scenes]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    running = subprocess.Popen(
        [sys.executable, str(script), "map", *flags],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=environment,
    )
    results = town / "results" / "Town"
    deadline = time.monotonic() + 120
    while not list(results.glob(f".{name}.*.blocks/[0-9]*.npz")) and time.monotonic() < deadline:
        assert running.poll() is None
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGINT)
    said = running.communicate(timeout=60)
    assert running.returncode == 130, said
    lines = [line for line in said[1].splitlines() if not line.startswith("blocks: ")]
    assert lines == ["pm25 map: interrupted; nothing is half-written"]
    assert not (results / name).exists()
    blocks = {path: path.stat().st_mtime_ns for path in results.glob(f".{name}.*.blocks/*")}
    assert all(path.name.endswith(".npz") and not path.name.startswith(".") for path in blocks)
