"""The cells of a map as places: their names, their coordinates, and the blocks they are worked on in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rasterio.features import geometry_mask
from rasterio.warp import transform, transform_geom

from model_utils.cities import BoundingBox
from model_utils.errors import InputError
from model_utils.ingest.scenes.sites import cell_names
from model_utils.mapping.places.area import Area, read_area
from model_utils.mapping.places.grid import WGS84, MapGrid, map_grid

BLOCK_METRES = 25_000.0


@dataclass(frozen=True)
class MapCells:
    """The cells of a map.

    Attributes:
        grid: All of them.
        inside: Which lie in the area that was asked for (their middles do), rows x columns.
    """

    grid: MapGrid
    inside: NDArray[np.bool_]

    def blocks(self, metres: float = BLOCK_METRES) -> Iterator[pd.DataFrame]:
        """The cells inside, a table a block of about so many metres squared, from north to south and west to east.

        Yields:
            A row a cell: site_id (as `prepare` names the cell of a grid of this spacing), latitude, longitude (WGS84
            degrees), east_m, north_m, row, column.
        """
        step = max(1, round(metres / self.grid.spacing))
        first = round(self.grid.left / self.grid.spacing), round(self.grid.top / self.grid.spacing) - 1
        for top in range(0, self.grid.rows, step):
            for left in range(0, self.grid.columns, step):
                row, column = np.nonzero(self.inside[top : top + step, left : left + step])
                row, column = row + top, column + left
                if len(row):
                    yield self.named(first[0] + column, first[1] - row).assign(row=row, column=column)

    def named(self, east: NDArray[np.integer], north: NDArray[np.integer]) -> pd.DataFrame:
        """Cells of the lattice that the grid is a part of, as `blocks` gives them without row and column.

        Args:
            east: Number of each cell east of the zone's origin, n.
            north: Number north of it, n.
        """
        crs, spacing = self.grid.crs, self.grid.spacing
        zone = crs[-2:] + ("N" if crs[-3] == "6" else "S")
        east_m, north_m = (east + 0.5) * spacing, (north + 0.5) * spacing
        longitude, latitude = transform(crs, WGS84, east_m, north_m)
        names = cell_names(zone, east, north, spacing)
        return pd.DataFrame(
            {
                "site_id": pd.Series(names, dtype="str"),
                "latitude": np.asarray(latitude),
                "longitude": np.asarray(longitude),
                "east_m": east_m,
                "north_m": north_m,
            }
        )


def map_cells(crs: str, spacing: float, box: BoundingBox, area: str | None) -> MapCells:
    """The cells of an area.

    Args:
        crs: UTM zone.
        spacing: Metres.
        box: Of the city: the area unless another is given.
        area: As `read_area` takes it.

    Raises:
        InputError: The area is not readable, or holds no cell, or too many.
    """
    asked = Area(box) if area is None else read_area(area)
    box = asked.box
    grid = map_grid(crs, spacing, box.west, box.south, box.east, box.north)
    if asked.polygons:
        projected = [transform_geom(WGS84, crs, polygon) for polygon in asked.polygons]
        inside = ~geometry_mask(projected, (grid.rows, grid.columns), grid.transform)
    else:
        latitude, longitude = grid.degrees()
        inside = (box.west <= longitude) & (longitude <= box.east) & (box.south <= latitude) & (latitude <= box.north)
    if not inside.any():
        raise InputError(f"--area {area}: no middle of a cell of {spacing:g} m lies in it, expected a larger area")
    return MapCells(grid, inside)
