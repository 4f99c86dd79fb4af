"""Percentile bootstrap by multiplicities: how often each unit is in each resample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit


def multiplicities(units: int, draws: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Counts how often each unit (a station, a day) is drawn when `units` are drawn with replacement.

    A statistic written in weighted sums over units is then computed for all resamples at once, and for the
    data themselves by the row of ones.

    Returns:
        (1 + draws) x units; row 0 is all ones (the data), the others are resamples.
    """
    if not units:
        return np.empty((1 + draws, 0))
    return np.vstack([np.ones(units), random.multinomial(units, np.full(units, 1 / units), size=draws)])


@dataclass(frozen=True)
class Resamples:
    """Stations and days, and how often each is in each resample.

    Attributes:
        sites: Station ids, sorted.
        dates: Local dates, sorted.
        stations: (1 + draws) x stations.
        days: (1 + draws) x days.
    """

    sites: pd.Index
    dates: pd.Index
    stations: NDArray[np.float64]
    days: NDArray[np.float64]

    def place(self, rows: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Number of each row's station and of its date."""
        site = self.sites.get_indexer(pd.Index(rows["site_id"])).astype(np.int64)
        return site, self.dates.get_indexer(pd.Index(rows["local_date"])).astype(np.int64)


def resample(frames: Sequence[pd.DataFrame], draws: int, seed: int) -> Resamples:
    """Resamples the stations and the days of frames (site_id, local_date).

    Frames of the same stations and dates are resampled alike, whatever their rows and order.
    """
    sites, dates = (
        pd.Index(pd.concat([frame[column] for frame in frames]).unique()).sort_values()
        for column in ("site_id", "local_date")
    )
    random = np.random.default_rng(seed)
    return Resamples(sites, dates, multiplicities(len(sites), draws, random), multiplicities(len(dates), draws, random))


def percentile_interval(resampled: NDArray[np.float64], units: int) -> list[float] | None:
    """The expanded percentile interval for 95 % (Hesterberg 2015, The American Statistician 69(4), 371-386).

    With n units plain percentiles are too narrow twice over: the bootstrap's variance is (n - 1) / n of the unbiased
    one, and the normal stands where Student's t belongs. So the tails are alpha' = Phi(sqrt(n / (n - 1)) t) with the
    2.5 % point t of n - 1 degrees of freedom: 0.9 % a side for 10 units, 1.8 % for 27.
    For `spatial_r` in simulated worlds of 10, 15 and 27 stations they held the truth in 95, 94 and 95 % of cases, plain
    percentiles in 90, 90 and 93 % (`benchmarks/interval_coverage.py`).

    Args:
        resampled: One value a resample; NaN where the statistic does not exist there.
        units: n, how many units were resampled.

    Returns:
        [low, high], or None for fewer than 2 units or where fewer than half of the resamples have a value.
    """
    defined = resampled[np.isfinite(resampled)]
    if units < 2 or 2 * len(defined) < len(resampled) or not len(defined):
        return None
    tail = 100 * ndtr(np.sqrt(units / (units - 1)) * stdtrit(units - 1, 0.025))
    low, high = np.percentile(defined, [tail, 100 - tail])
    return [float(low), float(high)]


def two_sided_p(resampled: NDArray[np.float64], units: int) -> float | None:
    """p-value of the hypothesis that a statistic is 0: one minus the level at which its interval reaches 0.

    The share of resamples on the other side of 0, with one added to both counts (Davison & Hinkley 1997, section
    4.2), is expanded as in `percentile_interval`, so that p < .05 where that interval leaves 0 out. Where no resample
    lies on the other side the share says only that p is small: then Student's t of the resamples' mean and unbiased
    standard error says how small, so that a correction for many comparisons does not need millions of resamples.

    Args:
        resampled: One value a resample; NaN where the statistic does not exist there.
        units: How many units were resampled.

    Returns:
        p, or None where there is no interval.
    """
    if percentile_interval(resampled, units) is None:
        return None
    defined = resampled[np.isfinite(resampled)]
    beyond = min((defined <= 0).sum(), (defined >= 0).sum())
    tail = (1 + beyond) / (len(defined) + 1)
    p = min(1.0, 2 * stdtr(units - 1, np.sqrt((units - 1) / units) * ndtri(min(tail, 0.5))))
    error = defined.std() * np.sqrt(units / (units - 1))
    if not beyond and error > 0:
        p = min(p, 2 * stdtr(units - 1, -abs(defined.mean()) / error))
    return float(p)
