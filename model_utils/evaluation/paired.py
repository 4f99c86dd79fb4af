"""Scores of a method over many runs, and what one method scores above another on the same rows.

A *run* is a frame of test rows of one draw and seed: site_id, local_date, observed, predicted (ug/m3; NaN = none), and
optionally predicted_level (see `round_level`) and predicted_other_dates (predictions by models that never trained on
the date; where a run has any, its temporal_r is theirs).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.errors import InputError
from model_utils.evaluation.bootstrap import Resamples, multiplicities, percentile_interval, resample, two_sided_p
from model_utils.evaluation.scores import draw_scores, resampled_units
from model_utils.evaluation.spatial import evaluated


@dataclass(frozen=True)
class Replicates:
    """Scores of the runs of one method, for the data and for every resample.

    Attributes:
        runs: The runs, cut to the columns that count; `temporal` is what temporal_r scores.
        resamples: Of all runs' stations and dates: in a draw every run has the same stations.
        values: Key -> runs x (1 + draws), the data's first; NaN where a score does not exist.
        draws: How many resamples.
        seed: Of the resamples.
    """

    runs: tuple[pd.DataFrame, ...]
    resamples: Resamples
    values: Mapping[str, NDArray[np.float64]]
    draws: int
    seed: int


def replicates(runs: Sequence[pd.DataFrame], keys: Collection[str], draws: int = 1000, seed: int = 0) -> Replicates:
    """Scores all runs of a method for every resample: the slow part, done once for its summary and all its pairs.

    Args:
        runs: At least one.
        keys: Of `scores.KEYS`; spearman_r takes longer than all others together.
        draws: Resamples.
        seed: Of the resamples: methods with the same seed, stations and dates are resampled alike.

    Raises:
        InputError: A level is missing.
    """
    return _replicates([_cut(run) for run in runs], keys, draws, seed)


def summary(scored: Replicates) -> dict[str, Any]:
    """Mean scores over runs, with intervals.

    The bootstrap resamples stations (scores of places and periods), days (temporal_r) or both crosswise (pooled
    scores), the same in all runs since runs share their test stations and days, and with several runs the runs as well
    (the pigeonhole bootstrap of crossed factors, Owen 2007, Annals of Applied Statistics 1(2)). The interval is
    expanded for the number of stations or days, for pooled scores the smaller one.

    Returns:
        Ready for JSON. For each key: the mean over the runs that have it, or None; `<key>_ci95`, [low, high] or None;
        `<key>_undefined_runs`, how many have it not. n_runs, and medians over runs: n_stations, n_days, n_samples.
    """
    result: dict[str, Any] = {}
    for key, values in scored.values.items():
        mean = _mean_over_runs(values, scored)
        result |= _described(key, values, mean, scored)
    return result | _counts(scored)


def paired_differences(
    a: Sequence[pd.DataFrame], b: Sequence[pd.DataFrame], keys: Collection[str], draws: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """What method a scores above method b; see `difference`."""
    return difference(replicates(a, keys, draws, seed), replicates(b, keys, draws, seed))


def difference(a: Replicates, b: Replicates) -> dict[str, Any]:
    """What method a scores above method b: run by run, on the same rows, with stations, days and runs resampled alike.

    Rows where either has no prediction are left out of both, runs where either has no score are left out of the key.

    Args:
        a: With the keys, draws and seed of `b`.
        b: Of the same runs: the same rows in the same order.

    Returns:
        As `summary`, for the differences a - b, with `<key>_p`, the two-sided bootstrap p-value (`two_sided_p`).

    Raises:
        InputError: The runs of a and b are not of the same rows.
    """
    if not all(map(_same_masks, _aligned(a, b), b.runs)):
        common = [[_where(run, other) for run, other in zip(x.runs, y.runs, strict=True)] for x, y in ((a, b), (b, a))]
        a, b = (_replicates(runs, a.values, a.draws, a.seed) for runs in common)
    result: dict[str, Any] = {}
    for key, values in a.values.items():
        differences = values - b.values[key]
        mean = _mean_over_runs(differences, a)
        result |= _described(key, differences, mean, a)
        result[f"{key}_p"] = None if result[key] is None else two_sided_p(mean[1:], resampled_units(key, a.resamples))
    return result | _counts(a)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """p-values adjusted for the number of comparisons (Holm 1979, Scandinavian Journal of Statistics 6).

    Args:
        p_values: One a comparison; None and NaN are no comparisons, and come back as they are.
    """
    adjusted = list(p_values)
    tested = sorted((p, number) for number, p in enumerate(p_values) if p is not None and not np.isnan(p))
    least = 0.0
    for rank, (p, number) in enumerate(tested):
        least = max(least, min(1.0, (len(tested) - rank) * p))
        adjusted[number] = least
    return adjusted


def _cut(run: pd.DataFrame) -> pd.DataFrame:
    columns = ["site_id", "local_date", "observed", "predicted", "predicted_level"]
    other = run.get("predicted_other_dates", run["predicted"])
    return run[[column for column in columns if column in run]].assign(
        temporal=other if np.isfinite(other).any() else run["predicted"]
    )


def _replicates(runs: Sequence[pd.DataFrame], keys: Collection[str], draws: int, seed: int) -> Replicates:
    scored = [evaluated(run) for run in runs]
    resamples = resample(scored, draws, seed)
    others = [key for key in keys if key != "temporal_r"]
    values = [
        draw_scores(rows, resamples, others)
        | draw_scores(evaluated(rows.assign(predicted=rows["temporal"])), resamples, set(keys) - set(others))
        for rows in scored
    ]
    return Replicates(tuple(runs), resamples, {key: np.array([of[key] for of in values]) for key in keys}, draws, seed)


def _aligned(a: Replicates, b: Replicates) -> Sequence[pd.DataFrame]:
    """The runs of a, of the same rows as those of b."""
    if len(a.runs) != len(b.runs):
        raise InputError(f"paired runs: found {len(a.runs)} and {len(b.runs)} runs, expected as many")
    for number, (run, other) in enumerate(zip(a.runs, b.runs, strict=True)):
        for column in ("site_id", "local_date", "observed"):
            if not np.array_equal(run[column], other[column], equal_nan=column == "observed"):
                raise InputError(f"paired runs: {column} differs in run {number}, expected the same rows in both")
    return a.runs


def _same_masks(run: pd.DataFrame, other: pd.DataFrame) -> bool:
    columns = ["predicted", "temporal"]
    return np.array_equal(np.isfinite(run[columns]), np.isfinite(other[columns]))


def _where(run: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """A run with the predictions that the other has too."""
    columns = ["predicted", "temporal"]
    return run.assign(**{name: run[name].where(np.isfinite(other[name].to_numpy(float))) for name in columns})


def _mean_over_runs(values: NDArray[np.float64], scored: Replicates) -> NDArray[np.float64]:
    """Means over resampled runs (those with a score), 1 + draws."""
    runs = len(values)
    weights = multiplicities(runs, scored.draws, np.random.default_rng([scored.seed, runs])).T
    if runs == 1:
        weights = np.ones_like(values)
    weights = weights * (np.isfinite(values) & np.isfinite(values[:, :1]))
    total = weights.sum(axis=0)
    sums = np.where(weights > 0, weights * values, 0).sum(axis=0)
    return np.where(total > 0, sums / np.maximum(total, 1), np.nan)


def _described(key: str, values: NDArray[np.float64], mean: NDArray[np.float64], scored: Replicates) -> dict[str, Any]:
    some = bool(np.isfinite(mean[0]))
    return {
        key: float(mean[0]) if some else None,
        f"{key}_ci95": percentile_interval(mean[1:], resampled_units(key, scored.resamples)) if some else None,
        f"{key}_undefined_runs": int(np.isnan(values[:, 0]).sum()),
    }


def _counts(scored: Replicates) -> dict[str, int]:
    rows = [evaluated(run) for run in scored.runs]
    counts = {
        "n_stations": [of_run["site_id"].nunique() for of_run in rows],
        "n_days": [of_run["local_date"].nunique() for of_run in rows],
        "n_samples": [len(of_run) for of_run in rows],
    }
    return {"n_runs": len(rows)} | {name: int(np.median(values)) for name, values in counts.items()}
