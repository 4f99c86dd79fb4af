"""Colour and texture of each tile in a few numbers: what a reference without a learnt encoder knows of an image."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from model_utils.archive.reader import TileArchive

BAND_COLUMN_PREFIX = "band_"
_PERCENTILES = (10, 50, 90)
_VALUES_AT_A_TIME = 2**22


def band_feature_names(bands: tuple[str, ...]) -> list[str]:
    """Names of the columns of `band_statistics_features`, all starting with `BAND_COLUMN_PREFIX`."""
    of_a_band = ("mean", "std", *(f"p{level}" for level in _PERCENTILES), "gradient")
    names = [f"{band}_{statistic}" for statistic in of_a_band for band in bands]
    names += [f"{first}_{second}_normalised_difference" for first, second in combinations(bands, 2)]
    return [BAND_COLUMN_PREFIX + name for name in names]


def band_statistics_features(archive: TileArchive) -> NDArray[np.float32]:
    """Simple statistics of every tile by itself, a few megabytes of tiles at a time.

    Of every band, in grey levels: mean, standard deviation, 10th, 50th and 90th percentile, and the mean absolute
    difference of pixels that touch, along rows plus along columns. Of every two bands: the normalised difference
    of their means, (a - b) / (a + b), which is a function of their ratio a / b but exists for a black band too.

    Returns:
        n x d; columns as `band_feature_names` says.
    """
    size, bands = archive.metadata.tile_size, len(archive.metadata.bands)
    count = max(1, _VALUES_AT_A_TIME // (size**2 * bands))
    features = np.empty((len(archive), len(band_feature_names(archive.metadata.bands))), np.float32)
    for start in range(0, len(archive), count):
        features[start : start + count] = _statistics(archive.tiles(slice(start, start + count)))
    return features


def _statistics(tiles: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Statistics of n x H x W x C tiles, n x d."""
    planes = np.ascontiguousarray(tiles.transpose(0, 3, 1, 2)).astype(np.float32)  # pixels of a band lie together
    pixels = planes.reshape(*planes.shape[:2], -1)
    mean = pixels.mean(axis=2, dtype=np.float64)
    std = pixels.std(axis=2, dtype=np.float64)
    percentiles = np.percentile(pixels, _PERCENTILES, axis=2)
    gradient = np.zeros_like(mean)
    for axis in (2, 3):
        steps = np.abs(np.diff(planes, axis=axis))
        gradient += steps.sum(axis=(2, 3), dtype=np.float64) / max(1, steps[0, 0].size)  # a 1 pixel tile has no step
    first, second = np.triu_indices(mean.shape[1], 1)
    both = mean[:, first] + mean[:, second]
    difference = (mean[:, first] - mean[:, second]) / np.where(both > 0, both, 1)
    return np.hstack([mean, std, *percentiles, gradient, difference])
