"""Place effects from a few training sites, against the truth at all others: one task a world, method and number."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils import atomic
from model_utils.comparison.hidden_truth.worlds import EFFECT, SEEN_EFFECT, TruthWorld, drawn_sites
from model_utils.errors import InputError
from model_utils.estimators.estimator import Features, FittedEstimator, Method
from model_utils.estimators.place_and_day.place_and_day import FittedPlaceAndDay
from model_utils.estimators.place_and_day.two_way_effects import two_way_effects
from model_utils.evaluation.spatial import MIN_STATIONS

TruthKey = tuple[int, str, int, int]
"""World, method, number of training sites, seed."""

LOWEST = 1.0
"""Predictions count as at least this, ug/m3, where their logarithm is asked for."""


LEAST_SPREAD = 1e-9
"""Log units; below it a method says the same of all sites."""


@dataclass(frozen=True)
class TruthWork:
    """What the processes share.

    Attributes:
        folder: Of all results.
        worlds: The cities.
        draws: Sets of training sites a task.
    """

    folder: Path
    worlds: Sequence[TruthWorld]
    draws: int

    def path(self, key: TruthKey) -> Path:
        """A task's file."""
        world, method, count, seed = key
        name = self.worlds[world].name.replace(" ", "_")
        return self.folder / f"{world}_{name}" / f"{method}_sites{count}_seed{seed}.parquet"

    def identity(self, key: TruthKey) -> str:
        """Hash of all that the numbers depend on."""
        world, method, count, seed = key
        shared = self.worlds[world].shared
        start = self.worlds[world].entries[method].start
        described = {
            "made_of": shared.sha256,
            "world": self.worlds[world].name,
            "method": method,
            "count": count,
            "seed": seed,
            "features": shared.embedding(start, seed).name if start else None,
            "head": [shared.config.head, shared.config.spatial_weight, shared.config.epochs, shared.config.patience],
            "rates": shared.config.learning_rates,
            "draws": self.draws,
        }
        return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()

    def stands(self, key: TruthKey) -> bool:
        """Whether a task's file is there and holds what would be computed now."""
        path = self.path(key)
        try:
            return path.is_file() and pd.read_parquet(path).attrs["identity"] == self.identity(key)
        except (OSError, ValueError, KeyError):
            return False


def truth_tasks(worlds: Sequence[TruthWorld], counts: Sequence[int], seeds: Sequence[int]) -> Mapping[TruthKey, str]:
    """All tasks, each with its method; a number that leaves fewer than three sites to judge is left out."""

    def tasks() -> Iterator[tuple[TruthKey, str]]:
        for number, world in enumerate(worlds):
            for count in counts:
                if count + MIN_STATIONS > len(world.places):
                    continue
                for name, entry in world.entries.items():
                    for seed in seeds if entry.seeded else seeds[:1]:
                        yield (number, name, count, seed), name

    return dict(tasks())


def work_on_truth(work: TruthWork, key: TruthKey) -> float:
    """Does a task and writes its file: a row a draw.

    Returns:
        Seconds it took.
    """
    began = time.perf_counter()
    number, name, count, seed = key
    world = work.worlds[number]
    method = world.entries[name].build(world.shared, seed)
    rows = [{"draw": draw, **scored_draw(world, method, drawn_sites(world, count, draw))} for draw in range(work.draws)]
    frame = pd.DataFrame(rows).assign(world=world.name, method=name, sites=count, seed=seed)
    seconds = time.perf_counter() - began
    frame.attrs.update(identity=work.identity(key), seconds=seconds)
    with atomic.replacing(work.path(key)) as temporary:
        frame.to_parquet(temporary, index=False)
    return seconds


def scored_draw(world: TruthWorld, method: Method, sites: Sequence[str]) -> dict[str, float]:
    """Learns from the readings of some sites and says how well the place effects of all others are known.

    The level that all places share belongs to the day: means over the judged sites are taken away.

    Args:
        world: The city.
        method: An estimator and what it sees of the world's rows.
        sites: That have readings.

    Returns:
        truth_r: correlation with the hidden place effect; truth_r_seen: with the part of it that land use explains,
        which is all that an image can show; truth_rmse: of the effect, log units; within_one_sd: share of the truths
        within one predicted standard deviation (NaN without one).
    """
    samples = world.samples
    drawn = samples["site_id"].isin(sites).to_numpy()
    judged = world.places.drop(index=list(sites))
    training, seen = samples[drawn].reset_index(drop=True), _rows(method.features, drawn)
    nothing = dict.fromkeys(("truth_r", "truth_r_seen", "truth_rmse", "within_one_sd"), np.nan)
    try:
        fitted = method.estimator.fit(training, seen, np.ones(len(training), dtype=bool))
    except InputError:
        return nothing
    others = samples[~drawn]
    effect, sd = _place_effects(fitted, others, _rows(method.features, ~drawn), judged)
    if not np.isfinite(effect).all():
        return nothing
    error = _centred(effect) - _centred(judged[EFFECT].to_numpy(np.float64))
    within = np.abs(error) <= sd
    return {
        "truth_r": _r(effect, judged[EFFECT].to_numpy(np.float64)),
        "truth_r_seen": _r(effect, judged[SEEN_EFFECT].to_numpy(np.float64)),
        "truth_rmse": float(np.sqrt((error**2).mean())),
        "within_one_sd": float(within.mean()) if np.isfinite(sd).all() else np.nan,
    }


def _place_effects(
    fitted: FittedEstimator, others: pd.DataFrame, features: Features, judged: pd.DataFrame
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Effects of the judged sites and their standard deviations, log units: as said, or those of the predictions."""
    if isinstance(fitted, FittedPlaceAndDay):
        return fitted.place_effects(judged, None)
    predicted = np.log(np.maximum(fitted.predict(others, features).mean, LOWEST))
    table = others.assign(predicted=predicted).pivot_table(index="site_id", columns="local_date", values="predicted")
    effect = two_way_effects(table.reindex(judged.index).to_numpy(np.float64)).place
    return effect, np.full(len(effect), np.nan)


def _rows(features: Features, rows: NDArray[np.bool_]) -> Features:
    return features[rows] if isinstance(features, np.ndarray) else None


def _centred(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(values - values.mean())


def _r(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """0 where a method says the same of all sites: it knows nothing of them."""
    spread = min(float(np.std(one)), float(np.std(other)))
    return float(np.corrcoef(one, other)[0, 1]) if spread > LEAST_SPREAD else 0.0
