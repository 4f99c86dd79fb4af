"""A simulated city in which any site may be a station."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from model_utils.archive.reader import open_archive
from model_utils.comparison.config import CompareConfig
from model_utils.comparison.ingredients import Ingredients, ingredients
from model_utils.comparison.methods import MethodEntry, method_entries
from model_utils.comparison.starts import embed_starts
from model_utils.errors import InputError
from model_utils.estimators.estimator import Method
from model_utils.estimators.place_and_day.ground import describe_ground
from model_utils.estimators.place_and_day.place_and_day import PlaceAndDay
from model_utils.features.labelled import clear_archive
from model_utils.project import archive_folder

READING, EFFECT, SEEN_EFFECT = "true_pm25", "true_increment", "true_land_use_increment"
LAND_USE_PREFIX = "land_use_"
PLACE_REFERENCES = ("gaussian_process", "latitude_longitude")
"""The references that say something of places."""


@dataclass(frozen=True)
class TruthWorld:
    """A simulated city.

    Attributes:
        name: City and seed.
        shared: What its methods are made of; every clear tile counts as labelled.
        skipped: start -> why it is not there.
    """

    name: str
    shared: Ingredients
    skipped: Mapping[str, str]

    @cached_property
    def samples(self) -> pd.DataFrame:
        """All clear tiles with a reading each: the station's own, or at a grid cell what the air was."""
        samples = self.shared.samples
        return samples.assign(pm25=samples["pm25"].astype(float).fillna(samples[READING]))

    @cached_property
    def places(self) -> pd.DataFrame:
        """The first row of each site, ordered and indexed by site_id."""
        first = self.samples.drop_duplicates("site_id").sort_values("site_id")
        return first.set_index("site_id", drop=False).rename_axis(None)

    @cached_property
    def entries(self) -> Mapping[str, MethodEntry]:
        """The methods that say something of places, by name."""
        shared = self.shared
        found = [
            entry
            for entry in method_entries(shared.config, self.samples, shared.ring_km)
            if entry.name in PLACE_REFERENCES
            or (entry.family in ("start", "place") and entry.cost == "cheap" and entry.start not in self.skipped)
        ]
        found = [entry for entry in found if not entry.name.endswith("_without_readings")]
        found.append(MethodEntry("place_and_day_band_statistics", "place", _band_statistics, uses_images=True))
        if any(str(name).startswith(LAND_USE_PREFIX) for name in self.samples):
            found.append(MethodEntry("ceiling_true_land_use", "ceiling", _true_land_use))
        return {entry.name: entry for entry in found}

    def __getstate__(self) -> dict[str, object]:
        return {item.name: getattr(self, item.name) for item in fields(self)}


def truth_world(folder: Path, config: CompareConfig) -> TruthWorld:
    """Opens a simulated archive and embeds its tiles; weights that its root lacks are trained.

    Args:
        folder: <root>/data/<city> of the archive.
        config: Of the comparison; root and city are those of the archive.

    Raises:
        InputError: It is no archive, or holds no hidden truth.
    """
    folder = folder.resolve()
    archive = open_archive(folder)
    clear = clear_archive(archive, config.max_cloud_fraction)
    for column in (READING, EFFECT, SEEN_EFFECT):
        if column not in clear.samples or clear.samples[column].isna().any():
            raise InputError(
                f"{folder}: column {column!r} is missing, expected a wholly simulated city (--designs truth)"
            )
    own = replace(config, city=folder.name, root=folder.parents[1])
    if archive_folder(own.root, own.city) != folder:
        raise InputError(f"{folder}: expected an archive at <root>/data/<city> (--truth-archives)")
    starts = embed_starts(own, clear, clear)
    made = archive.metadata.created_by
    return TruthWorld(
        f"{own.city} seed {made.get('seed')}", ingredients(own, clear, clear, starts.embeddings, None), starts.skipped
    )


def drawn_sites(world: TruthWorld, count: int, draw: int) -> list[str]:
    """Training sites: draw k of n is the same whatever the order of the archive."""
    key = hashlib.sha256(f"{world.name}|{count}|{draw}".encode()).digest()
    random = np.random.default_rng(int.from_bytes(key[:8], "little"))
    return sorted(random.choice(world.places.index.to_numpy(object), count, replace=False).tolist())


def _band_statistics(shared: Ingredients, seed: int) -> Method:
    ground = describe_ground(shared.samples, shared.bands)
    return Method(PlaceAndDay(ground=ground, day="readings", seed=seed), shared.bands)


def _true_land_use(shared: Ingredients, seed: int) -> Method:
    columns = [name for name in shared.samples if str(name).startswith(LAND_USE_PREFIX)]
    shares = shared.samples[columns].to_numpy(np.float32)
    ground = describe_ground(shared.samples, shares)
    return Method(PlaceAndDay(ground=ground, place="images", day="readings", seed=seed), shares)
