"""The claims of a comparison: which method is set against which, stated before any number is seen, and what is found.

Few, since Holm's correction asks the more of each claim the more there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from model_utils.comparison.methods import MethodEntry
from model_utils.comparison.outcomes import Outcome
from model_utils.estimators.references.catalogue import FIELD_REFERENCES
from model_utils.evaluation.paired import Replicates, difference, holm

DIFFERENCE_KEYS = ("spatial_r", "spatial_rmse", "rmse", "rmse_new_dates", "temporal_r")


def pairs(entries: Sequence[MethodEntry]) -> list[tuple[str, str]]:
    """Which method is compared against which.

    What is learnt against the frozen random encoder; spatiotemporal against regular pairs; the combined contrastive
    starts against training on labels alone, ImageNet, band statistics under the same head, and coordinates; field plus
    image against the field alone; place and day against the Gaussian process on coordinates, kriging, the random
    encoder's, and spatiotemporal against regular pairs; joint models against weather alone and images alone; and what a
    contrastive start adds to field and joint model above a random one.

    Args:
        entries: All methods.

    Returns:
        (method, against), once each, both among the entries.
    """
    names = {entry.name: entry for entry in entries}
    combined = {entry.start: entry.name for entry in entries if entry.family == "start" and entry.start}
    joined = {entry.start for entry in entries if entry.family in ("field", "joint")}
    asked = []
    for name, entry in names.items():
        random = name.replace(combined.get(entry.start, name), "random_frozen")
        if entry.family == "start" and name != "band_statistics":
            asked.append((name, "random_frozen"))
            asked.append((name, name.replace("_spatiotemporal", "_regular")))
            if entry.start in joined and random != name:
                asked += [(name, other) for other in ("random_trained", "imagenet")]
                asked += [(name, other) for other in ("band_statistics", "latitude_longitude")]
        if entry.family == "field":
            alone = next(alone for field, alone in FIELD_REFERENCES.items() if name.endswith(f"+{field}"))
            asked += [(name, alone), (name, random)]
        if entry.family == "place":
            asked += [(name, "gaussian_process"), (name, "ordinary_kriging"), (name, random)]
            asked.append((name, name.replace("_spatiotemporal", "_regular")))
        if entry.family == "joint":
            asked += [(name, "weather_forest"), (name, combined[entry.start]), (name, random)]
    return [(name, other) for name, other in dict.fromkeys(asked) if name != other and other in names]


def comparison_differences(
    outcomes: Sequence[Outcome], scored: Sequence[Replicates], asked: Sequence[tuple[str, str]]
) -> pd.DataFrame:
    """Paired differences over the same draws, rows and resamples, corrected within design, stations and key (Holm).

    Args:
        outcomes: As from `collect`.
        scored: As from `score_outcomes`.
        asked: As from `pairs`; a pair is left out of designs where either method was not run.

    Returns:
        design, stations, method, against, key, difference (method - against), low, high, p, runs, p_adjusted.
    """
    columns = ["design", "stations", "method", "against", "key", "difference", "low", "high", "p", "runs"]
    found = {
        (outcome.design, outcome.stations, outcome.entry.name): (outcome, replicated)
        for outcome, replicated in zip(outcomes, scored, strict=True)
    }
    rows = []
    for design, stations in dict.fromkeys((outcome.design, outcome.stations) for outcome in outcomes):
        for method, against in asked:
            if not {(design, stations, method), (design, stations, against)} <= set(found):
                continue
            (one, a), (other, b) = found[design, stations, method], found[design, stations, against]
            keys = [key for key in _tested(one, other) if key in a.values and key in b.values]
            result = difference(*(replace(each, values={key: each.values[key] for key in keys}) for each in (a, b)))
            for key in keys:
                low, high = result[f"{key}_ci95"] or (None, None)
                values = (design, stations, method, against, key, result[key], low, high, result[f"{key}_p"])
                rows.append(dict(zip(columns, (*values, result["n_runs"]), strict=True)))
    table = pd.DataFrame(rows, columns=columns)
    table["p_adjusted"] = np.nan
    for _, group in table.groupby(["design", "stations", "key"]):
        table.loc[group.index, "p_adjusted"] = np.array(holm(group["p"].tolist()), dtype=float)
    return table


def _tested(one: Outcome, other: Outcome) -> list[str]:
    """The scores whose differences mean something: RMSE only where both read the day, or neither learnt from it."""
    alike = one.entry.uses_same_day_readings and other.entry.uses_same_day_readings
    return [key for key in DIFFERENCE_KEYS if key != "rmse" or alike or one.design == "temporal"]
