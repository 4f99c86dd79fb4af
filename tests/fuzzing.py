"""What the fuzz tests of `pm25 prepare` share: a small city, ways to damage input, and what every run must leave."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import struct
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.warp import transform

from model_utils import atomic
from model_utils.archive.reader import TileArchive, open_archive
from model_utils.archive.verification import NOTE
from model_utils.cli import command
from model_utils.cli.main import main

REAL = Path(__file__).resolve().parents[2] / "shared" / "real"
ZONE, GSD, TILE, SIZE = "EPSG:32643", 10.0, 16, 60
LEFT, TOP = 716_000.0, 3_170_000.0  # in Delhi
STATIONS = {"Alpha": (20, 20), "Beta": (40, 35)}  # column, row
SCENE = "scene_20190101T051200"
CITY = """\
name: Delhi
bounding_box: {south: 28.2, west: 76.8, north: 29.0, east: 77.7}
time_zone: Asia/Kolkata
overpass_local_time: "10:30"
stations:
"""
Seeds = Callable[[int], list[int]]
"""The fixture `seeds`."""

_SECONDS, _MEGABYTES = 10, 600

NASTY = [
    *("", " ", "nan", "inf", "-inf", "1e999", "1e308", "1e-400", "9" * 400, "0x1F", "1_000", "1,5", "-0", "5."),
    *("0000-00-00", "0000-01-01T00:00", "9999-12-31T23:59", "2019-02-30", "2019-01-01T24:00", "2019-01-01T00:00+99:99"),
    *("1677-01-01", "2262-04-12", "1969-12-31", "2019-W01-1", "20190101", "1546300800", "31-12-2019 25:00", "12:00"),
    *("None", "NULL", "#N/A", "-999", "-9999", "985", "µg/m³", "ppm", "pm10", "PM2.5", "=1+1", "true", "[]", "{}"),
    *(
        '"',
        '""',
        'a"b',
        "\x00",
        "\t",
        ";",
        "\\",
        "\r",
        "\n",
        "\ufeff",
        "\u202e",
        "\uff11\uff12",
        "\U0001d7d9",
        "é" * 3000,
    ),
]
"""Cells that are no number, no time, no unit, or more than one thing."""


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


class Arena:
    """A root with a city and a scene, in which cases run one after the other."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.city = root / "data" / "cities" / "Delhi.yaml"
        self.archive = root / "data" / "Delhi"
        self.scenes = root / "scenes"
        self.city.parent.mkdir(parents=True)
        places = {name: place(*at) for name, at in STATIONS.items()}
        lines = [f"  - {{name: {name}, latitude: {at[0]:.8f}, longitude: {at[1]:.8f}}}" for name, at in places.items()]
        self.city.write_text(CITY + "\n".join(lines) + "\n")
        self.scene = write_scene(self.scenes / f"{SCENE}.tif", pixels())
        self.good = self.run_scenes().files
        assert "archive.json" in self.good

    def restore(self, files: dict[str, bytes]) -> None:
        """Makes the archive's folder hold these files and no others."""
        shutil.rmtree(self.archive, ignore_errors=True)
        self.archive.mkdir(parents=True)
        for name, content in files.items():
            (self.archive / name).write_bytes(content)

    def begin(self, chance: random.Random) -> None:
        """A third of the cases begins with an archive that is already there."""
        self.restore(self.good if chance.random() < 1 / 3 else {})

    def run(self, *flags: str) -> Outcome:
        """One `pm25 prepare`, judged by what holds for all: see `_judge`."""
        before = self._files()
        words = ["prepare", "--city", "Delhi", "--gsd", f"{GSD:g}", "--root", str(self.root), *flags]
        out = StringIO()
        with tempfile.TemporaryFile() as error, redirect_stdout(out), _standard_error(error.fileno()), _limits():
            try:
                code = main(words)
            except SystemExit as stop:  # how the parser of flags leaves
                code = int(stop.code or 0)
            error.seek(0)
            outcome = Outcome(code, out.getvalue(), error.read().decode(), self._files())
        _judge(self, outcome, before)
        return outcome

    def run_scenes(self, *flags: str) -> Outcome:
        return self.run("--scenes", str(self.scenes), "--tile-size", str(TILE), "--workers", "1", *flags)

    def opened(self) -> TileArchive:
        return open_archive(self.archive)

    def _files(self) -> dict[str, bytes]:
        found = sorted(self.archive.rglob("*")) if self.archive.exists() else []
        return {path.name: path.read_bytes() for path in found if path.is_file() and path.name != NOTE}


def _judge(arena: Arena, outcome: Outcome, before: dict[str, bytes]) -> None:
    """0 and an archive that opens, or 2 and one line and the archive that was there; no leftovers, no other words."""
    *progress, last = outcome.error.splitlines() or [""]
    assert all(line.startswith(("scenes: ", "tiles: ")) for line in progress), outcome.error
    assert not list(arena.archive.glob(".shards*")) + list(arena.archive.glob("*.partial*")), outcome.files.keys()
    if outcome.code != 0:
        assert outcome.code == 2
        assert last.startswith("pm25 prepare: "), outcome.error
        assert len(last) < 1100
        assert outcome.files == before
        return
    assert last.startswith(("scenes: ", "tiles: ")) or (not last and "nothing to do" in outcome.out), outcome.error
    archive = open_archive(arena.archive)
    samples, size = archive.samples, archive.metadata.tile_size
    assert archive.tiles().shape == (len(samples), size, size, len(archive.metadata.bands))
    assert samples["sample_id"].is_unique
    assert samples["time_utc"].dt.year.between(1970, 2100).all()
    assert samples["latitude"].between(-90, 90).all()
    assert samples["longitude"].between(-180, 180).all()
    assert not np.isinf(samples["pm25"]).any()


@contextmanager
def _standard_error(descriptor: int) -> Iterator[None]:
    """Sends to a file what Python, and libraries past it, write to standard error."""
    saved = os.dup(2)
    os.dup2(descriptor, 2)
    try:
        stream = open(descriptor, "w", buffering=1, closefd=False, errors="backslashreplace")  # noqa: SIM115
        with stream, redirect_stderr(stream):
            yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


@contextmanager
def _limits() -> Iterator[None]:
    """Bounds the time and the memory of what runs inside."""

    def stop(*_: object) -> None:
        raise TimedOutError(f"a case ran over {_SECONDS} s")

    previous = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, _SECONDS)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) / 1024
    assert grown < _MEGABYTES, f"a case took {grown:.0f} MiB"


def make_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves out what takes most of a case's time and is the same in all: reading equal flags, waiting for the disk."""
    known: dict[tuple[str, ...], Any] = {}
    parse = command.parse

    def remembered(verb: command.Command, words: list[str], *rest: Any) -> Any:
        if tuple(words) not in known:
            known[tuple(words)] = parse(verb, words, *rest)
        return known[tuple(words)]

    monkeypatch.setattr(command, "parse", remembered)
    monkeypatch.setattr(atomic, "sync", lambda path: None)


def damaged(content: bytes, chance: random.Random, head: int | None = None) -> bytes:
    """Bytes with some faults, all of them in the first `head` bytes."""
    out = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        span = min(len(out), head or len(out)) or 1
        at, length = chance.randrange(span), chance.choice((1, 2, 4, 8, 64, 1000))
        kind = chance.choice(("cut", "leave out", "zero", "double", "stuff", "number", "flip", "flip"))
        if kind == "cut":
            del out[at:]
        elif kind == "leave out":
            del out[at : at + length]
        elif kind == "zero":
            out[at : at + length] = bytes(min(length, len(out) - at))
        elif kind == "double":
            out[at:at] = out[at : at + length]
        elif kind == "stuff":
            out[at:at] = chance.randbytes(length)
        elif kind == "number":
            number = chance.choice((0, 1, 2**31 - 1, 2**32 - 1, len(out), chance.randrange(2**32)))
            out[at : at + 4] = struct.pack(chance.choice("<>") + "I", number)
        else:
            for here in chance.choices(range(len(out[:span])), k=chance.choice((1, 3, 10)) if out else 0):
                out[here] = chance.randrange(256)
    return bytes(out)


def damaged_table(text: str, chance: random.Random) -> str:
    """Delimited text with some faults in its cells, rows and columns; the header has a quarter of them."""
    lines = text.split("\n")
    delimiter = max(",;\t", key=text.count)
    for _ in range(chance.choice((1, 1, 2, 5))):
        row = 0 if chance.random() < 0.25 else chance.randrange(len(lines))
        cells = lines[row].split(delimiter)
        at = chance.randrange(len(cells))
        kind = chance.choice(["cell"] * 13 + ["fewer", "more", "shuffle", "row twice", "row gone", "wide", "cut"])
        if kind == "cell":
            cells[at] = chance.choice(NASTY)
        elif kind == "fewer":
            del cells[at]
        elif kind == "more":
            cells.insert(at, chance.choice(NASTY))
        elif kind == "shuffle":
            chance.shuffle(cells)
        elif kind == "row twice":
            lines.insert(row, lines[chance.randrange(len(lines))])
        elif kind == "row gone" and len(lines) > 1:
            del lines[row]
            continue
        elif kind == "wide":
            cells *= chance.choice((2, 50, 3000))
        elif kind == "cut":
            del lines[row + 1 :]
        lines[row] = delimiter.join(cells)
    return "\n".join(lines)


def damaged_json(content: Any, chance: random.Random) -> Any:
    """Parsed JSON, changed in place: something in it is gone, or something else."""
    values = [*NASTY, None, True, 0, -1, 1e308, 10**400, float("nan"), [], {}, [[]], {"a": 1}, "x" * 9999, "\ud800"]
    spots: list[tuple[Any, Any]] = []
    pending = [content]
    while pending:
        here = pending.pop()
        inside = list(here.items()) if isinstance(here, dict) else list(enumerate(here))
        spots += [(here, key) for key, _ in inside]
        pending += [value for _, value in inside if isinstance(value, dict | list)]
    parent, key = chance.choice(spots)
    if chance.random() < 0.2:
        del parent[key]
    else:
        parent[key] = chance.choice(values)
    return content


def check_all(case: Callable[[random.Random], object], seeds: Sequence[int]) -> None:
    """Runs a case for each seed and fails with a list of those that are wrong."""
    wrong = []
    for seed in seeds:
        try:
            case(random.Random(seed))
        except (Exception, TimedOutError) as error:
            wrong.append(f"seed {seed}: {type(error).__name__}: {str(error)[:500]}")
    assert not wrong, f"{len(wrong)} of {len(seeds)} cases\n" + "\n".join(wrong[:20])
