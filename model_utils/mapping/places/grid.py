"""The cells of a map: squares whose edges lie at whole multiples of their size in a UTM zone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.warp import transform, transform_bounds

from model_utils.errors import InputError
from model_utils.ingest.scenes.sites import MOST_CELLS

WGS84 = "EPSG:4326"


@dataclass(frozen=True)
class MapGrid:
    """Square cells; row 0 is the northernmost.

    Attributes:
        crs: A UTM zone on WGS84, such as EPSG:32643.
        spacing: Height and width of a cell, metres.
        left: Easting of the western edge, metres.
        top: Northing of the northern edge, metres.
        columns: Cells from west to east.
        rows: Cells from north to south.
    """

    crs: str
    spacing: float
    left: float
    top: float
    columns: int
    rows: int

    @property
    def transform(self) -> Affine:
        """From (column, row) of the cells' upper left corners to metres."""
        return Affine(self.spacing, 0.0, self.left, 0.0, -self.spacing, self.top)

    @property
    def x(self) -> NDArray[np.float64]:
        """Eastings of the cells' middles, metres, growing."""
        return np.asarray(self.left + self.spacing * (np.arange(self.columns) + 0.5), np.float64)

    @property
    def y(self) -> NDArray[np.float64]:
        """Northings of the cells' middles, metres, falling."""
        return np.asarray(self.top - self.spacing * (np.arange(self.rows) + 0.5), np.float64)

    def degrees(self, rows: slice = slice(None)) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Latitudes and longitudes of the middles of all cells, or of some rows of them, WGS84, rows x columns each."""
        east, north = np.meshgrid(self.x, self.y[rows])
        longitude, latitude = transform(self.crs, WGS84, east.ravel(), north.ravel())
        return np.reshape(latitude, east.shape), np.reshape(longitude, east.shape)


def map_grid(crs: str, spacing: float, west: float, south: float, east: float, north: float) -> MapGrid:
    """The smallest grid that covers a box.

    Args:
        crs: UTM zone of the cells.
        spacing: Metres.
        west: Of the box, degrees of longitude.
        south: Degrees of latitude.
        east: Degrees of longitude.
        north: Degrees of latitude.

    Raises:
        InputError: The cells are too many, or the zone cannot show the box.
    """
    bounds = transform_bounds(WGS84, crs, west, south, east, north, densify_pts=21)
    if not np.isfinite(bounds).all():
        raise InputError(
            f"--area: {west:g} to {east:g} east and {south:g} to {north:g} north cannot be shown in {crs}, the zone of "
            "the city, expected an area in the city"
        )
    first, last = math.floor(bounds[0] / spacing), math.ceil(bounds[2] / spacing)
    bottom, top = math.floor(bounds[1] / spacing), math.ceil(bounds[3] / spacing)
    columns, rows = last - first, top - bottom
    if columns * rows > MOST_CELLS:
        raise InputError(
            f"--spacing-metres {spacing:g}: found {columns * rows:,} cells, expected at most {MOST_CELLS:,}: a larger "
            "spacing or a smaller --area"
        )
    return MapGrid(crs, spacing, first * spacing, top * spacing, columns, rows)
