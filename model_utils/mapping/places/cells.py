"""The cells of a map as places: their names, their coordinates, and the blocks they are worked on in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import overload

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
MOST_CELLS_A_SIDE = 100
"""Of a block: what a block needs of memory does not depend on the size of a cell."""
ROWS_AT_ONCE = 256
"""Whose middles are looked at together."""

Window = tuple[slice, slice]
"""Rows and columns of a grid."""


@dataclass(frozen=True)
class MapCells:
    """The cells of a map.

    Attributes:
        grid: All of them.
        inside: Which lie in the area that was asked for (their middles do), rows x columns.
    """

    grid: MapGrid
    inside: NDArray[np.bool_]

    def blocks(self, metres: float = BLOCK_METRES) -> Blocks:
        """The cells inside, in blocks of about so many metres squared."""
        return Blocks(self, min(max(1, round(metres / self.grid.spacing)), MOST_CELLS_A_SIDE))

    def sha256(self) -> str:
        """Of where they lie."""
        return hashlib.sha256(f"{self.grid}".encode() + np.packbits(self.inside).tobytes()).hexdigest()

    def named(self, east: NDArray[np.integer], north: NDArray[np.integer]) -> pd.DataFrame:
        """Cells of the lattice that the grid is a part of, as `Blocks` has them without row and column.

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


@dataclass(frozen=True)
class Blocks(Sequence[pd.DataFrame]):
    """The blocks that hold cells, from north to south and west to east; a table is made when it is asked for.

    Its columns, a row a cell: site_id (as `prepare` names the cell of a grid of this spacing), latitude, longitude
    (WGS84 degrees), east_m, north_m, row, column.

    Attributes:
        cells: All cells.
        side: Of a block, cells; those at the southern and eastern edge may be smaller.
    """

    cells: MapCells
    side: int

    @property
    def every_window(self) -> Iterator[Window]:
        """Of all blocks, those without a cell too."""
        grid = self.cells.grid
        for top in range(0, grid.rows, self.side):
            for left in range(0, grid.columns, self.side):
                yield (
                    slice(top, min(top + self.side, grid.rows)),
                    slice(left, min(left + self.side, grid.columns)),
                )

    @cached_property
    def windows(self) -> list[Window]:
        """Where the blocks lie."""
        return [window for window in self.every_window if self.cells.inside[window].any()]

    def __len__(self) -> int:
        """How many hold cells."""
        return len(self.windows)

    @overload
    def __getitem__(self, number: int) -> pd.DataFrame: ...

    @overload
    def __getitem__(self, number: slice) -> Sequence[pd.DataFrame]: ...

    def __getitem__(self, number: int | slice) -> pd.DataFrame | Sequence[pd.DataFrame]:
        """The cells of a block."""
        if isinstance(number, slice):
            return [self[each] for each in range(*number.indices(len(self)))]
        window, grid = self.windows[number], self.cells.grid
        row, column = np.nonzero(self.cells.inside[window])
        row, column = row + window[0].start, column + window[1].start
        first = round(grid.left / grid.spacing), round(grid.top / grid.spacing) - 1
        return self.cells.named(first[0] + column, first[1] - row).assign(row=row, column=column)


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
    asked = Area("", box) if area is None else read_area(area)
    asked.refuse_exchanged(box)
    box = asked.box
    grid = map_grid(crs, spacing, box.west, box.south, box.east, box.north)
    if asked.polygons:
        projected = [transform_geom(WGS84, crs, polygon) for polygon in asked.polygons]
        inside = ~geometry_mask(projected, (grid.rows, grid.columns), grid.transform)
    else:
        inside = np.empty((grid.rows, grid.columns), bool)
        for start in range(0, grid.rows, ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            latitude, longitude = grid.degrees(rows)
            inside[rows] = (
                (box.west <= longitude) & (longitude <= box.east) & (box.south <= latitude) & (latitude <= box.north)
            )
    if not inside.any():
        raise InputError(f"--area {area}: no middle of a cell of {spacing:g} m lies in it, expected a larger area")
    return MapCells(grid, inside)
