"""PM2.5 from the weather alone: no image, no date, no place, no reading of the day.

Weather is nearly the same at all stations of a date and differs between dates. A forest fitted on other stations of a
date recognises the date by its weather and returns its level, which looks like skill in time and is none: that
skill is to be measured with the predicted dates left out of training. A ridge of three numbers can do so much less.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor

from model_utils.estimators.estimator import Estimator, Features, FittedEstimator, NothingLearnt, Prediction, without_sd
from model_utils.estimators.forests.trees import Trees, checked, trees_of
from model_utils.estimators.references.cross_validated_ridge import CrossValidatedRidge
from model_utils.estimators.references.weather_inputs import WeatherInputs, weather_inputs

TREES = 200
LEAF_ROWS = 5  # usual for regression (Liaw & Wiener 2002); fixed, so that no reading has a say in it


@dataclass(frozen=True)
class OnWeather:
    """An estimator whose features are temperature, relative humidity and pressure; it says nothing without them.

    Attributes:
        estimator: Of n x k features.
    """

    estimator: Estimator

    @property
    def uses_same_day_readings(self) -> bool:
        """Never."""
        return False

    def fit(self, samples: pd.DataFrame, features: Features, training: NDArray[np.bool_]) -> FittedEstimator:
        """Fits the weather of the training rows."""
        weather = weather_inputs(samples, training)
        if not weather.names:
            return NothingLearnt()
        fitted = self.estimator.fit(samples, weather.values(samples), training)  # type: ignore[arg-type]
        return FittedOnWeather(weather, fitted, trials=fitted.trials, chosen=fitted.chosen)


@dataclass(frozen=True)
class FittedOnWeather(FittedEstimator):
    """What was fitted to weather.

    Attributes:
        weather: Fills its gaps.
        fitted: Predicts from it.
    """

    weather: WeatherInputs
    fitted: FittedEstimator

    def __post_init__(self) -> None:
        if self.fitted.sees() not in (None, len(self.weather.names)):
            raise ValueError(
                f"weather: found {len(self.weather.names)}, expected the {self.fitted.sees()} that it sees"
            )

    def predict(self, samples: pd.DataFrame, features: Features) -> Prediction:
        """From the rows' weather."""
        return self.fitted.predict(samples, self.weather.values(samples))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Forest:
    """Random forest (Breiman 2001) on few columns; the order of the rows does not matter."""

    @property
    def uses_same_day_readings(self) -> bool:
        """Never."""
        return False

    def fit(self, samples: pd.DataFrame, features: Features, training: NDArray[np.bool_]) -> FittedEstimator:
        """Fits the training rows that have a reading."""
        assert isinstance(features, np.ndarray)
        read = training & samples["pm25"].notna().to_numpy()
        x, pm25 = features[read], samples["pm25"].to_numpy(np.float64)[read]
        if not x.size:
            return NothingLearnt()
        order = np.lexsort((pm25, *x.T))  # resampling goes by position
        forest = RandomForestRegressor(TREES, min_samples_leaf=LEAF_ROWS, random_state=0, n_jobs=1)
        return FittedForest(trees_of(forest.fit(x[order], pm25[order]).estimators_), x.shape[1])


@dataclass(frozen=True)
class FittedForest(FittedEstimator):
    """A forest.

    Attributes:
        trees: Its trees.
        width: How many columns they look at.
    """

    trees: Trees
    width: int

    def __post_init__(self) -> None:
        checked(self.trees, self.width)

    def sees(self) -> int:
        """All columns, though some may be in no tree."""
        return self.width

    def predict(self, samples: pd.DataFrame, features: Features) -> Prediction:
        """The mean of the trees."""
        assert isinstance(features, np.ndarray)
        return without_sd(self.trees.predict(features.astype(np.float32)))


def weather_ridge() -> OnWeather:
    """Ridge regression on the weather."""
    return OnWeather(CrossValidatedRidge())


def weather_forest() -> OnWeather:
    """A forest on the weather."""
    return OnWeather(Forest())
