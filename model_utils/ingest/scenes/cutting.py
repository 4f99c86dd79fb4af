"""Cuts the tiles of some places out of a scene."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from model_utils.ingest.scenes.grid import TileGrid
from model_utils.ingest.scenes.pixels import ScenePixels
from model_utils.ingest.scenes.scene import Scene

Number = TypeVar("Number", bound=np.generic)

_BLOCK_ROWS, _BLOCK_COLUMNS = 512, 1024  # lattice pixels; what a row of blocks needs fits into GDAL's cache
_READ_PIXELS = 2000  # what a read costs besides its pixels, in pixels: 0.2 ms against 0.1 us
_CUT_BYTES = 2**24


@dataclass(frozen=True)
class LeftOut:
    """How many places got no tile, each counted for the first reason that holds.

    Attributes:
        outside: The tile does not meet the rectangle around the scene.
        invalid: Too few of its pixels hold data.
        cloudy: Too many of those are cloud.
    """

    outside: int = 0
    invalid: int = 0
    cloudy: int = 0

    def __add__(self, other: LeftOut) -> LeftOut:
        return LeftOut(self.outside + other.outside, self.invalid + other.invalid, self.cloudy + other.cloudy)


@dataclass(frozen=True, eq=False)
class Cut:
    """Some of a scene's tiles, perhaps none.

    Attributes:
        positions: Their places, as positions in the table of sites, n.
        tiles: uint8, n x size x size x bands, C-contiguous; 0 where a pixel holds no data.
        valid_fraction: Share of a tile's pixels that hold data, float32, n.
        cloud_fraction: Share of those that the scene's mask calls cloud, float32, n; NaN without a mask.
        left_out: The places that were looked at since the cut before and got no tile.
    """

    positions: NDArray[np.int64]
    tiles: NDArray[np.uint8]
    valid_fraction: NDArray[np.float32]
    cloud_fraction: NDArray[np.float32]
    left_out: LeftOut


def cut_scene(
    scene: Scene, sites: pd.DataFrame, grid: TileGrid, min_valid_fraction: float, max_cloud_fraction: float
) -> Iterator[Cut]:
    """Cuts the tiles of all places that a scene shows, block by block from north to south.

    What a pixel's number is and when it holds data: see `ScenePixels`.

    Args:
        scene: The scene.
        sites: Places with the columns `east_m` and `north_m`.
        grid: The lattice.
        min_valid_fraction: Tiles with a smaller share of data are left out; those without any always are.
        max_cloud_fraction: Tiles with a larger share of cloud are left out; an unknown share is never too large.

    Yields:
        Cuts of at most some 16 MiB. Every place is in exactly one of them, or counted in exactly one `left_out`.

    Raises:
        InputError: A file of the scene is broken, or not what it should be.
    """
    left, top = grid.corners(sites["east_m"], sites["north_m"])
    with ExitStack() as stack:
        scene_pixels = ScenePixels(stack, scene, grid)
        inside = np.flatnonzero(scene_pixels.meets(left, top))
        yield Cut(*_nothing(grid, len(scene.bands)), LeftOut(outside=len(sites) - len(inside)))
        for positions in _reads(inside, left, top, grid.tile_size):
            corner = int(left[positions].min()), int(top[positions].min())
            columns, rows = left[positions] - corner[0], top[positions] - corner[1]
            shape = int(rows.max()) + grid.tile_size, int(columns.max()) + grid.tile_size
            image, valid, cloudy = scene_pixels.read(corner, shape)
            step = max(1, _CUT_BYTES // (grid.tile_size**2 * len(scene.bands)))
            for start in range(0, len(positions), step):
                some = slice(start, start + step)
                at = rows[some], columns[some], grid.tile_size
                chosen = _windows(image, *at), _windows(valid, *at), _windows(cloudy, *at)
                yield _chosen(positions[some], *chosen, min_valid_fraction, max_cloud_fraction)


def _nothing(
    grid: TileGrid, bands: int
) -> tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
    tiles = np.empty((0, grid.tile_size, grid.tile_size, bands), np.uint8)
    return np.empty(0, np.int64), tiles, np.empty(0, np.float32), np.empty(0, np.float32)


def _reads(
    inside: NDArray[np.int64], left: NDArray[np.int64], top: NDArray[np.int64], tile_size: int
) -> Iterator[NDArray[np.int64]]:
    """The places whose tiles are read at once.

    Those of a block if the rectangle around their tiles costs less than their tiles one by one, else each alone.
    """
    row, column = top[inside] // _BLOCK_ROWS, left[inside] // _BLOCK_COLUMNS
    order = np.lexsort((left[inside], top[inside], column, row))
    inside, row, column = inside[order], row[order], column[order]
    borders = np.flatnonzero((np.diff(row) != 0) | (np.diff(column) != 0)) + 1
    for block in np.split(inside, borders) if len(inside) else []:
        rectangle = (np.ptp(left[block]) + tile_size) * (np.ptp(top[block]) + tile_size)
        together = rectangle + _READ_PIXELS <= len(block) * (tile_size**2 + _READ_PIXELS)
        yield from [block] if together else np.split(block, len(block))


def _windows(
    pixels: NDArray[Number], rows: NDArray[np.int64], columns: NDArray[np.int64], size: int
) -> NDArray[Number]:
    """Copies of the windows, H x W or H x W x bands, that begin at some pixels: n x [bands] x size x size."""
    windows: NDArray[Number] = sliding_window_view(pixels, (size, size), axis=(0, 1))[rows, columns]
    return windows


def _chosen(
    positions: NDArray[np.int64],
    images: NDArray[np.uint8],
    valid: NDArray[np.bool_],
    cloudy: NDArray[np.float32],
    min_valid_fraction: float,
    max_cloud_fraction: float,
) -> Cut:
    """The tiles that are good enough.

    Args:
        positions: n.
        images: n x bands x size x size.
        valid: Which pixels hold data, n x size x size.
        cloudy: 1 for cloud, 0 for none, NaN where unknown, n x size x size; 0 where there is no data.
        min_valid_fraction: See `cut_scene`.
        max_cloud_fraction: See `cut_scene`.
    """
    count = valid.sum(axis=(1, 2))
    valid_fraction = (count / valid[0].size).astype(np.float32)
    cloud_fraction = (cloudy.sum(axis=(1, 2)) / np.maximum(count, 1)).astype(np.float32)
    enough = (count > 0) & (valid_fraction >= np.float32(min_valid_fraction))
    taken = enough & ~(cloud_fraction > np.float32(max_cloud_fraction))
    return Cut(
        positions[taken],
        np.ascontiguousarray(np.moveaxis(images[taken], 1, -1)),
        valid_fraction[taken],
        cloud_fraction[taken],
        LeftOut(invalid=int((~enough).sum()), cloudy=int((enough & ~taken).sum())),
    )
