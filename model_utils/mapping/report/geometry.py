"""Places in units of cells: columns from the western edge, rows from the northern edge, as the page draws them."""

from __future__ import annotations

import math
from typing import TypedDict

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from pyproj import CRS, Transformer

from model_utils.cities import BoundingBox
from model_utils.mapping.places.grid import WGS84, MapGrid

Points = list[list[float]]
_NODES = 17
_STEPS = (10.0, 5.0, 2.0, 1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
_MOST_LINES = 320
_BEYOND = 0.5  # of the map's size: lines go on past its edges, for a frame that is wider or taller than it


class Line(TypedDict):
    """A meridian or a parallel."""

    label: str
    meridian: bool
    points: Points


class Graticule(TypedDict):
    """Lines at whole multiples of a step; `gap` is their smaller distance in cells."""

    gap: float
    lines: list[Line]


def grid_of(dataset: xr.Dataset) -> MapGrid:
    """The grid of a map, from its coordinates.

    Raises:
        ValueError: A single cell does not tell its size.
    """
    x, y = dataset["x"].to_numpy(), dataset["y"].to_numpy()
    axis = x if x.size > 1 else y
    if axis.size < 2:
        raise ValueError("map: found one cell, expected at least two")
    spacing = abs(float(axis[1] - axis[0]))
    crs = CRS.from_cf(dict(dataset["crs"].attrs)).to_string()
    return MapGrid(crs, spacing, float(x[0]) - spacing / 2, float(y[0]) + spacing / 2, x.size, y.size)


def in_cells(grid: MapGrid, latitude: ArrayLike, longitude: ArrayLike) -> tuple[NDArray[np.float64], ...]:
    """Columns and rows of places in WGS84 degrees; whole numbers are edges of cells."""
    east, north = Transformer.from_crs(WGS84, grid.crs, always_xy=True).transform(
        np.asarray(longitude, np.float64), np.asarray(latitude, np.float64)
    )
    return (np.asarray(east) - grid.left) / grid.spacing, (grid.top - np.asarray(north)) / grid.spacing


def degrees_lattice(grid: MapGrid) -> dict[str, list[list[float]]]:
    """Latitudes and longitudes at 17 x 17 nodes from corner to corner: between them the page interpolates.

    Over a city this is right to about a metre.
    """
    fraction = np.linspace(0, 1, _NODES)
    east = grid.left + grid.spacing * grid.columns * fraction
    north = grid.top - grid.spacing * grid.rows * fraction
    longitude, latitude = Transformer.from_crs(grid.crs, WGS84, always_xy=True).transform(*np.meshgrid(east, north))
    return {"latitude": np.round(latitude, 6).tolist(), "longitude": np.round(longitude, 6).tolist()}


def graticules(grid: MapGrid) -> list[Graticule]:
    """Meridians and parallels, coarse to fine, for the page to choose from as one zooms in."""
    nodes = degrees_lattice(grid)
    latitude, longitude = np.array(nodes["latitude"]), np.array(nodes["longitude"])
    tall, wide = np.ptp(latitude), np.ptp(longitude)
    south, north = max(latitude.min() - _BEYOND * tall, -85.0), min(latitude.max() + _BEYOND * tall, 85.0)
    west, east = longitude.min() - _BEYOND * wide, longitude.max() + _BEYOND * wide
    found = []
    for step in _STEPS:
        parallels, meridians = _multiples(south, north, step), _multiples(west, east, step)
        if len(parallels) + len(meridians) > _MOST_LINES:
            break
        if not parallels or not meridians:
            continue
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        lines = [_line(grid, np.full(9, at), np.linspace(west, east, 9), at, digits, "NS") for at in parallels]
        lines += [_line(grid, np.linspace(south, north, 9), np.full(9, at), at, digits, "EW") for at in meridians]
        gap = step * min(grid.rows / tall, grid.columns / wide)
        found.append(Graticule(gap=round(float(gap), 3), lines=lines))
    return found


def box_outline(grid: MapGrid, box: BoundingBox) -> Points:
    """The edge of a box of degrees, closed."""
    corner = np.linspace(0, 4, 33)  # between corners too: a parallel is no straight line of a zone
    latitude = np.interp(corner, range(5), [box.south, box.south, box.north, box.north, box.south])
    longitude = np.interp(corner, range(5), [box.west, box.east, box.east, box.west, box.west])
    return _points(grid, latitude, longitude)


def _multiples(low: float, high: float, step: float) -> list[float]:
    return [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _line(
    grid: MapGrid,
    latitude: NDArray[np.float64],
    longitude: NDArray[np.float64],
    at: float,
    digits: int,
    letters: str,
) -> Line:
    text = f"{abs(at):.{digits}f}°"
    if round(at, digits) != 0:
        text += f" {letters[at < 0]}"
    return Line(label=text, meridian=letters == "EW", points=_points(grid, latitude, longitude))


def _points(grid: MapGrid, latitude: NDArray[np.float64], longitude: NDArray[np.float64]) -> Points:
    return np.round(np.stack(in_cells(grid, latitude, longitude), axis=1), 3).tolist()  # type: ignore[no-any-return]
