"""Exports of the CPCB's Central Control Room portal: rows of settings, then `From Date,To Date,PM2.5 (ug/m3),...`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from model_utils.errors import InputError
from model_utils.ingest.readings.headers import pm25_columns, weather_columns
from model_utils.ingest.readings.records import StationRecords
from model_utils.ingest.readings.source import Gathered, Source
from model_utils.ingest.readings.stations import matched
from model_utils.ingest.readings.text import Rows, TextTable
from model_utils.ingest.readings.times import formatted_times
from model_utils.ingest.readings.units import to_micrograms_per_cubic_metre

NAME = "cpcb-ccr"

_CLOCKS = (
    "%d-%m-%Y %H:%M",
    "%d-%m-%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d %H:%M:%S",
    "%d-%b-%Y - %H:%M",
)
_MINUTE, _DAY = pd.Timedelta(minutes=1), pd.Timedelta(days=1)


def is_header(cells: Sequence[str]) -> bool:
    """Whether a line begins the readings."""
    return [cell.casefold() for cell in cells[:2]] == ["from date", "to date"]


def read(source: Source) -> StationRecords:
    """Reads hours (or shorter rows, or days) that begin at From Date, local time in India.

    Raises:
        InputError: Naming the file and line that is wrong.
    """
    gathered = Gathered()
    tables = [source.open(path, is_header) for path in source.files]
    names = []
    for table in tables:
        name = _station_name(table)
        if name is None:
            gathered.notes.append(f"{table.path.name}: no row names the station; it is called as the file")
        names.append(name or table.path.stem)
    listed: dict[str, str] = {}
    if source.places is not None:
        rows = matched(dict.fromkeys(names, ""), source.places)
        listed = {name: str(source.places["station"].iloc[row]) for name, row in rows.items()}
    for name, table in zip(names, tables, strict=True):
        station = listed.get(name, name)
        gathered.place(station, name)
        _add(gathered, table, station, source)
    if "date" in gathered.tables[0]:
        gathered.notes.append("daily means of local days, as From Date says")
        return gathered.records(source, NAME, stamp=None)
    if source.hour_stamp == "ending":
        raise InputError(f"{source.files[0]}: rows name their beginning and their end, but --hour-stamp says ending")
    return gathered.records(source, NAME, "beginning", source.zone("Asia/Kolkata"))


def _add(gathered: Gathered, table: TextTable, station: str, source: Source) -> None:
    path = table.path
    pm25 = pm25_columns(table.names)
    if not pm25:
        raise InputError(f"{path}: column PM2.5 is missing, found {', '.join(table.names)[:120]}")
    weather, unread = weather_columns(table.names)
    gathered.leave_out(unread, path)
    twins = {f"PM2.5 ({number})": at for number, (at, _) in enumerate(pm25, start=1)}
    wanted = {"From Date": 0, "To Date": 1, **twins, **{name: at for name, (at, _) in weather.items()}}
    rows = _without_averages(table.rows(wanted, footer=lambda text: not text[:1].isdigit()), gathered)
    begin, end = (formatted_times(rows, name, _CLOCKS) for name in ("From Date", "To Date"))
    values = [
        to_micrograms_per_cubic_metre(rows.numbers(twin), source.unit_of(unit, path), str(path))
        for twin, (_, unit) in zip(twins, pm25, strict=True)
    ]
    reading = values[0]
    for other in values[1:]:
        differ = int(((reading != other) & ~np.isnan(reading) & ~np.isnan(other)).sum())
        if differ:
            gathered.notes.append(f"{path.name}: PM2.5 columns differ in {differ} rows; the first is taken")
        reading = np.where(np.isnan(reading), other, reading)
    frame = pd.DataFrame({"station": station, "pm25": reading, **{name: rows.numbers(name) for name in weather}})
    frame["date" if _are_days(rows, begin, end) else "clock"] = begin
    gathered.add(frame, {name: unit for name, (_, unit) in weather.items()}, path)


def _without_averages(rows: Rows, gathered: Gathered) -> Rows:
    """The rows that begin with a date; the portal puts minimum, maximum and average below them."""
    first = rows.texts("From Date")
    rows.refuse("From Date", first.str.casefold() == "from date", "one table a file")
    dated = np.flatnonzero(first.str.match(r"[0-9]"))
    if len(dated) == 0:
        raise InputError(f"{rows.path}: found no row that begins with a date")
    if len(dated) < len(rows):
        words = sorted(set(first) - set(first.iloc[dated]))
        gathered.notes.append(
            f"{rows.path.name}: {len(rows) - len(dated)} rows without a date left out ({', '.join(words)[:60]})"
        )
    return rows.taken(dated)


def _are_days(rows: Rows, begin: pd.Series, end: pd.Series) -> bool:
    """Whether rows are days (or hours, or less); refuses rows of 4 or 8 hours and lengths that change."""
    length = end - begin
    if length.between(_DAY - _MINUTE, _DAY + _MINUTE).mean() > 0.5:
        rows.refuse("From Date", begin != begin.dt.normalize(), "midnight, where a row is a day")
        return True
    odd = (length <= pd.Timedelta(0)) | (length > pd.Timedelta(minutes=61))
    rows.refuse("To Date", odd, "at most an hour, or a day, after From Date")
    return False


def _station_name(table: TextTable) -> str | None:
    """What the settings call the station; its commas are not always quoted."""
    for cells in table.preamble:
        if cells[0].casefold().rstrip(": ") in ("station", "station name") and any(cells[1:]):
            return ", ".join(cell for cell in cells[1:] if cell)
    return None
