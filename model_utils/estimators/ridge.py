"""The linear head: standardised features, principal components, ridge; tuned on validation stations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.estimators.estimator import (
    Constant,
    Features,
    FittedEstimator,
    NothingLearnt,
    Prediction,
    without_sd,
)
from model_utils.sampling.splits import validation_groups

COMPONENTS = (8, 32, 128, np.inf)
PENALTIES = (1e4, 1e3, 1e2, 1e1, 1.0, 1e-1, 1e-2)

Setting = tuple[int, float]
"""Number of components, penalty."""


@dataclass(frozen=True)
class RidgeHead:
    """Ridge on the leading principal components of standardised features.

    Every training station is predicted once from the others for each setting of a grid; the setting with the lowest
    loss is fitted to all training rows. The loss is the mean squared error + `spatial_weight` x the mean squared error
    of same-day anomalies (`stretched`); the penalty is added to it, so it does not depend on the number of rows.

    Attributes:
        spatial_weight: lambda of the spatial loss (Zheng et al. 2021); 0 is the mean squared error alone.
        seed: Deals the stations into groups.
    """

    spatial_weight: float = 0.0
    seed: int = 0

    @property
    def uses_same_day_readings(self) -> bool:
        """Never."""
        return False

    def fit(self, samples: pd.DataFrame, features: Features, training: NDArray[np.bool_]) -> FittedEstimator:
        """Fits the training rows that have a reading; their mean where nothing can be chosen."""
        assert isinstance(features, np.ndarray)
        pm25 = samples["pm25"].to_numpy(np.float64)
        training = training & np.isfinite(pm25)
        if not training.any():
            return NothingLearnt()
        group = validation_groups(samples[training], self.seed)
        if group.max() == 0 or np.ptp(pm25[training]) == 0:
            return Constant(float(pm25[training].mean()))
        x, y = features[training].astype(np.float64), pm25[training]
        date = np.unique(samples["local_date"].to_numpy()[training], return_inverse=True)[1]
        fewest_rows = len(y) - int(np.bincount(group).max())
        most = min(fewest_rows - 1, x.shape[1])
        components = sorted({int(min(count, most)) for count in COMPONENTS})
        # from rigid to flexible, so that the most rigid of equals is taken
        settings = [(count, penalty) for count in components for penalty in PENALTIES]

        residual = np.empty((len(y), len(settings)))
        for number in np.unique(group):
            kept = group == number
            weights, intercept = ridge(x[~kept], y[~kept], date[~kept], settings, self.spatial_weight)
            residual[kept] = y[kept, None] - (x[kept] @ weights + intercept)
        loss = (stretched(residual, date, self.spatial_weight) ** 2).mean(axis=0)
        # settings that differ by rounding only are equal, or the choice would depend on the order of rows
        best = settings[int(np.flatnonzero(loss <= loss.min() * (1 + 1e-9))[0])]
        weights, intercept = ridge(x, y, date, [best], self.spatial_weight)
        chosen = {"components": float(best[0]), "penalty": best[1]}
        return FittedRidge(weights[:, 0], float(intercept[0]), trials=len(settings), chosen=chosen)


@dataclass(frozen=True)
class FittedRidge(FittedEstimator):
    """intercept + weights x features.

    Attributes:
        weights: Of the features as they are, ug/m3, d.
        intercept: ug/m3.
    """

    weights: NDArray[np.float64]
    intercept: float

    def __post_init__(self) -> None:
        if self.weights.ndim != 1:
            raise ValueError(f"ridge: found {self.weights.shape} weights, expected one a feature")

    def sees(self) -> int:
        """All its features."""
        return len(self.weights)

    def predict(self, samples: pd.DataFrame, features: Features) -> Prediction:
        """The line at every row."""
        assert isinstance(features, np.ndarray)
        return without_sd(features.astype(np.float64) @ self.weights + self.intercept)


def stretched(values: NDArray[np.float64], date: NDArray[np.int64], spatial_weight: float) -> NDArray[np.float64]:
    """Rows with their differences from the same-day mean stretched by sqrt(1 + lambda).

    The mean of the squares of r, stretched, is mean(r^2) + lambda mean(a^2) with a = r - its same-day mean, because day
    means and anomalies are orthogonal: the spatial loss is least squares on stretched rows.

    Args:
        values: n x m.
        date: Date of each row, whole numbers from 0.
        spatial_weight: lambda.
    """
    if spatial_weight == 0:
        return values
    of_day = np.equal.outer(np.arange(date.max() + 1), date).astype(np.float64)
    same_day = (of_day @ values / np.maximum(of_day.sum(axis=1, keepdims=True), 1))[date]
    return np.asarray(same_day + np.sqrt(1 + spatial_weight) * (values - same_day))


def ridge(
    features: NDArray[np.float64],
    target: NDArray[np.float64],
    date: NDArray[np.int64],
    settings: Sequence[Setting],
    spatial_weight: float = 0.0,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fits every setting from one eigendecomposition (Hastie, Tibshirani, Friedman 2009, sections 3.4.1 and 3.5.1).

    Minimises mean((y - b - z w)^2) + lambda mean(anomalies^2) + penalty |w|^2 over w in the span of the leading
    components, where z are features in standard deviations of these rows, and components those of the stretched z.

    Args:
        features: n x d.
        target: n.
        date: Date of each row, whole numbers from 0.
        settings: Numbers of components (at most min(n - 1, d)) and penalties.
        spatial_weight: lambda.

    Returns:
        Weights of the features as they are, d x settings, and intercepts, settings.
    """
    rows, width = features.shape
    mean, level = features.mean(axis=0), target.mean()
    spread = features.std(axis=0)
    spread = np.where(spread > 1e-8, spread, 1.0)  # a dead unit stays at zero
    z = stretched((features - mean) / spread, date, spatial_weight)
    y = stretched(target[:, None] - level, date, spatial_weight)[:, 0]
    primal = rows >= width  # the smaller of the two Gram matrices has all that is needed
    eigenvalue, vector = np.linalg.eigh((z.T @ z if primal else z @ z.T) / rows)
    eigenvalue, vector = np.maximum(eigenvalue[::-1], 0), vector[:, ::-1]
    projected = vector.T @ (z.T @ y if primal else y) / rows
    count, penalty = np.array(settings).T
    shrunk = projected[:, None] / (eigenvalue[:, None] + penalty) * (np.arange(len(eigenvalue))[:, None] < count)
    weights = vector @ shrunk if primal else z.T @ (vector @ shrunk)
    weights /= spread[:, None]
    return weights, level - mean @ weights
