"""What a perfect reading of a simulated image could know: the ceilings of a simulated city."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression

from model_utils.estimators.references.reference import Reference

LAND_USE, OPTICAL_DEPTH = "true_land_use_increment", "true_optical_depth"


def ceilings(samples: pd.DataFrame) -> tuple[Reference, ...]:
    """Regressions on the hidden truth that a simulated archive carries, as far as its columns allow.

    They are fitted on the training stations like every other method: least squares of log PM2.5 on the land-use part
    of a station's log increment (the same every day, so it knows places only), on the logarithm of the tile's
    optical depth and the season, which the height of the sun shows, and on both.
    """
    named = {
        "true_land_use": (LAND_USE,),
        "true_optical_depth": (OPTICAL_DEPTH,),
        "true_both": (LAND_USE, OPTICAL_DEPTH),
    }
    return tuple(
        Reference(f"ceiling_{name}", uses_same_day_readings=False, predict=_LogRegression(columns))
        for name, columns in named.items()
        if set(columns) <= set(samples.columns) and np.isfinite(samples[list(columns)].to_numpy(float)).all()
    )


class _LogRegression:
    """Least squares of log PM2.5 on true columns."""

    def __init__(self, columns: tuple[str, ...]) -> None:
        self.columns = columns

    def __call__(self, train: pd.DataFrame, test: pd.DataFrame) -> NDArray[np.float64]:
        design = self._design(train)
        varies = np.ptp(design, axis=0) > 0  # a single station's land use would get a slope from its rounding
        model = LinearRegression().fit(design * varies, np.log(train["pm25"].to_numpy(np.float64).clip(1)))
        predicted: NDArray[np.float64] = np.exp(model.predict(self._design(test) * varies))
        return predicted

    def _design(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        columns = []
        if LAND_USE in self.columns:
            columns.append(rows[LAND_USE].to_numpy(np.float64).round(6))
        if OPTICAL_DEPTH in self.columns:
            season = 2 * np.pi * rows["local_date"].dt.day_of_year.to_numpy(np.float64) / 365.25
            depth = rows[OPTICAL_DEPTH].to_numpy(np.float64).clip(1e-3)
            columns += [np.log(depth), np.cos(season), np.sin(season)]
        return np.column_stack(columns)
