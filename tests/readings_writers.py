"""Writers of station readings in every format that `pm25 prepare` reads, which tests share.

An hourly writer takes a row an hour (station, begin in UTC, pm25), a daily one a row a day (station, date, pm25). Both
take the zone of the clocks and where to write, and return what `read_readings` must be told.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

Long = pd.DataFrame
HOUR, DAY = pd.Timedelta(hours=1), pd.Timedelta(days=1)

NAMES = {"1001A": "Anand Vihar, Delhi - DPCC", "1002A": "Pusa", "1003A": "Mandir Marg", "1004A": "Civil Lines"}
PLACES = {
    "1001A": (28.6468, 77.2160),
    "1002A": (28.6396, 77.2462),
    "1003A": (28.6250, 77.2250),
    "1004A": (28.66, 77.24),
}
DAILY_PLACES = {"Ashok_Vihar": (28.6468, 77.2160), "Mandir_Marg": (28.6250, 77.2250), "Pusa": (28.6396, 77.2462)}


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
            (folder / f"location-{station}.csv.gz").write_bytes(
                gzip.compress((header + "".join(lines)).encode(), mtime=0)
            )
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
        lines = [f"date,hour,type,{','.join(wide)},1099A"]
        for end, values in zip(ends, wide.to_numpy(), strict=True):
            if end.normalize() == day:
                cells = ",".join(map(text, values))
                start = f"{end:%Y%m%d},{end.hour}"
                others = "1," * len(values)
                lines += [f"{start},AQI,{others}", f"{start},PM2.5,{cells},", f"{start},PM2.5_24h,{others}"]
        (path / f"china_sites_{day:%Y%m%d}.csv").write_text("\n".join(lines))
    rows = "".join(f"{name},{latitude},{longitude}\n" for name, (latitude, longitude) in PLACES.items())
    (path / "stations.csv").write_text("station,lat,lon\n" + rows)
    return {"timezone": zone}


EPA = {
    "1001A": ("8", "31", "2"),
    "1002A": ("08", "031", "0013"),
    "1003A": ("08", "031", "0027"),
    "1004A": ("08", "1", "7"),
}
EPA_IDS = {"1001A": "08-031-0002", "1002A": "08-031-0013", "1003A": "08-031-0027", "1004A": "08-001-0007"}


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
    codes = (-999, -9999, 9999)  # stand as they are, whatever the unit
    values = [text(value if value in codes else value / 1000).replace(".", ",") for value in table["pm25"]]
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


def write_cpcb_daily(table: Long, zone: str, path: Path) -> dict[str, str]:
    (path / "stations").mkdir(parents=True)
    rows = [f"{name},{latitude},{longitude}\n" for name, (latitude, longitude) in DAILY_PLACES.items()]
    (path / "stations.csv").write_text("station,lat,lon\n" + "".join(rows))
    for station, rows in table.groupby("station"):
        lines = ["Timestamp,PM2.5 (µg/m³),AT (°C),BP (mmHg),Datetime"]
        lines += [f"1999-01-01,{text(row.pm25)},12.5,733,{row.date}" for row in rows.itertuples()]
        (path / "stations" / f"{station}_Pollutants_2019_2019.csv").write_text("\n".join(lines))
    return {}


def write_ccr_days(table: Long, zone: str, path: Path) -> dict[str, str]:
    path.mkdir()
    for station, rows in table.groupby("station"):
        lines = [f"Station,{station}", "From Date,To Date,PM2.5,PM2.5.1"]
        for row in rows.itertuples():
            day = pd.Timestamp(row.date)
            lines.append(f"{day:%d-%m-%Y} 00:00,{day + DAY:%d-%m-%Y} 00:00,{text(row.pm25, 'None')},NA")
        (path / f"{station}.csv").write_text("\n".join(lines))
    return {}


def write_plain_days(table: Long, zone: str, path: Path) -> dict[str, str]:
    table.rename(columns={"pm25": "PM2.5 (ug/m3)"}).to_csv(path, index=False)
    return {}


def write_plain_midnights(table: Long, zone: str, path: Path) -> dict[str, str]:
    table.assign(date=table["date"] + " 00:00:00").to_csv(path, index=False, sep="\t")
    return {}


def write_epa_days(table: Long, zone: str, path: Path) -> dict[str, str]:
    lines = [
        "State Code,County Code,Site Num,Parameter Code,POC,Latitude,Longitude,Sample Duration,Pollutant Standard,"
    ]
    lines[0] += "Date Local,Units of Measure,Event Type,Observation Percent,Arithmetic Mean,Local Site Name"
    for row in table.itertuples():
        site = list(DAILY_PLACES).index(row.station)
        latitude, longitude = DAILY_PLACES[row.station]
        for poc, duration, standard, event, offset in (
            (2, "24 HOUR", "PM25 24-hour 2012", "None", 50),
            (1, "1 HOUR", "", "Included", 3),
            (1, "24-HR BLK AVG", "PM25 24-hour 2012", "Excluded", 7),
            (1, "24-HR BLK AVG", "PM25 24-hour 2006", "Included", 0),
            (1, "24-HR BLK AVG", "PM25 Annual 2012", "Included", 0),
        ):
            start = f"01,001,{site},88101,{poc},{latitude},{longitude},{duration},{standard},{row.date}"
            lines.append(f"{start},Micrograms/cubic meter (LC),{event},100,{text(row.pm25 + offset)},{row.station}")
    path.write_text("\n".join(lines))
    return {}


def write_v3_days(table: Long, zone: str, path: Path) -> dict[str, str]:
    results = []
    for row in table.itertuples():
        day = pd.Timestamp(row.date)
        period = {"datetimeFrom": both(day.tz_localize(zone)), "datetimeTo": both((day + DAY).tz_localize(zone))}
        parameter = {"name": "pm25", "units": "µg/m³"}
        value = None if np.isnan(row.pm25) else row.pm25
        results.append({"location": row.station, "value": value, "parameter": parameter, "period": period})
    path.write_text(json.dumps([{"results": results[:2]}, {"results": results[2:]}]))
    return {}


DAILY_WRITERS: list[tuple[str, str, Writer]] = [
    ("cpcb-daily", "cpcb", write_cpcb_daily),
    ("cpcb-ccr", "ccr", write_ccr_days),
    ("plain", "plain.csv", write_plain_days),
    ("plain", "midnights.tsv", write_plain_midnights),
    ("epa-aqs-daily", "daily.csv", write_epa_days),
    ("openaq-json", "days.json", write_v3_days),
]
