"""When the rows of a table were taken, as its format says and its cells tell."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from model_utils.errors import InputError
from model_utils.ingest.readings.clocks import in_iso
from model_utils.ingest.readings.formats.combining import ReadingOptions
from model_utils.ingest.readings.formats.specification import TOLD, WRITTEN, TimeColumns
from model_utils.ingest.readings.text import Rows
from model_utils.ingest.readings.times import are_dates, checked, have_zone, iso_times

_LIMITS = {"year": (1970, 2100), "month": (1, 12), "day": (1, 31)}
_CLOCK = r"^(?:[01]?[0-9]|2[0-4])(?:[^0-9].*|[0-5][0-9].*)?$"
_SAYS_UTC = re.compile(r"(?:.*[^a-z])?(?:utc|gmt)(?:[^a-z].*)?", re.IGNORECASE)
_MINUTE = pd.Timedelta(minutes=1)
_DAY = (pd.Timedelta(hours=22), pd.Timedelta(hours=26))  # a local day, clock changes included


def row_times(time: TimeColumns, columns: tuple[str, ...], end: str, rows: Rows, options: ReadingOptions) -> pd.Series:
    """The times of rows.

    Args:
        time: What the format says of them.
        columns: The columns of the time, as the rows have them.
        end: That of its end, or ''.
        rows: The rows.
        options: What the files do not say.

    Returns:
        A column called `utc` (stamps in UTC), `clock` (of a local clock, without zone) or `date` (local days).

    Raises:
        InputError: A time is none, or its zone is not known.
    """
    name = columns[0]
    if time.parts:
        times = _in_utc(_of_parts(rows, columns, time.hour_24), name, time)
    else:
        rows = _with_clock(rows, *columns) if len(columns) == 2 else rows
        written = in_iso(rows, name, options.time_format, time.order)
        if time.period == "either" and not end and are_dates(written, name):
            return iso_times(written, name, zoned=False).rename("date")
        times = _times(written, name, time)
    local = times.dt.tz_convert(options.city.zone).dt.tz_localize(None) if times.dt.tz is not None else times
    if time.period == "day":
        rows.refuse(name, local != local.dt.normalize(), "a day: these are daily means")
        return local.rename("date")
    if end:
        ends = _times(in_iso(rows, end, options.time_format, time.order), end, time)
        if _are_days(rows, name, end, local, ends - times):
            return local.rename("date")
    elif time.period == "either" and _at_midnight(local[:100]) and _at_midnight(local) and local.nunique() > 1:
        return local.rename("date")
    if times.dt.tz is not None:
        return times.rename("utc")
    if time.zone == TOLD and options.timezone is None:
        raise InputError(
            f"{rows.where(0)}: {name} {rows.columns[name][0]} names no offset from UTC, expected --timezone with its "
            "zone, such as Asia/Kolkata"
        )
    return times.rename("clock")


def _times(rows: Rows, name: str, time: TimeColumns) -> pd.Series:
    """Times as a column holds them: in UTC where they name their offset, or else are those of UTC."""
    zoned = have_zone(rows, name)
    if time.zone == WRITTEN and not zoned:
        raise InputError(f"{rows.where(0)}: {name} is {rows.columns[name][0]} without an offset from UTC, expected one")
    times = iso_times(rows, name, zoned=zoned)
    return times if zoned else _in_utc(times, name, time)


def _in_utc(times: pd.Series, name: str, time: TimeColumns) -> pd.Series:
    utc = time.zone == "UTC" or (time.zone == TOLD and _SAYS_UTC.fullmatch(name))
    return times.dt.tz_localize("UTC") if utc else times


def _at_midnight(local: pd.Series) -> bool:
    return bool((local == local.dt.normalize()).all())


def _are_days(rows: Rows, begin: str, end: str, local: pd.Series, length: pd.Series) -> bool:
    """Whether rows are days (or hours, or less); refuses rows of 4 or 8 hours and lengths that change."""
    if length.between(*_DAY).mean() > 0.5:
        rows.refuse(begin, local != local.dt.normalize(), "midnight, where a row is a day")
        return True
    odd = (length <= pd.Timedelta(0)) | (length > pd.Timedelta(hours=1) + _MINUTE)
    rows.refuse(end, odd, f"at most an hour, or a day, after {begin}")
    return False


def _with_clock(rows: Rows, date: str, clock: str) -> Rows:
    """Date and clock as one text; a clock of whole hours may be a number."""
    words, codes = rows.distinct(clock)
    rows.refuse(clock, ~words.str.match(_CLOCK).to_numpy(bool)[codes], "a time such as 05:00")
    hours = pc.replace_substring_regex(rows.columns[clock], r"^([0-9]{1,2})$", r"\1:00")
    return rows.having(date, pc.binary_join_element_wise(rows.columns[date], hours, " "))


def _of_parts(rows: Rows, names: tuple[str, ...], hour_24: bool) -> pd.Series:
    """Times of year, month, day and hour, or of date and hour."""
    *date, hour = names
    hours, most = rows.numbers(hour), 24 if hour_24 else 23
    whole = (hours >= 0) & (hours <= most) & (hours == np.floor(hours))
    if len(date) == 1:
        rows.refuse(hour, ~whole, f"an hour from 0 to {most}")
        days = iso_times(in_iso(rows, date[0]), date[0], zoned=False).dt.normalize().to_numpy("datetime64[us]")
    else:
        numbers = [rows.numbers(name) for name in date]
        for name, number, (part, (low, high)) in zip(date, numbers, _LIMITS.items(), strict=True):
            wrong = ~((number >= low) & (number <= high) & (number == np.floor(number)))
            rows.refuse(name, wrong, f"a whole number from {low} to {high}, the {part}")
        rows.refuse(hour, ~whole, f"a whole number from 0 to {most}, the hour")
        year, month, day = numbers
        months = ((year - 1970) * 12 + month - 1).astype(np.int64).astype("datetime64[M]")
        dates = months.astype("datetime64[D]") + (day - 1).astype("timedelta64[D]")
        rows.refuse(date[2], dates.astype("datetime64[M]") != months, "a day of its month")
        days = dates.astype("datetime64[us]")
    return checked(rows, names[0], pd.Series(days + hours.astype("timedelta64[h]")), "a year from 1970 to 2100")
