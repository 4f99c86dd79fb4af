"""How many readings lie in their prediction intervals, and how wide these are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from model_utils.evaluation.bootstrap import multiplicities, percentile_interval

SEASONS = ("DJF", "MAM", "JJA", "SON")
"""Months by their first letters; which of them is winter depends on the hemisphere."""

LEVELS = ("low", "middle", "high")


def coverage(predictions: pd.DataFrame, level: float, draws: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Coverage of the readings that have an interval.

    Args:
        predictions: Rows (usually the test rows): site_id, observed, lower, upper (ug/m3).
        level: Share that the intervals promise to cover.
        draws: Resamples of the stations behind `coverage_ci95`.
        seed: Of the resamples.

    Returns:
        Ready for JSON: interval_level, coverage, coverage_ci95, mean_width (ug/m3), n (rows with reading and
        interval). None where there is no such row; the interval also with fewer than 2 stations.
    """
    rows = _covered(predictions)
    result: dict[str, Any] = {"interval_level": level, "coverage": None, "coverage_ci95": None, "mean_width": None}
    result["n"] = len(rows)
    if len(rows):
        station = rows.groupby("site_id")["covered"].agg(["sum", "size"]).to_numpy(float)
        weights = multiplicities(len(station), draws, np.random.default_rng(seed))
        shares = (weights @ station[:, 0]) / (weights @ station[:, 1])
        result["coverage"] = float(shares[0])
        result["coverage_ci95"] = percentile_interval(shares[1:], len(station))
        result["mean_width"] = float(rows["width"].mean())
    return result


def coverage_table(predictions: pd.DataFrame) -> pd.DataFrame:
    """Coverage and mean width by station, by season, and by level.

    Levels are thirds of the *predictions*: a third of the readings, say the highest, is chosen by what the
    prediction missed, and would be covered less often however good the intervals are.

    Args:
        predictions: Rows: site_id, local_date, observed, predicted, lower, upper (ug/m3).

    Returns:
        kind (station, season, level), group (site id; `SEASONS`; `LEVELS`), coverage, width (ug/m3), samples; groups
        without rows are left out.
    """
    rows = _covered(predictions)
    month = pd.to_datetime(rows["local_date"]).dt.month.to_numpy()
    third = np.zeros(len(rows), dtype=np.int64)
    if len(rows):
        third = np.searchsorted(np.quantile(rows["predicted"], [1 / 3, 2 / 3]), rows["predicted"].to_numpy())
    station = rows["site_id"].astype(str).to_numpy()
    groups = {
        "station": (station, sorted(set(station))),
        "season": (np.array(SEASONS)[month % 12 // 3], SEASONS),
        "level": (np.array(LEVELS)[third], LEVELS),
    }
    tables = []
    for kind, (group, order) in groups.items():
        table = rows.groupby(group).agg(
            coverage=("covered", "mean"), width=("width", "mean"), samples=("covered", "size")
        )
        table = table.loc[[name for name in order if name in table.index]]
        tables.append(table.rename_axis("group").reset_index().assign(kind=kind))
    return pd.concat(tables, ignore_index=True)[["kind", "group", "coverage", "width", "samples"]]


def _covered(predictions: pd.DataFrame) -> pd.DataFrame:
    """The rows with a reading and an interval, and for each whether it is `covered` and the `width`."""
    rows: pd.DataFrame = predictions[
        np.isfinite(predictions[["observed", "lower", "upper"]].to_numpy(float)).all(axis=1)
    ]
    covered = (rows["lower"] <= rows["observed"]) & (rows["observed"] <= rows["upper"])
    return rows.assign(covered=covered.astype(float), width=rows["upper"] - rows["lower"])
