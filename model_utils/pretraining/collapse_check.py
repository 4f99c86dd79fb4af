"""Does the representation still tell tiles apart?"""

from __future__ import annotations

import numpy as np
import torch

from contrastive_models.collapse import effective_rank, feature_std
from contrastive_models.embedding import embed
from contrastive_models.module import ContrastiveModule
from model_utils.archive.reader import TileArchive

MOST_TILES = 512


class CollapseCheck:
    """Measures spread and rank of the features of a fixed random sample of the training tiles.

    These are the encoder's features, which regression uses, not the projections that the loss sees and that Chen and
    He 2021 measure: with neighbour pairs that share little, projections can be far less spread than features. The
    sample spans all times, so that the numbers do not depend on how batches are made.

    Args:
        archive: The tiles of the run.
        seed: Keys the sample.
    """

    def __init__(self, archive: TileArchive, seed: int) -> None:
        count = min(MOST_TILES, len(archive))
        chosen = np.sort(np.random.default_rng(seed).choice(len(archive), count, replace=False))
        self._sample = archive.subset(chosen)

    def __call__(self, module: ContrastiveModule) -> dict[str, float]:
        """`feature_std` and `effective_rank` of the encoder's features."""
        settings = module.settings
        features = torch.from_numpy(
            embed(module.encoder, self._sample.tiles, len(self._sample), settings.mean, settings.std)
        )
        return {"feature_std": float(feature_std(features)), "effective_rank": float(effective_rank(features))}
