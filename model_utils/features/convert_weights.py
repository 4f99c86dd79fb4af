"""`pm25 convert-weights`: encoder weights of the 2022 code become safetensors."""

from __future__ import annotations

import re
from pathlib import Path

from contrastive_models.weights import EncoderMetadata, WeightsError, refuse_as_legacy, save_encoder, weights_hash
from model_utils import atomic
from model_utils.configuration import package_version
from model_utils.errors import InputError
from model_utils.features.convert_config import ConvertWeightsConfig
from model_utils.locking import locked


def convert_weights(config: ConvertWeightsConfig) -> None:
    """Writes the encoder of a 2022 file as `pm25 supervise --weights` reads it.

    Raises:
        InputError: The file is no such encoder, does not fit the flags, or the output is there already.
        InUseError: Another process writes the output.
    """
    with locked(config.output):
        _convert_weights(config)


def _convert_weights(config: ConvertWeightsConfig) -> None:
    if config.output.exists() and not config.overwrite:
        raise InputError(f"{config.output}: is already there, --overwrite replaces it")
    try:
        refuse_as_legacy(config.weights)
        from contrastive_models.legacy_weights import read_legacy_encoder  # imports torch, which takes seconds

        legacy = read_legacy_encoder(config.weights)
    except WeightsError as error:
        raise InputError(str(error)) from None
    if legacy.channels != len(config.bands):
        raise InputError(
            f"{config.weights}: takes {legacy.channels} bands, --bands names {len(config.bands)} "
            f"({', '.join(config.bands)})"
        )
    method, pairs = named_training(config.weights)
    metadata = EncoderMetadata(
        encoder=legacy.name,
        bands=config.bands,
        mean=config.mean,
        std=config.std,
        ground_sample_distance_m=config.gsd,
        image_size=0,
        method=config.method or method,
        pairs=config.pairs or pairs,
        epochs=0,
        archive_sha256="",
        package_version=package_version(),
        seed=0,
    )
    with atomic.replacing(config.output) as temporary:
        save_encoder(temporary, legacy.module, metadata)
    print(f"{config.output}: {legacy.name} of {', '.join(config.bands)}, sha256 {weights_hash(legacy.module)}")
    print(f"  method {metadata.method or 'not known'}, pairs {metadata.pairs or 'not known'}")
    if not config.mean:
        print("  no --mean and --std: supervise will take the statistics of the training stations' tiles")
    print("  which ground it was trained on is not known; supervise will say so")


def named_training(path: Path) -> tuple[str, str]:
    """Method and pairs that the name of a 2022 file states, each '' where it does not."""
    words = re.split(r"[^a-z0-9]+", path.stem.lower())
    methods = {"simclr": "SimCLR", "simsiam": "SimSiam"}
    pairs = {"spatiotemporal": "spatiotemporal", "scl": "spatiotemporal", "regular": "regular"}
    return _only([methods[word] for word in words if word in methods]), _only([pairs[w] for w in words if w in pairs])


def _only(found: list[str]) -> str:
    return found[0] if len(set(found)) == 1 else ""
