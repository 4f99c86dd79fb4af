"""The rectangle of pixels that the scenes of a city show, and fields that vary smoothly over it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.warp import transform, transform_bounds
from scipy.interpolate import make_interp_spline

from model_utils.cities import City
from model_utils.ingest.scenes.grid import TileGrid
from model_utils.simulation.places import with_kilometres
from model_utils.simulation.random_fields import Floats

NODE_METRES = 2000.0  # the haze is smoothed over about 4 km
_NODES_AROUND = 3  # beyond the region, so that the spline's ends lie outside

Bounds = tuple[float, float, float, float]


@dataclass(frozen=True)
class Region:
    """A rectangle of the lattice that all tiles of a city lie on.

    Attributes:
        grid: The lattice.
        left: Column of its first pixel.
        top: Row of its first pixel, counted southwards from the zone's origin.
        width: Pixels.
        height: Pixels.
    """

    grid: TileGrid
    left: int
    top: int
    width: int
    height: int

    @classmethod
    def of(cls, city: City, grid: TileGrid, surface: tuple[object, Bounds]) -> Region | None:
        """The city's bounding box with a tile's width around it, clipped to a surface.

        Args:
            city: The city.
            grid: Its lattice.
            surface: Coordinate reference system and bounds (west, south, east, north) of the surface.

        Returns:
            The region, or None where surface and box have nothing in common.
        """
        box, margin = city.bounding_box, grid.tile_size * grid.gsd
        west, south, east, north = transform_bounds("EPSG:4326", grid.crs, box.west, box.south, box.east, box.north)
        inner = transform_bounds(surface[0], grid.crs, *surface[1])
        left, bottom = (np.floor(max(a - margin, b) / grid.gsd) for a, b in ((west, inner[0]), (south, inner[1])))
        right, top = (np.ceil(min(a + margin, b) / grid.gsd) for a, b in ((east, inner[2]), (north, inner[3])))
        width, height = int(right - left), int(top - bottom)
        return cls(grid, int(left), -int(top), width, height) if min(width, height) > 0 else None

    def transform(self, margin: int = 0) -> rasterio.Affine:
        """The georeference, of the region or of it with a margin of pixels on each side."""
        gsd = self.grid.gsd
        return rasterio.Affine(gsd, 0, (self.left - margin) * gsd, 0, -gsd, -(self.top - margin) * gsd)

    def east(self, columns: NDArray[np.number]) -> Floats:
        """Eastings (m) of points in units of pixels from the region's corner."""
        return np.asarray((self.left + columns) * self.grid.gsd)

    def north(self, rows: NDArray[np.number]) -> Floats:
        """Northings (m) of points in units of pixels from the region's corner."""
        return np.asarray(-(self.top + rows) * self.grid.gsd)


class HazeGrid:
    """Nodes 2 km apart over a region, and the cubic spline between them (twice differentiable: no seams).

    Attributes:
        nodes: One row a node, with coordinates as places have them; row by row from the south-west.
    """

    def __init__(self, region: Region, city: City) -> None:
        self._region = region
        self._x = _node_positions(*region.east(np.array([0.0, region.width])))
        self._y = _node_positions(*region.north(np.array([region.height, 0.0])))
        x, y = (axis.ravel() for axis in np.meshgrid(self._x, self._y))
        longitudes, latitudes = transform(region.grid.crs, "EPSG:4326", x, y)
        rows = [
            ("", "", "node", latitude, longitude) for latitude, longitude in zip(latitudes, longitudes, strict=True)
        ]
        self.nodes = with_kilometres(city, rows)
        self._weights_y = make_interp_spline(self._y, np.eye(len(self._y)))
        self._weights_x = make_interp_spline(self._x, np.eye(len(self._x)))

    def over_pixels(self, values: Floats, first_row: int, last_row: int) -> NDArray[np.float32]:
        """A field in the middles of the pixels of some rows (rows x width), from its values at the nodes."""
        x = self._region.east(np.arange(self._region.width) + 0.5)
        y = self._region.north(np.arange(first_row, last_row) + 0.5)
        grid = values.reshape(len(self._y), len(self._x))
        left = (self._weights_y(y) @ grid).astype(np.float32)
        return np.asarray(left @ self._weights_x(x).T.astype(np.float32))

    def at_pixels(self, values: Floats, rows: NDArray[np.number], columns: NDArray[np.number]) -> Floats:
        """A field at points in units of pixels from the region's corner.

        Args:
            values: ... x nodes.
            rows: n points.
            columns: n points.

        Returns:
            ... x n.
        """
        y = self._weights_y(self._region.north(rows))
        x = self._weights_x(self._region.east(columns))
        grid = values.reshape(*values.shape[:-1], len(self._y), len(self._x))
        return np.asarray(np.einsum("pi,...ij,pj->...p", y, grid, x, optimize=True))


def _node_positions(low: float, high: float) -> Floats:
    """Multiples of the spacing from before `low` to behind `high`."""
    first, last = np.floor(low / NODE_METRES) - _NODES_AROUND, np.ceil(high / NODE_METRES) + _NODES_AROUND
    return np.arange(first, last + 1) * NODE_METRES
