"""Embeddings of a frozen encoder: computed once, kept beside the archive."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from contrastive_models.embedding import embed
from model_utils import atomic
from model_utils.archive.reader import TileArchive
from model_utils.features.starting_encoder import StartingEncoder
from model_utils.hardware import has_cuda
from model_utils.progress import reported


def cached_embeddings(archive: TileArchive, start: StartingEncoder, accelerator: str) -> NDArray[np.float32]:
    """Features of all tiles of a selection, n x d, as `embeddings_file` keeps them."""
    features: NDArray[np.float32] = np.load(embeddings_file(archive, start, accelerator), allow_pickle=False)
    return features


def embeddings_file(archive: TileArchive, start: StartingEncoder, accelerator: str) -> Path:
    """The NPY file with the features of all tiles of a selection, computed unless the same were before.

    The cache lies in `embeddings/` beside the archive, keyed by the archive's and the weights' hashes, the model (two
    models can have the same tensors and differ in padding), the normalisation and the rows, so that a changed input
    can never meet an old feature.

    Args:
        archive: The selection.
        start: The encoder and how to feed it.
        accelerator: Lightning's name of the device.

    Returns:
        The file: n x d, float32.
    """
    rows = hashlib.sha256(archive.rows.tobytes()).hexdigest()
    parts = (
        archive.metadata.content_sha256,
        start.name,
        version("timm"),
        start.sha256,
        repr((start.mean, start.std)),
        rows,
    )
    key = hashlib.sha256("|".join(parts).encode()).hexdigest()[:24]
    path = archive.folder / "embeddings" / f"{key}.npy"
    if path.is_file():
        return path
    device = torch.device("cuda" if has_cuda(accelerator) else "cpu")
    start.encoder.to(device)
    with reported(len(archive), "tiles embedded") as progress:
        features = embed(start.encoder, archive.tiles, len(archive), start.mean, start.std, progress=progress)
    start.encoder.to("cpu")
    with atomic.replacing(path) as temporary:
        np.save(temporary, features)
    return path
