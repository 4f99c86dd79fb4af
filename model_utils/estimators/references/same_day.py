"""Fields of one day's readings: what the other stations say about a place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.geography import great_circle_km

READING_COLUMNS = ("site_id", "latitude", "longitude", "local_date", "pm25")


@dataclass(frozen=True)
class Neighbours:
    """n stations that read on d days, seen from m places.

    Attributes:
        readings: ug/m3, n x d, NaN where a station does not read.
        apart: Distance between stations, km, n x n.
        distance: Distance from places to stations, km, m x n.
        own: Whether the place is that very station, m x n; no place is shown its own reading.
    """

    readings: NDArray[np.float64]
    apart: NDArray[np.float64]
    distance: NDArray[np.float64]
    own: NDArray[np.bool_]


def same_day_mean(train: pd.DataFrame, test: pd.DataFrame) -> NDArray[np.float64]:
    """The mean of the other training stations that read on that day; NaN where none does."""
    return at_rows(train, test, mean_field)


def inverse_distance(train: pd.DataFrame, test: pd.DataFrame) -> NDArray[np.float64]:
    """Mean of the same day's other training stations, weighted by 1 / great-circle distance^2 (Shepard 1968).

    Another station at distance 0 that reads that day gives its reading. NaN where none reads that day.
    """
    return at_rows(train, test, _inverse_distance_field)


def at_rows(
    train: pd.DataFrame, test: pd.DataFrame, field: Callable[[Neighbours], NDArray[np.float64]]
) -> NDArray[np.float64]:
    """A field of the readings in `train` at the rows of `test`, without a row's own station.

    Args:
        train: Rows with site_id, latitude, longitude, local_date, pm25.
        test: Rows with the same but pm25.
        field: Gives places x days, ug/m3; it is asked for every site of `test` on every day of `train` at once.

    Returns:
        ug/m3 by row of `test`, NaN on days without a reading.
    """
    return layers_at_rows(train, test, lambda neighbours: (field(neighbours),))[0]


def layers_at_rows(
    train: pd.DataFrame,
    test: pd.DataFrame,
    field: Callable[[Neighbours], tuple[NDArray[np.float64], ...]],
    count: int = 1,
) -> tuple[NDArray[np.float64], ...]:
    """As `at_rows`, of `count` fields that are found together: a mean and its variance."""
    readings = station_days(train)
    if readings.empty or test.empty:
        return (np.full(len(test), np.nan),) * count
    stations = train.drop_duplicates("site_id").set_index("site_id").loc[readings.index]
    sites = test.drop_duplicates("site_id")
    own = readings.index.get_indexer(pd.Index(sites["site_id"]))[:, None] == np.arange(len(readings))
    neighbours = Neighbours(readings.to_numpy(), _km(stations, stations), _km(sites, stations), own)
    day = readings.columns.get_indexer(pd.Index(test["local_date"]))
    site = pd.Index(sites["site_id"]).get_indexer(pd.Index(test["site_id"]))
    return tuple(np.where(day >= 0, layer[site, day], np.nan) for layer in field(neighbours))


def station_days(rows: pd.DataFrame) -> pd.DataFrame:
    """Readings as stations x days, averaged where a station reads twice a day, NaN where it does not."""
    return rows.dropna(subset="pm25").pivot_table(index="site_id", columns="local_date", values="pm25").astype(float)


def checked_readings(readings: pd.DataFrame) -> pd.DataFrame:
    """Readings that fields can be made of.

    Raises:
        ValueError: They are not `READING_COLUMNS` of texts, dates and finite numbers.
    """
    if tuple(readings.columns) != READING_COLUMNS:
        raise ValueError(f"readings: found the columns {', '.join(map(repr, readings.columns))}")
    numbers = readings[["latitude", "longitude", "pm25"]]
    if (
        not set(numbers.dtypes) <= {np.dtype(kind) for kind in (float, np.float32, int)}
        or not np.isfinite(numbers.to_numpy(np.float64)).all()
    ):
        raise ValueError("readings: found a latitude, longitude or pm25 that is no number")
    if pd.api.types.infer_dtype(readings["site_id"]) not in ("string", "empty"):
        raise ValueError("readings: found a site_id that is no text")
    if readings["local_date"].dtype.kind != "M" or readings["local_date"].isna().any():
        raise ValueError("readings: found a local_date that is none")
    return readings


def mean_field(neighbours: Neighbours) -> NDArray[np.float64]:
    """Places x days: the mean of the other stations."""
    return _weighted_mean((~neighbours.own).astype(float), neighbours.readings)


def _inverse_distance_field(neighbours: Neighbours) -> NDArray[np.float64]:
    at_station = (neighbours.distance == 0) & ~neighbours.own
    apart = neighbours.distance > 0
    weight = np.where(apart, np.where(apart, neighbours.distance, 1) ** -2.0, 0)
    there = _weighted_mean(at_station.astype(float), neighbours.readings)
    return np.where(np.isnan(there), _weighted_mean(weight * ~neighbours.own, neighbours.readings), there)


def _weighted_mean(weight: NDArray[np.float64], readings: NDArray[np.float64]) -> NDArray[np.float64]:
    """Places x days: the mean over the stations present, NaN where none has a weight."""
    total = weight @ np.isfinite(readings).astype(float)
    mean: NDArray[np.float64] = weight @ np.nan_to_num(readings) / np.where(total > 0, total, np.nan)
    return mean


def _km(a: pd.DataFrame, b: pd.DataFrame) -> NDArray[np.float64]:
    (latitude1, longitude1), (latitude2, longitude2) = (
        frame[["latitude", "longitude"]].to_numpy(float).T for frame in (a, b)
    )
    return great_circle_km(latitude1[:, None], longitude1[:, None], latitude2, longitude2)
