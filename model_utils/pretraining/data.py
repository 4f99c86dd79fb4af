"""From an archive to batches of positive pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from contrastive_models.module import PairBatch
from model_utils.archive.reader import TileArchive
from model_utils.errors import InputError
from model_utils.sampling.batches import PairBatchSampler, TimestampGroups, group_by_timestamp
from model_utils.sampling.pairs import nearest_site_pairs

STATISTICS_TILES = 2000


class PairDataset(Dataset[PairBatch]):
    """Reads whole batches of pairs from an archive.

    Args:
        archive: The tiles.
        positive: Row of every tile's positive, or None where pairs are two views of one tile.
    """

    def __init__(self, archive: TileArchive, positive: NDArray[np.int64] | None) -> None:
        self.archive, self.positive = archive, positive

    def __getitem__(self, batch: NDArray[np.int64]) -> PairBatch:
        ids = torch.from_numpy(batch)
        tiles = torch.from_numpy(self.archive.tiles(batch))
        if self.positive is None:
            return PairBatch(tiles, None, ids, ids)
        partners = self.positive[batch]
        return PairBatch(tiles, torch.from_numpy(self.archive.tiles(partners)), ids, torch.from_numpy(partners))


@dataclass(frozen=True)
class PairedTiles:
    """Tiles, their positives and what a run should say about them.

    Attributes:
        archive: The tiles.
        positive: Row of every tile's positive, or None for regular pairs.
        groups: Tiles of each timestamp for spatiotemporal pairs, else None.
        summary: One line for the user.
    """

    archive: TileArchive
    positive: NDArray[np.int64] | None
    groups: TimestampGroups | None
    summary: str

    def mean_batch(self, batch_size: int) -> float:
        """Tiles in a batch on average: a timestamp may have far fewer than `batch_size`."""
        if self.groups is None:
            return min(batch_size, len(self.archive))
        sizes = [len(group) for group in self.groups.groups]
        return sum(sizes) / sum(-(-size // batch_size) for size in sizes)

    def loader(
        self, batch_size: int, seed: int, workers: int = 0, rank: int = 0, world_size: int = 1
    ) -> DataLoader[PairBatch]:
        """A loader of this process's part of every batch."""
        sampler = PairBatchSampler(
            count=len(self.archive),
            groups=self.groups.groups if self.groups else None,
            batch_size=batch_size,
            seed=seed,
            rank=rank,
            world_size=world_size,
        )
        return DataLoader(
            PairDataset(self.archive, self.positive),
            sampler=sampler,
            batch_size=None,  # the sampler gives whole batches
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=torch.cuda.is_available(),
        )


def regular_pairs(archive: TileArchive) -> PairedTiles:
    """Pairs every tile with itself.

    Raises:
        InputError: Fewer than two tiles, so nothing to contrast.
    """
    if len(archive) < 2:
        raise InputError(f"{archive.folder}: found {len(archive)} tiles to train on, expected at least 2")
    return PairedTiles(archive, None, None, f"{len(archive)} tiles, two views of each")


def spatiotemporal_pairs(archive: TileArchive, max_km: float, min_tiles: int) -> PairedTiles:
    """Pairs every tile with the nearest other site at the same time, resolved once.

    Raises:
        InputError: No timestamp has enough tiles with a neighbour.
    """
    pairs = nearest_site_pairs(archive.samples, max_km)
    paired = pairs.positive >= 0
    groups = group_by_timestamp(archive.samples["time_utc"], paired, min_tiles)
    if not groups.groups:
        raise InputError(
            f"{archive.folder}: found no timestamp with {min_tiles} tiles that have another site within "
            f"{max_km:g} km (--max-km, --min-tiles)"
        )
    used = sum(map(len, groups.groups))
    summary = (
        f"{used} of {len(archive)} tiles on {len(groups.groups)} timestamps; {int(paired.sum())} have a "
        f"neighbour within {max_km:g} km, median distance {np.nanmedian(pairs.distance_km):.2f} km; left out: "
        f"{int((~paired).sum())} tiles without one, {groups.left_out_tiles} tiles of "
        f"{groups.left_out_timestamps} timestamps with fewer than {min_tiles}"
    )
    return PairedTiles(archive, pairs.positive, groups, summary)


def band_statistics(archive: TileArchive, seed: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each band in 0..1, over a random sample of tiles.

    Returns:
        Means and standard deviations; a band that does not vary gets one grey level.
    """
    count = min(STATISTICS_TILES, len(archive))
    chosen = np.sort(np.random.default_rng(seed).choice(len(archive), count, replace=False))
    sums = np.zeros((2, len(archive.metadata.bands)))
    for start in range(0, count, 256):
        tiles = archive.tiles(chosen[start : start + 256]).astype(np.float64) / 255
        sums += tiles.sum(axis=(0, 1, 2)), (tiles**2).sum(axis=(0, 1, 2))
    mean, square = sums / (count * archive.metadata.tile_size**2)
    std = np.sqrt(np.maximum(square - mean**2, (1 / 255) ** 2))
    return tuple(mean.tolist()), tuple(std.tolist())
