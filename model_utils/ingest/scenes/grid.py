"""The pixel lattice that all tiles of an archive lie on."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from model_utils.cities import City

_UTM = re.compile(r"EPSG:32([67])(0[1-9]|[1-5][0-9]|60)")


@dataclass(frozen=True)
class TileGrid:
    """Square pixels whose edges lie at whole multiples of the pixel size in a UTM zone.

    A pixel has a column, counted eastwards from the zone's origin, and a row, counted southwards (negative north of
    the origin). A tile covers whole pixels, so the tiles of one place coincide whatever scene they are cut from.

    Attributes:
        crs: The UTM zone on WGS84: EPSG:32601 to EPSG:32660 or EPSG:32701 to EPSG:32760.
        gsd: Pixel size, metres.
        tile_size: Height and width of a tile, pixels.
    """

    crs: str
    gsd: float
    tile_size: int

    def __post_init__(self) -> None:
        if not _UTM.fullmatch(self.crs):
            raise ValueError(f"{self.crs}: expected a UTM zone on WGS84, EPSG:326xx or EPSG:327xx")
        if not (0 < self.gsd < float("inf") and self.tile_size >= 1):
            raise ValueError(f"{self.tile_size} px of {self.gsd} m: expected a tile size and a pixel size above 0")

    @property
    def zone(self) -> str:
        """The zone's short name, such as 43N."""
        return self.crs[-2:] + ("N" if self.crs[-3] == "6" else "S")

    def corners(self, east_m: ArrayLike, north_m: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where the tiles of some places begin.

        Args:
            east_m: Eastings in the zone, metres, n.
            north_m: Northings, n.

        Returns:
            Column and row of each tile's upper left pixel, n each. The tile's middle is within half a pixel of its
            place on each axis.
        """
        half = self.tile_size / 2
        left = np.rint(np.asarray(east_m, np.float64) / self.gsd - half)
        top = np.rint(-np.asarray(north_m, np.float64) / self.gsd - half)
        return left.astype(np.int64), top.astype(np.int64)


def city_grid(city: City, gsd: float, tile_size: int) -> TileGrid:
    """The lattice of a city: that of the UTM zone in which the middle of its bounding box lies."""
    box = city.bounding_box
    zone = min(60, int(((box.west + box.east) / 2 + 180) // 6) + 1)  # 180 degrees east closes zone 60
    hemisphere = 32700 if box.south + box.north < 0 else 32600
    return TileGrid(f"EPSG:{hemisphere + zone}", gsd, tile_size)
