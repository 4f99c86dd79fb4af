"""The same readings in every format, with faults planted, become the rows that a loop over the hours makes of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import cache
from math import isnan, nan
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from readings_town import GSD, HOUR, WINDOW, prepared, utc, write_city, write_scenes
from readings_writers import DAILY_PLACES, DAILY_WRITERS, NAMES, PLACES, WRITERS, Writer

from model_utils.archive.reader import open_archive

ZONES = ("Asia/Kolkata", "America/Denver", pytest.param("Asia/Kathmandu", marks=pytest.mark.slow))
HALF_HOUR = timedelta(minutes=30)
NUMBERS = ("pm25", "pm25_unfiltered", "hours")
Label = tuple[float, float, float, str]
"""pm25, pm25_unfiltered, hours, quality."""

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


@cache
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


@cache
def flags_of_hours(zone: str, station: str) -> dict[datetime, set[str]]:
    """What speaks against each hour of a station, by its own value, by the run it is in, or by hand."""
    hours = hours_of(zone)[station]
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


@cache
def expected_labels(zone: str, window: float | None) -> dict[tuple[str, datetime], Label]:
    found: dict[tuple[str, datetime], Label] = {}
    for station, hours in hours_of(zone).items():
        flags = flags_of_hours(zone, station)
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
    flags = [flags_of_hours(zone, station) for station in NAMES]
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
