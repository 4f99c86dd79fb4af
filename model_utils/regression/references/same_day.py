"""Fields of one day's readings: what the other stations say about a place."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics.pairwise import haversine_distances


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
