"""Same-day fields: what the other stations' readings of a day say about a place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.estimators.choices import Field
from model_utils.estimators.estimator import Features, FittedEstimator, Prediction, without_sd
from model_utils.estimators.references.kriging import Variogram, fit_variogram, krige
from model_utils.estimators.references.same_day import (
    READING_COLUMNS,
    checked_readings,
    inverse_distance,
    same_day_mean,
)

FIELDS: Mapping[str, Callable[[pd.DataFrame, pd.DataFrame], NDArray[np.float64]]] = {
    "mean": same_day_mean,
    "inverse_distance": inverse_distance,
}
"""Each takes (train, test) and leaves out the reading of a row's own station; kriging needs a variogram besides."""


@dataclass(frozen=True)
class SameDayField:
    """A field of all readings that may be known of a day.

    A station does not see its own reading: nothing would be left to learn for what is added to the field, and at test
    stations the field would be another one than in training.

    Attributes:
        field: Which one; kriging has one variogram, fitted to the training rows.
    """

    field: Field

    @property
    def uses_same_day_readings(self) -> bool:
        """Always."""
        return True

    def fit(self, samples: pd.DataFrame, features: Features, training: NDArray[np.bool_]) -> FittedField:
        """Keeps the known readings, and fits the variogram."""
        known = samples.loc[samples["pm25"].notna(), list(READING_COLUMNS)].reset_index(drop=True)
        variogram = fit_variogram(samples[training]) if self.field == "kriging" else None
        return FittedField(self.field, known, variogram)


@dataclass(frozen=True)
class FittedField(FittedEstimator):
    """A same-day field.

    Attributes:
        field: Which one.
        readings: Known ones: `READING_COLUMNS`.
        variogram: Of kriging.
    """

    field: str
    readings: pd.DataFrame
    variogram: Variogram | None

    def __post_init__(self) -> None:
        if self.field not in (*FIELDS, "kriging"):
            raise ValueError(f"field: found {self.field!r}")
        checked_readings(self.readings)

    def predict(self, samples: pd.DataFrame, features: Features) -> Prediction:
        """The field at every row, a station's own reading left out; NaN where no other known station reads that day."""
        if self.field == "kriging":
            return without_sd(krige(self.variogram, self.readings, samples))
        return without_sd(FIELDS[self.field](self.readings, samples))
