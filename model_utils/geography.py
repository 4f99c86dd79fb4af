"""Distances on the earth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

EARTH_RADIUS_KM = 6371.0088
"""Mean radius (IUGG)."""


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
