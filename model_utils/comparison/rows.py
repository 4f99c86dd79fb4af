"""The table of a comparison: one row a method, design and number of training stations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from model_utils.comparison.methods import MethodEntry
from model_utils.comparison.outcomes import Outcome
from model_utils.evaluation.coverage import coverage
from model_utils.evaluation.paired import Replicates, summary
from model_utils.sampling.tile_ground import TileGround


def comparison_table(
    outcomes: Sequence[Outcome],
    scored: Sequence[Replicates],
    seen_ground: Mapping[str, TileGround | None],
    side_m: float,
    level: float,
    draws: int,
    seed: int,
) -> pd.DataFrame:
    """One row an outcome, sorted by design and number of training stations.

    Args:
        outcomes: As from `collect`.
        scored: As from `score_outcomes`.
        seen_ground: start -> what the tiles showed that its encoder was trained on; None where that is not known.
        side_m: Side of the tiles that are predicted, metres.
        level: Of the prediction intervals.
        draws: Resamplings behind the interval of their coverage.
        seed: Of these.

    Returns:
        design, stations, method, family, what it uses, transductive, trials, counts, and each score with `_low` and
        `_high`; coverage and mean_width (ug/m3) where the method has prediction intervals.
    """
    rows = []
    for outcome, replicated in zip(outcomes, scored, strict=True):
        entry, runs = outcome.entry, list(outcome.runs.values())
        row: dict[str, Any] = {
            "design": outcome.design,
            "stations": outcome.stations,
            "method": entry.name,
            "family": entry.family,
            "uses_same_day_readings": entry.uses_same_day_readings,
            "uses_images": entry.uses_images,
            "uses_weather": entry.uses_weather,
            "transductive": _transductive(entry, runs[0], seen_ground, side_m),
            "trials": outcome.trials,
        }
        scores = summary(replicated)
        if entry.has_intervals_in(outcome.design) and runs[0]["lower"].notna().any():
            covered = coverage(runs[0], level, draws, seed)
            scores |= {name: covered[name] for name in ("coverage", "coverage_ci95")}
            row["mean_width"] = covered["mean_width"]
        row["runs"] = len(runs)
        row |= {name: scores[name] for name in ("n_stations", "n_samples", "n_days")}
        for key, value in scores.items():
            if f"{key}_ci95" in scores:
                low, high = scores[f"{key}_ci95"] or (None, None)
                row |= {key: value, f"{key}_low": low, f"{key}_high": high}
        rows.append(row)
    return pd.DataFrame(rows).sort_values(["design", "stations"], kind="stable", ignore_index=True)


def _transductive(
    entry: MethodEntry, run: pd.DataFrame, seen_ground: Mapping[str, TileGround | None], side_m: float
) -> bool | None:
    """Whether its encoder was trained on ground that tiles of test stations show; None where that is not known."""
    if not entry.start:
        return False
    seen = seen_ground[entry.start]
    if seen is None:
        return None
    places = run[["latitude", "longitude"]].drop_duplicates().to_numpy(np.float64)
    return bool(seen.shown_in(places[:, 0], places[:, 1], side_m).any())
