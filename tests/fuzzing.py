"""What the fuzz tests of `pm25 prepare` share: a small city, ways to damage bytes, and what every run must leave."""

from __future__ import annotations

import io
import random
import resource
import shutil
import signal
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.warp import transform

from model_utils import atomic
from model_utils.archive.reader import open_archive
from model_utils.cli import command
from model_utils.cli.main import main

REAL = Path(__file__).resolve().parents[2] / "shared" / "real"
ZONE, GSD, TILE, SIZE = "EPSG:32643", 10.0, 16, 60
LEFT, TOP = 716_000.0, 3_170_000.0
STATIONS = {"Alpha": (20, 20), "Beta": (40, 35)}  # column, row
SCENE = "scene_20190101T051200"
CITY = """\
name: Delhi
bounding_box: {south: 28.2, west: 76.8, north: 29.0, east: 77.7}
time_zone: Asia/Kolkata
overpass_local_time: "10:30"
stations:
"""
_SECONDS, _MEGABYTES = 10, 700


class TimedOutError(BaseException):
    """No `Exception`: what takes any of those for a broken file must not take this one."""


@dataclass(frozen=True)
class Outcome:
    """What a run left: its exit code, its words, and the files of the archive's folder."""

    code: int
    out: str
    error: str
    files: dict[str, bytes]


def place(column: float, row: float) -> tuple[float, float]:
    """Latitude and longitude of a pixel corner of the test scenes."""
    (longitude,), (latitude,) = transform(ZONE, "EPSG:4326", [LEFT + column * GSD], [TOP - row * GSD])
    return latitude, longitude


def pixels(seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 255, (3, SIZE, SIZE), dtype=np.uint8)


def write_scene(path: Path, values: np.ndarray, **profile: Any) -> Path:
    settings = {
        "driver": "GTiff",
        "count": len(values),
        "height": values.shape[1],
        "width": values.shape[2],
        "dtype": values.dtype,
        "crs": ZONE,
        "transform": rasterio.Affine(GSD, 0, LEFT, 0, -GSD, TOP),
        **profile,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", **settings) as file:
        file.write(values)
    return path


def city_text() -> str:
    places = {name: place(*at) for name, at in STATIONS.items()}
    return CITY + "".join(f"  - {{name: {name}, latitude: {at[0]:.8f}, longitude: {at[1]:.8f}}}\n" for name, at in places.items())


class Arena:
    """A root with a city and a scene, in which cases run one after the other."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.city = root / "data" / "cities" / "Delhi.yaml"
        self.archive = root / "data" / "Delhi"
        self.scenes = root / "scenes"
        self.cases = 0
        self.city.parent.mkdir(parents=True)
        self.city.write_text(city_text())
        write_scene(self.scenes / f"{SCENE}.tif", pixels())

    def files(self) -> dict[str, bytes]:
        found = sorted(self.archive.rglob("*")) if self.archive.exists() else []
        return {str(path.relative_to(self.archive)): path.read_bytes() for path in found if path.is_file()}

    def restore(self, files: dict[str, bytes]) -> None:
        """Makes the archive's folder hold these files and no others."""
        shutil.rmtree(self.archive, ignore_errors=True)
        self.archive.mkdir(parents=True)
        for name, content in files.items():
            (self.archive / name).write_bytes(content)

    def run(self, *flags: str) -> Outcome:
        """One `pm25 prepare`, judged by what holds for all: see `judged`."""
        before = self.files()
        self.cases += 1
        out, error = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(error), limited():
            code = self.called(flags)
        outcome = Outcome(code, out.getvalue(), error.getvalue(), self.files())
        judge(self, outcome, before)
        return outcome

    def called(self, flags: tuple[str, ...]) -> int:
        try:
            return main(["prepare", "--city", "Delhi", "--gsd", f"{GSD:g}", "--root", str(self.root), *flags])
        except SystemExit as stop:  # how the parser of flags leaves
            return int(stop.code or 0)

    def run_scenes(self, *flags: str) -> Outcome:
        return self.run("--scenes", str(self.scenes), "--tile-size", str(TILE), "--workers", "1", *flags)


def judge(arena: Arena, outcome: Outcome, before: dict[str, bytes]) -> None:
    """0 and an archive that opens, or 2, one line, and the archive that was there before."""
    assert outcome.code in (0, 2), outcome
    *progress, last = outcome.error.splitlines() or [""]
    assert all(line.startswith(("scenes: ", "tiles: ")) for line in progress), outcome.error
    names = set(outcome.files)
    assert not [name for name in names if ".partial" in name or ".spool" in name], names
    assert not list(arena.archive.glob(".spool*"))
    if outcome.code == 2:
        assert last.startswith("pm25 prepare: "), outcome.error
        assert "Traceback" not in outcome.error
        assert len(last) < 2000, len(last)
        assert {**outcome.files, ".lock": b""} == {**before, ".lock": b""}, (names, set(before))
        return
    assert not last or last.startswith(("scenes: ", "tiles: ")), outcome.error
    archive = open_archive(arena.archive)
    samples, tiles = archive.samples, archive.tiles()
    assert tiles.shape == (len(samples), archive.metadata.tile_size, archive.metadata.tile_size, 3)
    assert samples["sample_id"].is_unique
    assert samples["time_utc"].dt.year.between(1970, 2100).all()
    assert np.isfinite(samples[["latitude", "longitude"]].to_numpy()).all()
    assert not np.isinf(samples["pm25"].to_numpy()).any()


@contextmanager
def limited() -> Iterator[None]:
    """Bounds the time and the memory of what runs inside."""

    def stop(*_: object) -> None:
        raise TimedOutError(f"a case ran over {_SECONDS} s")

    previous = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, _SECONDS)
    began, peak = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert time.monotonic() - began < _SECONDS
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) / 1024
    assert grown < _MEGABYTES, f"a case took {grown:.0f} MiB"


def make_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves out what costs most of a case's time and is the same in all: reading equal flags, and waiting for disks."""
    kept: dict[tuple[str, ...], Any] = {}
    parse = command.parse

    def remembered(verb: command.Command, argv: list[str], *rest: Any) -> Any:
        key = tuple(argv)
        if key not in kept:
            kept[key] = parse(verb, argv, *rest)
        return kept[key]

    monkeypatch.setattr(command, "parse", remembered)
    monkeypatch.setattr(atomic, "sync", lambda path: None)


def damaged(content: bytes, chance: random.Random, head: int | None = None) -> bytes:
    """Bytes with one to four faults: cut, flipped, zeroed, doubled, exchanged, stuffed; at most so far from the start."""
    out = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        span = min(len(out), head or len(out)) or 1
        at, length = chance.randrange(span), chance.choice((1, 2, 4, 8, 64, 1000))
        kind = chance.randrange(8)
        if kind == 0:
            del out[at:]
        elif kind == 1:
            del out[at : at + length]
        elif kind == 2:
            out[at : at + length] = bytes(min(length, len(out) - at))
        elif kind == 3:
            out[at:at] = out[at : at + length]
        elif kind == 4:
            out[at:at] = chance.randbytes(length)
        elif kind == 5:
            number = chance.choice((0, 1, 2**31 - 1, 2**32 - 1, len(out), chance.randrange(2**32)))
            out[at : at + 4] = struct.pack(chance.choice("<>") + "I", number)
        else:
            for _ in range(chance.choice((1, 3, 10))):
                here = chance.randrange(span)
                if here < len(out):
                    out[here] = chance.randrange(256)
    return bytes(out)


def all_cases(run: Callable[[random.Random], object], seeds: range) -> None:
    """Runs a case for each seed and fails with the list of all that are wrong."""
    wrong = []
    for seed in seeds:
        try:
            run(random.Random(seed))
        except (Exception, TimedOutError) as error:  # noqa: BLE001
            wrong.append(f"seed {seed}: {type(error).__name__}: {str(error)[:600]}")
    assert not wrong, f"{len(wrong)} of {len(seeds)} cases:\n" + "\n".join(wrong[:30])
