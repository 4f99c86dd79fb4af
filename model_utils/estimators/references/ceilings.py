"""What a perfect reading of a simulated image could know: the ceilings of a simulated city."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression

from model_utils.estimators.estimator import Features, FittedEstimator, NothingLearnt, Prediction, without_sd

LAND_USE, OPTICAL_DEPTH = "true_land_use_increment", "true_optical_depth"
_NAMED = {
    "ceiling_true_land_use": (LAND_USE,),
    "ceiling_true_optical_depth": (OPTICAL_DEPTH,),
    "ceiling_true_both": (LAND_USE, OPTICAL_DEPTH),
}

_WIDTHS = {LAND_USE: 1, OPTICAL_DEPTH: 3}
"""Columns of the design."""


def ceilings(samples: pd.DataFrame) -> Mapping[str, HiddenTruth]:
    """Regressions on the hidden truth that a simulated archive carries, as far as its columns allow."""
    return {
        name: HiddenTruth(columns)
        for name, columns in _NAMED.items()
        if set(columns) <= set(samples.columns) and np.isfinite(samples[list(columns)].to_numpy(float)).all()
    }


@dataclass(frozen=True)
class HiddenTruth:
    """Least squares of log PM2.5 on true columns, fitted on the training stations like every other method.

    These are the land-use part of a station's log increment (the same every day, so it knows places only), the
    logarithm of the tile's optical depth and the season, which the height of the sun shows, or both.

    Attributes:
        columns: Of the samples.
    """

    columns: tuple[str, ...]

    @property
    def uses_same_day_readings(self) -> bool:
        """Never."""
        return False

    def fit(self, samples: pd.DataFrame, features: Features, training: NDArray[np.bool_]) -> FittedEstimator:
        """Fits the training rows that have a reading; says nothing where none has."""
        train = samples[training & samples["pm25"].notna().to_numpy()]
        if train.empty:
            return NothingLearnt()
        design = _design(train, self.columns)
        varies = np.ptp(design, axis=0) > 0  # a single station's land use would get a slope from its rounding
        model = LinearRegression().fit(design * varies, np.log(train["pm25"].to_numpy(np.float64).clip(1)))
        return FittedHiddenTruth(self.columns, model.coef_ * varies, float(model.intercept_))


@dataclass(frozen=True)
class FittedHiddenTruth(FittedEstimator):
    """exp(intercept + weights x design).

    Attributes:
        columns: Of the samples.
        weights: Log units, one a column of the design.
        intercept: Log units.
    """

    columns: tuple[str, ...]
    weights: NDArray[np.float64]
    intercept: float

    def __post_init__(self) -> None:
        expected = sum(_WIDTHS.get(name, 0) for name in self.columns)
        if self.columns not in _NAMED.values() or self.weights.shape != (expected,):
            raise ValueError(f"hidden truth: found {self.weights.shape} weights of {self.columns}")

    def predict(self, samples: pd.DataFrame, features: Features) -> Prediction:
        """From the rows' hidden truth."""
        return without_sd(np.exp(_design(samples, self.columns) @ self.weights + self.intercept))


def _design(rows: pd.DataFrame, columns: tuple[str, ...]) -> NDArray[np.float64]:
    design = []
    if LAND_USE in columns:
        design.append(rows[LAND_USE].to_numpy(np.float64).round(6))
    if OPTICAL_DEPTH in columns:
        season = 2 * np.pi * rows["local_date"].dt.day_of_year.to_numpy(np.float64) / 365.25
        depth = rows[OPTICAL_DEPTH].to_numpy(np.float64).clip(1e-3)
        design += [np.log(depth), np.cos(season), np.sin(season)]
    return np.column_stack(design)
