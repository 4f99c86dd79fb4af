"""Which tiles meet in a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch.utils.data import Sampler

Batches = list[NDArray[np.int64]]


def regular_batches(count: int, batch_size: int, key: Sequence[int]) -> Batches:
    """Shuffles tiles into batches of one size and drops the rest.

    Args:
        count: Number of tiles.
        batch_size: Tiles a batch; if there are fewer tiles than that, one batch has them all.
        key: Keys the shuffle, e.g. (seed, epoch).

    Returns:
        Batches of positions 0..count-1.
    """
    order = np.random.default_rng(key).permutation(count)
    size = min(batch_size, count)
    return [order[start : start + size] for start in range(0, count - size + 1, size)] if size else []


@dataclass(frozen=True)
class TimestampGroups:
    """Tiles by timestamp.

    Attributes:
        groups: Positions of the tiles of each timestamp that is used.
        left_out_timestamps: Timestamps with too few tiles.
        left_out_tiles: Their tiles.
    """

    groups: tuple[NDArray[np.int64], ...]
    left_out_timestamps: int
    left_out_tiles: int


def group_by_timestamp(time_utc: pd.Series, usable: NDArray[np.bool_], min_tiles: int) -> TimestampGroups:
    """Groups the usable tiles by timestamp, leaving out timestamps with fewer than `min_tiles` of them."""
    positions = np.flatnonzero(usable)
    found = time_utc.iloc[positions].groupby(time_utc.iloc[positions].to_numpy()).indices.values()
    groups = [positions[members] for members in found]
    used = tuple(group for group in groups if len(group) >= min_tiles)
    small = [len(group) for group in groups if len(group) < min_tiles]
    return TimestampGroups(used, len(small), sum(small))


def timestamp_batches(groups: Sequence[NDArray[np.int64]], batch_size: int, key: Sequence[int]) -> Batches:
    """Cuts every timestamp's tiles into even random chunks of at most `batch_size`, in random order.

    Nothing is dropped: a chunk of a timestamp with n tiles has floor or ceil of n / ceil(n / batch_size).
    """
    generator = np.random.default_rng(key)
    chunks = [
        chunk
        for group in groups
        for chunk in np.array_split(generator.permutation(group), -(-len(group) // batch_size))
    ]
    return [chunks[position] for position in generator.permutation(len(chunks))]


class PairBatchSampler(Sampler[NDArray[np.int64]]):
    """Gives a loader one batch of tile positions at a time, a new arrangement every epoch.

    The arrangement is keyed by (seed, epoch) alone, so every process derives the same one and takes its own
    part of each batch. Parts are equally long, as gathering needs: up to `world_size - 1` tiles of a
    batch are left to another epoch's shuffle.

    Args:
        count: Number of tiles, for regular batches.
        groups: Tiles of each timestamp for spatiotemporal batches, else None.
        batch_size: Tiles a batch over all processes.
        seed: Keys the arrangement.
        rank: This process.
        world_size: Number of processes.
    """

    def __init__(
        self,
        count: int,
        groups: Sequence[NDArray[np.int64]] | None,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.count, self.groups, self.batch_size, self.seed = count, groups, batch_size, seed
        self.rank, self.world_size = rank, world_size
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before every epoch."""
        self.epoch = epoch

    def batches(self) -> Batches:
        """This epoch's batches over all processes."""
        key = (self.seed, self.epoch)
        if self.groups is None:
            return regular_batches(self.count, self.batch_size, key)
        return timestamp_batches(self.groups, self.batch_size, key)

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        for batch in self.batches():
            share = len(batch) // self.world_size
            yield batch[self.rank * share : (self.rank + 1) * share]

    def __len__(self) -> int:
        return len(self.batches())
