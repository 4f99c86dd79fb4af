"""Reads a table that a person made, and its columns as numbers, texts and times.

Rows are counted from 1 in messages, without the header and blank lines.
"""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from model_utils.errors import InputError

_MISSING = {"", "na", "n/a", "nan", "null", "none"}
_NUMBER = r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
_PADDED = r"[-+]?0[0-9].*"  # '007' reads as a number but is a name
_WHOLE_NUMBER = r"-?(?:0|[1-9][0-9]{0,17})"
_CLOCK = r"[T ][0-9][0-9]"
_ZONE = r"(?:[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)$"


def read_table(path: Path) -> pd.DataFrame:
    """Reads a CSV file (UTF-8, every column as text) or a Parquet file.

    Raises:
        InputError: Naming the file, and the row or column that is wrong.
    """
    if not path.is_file():
        raise InputError(f"{path}: not found, expected a table (.csv or .parquet)")
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise InputError(f"{path}: found {path.suffix or 'no suffix'}, expected a .csv or .parquet table")
    table = _read_csv(path) if path.suffix.lower() == ".csv" else _read_parquet(path)
    if table.empty:
        raise InputError(f"{path}: the table has no rows")
    return table


def _read_csv(path: Path) -> pd.DataFrame:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(file, strict=True, skipinitialspace=True) if row]
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start}, expected a UTF-8 CSV file") from None
    except (OSError, csv.Error) as error:
        raise InputError(f"{path}: not readable as CSV ({error})") from None
    if not rows:
        raise InputError(f"{path}: the file is empty, expected a header and rows")
    names = _checked_names(path, [name.strip() for name in rows[0]])
    for number, row in enumerate(rows[1:], start=1):
        if len(row) != len(names):
            raise InputError(f"{path}: row {number}: found {len(row)} fields, expected {len(names)} as in the header")
    return pd.DataFrame(rows[1:], columns=names, dtype="str")


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        table = pq.read_table(path, partitioning=None)
        table.validate(full=True)  # a damaged file's texts need not be text
        _checked_names(path, table.column_names)
        frame: pd.DataFrame = table.to_pandas(ignore_metadata=True)
    except (OSError, UnicodeError, pa.ArrowException) as error:
        raise InputError(f"{path}: not readable as Parquet ({' '.join(str(error).split())})") from None
    return frame


def _checked_names(path: Path, names: list[str]) -> list[str]:
    for position, name in enumerate(names, start=1):
        if not name.strip():
            raise InputError(f"{path}: column {position} has no name")
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise InputError(f"{path}: column {repeated[0]!r} is there twice")
    return names


def texts(column: pd.Series) -> pd.Series:
    """The column as text without surrounding spaces; '' where a value is missing."""
    return column.astype(object).where(column.notna(), "").astype("str").str.strip()


def numbers(path: Path, column: pd.Series, low: float, high: float) -> pd.Series:
    """The column as float64 with NaN where a value is missing.

    Raises:
        InputError: Naming the first row that holds no number between `low` and `high`.
    """
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        values = column.astype(float)
        missing = values.isna()
    else:
        words = texts(column)
        missing = words.str.lower().isin(_MISSING)
        values = _floats(words.where(words.str.fullmatch(_NUMBER), "nan"))
    wrong = ~missing & ~values.between(low, high)
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        raise InputError(
            f"{path}: row {row + 1}: {column.name} is {column.iloc[row]!s}, expected a number from {low:g} to {high:g}"
        )
    return values


def times(path: Path, column: pd.Series) -> tuple[pd.Series, int]:
    """The column as UTC times to the microsecond, and how many of them named no time zone (taken as UTC).

    Raises:
        InputError: Naming the first row that holds no date and time.
    """
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        values, zoneless = column.dt.tz_convert("UTC"), 0
    elif pd.api.types.is_datetime64_dtype(column):
        values, zoneless = column.dt.tz_localize("UTC"), len(column)
    else:
        words = texts(column)
        zoned = words.str.contains(_ZONE)
        # UTC is written out: before pandas 3 a time without a zone took the zone of the one before it
        clock = words.where(zoned, words + "Z").where(words.str.contains(_CLOCK))
        values = pd.to_datetime(clock, format="ISO8601", utc=True, errors="coerce")
        zoneless = int((~zoned).sum())
    wrong = ~values.dt.year.between(1970, 2100)
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        raise InputError(
            f"{path}: row {row + 1}: {column.name} is {column.iloc[row]!s}, "
            "expected a date and time from 1970 to 2100 such as 2020-01-31T05:00:00Z"
        )
    return values.dt.as_unit("us"), zoneless


def inferred(column: pd.Series) -> pd.Series:
    """A column that the archive keeps as an extra: whole numbers, numbers or text, as its values are."""
    if column.dtype != object and not pd.api.types.is_string_dtype(column):
        return column
    words = texts(column)
    if words.str.fullmatch(_WHOLE_NUMBER).all():
        return words.astype(np.int64)
    known = ~words.str.lower().isin(_MISSING)
    numeric = words.str.fullmatch(_NUMBER) & ~words.str.fullmatch(_PADDED)
    return _floats(words.where(known, "nan")) if known.any() and numeric[known].all() else words


def _floats(words: pd.Series) -> pd.Series:
    return words.astype(object).map(float).astype(float)  # Python's reading is exact, pandas' is not always
