"""The files of `pm25 predict`: the points that it reads, and the one that it writes."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from model_utils.cities import BoundingBox
from model_utils.errors import InputError

ANSWER = (
    *("time", "pm25", "pm25_lower", "pm25_upper", "pm25_sd"),
    *("place_effect", "dissimilarity", "inside_applicability", "aqi", "reason"),
)
"""Columns of what is said of a point."""


def check_out(path: Path, overwrite: bool) -> None:
    """Raises InputError where the answer would not be a file, or replace one that is to stay."""
    if path.is_dir():
        raise InputError(f"--out {path}: found a folder, expected the name of a file")
    if path.exists() and not overwrite:
        raise InputError(f"--out {path}: exists already; --overwrite replaces it")


def check_columns(points: pd.DataFrame) -> None:
    """Raises InputError where a column of the points is called as one of the answer's."""
    if taken := [name for name in ANSWER if name in points]:
        raise InputError(f"points: column {taken[0]!r} is one of the answer's, expected another name")


def read_points(path: Path, box: BoundingBox) -> pd.DataFrame:
    """Points of a file.

    Args:
        path: A .csv or .parquet file.
        box: Of the city.

    Returns:
        Its table, with latitude and longitude as numbers (WGS84 degrees).

    Raises:
        InputError: It is not readable, a column is missing, there twice or named as the answer's, or a coordinate is
            missing, impossible or exchanged with the other.
    """
    try:
        points = _read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    except (OSError, ValueError, pd.errors.ParserError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputError(f"--points {path}: not readable ({' '.join(str(reason).split())[:200]})") from None
    if not points.columns.is_unique:
        twice = points.columns[points.columns.duplicated()][0]
        raise InputError(f"--points {path}: column {str(twice)!r} is there twice, expected each once")
    for name, limit in (("latitude", 84), ("longitude", 180)):
        if name not in points:
            raise InputError(f"--points {path}: column {name!r} is missing, found {', '.join(map(str, points))}")
        values = pd.to_numeric(points[name], errors="coerce").astype(np.float64)
        bad = ~(values.abs() <= limit).to_numpy()
        if bad.any():
            row = int(bad.argmax())
            raise InputError(
                f"--points {path}: row {row + 1}: {name} is {str(points[name].iloc[row])!r}, expected WGS84 degrees"
            )
        points[name] = values
    if not len(points):
        raise InputError(f"--points {path}: holds no row")
    _refuse_exchanged(points, path, box)
    check_columns(points)
    return points


def _read_csv(path: Path) -> pd.DataFrame:
    """A table whose columns are called as the file calls them, and whose first one is no index."""
    texts = {"latitude": "str", "longitude": "str"}  # True is no number
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            points = pd.read_csv(path, index_col=False, dtype=texts, low_memory=False)
    except pd.errors.ParserWarning:
        raise ValueError("found rows of more fields than there are column names") from None
    names = pd.read_csv(path, header=None, nrows=1, dtype="str", keep_default_na=False)
    # pandas makes `latitude.1` of a second `latitude`; columns without a name keep the one that it gave them
    points.columns = names.iloc[0].where(names.iloc[0] != "", points.columns)
    return points


def _refuse_exchanged(points: pd.DataFrame, path: Path, box: BoundingBox) -> None:
    """Raises InputError where no point lies in the city, and most would if latitude were longitude."""

    def within(latitude: pd.Series, longitude: pd.Series) -> float:
        inside = latitude.between(box.south, box.north) & longitude.between(box.west, box.east)
        return float(inside.mean())

    latitude, longitude = points["latitude"], points["longitude"]
    if within(latitude, longitude) == 0 and within(longitude, latitude) > 0.5:
        raise InputError(f"--points {path}: latitude and longitude are exchanged, no point lies in the city's box")
