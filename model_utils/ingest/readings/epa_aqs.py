"""Files of the US EPA's Air Quality System (https://aqs.epa.gov/aqsweb/airdata/FileFormats.html): hourly and daily."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow.compute as pc
from numpy.typing import NDArray

from model_utils.errors import InputError
from model_utils.ingest.readings.headers import position_of
from model_utils.ingest.readings.hours import first_instrument
from model_utils.ingest.readings.records import StationRecords
from model_utils.ingest.readings.source import Gathered, Source
from model_utils.ingest.readings.text import Rows
from model_utils.ingest.readings.times import iso_times

HOURLY = "epa-aqs-hourly"
DAILY = "epa-aqs-daily"

_SITE = ("State Code", "County Code", "Site Num", "Parameter Code", "POC", "Latitude", "Longitude", "Units of Measure")
_COLUMNS = {
    HOURLY: (*_SITE, "Date GMT", "Time GMT", "Sample Measurement"),
    DAILY: (*_SITE, "Date Local", "Sample Duration", "Pollutant Standard", "Event Type", "Arithmetic Mean"),
}
_OPTIONAL = ("Observation Percent", "Observation Count", "Local Site Name")
_PM25 = ("88101", "88502")  # by the reference method or its equivalents, and acceptable others
_MARGIN = 0.5  # degrees around the city: the files are nationwide
_INSTRUMENT = ["parameter", "occurrence"]


def matches(names: tuple[str, ...], format: str) -> bool:
    """Whether a header is that of an hourly or daily file."""
    return all(position_of(names, (name.casefold(),)) is not None for name in _COLUMNS[format])


def read_hourly(source: Source) -> StationRecords:
    """Reads hours by their GMT columns, which name the beginning of the hour.

    Raises:
        InputError: Naming the file and line that is wrong.
    """
    frames, gathered = _frames(source, HOURLY)
    table = pd.concat(frames, ignore_index=True)
    table, note = first_instrument(table, _INSTRUMENT, "utc")
    gathered.notes += [note] if note else []
    gathered.tables.append(table[["station", "utc", "pm25"]])
    if source.timezone:
        gathered.notes.append("--timezone is not used: times are read from the GMT columns")
    return gathered.records(source, HOURLY, source.hour_stamp or "beginning")


def read_daily(source: Source) -> StationRecords:
    """Reads daily means; of a day's several rows the one that counts all air wins over the one without events.

    Raises:
        InputError: Naming the file and line that is wrong.
    """
    frames, gathered = _frames(source, DAILY)
    table = pd.concat(frames, ignore_index=True)
    table["without_events"] = table["event"].str.casefold() == "excluded"
    table["of_hours"] = table["duration"].str.casefold() == "1 hour"
    order = ["station", "date", *_INSTRUMENT, "without_events", "of_hours", "standard"]
    once = table.sort_values(order, kind="stable").drop_duplicates(["station", "date", *_INSTRUMENT])
    if len(once) < len(table):
        gathered.notes.append(
            f"{len(table) - len(once)} rows repeat an instrument's day for another standard, averaging or without "
            "exceptional events; the one with events, of 24 hours, of the first standard is taken"
        )
    once, note = first_instrument(once, _INSTRUMENT, "date")
    gathered.notes += [note] if note else []
    if (thin := int(once["incomplete"].sum())) > 0:
        gathered.notes.append(
            f"{thin} daily means rest on under 75 % of their hours (Observation Percent, Count) and are no labels"
        )
    gathered.tables.append(once[["station", "date", "pm25", "incomplete"]])
    gathered.notes.append("daily means of days in local standard time, as Date Local says")
    return gathered.records(source, DAILY, stamp=None)


def _frames(source: Source, format: str) -> tuple[list[pd.DataFrame], Gathered]:
    """The city's rows of each file, and what is known of its stations."""
    gathered = Gathered()
    frames = []
    left_out = 0
    for path in source.files:
        table = source.open(path)
        at = {name: position_of(table.names, (name.casefold(),)) for name in (*_COLUMNS[format], *_OPTIONAL)}
        if missing := [name for name in _COLUMNS[format] if at[name] is None]:
            raise InputError(f"{path}: column {missing[0]} is missing, found {', '.join(table.names)[:120]}")
        rows = table.rows({name: position for name, position in at.items() if position is not None})
        rows, outside = _around(rows, source)
        left_out += outside
        if len(rows) == 0:
            continue
        frame = _frame(rows, source)
        if format == HOURLY:
            day, clock = iso_times(rows, "Date GMT", zoned=False), rows.texts("Time GMT")
            hours = pd.to_timedelta(clock.where(clock.str.fullmatch(r"[0-9]{2}:[0-9]{2}")) + ":00", errors="coerce")
            rows.refuse("Time GMT", hours.isna() | (hours >= pd.Timedelta(days=1)), "a time such as 05:00")
            frame["utc"] = (day + hours).dt.tz_localize("UTC")
        else:
            frame["date"] = iso_times(rows, "Date Local", zoned=False)
            for name, column in (
                ("event", "Event Type"),
                ("duration", "Sample Duration"),
                ("standard", "Pollutant Standard"),
            ):
                frame[name] = rows.texts(column)
            frame["incomplete"] = _incomplete(rows)
        frames.append(frame)
        places = pd.DataFrame({name: frame[name] for name in ("station", "latitude", "longitude")})
        named = rows.texts("Local Site Name") if "Local Site Name" in rows.columns else ""
        gathered.places.append(places.assign(station_name=named).drop_duplicates("station"))
    if not frames:
        raise InputError(f"{source.files[0]}: found no PM2.5 within {_MARGIN} degrees of {source.city.name}")
    if left_out:
        gathered.notes.append(
            f"{left_out} rows of other parameters or over {_MARGIN} degrees outside the city are left out"
        )
    return frames, gathered


def _incomplete(rows: Rows) -> NDArray[np.bool_]:
    """Whether daily means rest on under 75 % of their observations; a sample of 24 hours is one observation."""
    percent, count = (
        rows.numbers(name) if name in rows.columns else np.full(len(rows), np.nan)
        for name in ("Observation Percent", "Observation Count")
    )
    of_hours = (rows.texts("Sample Duration").str.casefold() == "1 hour").to_numpy(bool)
    few: NDArray[np.bool_] = (percent < 75) | (of_hours & (count < 18))
    return few


def _around(rows: Rows, source: Source) -> tuple[Rows, int]:
    """The rows of PM2.5 in and around the city, and how many others there are."""
    box = source.city.bounding_box
    latitude, longitude = rows.numbers("Latitude"), rows.numbers("Longitude")
    near = (latitude > box.south - _MARGIN) & (latitude < box.north + _MARGIN)
    near &= (longitude > box.west - _MARGIN) & (longitude < box.east + _MARGIN)
    near &= np.asarray(pc.is_in(rows.columns["Parameter Code"], value_set=pc.cast(list(_PM25), "string")))
    chosen = np.flatnonzero(near)
    return rows.taken(chosen), len(rows) - chosen.size


def _frame(rows: Rows, source: Source) -> pd.DataFrame:
    digits = {"State Code": 2, "County Code": 3, "Site Num": 4}
    codes = [rows.texts(name).str.zfill(width) for name, width in digits.items()]
    value = rows.numbers("Sample Measurement" if "Sample Measurement" in rows.columns else "Arithmetic Mean")
    return pd.DataFrame(
        {
            "station": codes[0] + "-" + codes[1] + "-" + codes[2],
            "parameter": rows.texts("Parameter Code"),
            "occurrence": rows.numbers("POC"),
            "latitude": rows.numbers("Latitude"),
            "longitude": rows.numbers("Longitude"),
            "pm25": source.micrograms(value, rows.texts("Units of Measure"), rows.where),
        }
    )
