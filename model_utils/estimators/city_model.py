"""The fitted model of a city on disk: what was fitted, the encoder it sees with, and for which images it holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from contrastive_models.embedding import EmbeddingPrecision, embed
from contrastive_models.encoders import create_encoder, feature_width
from contrastive_models.weights import weights_hash
from model_utils import atomic
from model_utils.archive.format import ArchiveMetadata
from model_utils.archive.reader import TileArchive
from model_utils.errors import InputError
from model_utils.estimators.added_to_field import FittedSum
from model_utils.estimators.estimator import FittedEstimator, Prediction
from model_utils.estimators.finetuned import LARGEST_TILE, FittedFineTuned
from model_utils.estimators.model_header import refuse_other_images
from model_utils.estimators.saving import MODEL, Saved, read_saved, write_saved
from model_utils.features.starting_encoder import StartingEncoder

ENCODER = "encoder.safetensors"


@dataclass(frozen=True)
class CityModel(Saved):
    """A fitted estimator and all that it needs to predict tiles.

    Attributes:
        city: Its name.
        fitted: What was fitted.
        encoder: timm model name.
        encoder_sha256: Hash of its numbers.
        mean: Mean of each band, 0..1, for its inputs.
        std: Standard deviation of each band, 0..1.
        bands: Names of the bands in order.
        ground_sample_distance_m: Metres per pixel.
        tile_size: Pixels.
        max_cloud_fraction: Of the tiles it was fitted to.
        reach: Half-width of 90 % intervals in predicted standard deviations, for a day, month, season and year, at
            stations that nobody trained on; what could not be calibrated is missing.
    """

    city: str
    fitted: FittedEstimator
    encoder: str
    encoder_sha256: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    bands: tuple[str, ...]
    ground_sample_distance_m: float
    tile_size: int
    max_cloud_fraction: float
    reach: Mapping[str, float]

    def __post_init__(self) -> None:
        if not len(self.mean) == len(self.std) == len(self.bands) > 0 or not all(each > 0 for each in self.std):
            raise ValueError(f"city model: found means {self.mean} and deviations {self.std} of the bands {self.bands}")
        if not 1 <= self.tile_size <= LARGEST_TILE:
            raise ValueError(f"city model: found tiles of {self.tile_size} px, expected 1 to {LARGEST_TILE}")
        if not all(value >= 0 for value in self.reach.values()):
            raise ValueError(f"city model: found intervals of {dict(self.reach)} standard deviations")
        own = self.fitted
        while isinstance(own, FittedSum):
            own = own.anomaly
        if isinstance(own, FittedFineTuned) and (len(own.mean), own.tile_size) != (len(self.bands), self.tile_size):
            raise ValueError(f"city model: found an encoder of {len(own.mean)} bands and {own.tile_size} px")


@dataclass(frozen=True)
class LoadedCityModel:
    """A city model that is ready to predict.

    Attributes:
        model: As it was saved.
        encoder: In evaluation mode.
    """

    model: CityModel
    encoder: nn.Module

    def predict(self, archive: TileArchive) -> Prediction:
        """Predicts every tile of an archive, ug/m3.

        Raises:
            InputError: Its tiles are of another kind than those that the model was fitted to.
        """
        self.check(archive)
        if sees_tiles(self.model.fitted):
            return self.model.fitted.predict(archive.samples, archive)
        return self.model.fitted.predict(archive.samples, self.features(archive))

    def check(self, archive: TileArchive) -> None:
        """Raises InputError unless an archive's tiles are of the kind that the model was fitted to."""
        refuse_other_images(self.model, archive.metadata, archive.folder)

    def features(self, archive: TileArchive) -> NDArray[np.float32]:
        """Embeddings of every tile, n x d."""
        return embed(self.encoder, archive.tiles, len(archive), self.model.mean, self.model.std)

    @property
    def width(self) -> int:
        """Features of a tile, d."""
        return feature_width(self.encoder)

    def embedded(self, tiles: NDArray[np.uint8], precision: EmbeddingPrecision = "32-true") -> NDArray[np.float32]:
        """Embeddings of n tiles (n x H x W x C), n x d."""
        mean, std = self.model.mean, self.model.std
        return embed(self.encoder, tiles.__getitem__, len(tiles), mean, std, precision=precision)


def sees_tiles(fitted: FittedEstimator) -> bool:
    """Whether its features are the tiles themselves: it holds an encoder of its own."""
    return fitted.sees() == "tiles"


def city_model(
    city: str,
    fitted: FittedEstimator,
    start: StartingEncoder,
    archive: ArchiveMetadata,
    max_cloud_fraction: float,
    reach: Mapping[str, float],
) -> CityModel:
    """Describes a fitted estimator by the encoder and the archive it was fitted with."""
    return CityModel(
        city,
        fitted,
        start.name,
        start.sha256,
        tuple(start.mean),
        tuple(start.std),
        tuple(archive.bands),
        float(archive.ground_sample_distance_m),
        archive.tile_size,
        max_cloud_fraction,
        reach,
    )


def save_city_model(folder: Path, model: CityModel, encoder: nn.Module) -> None:
    """Writes `model.json`, `arrays.safetensors` and, unless the estimator has its own, `encoder.safetensors`."""
    if not sees_tiles(model.fitted):
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in encoder.state_dict().items()}
        atomic.write_bytes(folder / ENCODER, save(tensors))
    write_saved(folder, model)


def load_city_model(folder: Path) -> LoadedCityModel:
    """Reads what `save_city_model` wrote, in any process, and runs nothing that the files hold.

    Raises:
        InputError: A file is missing, damaged, or not of the others.
    """
    model = read_saved(folder, CityModel)
    if sees_tiles(model.fitted):
        return LoadedCityModel(model, nn.Identity())
    path = folder / ENCODER
    if not path.is_file():
        raise InputError(f"{path}: not found, expected the encoder of this model")
    try:
        encoder = create_encoder(model.encoder, len(model.bands), model.tile_size)
        encoder.load_state_dict(load_file(path), strict=True)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise InputError(f"{path}: not the encoder of this model ({' '.join(str(error).split())[:200]})") from None
    if model.fitted.sees() not in (None, feature_width(encoder)):
        raise InputError(
            f"{folder / MODEL}: sees {model.fitted.sees()} features, expected the {feature_width(encoder)} "
            f"of {model.encoder}"
        )
    if weights_hash(encoder) != model.encoder_sha256:
        raise InputError(f"{path}: found other weights than those that the model was fitted with")
    return LoadedCityModel(model, encoder.to(memory_format=torch.channels_last).eval())
