"""`pm25 predict`: what the map says at given coordinates."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from rasterio.warp import transform

from model_utils import atomic
from model_utils.cities import load_city
from model_utils.locking import locked
from model_utils.mapping.air_quality_index import pm25_sub_index
from model_utils.mapping.blocks import Block
from model_utils.mapping.config import MapConfig, PredictConfig
from model_utils.mapping.job import MapJob, map_job, opened
from model_utils.mapping.layers import REASON, REASONS
from model_utils.mapping.places.grid import WGS84
from model_utils.mapping.points_file import ANSWER, check_columns, check_out, read_points
from model_utils.mapping.prediction import period_means, predict_dates

SIDE = 64
"""Cells are worked on in squares of so many a side, as neighbours are read together."""
CELLS_AT_ONCE = SIDE**2
POINTS_AT_ONCE = 100_000
"""Rows that are written together."""

Floats = NDArray[np.float64]


def predict(config: PredictConfig) -> None:
    """Writes what is predicted at the points of a file.

    Raises:
        InputError: A column, a row or a flag is wrong, or the file is there already.
        InUseError: Another process writes this file.
    """
    with locked(config.out):
        _predict(config)


def _predict(config: PredictConfig) -> None:
    check_out(config.out, config.overwrite)
    points = read_points(config.points, load_city(config.city, config.root).bounding_box)
    rows = known = 0
    with atomic.replacing(config.out) as temporary, ExitStack() as stack:
        writer = None
        for part in predictions(config.map_config(), points):
            if config.out.suffix == ".csv":
                part.to_csv(temporary, index=False, header=rows == 0, mode="a" if rows else "w")
            else:
                if writer is None:
                    schema = _schema(points, part)
                    writer = stack.enter_context(pq.ParquetWriter(temporary, schema))
                writer.write_table(pa.Table.from_pandas(part, schema=schema, preserve_index=False))
            rows += len(part)
            known += int(part["pm25"].notna().sum())
    print(f"{config.out}: {len(points)} points, {rows} rows, {known} with a value")
    for note in map_job(config.map_config()).notes:  # that the answer came from
        print(note)


def _schema(points: pd.DataFrame, part: pd.DataFrame) -> pa.Schema:
    """Of all parts: a column that is empty in one of them is of the type that it has in the others."""
    theirs = pa.Schema.from_pandas(points, preserve_index=False)
    ours = pa.Schema.from_pandas(part[list(ANSWER)], preserve_index=False)
    return pa.schema([*theirs, *ours]).with_metadata(pa.Schema.from_pandas(part, preserve_index=False).metadata)


def predict_at(config: MapConfig, points: pd.DataFrame) -> pd.DataFrame:
    """What the map has in the cell around each point.

    Args:
        config: Of the map; its area does not matter here.
        points: latitude, longitude (WGS84 degrees); other columns are kept.

    Returns:
        A row a point and time, by time and then in the order of the points: the columns of the points, time (first
        day), pm25, pm25_lower, pm25_upper, pm25_sd (ug/m3), place_effect (%), dissimilarity, inside_applicability,
        aqi, reason. What is not known is missing.

    Raises:
        InputError: As `map_job` says.
    """
    return pd.concat(predictions(config, points), ignore_index=True)


def predictions(config: MapConfig, points: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """The rows of `predict_at` in their order, some at a time.

    A cell is worked on once, whatever the number of its points, and what is kept of all cells is a few numbers each:
    one time of them is predicted after the other.
    """
    check_columns(points)
    job = opened(config)
    cells, cell = _cells_of(job, points)
    places = _Places(job, cells)
    for number, bounds in enumerate(job.times.bounds):
        values = places.at_time(number, pd.Timestamp(bounds[0]))
        for start in range(0, len(points), POINTS_AT_ONCE):
            some = slice(start, start + POINTS_AT_ONCE)
            told = values.iloc[cell[some]].reset_index(drop=True)
            yield pd.concat([points.iloc[some].reset_index(drop=True), told], axis=1)


class _Places:
    """What is known of n cells whatever the day."""

    def __init__(self, job: MapJob, cells: pd.DataFrame) -> None:
        """Looks at all cells.

        Args:
            job: The map.
            cells: n rows, as `MapCells.named` gives them.
        """
        self._job, self._fitted = job, job.with_air(job.air())
        self._threshold = float(job.fitted.process.applicability().threshold)
        self._place, self._variance, self._dissimilarity = np.full((3, len(cells)), np.nan)
        self._shown = np.ones(len(cells), bool)
        sites = []
        for start in range(0, len(cells), CELLS_AT_ONCE):
            some = slice(start, start + CELLS_AT_ONCE)
            table = cells.iloc[some].reset_index(drop=True)
            rows, means = job.seen(table)
            self._place[some], self._variance[some] = job.fitted.places(rows, means)
            self._dissimilarity[some] = job.fitted.dissimilarity(rows, means)
            if job.source is not None:
                self._shown[some] = job.source.shows(table)
            sites.append(rows[["site_id", "latitude", "longitude"]])
        self._sites = pd.concat(sites, ignore_index=True)

    def at_time(self, number: int, first: pd.Timestamp) -> pd.DataFrame:
        """The columns `ANSWER` of all cells in a period that begins on a day."""
        parts = [self._some_at_time(slice(start, start + CELLS_AT_ONCE), number) for start in self._starts]
        mean, sd, lower, upper = (np.concatenate(each) for each in zip(*(part[:4] for part in parts), strict=True))
        why = np.concatenate([part[4] for part in parts])
        level = np.where(why == REASON["value"], mean, np.nan)
        inside = pd.Series(self._dissimilarity <= self._threshold, dtype="boolean")
        aqi = pd.Series(pm25_sub_index(level, first, self._job.scale), dtype="Int16")
        return pd.DataFrame(
            {
                "time": first,
                "pm25": level,
                "pm25_lower": np.where(np.isfinite(level), lower, np.nan),
                "pm25_upper": np.where(np.isfinite(level), upper, np.nan),
                "pm25_sd": np.where(np.isfinite(level), sd, np.nan),
                "place_effect": 100 * np.expm1(self._place),
                "dissimilarity": self._dissimilarity,
                "inside_applicability": inside.mask(~np.isfinite(self._dissimilarity)),
                "aqi": aqi.mask(~np.isfinite(level)),
                "reason": pd.Series(REASONS, dtype="str").loc[why].to_numpy(),
            }
        )

    @property
    def _starts(self) -> range:
        return range(0, len(self._place), CELLS_AT_ONCE)

    def _some_at_time(self, some: slice, number: int) -> tuple[Floats, Floats, Floats, Floats, NDArray[np.int8]]:
        """Mean, standard deviation, bounds and reason of some cells in a period."""
        job = self._job
        days = job.times.days[job.times.period == number]
        place, variance = self._place[some], self._variance[some]
        mean, sd = predict_dates(self._fitted, self._sites.iloc[some], place, variance, days)
        period = np.zeros(len(days), np.int64)
        means = period_means(mean, sd, period, job.config.period, job.loaded.model.reach)
        block = Block(
            place=place,
            place_sd=np.sqrt(variance),
            dissimilarity=self._dissimilarity[some],
            shown=self._shown[some],
            mean=means.mean,
            sd=means.sd,
            lower=means.lower,
            upper=means.upper,
        )
        why = block.reasons(self._threshold, job.config.keep_outside)
        return means.mean[0], means.sd[0], means.lower[0], means.upper[0], why[0]


def _cells_of(job: MapJob, points: pd.DataFrame) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """The cells that hold points, as `MapCells.named` gives cells, square by square, and the number of each point's."""
    grid = job.cells.grid
    places = transform(WGS84, grid.crs, points["longitude"].to_numpy(), points["latitude"].to_numpy())
    east, north = (np.floor(np.divide(each, grid.spacing)).astype(np.int64) for each in places)
    lattice = pd.DataFrame({"row": north // SIDE, "column": east // SIDE, "north": north, "east": east})
    names = ["row", "column", "north", "east"]
    each = lattice.drop_duplicates().sort_values(names)
    cell = lattice.groupby(names).ngroup().to_numpy().astype(np.int64)
    return job.cells.named(each["east"].to_numpy(), each["north"].to_numpy()), cell
