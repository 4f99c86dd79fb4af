"""Tables of known readings in the layout of any format, made from the format itself."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import openpyxl
import pandas as pd

from model_utils.cities import load_city
from model_utils.errors import InputError
from model_utils.ingest.readings.formats.specification import (
    CITY,
    LISTED,
    PM25,
    PM25_WITH_UNIT,
    TOLD,
    WRITTEN,
    Format,
)
from model_utils.ingest.readings.reading import read_readings
from model_utils.ingest.readings.records import StationRecords
from model_utils.project import SHIPPED_ROOT

DELHI = load_city("Delhi", SHIPPED_ROOT)
HOUR, DAY = pd.Timedelta(hours=1), pd.Timedelta(days=1)
FILE_NAMES = {
    "cpcb-daily": "{}_Pollutants_2018_2020",
    "cpcb-portal": "Raw_data_1Hr_2023_site_122_{}_1Hr",
    "purpleair-download": "{} 2024-01-01 2024-01-31 60-Minute Average",
}
Readings = dict[tuple[str, str], float | None]
"""A reading by station and time: UTC beginning of the hour '2024-01-01 05:00', or local day '2024-01-01'."""


@dataclass(frozen=True)
class Written:
    """A file: its name without ending, lines above the header, the header, rows, and whose and when each row is.

    Of a wide table the station of a row is '', for it is of all.
    """

    name: str
    preamble: list[list[str]]
    header: list[str]
    rows: list[list[str]]
    of: list[tuple[str, str]]

    @property
    def lines(self) -> list[list[str]]:
        return [*self.preamble, self.header, *self.rows]


def stations_of(format: Format) -> list[str]:
    """Two stations or three, called as the format calls its own."""
    if format.station is None:
        pairs = [[station.name for station in DELHI.stations[:2]], ["1001A", "1002A", "1003A"], ["东四", "天坛"]]
        return next(
            names
            for names in (pairs if format.recognised_by.stations == LISTED else pairs[1:])
            if format.stations_among(names) == names
        )
    if format.station.codes:
        return ["-".join(str(number).zfill(width) for width in format.station.codes.values()) for number in (6, 11)]
    return ["12345", "777"] if format.name == "purpleair-download" else ["North", "South"]


def zone_of(format: Format) -> ZoneInfo:
    """The clock of a format's times."""
    of = format.time.zone
    return ZoneInfo(DELHI.time_zone if of in (CITY, WRITTEN, TOLD) else of)


def times_from(format: Format, begin: str, count: int) -> list[str]:
    """Hours of the format's clock from a local time on, or days, as `Readings` have them."""
    if period_of(format) == "day":
        return [f"{day:%Y-%m-%d}" for day in pd.date_range(begin[:10], periods=count)]
    first = pd.Timestamp(begin).floor("h").tz_localize(zone_of(format)).tz_convert("UTC")
    return [f"{first + at * HOUR:%Y-%m-%d %H:%M}" for at in range(count)]


def period_of(format: Format) -> str:
    return "day" if format.time.period == "day" else "hour"


def written(format: Format, readings: Readings, decoys: bool = True) -> list[Written]:
    """The files of a format that hold readings.

    Args:
        format: The format.
        readings: By station and time.
        decoys: Rows are put between that are not meant, or of a second instrument.
    """
    if format.station is None:
        return [_wide(format, readings)]
    files = []
    per_file = format.station.file_name or format.station.preamble
    stations = list(dict.fromkeys(station for station, _ in readings))
    for group in [[name] for name in stations] if per_file else [stations]:
        rows: list[dict[str, str]] = []
        of = []
        for (station, time), value in readings.items():
            if station in group:
                each = _rows(format, station, time, value, decoys)
                rows += each
                of += [(station, time)] * len(each)
        header = list(dict.fromkeys([*map(name_of, _wanted(format)), *rows[0]]))
        preamble = [["Some words"], ["Station", group[0]]] if format.station.preamble else []
        preamble = [["Some words"]] if format.recognised_by.above and not preamble else preamble
        name = FILE_NAMES.get(format.name, "{}").format(group[0] if per_file else "readings")
        files.append(Written(name, preamble, header, [[row.get(key, "") for key in header] for row in rows], of))
    return files


def name_of(column: str) -> str:
    """One of the names that a column may have."""
    return {PM25: "PM2.5", PM25_WITH_UNIT: "PM2.5 (µg/m³)"}.get(column, column.split("|")[0])


def _wanted(format: Format) -> list[str]:
    known = [*format.recognised_by.first, *format.recognised_by.columns]
    return [name for name in known if not (name == PM25 and PM25_WITH_UNIT in known)]


def _rows(format: Format, station: str, time: str, value: float | None, decoys: bool) -> list[dict[str, str]]:
    """The row of a reading, and others that stand beside it."""
    assert format.station
    assert format.pm25
    of, row = format.station, _time(format, time)
    if of.column:
        row[name_of(of.column)] = station
    row |= dict(zip(of.codes, (part.lstrip("0") for part in station.split("-")), strict=False))
    for column, degrees in ((of.latitude, "28.6"), (of.longitude, "77.2")):
        row |= {name_of(column): degrees} if column else {}
    row |= {of.shown_name.split("|")[0]: f"Station {station}"} if of.shown_name else {}
    wanted = _wanted(format)
    pm25 = next((name for name in wanted if name in (PM25, PM25_WITH_UNIT)), format.pm25.columns[0])
    row[name_of(pm25)] = "" if value is None else f"{value / 1000 if format.pm25.unit == 'mg/m3' else value:.7g}"
    row |= {name_of(format.pm25.unit_column): "µg/m³"} if format.pm25.unit_column else {}
    row |= {name_of(selection.column): name_of(selection.values[0]) for selection in format.rows}
    row |= {format.measured.column: format.measured.pm25} if format.measured else {}
    row |= {name: row.get(name, "1") for name in format.instrument}
    if format.choice:
        row |= {"Event Type": "None", "Sample Duration": "24 HOUR", "Pollutant Standard": "S"}
        row |= {"Observation Percent": "100", "Observation Count": "1"}
    other = {**row, name_of(pm25): "77.7"}
    rows = [row]
    if decoys:
        rows += [{**other, name_of(selection.column): "another"} for selection in format.rows]
        rows += [{**other, name: "9"} for name in format.instrument[-1:]] if value is not None else []
        rows += [{**other, of.latitude: "10.5"}] if format.nationwide else []
        if format.measured:
            word = next(iter(format.measured.weather))
            rows += [{**other, format.measured.column: word, format.pm25.unit_column: "c"}]
    return rows


def _wide(format: Format, readings: Readings) -> Written:
    stations = list(dict.fromkeys(station for station, _ in readings))
    times = list(dict.fromkeys(time for _, time in readings))
    meant = {name_of(selection.column): selection.values[0] for selection in format.rows}
    rows = []
    for time in times:
        values = [readings.get((station, time)) for station in stations]
        cells = {**_time(format, time), **meant}
        rows.append([*(cells[name_of(name)] for name in format.recognised_by.first), *map(_number, values)])
    header = [*map(name_of, format.recognised_by.first), *stations]
    return Written("readings", [], header, rows, [("", time) for time in times])


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.7g}"


def _time(format: Format, time: str) -> dict[str, str]:
    """The cells of a time."""
    of = format.time
    if of.period == "day":
        return {name_of(of.columns[0]): f"{pd.Timestamp(time):{'%m/%d/%Y' if of.order == 'month' else '%Y-%m-%d'}}"}
    begin = pd.Timestamp(time, tz="UTC")
    local = (begin + HOUR * int(of.stamp == "ending" and not of.end)).tz_convert(zone_of(format))
    if len(of.parts) == 4:
        return dict(zip(of.parts, map(str, (local.year, local.month, local.day, local.hour)), strict=True))
    if of.parts:
        return {of.parts[0]: f"{local:%Y%m%d}", of.parts[1]: str(local.hour)}
    if of.zone in (WRITTEN, TOLD):
        return {name_of(of.columns[0]): local.isoformat(), **({of.end: (local + HOUR).isoformat()} if of.end else {})}
    if of.order == "year":
        day, hour = (local - DAY, 24) if local.hour == 0 else (local, local.hour)
        return {of.columns[0]: f"{day:%Y%m%d}{hour:02d}"}
    layout = {"day": "%d-%m-%Y", "month": "%m/%d/%Y", "": "%Y-%m-%d"}[of.order]
    if len(of.columns) == 2:
        return {of.columns[0]: f"{local:{layout}}", of.columns[1]: f"{local:%H:%M}"}
    ends = {of.end: f"{local + HOUR:{layout} %H:%M}"} if of.end else {}
    return {name_of(of.columns[0]): f"{local:{layout} %H:%M}", **ends}


def as_text(file: Written, delimiter: str = ",", ends: str = "\n") -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator=ends).writerows(file.lines)
    return out.getvalue()


def as_workbook(file: Written) -> bytes:
    """Numbers in cells of numbers; what else there is, as text."""
    book = openpyxl.Workbook()
    for line in file.lines:
        book.active.append([_cell(cell) for cell in line])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _cell(text: str) -> Any:
    try:
        return float(text) if not text.startswith("0") or text.startswith("0.") else text
    except ValueError:
        return text or None


def as_archive(name: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, content)
    return out.getvalue()


def as_answers(readings: Readings) -> str:
    """Readings as OpenAQ's API answers them, version 3."""
    results = []
    for (station, time), value in readings.items():
        begin = pd.Timestamp(time, tz="UTC")
        ends = {"datetimeFrom": {"utc": begin.isoformat()}, "datetimeTo": {"utc": (begin + HOUR).isoformat()}}
        parameter = {"name": "pm25", "units": "µg/m³"}
        results.append({"locationId": station, "value": value, "parameter": parameter, "period": ends})
    return json.dumps({"results": results})


def with_columns_mixed(format: Format, file: Written, chance: Random) -> Written:
    """The same table with its columns in another order, where the format does not say one."""
    fixed = len(format.recognised_by.first)
    order = list(range(fixed, len(file.header)))
    chance.shuffle(order)
    order = [*range(fixed), *order]
    return replace(
        file, header=[file.header[at] for at in order], rows=[[row[at] for at in order] for row in file.rows]
    )


def with_more_columns(file: Written) -> Written:
    rows = [[*row, "a, b", str(at)] for at, row in enumerate(file.rows)]
    return replace(file, header=[*file.header, "remark", "PM10"], rows=rows)


def read_back(records: StationRecords) -> dict[tuple[str, str], list[float | None]]:
    """What was read, as `Readings`; a time may be there twice."""
    hours = records.table["time_utc"].dt.strftime("%Y-%m-%d %H:%M")
    when = records.table["local_date"].dt.strftime("%Y-%m-%d") if records.period == "day" else hours
    found: dict[tuple[str, str], list[float | None]] = {}
    for station, time, value in zip(records.table["station"], when, records.table["pm25"], strict=True):
        found.setdefault((station, time), []).append(None if pd.isna(value) else float(value))
    return found


def outcome(path: Path) -> dict[tuple[str, str], list[float | None]] | str:
    """What is read of a file, or the line that refuses it."""
    try:
        return read_back(read_readings(path, DELHI))
    except InputError as error:
        return str(error)
