"""Prediction intervals that hold at stations nobody has trained on (split conformal, calibrated by station)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.estimators.estimator import Prediction
from model_utils.evaluation.correlation import NO_SPREAD

INTERVAL_LEVEL = 0.9
LEAST_CALIBRATION_STATIONS = 3
"""Fewest that say anything about how stations differ."""
FLOOR = 0.25
"""Least difficulty, in median absolute errors: a line fitted to errors may reach zero or less at low predictions."""

Intervals = tuple[NDArray[np.float64], NDArray[np.float64]]


def calibrated_intervals(
    observed: NDArray[np.float64],
    unseen: Prediction,
    station: NDArray[np.object_],
    predicted: Prediction,
    level: float = INTERVAL_LEVEL,
) -> Intervals:
    """Intervals from predictions at stations that the fit did not see.

    PM2.5 errors grow with the level, so the score of a row is its absolute error in units of a difficulty that is known
    without the reading (normalised conformal prediction: Papadopoulos et al. 2008): the predicted standard deviation
    where there is one, else a line of absolute error on prediction, with a floor. The line is a resistant one, since a
    head now and then predicts hundreds of ug/m3 too much or too little at an odd tile, and a few of these turn least
    squares upside down: large errors "at low predictions".

    Args:
        observed: Readings, ug/m3, n; looked at only where `unseen` is finite.
        unseen: Predictions of calibration rows, n; NaN for all other rows.
        station: Each row's, n.
        predicted: What needs intervals, n.
        level: Share of a new station's readings to cover.

    Returns:
        Lower (0 or more) and upper bounds, ug/m3, n; NaN where `predicted` is, and everywhere if `unseen` holds fewer
        than `LEAST_CALIBRATION_STATIONS` stations.
    """
    rows = np.isfinite(unseen.mean) & np.isfinite(observed)
    mean = predicted.mean
    if len(set(station[rows])) < LEAST_CALIBRATION_STATIONS:
        return np.full(len(mean), np.nan), np.full(len(mean), np.nan)
    error = np.abs(observed[rows] - unseen.mean[rows])
    if np.isfinite(unseen.sd[rows]).all():
        at_rows, everywhere = (np.maximum(sd, NO_SPREAD) for sd in (unseen.sd[rows], predicted.sd))
    else:
        slope, intercept = _resistant_line(unseen.mean[rows], error)
        floor = max(FLOOR * float(np.median(error)), NO_SPREAD)
        at_rows, everywhere = (np.maximum(intercept + slope * values, floor) for values in (unseen.mean[rows], mean))
    reach = conformal_quantile(error / at_rows, station[rows], level) * everywhere
    return np.maximum(mean - reach, 0), np.maximum(mean + reach, 0)


def _resistant_line(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """Slope and intercept by the medians of the outer thirds of x (Tukey 1977, Exploratory Data Analysis, 5)."""
    low, high = np.quantile(x, [1 / 3, 2 / 3])
    (x_low, y_low), (x_high, y_high) = (np.median([x[third], y[third]], axis=1) for third in (x <= low, x >= high))
    slope = float((y_high - y_low) / (x_high - x_low)) if x_high - x_low > NO_SPREAD else 0.0
    return slope, float(np.median(y - slope * x))


def conformal_quantile(scores: NDArray[np.float64], station: NDArray[np.object_], level: float) -> float:
    """The score that a share `level` of a new station's rows stays below, on average over stations.

    It is a quantile of the mixture of the stations with equal weights ("pooling CDFs", Dunn, Wasserman &
    Ramdas 2022), taken a little above `level` because the pooled stations are finitely many: at the smallest pooled
    level whose quantile *of the other stations* covers a share `level` of a station's rows, averaged over the
    stations. The guaranteed correction for K stations, level (K + 1) / K (Lee, Barber & Willett 2023), counts the
    new station as infinitely bad: at .9 it covers .93 with 24 stations and is infinite below 9. Over 3 to 50
    simulated stations whose effects spread from not at all to twice as wide as the noise, the plain quantile covers
    .84 to .90, this one .89 to .92.

    Args:
        scores: One a calibration row, finite, N.
        station: Each row's, N, at least two different ones.
        level: Share to cover, in (0, 1).

    Returns:
        A score; the largest of all where the largest of the other stations covers too little.
    """
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    _, number, rows = np.unique(station.astype(str)[order], return_inverse=True, return_counts=True)
    last_tied = np.searchsorted(ordered, ordered, side="right") - 1
    cdf = (np.cumsum(number[:, None] == np.arange(len(rows)), axis=0) / rows)[last_tied]  # N x stations
    others = (cdf.sum(axis=1, keepdims=True) - cdf) / (len(rows) - 1)
    levels = np.linspace(level, 1, 101)
    rounding = 1e-9
    covered = np.zeros(len(levels))
    for own, other in zip(cdf.T, others.T, strict=True):
        covered += own[np.searchsorted(other, levels - rounding)] / len(rows)
    enough = np.append(levels[covered >= level - rounding], 1.0)
    return float(ordered[np.searchsorted(cdf.mean(axis=1), enough[0] - rounding)])


def period_reach(
    observed: NDArray[np.float64],
    unseen: Prediction,
    station: NDArray[np.object_],
    period: NDArray[np.int64],
    least_days: int,
    level: float = INTERVAL_LEVEL,
) -> float:
    """Half-width of the intervals of means over periods, in means of the days' predicted standard deviations.

    The mean over a period errs by what is peculiar to the place and by what is left of the days' errors: less than a
    day does, by how much the calibration stations say.

    Args:
        observed: Readings, ug/m3, n.
        unseen: Predictions by fits that have not seen the row's station, n; NaN for all other rows.
        station: Each row's, n.
        period: Each row's number, n; each date its own for single days.
        least_days: A station's period with fewer days is left out.
        level: Share of a new station's periods to cover.

    Returns:
        NaN with fewer than `LEAST_CALIBRATION_STATIONS` stations.
    """
    rows = np.isfinite(unseen.mean) & np.isfinite(unseen.sd) & np.isfinite(observed)
    keys = pd.DataFrame({"station": station[rows].astype(str), "period": period[rows]})
    error = pd.Series(observed[rows] - unseen.mean[rows])
    by = [keys["station"], keys["period"]]
    days = error.groupby(by).size()
    score = error.groupby(by).mean().abs() / pd.Series(unseen.sd[rows]).groupby(by).mean().clip(lower=NO_SPREAD)
    score = score[days >= least_days]
    stations = score.index.get_level_values(0).to_numpy(object)
    if len(set(stations)) < LEAST_CALIBRATION_STATIONS:
        return float("nan")
    return conformal_quantile(np.asarray(score, np.float64), stations, level)
