"""CNN-RF: image features and weather, side by side, into one forest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor
from sklearn.preprocessing import StandardScaler

from model_utils.estimators.estimator import Prediction, Problem
from model_utils.estimators.forests.joint import compressed, training_rows
from model_utils.estimators.references.weather_inputs import weather_inputs

COMPONENTS = 32
TREES = 100
LEAST_ROWS_IN_LEAF = 3


@dataclass(frozen=True)
class ForestOnFeatures:
    """A random forest on [principal components of the image features, weather] (Zheng et al. 2020).

    All 512 features would hide the weather's three from a forest that looks at a third of its inputs a split, and take
    ten times as long.

    Attributes:
        features: Of the problem's rows, n x d.
    """

    features: NDArray[np.float32]

    @property
    def uses_same_day_readings(self) -> bool:
        """Never."""
        return False

    def predict(self, problem: Problem) -> Prediction:
        """Predicts every row; NaN without weather."""
        samples = problem.samples
        pm25 = samples["pm25"].to_numpy(np.float64)
        training = problem.training & np.isfinite(pm25)
        rows = training_rows(samples, training)
        weather = weather_inputs(samples, training)
        if not len(rows) or not weather.names:
            return Prediction(np.full(len(samples), np.nan))
        standardised = StandardScaler().fit(self.features[rows]).transform(self.features)
        image = compressed(standardised, rows, COMPONENTS, problem.seed)
        inputs = np.hstack([image, weather.values])
        forest = RandomForestRegressor(
            TREES, max_features=1 / 3, min_samples_leaf=LEAST_ROWS_IN_LEAF, random_state=problem.seed, n_jobs=1
        )
        return Prediction(forest.fit(inputs[rows], pm25[rows]).predict(inputs))
