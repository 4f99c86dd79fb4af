"""The encoders of a comparison: trained where they are missing, embedded once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contrastive_models.weights import read_encoder
from model_utils.archive.reader import TileArchive
from model_utils.comparison.config import CompareConfig, ComparedStart
from model_utils.comparison.methods import encoder_source
from model_utils.configuration import from_preset
from model_utils.errors import InputError
from model_utils.features.embeddings import embeddings_file
from model_utils.features.starting_encoder import starting_encoder
from model_utils.hardware import machine_words
from model_utils.locking import InUseError
from model_utils.pretraining.config import PretrainConfig
from model_utils.pretraining.run import pretrain
from model_utils.project import weights_path
from model_utils.sampling.tile_ground import TileGround

CONTRASTIVE = ("SimCLR", "SimSiam")


@dataclass(frozen=True)
class EmbeddedStarts:
    """What the starts are, and which could not be had.

    Attributes:
        embeddings: (start, seed) -> NPY file of its features.
        seen_ground: start -> what the tiles showed that it was trained on; None where the weights do not say it.
        skipped: start -> why it is not there.
        notes: What differs between the trainings of the starts, a line each.
    """

    embeddings: dict[tuple[str, int], Path]
    seen_ground: dict[str, TileGround | None]
    skipped: dict[str, str]
    notes: list[str]


def embed_starts(config: CompareConfig, clear: TileArchive, training: TileArchive) -> EmbeddedStarts:
    """Trains missing weights, and computes the features of every start.

    Random encoders are drawn once a seed; weights and ImageNet are what they are.

    Args:
        config: Which starts.
        clear: Tiles to embed.
        training: Tiles of stations that are not held out.

    Raises:
        InUseError: Another process trains one that is missing.
    """
    found = EmbeddedStarts({}, {}, {}, [])
    for start in config.starts:
        seeds = range(config.seed, config.seed + config.seeds) if start == "randomly_initialized" else (config.seed,)
        for seed in seeds:
            try:
                _pretrained(config, start)
                encoder = starting_encoder(encoder_source(config, start, seed), training)
            except InUseError:  # a table without a start because of the moment it was made in would mislead
                raise
            except InputError as error:
                found.skipped[start] = str(error)
                print(f"skipped: {start}: {error}", flush=True)
                break
            found.embeddings[start, seed] = embeddings_file(clear, encoder, config.accelerator)
            found.seen_ground[start] = encoder.seen_ground
    found.notes.extend(_training_notes(config, clear, [start for start in config.starts if start in found.seen_ground]))
    return found


def _training_notes(config: CompareConfig, labelled: TileArchive, starts: list[ComparedStart]) -> list[str]:
    """How the contrastive starts were trained, and a warning where that was not alike."""
    trained = {}
    for start in starts:
        method, _, pairs = start.partition("_")
        if method in CONTRASTIVE:
            path = weights_path(config.root, config.city, method, pairs, config.encoder)
            trained[start] = read_encoder(path)[1]
    epochs = {start: metadata.epochs for start, metadata in trained.items()}
    notes = []
    if epochs:
        told = ", ".join(f"{start} {count}" for start, count in epochs.items())
        unlike = " They were not trained for as long as each other." if len(set(epochs.values())) > 1 else ""
        notes.append(f"Epochs of pre-training: {told}.{unlike}")
    notes += _machine_notes({start: metadata.machine for start, metadata in trained.items()})
    notes += [
        f"{start} was pre-trained on another archive than this one."
        for start, metadata in trained.items()
        if metadata.archive_sha256 != labelled.metadata.content_sha256
    ]
    return notes


def _machine_notes(machines: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """On what the starts were trained; in one line where that was the same."""
    groups: dict[str, list[str]] = {}
    for start, machine in machines.items():
        words = (
            f"Pre-trained in {machine_words(machine)}" if machine else "Weights that do not say how they were trained"
        )
        groups.setdefault(words, []).append(start)
    lines = [f"{words}: {', '.join(starts)}." for words, starts in groups.items()]
    return [*lines, "They were not all trained by the same arithmetic."] if len(groups) > 1 else lines


def _pretrained(config: CompareConfig, start: str) -> None:
    """Trains a contrastive start whose weights are missing, on no tile of any station."""
    method, _, pairs = start.partition("_")
    if method not in CONTRASTIVE:
        return
    if weights_path(config.root, config.city, method, pairs, config.encoder).exists():
        return
    print(f"{start}: pre-training", flush=True)
    pretrain(
        from_preset(
            PretrainConfig,
            config.preset,
            city=config.city,
            method=method,
            pairs=pairs,
            encoder=config.encoder,
            exclude_stations=True,
            max_cloud_fraction=config.max_cloud_fraction,
            accelerator=config.accelerator,
            seed=config.seed,
            resume=True,
            root=config.root,
        )
    )
