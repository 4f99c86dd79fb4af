"""The joint model: a forest on weather, and an image head that explains what the forest leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils.extmath import randomized_svd

from model_utils.estimators.estimator import Prediction, Problem
from model_utils.estimators.forests.rt_rf import RtRf, fit_forest, fit_rt_rf
from model_utils.estimators.references.weather_inputs import weather_inputs
from model_utils.estimators.tuned import TunedHead
from model_utils.sampling.splits import validation_groups

FOREST_SHARE = 0.95

EMBEDDING_COMPONENTS = 16
"""Of some 3,200 indicators of three quantities; beside them a head would hardly see the image's 512 features."""


@dataclass(frozen=True)
class JointModel:
    """0.95 x forest(weather) + head([image features, embedding of weather]) (Zheng et al. 2021; Jiang et al. 2022).

    The head minimises the squared error of the sum, so it learns pm25 - 0.95 x forest. At a training row that is
    the forecast of a forest without this row's group of stations: a forest knows the readings it was fitted to, as
    the original let it, and would leave the head next to nothing to learn.

    Attributes:
        features: Of the problem's rows, n x d.
        head: Fits the rest.
        fit_weather: (weather, pm25, seed) -> the weather's model; one that was saved may come from here.
    """

    features: NDArray[np.float32]
    head: TunedHead
    fit_weather: Callable[[NDArray[np.float64], NDArray[np.float64], int], RtRf] = fit_rt_rf

    @property
    def uses_same_day_readings(self) -> bool:
        """Never."""
        return False

    def predict(self, problem: Problem) -> Prediction:
        """Predicts every row; NaN without weather, and where nothing can be left out: one date of a few stations."""
        samples, seed = problem.samples, problem.seed
        pm25 = samples["pm25"].to_numpy(np.float64)
        nothing = Prediction(np.full(len(samples), np.nan))
        training = problem.training & np.isfinite(pm25)
        rows = training_rows(samples, training)
        weather = weather_inputs(samples, training)
        if not len(rows) or not weather.names:
            return nothing
        group = validation_groups(samples.iloc[rows], seed)
        if group.max() == 0:
            return nothing
        model = self.fit_weather(weather.values[rows], pm25[rows], seed)
        embedding = model.embedding(weather.values)
        rest = np.full(len(samples), np.nan)
        rest[rows] = pm25[rows] - FOREST_SHARE * out_of_fold(embedding[rows], pm25[rows], group, seed)
        inputs = np.hstack([self.features, compressed(embedding, rows, EMBEDDING_COMPONENTS, seed)])
        fit = self.head(inputs, rest, samples, training, seed)
        forest = FOREST_SHARE * model.forest_trees.predict(embedding)
        return Prediction(forest + fit.predicted, fit.trials, fit.chosen)


def training_rows(samples: pd.DataFrame, training: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Positions of the training rows in the order of their sample_id: a forest draws rows by position."""
    rows = np.flatnonzero(training)
    return rows[np.argsort(samples["sample_id"].to_numpy(str)[rows], kind="stable")]


def out_of_fold(
    embedding: NDArray[np.float32], pm25: NDArray[np.float64], group: NDArray[np.int64], seed: int
) -> NDArray[np.float64]:
    """What forests say about each row that were fitted to the other groups, ug/m3, n.

    The embedding may have been grown on all rows: it has no labels.

    Args:
        embedding: Of training rows, n x k.
        pm25: ug/m3, n.
        group: Of stations or of dates, n; at least two.
        seed: Keys the forests.
    """
    predicted = np.empty(len(pm25))
    for number in np.unique(group):
        out = group == number
        predicted[out] = fit_forest(embedding[~out], pm25[~out], seed).predict(embedding[out])
    return predicted


def compressed(columns: NDArray[np.float32], rows: NDArray[np.int64], most: int, seed: int) -> NDArray[np.float32]:
    """All rows of n x d along the leading singular directions of some of them, n x `most` or fewer."""
    fewest = min(most, len(rows), columns.shape[1])
    directions = randomized_svd(columns[rows], fewest, random_state=seed)[2]
    return np.asarray(columns @ directions.T)
