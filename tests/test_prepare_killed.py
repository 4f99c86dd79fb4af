"""`pm25 prepare --scenes`, killed at any moment."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from scene_city import (
    TILE,
    config,
    contents,
    make_root,
    pixels,
    scene_name,
    write_scene,
)

from model_utils.archive.reader import open_archive
from model_utils.ingest.prepare import prepare

FORKING = """
import os, sys
import model_utils.ingest.scene_archive.archive
from model_utils.cli.main import main
for _ in sys.stdin:
    child = os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os._exit(main(sys.argv[1:]))
    print(child, flush=True)
    print(os.waitpid(child, 0)[1], flush=True)
"""


@pytest.mark.parametrize("turns", [15, pytest.param(50, marks=pytest.mark.slow)])
def test_kills_leave_a_whole_archive_or_none(tmp_path: Path, turns: int) -> None:
    """SIGKILL at random moments of runs that begin from nothing, and of runs that add to an archive."""
    make_root(tmp_path)
    for day in range(1, 9):
        write_scene(tmp_path, scene_name(day), pixels(day))
    held_back = tmp_path / "scenes" / f"{scene_name(8)}.tif"
    folder = tmp_path / "data" / "Delhi"
    settings = {"grid_metres": 50.0}
    prepare(config(tmp_path, **settings))
    whole = contents(tmp_path)
    held_back.rename(tmp_path / held_back.name)
    prepare(config(tmp_path, overwrite=True, **settings))
    without = contents(tmp_path)
    (tmp_path / held_back.name).rename(held_back)
    small = tmp_path / "small"
    folder.rename(small)

    words = ["prepare", "--city", "Delhi", "--scenes", str(tmp_path / "scenes"), "--gsd", "10"]
    words += ["--tile-size", str(TILE), "--grid-metres", "50", "--workers", "1", "--root", str(tmp_path)]
    with subprocess.Popen(  # imports once; each run is a process of its own
        [sys.executable, "-c", FORKING, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        bufsize=1,
    ) as server:
        assert server.stdin
        assert server.stdout

        def run(kill_after: float | None) -> int:
            """One run, perhaps killed after some seconds; its exit status."""
            print(file=server.stdin)
            child = int(server.stdout.readline())
            if kill_after is not None:
                time.sleep(kill_after)
                with contextlib.suppress(ProcessLookupError):  # it was done
                    os.kill(child, signal.SIGKILL)
            return int(server.stdout.readline())

        run(None)
        shutil.rmtree(folder)
        began = time.monotonic()
        assert run(None) == 0
        duration = time.monotonic() - began
        assert contents(tmp_path) == whole

        moments = random.Random(turns)
        mid_write = killed = 0
        turn = -1
        while turn < turns - 1 or (
            killed < turns // 2 and turn < 3 * turns - 1
        ):  # a run may be done before it is killed
            turn += 1
            grows = turn % 2 == 1
            shutil.rmtree(folder, ignore_errors=True)
            if grows:
                shutil.copytree(small, folder)
            killed += run(moments.uniform(0, duration)) == signal.SIGKILL
            mid_write += bool(list(folder.glob(".*partial"))) if folder.exists() else 0
            if (folder / "archive.json").exists():
                found = contents(tmp_path)
                assert found == whole or (grows and found == without)
                open_archive(folder)
            if turn % 5 == 4:
                assert run(None) == 0  # the next run completes it
                assert contents(tmp_path) == whole
                assert not list(folder.glob(".shards*"))
                assert not list(folder.glob(".*partial"))
    assert killed >= turns // 2
    assert mid_write >= turns // 10  # kills that came while files were being written
