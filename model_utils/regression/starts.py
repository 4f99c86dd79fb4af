"""Where the encoder of a supervised experiment comes from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import nn

from contrastive_models.encoders import create_encoder, load_weights_file
from contrastive_models.weights import WeightsError, read_encoder, weights_hash
from model_utils.archive.format import ArchiveMetadata
from model_utils.archive.reader import TileArchive
from model_utils.errors import InputError
from model_utils.pretraining.data import band_statistics
from model_utils.project import weights_path
from model_utils.regression.config import Start, SuperviseConfig


@dataclass(frozen=True)
class StartingEncoder:
    """An encoder and how to feed it.

    Attributes:
        name: timm model name.
        encoder: From n x C x H x W to n x features.
        mean: Mean of each band, 0..1, for its inputs.
        std: Standard deviation of each band, 0..1.
        sha256: Hash of its numbers.
        seen_sites: Sites whose images it was pre-trained on.
    """

    name: str
    encoder: nn.Module
    mean: tuple[float, ...]
    std: tuple[float, ...]
    sha256: str
    seen_sites: frozenset[str]


def described_by_weights(config: SuperviseConfig) -> SuperviseConfig:
    """Fills in start and encoder from the weights file where --weights came without --start.

    Raises:
        InputError: The file is missing or was not written by pm25 pretrain.
    """
    if config.start is not None or config.weights is None:
        return config
    try:
        _, metadata = read_encoder(config.weights)
        start = cast(Start, f"{metadata.method}_{metadata.pairs}")
        return replace(config, start=start, encoder=metadata.encoder)
    except WeightsError as error:
        raise InputError(str(error)) from None


def starting_encoder(config: SuperviseConfig, training: TileArchive) -> StartingEncoder:
    """Builds the encoder of `config.start`.

    Args:
        config: Names the start.
        training: Tiles of stations that are not test stations; they give the band statistics
            where the weights have none.

    Raises:
        InputError: The weights are missing, broken, or for another encoder or other bands.
    """
    if config.start == "randomly_initialized":
        return _random(config, training)
    if config.start == "transfer_learning":
        return _imagenet(config, training)
    return _pretrained(config, training.metadata)


def _random(config: SuperviseConfig, training: TileArchive) -> StartingEncoder:
    torch.manual_seed(config.seed)
    encoder = _create(config, training.metadata)
    mean, std = band_statistics(training, config.seed)
    return StartingEncoder(config.encoder, encoder, mean, std, weights_hash(encoder), frozenset())


def _imagenet(config: SuperviseConfig, training: TileArchive) -> StartingEncoder:
    file = config.imagenet_weights
    if file is not None and not file.is_file():
        raise InputError(f"{file}: not found, expected ImageNet weights of {config.encoder}")
    try:
        encoder = _create(config, training.metadata, pretrained=file is None)
        if file is not None:
            load_weights_file(encoder, file)
    except InputError:
        raise
    except Exception as error:  # timm, the hub and the network each raise their own kinds
        reason = " ".join(str(error).split())[:200]
        where = "" if file else f"no ImageNet weights of {config.encoder} from timm's hub; --imagenet-weights FILE: "
        raise InputError(f"--start transfer_learning: {where}{reason}") from None
    described = encoder.pretrained_cfg
    if len(training.metadata.bands) == len(described["mean"]):  # type: ignore[index]
        mean, std = tuple(described["mean"]), tuple(described["std"])  # type: ignore[index]
    else:
        mean, std = band_statistics(training, config.seed)
    return StartingEncoder(config.encoder, encoder, mean, std, weights_hash(encoder), frozenset())


def _pretrained(config: SuperviseConfig, archive: ArchiveMetadata) -> StartingEncoder:
    method, pairs = str(config.start).split("_")
    path = config.weights or weights_path(config.root, config.city, method, pairs, config.encoder)
    try:
        tensors, metadata = read_encoder(path)
    except WeightsError as error:
        hint = f"; pm25 pretrain --city {config.city} --method {method} --pairs {pairs} makes them"
        raise InputError(f"{error}{'' if path.exists() else hint}") from None
    for what, found, expected in (
        ("encoder", metadata.encoder, config.encoder),
        ("bands", metadata.bands, archive.bands),
        ("method", metadata.method, method),
        ("pairs", metadata.pairs, pairs),
    ):
        if found != expected:
            raise InputError(f"{path}: {what}: found {found}, expected {expected}")
    encoder = _create(config, archive)
    try:
        encoder.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        raise InputError(f"{path}: does not fit {config.encoder} ({' '.join(str(error).split())[:200]})") from None
    trained, here = metadata.ground_sample_distance_m, archive.ground_sample_distance_m
    if abs(trained / here - 1) > 0.1:
        print(f"{path}: was trained at {trained:g} m a pixel, these tiles have {here:g} m", flush=True)
    return StartingEncoder(
        config.encoder, encoder, metadata.mean, metadata.std, weights_hash(encoder), frozenset(metadata.seen_sites)
    )


def _create(config: SuperviseConfig, archive: ArchiveMetadata, pretrained: bool = False) -> nn.Module:
    try:
        encoder = create_encoder(config.encoder, len(archive.bands), archive.tile_size, pretrained)
    except ValueError as error:
        raise InputError(f"--encoder: {error}") from None
    return encoder.to(memory_format=torch.channels_last)
