"""Distances on the earth."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

EARTH_RADIUS_KM = 6371.0088
"""Mean radius (IUGG)."""

RING = 1.6
"""In grid steps: reaches the eight cells around a cell (the diagonal is 1.41 steps) and no other."""


def great_circle_km(
    latitude1: NDArray[np.float64],
    longitude1: NDArray[np.float64],
    latitude2: NDArray[np.float64],
    longitude2: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Haversine distance between points in WGS84 degrees, broadcast, in km."""
    phi1, lambda1, phi2, lambda2 = (np.radians(x) for x in (latitude1, longitude1, latitude2, longitude2))
    half = np.sin((phi2 - phi1) / 2) ** 2 + np.cos(phi1) * np.cos(phi2) * np.sin((lambda2 - lambda1) / 2) ** 2
    distance: NDArray[np.float64] = 2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.clip(half, 0, 1)))
    return distance


def ring_radius(samples: pd.DataFrame) -> float | None:
    """The distance within which the eight grid cells around a grid cell lie, km.

    Args:
        samples: Rows of an archive: site_id, latitude, longitude, pm25. Sites without any reading are grid cells.

    Returns:
        None where there is no grid: fewer than nine sites without a reading.
    """
    read = samples["pm25"].notna().groupby(samples["site_id"]).transform("any")
    cells = samples[~read].drop_duplicates("site_id")
    if len(cells) < 9:
        return None
    from sklearn.neighbors import BallTree  # takes seconds to import

    tree = BallTree(np.radians(cells[["latitude", "longitude"]].to_numpy(float)), metric="haversine")
    nearest = tree.query(tree.data, k=2)[0][:, 1] * EARTH_RADIUS_KM
    return float(RING * np.median(nearest))
