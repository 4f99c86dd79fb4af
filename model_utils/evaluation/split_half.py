"""The ceiling of real readings: how well do the stations' anomalies repeat?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.evaluation.bootstrap import percentile_interval, resample
from model_utils.evaluation.correlation import pearson
from model_utils.evaluation.spatial import MIN_STATIONS, station_anomalies, station_days

RANDOM_HALVES = 200


def split_half(samples: pd.DataFrame, draws: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Correlation over stations of the anomalies (from the same-day mean) in two halves of the dates.

    Half a record with reliability r (share of the anomalies' variance that repeats) correlates at r with the other
    half; the whole record has reliability 2 r / (1 + r) (Spearman 1910; Brown 1910), and nothing that is constant in
    time, known without any error, correlates with it better than the square root of that. Two ways to halve:
    the first and the second half of the dates, between which a station may also change, so that `ceiling` is that
    of what persists; and random halves, which share seasons and episodes, so that `ceiling_random` is that of
    the period's own mean pattern. A method scored on fewer dates than these meets a lower ceiling.

    Args:
        samples: Readings: site_id, local_date, pm25 (ug/m3, NaN = none). Only days with at least `MIN_STATIONS`
            readings count.
        draws: Bootstrap resamples of the stations.
        seed: Of the resamples and of the random halves.

    Returns:
        Ready for JSON. split_half_r and split_half_r_ci95 (first against second half), split_half_r_random (median
        over random halves), ceiling, ceiling_ci95, ceiling_random, reliability, reliability_random; None where
        there are fewer than `MIN_STATIONS` stations with readings in both halves, or no spread. n_stations, n_days.
    """
    rows = samples[np.isfinite(samples["pm25"])]
    per_day = rows.groupby("local_date")["site_id"].transform("nunique")
    rows = rows[per_day >= MIN_STATIONS]
    resamples = resample([rows], draws, seed)
    stations, days = len(resamples.sites), len(resamples.dates)
    readings = station_days(rows["pm25"].to_numpy(float), *resamples.place(rows), (stations, days))
    result: dict[str, Any] = {"n_stations": stations, "n_days": days}

    later = np.arange(days) >= days // 2
    chronological = _half_r(readings, later, resamples.stations)
    interval = percentile_interval(chronological[1:], stations) if np.isfinite(chronological[0]) else None
    random = np.random.default_rng(seed)
    halves = [_half_r(readings, random.permutation(later), np.ones((1, stations)))[0] for _ in range(RANDOM_HALVES)]
    defined = [r for r in halves if np.isfinite(r)]
    for name, r in {"": chronological[0], "_random": np.median(defined) if defined else np.nan}.items():
        known = bool(np.isfinite(r))
        result[f"split_half_r{name}"] = float(r) if known else None
        result[f"reliability{name}"] = reliability(float(r)) if known else None
        result[f"ceiling{name}"] = reliability(float(r)) ** 0.5 if known else None
    result["split_half_r_ci95"] = interval
    result["ceiling_ci95"] = [reliability(r) ** 0.5 for r in interval] if interval else None
    return result


def reliability(half_r: float) -> float:
    """Spearman-Brown: of a whole record, from the correlation of its halves; 0 for a correlation below 0."""
    return 2 * half_r / (1 + half_r) if half_r > 0 else 0.0


def _half_r(
    readings: NDArray[np.float64], later: NDArray[np.bool_], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Correlation between two sets of days, for every weighting of the stations; NaN where it does not exist."""
    (first, first_days), (second, second_days) = (
        station_anomalies(readings[:, half], weights) for half in (~later, later)
    )
    weights = weights * (first_days > 0) * (second_days > 0)
    return np.where(weights.sum(axis=1) >= MIN_STATIONS, pearson(first, second, weights), np.nan)
