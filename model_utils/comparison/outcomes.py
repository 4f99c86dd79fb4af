"""What every method predicted in all runs of a row of the tables, and its scores for every resample."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from model_utils.comparison.cells import Cell, read_cell
from model_utils.comparison.methods import MethodEntry
from model_utils.evaluation.paired import Replicates, replicates
from model_utils.evaluation.scores import PERIOD
from model_utils.progress import counted

KEYS = (
    *("spatial_r", "spatial_rmse", "rmse", "mae", "nrmse", "r2", "spatial_r_paper"),
    *PERIOD,
    "temporal_r",
)
ROW_COLUMNS = ("sample_id", "site_id", "site_name", "latitude", "longitude", "time_utc", "local_date")

MANY_RUNS = 10
"""Label efficiency scores some 20 runs where other designs score one, and has a tenth of the resamples."""


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
    """Scores every outcome on the same resampled stations and dates, once for its row and all its differences.

    Args:
        outcomes: As from `collect`.
        draws: Resamplings behind each interval.
        seed: Of the resamplings.

    Returns:
        As many, in their order: `KEYS`, and `rmse_new_dates` (ug/m3) where the method was refitted to other dates;
        temporal_r only where it means something. Seeds of one draw are averaged, so a run is a draw.
    """
    scored = []
    for outcome in counted(outcomes, len(outcomes), "rows scored"):
        fewer = max(1, draws // MANY_RUNS) if outcome.design == "label_efficiency" else draws
        runs = list(outcome.runs.values())
        replicated = replicates(runs, _keys(outcome), fewer, seed)
        if outcome.entry.refits_dates_in(outcome.design):
            unseen = [run.assign(predicted=run["predicted_other_dates"]) for run in runs]
            error = replicates(unseen, ["rmse"], fewer, seed).values["rmse"]
            replicated = replace(replicated, values={**replicated.values, "rmse_new_dates": error})
        scored.append(_over_seeds(replicated, outcome))
    return scored


def _keys(outcome: Outcome) -> list[str]:
    """The scores that mean something: skill in time only where no date was both learnt from and predicted."""
    apart = outcome.entry.is_apart_in_time(outcome.design)
    return [key for key in KEYS if key != "temporal_r" or apart]


def _over_seeds(scored: Replicates, outcome: Outcome) -> Replicates:
    """One run a draw: the mean over its seeds, which share their stations and are no runs of their own."""
    draws = np.array([draw for draw, _ in outcome.runs])
    first = [int(np.flatnonzero(draws == draw)[0]) for draw in dict.fromkeys(draws.tolist())]
    values = {
        key: np.array([of_key[draws == draws[row]].mean(axis=0) for row in first])
        for key, of_key in scored.values.items()
    }
    return replace(scored, runs=tuple(scored.runs[row] for row in first), values=values)
