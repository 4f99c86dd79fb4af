"""The one interface of all that predicts PM2.5: an estimator fits, what it returns predicts, and can be saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.archive.reader import TileArchive
from model_utils.estimators.saving import Saved

Features = NDArray[np.float32] | TileArchive | None
"""What is seen of n rows: n x d features, the tiles themselves (for what trains an encoder), or nothing."""


@dataclass(frozen=True)
class Prediction:
    """What a fitted estimator says of n rows.

    Attributes:
        mean: ug/m3, n; NaN where it says nothing.
        sd: Standard deviation of the reading around it, ug/m3, n; NaN where it does not know.
    """

    mean: NDArray[np.float64]
    sd: NDArray[np.float64]


def without_sd(mean: NDArray[np.float64]) -> Prediction:
    """A prediction by what does not know how sure it is."""
    return Prediction(mean, np.full(len(mean), np.nan))


@dataclass(frozen=True, kw_only=True)
class FittedEstimator(Saved):
    """What an estimator has learnt: numbers, texts, arrays and tables, so that it can be saved (see `saving`).

    Attributes:
        trials: How many settings were tried on validation stations.
        chosen: The settings that were taken.
    """

    trials: int = 0
    chosen: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if type(self).predict is FittedEstimator.predict:  # which a file might name
            raise ValueError(f"{type(self).__name__}: predicts nothing itself")

    def sees(self) -> int | Literal["tiles"] | None:
        """How many features of a row it looks at, or whether at the tiles; None where at none."""
        return None

    def predict(self, samples: pd.DataFrame, features: Features) -> Prediction:
        """Predicts any rows: stations, grid cells, other dates. A row's own `pm25` is never looked at.

        Args:
            samples: n rows: site_id, latitude, longitude (WGS84 degrees), local_date, and whatever else the estimator
                documents.
            features: Of these rows, of the kind that it was fitted to.
        """
        raise NotImplementedError


class Estimator(Protocol):
    """A way to predict PM2.5."""

    @property
    def uses_same_day_readings(self) -> bool:
        """Whether it reads stations on the day it predicts."""

    def fit(self, samples: pd.DataFrame, features: Features, training: NDArray[np.bool_]) -> FittedEstimator:
        """Learns from the training rows.

        Args:
            samples: n rows: sample_id, site_id, latitude, longitude (WGS84 degrees), local_date, pm25 (ug/m3; NaN where
                nothing may be known of it, see `hidden`), weather where there is any.
            features: Of these rows.
            training: Rows to learn from, n. A row outside of them that has a reading may be used as a reading of its
                day and for nothing else: in a temporal hold-out the training stations' later readings.
        """


@dataclass(frozen=True)
class Method:
    """An estimator and what it sees of some rows.

    Attributes:
        estimator: Fits.
        features: Of the rows.
    """

    estimator: Estimator
    features: Features


def hidden(samples: pd.DataFrame, training: NDArray[np.bool_], known: NDArray[np.bool_] | None = None) -> pd.DataFrame:
    """Rows without the readings that no estimator may know: what it is not given it cannot leak.

    Args:
        samples: n labelled rows.
        training: Rows to learn from, n.
        known: Rows whose readings may be used as readings of the day; by default the training rows.
    """
    known = training if known is None else known | training
    return samples.assign(pm25=samples["pm25"].astype(float).where(known))


@dataclass(frozen=True)
class NothingLearnt(FittedEstimator):
    """Says nothing: what is left where the training rows do not suffice."""

    def predict(self, samples: pd.DataFrame, features: Features) -> Prediction:
        """NaN for every row."""
        return without_sd(np.full(len(samples), np.nan))


@dataclass(frozen=True)
class Silent:
    """Learns nothing and says nothing."""

    @property
    def uses_same_day_readings(self) -> bool:
        """Never."""
        return False

    def fit(self, samples: pd.DataFrame, features: Features, training: NDArray[np.bool_]) -> FittedEstimator:
        """Looks at nothing."""
        return NothingLearnt()


@dataclass(frozen=True)
class Constant(FittedEstimator):
    """Says one number: what is left where the training rows allow no choice between settings.

    Attributes:
        value: ug/m3.
    """

    value: float

    def predict(self, samples: pd.DataFrame, features: Features) -> Prediction:
        """The number for every row."""
        return without_sd(np.full(len(samples), self.value))
