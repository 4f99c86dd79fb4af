"""What latitude and longitude alone say: no image, no weather, no reading of the day."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.estimators.estimator import Features, FittedEstimator, NothingLearnt, Prediction, without_sd
from model_utils.estimators.references.same_day import station_days

LEAST_STATIONS_OF_A_DAY = 3
LEAST_STATIONS = 5
"""Fewest stations that a plane is fitted to; with fewer it is level."""


@dataclass(frozen=True)
class Plane:
    """Mean of the training readings + a plane in latitude and longitude, the same on every date.

    The plane is least squares on station anomalies. Stations read on different dates, so a raw mean knows the season,
    and the same-day mean knows who else read: each day's mean over stations is taken from readings and
    coordinates alike, then both are averaged by station (a regression with an effect for each day, Frisch & Waugh
    1933, in which every station counts once).
    """

    @property
    def uses_same_day_readings(self) -> bool:
        """Never."""
        return False

    def fit(self, samples: pd.DataFrame, features: Features, training: NDArray[np.bool_]) -> FittedEstimator:
        """Fits level and plane; says nothing where there is no training reading."""
        train = samples[training]
        readings = station_days(train)
        if readings.empty:
            return NothingLearnt()
        stations = train.drop_duplicates("site_id").set_index("site_id").loc[readings.index]
        places = stations[["latitude", "longitude"]].to_numpy(float)
        values = readings.to_numpy()
        present = np.isfinite(values)
        # least squares pass through the mean of the readings
        middle = present.sum(axis=1) @ places / present.sum()
        return FittedPlane(float(values[present].mean()), middle, _slope(values, present, places))


@dataclass(frozen=True)
class FittedPlane(FittedEstimator):
    """A plane.

    Attributes:
        level: ug/m3 in the middle.
        middle: Latitude and longitude, degrees.
        slope: ug/m3 per degree of each.
    """

    level: float
    middle: NDArray[np.float64]
    slope: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.middle.shape != (2,) or self.slope.shape != (2,):
            raise ValueError(f"plane: found {self.middle.shape} and {self.slope.shape} numbers, expected 2 and 2")

    def predict(self, samples: pd.DataFrame, features: Features) -> Prediction:
        """The plane's height at every row."""
        places = samples[["latitude", "longitude"]].to_numpy(float)
        return without_sd(self.level + (places - self.middle) @ self.slope)


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
