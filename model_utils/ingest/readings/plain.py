"""A plain long table, CSV or Parquet: a row a station and time."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from model_utils.errors import InputError
from model_utils.ingest.readings.clocks import in_iso
from model_utils.ingest.readings.headers import pm25_columns, position_of
from model_utils.ingest.readings.records import StationRecords
from model_utils.ingest.readings.source import Gathered, Source
from model_utils.ingest.readings.text import Rows, open_parquet
from model_utils.ingest.readings.times import are_dates, have_zone, iso_times, time_zone

NAME = "plain"

ALIASES = {
    "station": ("station", "station_id", "site_id", "site"),
    "time": ("time_utc", "time", "datetime", "timestamp", "date"),
    "value": ("value",),
    "station_name": ("station_name", "site_name"),
    "latitude": ("latitude", "lat"),
    "longitude": ("longitude", "lon"),
    "unit": ("unit", "units"),
    "parameter": ("parameter", "pollutant"),
}
_WEATHER = {
    "temperature_c": ("temperature", "°C"),
    "relative_humidity_pct": ("relative_humidity", "%"),
    "pressure_hpa": ("pressure", "hPa"),
    "dew_point_c": ("dew_point", "°C"),
    "wind_speed_ms": ("wind_speed", "m/s"),
    "wind_direction_deg": ("wind_direction", "deg"),
    "precipitation_mm": ("precipitation", "mm"),
}


def matches(names: tuple[str, ...]) -> bool:
    """Whether a header is that of such a table."""
    return {"station", "time", "value"} <= set(_positions(names))


def read(source: Source) -> StationRecords:
    """Reads times with their offset from UTC, or of the zone that --timezone names, or local days.

    Raises:
        InputError: Naming the file and line that is wrong, or the flag that is needed.
    """
    gathered = Gathered()
    for path in source.files:
        names, read_rows = opened(path, source)
        at = _told_positions(names, path, source.columns)
        if missing := [name for name in ("station", "time", "value") if name not in at]:
            wanted = " or ".join(ALIASES[missing[0]])
            raise InputError(f"{path}: column {wanted} is missing, found {', '.join(names)[:120]}")
        rows = read_rows(at)
        if "parameter" in at:
            rows = _of_pm25(rows, gathered)
        named = next((unit for position, unit in pm25_columns(names) if position == at["value"]), None) or ""
        units = rows.texts("unit") if "unit" in at else pd.Series(named, index=range(len(rows)), dtype="str")
        if (units == "").any() and source.unit is None:
            gathered.notes.append("readings without a unit are taken as ug/m3; --unit decides otherwise")
        station = rows.texts("station")
        rows.refuse("station", station == "", "the name of a station")
        frame = pd.DataFrame({"station": station, "pm25": source.micrograms(rows.numbers("value"), units, rows.where)})
        for column, (name, _) in _WEATHER.items():
            if column in at:
                frame[name] = rows.numbers(column)
        gathered.note_missing(rows, "value")
        when = times(rows, source, utc=names[at["time"]].casefold() == "time_utc")
        frame[when.name] = when
        gathered.add(frame, {name: unit for column, (name, unit) in _WEATHER.items() if column in at}, path)
        gathered.places.append(_places(rows, station))
    return records(gathered, source, NAME)


def records(gathered: Gathered, source: Source, format: str) -> StationRecords:
    """Records of a table whose times say by themselves whether they are hours or days."""
    if "date" in gathered.tables[0]:
        gathered.notes.append(
            f"times without a clock, or at midnight in {source.city.time_zone} throughout, are local days"
        )
        return gathered.records(source, format, stamp=None)
    if source.hour_stamp is None:
        gathered.notes.append("the beginning of the hour is assumed; --hour-stamp decides otherwise")
    zone = time_zone(source.timezone) if source.timezone else None
    return gathered.records(source, format, source.hour_stamp or "beginning", zone)


def opened(path: Path, source: Source) -> tuple[tuple[str, ...], Callable[[dict[str, int]], Rows]]:
    """The header of a file, and what reads some of its columns."""
    if path.suffix.casefold() == ".parquet":
        return open_parquet(path)
    table = source.open(path)
    return table.names, table.rows


def _positions(names: tuple[str, ...]) -> dict[str, int]:
    """Position of each quantity that the header has."""
    found = {key: position_of(names, aliases) for key, aliases in ALIASES.items()}
    found |= {name: position_of(names, (name,)) for name in _WEATHER}
    if found["value"] is None:
        found["value"] = next((position for position, _ in pm25_columns(names)), None)
    return {key: position for key, position in found.items() if position is not None}


def _told_positions(names: tuple[str, ...], path: Path, told: Mapping[str, str]) -> dict[str, int]:
    """As `_positions`, but for the columns that --columns names.

    Raises:
        InputError: It names what nobody reads, or a column that is not there.
    """
    at = _positions(names)
    for key, column in told.items():
        name = "value" if key == "pm25" else key
        if name not in ALIASES or key == "value":
            keys = ("pm25", *(key for key in ALIASES if key != "value"))
            raise InputError(f"--columns: found {key!r}, expected some of {', '.join(keys)}")
        if (position := position_of(names, (column.casefold(),))) is None:
            raise InputError(f"{path}: column {column!r} of --columns is missing, found {', '.join(names)[:120]}")
        at[name] = position
    return at


def times(rows: Rows, source: Source, utc: bool) -> pd.Series:
    """The column `time` as one called `utc`, `clock` or `date`, as the times are.

    Args:
        rows: With the column `time`.
        source: Where they come from.
        utc: Times without an offset are UTC.

    Raises:
        InputError: A time is none, or its zone is not known.
    """
    rows = in_iso(rows, "time", source.time_format)
    if are_dates(rows, "time"):
        return iso_times(rows, "time", zoned=False).rename("date")
    zoned = have_zone(rows, "time")
    found = iso_times(rows, "time", zoned=zoned)
    if utc and not zoned:
        found = found.dt.tz_localize("UTC")
    local = found.dt.tz_convert(source.city.zone).dt.tz_localize(None) if zoned or utc else found
    if (local == local.dt.normalize()).all() and local.nunique() > 1:
        return local.rename("date")
    if zoned or utc:
        return found.rename("utc")
    if source.timezone is None:
        raise InputError(
            f"{rows.where(0)}: time {rows.columns['time'][0]} names no offset from UTC, expected --timezone with its "
            "zone, such as Asia/Kolkata"
        )
    return found.rename("clock")


def _of_pm25(rows: Rows, gathered: Gathered) -> Rows:
    """The rows whose parameter is PM2.5."""
    parameter = rows.texts("parameter")
    mine = parameter.map(lambda name: re.sub(r"[^a-z0-9]", "", name.casefold())) == "pm25"
    if not mine.any():
        raise InputError(f"{rows.path}: found no row of PM2.5, only {', '.join(sorted(set(parameter)))[:120]}")
    if not mine.all():
        gathered.notes.append(f"{rows.path.name}: {int((~mine).sum())} rows of other parameters left out")
    return rows.taken(np.flatnonzero(mine))


def _places(rows: Rows, station: pd.Series) -> pd.DataFrame:
    """A row for each place that a station of the table is said to be at."""
    places = pd.DataFrame({"station": station})
    places["station_name"] = rows.texts("station_name") if "station_name" in rows.columns else ""
    for name in ("latitude", "longitude"):
        places[name] = rows.numbers(name) if name in rows.columns else np.nan
    return places.drop_duplicates(ignore_index=True)
