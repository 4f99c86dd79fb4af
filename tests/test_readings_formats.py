"""The same readings in every format, and real exports against plain pandas."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from readings_writers import DAILY_WRITERS, HOUR, NAMES, PLACES, WRITERS, Long, Writer, text, write_uci

from model_utils.cities import City, load_city
from model_utils.errors import InputError
from model_utils.ingest.readings.formats.specification import shipped_formats
from model_utils.ingest.readings.reading import FORMATS, detect, read_readings
from model_utils.ingest.readings.records import WEATHER, StationRecords
from model_utils.ingest.readings.units import micrograms_in, to_micrograms_per_cubic_metre
from model_utils.project import SHIPPED_ROOT

REAL = Path(__file__).resolve().parents[2] / "shared" / "real"
DELHI = load_city("Delhi", SHIPPED_ROOT)
ZONES = ("Asia/Kolkata", "America/Denver", "Asia/Kathmandu")


def city(zone: str) -> City:
    return City("Delhi", DELHI.bounding_box, zone, DELHI.overpass_local_time, ())


def readings(zone: str) -> Long:
    """Four stations over both changes of Denver's clocks in 2019: station, begin (UTC), pm25, with codes and gaps."""
    spans = [("2019-03-09", "2019-03-12"), ("2019-11-02", "2019-11-05")]
    hours = [pd.date_range(a, b, freq="h", tz=zone, inclusive="left").tz_convert("UTC") for a, b in spans]
    begin = hours[0].append(hours[1]).as_unit("us")
    generator = np.random.default_rng(3)
    frames = []
    for station in NAMES:
        pm25 = generator.gamma(2, 60, len(begin)).round(1)
        pm25[[3, 40]] = np.nan
        pm25[[5, 6, 7, 8]] = [-999.0, 985.0, -3.5, 9999.0]
        frames.append(pd.DataFrame({"station": station, "begin": begin, "pm25": pm25}))
    return pd.concat(frames, ignore_index=True)


def check(records: StationRecords) -> None:
    """What every format promises to the steps behind it."""
    table = records.table
    assert str(table["time_utc"].dtype) == "datetime64[us, UTC]"
    assert table["local_date"].dtype == "datetime64[us]"
    assert table["pm25"].dtype == np.float64
    assert list(table)[:4] == ["station", "time_utc", "local_date", "pm25"]
    weather = set(table.columns[4:]) - {"incomplete"}
    assert weather <= set(WEATHER)
    assert set(records.units) == weather
    assert list(records.stations) == ["station", "station_name", "latitude", "longitude"]
    assert sorted(records.stations["station"]) == sorted(table["station"].unique())
    key = "local_date" if records.period == "day" else "time_utc"
    assert table[["station", key]].equals(table.sort_values(["station", key], ignore_index=True)[["station", key]])


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(("name", "target", "write", "stations"), WRITERS, ids=[writer[1] for writer in WRITERS])
def test_the_same_hours_in_every_format(
    tmp_path: Path, zone: str, name: str, target: str, write: Writer, stations: dict[str, str]
) -> None:
    table = readings(zone)
    options = write(table, zone, tmp_path / target)
    records = read_readings(tmp_path / target, city(zone), **options)
    check(records)
    assert records.format == name
    assert records.period == "hour"
    expected = table.assign(station=table["station"].replace(stations)).sort_values(["station", "begin"])
    found = records.table
    assert found["station"].tolist() == expected["station"].tolist()
    assert (found["time_utc"].to_numpy() == expected["begin"].to_numpy()).all()
    np.testing.assert_allclose(found["pm25"], expected["pm25"], rtol=1e-12)
    days = expected["begin"].dt.tz_convert(zone).dt.strftime("%Y-%m-%d")
    assert found["local_date"].dt.strftime("%Y-%m-%d").tolist() == days.tolist()
    if name in ("openaq-csv", "china-national", "epa-aqs-hourly"):
        placed = records.stations.set_index("station")[["latitude", "longitude"]]
        for station, place in PLACES.items():
            assert tuple(placed.loc[stations.get(station, station)]) == place


def test_denver_has_a_day_of_23_and_one_of_25_hours(tmp_path: Path) -> None:
    """The table above is what it says: with one offset all year these days would have 24 hours."""
    options = write_uci(readings("America/Denver"), "America/Denver", tmp_path / "uci")
    table = read_readings(tmp_path / "uci", city("America/Denver"), **options).table
    hours = table[table["station"] == "1001A"].groupby("local_date").size()
    assert hours.loc["2019-03-10"] == 23
    assert hours.loc["2019-11-03"] == 25


@pytest.mark.parametrize(("stamp", "shift"), [("beginning", 0), ("ending", -1)])
@pytest.mark.parametrize("target", ["uci", "archive", "china", "hourly_88101_2019.csv", "plain.parquet", "v2.json"])
def test_hour_stamp_overrides_the_default(tmp_path: Path, target: str, stamp: str, shift: int) -> None:
    write = next(entry[2] for entry in WRITERS if entry[1] == target)
    table = readings("Asia/Kolkata")
    options = write(table, "Asia/Kolkata", tmp_path / target)
    records = read_readings(tmp_path / target, DELHI, **{**options, "hour_stamp": stamp})
    written_as_ending = target in ("archive", "china", "v2.json")
    expected = table["begin"].min() + (shift + written_as_ending) * HOUR
    assert records.table["time_utc"].min() == expected
    assert any(stamp in note for note in records.notes)


DAYS = pd.DataFrame(
    {
        "station": ["Pusa"] * 3 + ["Ashok_Vihar"] * 2,
        "date": ["2019-01-01", "2019-01-02", "2019-01-04", "2019-01-01", "2019-01-02"],
        "pm25": [201.5, np.nan, -999.0, 99.0, 1000.0],
    }
)


@pytest.mark.parametrize(("name", "target", "write"), DAILY_WRITERS)
def test_the_same_days_in_every_format(tmp_path: Path, name: str, target: str, write: Writer) -> None:
    write(DAYS, DELHI.time_zone, tmp_path / target)
    records = read_readings(tmp_path / target, DELHI)
    check(records)
    assert (records.format, records.period) == (name, "day")
    assert records.table["time_utc"].isna().all()
    named = records.table["station"].map(records.stations.set_index("station")["station_name"])
    found = records.table.assign(station=named, date=records.table["local_date"].dt.strftime("%Y-%m-%d"))
    found = found.sort_values(["station", "date"], ignore_index=True)[list(DAYS)]
    expected = DAYS.sort_values(["station", "date"], ignore_index=True)
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)


def test_quarters_of_an_hour_are_averaged_to_local_hours(tmp_path: Path) -> None:
    """Sixteen quarters stamped with their ends; a code is in no mean, and stands where there is nothing else."""
    ends = pd.date_range("2025-01-01 05:15", periods=16, freq="15min", tz="Asia/Kolkata")
    values = [10, 20, 30, 40, -999, 50, 70, 60, 1, 1, np.nan, 1, -999, np.nan, -999, -999]
    header = "location_id,sensors_id,location,datetime,lat,lon,parameter,units,value\n"
    lines = [f"7,1,X,{end.isoformat()},28.5,77.2,pm25,µg/m³,{text(v)}\n" for end, v in zip(ends, values, strict=True)]
    (tmp_path / "location.csv").write_text(header + "".join(lines))
    records = read_readings(tmp_path / "location.csv", DELHI)
    assert records.table["pm25"].tolist() == [25.0, 60.0, 1.0, -999.0]
    local = records.table["time_utc"].dt.tz_convert("Asia/Kolkata")
    assert local.dt.strftime("%H:%M").tolist() == ["05:00", "06:00", "07:00", "08:00"]
    assert any("less than an hour" in note for note in records.notes)


def test_a_doubled_hour_that_comes_once_is_left_out_and_said(tmp_path: Path) -> None:
    lines = ["station,time,value", "A,2019-11-03T00:00,1", "A,2019-11-03T01:00,2", "A,2019-11-03T02:00,3"]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    records = read_readings(tmp_path / "a.csv", city("America/Denver"), timezone="America/Denver")
    assert records.table["pm25"].tolist() == [1, 3]
    assert records.table["time_utc"].dt.hour.tolist() == [6, 9]
    assert any("1 that are there once" in note for note in records.notes)


def test_a_reading_at_a_skipped_time_is_refused(tmp_path: Path) -> None:
    """Standard time all year read as a zone with daylight saving would be an hour off for half the year."""
    (tmp_path / "a.csv").write_text("station,time,value\nA,2019-03-10T02:00,1\n")
    with pytest.raises(InputError, match=r"2019-03-10 02:00, which clocks in America/Denver skip.*--timezone"):
        read_readings(tmp_path / "a.csv", city("America/Denver"), timezone="America/Denver")
    table = read_readings(tmp_path / "a.csv", city("America/Denver"), timezone="Etc/GMT+7").table
    assert table["time_utc"].dt.hour.tolist() == [9]


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        *[
            (unit, 1)
            for unit in ("ug/m3", "µg/m³", "μg/m³", "ug m-3", "µg m⁻³", "UG/M3", "µg.m-3", "Âµg/mÂ³", "ug/m^3")
        ],
        ("Micrograms/cubic meter (LC)", 1),
        ("micrograms per cubic metre", 1),
        ("mg/m3", 1000),
        ("ng/m³", 0.001),
        *[(unit, None) for unit in ("ppm", "ppb", "AQI", "", "g/m3", "ug", "particles/cm³", "ug/m2")],
    ],
)
def test_units(unit: str, factor: float | None) -> None:
    assert micrograms_in(unit) == factor
    values = np.array([0.25, np.nan, -999, -9999, 9999])
    if factor is None:
        with pytest.raises(InputError, match=r"x\.csv: PM2\.5 is in .*expected ug/m3"):
            to_micrograms_per_cubic_metre(values, unit, "x.csv")
    else:
        expected = [0.25 * factor, np.nan, -999, -9999, 9999]
        np.testing.assert_array_equal(to_micrograms_per_cubic_metre(values, unit), expected)


def test_every_format_is_named_once() -> None:
    described = {*shipped_formats(), "wide"}
    assert {name for name, *_ in WRITERS} | {"cpcb-daily", "epa-aqs-daily"} | described == set(FORMATS)


@pytest.mark.real
@pytest.mark.skipif(not REAL.is_dir(), reason="the real data are not here")
def test_delhi_equals_pandas() -> None:
    folder = REAL / "delhi_labels"
    records = read_readings(folder, DELHI)
    check(records)
    assert records.format == "cpcb-daily"
    assert len(records.stations) == 37
    places = pd.read_csv(folder / "stations.csv").set_index("station")
    for path in sorted((folder / "stations").glob("*.csv")):
        raw = pd.read_csv(path).sort_values("Datetime", kind="stable")
        station = path.stem.removesuffix("_Pollutants_2018_2020")
        mine = records.table[records.table["station"] == station]
        assert mine["local_date"].dt.strftime("%Y-%m-%d").tolist() == raw["Datetime"].tolist()
        pairs = {
            "pm25": "PM2.5 (µg/m³)",
            "temperature": "AT (°C)",
            "pressure": "BP (mmHg)",
            "wind_direction": "WD (deg)",
        }
        for ours, theirs in pairs.items():
            np.testing.assert_allclose(mine[ours], raw[theirs], rtol=1e-12)
        row = records.stations.set_index("station").loc[station]
        assert (row["latitude"], row["longitude"]) == tuple(places.loc[station, ["lat", "lon"]])


@pytest.mark.real
@pytest.mark.skipif(not REAL.is_dir(), reason="the real data are not here")
def test_beijing_equals_pandas() -> None:
    folder = REAL / "beijing_labels"
    records = read_readings(folder, load_city("Beijing", SHIPPED_ROOT))
    check(records)
    raw = pd.concat([pd.read_csv(path) for path in sorted(folder.glob("PRSA*.csv"))], ignore_index=True)
    time = pd.to_datetime(raw[["year", "month", "day", "hour"]]) - 8 * HOUR
    raw = raw.assign(time=time.dt.tz_localize("UTC").dt.as_unit("us")).sort_values(
        ["station", "time"], ignore_index=True
    )
    assert (records.table["station"] == raw["station"]).all()
    assert (records.table["time_utc"] == raw["time"]).all()
    for ours, theirs in {"pm25": "PM2.5", "pressure": "PRES", "dew_point": "DEWP"}.items():
        np.testing.assert_array_equal(records.table[ours], raw[theirs])
    ours = records.table.groupby(["station", "local_date"])["pm25"].mean()
    theirs = raw.groupby(["station", raw["time"].dt.tz_convert("Asia/Shanghai").dt.date])["PM2.5"].mean()
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_detection_says_what_there_is(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"no known format.*--readings-format.*cpcb-daily.*plain"):
        detect(path, DELHI)
