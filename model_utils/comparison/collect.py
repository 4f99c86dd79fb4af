"""From cells to the rows of the tables."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.progress import track

from model_utils.comparison.cells import Cell, read_cell
from model_utils.comparison.methods import MethodEntry
from model_utils.comparison.reference_methods import FIELD_REFERENCES
from model_utils.evaluation.coverage import coverage
from model_utils.evaluation.paired import Replicates, difference, holm, replicates, summary

KEYS = ("spatial_r", "spatial_rmse", "rmse", "mae", "nrmse", "r2", "spatial_r_paper", "temporal_r")
ROW_COLUMNS = ("sample_id", "site_id", "site_name", "latitude", "longitude", "time_utc", "local_date")

MANY_RUNS = 10
"""Label efficiency scores some 20 runs where other designs score one, and has a tenth of the resamples."""

DIFFERENCE_KEYS = ("spatial_r", "spatial_rmse", "rmse", "rmse_new_dates", "temporal_r")


@dataclass(frozen=True)
class Outcome:
    """What a method predicted in all runs of one row of the tables.

    Attributes:
        design: As in `CompareConfig.designs`.
        stations: Number of training stations.
        entry: The method.
        runs: (draw, seed) -> its test rows: `ROW_COLUMNS`, `observed` and the cell's columns.
        trials: Settings it tried on validation stations, a fit.
    """

    design: str
    stations: int
    entry: MethodEntry
    runs: Mapping[tuple[int, int], pd.DataFrame]
    trials: int


def collect(cells: Iterable[Cell], folder: Path, samples: pd.DataFrame) -> list[Outcome]:
    """Reads all cells.

    Args:
        cells: What has been computed.
        folder: Of all cells.
        samples: The labelled rows.
    """
    grouped: dict[tuple[str, int, str], list[Cell]] = {}
    for cell in cells:
        grouped.setdefault((cell.run.design, cell.run.stations, cell.entry.name), []).append(cell)
    outcomes = []
    shown = samples[list(ROW_COLUMNS)].assign(observed=samples["pm25"].astype(float))
    for (design, stations, _), members in grouped.items():
        runs, trials = {}, 0
        for cell in members:
            frame = read_cell(folder / cell.path)
            rows = shown.iloc[frame["row"].to_numpy()].reset_index(drop=True)
            runs[cell.run.draw, cell.seed] = pd.concat([rows, frame.drop(columns="row")], axis=1)
            trials = int(frame.attrs["trials"])
        outcomes.append(Outcome(design, stations, members[0].entry, runs, trials))
    return outcomes


def score_outcomes(outcomes: Sequence[Outcome], draws: int, seed: int) -> list[Replicates]:
    """Scores every outcome on the same resampled stations and dates, for the table and all differences.

    Args:
        outcomes: As from `collect`.
        draws: Resamplings behind each interval.
        seed: Of the resamplings.
    """
    scored = []
    for outcome in track(outcomes, "scoring", disable=not sys.stdout.isatty(), transient=True):
        fewer = max(1, draws // MANY_RUNS) if outcome.design == "label_efficiency" else draws
        runs = list(outcome.runs.values())
        replicated = replicates(runs, _keys(outcome), fewer, seed)
        if outcome.entry.refits_dates_in(outcome.design):
            unseen = [run.assign(predicted=run["predicted_other_dates"]) for run in runs]
            error = replicates(unseen, ["rmse"], fewer, seed).values["rmse"]
            replicated = replace(replicated, values={**replicated.values, "rmse_new_dates": error})
        scored.append(_over_seeds(replicated, outcome))
    return scored


def _over_seeds(scored: Replicates, outcome: Outcome) -> Replicates:
    """One run a draw: the mean over its seeds, which share their stations and are no runs of their own."""
    draws = np.array([draw for draw, _ in outcome.runs])
    first = [int(np.flatnonzero(draws == draw)[0]) for draw in dict.fromkeys(draws.tolist())]
    values = {
        key: np.array([of_key[draws == draws[row]].mean(axis=0) for row in first])
        for key, of_key in scored.values.items()
    }
    return replace(scored, runs=tuple(scored.runs[row] for row in first), values=values)


def comparison_table(
    outcomes: Sequence[Outcome],
    scored: Sequence[Replicates],
    seen_sites: Mapping[str, frozenset[str] | None],
    level: float,
    draws: int,
    seed: int,
) -> pd.DataFrame:
    """One row a method, design and number of training stations.

    Args:
        outcomes: As from `collect`.
        scored: As from `score_outcomes`.
        seen_sites: start -> sites whose images its encoder was trained on; None where that is not known.
        level: Of the prediction intervals.
        draws: Resamplings behind the interval of their coverage.
        seed: Of these.

    Returns:
        design, stations, method, family, what it uses, transductive, trials, counts, and each key with `_low`, `_high`.
    """
    rows = []
    for outcome, replicated in zip(outcomes, scored, strict=True):
        entry, runs = outcome.entry, list(outcome.runs.values())
        cells: dict[str, Any] = {
            "design": outcome.design,
            "stations": outcome.stations,
            "method": entry.name,
            "family": entry.family,
            "uses_same_day_readings": entry.uses_same_day_readings,
            "uses_images": entry.uses_images,
            "uses_weather": entry.uses_weather,
            "transductive": _transductive(entry, runs, seen_sites),
            "trials": outcome.trials,
        }
        scores = summary(replicated)
        if outcome.entry.has_intervals_in(outcome.design) and runs[0]["lower"].notna().any():
            covered = coverage(runs[0], level, draws, seed)
            scores |= {"coverage": covered["coverage"], "coverage_ci95": covered["coverage_ci95"]}
            cells["mean_width"] = covered["mean_width"]
        cells["runs"] = len(runs)
        cells |= {name: scores[name] for name in ("n_stations", "n_samples", "n_days")}
        for key, value in scores.items():
            if f"{key}_ci95" in scores:
                low, high = scores[f"{key}_ci95"] or (None, None)
                cells |= {key: value, f"{key}_low": low, f"{key}_high": high}
        rows.append(cells)
    table = pd.DataFrame(rows)
    return table.sort_values(["design", "stations"], kind="stable", ignore_index=True)


def pairs(entries: Sequence[MethodEntry]) -> list[tuple[str, str]]:
    """Which method is compared against which: the claims of the field, stated before any number is seen, and few.

    What is learnt against the frozen random encoder; spatiotemporal against regular pairs; the combined contrastive
    starts against training on labels alone, ImageNet, band statistics under the same head, and coordinates; field plus
    image against the field alone; joint models against weather alone and images alone; and what a contrastive start
    adds to field and joint model above a random one.
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
        asked: (method, against).

    Returns:
        design, stations, method, against, key, difference, low, high, p, p_adjusted, runs.
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


def _keys(outcome: Outcome) -> list[str]:
    """The scores that mean something: skill in time only where no date was both learnt from and predicted."""
    apart = outcome.entry.is_apart_in_time(outcome.design)
    return [key for key in KEYS if key != "temporal_r" or apart]


def _tested(one: Outcome, other: Outcome) -> list[str]:
    """The scores whose differences mean something: errors only between methods that know equally much of the day."""
    alike = one.entry.uses_same_day_readings and other.entry.uses_same_day_readings
    return [key for key in DIFFERENCE_KEYS if key != "rmse" or alike or one.design == "temporal"]


def _transductive(
    entry: MethodEntry, runs: Sequence[pd.DataFrame], seen_sites: Mapping[str, frozenset[str] | None]
) -> bool | None:
    if not entry.start:
        return False
    seen = seen_sites[entry.start]
    return None if seen is None else bool(seen & set(runs[0]["site_id"]))
