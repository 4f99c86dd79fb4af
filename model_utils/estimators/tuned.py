"""What a head is to a comparison: it fits frozen features and tunes itself on validation stations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True)
class TunedFit:
    """A head's predictions at the setting that did best on validation stations.

    Attributes:
        predicted: ug/m3, every row.
        trials: How many settings were tried.
        chosen: The setting taken; empty where none was tried.
    """

    predicted: NDArray[np.float64]
    trials: int = 0
    chosen: Mapping[str, float] = field(default_factory=dict)


class TunedHead(Protocol):
    """From features to PM2.5, with the same tuning budget for every encoder."""

    def __call__(
        self,
        features: NDArray[np.float32],
        target: NDArray[np.float64],
        samples: pd.DataFrame,
        training: NDArray[np.bool_],
        seed: int,
    ) -> TunedFit:
        """Fits on the training rows and predicts every row.

        Args:
            features: n x d.
            target: ug/m3, n; NaN outside of training.
            samples: n rows with `site_id` and `local_date`.
            training: Rows to learn from, n; part of them validates.
            seed: Keys every random draw.
        """


def training_mean(target: NDArray[np.float64], training: NDArray[np.bool_]) -> TunedFit:
    """The constant that is left to say where the training rows allow no choice between settings."""
    return TunedFit(np.full(len(target), target[training].mean()))
