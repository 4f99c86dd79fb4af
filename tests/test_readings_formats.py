"""The same readings in every format, and real exports against plain pandas."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from model_utils.cities import City, load_city
from model_utils.errors import InputError
from model_utils.ingest.readings.reading import FORMATS, detect, read_readings
from model_utils.ingest.readings.records import WEATHER, StationRecords
from model_utils.ingest.readings.units import micrograms_in, to_micrograms_per_cubic_metre
from model_utils.project import SHIPPED_ROOT

REAL = Path(__file__).resolve().parents[2] / "shared" / "real"
HOUR = pd.Timedelta(hours=1)
DELHI = load_city("Delhi", SHIPPED_ROOT)
NAMES = {"1001A": "Anand Vihar, Delhi - DPCC", "1002A": "Pusa"}
PLACES = {"1001A": (28.6468, 77.3160), "1002A": (28.6396, 77.1462)}
ZONES = ("Asia/Kolkata", "America/Denver", "Asia/Kathmandu")

Long = pd.DataFrame


def city(zone: str) -> City:
    return City("Delhi", DELHI.bounding_box, zone, DELHI.overpass_local_time, ())


def readings(zone: str) -> Long:
    """Two stations over both changes of Denver's clocks in 2019: station, begin (UTC), pm25, with codes and gaps."""
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


def text(value: float, missing: str = "") -> str:
    return missing if np.isnan(value) else f"{value:g}"


def write_ccr(table: Long, zone: str, path: Path) -> dict[str, str]:
    path.mkdir()
    for station, rows in table.groupby("station"):
        lines = [
            "CENTRAL POLLUTION CONTROL BOARD",
            "",
            f"Station,{NAMES[station]}",
            'Parameter,"PM2.5,AT"',
            "AvgPeriod,1 Hours",
        ]
        lines += ["From Date,To Date,PM2.5 (ug/m3),AT (degree C),PM2.5 (ug/m3)"]
        for number, (time, value) in enumerate(
            zip(rows["begin"].dt.tz_convert(zone).dt.tz_localize(None), rows["pm25"], strict=True)
        ):
            pair = (text(value, "None"), "None") if number % 2 else ("NA", text(value, "None"))
            lines.append(f"{time:%d-%m-%Y %H:%M},{time + HOUR:%d-%m-%Y %H:%M},{pair[0]},{number % 30},{pair[1]}")
        lines += ["", "Min,,1,2,3", "Avg,1"]
        (path / f"site_{station}.csv").write_text("\r\n".join(lines))
    return {"timezone": zone}


def write_uci(table: Long, zone: str, path: Path) -> dict[str, str]:
    path.mkdir()
    for station, rows in table.groupby("station"):
        lines = ['"No","year","month","day","hour","PM2.5","TEMP","PRES","DEWP","RAIN","wd","WSPM","station"']
        for number, (time, value) in enumerate(
            zip(rows["begin"].dt.tz_convert(zone), rows["pm25"], strict=True), start=1
        ):
            clock = f"{time.year},{time.month},{time.day},{time.hour}"
            lines.append(f'{number},{clock},{text(value, "NA")},{number % 30},1010,-5,0,"NNW",2.5,"{station}"')
        (path / f"PRSA_Data_{station}.csv").write_text("\n".join(lines) + "\n")
    return {"timezone": zone}


def write_openaq_csv(table: Long, zone: str, path: Path) -> dict[str, str]:
    header = '"location_id","sensors_id","location","datetime","lat","lon","parameter","units","value"\n'
    for station, rows in table.groupby("station"):
        latitude, longitude = PLACES[station]
        local = (rows["begin"] + HOUR).dt.tz_convert(zone)
        for (year, month), part in rows.groupby([local.dt.year, local.dt.month]):
            folder = path / f"locationid={station}" / f"year={year}" / f"month={month:02d}"
            folder.mkdir(parents=True)
            micro = "\N{MICRO SIGN}" if station == "1001A" else "\N{GREEK SMALL LETTER MU}"
            lines = []
            for time, value in zip(local.loc[part.index], part["pm25"], strict=True):
                start = f'{station},7,"{NAMES[station]}",{time.isoformat()},{latitude},{longitude}'
                lines.append(f"{start},pm25,{micro}g/m³,{text(value)}\n")
                lines.append(f"{start},o3,ppm,0.02\n{start},temperature,c,{time.hour}\n")
            (folder / f"location-{station}.csv.gz").write_bytes(gzip.compress((header + "".join(lines)).encode()))
    return {}


def write_openaq_v2(table: Long, zone: str, path: Path) -> dict[str, str]:
    local = (table["begin"] + HOUR).dt.tz_convert(zone)
    results = [
        {
            "locationId": station,
            "location": NAMES[station],
            "parameter": "pm25",
            "value": None if np.isnan(value) else value,
            "date": {"utc": f"{time.tz_convert('UTC'):%Y-%m-%dT%H:%M:%S+00:00}", "local": time.isoformat()},
            "unit": "µg/m³",
            "coordinates": dict(zip(("latitude", "longitude"), PLACES[station], strict=True)),
        }
        for station, time, value in zip(table["station"], local, table["pm25"], strict=True)
    ]
    path.write_text(json.dumps({"meta": {"page": 1}, "results": results}))
    return {}


def both(time: pd.Timestamp) -> dict[str, str]:
    return {"utc": f"{time.tz_convert('UTC'):%Y-%m-%dT%H:%M:%SZ}", "local": time.isoformat()}


def write_openaq_v3(table: Long, zone: str, path: Path) -> dict[str, str]:
    path.mkdir()
    for station, rows in table.groupby("station"):
        results = [
            {
                "value": None if np.isnan(value) else value,
                "parameter": {"id": 2, "name": "pm25", "units": "µg/m³"},
                "period": {"label": "raw", "datetimeFrom": both(time), "datetimeTo": both(time + HOUR)},
                "coordinates": None,
            }
            for time, value in zip(rows["begin"].dt.tz_convert(zone), rows["pm25"], strict=True)
        ]
        for page, chosen in enumerate((results[:50], results[50:])):
            (path / f"{station}.{page}.json").write_text(json.dumps({"results": chosen}))
    return {}


def write_china(table: Long, zone: str, path: Path) -> dict[str, str]:
    path.mkdir()
    wide = table.pivot(index="begin", columns="station", values="pm25")
    ends = (wide.index + HOUR).tz_convert(zone)
    for day in ends.normalize().unique():
        lines = ["date,hour,type,1001A,1002A,1003A"]
        for end, values in zip(ends, wide.to_numpy(), strict=True):
            if end.normalize() == day:
                cells = ",".join(map(text, values))
                start = f"{end:%Y%m%d},{end.hour}"
                lines += [f"{start},AQI,1,2,", f"{start},PM2.5,{cells},", f"{start},PM2.5_24h,1,2,"]
        (path / f"china_sites_{day:%Y%m%d}.csv").write_text("\n".join(lines))
    rows = "".join(f"{name},{latitude},{longitude}\n" for name, (latitude, longitude) in PLACES.items())
    (path / "stations.csv").write_text("station,lat,lon\n" + rows)
    return {"timezone": zone}


EPA = {"1001A": ("8", "31", "2"), "1002A": ("08", "031", "0013")}
EPA_IDS = {"1001A": "08-031-0002", "1002A": "08-031-0013"}


def write_epa_hourly(table: Long, zone: str, path: Path) -> dict[str, str]:
    names = "State Code,County Code,Site Num,Parameter Code,POC,Latitude,Longitude,Datum,Parameter Name,Date Local"
    lines = [names + ",Time Local,Date GMT,Time GMT,Sample Measurement,Units of Measure,MDL"]
    for station, time, value in zip(table["station"], table["begin"], table["pm25"], strict=True):
        latitude, longitude = PLACES[station]
        clocks = f"{time.tz_convert(zone):%Y-%m-%d,%H:%M},{time:%Y-%m-%d,%H:%M}"
        for poc in (3, 1):
            head = ",".join([*EPA[station], "88101", str(poc), str(latitude), str(longitude), "WGS84", "PM2.5", clocks])
            lines.append(f"{head},{text(value if poc == 1 or np.isnan(value) else 77)},Micrograms/cubic meter (LC),5")
        lines.append(f"06,001,0001,88101,1,37.7,-122.2,WGS84,PM2.5,{clocks},5,Micrograms/cubic meter (LC),5")
    path.write_text("\n".join(lines))
    return {}


def write_plain(table: Long, zone: str, path: Path) -> dict[str, str]:
    local = (table["begin"] + HOUR).dt.tz_convert(zone).dt.tz_localize(None)
    values = [
        text(value / 1000 if abs(value + 500) < 1490 and value > -900 else value).replace(".", ",")
        for value in table["pm25"]
    ]
    rows = pd.DataFrame({"site": table["station"], "datetime": local, "pm2.5": values, "unit": "mg/m3"})
    path.write_bytes(("\N{ZERO WIDTH NO-BREAK SPACE}" + rows.to_csv(index=False, sep=";")).encode("utf-16-le"))
    return {"timezone": zone, "hour_stamp": "ending"}


def write_parquet(table: Long, zone: str, path: Path) -> dict[str, str]:
    local = table["begin"].dt.tz_convert(zone)
    pd.DataFrame({"station": table["station"], "time": local, "pm25": table["pm25"]}).to_parquet(path)
    return {}


Writer = Callable[[Long, str, Path], dict[str, str]]
WRITERS: list[tuple[str, str, Writer, dict[str, str]]] = [
    ("cpcb-ccr", "ccr", write_ccr, NAMES),
    ("uci-beijing", "uci", write_uci, {}),
    ("openaq-csv", "archive", write_openaq_csv, {}),
    ("openaq-json", "v2.json", write_openaq_v2, {}),
    ("openaq-json", "v3", write_openaq_v3, {}),
    ("china-national", "china", write_china, {}),
    ("epa-aqs-hourly", "hourly_88101_2019.csv", write_epa_hourly, EPA_IDS),
    ("plain", "plain.txt", write_plain, {}),
    ("plain", "plain.parquet", write_parquet, {}),
]


def check(records: StationRecords) -> None:
    """What every format promises to the steps behind it."""
    table = records.table
    assert str(table["time_utc"].dtype) == "datetime64[us, UTC]"
    assert table["local_date"].dtype == "datetime64[us]"
    assert table["pm25"].dtype == np.float64
    assert list(table)[:4] == ["station", "time_utc", "local_date", "pm25"]
    assert set(table.columns[4:]) <= set(WEATHER)
    assert set(records.units) == set(table.columns[4:])
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


def write_cpcb_daily(path: Path) -> None:
    (path / "stations").mkdir(parents=True)
    (path / "stations.csv").write_text("station,lat,lon\nPusa,28.6,77.1\nAshok_Vihar,28.7,77.2\n")
    for station, rows in DAYS.groupby("station"):
        lines = ["Timestamp,PM2.5 (µg/m³),AT (°C),BP (mmHg),Datetime"]
        lines += [f"1999-01-01,{text(row.pm25)},12.5,733,{row.date}" for row in rows.itertuples()]
        (path / "stations" / f"{station}_Pollutants_2019_2019.csv").write_text("\n".join(lines))


def write_ccr_days(path: Path) -> None:
    path.mkdir()
    for station, rows in DAYS.groupby("station"):
        lines = [f"Station,{station}", "From Date,To Date,PM2.5,PM2.5.1"]
        for row in rows.itertuples():
            day = pd.Timestamp(row.date)
            lines.append(f"{day:%d-%m-%Y} 00:00,{day + 24 * HOUR:%d-%m-%Y} 00:00,{text(row.pm25, 'None')},NA")
        (path / f"{station}.csv").write_text("\n".join(lines))


def write_plain_days(path: Path) -> None:
    DAYS.rename(columns={"pm25": "PM2.5 (ug/m3)"}).to_csv(path, index=False)


def write_plain_midnights(path: Path) -> None:
    DAYS.assign(date=DAYS["date"] + " 00:00:00").to_csv(path, index=False, sep="\t")


def write_epa_days(path: Path) -> None:
    lines = [
        "State Code,County Code,Site Num,Parameter Code,POC,Latitude,Longitude,Sample Duration,Pollutant Standard,"
    ]
    lines[0] += "Date Local,Units of Measure,Event Type,Observation Percent,Arithmetic Mean,Local Site Name"
    for row in DAYS.itertuples():
        site = {"Pusa": "0001", "Ashok_Vihar": "0002"}[row.station]
        for poc, duration, standard, event, offset in (
            (2, "24 HOUR", "PM25 24-hour 2012", "None", 50),
            (1, "1 HOUR", "", "Included", 3),
            (1, "24-HR BLK AVG", "PM25 24-hour 2012", "Excluded", 7),
            (1, "24-HR BLK AVG", "PM25 24-hour 2006", "Included", 0),
            (1, "24-HR BLK AVG", "PM25 Annual 2012", "Included", 0),
        ):
            start = f"01,001,{site},88101,{poc},28.6,77.1,{duration},{standard},{row.date}"
            lines.append(f"{start},Micrograms/cubic meter (LC),{event},100,{text(row.pm25 + offset)},{row.station}")
    path.write_text("\n".join(lines))


def write_v3_days(path: Path) -> None:
    results = []
    for row in DAYS.itertuples():
        begin = pd.Timestamp(row.date, tz="Asia/Kolkata")
        period = {"datetimeFrom": both(begin), "datetimeTo": both(begin + 24 * HOUR)}
        parameter = {"name": "pm25", "units": "µg/m³"}
        value = None if np.isnan(row.pm25) else row.pm25
        results.append({"location": row.station, "value": value, "parameter": parameter, "period": period})
    path.write_text(json.dumps([{"results": results[:2]}, {"results": results[2:]}]))


@pytest.mark.parametrize(
    ("name", "target", "write"),
    [
        ("cpcb-daily", "cpcb", write_cpcb_daily),
        ("cpcb-ccr", "ccr", write_ccr_days),
        ("plain", "plain.csv", write_plain_days),
        ("plain", "midnights.tsv", write_plain_midnights),
        ("epa-aqs-daily", "daily.csv", write_epa_days),
        ("openaq-json", "days.json", write_v3_days),
    ],
)
def test_the_same_days_in_every_format(tmp_path: Path, name: str, target: str, write: Callable[[Path], None]) -> None:
    write(tmp_path / target)
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
    assert {name for name, *_ in WRITERS} | {"cpcb-daily", "epa-aqs-daily"} == set(FORMATS)


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
        detect(path)
