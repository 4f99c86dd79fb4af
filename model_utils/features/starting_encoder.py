"""Where the encoder of a supervised experiment comes from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch
from torch import nn

from contrastive_models.encoders import create_encoder, load_weights_file
from contrastive_models.legacy_weights import SUFFIXES, read_legacy_encoder
from contrastive_models.weights import WeightsError, read_encoder, weights_hash
from model_utils.archive.format import ArchiveMetadata
from model_utils.archive.reader import TileArchive
from model_utils.errors import InputError
from model_utils.features.convert_weights import named_training
from model_utils.pretraining.data import band_statistics
from model_utils.project import weights_path
from model_utils.quiet import quiet_hub
from model_utils.supervision.config import Start, SuperviseConfig


@dataclass(frozen=True)
class StartingEncoder:
    """An encoder and how to feed it.

    Attributes:
        name: timm model name.
        encoder: From n x C x H x W to n x features.
        mean: Mean of each band, 0..1, for its inputs.
        std: Standard deviation of each band, 0..1.
        sha256: Hash of its numbers.
        seen_sites: Sites whose images it was pre-trained on; None for weights that do not say it.
    """

    name: str
    encoder: nn.Module
    mean: tuple[float, ...]
    std: tuple[float, ...]
    sha256: str
    seen_sites: frozenset[str] | None


def described_by_weights(config: SuperviseConfig) -> SuperviseConfig:
    """Fills in start and encoder from the weights file where --weights came without --start.

    Raises:
        InputError: The file is missing, or neither of pm25 pretrain nor of the 2022 code.
    """
    if config.start is not None or config.weights is None:
        return config
    try:
        if _is_legacy(config.weights):
            encoder = read_legacy_encoder(config.weights).name
            method, pairs = named_training(config.weights)
        else:
            _, metadata = read_encoder(config.weights)
            encoder, method, pairs = metadata.encoder, metadata.method, metadata.pairs
        start = cast(Start, f"{method}_{pairs}" if method and pairs else "weights_2022")
        return replace(config, start=start, encoder=encoder)
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
    if config.weights is not None and _is_legacy(config.weights):
        return _legacy(config, config.weights, training)
    return _pretrained(config, training)


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
        if file is None:
            print(f"asking timm's hub for ImageNet weights of {config.encoder}", flush=True)
        with quiet_hub():
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


def _is_legacy(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def _legacy(config: SuperviseConfig, path: Path, training: TileArchive) -> StartingEncoder:
    """An encoder of the 2022 code, whose file holds its numbers and nothing else."""
    try:
        legacy = read_legacy_encoder(path)
    except WeightsError as error:
        raise InputError(str(error)) from None
    bands = training.metadata.bands
    if legacy.name != config.encoder:
        raise InputError(f"{path}: encoder: found {legacy.name}, expected {config.encoder}")
    if legacy.channels != len(bands):
        raise InputError(f"{path}: takes {legacy.channels} bands, the archive has {len(bands)} ({', '.join(bands)})")
    print(f"{path}: does not name its bands: taken to be {', '.join(bands)}", flush=True)
    encoder = legacy.module.to(memory_format=torch.channels_last)
    return _completed(config, path, training, StartingEncoder(legacy.name, encoder, (), (), "", None))


def _pretrained(config: SuperviseConfig, training: TileArchive) -> StartingEncoder:
    archive = training.metadata
    method, pairs = ("", "") if config.start == "weights_2022" else str(config.start).split("_")
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
        if found and expected and found != expected:  # weights of 2022 may not say their method or pairs
            raise InputError(f"{path}: {what}: found {found}, expected {expected}")
    encoder = _create(config, archive)
    try:
        encoder.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        raise InputError(f"{path}: does not fit {config.encoder} ({' '.join(str(error).split())[:200]})") from None
    trained, here = metadata.ground_sample_distance_m, archive.ground_sample_distance_m
    if trained and abs(trained / here - 1) > 0.1:
        print(f"{path}: was trained at {trained:g} m a pixel, these tiles have {here:g} m", flush=True)
    # weights that were converted do not say what they were trained on
    seen = frozenset(metadata.seen_sites) if metadata.archive_sha256 else None
    start = StartingEncoder(config.encoder, encoder, metadata.mean, metadata.std, "", seen)
    return _completed(config, path, training, start)


def _completed(config: SuperviseConfig, path: Path, training: TileArchive, start: StartingEncoder) -> StartingEncoder:
    """Fills in what the weights do not say, and says so."""
    mean, std = start.mean, start.std
    if not mean:
        mean, std = band_statistics(training, config.seed)
        print(f"{path}: has no band means: those of the training stations' tiles are taken", flush=True)
    if start.seen_sites is None:
        print(f"{path}: does not say which sites it saw: the test stations may be among them", flush=True)
    return replace(start, mean=mean, std=std, sha256=weights_hash(start.encoder))


def _create(config: SuperviseConfig, archive: ArchiveMetadata, pretrained: bool = False) -> nn.Module:
    try:
        encoder = create_encoder(config.encoder, len(archive.bands), archive.tile_size, pretrained)
    except ValueError as error:
        raise InputError(f"--encoder: {error}") from None
    return encoder.to(memory_format=torch.channels_last)
