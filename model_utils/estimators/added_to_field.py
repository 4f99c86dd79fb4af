"""A same-day field of readings + what the image adds to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.estimators.choices import Field
from model_utils.estimators.estimator import Estimator, Features, FittedEstimator, NothingLearnt, Prediction, without_sd
from model_utils.estimators.references.fields import FittedField, SameDayField

LEAST_STATIONS = 3
"""Fewest training stations that an anomaly means something of."""


@dataclass(frozen=True)
class AddedToField:
    """An estimator that learns the anomaly from a same-day field of the other stations, which is then added again.

    Attributes:
        estimator: Learns the anomaly.
        field: What it is one from.
    """

    estimator: Estimator
    field: Field = "mean"

    @property
    def uses_same_day_readings(self) -> bool:
        """The field is made of them."""
        return True

    def fit(self, samples: pd.DataFrame, features: Features, training: NDArray[np.bool_]) -> FittedEstimator:
        """Fits field and anomaly; says nothing with too few stations for an anomaly."""
        if samples.loc[training, "site_id"].nunique() < LEAST_STATIONS:
            return NothingLearnt()
        field = SameDayField(self.field).fit(samples, None, training)
        # a field may say nothing at a station that is alone: such a row can neither be learnt from nor predicted
        anomaly = samples["pm25"].to_numpy(np.float64) - field.predict(samples, None).mean
        learnt = self.estimator.fit(samples.assign(pm25=np.where(training, anomaly, np.nan)), features, training)
        return FittedSum(field, learnt, trials=learnt.trials, chosen=learnt.chosen)


@dataclass(frozen=True)
class FittedSum(FittedEstimator):
    """Field + anomaly.

    Attributes:
        field: Of the known readings.
        anomaly: What the image adds, ug/m3.
    """

    field: FittedField
    anomaly: FittedEstimator

    def sees(self) -> int | Literal["tiles"] | None:
        """What the anomaly sees."""
        return self.anomaly.sees()

    def predict(self, samples: pd.DataFrame, features: Features) -> Prediction:
        """The sum at every row; NaN where the field says nothing."""
        return without_sd(self.anomaly.predict(samples, features).mean + self.field.predict(samples, features).mean)
