"""All statistics of one set of predictions, with intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from model_utils.errors import InputError
from model_utils.evaluation.bootstrap import multiplicities, percentile_interval
from model_utils.evaluation.pooled import pooled_statistics
from model_utils.evaluation.spatial import (
    MIN_STATIONS,
    evaluated,
    spatial_statistics,
    spatial_statistics_paper,
    station_days,
)
from model_utils.evaluation.temporal import temporal_statistics

KEYS = (
    *("rmse", "mae", "nrmse", "nmae", "mean_bias", "nmb", "r2", "pearson_r", "spearman_r", "fac2"),
    *("spatial_r", "spatial_rmse", "spatial_r_paper", "spatial_rmse_paper", "temporal_r"),
)
"""The scores of `evaluate`; each has its interval under `<key>_ci95`."""


def evaluate(predictions: pd.DataFrame, draws: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Scores predictions and says how sure each score is.

    Rows without a finite prediction are left out of every score and counted in
    `n_samples_without_prediction`; rows without a reading are left out. Several rows of a station on one
    local date are averaged for the spatial and temporal scores.

    Args:
        predictions: Rows to score (usually the test rows): site_id, local_date, observed, predicted (ug/m3).
        draws: Resamples of the percentile bootstrap, over stations (pooled and spatial scores) and over
            days (temporal_r).
        seed: Of the resamples.

    Returns:
        Ready for JSON. `KEYS`: a number, or None where the score does not exist (too few stations or days, no
        spread). `<key>_ci95`: [low, high], or None (also with fewer than 2 units to resample). Counts: n_stations,
        n_days, n_samples, n_days_spatial (days with at least 3 stations), n_samples_without_prediction.

    Raises:
        InputError: A column is missing.
    """
    for column in ("site_id", "local_date", "observed", "predicted"):
        if column not in predictions:
            raise InputError(
                f"predictions: column {column!r} is missing, found {', '.join(map(str, predictions.columns))}"
            )
    rows = evaluated(predictions)
    result: dict[str, Any] = {key: None for name in KEYS for key in (name, f"{name}_ci95")}
    observed, predicted = station_days(rows, "observed"), station_days(rows, "predicted")
    result |= {
        "n_stations": observed.shape[0],
        "n_days": observed.shape[1],
        "n_samples": len(rows),
        "n_days_spatial": int((np.isfinite(observed).sum(axis=0) >= MIN_STATIONS).sum()),
        "n_samples_without_prediction": int(np.isfinite(predictions["observed"]).sum()) - len(rows),
    }
    if rows.empty:
        return result

    random = np.random.default_rng(seed)
    stations = multiplicities(observed.shape[0], draws, random)
    days = multiplicities(observed.shape[1], draws, random)
    by_site = rows.groupby("site_id")
    means = by_site[["observed", "predicted"]].mean().to_numpy(float)
    scores = {
        **pooled_statistics(
            rows["observed"].to_numpy(float),
            rows["predicted"].to_numpy(float),
            by_site.ngroup().to_numpy(),
            stations,
        ),
        **spatial_statistics(observed, predicted, stations),
        **spatial_statistics_paper(means[:, 0], means[:, 1], stations),
        **temporal_statistics(observed, predicted, days),
    }
    for key, values in scores.items():
        if np.isfinite(values[0]):
            result[key] = float(values[0])
            units = days if key == "temporal_r" else stations
            result[f"{key}_ci95"] = percentile_interval(values[1:]) if units.shape[1] >= 2 else None
    return result
