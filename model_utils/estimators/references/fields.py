"""Same-day fields by name, and what a station's field is when its own reading is left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.estimators.references.kriging import fit_variogram, krige, ordinary_kriging
from model_utils.estimators.references.same_day import inverse_distance, same_day_mean
from model_utils.supervision.config import Field

FIELDS: Mapping[Field, Callable[[pd.DataFrame, pd.DataFrame], NDArray[np.float64]]] = {
    "mean": same_day_mean,
    "inverse_distance": inverse_distance,
    "kriging": ordinary_kriging,
}
"""Each takes (train, test) and leaves out the reading of a row's own station."""


def leave_own_out(
    field: Field, samples: pd.DataFrame, training: NDArray[np.bool_], known: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """The same-day field at every row, from the known stations other than the row's own.

    A station must not see its own reading: nothing would be left to learn with inverse distance or kriging, and at
    test stations the field would be another one than in training.

    Args:
        field: Which field.
        samples: n rows: site_id, latitude, longitude, local_date, pm25 (read in `known` rows only).
        training: Rows to learn from; the one variogram of kriging is fitted to all of them.
        known: Rows whose readings may be used as readings of the day.

    Returns:
        ug/m3, n; NaN where no other known station reads that day.
    """
    if field == "kriging":
        return krige(fit_variogram(samples[training]), samples[known], samples)
    return FIELDS[field](samples[known], samples)
