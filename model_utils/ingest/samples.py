"""Turns a table of tiles into the rows of an archive."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd

from model_utils.archive.format import COLUMNS
from model_utils.errors import InputError
from model_utils.ingest.readings.units import CLEANEST_CITY
from model_utils.ingest.table import inferred, numbers, texts, times

TIME_COLUMNS = ("time_utc", "acquired_utc", "time")
SITE_COLUMNS = ("site_id", "site", "station", "monitor")
SCENE_COLUMNS = ("scene_id", "scene")
LIMITS = {
    "latitude": (-90, 90),
    "longitude": (-180, 180),
    "pm25": (0, 10_000),
    "cloud_fraction": (0, 1),
    "temperature_c": (-90, 60),
    "relative_humidity_pct": (0, 100),
    "pressure_hpa": (300, 1100),
}
"""What a value can be in the archive's units: codes such as -999, kelvin, pascal and mmHg at sea level are not."""


def archive_rows(table: pd.DataFrame, path: Path, zone: ZoneInfo) -> tuple[pd.DataFrame, list[str]]:
    """Gives a table the archive's columns; columns the archive does not know are kept behind them.

    Args:
        table: N rows as `read_table` gives them.
        path: The table's file, for messages.
        zone: The city's time zone, which decides the local date.

    Returns:
        N rows in the table's order, and what a person should know about how they came about.

    Raises:
        InputError: Naming the column that is missing, or the row and the value that is wrong.
    """
    time_column = _first_of(table, TIME_COLUMNS)
    for name, found in (("latitude", "latitude" in table), ("longitude", "longitude" in table)):
        if not found:
            raise _missing(path, name, table)
    if time_column is None:
        raise _missing(path, " or ".join(TIME_COLUMNS), table)
    notes = []
    rows: dict[str, pd.Series] = {}
    for name, (low, high) in LIMITS.items():
        if name in table:
            rows[name] = numbers(path, table[name], low, high)
    for name in ("latitude", "longitude"):
        _refuse_empty(path, name, rows[name].isna())
    rows["time_utc"], zoneless = times(path, table[time_column])
    if zoneless:
        notes.append(f"{zoneless} of {len(table)} times in column {time_column!r} name no zone: taken as UTC")
    rows["local_date"] = rows["time_utc"].dt.tz_convert(zone).dt.tz_localize(None).dt.normalize()

    site_column = _site_column(table, path)
    if site_column is None:
        rows["site_id"] = _place(rows["latitude"]) + "_" + _place(rows["longitude"])
        notes.append(f"no column {' or '.join(SITE_COLUMNS)}: tiles whose coordinates agree to 5 decimals are one site")
    else:
        rows["site_id"] = texts(table[site_column])
        _refuse_empty(path, site_column, rows["site_id"] == "")
    rows["site_name"] = texts(table["site_name"]) if "site_name" in table else rows["site_id"]
    nothing = pd.Series("", index=table.index)
    scene_column = _first_of(table, SCENE_COLUMNS)
    rows["scene_id"] = texts(table[scene_column]) if scene_column else nothing
    rows["quality"] = texts(table["quality"]) if "quality" in table else nothing
    if "sample_id" in table:
        rows["sample_id"] = texts(table["sample_id"])
        _refuse_empty(path, "sample_id", rows["sample_id"] == "")
        _refuse_repeated(path, rows["sample_id"])
    else:
        rows["sample_id"] = _sample_ids(rows["site_id"], rows["time_utc"])

    used = {time_column, site_column, scene_column, *COLUMNS}
    for name in table.columns:
        if name not in used:
            rows[name] = inferred(table[name])
    if "local_date" in table:
        notes.append("column 'local_date' is not taken over: it follows from the UTC time and the time zone")
    if "pm25" in rows and 0 < rows["pm25"].mean() < CLEANEST_CITY:
        notes.append(
            f"warning: column 'pm25' has a mean of {rows['pm25'].mean():.2g}, and in no city is it below "
            f"{CLEANEST_CITY:g} ug/m3: if it is in mg/m3, multiply it by 1000 and prepare again"
        )
    return pd.DataFrame(rows), notes


def _first_of(table: pd.DataFrame, names: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in table), None)


def _site_column(table: pd.DataFrame, path: Path) -> str | None:
    """The column that names the site.

    Raises:
        InputError: Two columns could, and they do not mean the same places.
    """
    names = [name for name in SITE_COLUMNS if name in table]
    if not names:
        return None
    first = names[0]
    for other in names[1:]:
        both = pd.DataFrame({"first": texts(table[first]), "other": texts(table[other])})
        pairs = len(both.drop_duplicates())
        if not pairs == both["first"].nunique() == both["other"].nunique():
            raise InputError(
                f"{path}: columns {first!r} ({both['first'].nunique()} values) and {other!r} "
                f"({both['other'].nunique()} values) both name sites, and not the same ones, expected one of them: the "
                "monitor that a reading is of (rename the other)"
            )
    return first


def _missing(path: Path, name: str, table: pd.DataFrame) -> InputError:
    return InputError(f"{path}: column {name} is missing, found {', '.join(map(str, table.columns))}")


def _refuse_empty(path: Path, name: str, empty: pd.Series) -> None:
    if empty.any():
        raise InputError(f"{path}: row {int(empty.to_numpy().argmax()) + 1}: {name} is empty")


def _refuse_repeated(path: Path, column: pd.Series) -> None:
    repeated = column.duplicated().to_numpy()
    if repeated.any():
        row = int(repeated.argmax())
        first = int((column == column.iloc[row]).to_numpy().argmax())
        raise InputError(
            f"{path}: row {row + 1}: {column.name} {column.iloc[row]!s} is there already in row {first + 1}"
        )


def _place(degrees: pd.Series) -> pd.Series:
    """Degrees to 5 decimals (about a metre) as text; adding zero turns -0.0 into 0.0."""
    return degrees.map(lambda value: f"{round(value, 5) + 0.0:.5f}")


def _sample_ids(site: pd.Series, time: pd.Series) -> pd.Series:
    """Site and time to the second, with -2, -3 ... in the table's order where that comes again."""
    identifiers: pd.Series = site + "_" + time.dt.strftime("%Y%m%dT%H%M%SZ")
    repetition = identifiers.groupby(identifiers).cumcount() + 1
    return identifiers.where(repetition == 1, identifiers + "-" + repetition.astype("str"))


def chip_numbers(table: pd.DataFrame, path: Path, images: int) -> pd.Series:
    """The image that each row of the table belongs to.

    Args:
        table: As `read_table` gives it; without a column `chip` its order is that of the images.
        path: The table's file, for messages.
        images: How many images there are.

    Raises:
        InputError: Counts differ, or a chip is no image's number or named twice.
    """
    if "chip" not in table:
        if len(table) != images:
            raise InputError(
                f"{path}: found {len(table)} rows for {images} images, expected as many "
                "or a column 'chip' with the number of each row's image"
            )
        return pd.Series(range(images), index=table.index, name="chip")
    chips = numbers(path, table["chip"], 0, images - 1)
    wrong = (chips != chips.round()).to_numpy()  # NaN too
    if wrong.any():
        row = int(wrong.argmax())
        raise InputError(f"{path}: row {row + 1}: chip is {table['chip'].iloc[row]!s}, expected a whole number")
    chips = chips.astype("int64")
    _refuse_repeated(path, chips)
    return chips
