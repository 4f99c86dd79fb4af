"""CNN-RF: image features and weather, side by side, into one forest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor
from sklearn.preprocessing import StandardScaler

from model_utils.estimators.estimator import Features, FittedEstimator, NothingLearnt, Prediction, without_sd
from model_utils.estimators.forests.joint import directions, training_rows
from model_utils.estimators.forests.trees import Trees, checked, trees_of
from model_utils.estimators.references.weather_inputs import WeatherInputs, weather_inputs

COMPONENTS = 32
TREES = 100
LEAST_ROWS_IN_LEAF = 3


@dataclass(frozen=True)
class ForestOnFeatures:
    """A random forest on [principal components of the image features, weather] (Zheng et al. 2020).

    All 512 features would hide the weather's three from a forest that looks at a third of its inputs a split, and take
    ten times as long.

    Attributes:
        seed: Of components and forest.
    """

    seed: int = 0

    @property
    def uses_same_day_readings(self) -> bool:
        """Never."""
        return False

    def fit(self, samples: pd.DataFrame, features: Features, training: NDArray[np.bool_]) -> FittedEstimator:
        """Fits the training rows that have a reading; says nothing without weather."""
        assert isinstance(features, np.ndarray)
        pm25 = samples["pm25"].to_numpy(np.float64)
        training = training & np.isfinite(pm25)
        rows = training_rows(samples, training)
        weather = weather_inputs(samples, training)
        if not len(rows) or not weather.names:
            return NothingLearnt()
        scaler = StandardScaler().fit(features[rows])
        image = directions(scaler.transform(features[rows]), COMPONENTS, self.seed)
        forest = RandomForestRegressor(
            TREES, max_features=1 / 3, min_samples_leaf=LEAST_ROWS_IN_LEAF, random_state=self.seed, n_jobs=1
        )
        inputs = _inputs(features[rows], scaler.mean_, scaler.scale_, image, weather.values(samples.iloc[rows]))
        return FittedForestOnFeatures(
            weather, scaler.mean_, scaler.scale_, image, trees_of(forest.fit(inputs, pm25[rows]).estimators_)
        )


@dataclass(frozen=True)
class FittedForestOnFeatures(FittedEstimator):
    """A forest on image and weather.

    Attributes:
        weather: Fills its gaps.
        mean: Of each feature, d.
        scale: Of each feature, d.
        components: Directions of the standardised features, k x d.
        trees: Of the forest.
    """

    weather: WeatherInputs
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    components: NDArray[np.floating]
    trees: Trees

    def __post_init__(self) -> None:
        width = self.sees()
        if (
            not self.mean.shape == self.scale.shape == (width,)
            or self.components.ndim != 2
            or self.components.shape[1] != width
        ):
            raise ValueError(f"components: found {self.components.shape} of {width} features")
        checked(self.trees, len(self.components) + len(self.weather.names))

    def sees(self) -> int:
        """All features of the image."""
        return len(self.mean)

    def predict(self, samples: pd.DataFrame, features: Features) -> Prediction:
        """The mean of the trees."""
        assert isinstance(features, np.ndarray)
        inputs = _inputs(features, self.mean, self.scale, self.components, self.weather.values(samples))
        return without_sd(self.trees.predict(inputs.astype(np.float32)))


def _inputs(
    features: NDArray[np.float32],
    mean: NDArray[np.float64],
    scale: NDArray[np.float64],
    components: NDArray[np.floating],
    weather: NDArray[np.float64],
) -> NDArray[np.float64]:
    standardised = ((features - mean).astype(np.float32) / scale).astype(np.float32)
    return np.hstack([standardised @ components.T, weather])
