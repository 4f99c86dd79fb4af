"""What every method of a comparison is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

FitPredict = Callable[[NDArray[np.bool_]], NDArray[np.float64]]
"""Fits on the rows of a mask and predicts every row, ug/m3: what intervals and predictions of other dates refit."""


@dataclass(frozen=True)
class Problem:
    """Labelled rows of an archive, some to learn from, all to predict.

    A reading that no method may know is not in it: `hidden` makes it NaN, so no method can leak it.

    Attributes:
        samples: n rows of the archive: sample_id, site_id, latitude, longitude, local_date, weather, and pm25 (ug/m3;
            NaN where `known` is False).
        training: Rows to learn from, n.
        known: Rows whose readings may be used as readings of the day, n; holds all training rows, and in a temporal
            hold-out the training stations' later ones.
        seed: Keys every random draw.
    """

    samples: pd.DataFrame
    training: NDArray[np.bool_]
    known: NDArray[np.bool_]
    seed: int = 0


def hidden(
    samples: pd.DataFrame, training: NDArray[np.bool_], known: NDArray[np.bool_] | None = None, seed: int = 0
) -> Problem:
    """A problem whose unknown readings are NaN.

    Args:
        samples: n labelled rows.
        training: Rows to learn from.
        known: Rows whose readings may be used as readings of the day; by default the training rows.
        seed: Keys every random draw.
    """
    known = training if known is None else known | training
    return Problem(samples.assign(pm25=samples["pm25"].astype(float).where(known)), training, known, seed)


@dataclass(frozen=True)
class Prediction:
    """What a method says about every row.

    Attributes:
        values: ug/m3, n; NaN where it says nothing.
        trials: How many settings it tried on validation stations.
        chosen: The settings it took.
    """

    values: NDArray[np.float64]
    trials: int = 0
    chosen: Mapping[str, float] = field(default_factory=dict)


class Method(Protocol):
    """A way to predict PM2.5."""

    @property
    def uses_same_day_readings(self) -> bool:
        """Whether it reads training stations on the day it predicts."""

    def predict(self, problem: Problem) -> Prediction:
        """Learns from the training rows and predicts every row."""
