"""The pixels of a scene on the lattice: bytes, and what is known against them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling

from model_utils.ingest.scenes.grid import TileGrid
from model_utils.ingest.scenes.layers import Layer, open_layer
from model_utils.ingest.scenes.masks import mask_flags
from model_utils.ingest.scenes.scaling import to_bytes
from model_utils.ingest.scenes.scene import Band, Scene

Number = TypeVar("Number", np.uint8, np.float64)


class ScenePixels:
    """An opened scene.

    Images are resampled (bilinearly by default) and scaled to bytes, masks are resampled to the nearest pixel (see
    `Layer.read`).
    A pixel holds no data

    - outside of the scene's files,
    - where a file's nodata number (in all its wanted bands), alpha band or mask says so,
    - where a wanted band is NaN or infinite, or all wanted bands are 0 (black borders),
    - where the quality mask says so, or does not reach.
    """

    def __init__(self, stack: ExitStack, scene: Scene, grid: TileGrid) -> None:
        """Opens each file once.

        Args:
            stack: Closes them.
            scene: The scene.
            grid: The lattice.

        Raises:
            InputError: A file is broken, or not what it should be.
        """
        self._scene, self._grid = scene, grid
        self._layers: list[tuple[Layer, list[int]]] = []
        for file in dict.fromkeys(band.file for band in scene.bands):
            places = [place for place, band in enumerate(scene.bands) if band.file == file]
            layer = stack.enter_context(open_layer(file, [scene.bands[place].index for place in places], grid))
            self._layers.append((layer, places))
        self._mask = None
        if scene.mask is not None:
            own = scene.mask.file not in {band.file for band in scene.bands}
            count = scene.mask.layout.count if own else None
            self._mask = stack.enter_context(
                open_layer(scene.mask.file, scene.mask.bands, grid, mask=True, count=count)
            )

    def meets(self, left: NDArray[np.int64], top: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which tiles meet the rectangle around each of the image files.

        Args:
            left: Columns of the tiles' upper left pixels, n.
            top: Their rows, n.
        """
        gsd, size = self._grid.gsd, self._grid.tile_size
        met = np.ones(len(left), bool)
        for layer, _ in self._layers:
            west, south, east, north = layer.bounds
            met &= (left * gsd < east) & ((left + size) * gsd > west)
            met &= (-top * gsd > south) & (-(top + size) * gsd < north)
        return met

    def read(
        self, corner: tuple[int, int], shape: tuple[int, int], resampling: Resampling = Resampling.bilinear
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.float32]]:
        """Reads a window of the lattice.

        Args:
            corner: Column and row of its upper left pixel.
            shape: Its height H and width W.
            resampling: Of the images; nearest costs little on a lattice that is much coarser than the scene.

        Returns:
            The bytes, H x W x bands, 0 where there is no data; which pixels hold data, H x W; and where that is cloud,
            H x W: 1, 0, or NaN throughout where the scene has no mask.

        Raises:
            InputError: A file is broken.
        """
        scale = self._scene.full_scale
        return self._read(corner, shape, resampling, np.uint8, lambda numbers, band: to_bytes(numbers, band, scale))

    def values(
        self, corner: tuple[int, int], shape: tuple[int, int], resampling: Resampling = Resampling.bilinear
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float32]]:
        """The physical values, H x W x bands, in place of the bytes of `read`, with which it has all else in common."""
        return self._read(
            corner, shape, resampling, np.float64, lambda numbers, band: band.gain * numbers.astype(float) + band.offset
        )

    def _read(
        self,
        corner: tuple[int, int],
        shape: tuple[int, int],
        resampling: Resampling,
        dtype: type[Number],
        converted: Callable[[NDArray[np.number], Band], NDArray[Number]],
    ) -> tuple[NDArray[Number], NDArray[np.bool_], NDArray[np.float32]]:
        scene = self._scene
        image = np.empty((*shape, len(scene.bands)), dtype)
        valid, black = np.ones(shape, bool), np.ones(shape, bool)
        shown = []  # by files whose 0 is only taken for nodata: one band may well be 0 where another is not
        for layer, places in self._layers:
            numbers, covered = layer.read(self._grid, corner, shape, resampling)
            if layer.declared:
                valid &= covered
            else:
                shown.append(covered)
            if layer.declared and layer.nodata is not None:
                valid &= ~(numbers == layer.nodata).all(axis=0)  # GDAL asks the alpha band, too, to be nodata
            for number, place in zip(numbers, places, strict=True):
                valid &= np.isfinite(number)
                black &= number == 0
                image[:, :, place] = converted(number, scene.bands[place])
        valid &= ~black
        if shown:
            valid &= np.logical_or.reduce(shown)
        cloudy = np.full(shape, np.nan, np.float32)
        if self._mask is not None and scene.mask is not None:
            codes, covered = self._mask.read(self._grid, corner, shape, Resampling.nearest)
            empty, cloud = mask_flags(scene.mask.layout, codes)
            valid &= covered & ~empty
            cloudy[:] = cloud & valid
        image[~valid] = 0
        return image, valid, cloudy
