"""Runs that are killed, or whose disk fills up: what is there is whole, and one more run makes the rest of it."""

from __future__ import annotations

import gzip
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fetch_runs import asked_quickly, contents, run
from fetch_server import LoopbackServer
from fetch_world import PLACES, OpenAQ, OpenMeteo, days, key_of, write_city
from full_disk import ROOMY, small_disk

from model_utils.fetching.transfer.manifest import MANIFEST

CODE = "import sys; from model_utils.cli.main import main; sys.exit(main(sys.argv[1:]))"
REPOSITORY = Path(__file__).resolve().parents[1]
VERBS = {
    "readings": "fetch readings --city Lucknow --from 2019-01-01 --to 2019-01-04 --connections 3 --update-city",
    "weather": "fetch weather --city Lucknow --from 2018-12-20 --to 2019-01-10 --connections 2",
}
KILLS = pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.slow)])


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackServer]:
    """With files of readings that take a while, and weather."""
    with asked_quickly() as server:
        world, noise = OpenAQ(server), random.Random(0)
        for place in PLACES[:5]:
            for day in days("2018-12-31", "2019-01-05"):
                server.files[f"/bucket/{key_of(place, day)}"] = gzip.compress(noise.randbytes(30_000), mtime=0)
        for name, value in (world.environment | OpenMeteo(server).environment).items():
            monkeypatch.setenv(name, value)
        server.chunk_pause = 0.005
        yield server


def downloads(root: Path) -> dict[str, bytes]:
    """What is visible: no part of a file, no lock."""
    found = contents(root / "downloads") if (root / "downloads").exists() else {}
    return {path: data for path, data in found.items() if not path.rpartition("/")[2].startswith(".")}


def without_times(files: dict[str, bytes]) -> dict[str, object]:
    """The manifest's lines but for when a file came."""
    return {
        path: data
        if not path.endswith(MANIFEST)
        else [{**json.loads(line), "fetched_at": ""} for line in data.decode().splitlines()]
        for path, data in files.items()
    }


def fetched(files: dict[str, bytes]) -> dict[str, bytes]:
    """The files that came over the network."""
    return {path: data for path, data in files.items() if path.endswith((".gz", ".json"))}


@pytest.mark.parametrize("what", VERBS)
@KILLS
def test_a_killed_run_goes_on(
    server: LoopbackServer, tmp_path: Path, what: str, kills: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Killed at random moments, in turns of up to five; nothing that was whole is asked for again."""
    moments = random.Random(what)
    write_city(tmp_path / "undisturbed")
    assert run(VERBS[what], tmp_path / "undisturbed", capsys)[0] == 0
    expected, in_all = downloads(tmp_path / "undisturbed"), len(server.asked)
    killed = turn = 0
    while killed < kills:
        turn += 1
        root = tmp_path / f"turn{turn}"
        write_city(root)
        for _ in range(5):
            there = fetched(downloads(root))
            before = len(server.asked)
            if not kill(server, VERBS[what], root, before + moments.randrange(in_all), moments.random() * 0.05):
                break
            killed += 1
            expect_whole_and_not_asked_again(server, root, there, before, expected)
        there, before = fetched(downloads(root)), len(server.asked)
        assert run(VERBS[what], root, capsys)[0] == 0
        expect_whole_and_not_asked_again(server, root, there, before, expected)
        assert without_times(downloads(root)) == without_times(expected)
        hidden = [path for path in contents(root) if path.rpartition("/")[2].startswith(".")]
        assert not hidden
        assert contents(root / "data") == contents(tmp_path / "undisturbed" / "data")


def kill(server: LoopbackServer, words: str, root: Path, after: int, seconds: float) -> bool:
    """Kills a run after so many requests and seconds; gives whether it was still running."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(
        [sys.executable, "-c", CODE, *words.split(), "--root", str(root)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        while process.poll() is None and len(server.asked) < after:
            time.sleep(0.001)
        time.sleep(seconds)
        process.kill()
        return process.wait() != 0


def expect_whole_and_not_asked_again(
    server: LoopbackServer, root: Path, there: dict[str, bytes], before: int, expected: dict[str, bytes]
) -> None:
    for path, data in fetched(downloads(root)).items():
        assert data == expected[path], path
    prefix = "Lucknow/readings/"
    asked = {asked.path.removeprefix("/bucket/") for asked in server.asked[before:] if asked.path.endswith(".gz")}
    assert not asked & {path.removeprefix(prefix) for path in there}
    questions = [asked.parameters for asked in server.asked[before:] if asked.path == "/meteo/v1/archive"]
    asked = {
        f"era5_{float(asked['latitude']):.4f}_{float(asked['longitude']):.4f}_{asked['start_date'][:4]}.json"
        for asked in questions
    }
    assert not asked & {path.rpartition("/")[2] for path in there}


@pytest.mark.slow
@pytest.mark.parametrize("what", VERBS)
def test_a_disk_that_fills_up_somewhere(
    server: LoopbackServer, tmp_path: Path, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """At 20 random places: a line, no part of a file, and one more run makes the rest."""
    server.chunk_pause = 0
    rooms = random.Random(what)
    write_city(tmp_path / "undisturbed")
    assert run(VERBS[what], tmp_path / "undisturbed", capsys)[0] == 0
    expected = downloads(tmp_path / "undisturbed")
    size = sum(-(-len(data) // 4096) * 4096 for data in expected.values())
    told = 0
    for turn in range(20):
        root = tmp_path / f"turn{turn}"
        write_city(root)
        folder = root / "downloads"
        folder.mkdir()
        with small_disk(folder) as leave:
            if leave is None:
                pytest.skip("mounting is not allowed here")
            leave(rooms.randrange(4096, int(1.05 * size)))
            code, _, error = run(VERBS[what], root, capsys)
            lines = [line for line in error.splitlines() if not line.startswith(f"{what}: ")]
            assert (code, len(lines)) in ((0, 0), (2, 1)), error
            if code:
                told += 1
                assert "the disk is full" in lines[0]
            there, before = fetched(downloads(root)), len(server.asked)
            assert all(data == expected[path] for path, data in there.items())
            leave(ROOMY)
            assert run(VERBS[what], root, capsys)[0] == 0
            expect_whole_and_not_asked_again(server, root, there, before, expected)
            assert without_times(downloads(root)) == without_times(expected)
    assert told > 10
