"""The joint model: a forest on weather, and an image head that explains what the forest leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils.extmath import randomized_svd

from model_utils.estimators.estimator import Estimator, Features, FittedEstimator, NothingLearnt, Prediction, without_sd
from model_utils.estimators.forests.rt_rf import RtRf, fit_forest, fit_rt_rf
from model_utils.estimators.forests.trees import checked
from model_utils.estimators.references.weather_inputs import WeatherInputs, weather_inputs
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
        head: Fits the rest.
        fit_weather: (weather, pm25, seed) -> the weather's model; one that was saved may come from here.
        seed: Of embedding, forest and groups.
    """

    head: Estimator
    fit_weather: Callable[[NDArray[np.float64], NDArray[np.float64], int], RtRf] = fit_rt_rf
    seed: int = 0

    @property
    def uses_same_day_readings(self) -> bool:
        """Never."""
        return False

    def fit(self, samples: pd.DataFrame, features: Features, training: NDArray[np.bool_]) -> FittedEstimator:
        """Fits forest and head.

        Says nothing without weather, and where nothing can be left out: one date of a few stations.
        """
        assert isinstance(features, np.ndarray)
        pm25 = samples["pm25"].to_numpy(np.float64)
        training = training & np.isfinite(pm25)
        rows = training_rows(samples, training)
        weather = weather_inputs(samples, training)
        if not len(rows) or not weather.names:
            return NothingLearnt()
        group = validation_groups(samples.iloc[rows], self.seed)
        if group.max() == 0:
            return NothingLearnt()
        known = weather.values(samples)
        model = self.fit_weather(known[rows], pm25[rows], self.seed)
        embedding = model.embedding(known)
        rest = np.full(len(samples), np.nan)
        rest[rows] = pm25[rows] - FOREST_SHARE * out_of_fold(embedding[rows], pm25[rows], group, self.seed)
        components = directions(embedding[rows], EMBEDDING_COMPONENTS, self.seed)
        inputs = np.hstack([features, embedding @ components.T])
        head = self.head.fit(samples.assign(pm25=rest), inputs, training)
        return FittedJoint(weather, model, components, head, trials=head.trials, chosen=head.chosen)


@dataclass(frozen=True)
class FittedJoint(FittedEstimator):
    """Forest and head.

    Attributes:
        weather: Fills its gaps.
        model: Of the weather.
        components: Directions of its embedding that the head sees, k x d.
        head: On [image features, components].
    """

    weather: WeatherInputs
    model: RtRf
    components: NDArray[np.floating]
    head: FittedEstimator

    def __post_init__(self) -> None:
        leaves = int(checked(self.model.embedding_trees, len(self.weather.names)).is_leaf.sum())
        checked(self.model.forest_trees, leaves)
        if self.components.ndim != 2 or self.components.shape[1] != leaves:
            raise ValueError(f"components: found {self.components.shape} of {leaves} leaves")
        of_head = self.head.sees()
        if of_head is not None and (of_head == "tiles" or of_head < len(self.components)):
            raise ValueError(f"head: sees {of_head}, expected features and {len(self.components)} components")

    def sees(self) -> int | None:
        """What the head sees beside the components."""
        of_head = self.head.sees()
        return of_head - len(self.components) if isinstance(of_head, int) else None

    def predict(self, samples: pd.DataFrame, features: Features) -> Prediction:
        """The sum at every row."""
        assert isinstance(features, np.ndarray)
        embedding = self.model.embedding(self.weather.values(samples))
        inputs = np.hstack([features, embedding @ self.components.T])
        forest = FOREST_SHARE * self.model.forest_trees.predict(embedding)
        return without_sd(forest + self.head.predict(samples, inputs).mean)


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


def directions(columns: NDArray[np.float32], most: int, seed: int) -> NDArray[np.float32]:
    """The leading singular directions of n x d, `most` or fewer x d."""
    found = randomized_svd(columns, min(most, *columns.shape), random_state=seed)[2]
    return np.asarray(found)
