"""Percentile bootstrap by multiplicities: how often each unit is in each resample."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def multiplicities(units: int, draws: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Counts how often each unit (a station, a day) is drawn when `units` are drawn with replacement.

    A statistic written in weighted sums over units is then computed for all resamples at once, and for the
    data themselves by the row of ones.

    Returns:
        (1 + draws) x units; row 0 is all ones (the data), the others are resamples.
    """
    resamples = random.multinomial(units, np.full(units, 1 / units), size=draws)
    return np.vstack([np.ones(units), resamples])


def percentile_interval(resampled: NDArray[np.float64]) -> list[float] | None:
    """The central 95 % of resampled values (Efron & Tibshirani 1993, chapter 13).

    With few units percentile intervals are somewhat too narrow: for `spatial_r` in simulated cities of 10 to 27
    stations they covered the truth in 87-94 % of cases, not 95 %.

    Args:
        resampled: One value a resample; NaN where the statistic does not exist there.

    Returns:
        [low, high], or None where fewer than half of the resamples have a value.
    """
    defined = resampled[np.isfinite(resampled)]
    if 2 * len(defined) < len(resampled) or not len(defined):
        return None
    low, high = np.percentile(defined, [2.5, 97.5])
    return [float(low), float(high)]
