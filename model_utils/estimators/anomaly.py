"""Methods that predict PM2.5 from the features of a frozen encoder."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_utils.estimators.estimator import Prediction, Problem
from model_utils.estimators.targets import LEAST_STATIONS_FOR_ANOMALY, make_target
from model_utils.estimators.tuned import TunedHead, training_mean
from model_utils.supervision.config import Field


@dataclass(frozen=True)
class FrozenEncoder:
    """A head on features that were computed once.

    Attributes:
        features: Of the problem's rows, n x d; may be a memory map.
        head: Fits them.
        target: absolute, or anomaly: a same-day field of the training stations + what the image adds.
        field: Which field, with `anomaly`; see `make_target`.
    """

    features: NDArray[np.float32]
    head: TunedHead
    target: str = "absolute"
    field: Field = "mean"

    @property
    def uses_same_day_readings(self) -> bool:
        """An anomaly is one from readings of the day."""
        return self.target == "anomaly"

    def predict(self, problem: Problem) -> Prediction:
        """Learns from the training rows and predicts every row; NaN with too few stations for an anomaly."""
        samples = problem.samples
        stations = samples.loc[problem.training, "site_id"].nunique()
        nothing = Prediction(np.full(len(samples), np.nan))
        if self.target == "anomaly" and stations < LEAST_STATIONS_FOR_ANOMALY:
            return nothing
        target = make_target(self.target, samples, problem.training, self.field, problem.known)
        values = target.values(samples["pm25"].to_numpy(np.float64))
        training = problem.training & np.isfinite(values)  # a field may say nothing at a station that is alone
        if not training.any():
            return nothing
        values = np.where(training, values, np.nan)
        if np.ptp(values[training]) == 0:
            fit = training_mean(values, training)
        else:
            fit = self.head(self.features, values, samples, training, problem.seed)
        return Prediction(fit.predicted + target.offset, fit.trials, fit.chosen)
