"""What all methods of a comparison are made of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import model_utils
from model_utils.archive.reader import TileArchive
from model_utils.comparison.config import CompareConfig
from model_utils.comparison.weather_model import KeptWeatherModel
from model_utils.configuration import library_versions
from model_utils.estimators.place_and_day.ground import Ground, describe_ground
from model_utils.features.band_statistics import band_statistics_features
from model_utils.geography import ring_radius

ROOMS = ("estimators", "evaluation", "features", "sampling")
"""Whose code predictions depend on."""

_grounds: dict[tuple[Path, float | None], Ground] = {}
"""Those that this process has described already."""


@dataclass(frozen=True)
class Ingredients:
    """What all cells share; it travels to every process, so images and features travel as paths.

    Attributes:
        config: The comparison's.
        clear: Tiles that show the ground, with a reading or without.
        labelled: Those with a reading.
        bands: Their band statistics, n x d.
        embeddings: (start, seed) -> NPY file of the start's features of the clear tiles; a start that is not here is
            skipped.
        ring_km: Within which a place's neighbours are; None where the archive has no grid.
        sha256: Hash of the code, the libraries' versions, the archive and the rows.
        weather_model: The hold-out's; None where the archive has no weather.
    """

    config: CompareConfig
    clear: TileArchive
    labelled: TileArchive
    bands: NDArray[np.float32]
    embeddings: Mapping[tuple[str, int], Path]
    ring_km: float | None
    sha256: str
    weather_model: KeptWeatherModel | None

    @cached_property
    def samples(self) -> pd.DataFrame:
        """The labelled rows."""
        return self.labelled.samples

    def embedding(self, start: str, seed: int) -> Path:
        """A start's file; starts without a seed of their own have that of `config.seed`."""
        return self.embeddings.get((start, seed), self.embeddings[start, self.config.seed])

    def features(self, start: str, seed: int) -> NDArray[np.float32]:
        """A start's features of the labelled rows."""
        mapped: NDArray[np.float32] = np.load(self.embedding(start, seed), mmap_mode="r")
        return mapped[np.isin(self.clear.rows, self.labelled.rows)]

    def ground(self, start: str, seed: int, ring_km: float | None = None) -> Ground:
        """What a start's features say of all clear tiles, without any label."""
        key = self.embedding(start, seed), ring_km
        if key not in _grounds:
            _grounds[key] = describe_ground(self.clear.samples, np.load(key[0]), ring_km=ring_km)
        return _grounds[key]

    def __getstate__(self) -> dict[str, object]:
        return {item.name: getattr(self, item.name) for item in fields(self)}


def ingredients(
    config: CompareConfig,
    clear: TileArchive,
    labelled: TileArchive,
    embeddings: Mapping[tuple[str, int], Path],
    weather_model: KeptWeatherModel | None,
) -> Ingredients:
    """Collects them.

    Args:
        config: The comparison's.
        clear: Tiles that show the ground.
        labelled: Those that count as having a reading.
        embeddings: Of the clear tiles, as `embed_starts` makes them.
        weather_model: The hold-out's.
    """
    digest = hashlib.sha256(labelled.metadata.content_sha256.encode())
    digest.update(clear.rows.tobytes() + labelled.rows.tobytes())
    digest.update(json.dumps(library_versions(), sort_keys=True).encode())
    for room in ROOMS:  # another version of a method computes its cells anew
        for path in sorted((Path(model_utils.__file__).parent / room).glob("**/*.py")):
            digest.update(path.read_bytes())
    bands = band_statistics_features(labelled)
    ring_km = ring_radius(clear.samples)
    return Ingredients(config, clear, labelled, bands, embeddings, ring_km, digest.hexdigest(), weather_model)
