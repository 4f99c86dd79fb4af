"""All that the blocks of a map share: the model, the images, the cells, the dates."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import KDTree

from contrastive_models.embedding import EmbeddingPrecision
from model_utils.archive.reader import open_archive
from model_utils.cities import City, load_city
from model_utils.configuration import record
from model_utils.errors import InputError
from model_utils.estimators.city_model import LoadedCityModel, load_city_model
from model_utils.estimators.model_header import read_header
from model_utils.estimators.place_and_day.place_and_day import FittedPlaceAndDay
from model_utils.estimators.saving import MODEL, model_folder
from model_utils.features.labelled import clear_archive
from model_utils.hardware import resolve_precision
from model_utils.ingest.scenes.grid import city_grid
from model_utils.ingest.storage import file_hash
from model_utils.mapping.air_quality_index import ScaleName, scale_of
from model_utils.mapping.config import MapConfig
from model_utils.mapping.dates import MapTimes, map_times
from model_utils.mapping.places.cells import Blocks, MapCells, map_cells
from model_utils.mapping.places.scenes import scenes_of_map
from model_utils.mapping.places.seen import air_of_dates, mean_embeddings
from model_utils.mapping.places.sources import ArchiveTiles, SceneTiles, TileSource, grid_sites_of
from model_utils.mapping.prediction import PlacePrediction, predict_places, with_air
from model_utils.project import archive_folder

SPACING = 300.0
NEAREST_SPACINGS = 0.75
"""A cell is shown by the nearest site of an archive's grid if it is nearer than so many spacings: its own square's
corner is .71 away."""


@dataclass(frozen=True)
class MapJob:
    """A map to be made.

    Attributes:
        config: Its flags.
        city: Where.
        folder: Of the model.
        loaded: The model.
        fitted: What it has fitted.
        source: Of the images; None for a model that sees none.
        cells: All cells.
        times: Days and periods.
    """

    config: MapConfig
    city: City
    folder: Path
    loaded: LoadedCityModel
    fitted: FittedPlaceAndDay
    source: TileSource | None
    cells: MapCells
    times: MapTimes

    @cached_property
    def sources(self) -> dict[str, str]:
        """Hashes of what the images come from, by name; made when they are asked for, since workers need none."""
        if isinstance(self.source, ArchiveTiles):
            return {"archive_sha256": self.source.archive.metadata.content_sha256}
        if not isinstance(self.source, SceneTiles) or self.config.scenes is None:
            return {}
        files = dict.fromkeys(path for scene in self.source.catalogue.scenes for path in scene.files)
        return {os.path.relpath(path, self.config.scenes): file_hash(path) for path in files}

    @cached_property
    def blocks(self) -> Blocks:
        """The cells, block by block."""
        return self.cells.blocks()

    @property
    def scale(self) -> ScaleName:
        """Whose air quality index."""
        return self.config.scale or scale_of(self.city)

    @property
    def precision(self) -> EmbeddingPrecision:
        """Of the embeddings, in whatever process."""
        return "bf16-mixed" if self.config.precision == "bf16-mixed" else "32-true"

    @property
    def new_days(self) -> pd.DatetimeIndex:
        """Days whose air the model has not seen and the images may show."""
        ground, source = self.fitted.ground, self.source
        if ground is None or source is None or self.fitted.day_from_images is None:
            return pd.DatetimeIndex([])
        days = self.times.days
        return days[days.isin(source.dates) & ~days.isin(pd.DatetimeIndex(ground.dates))]

    def identity(self) -> str:
        """All that the numbers depend on, whatever the files are called that say it."""
        return json.dumps(
            {
                "config": {key: value for key, value in record(self.config).items() if key not in ("model", "scenes")},
                "cells_sha256": self.cells.sha256(),
                "local_time": [self.city.time_zone, str(self.city.overpass_local_time)],
                "scale": self.scale,
                "model_sha256": file_hash(self.folder / MODEL),
                "images": self.sources,
            },
            indent=2,
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of the scenes."""
        return self.source.catalogue.notes if isinstance(self.source, SceneTiles) else ()

    def refuse_unseen(self) -> None:
        """Raises InputError where the map would be empty, since nothing that is known reaches any of its cells."""
        box = self.city.bounding_box
        for cells in self.blocks:
            latitude, longitude = cells["latitude"], cells["longitude"]
            in_city = latitude.between(box.south, box.north) & longitude.between(box.west, box.east)
            if (in_city.to_numpy() if self.source is None else self.source.shows(cells)).any():
                return
        area, scenes = self.config.area, self.config.scenes
        where = f"--scenes {scenes}" if area is None else f"--area {area}"
        what = "they are not in the city" if self.source is None else "no image shows any of them"
        raise InputError(
            f"{where}: found {sum(map(len, self.blocks)):,} cells, and {what}, expected some around {self.city.name}, "
            f"{box.west:g} to {box.east:g} degrees east and {box.south:g} to {box.north:g} north"
        )

    def air(self) -> NDArray[np.float32]:
        """Of the new days."""
        if not len(self.new_days):
            return np.empty((0, self.loaded.width), np.float32)
        assert self.fitted.ground is not None
        assert self.source is not None
        return air_of_dates(self.loaded, self.fitted.ground, self.source, self.cells.grid.crs, self.new_days)

    def with_air(self, air: NDArray[np.float32]) -> FittedPlaceAndDay:
        """What was fitted, and what the air of the new days looks like."""
        return with_air(self.fitted, self.new_days, air) if len(self.new_days) else self.fitted

    def predict(self, cells: pd.DataFrame, air: NDArray[np.float32]) -> tuple[PlacePrediction, NDArray[np.float64]]:
        """Every day at some cells, and the dissimilarity of each."""
        rows, means = self.seen(cells)
        return predict_places(self.with_air(air), rows, means, self.times.days), self.fitted.dissimilarity(rows, means)

    def seen(self, cells: pd.DataFrame) -> tuple[pd.DataFrame, NDArray[np.float32] | None]:
        """The places that are shown for some cells, a row each, and mean embeddings of those that are not known."""
        named = cells if self.source is None else self.source.named(cells)
        means = None
        ground = self.fitted.ground
        if ground is not None and self.source is not None and self.fitted.process.blocks:
            means = np.full((len(cells), self.loaded.width), np.nan, np.float32)
            unknown = ~named["site_id"].isin(ground.sites).to_numpy()
            if unknown.any():
                some = cells[unknown].reset_index(drop=True)
                means[unknown] = mean_embeddings(self.loaded, self.source, some, self.precision)
        return named.reset_index(drop=True).assign(local_date=self.times.days[0]), means


def opened(config: MapConfig) -> MapJob:
    """Opens all that a map is made of, as it is on disk now.

    Raises:
        InputError: As `map_job` says.
    """
    map_job.cache_clear()
    return map_job(config)


@lru_cache(maxsize=1)
def map_job(config: MapConfig) -> MapJob:
    """Opens all that a map is made of; once for all blocks of a process.

    Raises:
        InputError: The model, the images, the area or the dates are not what they should be.
    """
    # once for all processes, which may run on machines of several kinds
    resolved: EmbeddingPrecision = "32-true"
    if resolve_precision(config.precision, "cpu") == "bf16-mixed":
        resolved = "bf16-mixed"
    config = replace(config, precision=resolved)
    city = load_city(config.city, config.root)
    folder = model_folder(config.model)
    read_header(folder).refuse_as_map(city.name)
    loaded = load_city_model(folder)
    model, fitted = loaded.model, loaded.model.fitted
    assert isinstance(fitted, FittedPlaceAndDay)  # or it would have been refused
    grid = city_grid(city, model.ground_sample_distance_m, model.tile_size)
    source, spacing = _images(config, city, loaded)
    cells = map_cells(grid.crs, spacing, city.bounding_box, config.area)
    known = set(() if source is None else source.dates)
    if fitted.day_from_readings is not None:
        known |= set(pd.DatetimeIndex(fitted.day_from_readings.readings["local_date"].unique()))
    if fitted.ground is not None and fitted.day_from_images is not None:
        known |= set(pd.DatetimeIndex(fitted.ground.dates))
    times = map_times(config.dates, config.period, pd.DatetimeIndex(sorted(known)))
    return MapJob(config, city, folder, loaded, fitted, source, cells, times)


def _images(config: MapConfig, city: City, loaded: LoadedCityModel) -> tuple[TileSource | None, float]:
    """Where tiles come from, and the size of a cell."""
    model = loaded.model
    fitted = model.fitted
    assert isinstance(fitted, FittedPlaceAndDay)
    grid = city_grid(city, model.ground_sample_distance_m, model.tile_size)
    if config.scenes is not None:
        catalogue = scenes_of_map(config, config.scenes, city, model, grid)
        found = SceneTiles(catalogue, grid, city, config.min_valid_fraction, model.max_cloud_fraction)
        return found, config.spacing_metres or SPACING
    if fitted.ground is None or not fitted.process.blocks:
        return None, config.spacing_metres or SPACING
    archive = open_archive(archive_folder(config.root, city.name))
    loaded.check(archive)
    clear = clear_archive(archive, model.max_cloud_fraction)
    sites = grid_sites_of(clear.samples, grid.crs)
    if len(sites) < 2:
        raise InputError(
            f"{archive.folder}: holds no grid between the stations, expected one (prepare --grid-metres) or --scenes"
        )
    spacing = config.spacing_metres or grid_spacing(sites)
    return ArchiveTiles(clear, grid.crs, NEAREST_SPACINGS * max(spacing, grid_spacing(sites))), spacing


def grid_spacing(sites: pd.DataFrame) -> float:
    """Metres between the sites of a grid: the median distance to the nearest other one, to about a thousandth."""
    places = sites[["east_m", "north_m"]].to_numpy()
    nearest = float(np.median(KDTree(places).query(places, k=2)[0][:, 1]))
    return float(max(1.0, round(nearest, 2 - math.floor(math.log10(max(nearest, 1.0))))))
