"""The hold-out's model of the weather: kept in `rt_rf_checkpoint/<City>/`, and taken from there by the joint models."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_utils.archive.reader import TileArchive
from model_utils.comparison.config import CompareConfig
from model_utils.estimators.forests.checkpoint import RtRfMetadata, kept_rt_rf
from model_utils.estimators.forests.joint import training_rows
from model_utils.estimators.forests.rt_rf import RtRf, fit_rt_rf
from model_utils.estimators.references.weather_inputs import weather_inputs
from model_utils.project import weather_model_folder


@dataclass(frozen=True)
class KeptWeatherModel:
    """Fits weather models, but for the rows whose model is there already.

    Attributes:
        weather: Rows of the model that is there, n x d.
        pm25: ug/m3, n.
        seed: Of that model.
        model: What was fitted to these.
    """

    weather: NDArray[np.float64]
    pm25: NDArray[np.float64]
    seed: int
    model: RtRf

    def __call__(self, weather: NDArray[np.float64], pm25: NDArray[np.float64], seed: int) -> RtRf:
        """As `fit_rt_rf`."""
        same = seed == self.seed and np.array_equal(weather, self.weather) and np.array_equal(pm25, self.pm25)
        return self.model if same else fit_rt_rf(weather, pm25, seed)


def keep_weather_model(
    config: CompareConfig, labelled: TileArchive, training: NDArray[np.bool_]
) -> KeptWeatherModel | None:
    """Reads or fits and saves the model of some training rows.

    Args:
        config: City, root and seed.
        labelled: The n labelled tiles.
        training: Rows to learn from, n.

    Returns:
        None where the archive has no weather.
    """
    samples = labelled.samples
    known = weather_inputs(samples, training)
    if not known.names:
        return None
    rows = training_rows(samples, training)
    weather, pm25 = known.values(samples)[rows], samples["pm25"].to_numpy(np.float64)[rows]
    digest = hashlib.sha256(labelled.rows[rows].tobytes() + weather.tobytes() + pm25.tobytes())
    metadata = RtRfMetadata(
        city=config.city,
        archive_sha256=labelled.metadata.content_sha256,
        rows_sha256=digest.hexdigest(),
        training_stations=tuple(sorted(samples["site_id"].iloc[rows].unique())),
        seed=config.seed,
        weather=known.names,
    )
    folder = weather_model_folder(config.root, config.city)
    return KeptWeatherModel(weather, pm25, config.seed, kept_rt_rf(folder, weather, pm25, metadata))
