"""From station readings to the rows of an archive: every format, the real exports, weather, and the whole job."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from math import isnan, nan
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr
from rasterio.warp import transform
from readings_writers import DAILY_PLACES, DAILY_WRITERS, NAMES, PLACES, WRITERS, Writer

from model_utils.archive.reader import open_archive
from model_utils.cli.main import main
from model_utils.ingest.config import PrepareConfig
from model_utils.ingest.prepare import prepare

REAL = Path(__file__).resolve().parents[2] / "shared" / "real"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="the real data are not here")

ZONES = ("Asia/Kolkata", "America/Denver", "Asia/Kathmandu")
HALF_HOUR, HOUR = timedelta(minutes=30), timedelta(hours=1)
GSD, TILE = 100.0, 8
WINDOW = 1.5
NUMBERS = ("pm25", "pm25_unfiltered", "hours")
Label = tuple[float, float, float, str]
"""pm25, pm25_unfiltered, hours, quality."""


def write_city(root: Path, name: str, zone: str, box: tuple[float, float, float, float], stations: str = " []") -> None:
    south, west, north, east = box
    folder = root / "data" / "cities"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.yaml").write_text(
        f"name: {name}\nbounding_box: {{south: {south}, west: {west}, north: {north}, east: {east}}}\n"
        f'time_zone: {zone}\noverpass_local_time: "10:30"\nstations:{stations}\n'
    )


def write_scenes(
    folder: Path, times: Iterable[datetime], crs: str, middle: tuple[float, float], gsd: float, size: int
) -> None:
    """Scenes of noise around a latitude and longitude, on the lattice of their zone."""
    folder.mkdir(parents=True)
    (x,), (y,) = transform("EPSG:4326", crs, [middle[1]], [middle[0]])
    left, top = (round(x / gsd) - size // 2) * gsd, (round(y / gsd) + size // 2) * gsd
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 3, "height": size, "width": size, "photometric": "RGB"}
    for seed, time in enumerate(times):
        values = np.random.default_rng(seed).integers(1, 255, (3, size, size), dtype=np.uint8)
        path = folder / f"scene_{time.astimezone(UTC):%Y%m%dT%H%M%S}.tif"
        with rasterio.open(
            path, "w", crs=crs, transform=rasterio.Affine(gsd, 0, left, 0, -gsd, top), **profile
        ) as file:
            file.write(values)


# the same hours in every format: what is planted in them, and what a loop over the hours makes of them

DAYS = ("2019-03-09", "2019-03-10", "2019-03-11", "2019-11-02", "2019-11-03", "2019-11-04")
OUTAGE = ("2019-11-04T02", "2019-11-04T03", "2019-11-04T04")
"""Hours that no station has; clocks in Denver skip 2019-03-10T02 and repeat 2019-11-03T01."""

PLANTED: dict[str, dict[str, float]] = {
    "1001A": {
        "2019-03-09T10": -999,
        "2019-03-09T11": 985,
        "2019-03-09T15": -15,
        **dict.fromkeys(
            [f"2019-03-10T{hour}" for hour in range(18, 23)], nan
        ),  # leaves 18 hours, 19 without the change
        **dict.fromkeys([f"2019-11-04T{hour}" for hour in range(12, 16)], nan),  # leaves 17
    },
    "1002A": {
        "2019-03-10T11": 400,
        **dict.fromkeys(["2019-11-03T09", "2019-11-03T10", "2019-11-03T11", "2019-11-03T12"], nan),
        "2019-11-04T10": -3.5,
    },
    "1003A": {
        **dict.fromkeys(["2019-03-10T09", "2019-03-10T10", "2019-03-10T11", "2019-03-10T12"], 55.5),
        **dict.fromkeys(["2019-03-11T09", "2019-03-11T10", "2019-03-11T11"], 66.6),  # a run of three is none
        "2019-11-03T01": -9999,  # the first of the two in Denver
    },
    "1004A": {
        **dict.fromkeys([f"2019-03-11T0{hour}" for hour in range(7)], nan),
        "2019-11-02T10": 1000,
        **dict.fromkeys([f"2019-11-04T{hour}" for hour in range(13, 16)], nan),  # leaves 18
    },
}
SPIKES = {("1002A", "2019-03-10T11")}

OVERPASSES = (
    *(f"{day}T10:42:13" for day in DAYS),
    "2019-03-10T03:10:00",  # ten minutes after clocks in Denver skipped an hour
    "2019-11-02T23:50:00",
    "2019-11-03T01:40:00",  # the second of the two in Denver: its window holds both hours
    "2019-11-03T02:40:00",  # the window of this one holds only the second
    "2019-11-04T00:20:00",
    "2019-03-20T10:42:13",  # nobody has readings of this day
)


def utc(local: str, zone: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


def hours_of(zone: str) -> dict[str, dict[datetime, tuple[float, str]]]:
    """By station and beginning (UTC): the reading, and its flags by hand but for those that its value says itself."""
    begins = []
    for day in DAYS:
        begin, end = utc(day, zone), utc((date.fromisoformat(day) + timedelta(days=1)).isoformat(), zone)
        while begin < end:
            begins.append(begin)
            begin += HOUR
    missing_everywhere = {utc(f"{hour}:00", zone) for hour in OUTAGE}
    generator = np.random.default_rng(5)
    found: dict[str, dict[datetime, tuple[float, str]]] = {}
    for number, station in enumerate(NAMES):
        planted = {utc(f"{hour}:00", zone): (hour, value) for hour, value in PLANTED[station].items()}
        of_station = found[station] = {}
        for begin in begins:
            local = begin.astimezone(ZoneInfo(zone))
            level = 25.0 if local.day == 4 else 70 + 20 * np.sin(local.hour / 4)
            value = round(float(level + 5 * number + generator.normal(0, 2)), 1)
            hour, value = planted.get(begin, ("", value))
            if begin not in missing_everywhere:
                of_station[begin] = (value, "spike" if (station, hour) in SPIKES else "")
        assert set(planted) <= set(of_station)
    return found


def flags_of_hours(hours: dict[datetime, tuple[float, str]]) -> dict[datetime, set[str]]:
    """What speaks against each hour of a station, by its own value, by the run it is in, or by hand."""
    flags: dict[datetime, set[str]] = {}
    for begin, (value, by_hand) in hours.items():
        run = [begin]
        while hours.get(run[0] - HOUR, (nan, ""))[0] == value:
            run.insert(0, run[0] - HOUR)
        while hours.get(run[-1] + HOUR, (nan, ""))[0] == value:
            run.append(run[-1] + HOUR)
        code = value in (-999, -9999)
        rules = {
            "missing": isnan(value),
            "missing_code": code,
            "invalid": value < -10 and not code,
            "low": -10 <= value < 0,
            "saturated": value >= 985,
            "stuck": len(run) >= 4 and not code,
            "spike": by_hand == "spike",
        }
        flags[begin] = {name for name, holds in rules.items() if holds}
    return flags


ORDER = ("missing", "missing_code", "invalid", "low", "saturated", "stuck", "spike", "too_few_hours")
LEFT_OUT = {"missing", "missing_code", "invalid", "saturated", "spike"}


def label(chosen: list[tuple[float, set[str]]], min_hours: int) -> Label:
    kept = [value for value, flags in chosen if not flags & LEFT_OUT]
    numbers = [value for value, flags in chosen if not flags & {"missing", "missing_code"}]
    present = set().union(*(flags for _, flags in chosen), {"too_few_hours"} if len(kept) < min_hours else set())
    return (
        sum(kept) / len(kept) if len(kept) >= min_hours else nan,
        sum(numbers) / len(numbers) if numbers else nan,
        len(kept),
        "|".join(name for name in ORDER if name in present),
    )


def expected_labels(zone: str, window: float | None) -> dict[tuple[str, datetime], Label]:
    found: dict[tuple[str, datetime], Label] = {}
    for station, hours in hours_of(zone).items():
        flags = flags_of_hours(hours)
        for local in OVERPASSES:
            time = utc(local, zone, fold=1)
            day = time.astimezone(ZoneInfo(zone)).date()
            if window is None:
                chosen = [begin for begin in hours if begin.astimezone(ZoneInfo(zone)).date() == day]
            else:
                chosen = [begin for begin in hours if abs(begin + HALF_HOUR - time) <= window * HOUR]
            of_hours = [(hours[begin][0], flags[begin]) for begin in chosen]
            unknown = not chosen and window is None
            found[station, time] = (nan, nan, nan, "") if unknown else label(of_hours, 18 if window is None else 1)
    return found


def table_of(zone: str) -> pd.DataFrame:
    rows = [(station, begin, value) for station, hours in hours_of(zone).items() for begin, (value, _) in hours.items()]
    table = pd.DataFrame(rows, columns=["station", "begin", "pm25"])
    return table.assign(begin=table["begin"].astype("datetime64[us, UTC]"))


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of the scenes at the overpasses of a zone, each written once."""
    made: dict[str, Path] = {}

    def folder(zone: str) -> Path:
        if zone not in made:
            made[zone] = tmp_path_factory.mktemp("scenes") / "scenes"
            times = [utc(local, zone, fold=1) for local in OVERPASSES]
            write_scenes(made[zone], times, "EPSG:32643", (28.6425, 77.231), GSD, 80)
        return made[zone]

    return folder


def samples_at(root: Path, places: dict[str, tuple[float, float]], zone: str) -> dict[tuple[str, datetime], Any]:
    """The archive's rows by station, whatever a format calls it, and time; local dates are checked on the way."""
    at = {place: name for name, place in places.items()}
    rows = {}
    for row in open_archive(root / "data" / "Town").samples.itertuples():
        time = row.time_utc.to_pydatetime()
        assert pd.Timestamp(row.local_date).date() == time.astimezone(ZoneInfo(zone)).date()
        rows[at[row.latitude, row.longitude], time] = row
    return rows


def compare(rows: dict[tuple[str, datetime], Any], expected: dict[tuple[str, datetime], Label]) -> None:
    assert rows.keys() == expected.keys()
    for key, (*numbers, quality) in expected.items():
        row = rows[key]
        assert row.quality == quality, key
        assert {name for name in ORDER if getattr(row, f"flag_{name}")} == set(quality.split("|")) - {""}
        found = [getattr(row, name) for name in NUMBERS]
        np.testing.assert_allclose(found, numbers, rtol=1e-6, err_msg=str(key))


def prepared(root: Path, scenes: Path, **settings: Any) -> None:
    common = {"scenes": scenes, "gsd": GSD, "tile_size": TILE, "workers": 1, "root": root}
    prepare(PrepareConfig(city="Town", **{**common, **settings}))


def test_the_hours_hold_what_they_should() -> None:
    """The plan above is not empty: flags of every kind, days with too few hours and a day of 23 and one of 25."""
    labels = expected_labels("America/Denver", None)
    assert {flag for *_, quality in labels.values() for flag in quality.split("|")} == {"", *ORDER}
    hours = {time.date().isoformat(): value[2] for (station, time), value in labels.items() if station == "1004A"}
    assert [hours[day] for day in DAYS] == [24, 23, 17, 23, 25, 18]
    around = expected_labels("America/Denver", WINDOW)
    assert {flag for *_, quality in around.values() for flag in quality.split("|")} >= {"", *ORDER} - {"invalid"}
    assert {value[2] for value in around.values()} == {0, 1, 2, 3}


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(("name", "target", "write"), [entry[:3] for entry in WRITERS], ids=[e[1] for e in WRITERS])
def test_the_same_hours_give_the_same_rows(
    tmp_path: Path, scenes: Callable[[str], Path], zone: str, name: str, target: str, write: Writer
) -> None:
    write_city(tmp_path, "Town", zone, (28.60, 77.19, 28.69, 77.27))
    places = [f'{station},{at[0]},{at[1]},"{NAMES[station]}"\n' for station, at in PLACES.items()]
    (tmp_path / "places.csv").write_text("station,latitude,longitude,cpcb_site\n" + "".join(places))
    options = write(table_of(zone), zone, tmp_path / target)
    settings = {"readings": tmp_path / target, "stations": tmp_path / "places.csv", **options}
    prepared(tmp_path, scenes(zone), **settings)
    compare(samples_at(tmp_path, PLACES, zone), expected_labels(zone, None))
    prepared(tmp_path, scenes(zone), window_hours=WINDOW, **settings)
    compare(samples_at(tmp_path, PLACES, zone), expected_labels(zone, WINDOW))
    report = json.loads((tmp_path / "data" / "Town" / "archive.json").read_text())["created_by"]["report"]
    assert any(line.startswith(f"readings: {name}, ") for line in report)
    flags = [flags_of_hours(hours) for hours in hours_of(zone).values()]
    counts = {flag: sum(flag in found for of in flags for found in of.values()) for flag in ORDER}
    assert "flags: " + ", ".join(f"{flag} {count}" for flag, count in counts.items() if count) in report


MEANS = {
    "Ashok_Vihar": {"2019-03-09": 88.5, "2019-03-10": nan, "2019-03-11": -999, "2019-11-02": 1000, "2019-11-03": -3.5},
    "Mandir_Marg": {**{f"2019-03-{day:02d}": 60 + day / 1000 for day in range(6, 12)}, "2019-11-04": -12},
    "Pusa": {**{f"2019-03-{day:02d}": 60 + day / 50 for day in range(6, 12)}, "2019-11-03": 31.25},
}


@pytest.mark.parametrize(("name", "target", "write"), DAILY_WRITERS)
def test_the_same_days_give_the_same_rows(
    tmp_path: Path, scenes: Callable[[str], Path], name: str, target: str, write: Writer
) -> None:
    zone = "America/Denver"
    places = "".join(
        f"\n  - {{name: {station}, latitude: {at[0]}, longitude: {at[1]}}}" for station, at in DAILY_PLACES.items()
    )
    write_city(tmp_path, "Town", zone, (28.60, 77.19, 28.69, 77.27), places)
    rows = [(station, day, value) for station, days in MEANS.items() for day, value in days.items()]
    write(pd.DataFrame(rows, columns=["station", "date", "pm25"]), zone, tmp_path / target)
    prepared(tmp_path, scenes(zone), readings=tmp_path / target)
    expected: dict[tuple[str, datetime], Label] = {}
    for station, days in MEANS.items():
        for local in OVERPASSES:
            value, quality = days.get(local[:10], nan), "stuck" if station == "Mandir_Marg" and "-03-" in local else ""
            if local[:10] in days:
                quality = {-999: "missing_code", 1000: "saturated", -3.5: "low", -12: "invalid"}.get(value, quality)
                quality = "missing" if isnan(value) else quality
            number = nan if quality.startswith("missing") else value
            quality = quality if local[:10] in days else ""
            kept = nan if quality in LEFT_OUT else number
            expected[station, utc(local, zone, fold=1)] = (kept, number, nan, quality)
    assert {label[3] for label in expected.values()} == {
        "",
        "missing",
        "missing_code",
        "saturated",
        "low",
        "invalid",
        "stuck",
    }
    compare(samples_at(tmp_path, DAILY_PLACES, zone), expected)


# the real exports


@pytest.fixture(scope="module")
def delhi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive of two scenes of Delhi with the exports of its 37 stations."""
    root = tmp_path_factory.mktemp("delhi")
    times = [datetime(2018, 6, 15, 5, 12, tzinfo=UTC), datetime(2019, 11, 5, 5, 12, tzinfo=UTC)]
    write_scenes(root / "scenes", times, "EPSG:32643", (28.6, 77.2), 500.0, 180)
    settings = {"gsd": 500.0, "tile_size": 4, "workers": 1, "root": root}
    prepare(PrepareConfig(city="Delhi", scenes=root / "scenes", readings=REAL / "delhi_labels", **settings))
    return root / "data" / "Delhi"


def exports_of_delhi() -> dict[str, pd.DataFrame]:
    files = sorted((REAL / "delhi_labels" / "stations").glob("*.csv"))
    suffix = "_Pollutants_2018_2020"
    return {path.stem.removesuffix(suffix): pd.read_csv(path, index_col="Datetime", parse_dates=True) for path in files}


@needs_real
@pytest.mark.real
def test_valid_days_of_delhi_equal_one_line_of_pandas(delhi: Path) -> None:
    raw = exports_of_delhi()
    valid = pd.read_parquet(delhi / "readings.parquet").groupby("station")["pm25"].count()
    assert valid.to_dict() == {name: days["PM2.5 (µg/m³)"].between(-10, 984.999).sum() for name, days in raw.items()}
    samples = open_archive(delhi).samples
    assert len(samples) == 2 * 37
    for row in samples.itertuples():
        value = raw[row.site_id]["PM2.5 (µg/m³)"].get(pd.Timestamp(row.local_date), nan)
        np.testing.assert_allclose(row.pm25, value, rtol=1e-6)


@needs_real
@pytest.mark.real
def test_every_trap_in_the_weather_of_delhi_is_named(delhi: Path) -> None:
    """Brute force: medians of each station and month against 900 hPa, and against the other stations of the day."""
    raw = exports_of_delhi()
    findings = pd.read_csv(delhi / "weather_findings.csv", parse_dates=["first", "last"])

    def named(station: str, column: str, month: pd.Period | None = None) -> bool:
        of_it = (findings["station"] == station) & (findings["column"] == column)
        if month is not None:
            of_it &= (findings["first"] <= month.end_time) & (findings["last"] >= month.start_time)
        return bool(of_it.any())

    headed_mmhg = pd.DataFrame({name: days["BP (mmHg)"] for name, days in raw.items()})
    by_month = headed_mmhg.groupby(headed_mmhg.index.to_period("M")).median()
    hectopascals = [(name, month) for name in by_month for month in by_month.index[by_month[name] > 900]]
    assert len(hectopascals) == 762
    assert len({name for name, _ in hectopascals}) == 27
    assert [trap for trap in hectopascals if not named(trap[0], "pressure_hpa", trap[1])] == []

    celsius = pd.DataFrame({name: days["AT (°C)"] for name, days in raw.items()})
    apart = []
    for name in celsius:
        others = celsius.drop(columns=name)
        difference = (celsius[name] - others.median(axis=1))[others.count(axis=1) >= 5].dropna()
        months = difference.groupby(difference.index.to_period("M"))
        medians = months.median()[months.size() >= 20].abs()
        apart += [(name, month, kelvin) for month, kelvin in medians[medians > 4].items()]
    assert len(apart) == 62
    assert len({name for name, *_ in apart}) == 15
    assert [trap for trap in apart if not named(trap[0], "temperature_c", trap[1] if trap[2] > 5 else None)] == []

    kept = pd.read_parquet(delhi / "readings.parquet").pivot(
        index="local_date", columns="station", values="pressure_hpa"
    )
    departure = kept.sub(kept.median(axis=1), axis=0)
    unchecked = findings[findings["found"].str.startswith("fewer than three stations")].set_index("column")
    first, last = unchecked.loc["pressure_hpa", ["first", "last"]]
    assert last < pd.Timestamp("2018-02-01")
    judged = departure[(departure.index < first) | (departure.index > last)]
    assert judged.abs().max(axis=None) < 21  # two stations lie 14 hPa above the others throughout, as the findings say
    assert (judged - judged.median()).abs().max(axis=None) < 7


@needs_real
@pytest.mark.real
def test_beijing_equals_pandas_and_brute_force(tmp_path: Path) -> None:
    times = [datetime(2014, 2, 15, 3, 12, tzinfo=UTC), datetime(2016, 11, 5, 3, 12, tzinfo=UTC)]
    write_scenes(tmp_path / "scenes", times, "EPSG:32650", (40.05, 116.5), 1000.0, 180)
    settings = {"gsd": 1000.0, "tile_size": 4, "workers": 1, "root": tmp_path, "drop_flags": ("missing", "saturated")}
    prepare(
        PrepareConfig(city="Beijing", scenes=tmp_path / "scenes", readings=REAL / "beijing_labels", **settings),
    )
    folder = tmp_path / "data" / "Beijing"
    raw = pd.concat([pd.read_csv(path) for path in sorted((REAL / "beijing_labels").glob("PRSA_Data_*.csv"))])
    raw["local_date"] = pd.to_datetime(raw[["year", "month", "day"]])
    raw = raw.sort_values(["station", "local_date", "hour"], ignore_index=True)
    good = raw["PM2.5"].where(raw["PM2.5"] < 985)
    days = raw.assign(good=good).groupby(["station", "local_date"])
    expected = days["good"].mean().where(days["good"].count() >= 18)
    labels = pd.read_parquet(folder / "readings.parquet").set_index(["station", "local_date"])
    assert labels.index.tolist() == expected.index.tolist()
    np.testing.assert_allclose(labels["pm25"], expected, rtol=1e-12)
    np.testing.assert_allclose(labels["pm25_unfiltered"], days["PM2.5"].mean(), rtol=1e-12)

    stuck_hours, stuck_days, runs = 0, set(), 0
    for station, group in raw.groupby("station"):
        values, dates = group["PM2.5"].tolist(), group["local_date"].tolist()
        assert len(values) == 24 * len(set(dates))  # no hour is left out: neighbouring rows are neighbouring hours
        changes = [0, *(at + 1 for at, (one, two) in enumerate(pairwise(values)) if one != two), len(values)]
        for begin, end in pairwise(changes):
            if end - begin >= 4:
                runs += 1
                stuck_hours += end - begin
                stuck_days |= {(station, day) for day in dates[begin:end]}
    assert runs > 500
    assert set(labels.index[labels["flag_stuck"]]) == stuck_days
    report = json.loads((folder / "archive.json").read_text())["created_by"]["report"]
    assert any(line.startswith("flags: ") and f" stuck {stuck_hours}," in line for line in report)

    samples = open_archive(folder).samples
    assert len(samples) == 24
    for row in samples.itertuples():
        np.testing.assert_allclose(row.pm25, expected[row.site_id, pd.Timestamp(row.local_date)], rtol=1e-6)


# weather from elsewhere

WEATHER_ZONE = "Asia/Kathmandu"
PASSES = ("2019-01-03T10:40:00", "2019-01-04T23:20:00", "2019-01-06T10:40:00")
STATIONS = {name: PLACES[code] for name, code in (("Ason", "1001A"), ("Thamel", "1002A"), ("Patan", "1003A"))}
HOURLY = pd.date_range("2019-01-02", "2019-01-06", freq="h", inclusive="left")
"""Of the clock in Kathmandu: the last overpass has no weather from elsewhere."""


@pytest.fixture
def town(tmp_path: Path) -> Path:
    """Three stations, three scenes, and readings with a temperature of 4 degrees and a pressure of 880 hPa."""
    write_city(tmp_path, "Town", WEATHER_ZONE, (28.60, 77.19, 28.69, 77.27))
    times = [utc(local, WEATHER_ZONE) for local in PASSES]
    write_scenes(tmp_path / "scenes", times, "EPSG:32643", (28.6425, 77.231), GSD, 80)
    hours = pd.date_range("2019-01-02", "2019-01-08", freq="h", inclusive="left")
    of_station = [
        pd.DataFrame({"station": name, "latitude": at[0], "longitude": at[1], "time": hours, "value": 55.0})
        for name, at in STATIONS.items()
    ]
    pd.concat(of_station).assign(temperature_c=4.0, pressure_hpa=880.0).to_csv(tmp_path / "readings.csv", index=False)
    return tmp_path


def weather_rows(town: Path, meteorology: Path, **settings: Any) -> pd.DataFrame:
    """The archive's rows by station and overpass."""
    common = {"readings": town / "readings.csv", "timezone": WEATHER_ZONE, "meteorology": meteorology}
    prepared(town, town / "scenes", **common, **settings)
    samples = open_archive(town / "data" / "Town").samples
    assert len(samples) == 9
    assert np.allclose(samples["pm25"], 55)
    assert np.allclose(samples["pressure_hpa"][samples["local_date"].astype(str) == "2019-01-06"], 880)
    local = samples["time_utc"].dt.tz_convert(WEATHER_ZONE).dt.strftime("%Y-%m-%dT%H:%M:%S")
    return samples.set_index([samples["site_id"], local])


def test_weather_of_the_city_precedes_that_of_the_readings(town: Path) -> None:
    kelvin = 280 + 8 * np.sin(np.arange(len(HOURLY)) / 5)
    rain = np.arange(len(HOURLY)) % 3 / 10
    humidity = np.linspace(30, 80, len(HOURLY))
    table = pd.DataFrame({"datetime": HOURLY, "TEMP (K)": kelvin, "RH (%)": humidity, "RAIN (mm)": rain})
    table.to_csv(town / "Town.csv", index=False)
    for window in (None, WINDOW):
        rows = weather_rows(town, town / "Town.csv", window_hours=window)
        for station in STATIONS:
            for local in PASSES[:2]:
                if window is None:
                    hours = [at for at, hour in enumerate(HOURLY) if str(hour.date()) == local[:10]]
                    assert len(hours) == 24
                else:
                    clock = datetime.fromisoformat(local)
                    hours = [at for at, hour in enumerate(HOURLY) if abs(hour + HOUR / 2 - clock) <= window * HOUR]
                    assert len(hours) == 3
                row = rows.loc[(station, local)]
                assert row["temperature_c"] == pytest.approx(np.mean(kelvin[hours]) - 273.15, abs=1e-4)
                assert row["relative_humidity_pct"] == pytest.approx(np.mean(humidity[hours]), rel=1e-6)
                assert row["precipitation_mm"] == pytest.approx(np.sum(rain[hours]), rel=1e-6)
                assert row["pressure_hpa"] == 880  # of the readings: this weather has none
            row = rows.loc[(station, PASSES[2])]  # a day without this weather
            assert row["temperature_c"] == 4
            assert isnan(row["relative_humidity_pct"])


def test_weather_of_some_stations_precedes_that_of_the_readings(town: Path) -> None:
    (town / "weather").mkdir()
    for name, degrees in (("Ason", 11.5), ("thamel", 13.25)):
        days = pd.DataFrame({"date": pd.date_range("2019-01-03", periods=2), "temperature_c": [degrees, degrees + 1]})
        days.assign(**{"BP (mmHg)": 700.0}).to_csv(town / "weather" / f"{name}.csv", index=False)
    rows = weather_rows(town, town / "weather")
    found = rows["temperature_c"].unstack()[list(PASSES)]
    expected = {"Ason": [11.5, 12.5, 4], "Patan": [4, 4, 4], "Thamel": [13.25, 14.25, 4]}
    assert {name: values.tolist() for name, values in found.iterrows()} == expected
    pressure = rows["pressure_hpa"].unstack().loc["Thamel", list(PASSES)]
    np.testing.assert_allclose(pressure, [700 * 101_325 / 76_000, 700 * 101_325 / 76_000, 880], rtol=1e-6)


@pytest.mark.parametrize(
    ("day", "said"),
    [
        ("2019-01-03", "weather: temperature_c at 3 of 9 station tiles"),
        ("2018-01-03", "warning: weather: temperature_c at 0 of 9 station tiles"),
    ],
)
def test_how_many_tiles_have_weather_is_said(
    town: Path, capsys: pytest.CaptureFixture[str], day: str, said: str
) -> None:
    places = [{"station": name, "latitude": at[0], "longitude": at[1]} for name, at in STATIONS.items()]
    pd.DataFrame(places).to_csv(town / "stations.csv", index=False)
    (town / "Town.csv").write_text(f"date,temperature_c\n{day},5\n")
    prepared(town, town / "scenes", stations=town / "stations.csv", meteorology=town / "Town.csv")
    assert f"  {said}" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("window", [None, WINDOW])
def test_weather_of_a_reanalysis_precedes_that_of_the_readings(town: Path, window: float | None) -> None:
    times = pd.date_range("2019-01-02T00:00", "2019-01-05T18:00", freq="h")  # UTC: a quarter past the hour in Kathmandu
    latitudes, longitudes = np.arange(29.0, 28.24, -0.2), np.arange(76.75, 77.76, 0.25)
    shape = (len(times), len(latitudes), len(longitudes))
    generator = np.random.default_rng(1)
    fields = {
        "t2m": (generator.normal(283, 3, shape), "K"),
        "sp": (generator.normal(87_000, 200, shape), "Pa"),
        "blh": (generator.uniform(50, 900, shape), "m"),
    }
    dims = ("valid_time", "latitude", "longitude")
    variables = {name: (dims, values.astype("f4"), {"units": unit}) for name, (values, unit) in fields.items()}
    coordinates = {"valid_time": times, "latitude": latitudes, "longitude": longitudes}
    xr.Dataset(variables, coordinates).to_netcdf(town / "era5.nc", engine="netcdf4")
    rows = weather_rows(town, town / "era5.nc", window_hours=window)
    for (station, local), row in rows.iterrows():
        latitude, longitude = STATIONS[station]
        point = (abs(latitudes - latitude).argmin(), abs(longitudes - longitude).argmin())
        clock = times.tz_localize("UTC").tz_convert(WEATHER_ZONE)
        if window is None:
            hours = np.array([str(time.date()) == local[:10] for time in clock])
        else:
            hours = np.array([abs(time - utc(local, WEATHER_ZONE)) <= window * HOUR for time in clock])
        if local == PASSES[2]:
            assert not hours.any()
            assert (row["temperature_c"], row["pressure_hpa"]) == (4, 880)
            assert isnan(row["boundary_layer_height_m"])
            continue
        assert hours.sum() == (24 if window is None else 3)
        mean = {name: values[hours, *point].mean() for name, (values, _) in fields.items()}
        assert row["temperature_c"] == pytest.approx(mean["t2m"] - 273.15, abs=1e-3)
        assert row["pressure_hpa"] == pytest.approx(mean["sp"] / 100, rel=1e-5)
        assert row["boundary_layer_height_m"] == pytest.approx(mean["blh"], rel=1e-5)


# from scenes and readings to statistics


def test_the_whole_job_on_scenes_and_readings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generator = np.random.default_rng(2)
    listed = [f"s{number:02d}" for number in range(12)]
    places = {name: (28.615 + 0.018 * (at // 4), 77.205 + 0.017 * (at % 4)) for at, name in enumerate(listed)}
    held_out = {name for number, name in enumerate(listed) if number % 3 == 1}
    lines = [
        f"\n  - {{name: {name}, latitude: {latitude}, longitude: {longitude}, split: {split}}}"
        for name, (latitude, longitude) in places.items()
        for split in ("test" if name in held_out else "train",)
    ]
    write_city(tmp_path, "Town", "Asia/Kolkata", (28.60, 77.19, 28.69, 77.27), "".join(lines))
    days = pd.date_range("2019-01-01", periods=8)
    times = [utc(f"{day:%Y-%m-%d}T10:42:00", "Asia/Kolkata") for day in days]
    write_scenes(tmp_path / "scenes", times, "EPSG:32643", (28.6425, 77.231), 50.0, 200)
    rows = [(name, f"{day:%Y-%m-%d}", 90 + 20 * np.sin(day.day)) for name in listed for day in days]
    readings = pd.DataFrame(rows, columns=["station", "date", "pm25"])
    readings["pm25"] += generator.normal(0, 8, len(readings)).round(1)
    readings.loc[[3, 20, 21, 50], "pm25"] = [-999, 1000, np.nan, -2]
    readings.loc[80:86, "pm25"] = 77.7
    readings.to_csv(tmp_path / "readings.csv", index=False)
    given = ["--city", "Town", "--root", str(tmp_path)]
    scenes = ["--scenes", str(tmp_path / "scenes"), "--gsd", "50", "--tile-size", "32", "--workers", "1"]
    assert main(["prepare", *given, *scenes, "--readings", str(tmp_path / "readings.csv")]) == 0
    assert main(["inspect", *given]) == 0
    smoke = ["--preset", "smoke", "--accelerator", "cpu"]
    assert main(["pretrain", *given, *smoke, "--method", "SimCLR", "--pairs", "spatiotemporal"]) == 0
    assert main(["supervise", *given, *smoke, "--start", "SimCLR_spatiotemporal"]) == 0, capsys.readouterr().err
    samples = pd.read_parquet(tmp_path / "data" / "Town" / "samples.parquet")
    (written,) = (tmp_path / "results" / "Town").glob("*/statistics.json")
    statistics = json.loads(written.read_text())
    read, test = samples["pm25"].notna(), samples["site_id"].isin(held_out)
    for key, chosen in (
        ("quality_counts", read & test),
        ("quality_counts_training", read & ~test),
        ("quality_counts_archive", read | ~read),
    ):
        counts: dict[str, int] = {}
        for quality in samples.loc[chosen, "quality"]:
            for flag in filter(None, quality.split("|")):
                counts[flag] = counts.get(flag, 0) + 1
        assert statistics[key] == counts, key
    assert statistics["quality_counts_archive"] == {
        "missing": 1,
        "missing_code": 1,
        "saturated": 1,
        "low": 1,
        "stuck": 7,
    }
    assert statistics["n_samples"] == (read & test).sum() > 0
