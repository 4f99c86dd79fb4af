"""All statistics of one set of predictions, with intervals."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd

from model_utils.errors import InputError
from model_utils.evaluation.bootstrap import percentile_interval, resample
from model_utils.evaluation.scores import KEYS, draw_scores, resampled_units
from model_utils.evaluation.spatial import MIN_STATIONS, evaluated

__all__ = ["KEYS", "evaluate"]


def evaluate(
    predictions: pd.DataFrame, draws: int = 1000, seed: int = 0, keys: Collection[str] = KEYS
) -> dict[str, Any]:
    """Scores predictions and says how sure each score is.

    Rows without a finite prediction are left out of every score and counted in
    `n_samples_without_prediction`; rows without a reading are left out. Several rows of a station on one
    local date are averaged for the spatial, period and temporal scores.

    Args:
        predictions: Rows to score (usually the test rows): site_id, local_date, observed, predicted (ug/m3), and
            `predicted_level` (ug/m3, see `round_level`) where several rounds predicted them, each its own test
            stations.
        draws: Resamples of the bootstrap, over stations (spatial scores and those of periods), over days
            (temporal_r), or over both crosswise (pooled scores: the errors of a day are shared by its stations, see
            `pooled_statistics`).
        seed: Of the resamples.
        keys: Which scores; by default all.

    Returns:
        Ready for JSON. `keys`: a number, or None where the score does not exist (too few stations or days, no
        spread). `<key>_ci95`: [low, high], or None (also with fewer than 2 units to resample). Counts: n_stations,
        n_days, n_samples, n_days_spatial (days with at least 3 stations), n_samples_without_prediction.

    Raises:
        InputError: A column is missing, or a level.
    """
    for column in ("site_id", "local_date", "observed", "predicted"):
        if column not in predictions:
            raise InputError(
                f"predictions: column {column!r} is missing, found {', '.join(map(str, predictions.columns))}"
            )
    rows = evaluated(predictions)
    stations_of_day = rows.groupby("local_date")["site_id"].nunique()
    result: dict[str, Any] = {key: None for name in keys for key in (name, f"{name}_ci95")}
    result |= {
        "n_stations": rows["site_id"].nunique(),
        "n_days": len(stations_of_day),
        "n_samples": len(rows),
        "n_days_spatial": int((stations_of_day >= MIN_STATIONS).sum()),
        "n_samples_without_prediction": int(np.isfinite(predictions["observed"]).sum()) - len(rows),
    }
    resamples = resample([rows], draws, seed)
    for key, values in draw_scores(rows, resamples, keys).items():
        if np.isfinite(values[0]):
            result[key] = float(values[0])
            result[f"{key}_ci95"] = percentile_interval(values[1:], resampled_units(key, resamples))
    return result
