"""Local and universal times of readings."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd

from model_utils.errors import InputError
from model_utils.ingest.readings.text import Rows

_DATE = r"^[0-9]{4}-?[0-9]{2}-?[0-9]{2}"
_ZONE = r"[T ][0-9]{2}.*(?:[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)$"
_DATE_ONLY = _DATE + "$"


def time_zone(name: str) -> ZoneInfo:
    """A zone by its IANA name.

    Raises:
        InputError: There is none.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InputError(f"--timezone: found {name!r}, expected a name like Asia/Kolkata") from None


def are_dates(rows: Rows, name: str) -> bool:
    """Whether the column holds dates without a clock throughout."""
    return bool(rows.distinct(name)[0].str.match(_DATE_ONLY).all())


def have_zone(rows: Rows, name: str) -> bool:
    """Whether the column's times name their offset from UTC.

    Raises:
        InputError: Some do and some do not.
    """
    words, codes = rows.distinct(name)
    zoned = words.str.contains(_ZONE).to_numpy(bool)
    if zoned.any() and not zoned.all():
        rows.refuse(name, ~zoned[codes], "a time with its offset from UTC, as other rows have")
    return bool(zoned.any())


def iso_times(rows: Rows, name: str, zoned: bool) -> pd.Series:
    """A column of ISO 8601 dates or times: UTC where they name their offset, else as the clock showed them.

    Raises:
        InputError: Naming the first row that holds none from 1970 to 2100.
    """
    words, codes = rows.distinct(name)
    dated = words.where(words.str.contains(_DATE, regex=True))
    times = pd.to_datetime(dated, format="ISO8601", errors="coerce", utc=zoned)
    expected = "a date or time from 1970 to 2100 such as 2020-01-31T05:00"
    if not times.dt.year.between(1970, 2100).all():
        return checked(rows, name, times.take(codes).reset_index(drop=True), expected)
    return pd.Series(times.dt.as_unit("us").array.take(codes))


def checked(rows: Rows, name: str, times: pd.Series, expected: str) -> pd.Series:
    """The times to the microsecond.

    Raises:
        InputError: Naming the first row without one from 1970 to 2100.
    """
    rows.refuse(name, ~times.dt.year.between(1970, 2100), expected)
    microseconds: pd.Series = times.dt.as_unit("us")
    return microseconds


def to_utc(
    local: pd.Series, station: pd.Series, known: pd.Series, zone: ZoneInfo, where: str
) -> tuple[pd.Series, list[str]]:
    """Gives clock times of a zone their place in universal time.

    The hour that clocks repeat in autumn: where a station has a time twice, the first in the file is daylight and
    the second standard time; where it has it once, nobody can tell, and the time becomes NaT. A time that clocks
    skip in spring becomes NaT where the row has no reading.

    Args:
        local: N times without zone, in the file's order.
        station: Their stations.
        known: Whether the row has a reading.
        zone: Where the clock hangs.
        where: The file, for messages.

    Returns:
        N times in UTC or NaT, and notes on those that became NaT.

    Raises:
        InputError: A reading at a time that clocks skip: they were not set to daylight time then.
    """
    code, distinct = pd.factorize(local.to_numpy())

    def placed(daylight: bool) -> pd.Series:
        ambiguous = np.full(len(distinct), daylight)
        times = pd.Series(pd.DatetimeIndex(distinct).tz_localize(zone, ambiguous=ambiguous, nonexistent="NaT"))
        return pd.Series(times.array.take(code), local.index)

    first, second = placed(True), placed(False)
    skipped = first.isna() & local.notna()
    if (skipped & known).any():
        time = local[skipped & known].iloc[0]
        raise InputError(
            f"{where}: a reading at {time:%Y-%m-%d %H:%M}, which clocks in {zone.key} skip, expected --timezone "
            "with the zone of the times: a fixed one such as Etc/GMT+7 (UTC-7) where it is standard time all year"
        )
    utc = first.dt.tz_convert("UTC").copy()
    notes = []
    if skipped.any():
        notes.append(f"{int(skipped.sum())} rows without reading left out: clocks in {zone.key} skip their time")
    doubled = (first != second) & ~skipped
    if doubled.any():
        keys = [station[doubled], local[doubled]]
        turn = local[doubled].groupby(keys).cumcount()
        times = local[doubled].groupby(keys).transform("size")
        later = turn.index[turn == 1]
        utc.loc[later] = second.dt.tz_convert("UTC").loc[later]
        lost = times.index[times != 2]
        utc.loc[lost] = pd.NaT
        notes.append(
            f"{int(doubled.sum())} rows lie in an hour that clocks in {zone.key} show twice: the first of two is taken "
            f"as daylight time; {len(lost)} that are there once (or more than twice) are left out"
        )
    return utc.dt.as_unit("us"), notes
