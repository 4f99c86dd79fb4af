"""The blocks of a map, each predicted into a file of its own."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils import atomic
from model_utils.mapping.config import MapConfig
from model_utils.mapping.job import MapJob, map_job
from model_utils.mapping.layers import REASON
from model_utils.mapping.prediction import PeriodMeans, period_means

AIR = "air"


@dataclass(frozen=True)
class Block:
    """What is known of n cells; p periods.

    Attributes:
        place: Effect of the place, log units, n.
        place_sd: Its standard deviation, n.
        dissimilarity: Of the place, n.
        shown: Whether images reach the cell, n.
        mean: ug/m3, p x n.
        sd: p x n.
        lower: p x n.
        upper: p x n.
    """

    place: NDArray[np.float64]
    place_sd: NDArray[np.float64]
    dissimilarity: NDArray[np.float64]
    shown: NDArray[np.bool_]
    mean: NDArray[np.float64]
    sd: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]

    def reasons(self, threshold: float, keep_outside: bool) -> NDArray[np.int8]:
        """Why there is no value, p x n, as `layers.REASONS` numbers it.

        Args:
            threshold: Of dissimilarity: the area of applicability ends there; NaN where the model knows none.
            keep_outside: Whether cells outside of it keep their values.
        """
        unseen = ~np.isfinite(self.place)
        conditions = {
            "outside_images": unseen & ~self.shown,
            "never_clear": unseen,
            "day_unknown": ~np.isfinite(self.mean),
            "outside_applicability": (self.dissimilarity > threshold) & (not keep_outside),
        }
        every = [np.broadcast_to(condition, self.mean.shape) for condition in conditions.values()]
        return np.select(every, [REASON[name] for name in conditions], REASON["value"]).astype(np.int8)


@dataclass(frozen=True)
class BlockWork:
    """What every task is given.

    Attributes:
        config: Of the map.
        folder: Of the files.
    """

    config: MapConfig
    folder: Path

    def path(self, key: int | str) -> Path:
        """A task's file."""
        return self.folder / f"{key}.npz"


def predict_cells(job: MapJob, cells: pd.DataFrame, air: NDArray[np.float32]) -> Block:
    """Predicts some cells in every period.

    Args:
        job: The map.
        cells: n rows, as `MapCells.named` gives them.
        air: Of the job's new days (`MapJob.air`).
    """
    said, dissimilarity = job.predict(cells, air)
    means = period_means(said.mean, said.sd, job.times.period, job.config.period, job.loaded.model.reach)
    shown = np.ones(len(cells), bool) if job.source is None else job.source.shows(cells)
    return Block(
        place=said.place,
        place_sd=said.place_sd,
        dissimilarity=dissimilarity,
        shown=shown,
        **{item.name: getattr(means, item.name) for item in fields(PeriodMeans)},
    )


def work_on_air(work: BlockWork) -> None:
    """Writes what the air of new days looks like."""
    _save(work.path(AIR), air=map_job(work.config).air())


def work_on_block(work: BlockWork, key: int) -> None:
    """Writes a block."""
    with np.load(work.path(AIR), allow_pickle=False) as stored:
        air = stored["air"]
    job = map_job(work.config)
    block = predict_cells(job, job.blocks[key], air)
    _save(work.path(key), **{item.name: getattr(block, item.name) for item in fields(Block)})


def read_block(path: Path) -> Block:
    """Reads what `work_on_block` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        return Block(**{item.name: stored[item.name] for item in fields(Block)})


def stands(path: Path) -> bool:
    """Whether a task's file is there and whole."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile):
        return False


def blocks_folder(folder: Path, identity: str) -> Path:
    """Where the blocks of a map lie until it is written: those of other settings lie elsewhere."""
    return folder.with_name(f".{folder.name}.{hashlib.sha256(identity.encode()).hexdigest()[:16]}.blocks")


def _save(path: Path, **arrays: NDArray[np.generic]) -> None:
    with atomic.replacing(path) as temporary, Path(temporary).open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
