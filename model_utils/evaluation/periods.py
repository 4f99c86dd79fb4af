"""Statistics of months and seasons: how well is the map of a period known?"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.evaluation.correlation import pearson_from_sums
from model_utils.evaluation.spatial import MIN_STATIONS

MIN_DAYS_OF_PERIOD = {"month": 3, "season": 3}
"""Fewest days of a station in a period: the mean of one or two days is no mean of a month."""


def months(dates: pd.Index) -> NDArray[np.int64]:
    """Number of each date's calendar month, from 0."""
    return _numbered(pd.DatetimeIndex(dates).to_period("M"))


def seasons(dates: pd.Index) -> NDArray[np.int64]:
    """Number of each date's season, from 0: DJF, MAM, JJA, SON; a December belongs to the winter of the next year."""
    return _numbered((pd.DatetimeIndex(dates).to_period("M") + 1).asfreq("Q"))


PERIOD_OF = {"month": months, "season": seasons}
"""Length -> the number of each date's period."""


def period_statistics(
    observed: NDArray[np.float64],
    predicted: NDArray[np.float64],
    without_level: NDArray[np.float64],
    period: NDArray[np.int64],
    length: str,
    weights: NDArray[np.float64],
) -> dict[str, NDArray[np.float64]]:
    """`period_r` and `period_rmse` (ug/m3) over all pairs of a station and a period, for every weighting of stations.

    `period_rmse` is that of the means themselves: a station's mean reading in the period against its mean prediction
    over the same days. `period_r` is of the pattern within periods: each day's mean over the stations is taken from
    readings and from predictions, as for `spatial_r`, and what is left is averaged by station and period and
    correlated over all pairs; unequal dates would fake a contrast between raw means. A resampled set of stations has
    its own day means. Pairs of fewer than `MIN_DAYS_OF_PERIOD` days are left out, and periods with fewer than
    `MIN_STATIONS` stations.

    Args:
        observed: Stations x days, ug/m3, NaN where there is no pair of reading and prediction.
        predicted: The same for predictions, NaN at the same places.
        without_level: Predictions as `spatial_r` takes them: less the level of their round.
        period: Of each day, from 0.
        length: month or season.
        weights: Draws x stations, how often each station counts.

    Returns:
        `period_r_<length>` and `period_rmse_<length>` -> one value a draw; NaN where no period is left, and of
        `period_r` without spread.
    """
    present = np.isfinite(observed).astype(float)
    x, y, error = (np.where(present > 0, values, 0) for values in (observed, without_level, predicted - observed))
    # the sums lie around zero, or their differences cancel
    x, y = (present * (values - values.sum() / max(present.sum(), 1)) for values in (x, y))
    count = weights @ present
    kept = (count >= MIN_STATIONS).astype(float)
    day_means = [kept * (weights @ values) / np.maximum(count, 1) for values in (x, y)]
    draws = len(weights)
    sums = np.zeros((6, draws))
    squares, pairs = np.zeros(draws), np.zeros(draws)
    for number in range(int(period.max(initial=-1)) + 1):
        days = period == number
        told = present[:, days].sum(axis=1)
        enough = told >= MIN_DAYS_OF_PERIOD[length]
        if enough.sum() < MIN_STATIONS:
            continue
        mean_error = error[:, days].sum(axis=1) / np.maximum(told, 1)
        squares += weights @ (enough * mean_error**2)
        pairs += weights @ enough
        compared = kept[:, days] @ present[:, days].T
        of_pair = weights * (enough & (compared >= MIN_DAYS_OF_PERIOD[length]))
        of_pair = of_pair * (of_pair.sum(axis=1, keepdims=True) >= MIN_STATIONS)
        one, other = (
            (kept[:, days] @ values[:, days].T - mean[:, days] @ present[:, days].T) / np.maximum(compared, 1)
            for values, mean in zip((x, y), day_means, strict=True)
        )
        terms = (np.ones_like(one), one, other, one * one, other * other, one * other)
        sums += np.array([(of_pair * term).sum(axis=1) for term in terms])
    return {
        f"period_r_{length}": np.where(sums[0] > 0, pearson_from_sums(*sums), np.nan),
        f"period_rmse_{length}": np.where(pairs > 0, np.sqrt(squares / np.maximum(pairs, 1)), np.nan),
    }


def _numbered(periods: pd.PeriodIndex) -> NDArray[np.int64]:
    return np.unique(periods.asi8, return_inverse=True)[1].astype(np.int64)
