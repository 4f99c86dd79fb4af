"""The ground of a whole region, warped once and kept on disk: scenes read it strip by strip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT

from model_utils.errors import InputError
from model_utils.ingest.scenes.header import SEALED
from model_utils.simulation.optics import Reflectance
from model_utils.simulation.real_surface import band_indexes, reflectance_table
from model_utils.simulation.region import Bounds, Region
from model_utils.simulation.rendering import MARGIN

_ROWS = 256  # warped at a time


@dataclass(frozen=True)
class RegionGround:
    """What lies under the haze.

    Attributes:
        codes: uint8, (height + 2 MARGIN) x (width + 2 MARGIN) x bands, memory-mapped; 0 where there is no ground.
        table: Reflectance of the codes, 256 x bands.
    """

    codes: NDArray[np.uint8]
    table: Reflectance

    def covers(self, rows: NDArray[np.int64], columns: NDArray[np.int64], size: int) -> NDArray[np.bool_]:
        """Which size x size windows of the region have ground at every pixel, with the margin around them."""
        height, width = self.codes.shape[0] - 2 * MARGIN, self.codes.shape[1] - 2 * MARGIN
        within: NDArray[np.bool_] = (rows >= 0) & (rows + size <= height) & (columns >= 0) & (columns + size <= width)
        side = size + 2 * MARGIN
        for place in np.flatnonzero(within):
            row, column = rows[place], columns[place]
            within[place] = self.codes[row : row + side, column : column + side, 0].all()
        return within


def surface_bounds(path: Path, bands: Sequence[str]) -> tuple[object, Bounds]:
    """Coordinate reference system and bounds of a surface that has these bands.

    Raises:
        InputError: The scene cannot be read, has no georeference, is not uint8 or lacks a band.
    """
    try:
        with rasterio.Env(**SEALED), rasterio.open(path) as scene:
            band_indexes(path, scene, bands)
            return scene.crs, tuple(scene.bounds)
    except RasterioError as error:
        raise InputError(f"{path}: not readable as a raster ({' '.join(str(error).split())})") from None


def warp_ground(path: Path, region: Region, bands: Sequence[str], file: Path) -> RegionGround:
    """Warps a surface to a region, in strips; the numbers mean what they mean in `read_surface`.

    Args:
        path: The surface.
        region: Where.
        bands: Of red, green, blue.
        file: NPY file to make; it is 1 byte a pixel and band.

    Raises:
        InputError: The scene cannot be read.
    """
    height, width = region.height + 2 * MARGIN, region.width + 2 * MARGIN
    codes = np.lib.format.open_memmap(file, "w+", np.uint8, (height, width, len(bands)))
    try:
        with rasterio.Env(**SEALED), rasterio.open(path) as scene:
            indexes = band_indexes(path, scene, bands)
            with WarpedVRT(
                scene,
                crs=region.grid.crs,
                transform=region.transform(MARGIN),
                width=width,
                height=height,
                resampling=Resampling.bilinear,
                add_alpha=ColorInterp.alpha not in scene.colorinterp,
            ) as warped:
                for first in range(0, height, _ROWS):
                    window = ((first, min(first + _ROWS, height)), (0, width))
                    *strip, alpha = warped.read(
                        [*indexes, warped.colorinterp.index(ColorInterp.alpha) + 1], window=window
                    )
                    # a black pixel is ground: 1 and 0 both lie below the darkest reflectance of the table
                    codes[first : first + _ROWS] = np.where(alpha == 255, np.maximum(strip, 1), 0).transpose(1, 2, 0)
            return RegionGround(codes, reflectance_table(scene, indexes, bands))
    except RasterioError as error:
        raise InputError(f"{path}: not readable as a raster ({' '.join(str(error).split())})") from None
