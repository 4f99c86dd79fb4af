"""Times as people and spreadsheets write them, rewritten as ISO 8601."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from model_utils.errors import InputError
from model_utils.ingest.readings.text import Rows

Order = Literal["", "day", "month", "year"]

_ISO = r"^[0-9]{4}-?[0-9]{2}-?[0-9]{2}(?:[T ](?:[01][0-9]|2[0-3])(?::?[0-9]{2}.*)?)?$"
_HALF = r"(?i)[ap]\.?m\.?\s*$"
_EPOCH = r"^[0-9]{10}(?:\.[0-9]+)?$|^[0-9]{13}$"
_SERIAL = r"^[2-7][0-9]{4}(?:\.[0-9]+)?$"  # 1954 to 2119
_SPREADSHEET_ZERO = pd.Timestamp("1899-12-30")
_HOURS = (
    r"^(?P<year>(?:19|20)[0-9]{2})(?P<month>0[1-9]|1[0-2])(?P<day>0[1-9]|[12][0-9]|3[01])(?P<hour>[01][0-9]|2[0-4])$"
)
_CLOCK = (
    r"(?:(?:\s*,)?[T\s]\s*-?\s*(?P<hour>[0-9]{1,2})(?::(?P<minute>[0-9]{2}))?(?::(?P<second>[0-9]{2})(?:\.[0-9]+)?)?"
    r"\s*(?P<half>[AaPp])?(?:\.?[Mm]\.?)?\s*(?P<zone>Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?\s*$"
)
_YEAR_FIRST = r"^(?P<year>[0-9]{4})[-./]?(?P<month>[0-9]{1,2})[-./]?(?P<day>[0-9]{1,2})" + _CLOCK
_YEAR_LAST = r"^(?P<first>[0-9]{1,2})(?P<mark>[-./])(?P<second_number>[0-9]{1,2})[-./](?P<year>[0-9]{4})" + _CLOCK
_NAMED_MONTH = r"^(?P<day>[0-9]{1,2})[-./\s](?P<month>[A-Za-z]{3,9})[-./\s](?P<year>[0-9]{4})" + _CLOCK
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def in_iso(rows: Rows, name: str, layout: str | None = None, order: Order = "") -> Rows:
    """Rewrites a column of times as ISO 8601; what is none is left as it stands, for whoever reads it to refuse.

    Read are the forms 2024-01-31 and 2024/1/31, 31.1.2024 and 1/31/2024, 31-Jan-2024, with a clock of 24 or of 12
    hours (12 AM is midnight, 24:00 that of the next day) and an offset or none; 2024013124, an hour of a day; seconds
    (10 digits) or milliseconds (13 digits) since 1970; and in a spreadsheet days since 1899-12-30. Whether days or
    months come first is decided from the whole column.

    Args:
        rows: With the column.
        name: Of the column.
        layout: The `strptime` format of all its times, which then decides alone.
        order: What comes first where the year is last, if that is known; 'year' where digits alone are a date.

    Raises:
        InputError: A time is not in the layout; or no row says what comes first, or two rows contradict each other.
    """
    words, codes = rows.distinct(name)
    written = (
        _in_layout(rows, name, words, codes, layout) if layout else _in_known_form(rows, name, words, codes, order)
    )
    if written is None:
        return rows
    return rows.having(name, pa.chunked_array([pa.array(written, pa.string()).take(pa.array(codes))]))


def _in_layout(rows: Rows, name: str, words: pd.Series, codes: NDArray[np.int_], layout: str) -> pd.Series:
    try:
        times = pd.to_datetime(words, format=layout, errors="coerce", utc="%z" in layout)
        example = pd.Timestamp(2020, 1, 31, 5, tz="UTC").strftime(layout)
    except ValueError as error:
        raise InputError(
            f"--time-format: found {layout!r} ({str(error)[:80]}), expected one like %d/%m/%Y %H:%M"
        ) from None
    rows.refuse(name, times.isna().to_numpy()[codes], f"a time such as {example}, as --time-format says")
    if not any(sign in layout for sign in ("%H", "%I", "%T", "%R", "%X", "%c", "%s")):
        return times.dt.strftime("%Y-%m-%d")
    return _iso(times, pd.Series("Z" if "%z" in layout else "", index=words.index))


def _in_known_form(rows: Rows, name: str, words: pd.Series, codes: NDArray[np.int_], order: Order) -> pd.Series | None:
    """The words rewritten, or None where they may stay."""
    if (words.str.match(_ISO) & ~words.str.contains(_HALF)).all():
        return None
    hours = words.str.match(_HOURS)
    if order == "year" or (len(words) > 1 and hours.mean() > 0.5):  # as seconds they would be in 2033
        parts, none = words[hours].str.extract(_HOURS), pd.Series(np.nan, index=words.index[hours], dtype="str")
        parts = parts.assign(minute="0", second="0", half=none, zone=none)
        return _from_parts(words[hours], parts).reindex(words.index).fillna(words)
    if rows.serial_dates and words.str.match(_SERIAL).all():
        days = pd.to_timedelta(words.astype("float64"), unit="D")
        return _iso((_SPREADSHEET_ZERO + days).dt.round("ms"), pd.Series("", index=words.index))
    if words.str.match(_EPOCH).all():
        numbers = words.astype("float64")
        seconds = numbers.where(words.str.len().ne(13) | words.str.contains(".", regex=False), numbers / 1000)
        times = pd.to_datetime(seconds, unit="s", utc=True, errors="coerce").dt.round("ms")
        return _iso(times, pd.Series("Z", index=words.index))
    for pattern in (_YEAR_FIRST, _YEAR_LAST, _NAMED_MONTH):
        parts = words.str.extract(pattern)
        if pd.isna(parts["year"].iloc[0]):
            continue
        if "mark" in parts:
            parts["year"] = parts["year"].where(parts["mark"] == parts["mark"].iloc[0])
        alike = parts["year"].notna()  # a column is in one form, that of its first row; what is not stays
        parts, whole, words = parts[alike], words, words[alike]
        if "first" in parts:
            first, second = (parts[part].astype(int) for part in ("first", "second_number"))
            days_first = (order or _first(rows, name, first, second, codes)) == "day"
            parts["day"], parts["month"] = (first, second) if days_first else (second, first)
        elif pattern == _NAMED_MONTH:
            parts["month"] = parts["month"].str[:3].str.lower().map(dict(zip(_MONTHS, range(1, 13), strict=True)))
        return _from_parts(words, parts).reindex(whole.index).fillna(whole)
    return None


def _first(rows: Rows, name: str, first: pd.Series, second: pd.Series, codes: NDArray[np.int_]) -> Order:
    """Whether days or months come first.

    Raises:
        InputError: No row says it, or rows contradict each other.
    """
    layout = "--time-format, such as '%d/%m/%Y %H:%M' where days come first"
    if (first > 12).any():
        wrong = (second > 12).reindex(range(int(codes.max()) + 1), fill_value=False).to_numpy(bool)
        rows.refuse(name, wrong[codes], f"a month in the middle, as other rows have, or {layout}")
        return "day"
    if (second > 12).any() or (first == second).all():
        return "month"
    rows.refuse(name, np.ones(len(codes), bool), f"{layout}: no row says whether days or months come first")
    raise AssertionError("a column has rows")


def _from_parts(words: pd.Series, parts: pd.DataFrame) -> pd.Series:
    """Times of texts in parts; a text that names no time stays."""
    number = {part: pd.to_numeric(parts[part].fillna("0")) for part in ("hour", "minute", "second")}
    half = parts["half"].str.lower()
    twelve = half.notna()
    valid = ~twelve | number["hour"].between(1, 12)
    valid &= (number["minute"] < 60) & (number["second"] < 60)
    valid &= (number["hour"] < 24) | ((number["hour"] == 24) & (number["minute"] == 0) & (number["second"] == 0))
    hour = number["hour"].where(~twelve, number["hour"] % 12 + 12 * (half == "p"))
    day = pd.to_datetime(
        pd.DataFrame({part: pd.to_numeric(parts[part]) for part in ("year", "month", "day")}), errors="coerce"
    )
    clock = pd.to_timedelta(hour, unit="h") + pd.to_timedelta(number["minute"] * 60 + number["second"], unit="s")
    dated = parts["hour"].isna()
    written = _iso(day + clock, parts["zone"].fillna("")).where(~dated, day.dt.strftime("%Y-%m-%d"))
    return written.where(valid & day.notna(), words)


def _iso(times: pd.Series, zone: pd.Series) -> pd.Series:
    written: pd.Series = times.dt.strftime("%Y-%m-%dT%H:%M:%S") + zone
    return written
