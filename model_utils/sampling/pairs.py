"""Spatiotemporal pairs: the positive of a tile is the nearest other site at the same time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.neighbors import BallTree

from model_utils.geography import EARTH_RADIUS_KM

TIE_KM = 1e-6
"""Distances that agree to the millimetre tie: on a regular grid rounding alone would decide otherwise."""


@dataclass(frozen=True)
class NeighbourPairs:
    """The positive of every tile.

    Attributes:
        positive: Row of the positive, or -1 where there is none; n, int64.
        distance_km: Its great-circle distance, NaN where there is none; n.
    """

    positive: NDArray[np.int64]
    distance_km: NDArray[np.float64]


def nearest_site_pairs(samples: pd.DataFrame, max_km: float = np.inf) -> NeighbourPairs:
    """Finds for every tile the nearest other site with a tile at the same timestamp.

    Source: Jiang et al. 2022, section 2.3 (the positive pair of spatiotemporal contrastive learning). Ties
    break by the smallest `sample_id`.

    Args:
        samples: Rows with `sample_id`, `site_id`, `latitude`, `longitude` (degrees), `time_utc`.
        max_km: Largest distance of a positive, km, inclusive.

    Returns:
        Positives as positions in `samples`.
    """
    count = len(samples)
    positive = np.full(count, -1, dtype=np.int64)
    distance = np.full(count, np.nan)
    radians = np.radians(samples[["latitude", "longitude"]].to_numpy(np.float64))
    site, _ = pd.factorize(samples["site_id"])
    order = samples["sample_id"].rank(method="first").to_numpy()
    time, _ = pd.factorize(samples["time_utc"])
    for members in np.split(np.argsort(time, kind="stable"), np.cumsum(np.bincount(time))[:-1]):
        # identifiers in order, so that the first of several equally near rows is the one to take
        rows = members[np.argsort(order[members], kind="stable")]
        found, km = _nearest_other_site(radians[rows], site[rows])
        near = (found >= 0) & (km <= max_km)
        positive[rows[near]] = rows[found[near]]
        distance[rows[near]] = km[near]
    return NeighbourPairs(positive, distance)


def _nearest_other_site(
    radians: NDArray[np.float64], site: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Nearest row of another site for rows of one timestamp; -1 and inf where there is none."""
    count = len(site)
    found = np.full(count, -1, dtype=np.int64)
    km = np.full(count, np.inf)
    if len(np.unique(site)) < 2:
        return found, km
    tree = BallTree(radians, metric="haversine")
    # one row more than the largest site has is sure to hold a row of another site
    neighbours = int(np.bincount(site).max()) + 1
    separation, index = tree.query(radians, k=min(neighbours, count))
    separation = np.where(site[index] == site[:, None], np.inf, separation)
    nearest = separation.min(axis=1)
    within = tree.query_radius(radians, nearest + TIE_KM / EARTH_RADIUS_KM)
    for row, candidates in enumerate(within):
        found[row] = candidates[site[candidates] != site[row]].min()
    return found, nearest * EARTH_RADIUS_KM
