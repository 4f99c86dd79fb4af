"""Statistics of months and seasons: how well is the map of a period known?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.evaluation.correlation import pearson_from_sums
from model_utils.evaluation.spatial import MIN_STATIONS, station_anomalies

MIN_DAYS_OF_PERIOD = {"month": 3, "season": 3}
"""Fewest days of a station in a period: the mean of one or two days is no mean of a month.

No more, because reading and prediction are means over the same days: few make a pair noisier, not unfair. A satellite
that passes every five days, half of the time over clouds, leaves three days a month.
"""


def months(dates: pd.Index) -> NDArray[np.int64]:
    """Number of each date's calendar month, from 0."""
    return _numbered(pd.DatetimeIndex(dates).to_period("M"))


def seasons(dates: pd.Index) -> NDArray[np.int64]:
    """Number of each date's season, from 0: DJF, MAM, JJA, SON; a December belongs to the winter of the next year."""
    return _numbered((pd.DatetimeIndex(dates).to_period("M") + 1).asfreq("Q"))


def years(dates: pd.Index) -> NDArray[np.int64]:
    """Number of each date's calendar year, from 0."""
    return _numbered(pd.DatetimeIndex(dates).to_period("Y"))


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

    A pair counts with at least `MIN_DAYS_OF_PERIOD` days, a period with at least `MIN_STATIONS` such stations.

    - `period_rmse` is that of the means themselves: a station's mean reading in the period against its mean prediction
      over the same days. The level of the period is part of it, as it is part of a map in ug/m3.
    - `period_r` is of the pattern within periods. Unequal dates would fake a contrast between raw means, so each day's
      mean over the stations is taken from readings and from predictions, as for `spatial_r`, on days with at least
      `MIN_STATIONS` stations. What is left is averaged by station and period, less the period's mean over its
      stations, and correlated over all pairs. Periods of large contrasts, such as winters, have the more say.

    A resampled set of stations has its own day means, days and periods (plug-in, see `spatial_statistics`). Days are
    not resampled: intervals are about other places in these periods, not about other periods. So of two equally good
    methods the one luckier in errors that a period's stations share passes for the better one: in 400 simulated
    worlds (27 stations, two months, errors shared by days) `period_rmse_month_p` fell below .05 in 46 % of cases.

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
    least = MIN_DAYS_OF_PERIOD[length]
    of_period = [np.flatnonzero(period == number) for number in np.unique(period)]
    return {
        f"period_r_{length}": _r(observed, without_level, of_period, least, weights),
        f"period_rmse_{length}": _rmse(predicted - observed, of_period, least, weights),
    }


def _r(
    observed: NDArray[np.float64],
    without_level: NDArray[np.float64],
    of_period: Sequence[NDArray[np.intp]],
    least: int,
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Correlation of anomalies, from sums of squares about each period's own mean."""
    n, xx, yy, xy = np.zeros((4, len(weights)))
    for days in of_period:
        x, counted = station_anomalies(observed[:, days], weights)
        y, _ = station_anomalies(without_level[:, days], weights)
        weight = weights * (counted >= least)
        count = weight.sum(axis=1)
        kept = count >= MIN_STATIONS
        wx, wy = weight * x, weight * y
        sum_x, sum_y = wx.sum(axis=1), wy.sum(axis=1)
        n += kept * count
        for total, product, of_means in ((xx, wx * x, sum_x**2), (yy, wy * y, sum_y**2), (xy, wx * y, sum_x * sum_y)):
            total += kept * (product.sum(axis=1) - of_means / np.maximum(count, 1))
    zero = np.zeros_like(n)  # deviations from the periods' means sum to nothing
    return pearson_from_sums(n, zero, zero, xx, yy, xy)


def _rmse(
    error: NDArray[np.float64], of_period: Sequence[NDArray[np.intp]], least: int, weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Root mean square of the mean errors, which are the same in all draws; the periods that count are not."""
    grouped = [error[:, days] for days in of_period]
    days = np.array([np.isfinite(of).sum(axis=1) for of in grouped]).T
    mean_error = np.array([np.nansum(of, axis=1) for of in grouped]).T / np.maximum(days, 1)
    counts = (days >= least).astype(float)
    count, squares = weights @ counts, weights @ (counts * mean_error**2)
    kept = count >= MIN_STATIONS
    pairs = (kept * count).sum(axis=1)
    mean_square = (kept * squares).sum(axis=1) / np.maximum(pairs, 1)
    return np.where(pairs > 0, np.sqrt(mean_square), np.nan)


def _numbered(periods: pd.PeriodIndex) -> NDArray[np.int64]:
    return np.unique(periods.asi8, return_inverse=True)[1].astype(np.int64)
