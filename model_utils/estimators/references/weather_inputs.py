"""Weather at every row without gaps: what forests, joint models and the weather references read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

WEATHER_COLUMNS = ("temperature_c", "relative_humidity_pct", "pressure_hpa")


@dataclass(frozen=True)
class WeatherInputs:
    """Weather of n rows.

    Attributes:
        values: n x k, finite, in the units that the names end with; k is 0 where nothing is known of the weather.
        names: The k of `WEATHER_COLUMNS` that are known.
    """

    values: NDArray[np.float64]
    names: tuple[str, ...]


def weather_inputs(samples: pd.DataFrame, training: NDArray[np.bool_]) -> WeatherInputs:
    """Temperature, relative humidity and pressure, their gaps filled.

    A missing value is the median of the rows of the same date that have it. Weather is an input, not a label, so rows
    of test stations count. On a date without any it is the median of the training rows. A quantity that no
    training row has after the first step, or that the rows have no column for, is left out.

    Args:
        samples: n rows: `local_date`, and those of `WEATHER_COLUMNS` that there are.
        training: Rows to learn from, n.
    """
    names = [name for name in WEATHER_COLUMNS if name in samples]
    rows = samples[names].astype(np.float64)
    rows = rows.fillna(rows.groupby(samples["local_date"].to_numpy()).transform("median"))
    typical = rows[training].median()
    known = [name for name in names if pd.notna(typical[name])]
    return WeatherInputs(rows[known].fillna(typical).to_numpy(), tuple(known))
