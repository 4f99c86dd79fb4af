"""Where the encoder of a supervised experiment comes from."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from contrastive_models.encoders import create_encoder, load_weights_file
from contrastive_models.legacy_weights import read_legacy_encoder
from contrastive_models.weights import WeightsError, read_encoder, weights_hash
from model_utils.archive.format import ArchiveMetadata
from model_utils.archive.reader import TileArchive
from model_utils.errors import InputError
from model_utils.features.convert_weights import named_training
from model_utils.features.starts import EncoderSource, Start
from model_utils.features.weights_file import checked_metadata, is_legacy
from model_utils.pretraining.data import band_statistics
from model_utils.quiet import hub_asked_once
from model_utils.sampling.tile_ground import NO_GROUND, TileGround


@dataclass(frozen=True)
class StartingEncoder:
    """An encoder and how to feed it.

    Attributes:
        name: timm model name.
        encoder: From n x C x H x W to n x features.
        mean: Mean of each band, 0..1, for its inputs.
        std: Standard deviation of each band, 0..1.
        sha256: Hash of its numbers.
        seen_ground: What the tiles showed that it was pre-trained on; None for weights that do not say it.
        machine: On what kind of machine, and in which precision; empty for weights that do not say it.
    """

    name: str
    encoder: nn.Module
    mean: tuple[float, ...]
    std: tuple[float, ...]
    sha256: str
    seen_ground: TileGround | None
    machine: Mapping[str, Any] = field(default_factory=dict)


def described_by_weights(weights: Path) -> tuple[Start, str]:
    """Start and encoder that a weights file says.

    Raises:
        InputError: The file is missing, or neither of pm25 pretrain nor of the 2022 code.
    """
    try:
        if is_legacy(weights):
            encoder = read_legacy_encoder(weights).name
            method, pairs = named_training(weights)
        else:
            _, metadata = read_encoder(weights)
            encoder, method, pairs = metadata.encoder, metadata.method, metadata.pairs
        return cast(Start, f"{method}_{pairs}" if method and pairs else "weights_2022"), encoder
    except WeightsError as error:
        raise InputError(str(error)) from None


def starting_encoder(source: EncoderSource, training: TileArchive) -> StartingEncoder:
    """Builds the encoder of a source.

    Args:
        source: Names the start.
        training: Tiles of stations that are not test stations; they give the band statistics
            where the weights have none.

    Raises:
        InputError: The weights are missing, broken, or for another encoder or other bands.
    """
    if source.start == "randomly_initialized":
        return _random(source, training)
    if source.start == "transfer_learning":
        return _imagenet(source, training)
    if source.weights is not None and is_legacy(source.weights):
        return _legacy(source, source.weights, training)
    return _pretrained(source, training)


def _random(source: EncoderSource, training: TileArchive) -> StartingEncoder:
    torch.manual_seed(source.seed)
    encoder = _create(source, training.metadata)
    mean, std = band_statistics(training, source.seed)
    return StartingEncoder(source.encoder, encoder, mean, std, weights_hash(encoder), NO_GROUND)


def _imagenet(source: EncoderSource, training: TileArchive) -> StartingEncoder:
    file = source.imagenet_weights
    if file is not None and not file.is_file():
        raise InputError(f"{file}: not found, expected ImageNet weights of {source.encoder}")
    try:
        if file is None:
            print(f"asking timm's hub for ImageNet weights of {source.encoder}", flush=True)
        with hub_asked_once() if file is None else nullcontext():
            encoder = _create(source, training.metadata, pretrained=file is None)
        if file is not None:
            load_weights_file(encoder, file)
    except InputError:
        raise
    except Exception as error:  # timm, the hub and the network each raise their own kinds
        reason = " ".join(str(error).split())[:200]
        where = "" if file else f"no ImageNet weights of {source.encoder} from timm's hub; --imagenet-weights FILE: "
        raise InputError(f"--start transfer_learning: {where}{reason}") from None
    described = encoder.pretrained_cfg
    if len(training.metadata.bands) == len(described["mean"]):  # type: ignore[index]
        mean, std = tuple(described["mean"]), tuple(described["std"])  # type: ignore[index]
    else:
        mean, std = band_statistics(training, source.seed)
    return StartingEncoder(source.encoder, encoder, mean, std, weights_hash(encoder), NO_GROUND)


def _legacy(source: EncoderSource, path: Path, training: TileArchive) -> StartingEncoder:
    """An encoder of the 2022 code, whose file holds its numbers and nothing else."""
    try:
        legacy = read_legacy_encoder(path)
    except WeightsError as error:
        raise InputError(str(error)) from None
    bands = training.metadata.bands
    if legacy.name != source.encoder:
        raise InputError(f"{path}: encoder: found {legacy.name}, expected {source.encoder}")
    if legacy.channels != len(bands):
        raise InputError(f"{path}: takes {legacy.channels} bands, the archive has {len(bands)} ({', '.join(bands)})")
    print(f"{path}: does not name its bands: taken to be {', '.join(bands)}", flush=True)
    encoder = legacy.module.to(memory_format=torch.channels_last)
    return _completed(source, path, training, StartingEncoder(legacy.name, encoder, (), (), "", None))


def _pretrained(source: EncoderSource, training: TileArchive) -> StartingEncoder:
    archive = training.metadata
    path, metadata = checked_metadata(source, archive.bands)
    try:
        tensors, _ = read_encoder(path)
    except WeightsError as error:
        raise InputError(str(error)) from None
    encoder = _create(source, archive)
    try:
        encoder.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        raise InputError(f"{path}: does not fit {source.encoder} ({' '.join(str(error).split())[:200]})") from None
    trained, here = metadata.ground_sample_distance_m, archive.ground_sample_distance_m
    if trained and abs(trained / here - 1) > 0.1:
        print(f"{path}: was trained at {trained:g} m a pixel, these tiles have {here:g} m", flush=True)
    try:
        seen = TileGround.from_text(metadata.seen_ground) if metadata.seen_ground else None
    except ValueError as error:
        raise InputError(f"{path}: seen_ground: {error}") from None
    start = StartingEncoder(source.encoder, encoder, metadata.mean, metadata.std, "", seen, metadata.machine)
    return _completed(source, path, training, start)


def _completed(source: EncoderSource, path: Path, training: TileArchive, start: StartingEncoder) -> StartingEncoder:
    """Fills in what the weights do not say, and says so."""
    mean, std = start.mean, start.std
    if not mean:
        mean, std = band_statistics(training, source.seed)
        print(f"{path}: has no band means: those of the training stations' tiles are taken", flush=True)
    if start.seen_ground is None:
        print(f"{path}: does not say which ground it saw: that of test stations may be among it", flush=True)
    return replace(start, mean=mean, std=std, sha256=weights_hash(start.encoder))


def _create(source: EncoderSource, archive: ArchiveMetadata, pretrained: bool = False) -> nn.Module:
    try:
        encoder = create_encoder(source.encoder, len(archive.bands), archive.tile_size, pretrained)
    except ValueError as error:
        raise InputError(f"--encoder: {error}") from None
    return encoder.to(memory_format=torch.channels_last)
