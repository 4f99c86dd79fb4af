"""The ways to split stations and dates: who is predicted, and from whom."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.cities import City
from model_utils.errors import InputError
from model_utils.geography import great_circle_km
from model_utils.sampling.splits import contiguous_folds, held_out_sites, random_stations, station_table

HELD_OUT_SHARE = 1 / 3


@dataclass(frozen=True)
class Fold:
    """Masks over the labelled rows.

    Attributes:
        training: Rows to learn from.
        known: Rows whose readings may be used as readings of the day; holds the training rows.
        test: Rows that are predicted and scored; of stations without a training row.
    """

    training: NDArray[np.bool_]
    known: NDArray[np.bool_]
    test: NDArray[np.bool_]


@dataclass(frozen=True)
class Run:
    """One draw of a design: its folds together predict each test row once.

    Attributes:
        design: As in `CompareConfig.designs`.
        stations: Number of training stations (the smallest of the folds).
        draw: Which random subset.
        folds: One, or several whose predictions are scored together.
    """

    design: str
    stations: int
    draw: int
    folds: tuple[Fold, ...]

    @property
    def name(self) -> str:
        """Folder of its cells."""
        return f"{self.design}_stations{self.stations}_draw{self.draw}"

    @property
    def sha256(self) -> str:
        """Hash of all masks."""
        digest = hashlib.sha256()
        for fold in self.folds:
            for mask in (fold.training, fold.known, fold.test):
                digest.update(np.packbits(mask).tobytes())
        return digest.hexdigest()

    @property
    def test(self) -> NDArray[np.bool_]:
        """Rows that are scored."""
        return np.asarray(np.logical_or.reduce([fold.test for fold in self.folds]))


def held_out_stations(stations: pd.DataFrame, city: City) -> tuple[list[str], str]:
    """The test stations of the hold-out: the city's list, else a random third of the stations.

    Args:
        stations: As from `station_table`.
        city: Gives the list.

    Returns:
        Their site ids, and where they come from, in words.

    Raises:
        InputError: None or all stations of the archive would be test stations.
    """
    held = held_out_sites(stations, city)
    words = f"hold-out list of {city.name}"
    if not held:
        count = max(1, round(HELD_OUT_SHARE * len(stations)))
        held = random_stations(stations["site_id"], count, 0)
        words = f"a random third of the stations, since none is on the {words}"
    if len(held) == len(stations):
        raise InputError(f"{words}: leaves no training station of the {len(stations)} in the archive")
    return held, words


@dataclass(frozen=True)
class DesignSettings:
    """What the designs ask; see `CompareConfig` for the fields."""

    label_counts: tuple[int, ...] = (1, 5, 10, 15, 20)
    draws: int = 20
    folds: int = 5
    temporal_share: float = 0.2
    buffer_km: float = 2.0


def make_runs(
    samples: pd.DataFrame, held_out: list[str], designs: Sequence[str], settings: DesignSettings
) -> list[Run]:
    """All runs of the designs asked for.

    Args:
        samples: Labelled rows: site_id, site_name, latitude, longitude, local_date, pm25.
        held_out: Site ids of the hold-out's test stations.
        designs: Of hold_out, label_efficiency, folds, temporal, leave_one_out.
        settings: Label counts, draws, folds, shares.

    Raises:
        InputError: A design does not fit the number of stations or dates.
    """
    makers: dict[str, Callable[[], Iterator[Run]]] = {
        "hold_out": lambda: hold_out(samples, held_out),
        "label_efficiency": lambda: _label_efficiency(samples, held_out, settings.label_counts, settings.draws),
        "folds": lambda: folds(samples, settings.folds),
        "temporal": lambda: _temporal(samples, held_out, settings.temporal_share),
        "leave_one_out": lambda: _leave_one_out(samples, settings.buffer_km),
    }
    return [run for design in designs for run in makers[design]()]


def hold_out(samples: pd.DataFrame, held_out: list[str], stations: int | None = None, draw: int = 0) -> Iterator[Run]:
    """The held-out stations from the others, or from a random subset of these."""
    training = sorted(set(samples["site_id"]) - set(held_out))
    if stations is not None:
        training = random_stations(training, stations, draw)
    yield Run("hold_out", len(training), draw, (_fold(samples, training, held_out),))


def folds(samples: pd.DataFrame, count: int, stations: int | None = None, draw: int = 0) -> Iterator[Run]:
    """Every station from those outside of its contiguous fold, or from a random subset of these."""
    table = station_table(samples)
    assigned = contiguous_folds(table, count)
    names = table["site_id"].to_numpy()
    training = [sorted(names[assigned != fold]) for fold in range(count)]
    if stations is not None:
        training = [random_stations(pool, stations, draw) for pool in training]
    parts = tuple(_fold(samples, pool, names[assigned == fold]) for fold, pool in enumerate(training))
    yield Run("folds", min(map(len, training)), draw, parts)


def _label_efficiency(samples: pd.DataFrame, held_out: list[str], counts: tuple[int, ...], draws: int) -> Iterator[Run]:
    pool = sorted(set(samples["site_id"]) - set(held_out))
    for count in sorted({*(count for count in counts if count < len(pool)), len(pool)}):
        for draw in range(draws if count < len(pool) else 1):
            chosen = random_stations(pool, count, draw)
            yield Run("label_efficiency", count, draw, (_fold(samples, chosen, held_out),))


def _temporal(samples: pd.DataFrame, held_out: list[str], share: float) -> Iterator[Run]:
    """Held-out stations on the last dates, from the training stations on the others: new places at new times."""
    dates = np.sort(samples["local_date"].unique())
    last = dates[-max(1, round(share * len(dates))) :]
    late = samples["local_date"].isin(last).to_numpy()
    training = sorted(set(samples["site_id"]) - set(held_out))
    whole = _fold(samples, training, held_out)
    fold = Fold(whole.training & ~late, whole.training, whole.test & late)
    if not fold.training.any() or not fold.test.any():
        raise InputError(f"--designs temporal: {len(dates)} dates leave nothing to train on or nothing to predict")
    yield Run("temporal", samples.loc[fold.training, "site_id"].nunique(), 0, (fold,))


def _leave_one_out(samples: pd.DataFrame, buffer_km: float) -> Iterator[Run]:
    """Each station from those farther away than the buffer."""
    stations = station_table(samples)
    latitude, longitude = stations["latitude"].to_numpy(float), stations["longitude"].to_numpy(float)
    names = stations["site_id"].to_numpy()
    parts, counts = [], []
    for position, name in enumerate(names):
        distance = great_circle_km(latitude, longitude, latitude[position], longitude[position])
        far = names[(distance > buffer_km) & (names != name)]
        if len(far):  # a station with no other beyond the buffer cannot be predicted
            parts.append(_fold(samples, far, [name]))
            counts.append(len(far))
    if not parts:
        raise InputError(f"--buffer-km: found {buffer_km:g}, which no two stations are apart")
    yield Run("leave_one_out", min(counts), 0, tuple(parts))


def _fold(
    samples: pd.DataFrame, training: list[str] | NDArray[np.object_], test: list[str] | NDArray[np.object_]
) -> Fold:
    learnt = samples["site_id"].isin(training).to_numpy(copy=True)
    return Fold(learnt, learnt, samples["site_id"].isin(test).to_numpy(copy=True))
