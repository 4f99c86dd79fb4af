"""The paper's head as an estimator: with given rates, or with those that do best on validation stations."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.errors import InputError
from model_utils.estimators.estimator import Constant, Features, FittedEstimator, NothingLearnt
from model_utils.estimators.head import FittedHead, HeadSettings, fit_head
from model_utils.sampling.splits import validation_rows

VALIDATION_SHARE = 0.2


@dataclass(frozen=True)
class PaperHead:
    """Embedding -> 512 -> 512 -> 1 on a frozen encoder, stopped early (Jiang et al. 2022).

    Attributes:
        settings: How it trains; their seed also keys the validation stations.
        validation_share: Share of the training stations that early stopping looks at.
    """

    settings: HeadSettings = field(default_factory=HeadSettings)
    validation_share: float = VALIDATION_SHARE

    @property
    def uses_same_day_readings(self) -> bool:
        """Never."""
        return False

    def fit(self, samples: pd.DataFrame, features: Features, training: NDArray[np.bool_]) -> FittedHead:
        """Fits the training rows that have a reading.

        Raises:
            InputError: They are a single date of a few stations, so nothing can be kept apart.
        """
        assert isinstance(features, np.ndarray)
        pm25 = samples["pm25"].to_numpy(np.float64)
        training = training & np.isfinite(pm25)
        rows = samples[training]
        validation = validation_rows(rows, self.validation_share, self.settings.seed)
        return fit_head(features[training], pm25[training], validation, self.settings, rows["local_date"].to_numpy())


@dataclass(frozen=True)
class TunedHead:
    """The paper's head, fitted once for each rate and decay of a grid; the one that does best on validation is kept.

    Attributes:
        settings: What the trials share.
        learning_rates: Of AdamW.
        weight_decays: Of AdamW.
    """

    settings: HeadSettings = field(default_factory=lambda: HeadSettings(epochs=100, patience=10))
    learning_rates: tuple[float, ...] = (3e-4, 1e-3, 3e-3)
    weight_decays: tuple[float, ...] = (1e-4, 1e-2)

    @property
    def uses_same_day_readings(self) -> bool:
        """Never."""
        return False

    def fit(self, samples: pd.DataFrame, features: Features, training: NDArray[np.bool_]) -> FittedEstimator:
        """Fits the training rows that have a reading; their mean where nothing can be kept apart."""
        assert isinstance(features, np.ndarray)
        pm25 = samples["pm25"].to_numpy(np.float64)
        rows = np.flatnonzero(training & np.isfinite(pm25))
        if not len(rows):
            return NothingLearnt()
        constant = Constant(float(pm25[rows].mean()))
        if np.ptp(pm25[rows]) == 0:
            return constant
        # batches are drawn by position: sorted rows make them the same whatever the order of the samples
        rows = rows[np.lexsort([samples[name].to_numpy()[rows] for name in ("local_date", "site_id")])]
        known, seen, every = samples.iloc[rows], features[rows], np.ones(len(rows), dtype=bool)
        trials = [
            replace(self.settings, learning_rate=rate, weight_decay=decay)
            for rate, decay in product(self.learning_rates, self.weight_decays)
        ]
        try:
            fits = [PaperHead(trial).fit(known, seen, every) for trial in trials]
        except InputError:  # a single date of a few stations
            return constant
        # a rate that diverged at once has no loss
        best = int(np.argmin(np.nan_to_num([fit.history["validation_loss"].min() for fit in fits], nan=np.inf)))
        chosen = {
            "learning_rate": trials[best].learning_rate,
            "weight_decay": trials[best].weight_decay,
            "epochs": float(fits[best].best_epoch),
        }
        return replace(fits[best], trials=len(trials), chosen=chosen)
