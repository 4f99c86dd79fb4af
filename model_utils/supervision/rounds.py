"""Which stations train and which are predicted: one round for a hold-out, k for folds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.cities import City
from model_utils.errors import InputError
from model_utils.sampling.splits import (
    contiguous_folds,
    held_out_sites,
    random_stations,
    station_table,
    validation_rows,
)
from model_utils.supervision.config import SuperviseConfig


@dataclass(frozen=True)
class Round:
    """Masks over the labelled rows; they never overlap, and split by station (see `validation_rows`).

    Attributes:
        fit: Rows that give gradients.
        validation: Rows that early stopping looks at.
        test: Rows that are predicted once.
    """

    fit: NDArray[np.bool_]
    validation: NDArray[np.bool_]
    test: NDArray[np.bool_]

    @property
    def training(self) -> NDArray[np.bool_]:
        """All rows of training stations."""
        return self.fit | self.validation


def make_rounds(samples: pd.DataFrame, city: City, config: SuperviseConfig) -> list[Round]:
    """Splits labelled rows by station.

    Args:
        samples: Labelled rows of an archive.
        city: Gives the hold-out list.
        config: Its folds, stations, draw, validation share and seed.

    Returns:
        One round with the city's hold-out as test stations, or one a fold.

    Raises:
        InputError: No station is left to train on, or none to test on.
    """
    stations = station_table(samples)
    if config.folds is not None:
        folds = contiguous_folds(stations, config.folds)
        tests = [set(stations["site_id"][folds == fold]) for fold in range(config.folds)]
    else:
        tests = [set(held_out_sites(stations, city))]
        where = f"hold-out list of {city.name}"
        if not tests[0]:
            raise InputError(f"{where}: none of the {len(stations)} stations in the archive is on it (--folds k)")
        if len(tests[0]) == len(stations):
            raise InputError(f"{where}: leaves no training station of the {len(stations)} in the archive")
    site = samples["site_id"]
    rounds = []
    for test in tests:
        training = sorted(set(stations["site_id"]) - test)
        if config.stations is not None:
            training = random_stations(training, config.stations, config.draw)
        pool = np.flatnonzero(site.isin(training))
        validation = np.zeros(len(samples), dtype=bool)
        validation[pool] = validation_rows(samples.iloc[pool], config.validation_share, config.seed)
        rounds.append(
            Round(
                fit=site.isin(training).to_numpy() & ~validation,
                validation=validation,
                test=site.isin(test).to_numpy(),
            )
        )
    return rounds
