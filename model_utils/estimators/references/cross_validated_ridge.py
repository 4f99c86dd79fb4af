"""Ridge regression with its penalty chosen on stations it has not seen: band statistics and weather have it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GroupKFold, PredefinedSplit
from sklearn.preprocessing import StandardScaler

from model_utils.estimators.estimator import Features, FittedEstimator, NothingLearnt, Prediction, without_sd

PENALTIES = tuple(10.0**power for power in range(-1, 6))
FOLDS = 5


@dataclass(frozen=True)
class CrossValidatedRidge:
    """PM2.5 on standardised features (Hoerl & Kennard 1970).

    Mean and spread of the features are those of the training rows. The penalty of `PENALTIES` with the least mean
    squared error at left-out stations is taken: five groups of whole stations, or with fewer than five
    training stations blocks of their dates.

    On band statistics: all tiles of a date share their haze, so it knows the level of a date from the training
    stations' tiles if these are of that date: skill in time is to be measured with the predicted dates left out.
    """

    @property
    def uses_same_day_readings(self) -> bool:
        """Never."""
        return False

    def fit(self, samples: pd.DataFrame, features: Features, training: NDArray[np.bool_]) -> FittedEstimator:
        """Fits the training rows that have a reading.

        Says nothing where there are no features or nothing to choose the penalty on (fewer than five stations on a
        single date).
        """
        assert isinstance(features, np.ndarray)
        read = training & samples["pm25"].notna().to_numpy()
        rows = samples[read]
        enough = rows["site_id"].nunique() >= FOLDS or rows["local_date"].nunique() >= 2
        if not (enough and features.shape[1]):
            return NothingLearnt(trials=len(PENALTIES))
        scaler = StandardScaler().fit(features[read].astype(np.float64))
        ridge = RidgeCV(PENALTIES, scoring="neg_mean_squared_error", cv=left_out(rows))
        ridge.fit(scaler.transform(features[read].astype(np.float64)), rows["pm25"].to_numpy(np.float64))
        return LinearModel(
            scaler.mean_,
            scaler.scale_,
            ridge.coef_,
            float(ridge.intercept_),
            trials=len(PENALTIES),
            chosen={"penalty": float(ridge.alpha_)},
        )


@dataclass(frozen=True)
class LinearModel(FittedEstimator):
    """intercept + weights x (features - mean) / scale.

    Attributes:
        mean: Of each feature, d.
        scale: Of each feature, d.
        weights: ug/m3, d.
        intercept: ug/m3.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    weights: NDArray[np.float64]
    intercept: float

    def __post_init__(self) -> None:
        if not (self.mean.shape == self.scale.shape == self.weights.shape and self.weights.ndim == 1):
            raise ValueError(f"linear model: found {self.mean.shape}, {self.scale.shape} and {self.weights.shape}")

    def sees(self) -> int:
        """All its features."""
        return len(self.weights)

    def predict(self, samples: pd.DataFrame, features: Features) -> Prediction:
        """The line at every row."""
        assert isinstance(features, np.ndarray)
        standardised = (features.astype(np.float64) - self.mean) / self.scale
        return without_sd(standardised @ self.weights + self.intercept)


def left_out(rows: pd.DataFrame) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Folds as positions of the rows to fit on and to validate on.

    Args:
        rows: `site_id`, `local_date`; at least `FOLDS` stations or two dates.
    """
    if rows["site_id"].nunique() >= FOLDS:
        return list(GroupKFold(FOLDS).split(rows, groups=rows["site_id"].to_numpy()))
    dates, date = np.unique(rows["local_date"].to_numpy(), return_inverse=True)
    block = date * min(FOLDS, len(dates)) // len(dates)
    return list(PredefinedSplit(block).split())
