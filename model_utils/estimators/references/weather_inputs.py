"""Weather at every row without gaps: what forests, joint models and the weather references read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.estimators.saving import Saved

WEATHER_COLUMNS = ("temperature_c", "relative_humidity_pct", "pressure_hpa")


@dataclass(frozen=True)
class WeatherInputs(Saved):
    """How the gaps of temperature, relative humidity and pressure are filled.

    A missing value is the median of the fitted rows of the same date that have it. Weather is an input, not a label, so
    rows of test stations count. On a date without any it is the median of the training rows.

    Attributes:
        names: The `WEATHER_COLUMNS` that training rows have after the first step; none where nothing is known of the
            weather.
        dates: Of the fitted rows, m.
        of_date: Their medians, m x k, NaN where a date has none.
        typical: Medians of the training rows, k.
    """

    names: tuple[str, ...]
    dates: NDArray[np.datetime64]
    of_date: NDArray[np.float64]
    typical: NDArray[np.float64]

    def __post_init__(self) -> None:
        dates, count = len(np.unique(self.dates)), len(self.names)
        if len(set(self.names)) != count or not set(self.names) <= set(WEATHER_COLUMNS):
            raise ValueError(f"weather: found {', '.join(self.names)}, expected some of {', '.join(WEATHER_COLUMNS)}")
        shapes = self.dates.shape, self.of_date.shape, self.typical.shape
        if shapes != ((dates,), (dates, count), (count,)):
            raise ValueError(f"weather: found {count} names, {dates} different dates, and arrays of {shapes}")
        if np.isnat(self.dates).any() or np.isinf(self.of_date).any() or not np.isfinite(self.typical).all():
            raise ValueError("weather: found a date or a value that is none")

    def values(self, samples: pd.DataFrame) -> NDArray[np.float64]:
        """Weather of n rows, n x k, finite, in the units that the names end with."""
        filled = np.empty((len(samples), len(self.names)))
        date = pd.Index(self.dates).get_indexer(pd.Index(samples["local_date"]))
        of_date = np.vstack([self.of_date, np.full((1, len(self.names)), np.nan)])[date]  # -1 is the row of NaN
        for column, name in enumerate(self.names):
            own = samples[name].to_numpy(np.float64) if name in samples else np.full(len(samples), np.nan)
            own = np.where(np.isnan(own), of_date[:, column], own)
            filled[:, column] = np.where(np.isnan(own), self.typical[column], own)
        return filled


def weather_inputs(samples: pd.DataFrame, training: NDArray[np.bool_]) -> WeatherInputs:
    """Learns how to fill gaps.

    Args:
        samples: n rows: `local_date`, and those of `WEATHER_COLUMNS` that there are.
        training: Rows to learn from, n.
    """
    names = [name for name in WEATHER_COLUMNS if name in samples]
    rows = samples[names].astype(np.float64)
    of_date = rows.groupby(samples["local_date"].to_numpy()).median()
    filled = rows.fillna(of_date.reindex(samples["local_date"].to_numpy()).set_axis(rows.index))
    typical = filled[training].median()
    known = [name for name in names if pd.notna(typical[name])]
    dates = of_date.index.to_numpy("datetime64[ns]")
    return WeatherInputs(tuple(known), dates, of_date[known].to_numpy(), typical[known].to_numpy(np.float64))
