"""All scores of a set of rows, for the data and for every resample."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.evaluation.bootstrap import Resamples
from model_utils.evaluation.periods import MIN_DAYS_OF_PERIOD, PERIOD_OF, period_statistics
from model_utils.evaluation.pooled import pooled_statistics, spearman_statistics
from model_utils.evaluation.spatial import (
    spatial_statistics,
    spatial_statistics_paper,
    station_days,
    without_level,
)
from model_utils.evaluation.temporal import temporal_statistics

POOLED = ("rmse", "mae", "nrmse", "nmae", "mean_bias", "nmb", "r2", "pearson_r", "spearman_r", "fac2")
SPATIAL, SPATIAL_PAPER = ("spatial_r", "spatial_rmse"), ("spatial_r_paper", "spatial_rmse_paper")
PERIOD = tuple(f"period_{score}_{length}" for length in MIN_DAYS_OF_PERIOD for score in ("r", "rmse"))
KEYS = (*POOLED, *SPATIAL, *SPATIAL_PAPER, *PERIOD, "temporal_r")
"""All scores."""


def resampled_units(key: str, resamples: Resamples) -> int:
    """How many units an interval of the score stands on: stations, for `temporal_r` days.

    For pooled scores, which resample both, the fewer of them; the other where there is a single one, which varies
    nothing.
    """
    stations, days = len(resamples.sites), len(resamples.dates)
    if key in POOLED:
        return min((units for units in (stations, days) if units > 1), default=1)
    return days if key == "temporal_r" else stations


def draw_scores(rows: pd.DataFrame, resamples: Resamples, keys: Collection[str]) -> dict[str, NDArray[np.float64]]:
    """Scores rows for every resample of stations (`temporal_r`: of days; pooled scores: of both, crosswise).

    Args:
        rows: Rows with a reading and a prediction: site_id, local_date, observed, predicted (ug/m3), and where
            several rounds predicted them `predicted_level`, which spatial_r, spatial_rmse and period_r subtract.
        resamples: Of these rows' stations and dates, which may be more than the rows have.
        keys: Some of `KEYS`.

    Returns:
        Key -> 1 + draws values, the data's first; NaN where the score does not exist.
    """
    wanted = set(keys)
    if rows.empty:
        return {key: np.full(len(resamples.stations), np.nan) for key in keys}
    site, day = resamples.place(rows)
    observed, predicted = rows["observed"].to_numpy(float), rows["predicted"].to_numpy(float)

    def grid(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return station_days(values, site, day, (len(resamples.sites), len(resamples.dates)))

    scores: dict[str, NDArray[np.float64]] = {}
    if wanted & {*POOLED} - {"spearman_r"}:
        scores |= pooled_statistics(observed, predicted, site, day, resamples)
    if "spearman_r" in wanted:
        scores |= spearman_statistics(observed, predicted, site, day, resamples)
    if wanted & {*SPATIAL}:
        scores |= spatial_statistics(grid(observed), grid(without_level(rows)), resamples.stations)
    if wanted & {*SPATIAL_PAPER}:
        count, of_observed, of_predicted = (
            np.bincount(site, weights=values, minlength=len(resamples.sites))
            for values in (np.ones_like(observed), observed, predicted)
        )
        read = count > 0
        means = of_observed[read] / count[read], of_predicted[read] / count[read]
        scores |= spatial_statistics_paper(*means, resamples.stations[:, read])
    for length, period_of in PERIOD_OF.items():
        if any(key in PERIOD and key.endswith(length) for key in wanted):
            grids = grid(observed), grid(predicted), grid(without_level(rows))
            scores |= period_statistics(*grids, period_of(resamples.dates), length, resamples.stations)
    if "temporal_r" in wanted:
        scores |= temporal_statistics(grid(observed), grid(predicted), resamples.days)
    return {key: scores[key] for key in keys}
