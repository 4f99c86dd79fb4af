"""One cell of a comparison: one method on one run of a design."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from model_utils import atomic
from model_utils.comparison.ingredients import Ingredients
from model_utils.comparison.methods import MethodEntry, method_entries
from model_utils.errors import InputError
from model_utils.estimators.estimator import Method, Silent
from model_utils.estimators.refitting import predict_fold
from model_utils.sampling.designs import Run


@dataclass(frozen=True)
class Cell:
    """One file of predictions."""

    run: Run
    entry: MethodEntry
    seed: int

    @property
    def key(self) -> CellKey:
        """What it is called in another process."""
        return self.run.name, self.entry.name, self.seed

    @property
    def path(self) -> Path:
        """Relative to the folder of all cells."""
        return Path(self.run.name) / f"{self.entry.name}_seed{self.seed}.parquet"

    def identity(self, shared: Ingredients) -> str:
        """Hash of all that the numbers depend on, so that a changed setting computes anew just what it changes."""
        config = shared.config
        by_gradients = config.head == "network" or self.entry.cost == "trained"
        described = {
            "made_of": shared.sha256,
            "run": self.run.sha256,
            "method": self.entry.name,
            "seed": self.seed,
            "features": shared.embedding(self.entry.start, self.seed).name if self.entry.start else None,
            "head": [config.head, config.spatial_weight] if self.entry.family != "reference" else None,
            "training": [config.encoder, config.epochs, config.patience, *config.learning_rates]
            if by_gradients
            else None,
            "date_and_station_groups": config.seed,
            "interval_level": config.interval_level if self.entry.has_intervals_in(self.run.design) else None,
        }
        return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


CellKey = tuple[str, str, int]
"""Run, method, seed: what a cell is called in another process."""


@dataclass(frozen=True)
class CellWork:
    """What the processes that compute cells share.

    Attributes:
        folder: Of all cells.
        shared: What they are made of.
        runs: By name.
    """

    folder: Path
    shared: Ingredients
    runs: Mapping[str, Run]

    @cached_property
    def entries(self) -> Mapping[str, MethodEntry]:
        """By name; they are made anew in each process, since they hold functions."""
        shared = self.shared
        return {entry.name: entry for entry in method_entries(shared.config, shared.samples, shared.ring_km)}


def work_on_cell(work: CellWork, key: CellKey) -> float:
    """Computes the cell of a key; see `run_cell`."""
    run, method, seed = key
    return run_cell(Cell(work.runs[run], work.entries[method], seed), work.folder, work.shared)


def stands(cell: Cell, folder: Path, shared: Ingredients) -> bool:
    """Whether a cell's file is there and holds what would be computed now."""
    path = folder / cell.path
    try:
        return path.is_file() and read_cell(path).attrs["identity"] == cell.identity(shared)
    except (OSError, ValueError, KeyError):
        return False  # damaged or of another version: computed anew


def run_cell(cell: Cell, folder: Path, shared: Ingredients) -> float:
    """Computes a cell and writes it whole or not at all.

    Returns:
        Seconds it took.
    """
    started = time.perf_counter()
    method = cell.entry.build(shared, cell.seed)
    frame, notes = predict_run(method, cell, shared)
    seconds = time.perf_counter() - started
    frame.attrs.update(identity=cell.identity(shared), seconds=seconds, **notes)
    path = folder / cell.path
    with atomic.replacing(path) as temporary:
        frame.to_parquet(temporary, index=False)
    return seconds


def read_cell(path: Path) -> pd.DataFrame:
    """Reads what `run_cell` wrote: `row` (position among the labelled rows), `predicted` and others, and `attrs`."""
    return pd.read_parquet(path)


def predict_run(method: Method, cell: Cell, shared: Ingredients) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Predicts the test rows of every fold.

    Returns:
        `row`, `predicted`, `predicted_level` (several folds), `predicted_other_dates`, `lower` and `upper` (ug/m3, NaN
        where there is none), and notes: `trials` of one fit and the settings `chosen` in the first fold.
    """
    samples, run, config = shared.samples, cell.run, shared.config
    frames: list[pd.DataFrame] = []
    notes: dict[str, Any] = {}
    for fold in run.folds:
        try:
            said = predict_fold(
                method.estimator,
                samples,
                method.features,
                fold,
                other_dates=cell.entry.refits_dates_in(run.design),
                interval_level=config.interval_level if cell.entry.has_intervals_in(run.design) else None,
                seed=config.seed,
            )
        except InputError:  # too few training rows to keep some apart
            said = predict_fold(Silent(), samples, None, fold, other_dates=False, interval_level=None)
        notes = notes or {"trials": said.fitted.trials, "chosen": dict(said.fitted.chosen)}
        columns = {
            "predicted": said.predicted.mean,
            "predicted_other_dates": said.other_dates,
            "lower": said.lower,
            "upper": said.upper,
        }
        if len(run.folds) > 1:
            columns["predicted_level"] = said.level
        frames.append(pd.DataFrame({"row": np.arange(len(samples)), **columns})[fold.test])
    return pd.concat(frames, ignore_index=True), notes
