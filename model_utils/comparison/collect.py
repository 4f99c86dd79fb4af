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
from model_utils.comparison.methods import FIELD_REFERENCES, MethodEntry
from model_utils.evaluation.coverage import coverage
from model_utils.evaluation.paired import Replicates, difference, holm, replicates, summary

KEYS = ("spatial_r", "spatial_rmse", "rmse", "mae", "nrmse", "r2", "spatial_r_paper", "temporal_r")
ROW_COLUMNS = ("sample_id", "site_id", "site_name", "latitude", "longitude", "time_utc", "local_date")

MANY_RUNS = 10
"""Label efficiency scores some 20 runs where other designs score one, and has a tenth of the resamples."""

DIFFERENCE_KEYS = ("spatial_r", "spatial_rmse", "rmse", "temporal_r")


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
    """Reads all cells; the hold-out's are the last point of label efficiency as well.

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
    if any(outcome.design == "label_efficiency" for outcome in outcomes):
        outcomes += [
            Outcome("label_efficiency", outcome.stations, outcome.entry, outcome.runs, outcome.trials)
            for outcome in outcomes
            if outcome.design == "hold_out"
        ]
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
        fewer = draws // MANY_RUNS if outcome.design == "label_efficiency" else draws
        scored.append(replicates(list(outcome.runs.values()), _keys(outcome, KEYS), max(1, fewer), seed))
    return scored


def comparison_table(
    outcomes: Sequence[Outcome],
    scored: Sequence[Replicates],
    seen_sites: Mapping[str, frozenset[str] | None],
    level: float,
) -> pd.DataFrame:
    """One row a method, design and number of training stations.

    Args:
        outcomes: As from `collect`.
        scored: As from `score_outcomes`.
        seen_sites: start -> sites whose images its encoder was trained on; None where that is not known.
        level: Of the prediction intervals.

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
            covered = coverage(runs[0], level)
            scores |= {"coverage": covered["coverage"], "coverage_ci95": covered["coverage_ci95"]}
            cells["mean_width"] = covered["mean_width"]
        cells["runs"] = scores["n_runs"]
        cells |= {name: scores[name] for name in ("n_stations", "n_samples", "n_days")}
        for key, value in scores.items():
            if f"{key}_ci95" in scores:
                low, high = scores[f"{key}_ci95"] or (None, None)
                cells |= {key: value, f"{key}_low": low, f"{key}_high": high}
        rows.append(cells)
    table = pd.DataFrame(rows)
    return table.sort_values(["design", "stations"], kind="stable", ignore_index=True)


def pairs(entries: Sequence[MethodEntry]) -> list[tuple[str, str]]:
    """Which method is compared against which: each claim of the field, stated before any number is seen.

    Learnt starts against the frozen random encoder, coordinates and band statistics; spatiotemporal against regular
    pairs; field plus image against the field alone; joint models against the weather alone and the images alone.
    """
    names = [entry.name for entry in entries]
    asked = []
    for entry in entries:
        name = entry.name
        if entry.family == "start":
            asked += [(name, other) for other in ("random_frozen", "latitude_longitude", "band_statistics_ridge")]
            if name.endswith("_spatiotemporal"):
                asked.append((name, name.replace("_spatiotemporal", "_regular")))
        if entry.family == "field":
            asked.append((name, FIELD_REFERENCES[name.rpartition("+")[2]]))
        if entry.family == "joint":
            image = name.removeprefix("joint_").removeprefix("cnn_rf_")
            asked += [(name, "weather_forest"), (name, image)]
    return [(name, other) for name, other in asked if name != other and {name, other} <= set(names)]


def comparison_differences(
    outcomes: Sequence[Outcome], scored: Sequence[Replicates], asked: Sequence[tuple[str, str]]
) -> pd.DataFrame:
    """Paired differences over the same draws, rows and resamples, with Holm's correction within design and key.

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
            if design == "label_efficiency" and _is_hold_out(one, outcomes):
                continue
            keys = [key for key in DIFFERENCE_KEYS if key in a.values and key in b.values]
            result = difference(*_matched(one, a, other, b, keys))
            for key in keys:
                low, high = result[f"{key}_ci95"] or (None, None)
                values = (design, stations, method, against, key, result[key], low, high, result[f"{key}_p"])
                rows.append(dict(zip(columns, (*values, result["n_runs"]), strict=True)))
    table = pd.DataFrame(rows, columns=columns)
    table["p_adjusted"] = np.nan
    for _, group in table.groupby(["design", "key"]):
        table.loc[group.index, "p_adjusted"] = np.array(holm(group["p"].tolist()), dtype=float)
    return table


def _is_hold_out(outcome: Outcome, outcomes: Sequence[Outcome]) -> bool:
    """The last point of label efficiency is the hold-out, whose differences are stated there."""
    return any(other.design == "hold_out" and other.runs is outcome.runs for other in outcomes)


def _matched(
    one: Outcome, a: Replicates, other: Outcome, b: Replicates, keys: Sequence[str]
) -> tuple[Replicates, Replicates]:
    """Runs of the same draw and seed; a method without seeds meets every seed of the other."""
    if list(one.runs) == list(other.runs):
        values = [{key: each.values[key] for key in keys} for each in (a, b)]
        return replace(a, values=values[0]), replace(b, values=values[1])
    first, second = [], []
    for draw, seed in sorted({*one.runs, *other.runs}):
        runs = [
            outcome.runs.get((draw, seed))
            if outcome.entry.seeded
            else next((run for (number, _), run in outcome.runs.items() if number == draw), None)
            for outcome in (one, other)
        ]
        if runs[0] is not None and runs[1] is not None:
            first.append(runs[0])
            second.append(runs[1])
    return replicates(first, keys, a.draws, a.seed), replicates(second, keys, b.draws, b.seed)


def _keys(outcome: Outcome, keys: Sequence[str]) -> list[str]:
    """The scores that mean something."""
    apart = outcome.entry.is_apart_in_time(outcome.design)
    return [key for key in keys if key != "temporal_r" or apart]


def _transductive(
    entry: MethodEntry, runs: Sequence[pd.DataFrame], seen_sites: Mapping[str, frozenset[str] | None]
) -> bool | None:
    if not entry.start:
        return False
    seen = seen_sites[entry.start]
    return None if seen is None else bool(seen & set(runs[0]["site_id"]))
