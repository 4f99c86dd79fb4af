"""References that see no image: what a method must beat before its images can be said to help."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics.pairwise import haversine_distances


@dataclass(frozen=True)
class Reference:
    """A way to predict PM2.5 without images.

    Attributes:
        name: Its row in every table.
        uses_same_day_readings: Whether it reads training stations on the day it predicts.
        predict: (train, test) -> one prediction per row of `test`, ug/m3, NaN where it has none. Both frames have
            site_id, latitude, longitude (WGS84 degrees), local_date, and whatever else the reference
            documents; `train` has pm25 (ug/m3, NaN = no reading). `test`'s pm25 is never looked at.
    """

    name: str
    uses_same_day_readings: bool
    predict: Callable[[pd.DataFrame, pd.DataFrame], NDArray[np.float64]]


def same_day_mean(train: pd.DataFrame, test: pd.DataFrame) -> NDArray[np.float64]:
    """The mean of the training stations that read on that day; NaN where none does."""
    daily = _station_days(train).mean()
    return test["local_date"].map(daily).to_numpy(float)


def inverse_distance(train: pd.DataFrame, test: pd.DataFrame) -> NDArray[np.float64]:
    """Mean of the same day's training stations, weighted by 1 / great-circle distance^2 (Shepard 1968).

    A station at distance 0 that reads that day gives its reading. NaN where no training station reads that day.
    """
    readings = _station_days(train)
    if readings.empty or test.empty:
        return np.full(len(test), np.nan)
    places = train.drop_duplicates("site_id").set_index("site_id").loc[readings.index]
    sites = test.drop_duplicates("site_id")
    distance = haversine_distances(*(np.radians(frame[["latitude", "longitude"]]) for frame in (sites, places)))
    at_station = distance == 0
    weight = np.where(at_station, 0, 1 / np.where(at_station, 1, distance) ** 2)  # the Earth's radius cancels

    # test sites x training days: weighted mean of the stations present, else the reading at the very place
    present = readings.notna().to_numpy(float)
    filled = readings.fillna(0).to_numpy()
    here = at_station @ present > 0
    total = np.where(here, at_station @ present, weight @ present)
    mean = np.where(here, at_station @ filled, weight @ filled) / np.where(total > 0, total, np.nan)

    day = readings.columns.get_indexer(pd.Index(test["local_date"]))
    site = pd.Index(sites["site_id"]).get_indexer(pd.Index(test["site_id"]))
    return np.where(day >= 0, mean[site, day], np.nan)


def _station_days(rows: pd.DataFrame) -> pd.DataFrame:
    """Readings as stations x days, averaged where a station reads twice a day, NaN where it does not."""
    return rows.dropna(subset="pm25").pivot_table(index="site_id", columns="local_date", values="pm25").astype(float)


REFERENCES: tuple[Reference, ...] = (
    Reference("same_day_mean", uses_same_day_readings=True, predict=same_day_mean),
    Reference("inverse_distance", uses_same_day_readings=True, predict=inverse_distance),
)
"""All references, in the order of the tables."""
