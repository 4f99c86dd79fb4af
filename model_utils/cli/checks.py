"""What a verb can refuse at once: before torch is imported, which takes many times as long as all of this.

The verbs themselves raise the same errors, for whoever calls them as functions.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from contrastive_models.weights import WeightsError, read_metadata
from model_utils.archive.reader import TileArchive, open_archive
from model_utils.cities import load_city
from model_utils.comparison.config import CompareConfig
from model_utils.errors import InputError
from model_utils.estimators.saving import model_folder
from model_utils.features.labelled import clear_archive, with_reading
from model_utils.features.weights_file import checked_metadata, is_legacy
from model_utils.mapping.config import MapConfig, PredictConfig
from model_utils.pretraining.config import PretrainConfig
from model_utils.project import archive_folder
from model_utils.supervision.config import SuperviseConfig


def check_pretrain(config: PretrainConfig) -> None:
    """Refuses a city or an archive that is none."""
    _archive(config.city, config.root)


def check_supervise(config: SuperviseConfig) -> None:
    """Refuses a city, an archive, a number of folds, or weights that cannot be used, as their headers say."""
    archive = _archive(config.city, config.root)
    _check_folds(config.folds, archive, config.max_cloud_fraction)
    _check_imagenet(config.imagenet_weights)
    if config.start in ("randomly_initialized", "transfer_learning"):
        return
    if config.weights is not None and is_legacy(config.weights):
        if not config.weights.is_file():
            raise InputError(f"{config.weights}: not found, expected encoder weights")
        return
    if config.start is None and config.weights is not None:
        try:
            found = read_metadata(config.weights).encoder
        except WeightsError as error:
            raise InputError(str(error)) from None
        if config.encoder not in (None, found):
            raise InputError(f"{config.weights}: encoder: found {found}, expected {config.encoder} as --encoder says")
        config = replace(config, start="weights_2022", encoder=found)  # of any method and pairs
    checked_metadata(config.source, archive.metadata.bands)


def check_compare(config: CompareConfig) -> None:
    """Refuses a city, an archive, or a number of folds that cannot be."""
    archive = _archive(config.city, config.root)
    _check_folds(config.folds if "folds" in config.designs else None, archive, config.max_cloud_fraction)
    _check_imagenet(config.imagenet_weights)


def check_map(config: MapConfig | PredictConfig) -> None:
    """Refuses a city or a model that is none."""
    load_city(config.city, config.root)
    model_folder(config.model)


def _archive(city: str, root: Path) -> TileArchive:
    load_city(city, root)
    return open_archive(archive_folder(root, city))


def _check_folds(folds: int | None, archive: TileArchive, max_cloud_fraction: float) -> None:
    if folds is None:
        return
    stations = with_reading(clear_archive(archive, max_cloud_fraction)).samples["site_id"].nunique()
    if not 2 <= folds <= stations:
        raise InputError(f"--folds: found {folds}, expected 2 to {stations} (the number of stations)")


def _check_imagenet(file: Path | None) -> None:
    if file is not None and not file.is_file():
        raise InputError(f"{file}: not found, expected ImageNet weights")
