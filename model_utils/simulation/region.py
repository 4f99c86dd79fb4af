"""The rectangle of pixels that the scenes of a city show, and fields that vary smoothly over it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import rasterio
from numpy.typing import NDArray
from rasterio.warp import transform, transform_bounds
from scipy.interpolate import make_interp_spline

from model_utils.cities import BoundingBox, City
from model_utils.simulation.places import with_kilometres
from model_utils.simulation.random_fields import Floats

NODE_METRES = 2000.0  # the haze is smoothed over about 4 km
_NODES_AROUND = 3  # beyond the region, so that the spline's ends lie outside

Bounds = tuple[float, float, float, float]


def utm_zone(box: BoundingBox) -> str:
    """The WGS84 UTM zone of the middle of a box."""
    latitude, longitude = (box.south + box.north) / 2, (box.west + box.east) / 2
    return f"EPSG:{(32600 if latitude >= 0 else 32700) + int((longitude + 180) // 6) % 60 + 1}"


@dataclass(frozen=True)
class Region:
    """Pixels whose edges lie at integer multiples of the ground sample distance in a UTM zone.

    Attributes:
        crs: The zone.
        gsd: Metres per pixel.
        left: The west edge is left * gsd.
        top: The north edge is top * gsd.
        width: Pixels.
        height: Pixels.
    """

    crs: str
    gsd: float
    left: int
    top: int
    width: int
    height: int

    @classmethod
    def of(cls, city: City, gsd: float, margin: int, surface: tuple[object, Bounds] | None = None) -> Region | None:
        """The city's bounding box with a margin of pixels around it, clipped to a surface.

        Args:
            city: The city.
            gsd: Metres per pixel.
            margin: Pixels.
            surface: Coordinate reference system and bounds (west, south, east, north) of the surface.

        Returns:
            The region, or None where surface and box have nothing in common.
        """
        box, crs = city.bounding_box, utm_zone(city.bounding_box)
        west, south, east, north = transform_bounds("EPSG:4326", crs, box.west, box.south, box.east, box.north)
        west, south, east, north = west - margin * gsd, south - margin * gsd, east + margin * gsd, north + margin * gsd
        if surface:
            inner = transform_bounds(surface[0], crs, *surface[1])
            west, south, east, north = (
                max(west, inner[0]),
                max(south, inner[1]),
                min(east, inner[2]),
                min(north, inner[3]),
            )
        left, top = int(np.floor(west / gsd)), int(np.ceil(north / gsd))
        width, height = int(np.ceil(east / gsd)) - left, top - int(np.floor(south / gsd))
        return cls(crs, gsd, left, top, width, height) if min(width, height) > 0 else None

    def transform(self, margin: int = 0) -> rasterio.Affine:
        """The georeference, of the region or of it with a margin of pixels on each side."""
        x, y = (self.left - margin) * self.gsd, (self.top + margin) * self.gsd
        return rasterio.Affine(self.gsd, 0, x, 0, -self.gsd, y)

    def windows(self, places: pd.DataFrame, size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First row and column of the size x size pixels whose middle is nearest to each place."""
        x, y = transform("EPSG:4326", self.crs, places["longitude"].to_numpy(), places["latitude"].to_numpy())
        columns = np.round(np.array(x) / self.gsd - size / 2).astype(int) - self.left
        rows = self.top - np.round(np.array(y) / self.gsd + size / 2).astype(int)
        return rows, columns


class HazeGrid:
    """Nodes 2 km apart over a region, and the cubic spline between them (twice differentiable: no seams).

    Attributes:
        nodes: One row a node, with coordinates as places have them; row by row from the south-west.
    """

    def __init__(self, region: Region, city: City) -> None:
        self._region = region
        west, north = region.left * region.gsd, region.top * region.gsd
        self._x = _node_positions(west, west + region.width * region.gsd)
        self._y = _node_positions(north - region.height * region.gsd, north)
        x, y = (axis.ravel() for axis in np.meshgrid(self._x, self._y))
        longitudes, latitudes = transform(region.crs, "EPSG:4326", x, y)
        rows = [
            ("", "", "node", latitude, longitude) for latitude, longitude in zip(latitudes, longitudes, strict=True)
        ]
        self.nodes = with_kilometres(city, rows)
        self._weights_y = make_interp_spline(self._y, np.eye(len(self._y)))
        self._weights_x = make_interp_spline(self._x, np.eye(len(self._x)))

    def over_pixels(self, values: Floats, first_row: int, last_row: int) -> NDArray[np.float32]:
        """A field in the middles of the pixels of some rows (rows x width), from its values at the nodes."""
        r = self._region
        x = (r.left + np.arange(r.width) + 0.5) * r.gsd
        y = (r.top - np.arange(first_row, last_row) - 0.5) * r.gsd
        grid = values.reshape(len(self._y), len(self._x))
        left = (self._weights_y(y) @ grid).astype(np.float32)
        return np.asarray(left @ self._weights_x(x).T.astype(np.float32))

    def at_pixels(self, values: Floats, rows: Floats, columns: Floats) -> Floats:
        """A field at points in units of pixels from the region's corner.

        Args:
            values: ... x nodes.
            rows: n points.
            columns: n points.

        Returns:
            ... x n.
        """
        y = self._weights_y((self._region.top - rows) * self._region.gsd)
        x = self._weights_x((self._region.left + columns) * self._region.gsd)
        grid = values.reshape(*values.shape[:-1], len(self._y), len(self._x))
        return np.asarray(np.einsum("pi,...ij,pj->...p", y, grid, x, optimize=True))


def _node_positions(low: float, high: float) -> Floats:
    """Multiples of the spacing from before `low` to behind `high`."""
    first, last = np.floor(low / NODE_METRES) - _NODES_AROUND, np.ceil(high / NODE_METRES) + _NODES_AROUND
    return np.arange(first, last + 1) * NODE_METRES
