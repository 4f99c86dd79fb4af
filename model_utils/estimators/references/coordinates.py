"""What a place alone says: no image, no weather, no reading of the day."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.estimators.references.same_day import station_days

LEAST_STATIONS_OF_A_DAY = 3
LEAST_STATIONS = 5
"""Fewest stations that a plane is fitted to; with fewer it is level."""


def latitude_longitude(train: pd.DataFrame, test: pd.DataFrame) -> NDArray[np.float64]:
    """Mean of the training readings + a plane in latitude and longitude, the same on every date.

    The plane is least squares on station anomalies. Stations read on different dates, so a raw mean knows the season,
    and the same-day mean knows who else read: each day's mean over stations is taken from readings and
    coordinates alike, then both are averaged by station (a regression with an effect for each day, Frisch & Waugh
    1933, in which every station counts once). NaN where there is no training reading.
    """
    readings = station_days(train)
    if readings.empty:
        return np.full(len(test), np.nan)
    stations = train.drop_duplicates("site_id").set_index("site_id").loc[readings.index]
    places = stations[["latitude", "longitude"]].to_numpy(float)
    values = readings.to_numpy()
    present = np.isfinite(values)
    level = values[present].mean()
    middle = present.sum(axis=1) @ places / present.sum()  # least squares pass through the mean of the readings
    slope = _slope(values, present, places)
    predicted: NDArray[np.float64] = level + (test[["latitude", "longitude"]].to_numpy(float) - middle) @ slope
    return predicted


def _slope(values: NDArray[np.float64], present: NDArray[np.bool_], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """ug/m3 per degree of latitude and of longitude; zeros where stations are too few."""
    compared = present & (present.sum(axis=0) >= LEAST_STATIONS_OF_A_DAY)
    used = compared.any(axis=1)
    if used.sum() < LEAST_STATIONS:
        return np.zeros(2)
    count = np.maximum(compared.sum(axis=0), 1)
    columns = np.stack([np.where(compared, values, 0), *(compared * axis[:, None] for axis in places.T)])
    centred = compared * (columns - columns.sum(axis=1, keepdims=True) / count)
    anomaly, *place = centred.sum(axis=2)[:, used] / compared.sum(axis=1)[used]
    slope: NDArray[np.float64] = np.linalg.lstsq(np.column_stack(place), anomaly, rcond=None)[0]
    return slope
