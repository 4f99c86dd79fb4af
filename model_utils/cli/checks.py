"""What a verb can refuse at once: before it imports torch or figures, which takes many times as long as all of this.

The verbs themselves raise the same errors, for whoever calls them as functions.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pandas as pd

from contrastive_models.encoder_names import refuse_unknown
from contrastive_models.weights import WeightsError, read_metadata, refuse_as_legacy
from model_utils.archive.commit import has_archive
from model_utils.archive.format import METADATA
from model_utils.archive.reader import TileArchive, open_archive
from model_utils.cities import City, load_city
from model_utils.comparison.config import CompareConfig
from model_utils.errors import InputError
from model_utils.estimators.model_header import ModelHeader, read_header, refuse_other_images
from model_utils.estimators.saving import model_folder
from model_utils.features.labelled import clear_archive, with_reading
from model_utils.features.weights_file import checked_metadata, is_legacy
from model_utils.ingest.products.folder import list_files
from model_utils.ingest.scenes.grid import city_grid
from model_utils.inspection.config import InspectConfig
from model_utils.locking import locked
from model_utils.mapping.config import MapConfig, PredictConfig
from model_utils.mapping.dates import map_times
from model_utils.mapping.places.area import read_area
from model_utils.mapping.points_file import check_out, read_points
from model_utils.pretraining.config import PretrainConfig
from model_utils.pretraining.standing import RunPlace
from model_utils.project import archive_folder
from model_utils.simulation.config import SimulateConfig
from model_utils.simulation.parameters import simulation_parameters
from model_utils.supervision.config import SuperviseConfig

_RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK")
"""Where launchers write a process's number, as Lightning reads it."""


def check_simulate(config: SimulateConfig) -> None:
    """Refuses a city that cannot be simulated, files that are not there, and an archive that is."""
    city = load_city(config.city, config.root)
    simulation_parameters(city)
    for name in ("surface", "readings"):
        path = getattr(config, name)
        if path is not None and not path.exists():
            raise InputError(f"--{name} {path}: not found")
    folder = archive_folder(config.root, city.name)
    if has_archive(folder) and not config.overwrite:
        raise InputError(f"{folder / METADATA}: an archive is already there, --overwrite replaces it")


def check_inspect(config: InspectConfig) -> None:
    """Refuses a city, an archive, scenes or readings that are none."""
    load_city(config.city, config.root)
    if config.readings is not None and not config.readings.exists():
        raise InputError(f"{config.readings}: not found, expected a file or folder of station readings")
    if config.scenes is not None:
        list_files(config.scenes)
    if not (config.readings or config.scenes or config.accept_changes):
        open_archive(archive_folder(config.root, config.city))


def check_pretrain(config: PretrainConfig) -> None:
    """Refuses a city, an archive or an encoder that is none, and another run in the way or under way."""
    archive = _archive(config.city, config.root)
    _check_encoder(config.encoder)
    if all(os.environ.get(name, "0") == "0" for name in _RANKS):  # the others start while the first one runs
        place = RunPlace.of(config)
        with locked(place.folder, place.weights):
            place.is_finished(config, archive.metadata)


def check_supervise(config: SuperviseConfig) -> None:
    """Refuses a city, an archive, a number of folds, or weights that cannot be used, as their headers say."""
    archive = _archive(config.city, config.root)
    _check_folds(config.folds, archive, config.max_cloud_fraction)
    _check_imagenet(config.imagenet_weights)
    if config.encoder is not None:
        _check_encoder(config.encoder)
    if config.start in ("randomly_initialized", "transfer_learning"):
        return
    if config.weights is not None and is_legacy(config.weights):
        with _weights_named():
            refuse_as_legacy(config.weights)
        return
    if config.start is None and config.weights is not None:
        with _weights_named():
            found = read_metadata(config.weights).encoder
        if config.encoder not in (None, found):
            raise InputError(f"{config.weights}: encoder: found {found}, expected {config.encoder} as --encoder says")
        config = replace(config, start="weights_2022", encoder=found)  # of any method and pairs
    checked_metadata(config.source, archive.metadata.bands)


def check_compare(config: CompareConfig) -> None:
    """Refuses a city, an archive, or a number of folds that cannot be."""
    archive = _archive(config.city, config.root)
    _check_folds(config.folds if "folds" in config.designs else None, archive, config.max_cloud_fraction)
    _check_imagenet(config.imagenet_weights)
    _check_encoder(config.encoder)


def check_map(config: MapConfig) -> None:
    """Refuses a city, a model, images, an area or dates that are none, or of which nothing is known."""
    city = load_city(config.city, config.root)
    model = read_header(model_folder(config.model))
    model.refuse_as_map(city.name)
    if config.area is not None:
        read_area(config.area).refuse_exchanged(city.bounding_box)
    if config.spacing_metres is not None:
        _check_spacing(config.spacing_metres, config.area, city, model)
    if config.scenes is not None:
        list_files(config.scenes)
        return
    known = model.dates()
    if model.sees_images:
        archive = open_archive(archive_folder(config.root, config.city))
        refuse_other_images(model, archive.metadata, archive.folder)
        known = known.union(pd.DatetimeIndex(archive.samples["local_date"].unique()))
    map_times(config.dates, config.period, known)


def check_predict(config: PredictConfig) -> None:
    """Refuses what a map refuses, points that cannot be, and a file for the answer that is in the way."""
    check_out(config.out, config.overwrite)
    read_points(config.points, load_city(config.city, config.root).bounding_box)
    check_map(config.map_config())


@contextmanager
def _weights_named() -> Iterator[None]:
    try:
        yield
    except WeightsError as error:
        raise InputError(str(error)) from None


def _archive(city: str, root: Path) -> TileArchive:
    load_city(city, root)
    return open_archive(archive_folder(root, city))


def _check_folds(folds: int | None, archive: TileArchive, max_cloud_fraction: float) -> None:
    if folds is None:
        return
    stations = with_reading(clear_archive(archive, max_cloud_fraction)).samples["site_id"].nunique()
    if not 2 <= folds <= stations:
        raise InputError(f"--folds: found {folds}, expected 2 to {stations} (the number of stations)")


def _check_spacing(spacing: float, area: str | None, city: City, model: ModelHeader) -> None:
    """Refuses more cells than a map can have."""
    from model_utils.mapping.places.grid import map_grid  # imports rasterio

    box = city.bounding_box if area is None else read_area(area).box
    grid = city_grid(city, model.ground_sample_distance_m, model.tile_size)
    map_grid(grid.crs, spacing, box.west, box.south, box.east, box.north)


def _check_encoder(name: str) -> None:
    try:
        refuse_unknown(name)
    except ValueError as error:
        raise InputError(f"--encoder: {error}") from None


def _check_imagenet(file: Path | None) -> None:
    if file is not None and not file.is_file():
        raise InputError(f"{file}: not found, expected ImageNet weights")
