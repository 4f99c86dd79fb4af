"""The paper's head with its rate and decay chosen on validation stations."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.errors import InputError
from model_utils.estimators.head import HeadSettings, fit_head
from model_utils.estimators.tuned import TunedFit, training_mean
from model_utils.sampling.splits import validation_rows

VALIDATION_SHARE = 0.2


@dataclass(frozen=True)
class NetworkHead:
    """Embedding -> 512 -> 512 -> 1, fitted once for each rate and decay of a grid, each stopped early.

    Attributes:
        settings: What the trials share; their seed is the caller's.
        learning_rates: Of AdamW.
        weight_decays: Of AdamW.
    """

    settings: HeadSettings = field(default_factory=lambda: HeadSettings(epochs=100, patience=10))
    learning_rates: tuple[float, ...] = (3e-4, 1e-3, 3e-3)
    weight_decays: tuple[float, ...] = (1e-4, 1e-2)

    def __call__(
        self,
        features: NDArray[np.float32],
        target: NDArray[np.float64],
        samples: pd.DataFrame,
        training: NDArray[np.bool_],
        seed: int,
    ) -> TunedFit:
        """Fits on the training rows and predicts every row; see `TunedHead`."""
        rows = np.flatnonzero(training)
        # batches are drawn by position: sorted rows make them the same whatever the order of the samples
        rows = rows[np.lexsort([samples[name].to_numpy()[rows] for name in ("local_date", "site_id")])]
        try:
            validation = validation_rows(samples.iloc[rows], VALIDATION_SHARE, seed)
        except InputError:  # a single date of a few stations
            return training_mean(target, training)
        dates = samples["local_date"].to_numpy()[rows]
        x, y = features[rows], target[rows]
        trials = [
            replace(self.settings, learning_rate=rate, weight_decay=decay, seed=seed)
            for rate, decay in product(self.learning_rates, self.weight_decays)
        ]
        fits = [fit_head(x, y, validation, trial, dates) for trial in trials]
        # a rate that diverged at once has no loss
        best = int(np.argmin(np.nan_to_num([fit.history["validation_loss"].min() for fit in fits], nan=np.inf)))
        chosen = {
            "learning_rate": trials[best].learning_rate,
            "weight_decay": trials[best].weight_decay,
            "epochs": float(fits[best].best_epoch),
        }
        # torch takes no read-only memory map
        return TunedFit(fits[best].predict(np.array(features)), len(trials), chosen)
