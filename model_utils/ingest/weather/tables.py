"""Weather in CSV files: one for a city, or one a station."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from model_utils.errors import InputError
from model_utils.ingest.readings.text import Rows, open_text
from model_utils.ingest.readings.times import are_dates, have_zone, iso_times, time_zone, to_utc
from model_utils.ingest.weather.quantities import QUANTITIES, known_unit

_ALIASES = {
    "temperature": ("temperature", "temp", "t", "t2m", "at", "air_temperature", "tair"),
    "relative_humidity": ("relative_humidity", "rh", "rh2m", "humidity", "relhum"),
    "pressure": ("pressure", "pres", "bp", "sp", "ps", "surface_pressure", "station_pressure"),
    "dew_point": ("dew_point", "dewp", "dewpoint", "d2m", "t2mdew", "td"),
    "wind_speed": ("wind_speed", "ws", "wspm", "ws10m"),
    "wind_direction": ("wind_direction", "wd", "wd10m"),
    "precipitation": ("precipitation", "rain", "rf", "prcp", "tp", "rainfall"),
    "boundary_layer_height": ("boundary_layer_height", "blh", "pblh"),
}
_QUANTITY = {alias: name for name, aliases in _ALIASES.items() for alias in aliases}
_TIMES = ("time_utc", "time", "datetime", "timestamp", "date_time", "date", "local_date")
_STATIONS = ("station", "station_id", "station_name", "site", "site_id")
_PLACES = {"latitude": ("latitude", "lat"), "longitude": ("longitude", "lon", "lng")}
_BRACKETED = re.compile(r"(.+?)\s*[(\[]\s*(.*?)\s*[)\]]")


def read_weather_table(path: Path, city: str, timezone: str) -> pd.DataFrame:
    """Reads weather that a person or a service made into a table.

    Args:
        path: A CSV file; or a folder with one of the city's name, or else with one a station, which it is named after.
            It has a column of times (`time_utc`, or `time`, `datetime`, `date` and the like, ISO 8601), weather columns
            that name their unit, as `temperature_c` or `TEMP (C)`, and perhaps a column `station` or columns
            `latitude`, `longitude`; others are not read.
        city: Name of the city.
        timezone: IANA name, of times that name no zone, except in `time_utc`.

    Returns:
        Columns `station`, or `latitude` and `longitude`, or neither; `time_utc` (datetime64[us, UTC]; NaT throughout
        where the table holds dates), `local_date` (datetime64, without zone), and the weather in the archive's columns.
        `attrs['notes']` holds what a person should know, such as rows at times that a clock shows twice.

    Raises:
        InputError: Naming the file, and the column or line that is wrong.
    """
    files, named = [path], False
    if path.is_dir():
        files = [file for file in sorted(path.glob("*.csv")) if file.stem.lower() != "stations"]
        of_city = [file for file in files if file.stem.lower() == city.lower()]
        files, named = of_city or files, not of_city
    if not files:
        raise InputError(f"{path}: found no .csv file, expected {city}.csv or one file a station")
    notes: list[str] = []
    tables = [_read_file(file, timezone, file.stem if named else None, notes) for file in files]
    for file, table in zip(files, tables, strict=True):
        if table["time_utc"].isna().all() != tables[0]["time_utc"].isna().all():
            raise InputError(f"{path}: one of {files[0].name} and {file.name} holds dates, the other times")
    table = pd.concat(tables, ignore_index=True)
    table.attrs = {"notes": notes}
    return table


def _read_file(path: Path, timezone: str, station: str | None, notes: list[str]) -> pd.DataFrame:
    opened = open_text(path)
    lower = {name.lower(): position for position, name in reversed(list(enumerate(opened.names)))}
    wanted = {"time": _first(lower, _TIMES), "station": _first(lower, _STATIONS)}
    wanted |= {name: _first(lower, names) for name, names in _PLACES.items()}
    time = wanted["time"]
    found = f"{path}: found the columns {', '.join(opened.names)[:300]}"
    if time is None:
        raise InputError(f"{found}, expected one of times: {', '.join(_TIMES)}")
    units: dict[str, str] = {}
    for position, header in enumerate(opened.names):
        parsed = _quantity_and_unit(path, header)
        if parsed is None:
            continue
        name, units[name] = parsed[0], parsed[1]
        if name in wanted:
            raise InputError(f"{path}: columns {opened.names[wanted[name] or 0]!r} and {header!r} both hold {name}")
        wanted[name] = position
    if not units:
        raise InputError(f"{found}, expected weather with its unit, such as temperature_c or 'TEMP (C)'")
    rows = opened.rows({name: position for name, position in wanted.items() if position is not None})
    columns: dict[str, object] = {}
    if "station" in rows.columns or station is not None:
        columns["station"] = rows.texts("station") if "station" in rows.columns else station
    elif "latitude" in rows.columns and "longitude" in rows.columns:
        for name, bound in (("latitude", 90), ("longitude", 360)):
            columns[name] = degrees = rows.numbers(name)
            rows.refuse(name, ~(np.abs(degrees) <= bound), f"degrees from -{bound} to {bound}")
    utc_header = opened.names[time].lower() == "time_utc"
    columns |= _times(rows, "UTC" if utc_header else timezone, timezone, notes, columns.get("station", path.name))
    for name, unit in units.items():
        quantity, values = QUANTITIES[name], rows.numbers(name)
        gain, offset = quantity.units[unit]
        columns[quantity.column] = converted = gain * values + offset
        low, high = quantity.limits
        rows.refuse(
            name, (converted < low) | (converted > high), f"a number that is {low:g} to {high:g} {quantity.symbol}"
        )
    table = pd.DataFrame(columns)
    return table[table["local_date"].notna()]


def _first(lower: dict[str, int], names: tuple[str, ...]) -> int | None:
    return next((lower[name] for name in names if name in lower), None)


def _quantity_and_unit(path: Path, header: str) -> tuple[str, str] | None:
    """What a column holds and in which unit; None where it is no weather.

    Raises:
        InputError: Weather without a unit, or in a unit that is not known.
    """
    bracketed = _BRACKETED.fullmatch(header.strip())
    name, unit = bracketed.groups() if bracketed else (header.strip(), "")
    name = re.sub(r"[\s.\-]+", "_", name.lower())
    if name not in _QUANTITY and "_" in name:
        name, unit = name.rsplit("_", 1)
    if name not in _QUANTITY:
        return None
    if not unit:
        example = f"{header.strip()} ({next(iter(QUANTITIES[_QUANTITY[name]].units))})"
        raise InputError(f"{path}: column {header!r} names no unit, expected a header such as {example!r}")
    return _QUANTITY[name], known_unit(_QUANTITY[name], unit, f"{path}: column {header!r}")


def _times(rows: Rows, clock: str, timezone: str, notes: list[str], station: object) -> dict[str, pd.Series]:
    """Times in UTC (NaT where the table holds dates) and local dates."""
    zoned = have_zone(rows, "time")
    times = iso_times(rows, "time", zoned)
    if are_dates(rows, "time"):
        return {"time_utc": pd.Series(pd.NaT, times.index, dtype="datetime64[us, UTC]"), "local_date": times}
    if not zoned:
        series = times.index
        stations = pd.Series(station, series) if not isinstance(station, pd.Series) else station
        known = pd.Series(False, series)  # a time that clocks skip is left out, not refused: weather is no reading
        times, said = to_utc(times, stations, known, time_zone(clock), str(rows.path))
        notes += [f"{rows.path.name}: {line}" for line in said]
    local = times.dt.tz_convert(time_zone(timezone)).dt.tz_localize(None).dt.normalize()
    return {"time_utc": times, "local_date": local}
