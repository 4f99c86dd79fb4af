"""Damaged readings, weather and station lists: one line, or a correct archive."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fuzzing import REAL, STATIONS, Arena, Seeds, check_all, damaged, damaged_json, damaged_table, make_quick, place
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from readings_writers import EPA_IDS, NAMES, WRITERS, Writer
from test_reanalysis import era5

ARBITRARY = settings(
    max_examples=80, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
CODES = tuple(NAMES)[:2]
PLACES = {code: place(*at) for code, at in zip(CODES, STATIONS.values(), strict=True)}
ALIASES = {code: (code, EPA_IDS[code], f'"{NAMES[code]}"', f"site_{code}") for code in CODES}


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        make_quick(monkeypatch)
        monkeypatch.setattr("readings_writers.PLACES", PLACES)
        arena = Arena(tmp_path_factory.mktemp("fuzz"))
        lines = [f"{name},{at[0]:.7f},{at[1]:.7f}" for code, at in PLACES.items() for name in ALIASES[code]]
        (arena.root / "places.csv").write_text("station,latitude,longitude\n" + "\n".join(lines) + "\n")
        yield arena


def hours() -> pd.DataFrame:
    """Two stations over two days of Delhi; all values are different."""
    begin = pd.date_range("2019-01-01", periods=48, freq="h", tz="Asia/Kolkata").tz_convert("UTC").as_unit("us")
    values = np.arange(48) * 1.5 + 10
    return pd.concat(
        [pd.DataFrame({"station": code, "begin": begin, "pm25": values + 100 * at}) for at, code in enumerate(CODES)],
        ignore_index=True,
    )


def plain(folder: Path) -> Path:
    """The same as a plain table, for the stations of the city's list."""
    path = folder / "readings.csv"
    table = hours()
    table["station"] = table["station"].map(dict(zip(CODES, STATIONS, strict=True)))
    table["time"] = table["begin"].dt.tz_convert("Asia/Kolkata").dt.strftime("%Y-%m-%dT%H:%M+05:30")
    table[["station", "time", "pm25"]].to_csv(path, index=False)
    return path


def mean_of_day(values: np.ndarray) -> float:
    return float(values[:24].mean())


@pytest.mark.parametrize(("name", "target", "write"), [entry[:3] for entry in WRITERS], ids=[w[1] for w in WRITERS])
def test_damaged_readings(arena: Arena, tmp_path: Path, name: str, target: str, write: Writer, seeds: Seeds) -> None:
    """Bytes and cells of one of the files; the whole files give the means of the day."""
    options = write(hours(), "Asia/Kolkata", tmp_path / target)
    flags = ["--readings", str(tmp_path / target), "--stations", str(arena.root / "places.csv"), "--overwrite"]
    flags += [word for key, value in options.items() for word in (f"--{key.replace('_', '-')}", value)]
    arena.restore({})
    assert arena.run_scenes(*flags).code == 0
    days = hours().groupby("station", sort=False)["pm25"].apply(lambda values: mean_of_day(values.to_numpy()))
    np.testing.assert_allclose(sorted(arena.opened().samples["pm25"]), sorted(days), rtol=1e-6)
    files = [path for path in sorted((tmp_path / target).rglob("*")) if path.is_file() and path.name != "stations.csv"]
    path = files[0] if files else tmp_path / target
    whole = path.read_bytes()
    packed = whole.startswith(b"\x1f\x8b")
    content = gzip.decompress(whole) if packed else whole
    coding = "utf-16" if content.startswith(b"\xff\xfe") else "utf-8"

    def case(chance: random.Random) -> None:
        arena.begin(chance)
        if path.suffix == ".parquet" or chance.random() < 0.4:
            path.write_bytes(damaged(whole, chance, chance.choice((None, 300))))
        elif path.suffix == ".json":
            path.write_text(json.dumps(damaged_json(json.loads(content), chance)))
        else:
            text = damaged_table(content.decode(coding), chance)
            path.write_bytes(text.encode(chance.choice((coding, coding, "utf-8", "utf-8-sig", "utf-16")), "replace"))
        outcome = arena.run_scenes(*flags, *chance.choice(((), (), ("--window-hours", "3"))))
        if outcome.code == 0:
            known = arena.opened().samples["pm25"].dropna()
            assert ((known > -11) & (known < 10_000)).all()

    check_all(case, seeds(70))


def _recoded(text: str, arena: Arena, change: Callable[[str], bytes]) -> bytes:
    path = arena.root / "recoded.csv"
    path.write_bytes(change(text))
    arena.restore({})
    outcome = arena.run_scenes("--readings", str(path), "--overwrite")
    assert outcome.code == 0, outcome.error
    return outcome.files["samples.parquet"]


HARMLESS: dict[str, Callable[[str], bytes]] = {
    "bom": lambda text: text.encode("utf-8-sig"),
    "utf-16-le": lambda text: ("\ufeff" + text).encode("utf-16-le"),
    "utf-16-be": lambda text: ("\ufeff" + text).encode("utf-16-be"),
    "gzip": lambda text: gzip.compress(text.encode(), mtime=0),
    "crlf": lambda text: text.replace("\n", "\r\n").encode(),
    "cr": lambda text: text.replace("\n", "\r").encode(),
    "tabs": lambda text: text.replace(",", "\t").encode(),
    "semicolons": lambda text: text.replace(",", ";").replace(".", ",").encode(),
    "decimal points": lambda text: text.replace(",", ";").encode(),
    "blank lines": lambda text: ("\n\n" + text.replace("\n", "\n\n") + "\n\n\n").encode(),
    "empty rows": lambda text: (text + ",,\n,,\n").encode(),
    "no last end": lambda text: text.rstrip("\n").encode(),
    "spaces": lambda text: text.replace(",", " , ").encode(),
    "quotes": lambda text: "\n".join('"' + line.replace(",", '","') + '"' for line in text.splitlines()).encode(),
    "columns": lambda text: "\n".join(",".join(reversed(line.split(","))) for line in text.splitlines()).encode(),
    "rows": lambda text: "\n".join([text.splitlines()[0], *reversed(text.splitlines()[1:])]).encode(),
    "more columns": lambda text: "\n".join(f"{line},{at},é" for at, line in enumerate(text.splitlines())).encode(),
    "latin-1": lambda text: "\n".join(f"{line},é" for line in text.splitlines()).encode("latin-1"),
}


@pytest.mark.parametrize("kind", HARMLESS)
def test_the_same_readings_written_otherwise(arena: Arena, kind: str) -> None:
    text = plain(arena.root).read_text()
    assert _recoded(text, arena, HARMLESS[kind]) == _recoded(text, arena, str.encode)


CELLS = 10**6
WIDE: dict[str, Callable[[], bytes]] = {
    "header": lambda: b",".join(b"c%d" % at for at in range(CELLS)) + b"\n1,2\n",
    "row": lambda: b"station,time,pm25\n" + b",1" * CELLS + b"\n",
    "quotes": lambda: b"station,time,pm25\n" + b'"' * CELLS + b"\n",
    "letters": lambda: b"station,time,pm25\n" + b"x" * CELLS + b",2019-01-01,1\n",
    "lines": lambda: b"\n" * CELLS,
    "zeros": lambda: bytes(CELLS),
    "digits": lambda: b"station,time,pm25\nAlpha,2019-01-01," + b"9" * CELLS + b"\n",
    "brackets": lambda: b"[" * CELLS,
    "zip bomb": lambda: gzip.compress(b"a" * 20 * CELLS, mtime=0),
}


@pytest.mark.parametrize("flag", ["--readings", "--stations", "--meteorology"])
@pytest.mark.parametrize("kind", WIDE)
def test_a_million_of_anything(arena: Arena, kind: str, flag: str) -> None:
    path = arena.root / "wide.csv"
    path.write_bytes(WIDE[kind]())
    arena.restore(arena.good)
    assert arena.run_scenes("--overwrite", flag, str(path)).code == 2


@pytest.mark.parametrize("flag", ["--readings", "--stations", "--meteorology", "--legacy", "--table"])
@pytest.mark.parametrize("kind", ["empty", "folder", "missing", "loop", "name"])
def test_what_is_no_file(arena: Arena, tmp_path: Path, kind: str, flag: str) -> None:
    path = tmp_path / ("é\udcff\n.csv" if kind == "name" else "a.csv")
    if kind in ("empty", "name"):
        path.write_bytes(b"")
    elif kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path.name)
    arena.restore(arena.good)
    if flag == "--legacy":
        assert arena.run("--overwrite", flag, str(path)).code == 2
    elif flag == "--table":
        assert arena.run("--overwrite", flag, str(path), "--images", str(path)).code == 2
    else:
        assert arena.run_scenes("--overwrite", flag, str(path)).code == 2


def test_readings_in_a_file_whose_name_is_no_text(arena: Arena, tmp_path: Path) -> None:
    plain(tmp_path).rename(tmp_path / "\udcff.csv")
    arena.restore(arena.good)
    assert arena.run_scenes("--overwrite", "--readings", str(tmp_path)).code == 2


@ARBITRARY
@given(content=st.binary(max_size=300), suffix=st.sampled_from([".csv", ".json", ".parquet", ".csv.gz", ".nc"]))
def test_arbitrary_bytes(arena: Arena, content: bytes, suffix: str) -> None:
    path = arena.root / f"arbitrary{suffix}"
    path.write_bytes(content)
    arena.restore({})
    for flag in ("--readings", "--stations", "--meteorology"):
        assert arena.run_scenes(flag, str(path)).code == 2


CELL = st.one_of(
    st.text(max_size=6),
    st.floats(width=32).map(str),
    st.integers(-2000, 2000).map(str),
    st.datetimes().map(lambda time: time.isoformat()),
    st.sampled_from(["Alpha", "Beta", "2019-01-01", "2019-01-01T05:00", "2019-01-01T05:00+05:30", "ug/m3", "-999"]),
)


@ARBITRARY
@given(
    header=st.permutations(["station", "time", "pm25", "unit"]),
    rows=st.lists(st.lists(CELL, min_size=4, max_size=4), min_size=1, max_size=4),
    window=st.booleans(),
)
def test_arbitrary_cells(arena: Arena, header: list[str], rows: list[list[str]], window: bool) -> None:
    path = arena.root / "cells.csv"
    pd.DataFrame(rows, columns=header).to_csv(path, index=False, encoding="utf-8", errors="replace")
    arena.restore({})
    arena.run_scenes("--readings", str(path), *(("--window-hours", "2") if window else ()))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=8), inside, max_size=3),
    max_leaves=8,
)
TIME = st.fixed_dictionaries({"utc": JSON | st.just("2019-01-01T05:00:00Z"), "local": JSON | st.just("2019-01-01")})


@ARBITRARY
@given(
    results=st.lists(
        JSON
        | st.fixed_dictionaries(
            {"parameter": st.just("pm25") | JSON, "value": JSON | st.floats(), "unit": st.just("ug/m3") | JSON},
            optional={
                "date": TIME | JSON,
                "locationId": JSON,
                "location": JSON | st.just("Alpha"),
                "coordinates": JSON,
            },
        ),
        max_size=3,
    )
)
def test_arbitrary_answers(arena: Arena, results: list[object]) -> None:
    path = arena.root / "answers.json"
    path.write_text(json.dumps({"results": results}))
    arena.restore({})
    arena.run_scenes("--readings", str(path))


def test_damaged_daily_exports(arena: Arena, tmp_path: Path, seeds: Seeds) -> None:
    path = tmp_path / "Alpha_2019.csv"
    days = [f"1999-01-01,{70 + day},12.5,733,2019-01-{day:02d}" for day in range(1, 20)]
    text = "\n".join(["Timestamp,PM2.5 (µg/m³),AT (°C),BP (mmHg),Datetime", *days])
    path.write_text(text)
    flags = ("--readings", str(path), "--overwrite")
    arena.restore({})
    assert arena.run_scenes(*flags).code == 0
    assert arena.opened().samples["pm25"].tolist() == [71]

    def case(chance: random.Random) -> None:
        arena.begin(chance)
        path.write_bytes(damaged_table(text, chance).encode("utf-8", "replace"))
        arena.run_scenes(*flags)

    check_all(case, seeds(60))


def check_damaged(arena: Arena, flag: str, path: Path, text: str, seeds: Seeds) -> None:
    """A table given by a flag, damaged byte by byte or cell by cell, with readings and without."""
    readings = ("--readings", str(plain(arena.root)))

    def case(chance: random.Random) -> None:
        arena.begin(chance)
        path.write_bytes(damaged(text.encode(), chance))
        if chance.random() < 0.6:
            path.write_bytes(damaged_table(text, chance).encode("utf-8", "replace"))
        arena.run_scenes("--overwrite", flag, str(path), *chance.choice(((), readings)))

    check_all(case, seeds(120))


def test_damaged_station_lists(arena: Arena, seeds: Seeds) -> None:
    text = "station,latitude,longitude,other_name\n"
    text += "".join(f"{name},{at[0]},{at[1]},x{name}\n" for name, at in zip(STATIONS, PLACES.values(), strict=True))
    path = arena.root / "stations.csv"
    check_damaged(arena, "--stations", path, text, seeds)


def test_damaged_weather_tables(arena: Arena, seeds: Seeds) -> None:
    lines = ["station,time,temperature_c,RH (%),pressure (mmHg),ws (m/s),wd (deg)"]
    for name in STATIONS:
        lines += [f"{name},2019-01-01T{hour:02d}:00,{hour},{40 + hour},730,1.5,{hour * 10}" for hour in range(24)]
    text = "\n".join(lines) + "\n"
    path = arena.root / "weather.csv"
    path.write_text(text)
    arena.restore({})
    assert arena.run_scenes("--meteorology", str(path)).code == 0
    assert (arena.opened().samples["temperature_c"].to_numpy() == 11.5).all()  # the mean of the day
    check_damaged(arena, "--meteorology", path, text, seeds)


@pytest.mark.parametrize("kind", ["NETCDF3_CLASSIC", "NETCDF3_64BIT", "NETCDF4"])
def test_damaged_reanalysis(arena: Arena, kind: str, seeds: Seeds) -> None:
    data = era5(30).sel(latitude=slice(29.25, 28), longitude=slice(76.5, 78))
    data["valid_time"] = pd.date_range("2019-01-01", periods=30, freq="h")
    path = arena.root / f"{kind}.nc"
    packed = {"encoding": {name: {"zlib": True} for name in data}} if kind == "NETCDF4" else {}
    data.to_netcdf(path, engine="netcdf4", format=kind, **packed)
    whole = path.read_bytes()
    arena.restore({})
    assert arena.run_scenes("--meteorology", str(path)).code == 0

    def case(chance: random.Random) -> None:
        arena.begin(chance)
        path.unlink()
        path.write_bytes(damaged(whole, chance, chance.choice((None, 500, 4000))))
        arena.run_scenes("--overwrite", "--meteorology", str(path))

    check_all(case, seeds(70))


@pytest.mark.real
@pytest.mark.skipif(not REAL.exists(), reason="needs the real data")
@pytest.mark.parametrize(
    ("name", "flags"),
    [("delhi_labels/stations/Chandni_Chowk_Pollutants_2018_2020.csv", ()), ("beijing_labels", ())],
)
def test_damaged_real_readings(arena: Arena, tmp_path: Path, name: str, flags: tuple[str, ...], seeds: Seeds) -> None:
    """A thousand lines of the real files; the station is called as one of the city's."""
    source = REAL / name
    source = next(source.glob("PRSA*Gucheng*")) if source.is_dir() else source
    text = "".join(source.read_text().splitlines(keepends=True)[:1000]).replace("Gucheng", "Alpha")
    path = tmp_path / source.name.replace("Chandni_Chowk_Pollutants", "Alpha").replace("Gucheng", "Alpha")
    path.write_text(text)
    arena.restore({})
    assert arena.run_scenes("--readings", str(path)).code == 0

    def case(chance: random.Random) -> None:
        arena.begin(chance)
        path.write_bytes(damaged(text.encode(), chance))
        if chance.random() < 0.6:
            path.write_bytes(damaged_table(text, chance).encode("utf-8", "replace"))
        arena.run_scenes("--overwrite", "--readings", str(path))

    check_all(case, seeds(40))
