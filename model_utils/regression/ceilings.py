"""What a perfect reading of a simulated image could know: the ceilings of a simulated city."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression

from model_utils.regression.references import Reference


def ceilings(samples: pd.DataFrame) -> tuple[Reference, ...]:
    """Regressions on the hidden truth that a simulated archive carries, with what its columns allow.

    They are fitted on the training stations like every other method. The true land use is the land-use part of
    a station's log increment, the true optical depth is that of its tile.
    """
    named = {
        "true_land_use": ["true_land_use_increment"],
        "true_optical_depth": ["true_optical_depth"],
        "true_both": ["true_land_use_increment", "true_optical_depth"],
    }
    return tuple(
        Reference(f"ceiling_{name}", uses_same_day_readings=False, predict=_LogRegression(columns))
        for name, columns in named.items()
        if set(columns) <= set(samples.columns) and np.isfinite(samples[columns].to_numpy(float)).all()
    )


class _LogRegression:
    """Least squares of log PM2.5 on true columns (optical depth in logs: PM2.5 is proportional to it)."""

    def __init__(self, columns: list[str]) -> None:
        self.columns = columns

    def __call__(self, train: pd.DataFrame, test: pd.DataFrame) -> NDArray[np.float64]:
        model = LinearRegression().fit(self._design(train), np.log(train["pm25"].to_numpy(np.float64).clip(1)))
        predicted: NDArray[np.float64] = np.exp(model.predict(self._design(test)))
        return predicted

    def _design(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        columns = {
            name: np.log(rows[name].clip(lower=1e-3)) if name == "true_optical_depth" else rows[name]
            for name in self.columns
        }
        return np.column_stack(list(columns.values())).astype(np.float64)
