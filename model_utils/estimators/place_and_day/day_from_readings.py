"""The level of a day from the readings of that day: kriging of ln PM2.5 - place."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.estimators.place_and_day.two_way_effects import TwoWayEffects
from model_utils.estimators.references.kriging import Variogram, fit_variogram, krige_with_variance
from model_utils.estimators.references.same_day import checked_readings
from model_utils.estimators.saving import Saved
from model_utils.geography import great_circle_km

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class DayFromReadings(Saved):
    """Day + residual at a place, from the stations that read that day.

    Attributes:
        readings: `READING_COLUMNS`; pm25 is ln PM2.5 - place, which differs from place to place by its residual only.
        variogram: Of these, log units squared.
    """

    readings: pd.DataFrame
    variogram: Variogram

    def __post_init__(self) -> None:
        checked_readings(self.readings)

    def predict(self, samples: pd.DataFrame) -> tuple[Floats, Floats]:
        """Mean and variance of ln PM2.5 - place at n rows, a row's own station left out; NaN where no other reads."""
        rows = samples[["site_id", "latitude", "longitude", "local_date"]]
        today = self.readings["local_date"].isin(rows["local_date"].unique())
        return krige_with_variance(self.variogram, self.readings[today], rows)


def residual_variogram(
    stations: pd.DataFrame,
    dates: NDArray[np.datetime64],
    values: Floats,
    effects: TwoWayEffects,
    residual_variance: float,
) -> Variogram:
    """The variogram of the residuals of a two-way table.

    Effects that were fitted to the readings leave less of a difference between stations than there is: what is left
    has `degrees_of_freedom` of the readings - days that differences on a day have.

    Args:
        stations: site_id, latitude, longitude (WGS84 degrees), s rows.
        dates: d.
        values: Log readings, s x d, NaN = none.
        effects: Of these.
        residual_variance: What stations differ by where too few read to tell how it depends on their distance.
    """
    station, day = np.nonzero(np.isfinite(values))
    rows = stations.iloc[station].assign(local_date=dates[day], pm25=(values - effects.place[:, None])[station, day])
    found = fit_variogram(rows, relative=False) if effects.degrees_of_freedom > 0 else None
    if found is None:
        return Variogram(partial_sill=0.0, range_km=1.0, nugget=residual_variance)
    lost = (len(rows) - len(np.unique(day))) / effects.degrees_of_freedom
    return replace(found, partial_sill=found.partial_sill * lost, nugget=found.nugget * lost)


def effect_errors(stations: pd.DataFrame, values: Floats, variogram: Variogram, residual_variance: float) -> Floats:
    """Covariance of the errors of station effects, s x s.

    An effect's error is the mean residual over the station's days: of variance residual variance / days. Stations that
    are close share much of it on the days that both read, and would pass for places that are alike.

    Args:
        stations: latitude, longitude (WGS84 degrees), s rows.
        values: Log readings, s x d, NaN = none.
        variogram: Of the residuals: how alike they are at a distance.
        residual_variance: Log units squared.
    """
    latitude, longitude = (stations[name].to_numpy(np.float64) for name in ("latitude", "longitude"))
    km = great_circle_km(latitude[:, None], longitude[:, None], latitude, longitude)
    alike = 1 - variogram(km) / (variogram.partial_sill + variogram.nugget)
    np.fill_diagonal(alike, 1.0)
    present = np.isfinite(values).astype(np.float64)
    days = present.sum(axis=1)
    return np.asarray(residual_variance * alike * (present @ present.T) / (days[:, None] * days))
