"""The cells of a map as places: their names, their coordinates, and the blocks they are worked on in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rasterio.features import geometry_mask
from rasterio.warp import transform, transform_geom

from model_utils.cities import BoundingBox
from model_utils.errors import InputError
from model_utils.ingest.scenes.sites import cell_names
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
        area: A GeoJSON file (polygons in WGS84 degrees), or `west,south,east,north` in degrees.

    Raises:
        InputError: The area is not readable, or holds no cell.
    """
    geometries: list[dict[str, Any]] = []
    west, south, east, north = box.west, box.south, box.east, box.north
    if area is not None:
        numbers = _numbers(area)
        if numbers is not None:
            west, south, east, north = numbers
        else:
            geometries = _polygons(Path(area))
            corners = np.array([corner for geometry in geometries for corner in _corners(geometry)])
            (west, south), (east, north) = corners.min(axis=0), corners.max(axis=0)
        if not (-180 <= west < east <= 180 and -84 <= south < north <= 84):
            raise InputError(f"--area {area}: found {west:g},{south:g},{east:g},{north:g}, expected degrees of a box")
    grid = map_grid(crs, spacing, west, south, east, north)
    if geometries:
        projected = [transform_geom(WGS84, crs, geometry) for geometry in geometries]
        inside = ~geometry_mask(projected, (grid.rows, grid.columns), grid.transform)
    else:
        latitude, longitude = grid.degrees()
        inside = (west <= longitude) & (longitude <= east) & (south <= latitude) & (latitude <= north)
    if not inside.any():
        raise InputError(f"--area {area}: no middle of a cell of {spacing:g} m lies in it, expected a larger area")
    return MapCells(grid, inside)


def _numbers(area: str) -> tuple[float, float, float, float] | None:
    """Four numbers, or None where the text is none of four."""
    parts = area.split(",")
    if len(parts) != 4:
        return None
    try:
        west, south, east, north = (float(part) for part in parts)
    except ValueError:
        return None
    return west, south, east, north


def _polygons(path: Path) -> list[dict[str, Any]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        kind = content["type"]
        if kind == "FeatureCollection":
            found = [feature["geometry"] for feature in content["features"]]
        else:
            found = [content["geometry"] if kind == "Feature" else content]
        if not found or any(geometry["type"] not in ("Polygon", "MultiPolygon") for geometry in found):
            raise InputError(f"--area {path}: found {kind} without polygons, expected polygons in WGS84 degrees")
        corners = np.array([corner for geometry in found for corner in _corners(geometry)], np.float64)
        if corners.ndim != 2 or corners.shape[1] != 2 or not np.isfinite(corners).all():
            raise ValueError("its coordinates are no pairs of numbers")
    except OSError as error:
        raise InputError(f"--area {path}: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise InputError(f"--area {path}: not readable as GeoJSON ({' '.join(str(error).split())[:200]})") from None
    return found


def _corners(geometry: dict[str, Any]) -> Iterator[list[float]]:
    polygons = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    for polygon in polygons:
        for ring in polygon:
            yield from (corner[:2] for corner in ring)
