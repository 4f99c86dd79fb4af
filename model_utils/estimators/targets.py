"""What a regression is asked to predict."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.errors import InputError
from model_utils.estimators.references.fields import leave_own_out
from model_utils.supervision.config import Field

LEAST_STATIONS_FOR_ANOMALY = 3


@dataclass(frozen=True)
class Target:
    """What is added back to a regression's output to give PM2.5.

    Attributes:
        offset: ug/m3 by row: zero for absolute targets, the same-day field of the other stations for anomalies (NaN
            where no other known station reads that day: such a row can neither be learnt from nor predicted).
    """

    offset: NDArray[np.float64]

    def values(self, pm25: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the regression learns, ug/m3."""
        return pm25 - self.offset


def make_target(
    kind: str,
    samples: pd.DataFrame,
    training: NDArray[np.bool_],
    field: Field = "mean",
    known: NDArray[np.bool_] | None = None,
) -> Target:
    """Builds the target of all rows from the readings of the known rows alone.

    Args:
        kind: absolute or anomaly.
        samples: All labelled rows: `site_id`, `latitude`, `longitude`, `local_date`, `pm25`.
        training: Rows to learn from.
        field: What an anomaly is one from; see `leave_own_out`.
        known: Rows whose readings may be used as readings of the day; by default the training rows.

    Raises:
        InputError: An anomaly needs at least three training stations.
    """
    if kind == "absolute":
        return Target(np.zeros(len(samples)))
    stations = samples.loc[training, "site_id"].nunique()
    if stations < LEAST_STATIONS_FOR_ANOMALY:
        raise InputError(
            f"--target anomaly: found {stations} training stations, expected at least {LEAST_STATIONS_FOR_ANOMALY}"
        )
    return Target(leave_own_out(field, samples, training, training if known is None else known))
