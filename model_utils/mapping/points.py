"""`pm25 predict`: what the map says at given coordinates."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rasterio.warp import transform

from model_utils import atomic
from model_utils.cities import BoundingBox, load_city
from model_utils.errors import InputError
from model_utils.mapping.air_quality_index import pm25_sub_index
from model_utils.mapping.blocks import predict_cells
from model_utils.mapping.config import MapConfig, PredictConfig
from model_utils.mapping.job import MapJob, map_job, opened
from model_utils.mapping.layers import REASON, REASONS
from model_utils.mapping.places.grid import WGS84

MOST_AT_ONCE = 4096
"""Cells that are worked on together."""
CELL, POINT = "number of the cell", "number of the point"
"""Columns that nobody's points have."""
ANSWER = (
    *("time", "pm25", "pm25_lower", "pm25_upper", "pm25_sd"),
    *("place_effect", "dissimilarity", "inside_applicability", "aqi", "reason"),
)
"""Columns of what is said of a point."""


def predict(config: PredictConfig) -> None:
    """Writes what is predicted at the points of a file.

    Raises:
        InputError: A column, a row or a flag is wrong, or the file is there already.
    """
    if config.out.is_dir():
        raise InputError(f"--out {config.out}: found a folder, expected the name of a file")
    if config.out.exists() and not config.overwrite:
        raise InputError(f"--out {config.out}: exists already; --overwrite replaces it")
    points = read_points(config.points)
    _refuse_exchanged(points, config.points, load_city(config.city, config.root).bounding_box)
    found = predict_at(config.map_config(), points)
    with atomic.replacing(config.out) as temporary:
        if config.out.suffix == ".csv":
            found.to_csv(temporary, index=False)
        else:
            found.to_parquet(temporary, index=False)
    known = int(found["pm25"].notna().sum())
    print(f"{config.out}: {len(points)} points, {len(found)} rows, {known} with a value")
    for note in map_job(config.map_config()).notes:  # that the answer came from
        print(note)


def read_points(path: Path) -> pd.DataFrame:
    """Points of a file.

    Raises:
        InputError: It is not readable, a column is missing or there twice, or a coordinate is missing or impossible.
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
    return points


def _read_csv(path: Path) -> pd.DataFrame:
    """A table whose columns are called as the file calls them, and whose first one is no index."""
    texts = {"latitude": "str", "longitude": "str"}  # True is no number
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            points = pd.read_csv(path, index_col=False, dtype=texts)
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


def predict_at(config: MapConfig, points: pd.DataFrame) -> pd.DataFrame:
    """What the map has in the cell around each point; a cell is worked on once, whatever the number of its points.

    Args:
        config: Of the map; its area does not matter here.
        points: latitude, longitude (WGS84 degrees); other columns are kept.

    Returns:
        A row a point and time, by time and then in the order of the points: the columns of the points, time (first
        day), pm25, pm25_lower, pm25_upper, pm25_sd (ug/m3), place_effect (%), dissimilarity, inside_applicability,
        aqi, reason.

    Raises:
        InputError: As `map_job` says.
    """
    if taken := [name for name in ANSWER if name in points]:
        raise InputError(f"points: column {taken[0]!r} is one of the answer's, expected another name")
    job = opened(config)
    cells, cell = _cells_of(job, points)
    threshold = float(job.fitted.process.applicability().threshold)
    air = job.air()
    parts = []
    for start in range(0, len(cells), MOST_AT_ONCE):
        some = cells.iloc[start : start + MOST_AT_ONCE].reset_index(drop=True)
        block = predict_cells(job, some, air)
        why = block.reasons(threshold, config.keep_outside)
        for number, bounds in enumerate(job.times.bounds):
            kept = why[number] == REASON["value"]
            level = np.where(kept, block.mean[number], np.nan)
            inside = pd.Series(block.dissimilarity <= threshold, dtype="boolean")
            table = pd.DataFrame(
                {
                    CELL: some.index + start,
                    "time": pd.Timestamp(bounds[0]),
                    "pm25": level,
                    "pm25_lower": np.where(kept, block.lower[number], np.nan),
                    "pm25_upper": np.where(kept, block.upper[number], np.nan),
                    "pm25_sd": np.where(kept, block.sd[number], np.nan),
                    "place_effect": 100 * np.expm1(block.place),
                    "dissimilarity": block.dissimilarity,
                    "inside_applicability": inside.mask(~np.isfinite(block.dissimilarity)),
                    "aqi": pm25_sub_index(level, pd.Timestamp(bounds[0]), job.scale),
                    "reason": [REASONS[int(each)] for each in why[number]],
                }
            )
            parts.append(table)
    values = pd.concat(parts, ignore_index=True)[[CELL, *ANSWER]]
    rows = points.reset_index(drop=True).assign(**{CELL: cell, POINT: np.arange(len(points))})
    joined = rows.merge(values, on=CELL, validate="many_to_many").sort_values(["time", POINT], kind="stable")
    return joined.drop(columns=[CELL, POINT]).reset_index(drop=True)


def _cells_of(job: MapJob, points: pd.DataFrame) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """The cells that hold points, as `MapCells.named` gives cells, and the number of each point's."""
    grid = job.cells.grid
    east, north = transform(WGS84, grid.crs, points["longitude"].to_numpy(), points["latitude"].to_numpy())
    lattice = np.column_stack([np.floor(np.divide(east, grid.spacing)), np.floor(np.divide(north, grid.spacing))])
    each, cell = np.unique(lattice.astype(np.int64), axis=0, return_inverse=True)
    return job.cells.named(each[:, 0], each[:, 1]), cell.ravel().astype(np.int64)
