"""Hotspots of a period map: places that stand out from what is around them, by more than chance."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Floats = NDArray[np.float64]

WINDOW_KM = 3.0
"""Full width at half maximum of the Gaussian window."""
WIDTH_OF_SD = 2 * float(np.sqrt(2 * np.log(2)))
"""Full width at half maximum of a Gaussian of standard deviation 1."""
REACH = 4.0
"""The window ends this many standard deviations from its cell."""
LEAST_SD = 0.1
"""ug/m3, added to the local standard deviation: what differs by less from its surroundings is flat."""
HIGH = 1.0
"""A hotspot's contrast is above this."""


class Hotspots(NamedTuple):
    """Of a map of m x n cells.

    Attributes:
        mask: Whether a cell is in a hotspot.
        z: Its difference from the local mean in local standard deviations; NaN where the map says nothing.
    """

    mask: NDArray[np.bool_]
    z: Floats


def hotspots(pm25: Floats, half_width: Floats, cell_m: float, window_km: float = WINDOW_KM) -> Hotspots:
    """Local contrast normalisation, z = (x - local mean) / (local SD + e), and what stands out beyond its interval.

    Zheng et al. 2021 (Local PM2.5 hotspot detector at 300 m resolution, Remote Sensing 13, 1356) look for hotspots in
    the normalised map alone. As any map has cells of z > 1, noise has hotspots too: here a cell must also exceed the
    local mean by more than the half-width of its own interval. Mean and SD are those of the map's cells weighted by a
    Gaussian window; cells without a value, and what is beyond the edge, have no weight.

    Args:
        pm25: Means over a period, ug/m3, m x n; NaN where there is none.
        half_width: Of the interval of each cell's place effect, ug/m3, m x n; where NaN there is no hotspot.
        cell_m: Side of a cell, m.
        window_km: Full width at half maximum of the window.

    Raises:
        ValueError: The maps are no two of a shape, or a length is not positive.
    """
    if pm25.ndim != 2 or half_width.shape != pm25.shape:
        raise ValueError(f"hotspots: found {pm25.shape} and {half_width.shape}, expected two maps of a shape")
    if not (cell_m > 0 and window_km > 0):
        raise ValueError(
            f"hotspots: found cells of {cell_m:g} m and a window of {window_km:g} km, expected more than 0"
        )
    known = np.isfinite(pm25)
    if not known.any():
        return Hotspots(known, np.full(pm25.shape, np.nan))
    sd_cells = _sd_cells(cell_m, window_km)

    def windowed(values: Floats) -> Floats:
        return np.asarray(gaussian_filter(values, sd_cells, mode="constant", truncate=REACH))

    # squares of small numbers: the level of the map would cost digits
    above = np.where(known, pm25 - pm25[known].mean(), 0.0)
    weight = np.where(known, windowed(known.astype(np.float64)), 1.0)
    mean = windowed(above) / weight
    variance = windowed(above**2) / weight - mean**2
    difference = np.where(known, above - mean, np.nan)
    z = difference / (np.sqrt(np.maximum(variance, 0.0)) + LEAST_SD)
    return Hotspots((z > HIGH) & (difference > half_width), z)


def reach_cells(cell_m: float, window_km: float = WINDOW_KM) -> int:
    """How far the window reaches along rows and columns: cells beyond do not touch whether one is a hotspot."""
    return int(REACH * _sd_cells(cell_m, window_km) + 0.5)  # as scipy rounds it


def _sd_cells(cell_m: float, window_km: float) -> float:
    return 1000 * window_km / WIDTH_OF_SD / cell_m
