"""What images show of places and of days, known without any label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.neighbors import BallTree

from model_utils.errors import InputError
from model_utils.estimators.saving import Saved
from model_utils.geography import EARTH_RADIUS_KM

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Ground(Saved):
    """Mean embeddings of s sites and air of t dates.

    Averaging a site's embeddings over its dates removes the day's haze; taking a site's mean away leaves the day's air.

    Attributes:
        sites: site_id, s, sorted.
        latitude: WGS84 degrees, s.
        longitude: WGS84 degrees, s.
        means: Mean embedding of each site over its dates, s x d.
        dates: t, sorted.
        air: Mean over a date's sites of embedding less that site's own mean over its other dates, t x d; NaN where no
            site of the date has another date. The ground is out of it, so it does not matter which sites were seen.
        ring_km: A site's scores are those of the mean over the sites this near, itself included; 0 = of its own mean.
        centre: Of the principal components, d.
        directions: k x d, divided by one number: the mean square of a site's scores is 1. Not whitened.
    """

    sites: NDArray[np.object_]
    latitude: Floats
    longitude: Floats
    means: NDArray[np.float32]
    dates: NDArray[np.datetime64]
    air: NDArray[np.float32]
    ring_km: float
    centre: Floats
    directions: Floats

    def __post_init__(self) -> None:
        if self.means.ndim != 2:
            raise ValueError(f"ground: found means of shape {self.means.shape}, expected sites x features")
        sites, width = self.means.shape
        shapes = self.latitude.shape, self.longitude.shape, self.air.shape, self.centre.shape, self.directions.shape[1:]
        expected = (sites,), (sites,), (len(self.dates), width), (width,), (width,)
        if shapes != expected or len(self.sites) != sites:
            raise ValueError(f"ground: found {shapes}, expected {expected}")
        if self.sites.shape != np.unique(self.sites).shape or self.dates.shape != np.unique(self.dates).shape:
            raise ValueError("ground: found a site or a date twice")
        if np.isnat(self.dates).any() or not np.isfinite([*self.latitude, *self.longitude]).all():
            raise ValueError("ground: found a date or a place that is none")
        if not 0 <= self.ring_km < np.inf:
            raise ValueError(f"ground: found a ring of {self.ring_km:g} km, expected 0 or more")

    def scores(self, samples: pd.DataFrame, features: NDArray[np.float32] | None) -> Floats:
        """Principal components of each row's site.

        Those of a known site are the same whatever rows are given. Another site is seen by the rows given of it (and
        with a ring by the known sites around it).

        Args:
            samples: n rows: site_id, latitude, longitude.
            features: Their embeddings, n x d; only rows of sites that are not known need them.

        Returns:
            n x k; NaN where nothing shows the site.
        """
        scores = self._site_scores()
        known = pd.Index(self.sites).get_indexer(pd.Index(_texts(samples["site_id"])))
        found = np.full((len(samples), len(self.directions)), np.nan)
        found[known >= 0] = scores[known[known >= 0]]
        other = np.flatnonzero(known < 0)
        if features is None or not len(other):
            return found
        site, first = _numbered(_texts(samples["site_id"])[other])
        places = samples[["latitude", "longitude"]].to_numpy(np.float64)[other][first]
        date = np.unique(_dates(samples["local_date"])[other], return_inverse=True)[1]
        described = self._described(features[other], site, date, places)
        found[other] = ((described - self.centre) @ self.directions.T)[site]
        return found

    def air_of(self, samples: pd.DataFrame, features: NDArray[np.float32] | None) -> Floats:
        """What the air of each row's date looks like, n x d (see `air_of_dates`)."""
        air, number = self.air_of_dates(samples, features)
        return air[number]

    def air_of_dates(
        self, samples: pd.DataFrame, features: NDArray[np.float32] | None
    ) -> tuple[Floats, NDArray[np.int64]]:
        """What the air of the dates of n rows looks like.

        That of a known date is the same whatever rows are given. On another date it is the mean over the sites given
        of embedding less the site's mean: as it is known, or over the other dates given of a site that is not.

        Args:
            samples: n rows: site_id, local_date.
            features: Their embeddings, n x d; only dates that are not known need them.

        Returns:
            Dates x d, in the order of the dates, NaN where nothing can be said; and the number of each row's date.
        """
        dates, number = np.unique(_dates(samples["local_date"]), return_inverse=True)
        known = pd.Index(self.dates).get_indexer(pd.Index(dates))
        air = np.full((len(dates), self.means.shape[1]), np.nan)
        air[known >= 0] = self.air[known[known >= 0]]
        seen = np.zeros(len(samples), bool) if features is None else np.isfinite(features).all(axis=1)
        if features is None or not seen.any() or (known >= 0).all():
            return air, number
        site, first = _numbered(_texts(samples["site_id"])[seen])
        own, dates_of = _site_means(features[seen], site, number[seen])
        stored = pd.Index(self.sites).get_indexer(pd.Index(_texts(samples["site_id"])[seen][first]))
        means = np.where((stored >= 0)[:, None], self.means[stored], own)
        factor = np.where(stored >= 0, 1.0, _without_own_date(dates_of))
        others = _air(features[seen], site, number[seen], len(dates), means, factor)
        air[known < 0] = others[known < 0]
        return air, number

    def _site_scores(self) -> Floats:
        """Of the known sites, s x k."""
        described = _in_ring(self.means, self.latitude, self.longitude, self.ring_km)
        return np.asarray((described - self.centre) @ self.directions.T)

    def _described(
        self, features: NDArray[np.float32], site: NDArray[np.int64], date: NDArray[np.int64], places: Floats
    ) -> Floats:
        """What shows sites that are not known, in the units of `means`; NaN where no row is finite."""
        seen = np.isfinite(features).all(axis=1)
        means = np.full((len(places), self.means.shape[1]), np.nan)
        if seen.any():
            found, _ = _site_means(features[seen], site[seen], date[seen])
            means[: len(found)] = found
        if self.ring_km == 0:
            return means
        near = _near(places, np.column_stack([self.latitude, self.longitude]), self.ring_km)
        return np.asarray((means + near @ self.means.astype(np.float64)) / (1 + near.sum(axis=1))[:, None])


def describe_ground(
    samples: pd.DataFrame, features: NDArray[np.float32], components: int = 16, ring_km: float | None = None
) -> Ground:
    """Describes sites and dates by all clear tiles; no reading is looked at.

    Args:
        samples: n rows: site_id, latitude, longitude (WGS84 degrees), local_date. Rows of clouds are to be left out.
        features: Their embeddings, n x d; rows that are not finite are left out.
        components: Principal components of the sites' mean embeddings that are kept at most.
        ring_km: A site is described by the mean over the sites this near.

    Raises:
        InputError: No row has finite features.
    """
    if features.ndim != 2 or len(features) != len(samples):
        raise ValueError(f"found {features.shape} features for {len(samples)} rows")
    seen = np.isfinite(features).all(axis=1)
    if not seen.any():
        raise InputError("ground: found no tile with finite features, expected the embeddings of clear tiles")
    rows, features = samples[seen], features[seen]
    sites = _texts(rows["site_id"])
    site, first = _numbered(sites)
    latitude, longitude = (rows[name].to_numpy(np.float64)[first] for name in ("latitude", "longitude"))
    dates, date = np.unique(_dates(rows["local_date"]), return_inverse=True)
    exact, dates_of = _site_means(features, site, date)
    air = _air(features, site, date, len(dates), exact, _without_own_date(dates_of))

    means = exact.astype(np.float32)
    described = _in_ring(means, latitude, longitude, ring_km or 0.0)
    centre = described.mean(axis=0)
    _, spread, directions = np.linalg.svd(described - centre, full_matrices=False)
    kept = (spread > 1e-6 * max(spread[0], 1e-30)) & (np.arange(len(spread)) < components)
    directions, spread = directions[kept], spread[kept]
    # a direction and its opposite are the same component: its largest loading is positive
    largest = directions[np.arange(len(directions)), np.abs(directions).argmax(axis=1)]
    directions = directions * np.sign(largest)[:, None]
    scale = np.sqrt((spread**2).sum() / len(described)) if len(spread) else 1.0
    return Ground(
        sites=sites[first],
        latitude=latitude,
        longitude=longitude,
        means=means,
        dates=dates,
        air=air.astype(np.float32),
        ring_km=ring_km or 0.0,
        centre=centre,
        directions=directions / scale,
    )


def _site_means(
    features: NDArray[np.float32], site: NDArray[np.int64], date: NDArray[np.int64]
) -> tuple[Floats, NDArray[np.int64]]:
    """Mean of each site over its dates (several tiles of a date are averaged first), s x d, and its number of dates."""
    cell, rows_of = _cells(site, date)
    sites = int(site.max()) + 1
    # a site without a row is NaN / 1
    dates_of = np.bincount(cell[0], minlength=sites)
    weight = 1 / rows_of / dates_of[site]
    rows = csr_array((weight, (site, np.arange(len(site)))), shape=(sites, len(site)))
    return np.where((dates_of > 0)[:, None], rows @ features, np.nan), dates_of


def _without_own_date(dates_of: NDArray[np.int64]) -> Floats:
    """What turns a difference from the mean over all dates into one from the mean over the others; NaN: no others."""
    return np.where(dates_of > 1, dates_of / np.maximum(dates_of - 1, 1), np.nan)


def _air(
    features: NDArray[np.float32],
    site: NDArray[np.int64],
    date: NDArray[np.int64],
    dates: int,
    means: Floats,
    factor: Floats,
) -> Floats:
    """Mean over each date's sites of factor x (embedding - mean), as two sparse products.

    Args:
        features: n x d.
        site: Of each row, n.
        date: Of each row, n.
        dates: How many, t.
        means: Of each site, s x d.
        factor: Of each site, s; NaN where it tells nothing.

    Returns:
        t x d; NaN where no site tells anything.
    """
    (cell_site, cell_date), rows_of = _cells(site, date)
    told = np.isfinite(factor)
    sites_of = np.bincount(cell_date[told[cell_site]], minlength=dates)
    share = np.where(told, factor, 0.0)
    by_row = share[site] / rows_of / np.maximum(sites_of[date], 1)
    by_cell = share[cell_site] / np.maximum(sites_of[cell_date], 1)
    rows = csr_array((by_row, (date, np.arange(len(site)))), shape=(dates, len(site)))
    cells = csr_array((by_cell, (cell_date, cell_site)), shape=(dates, len(means)))
    return np.where((sites_of > 0)[:, None], rows @ features - cells @ np.nan_to_num(means), np.nan)


def _cells(
    site: NDArray[np.int64], date: NDArray[np.int64]
) -> tuple[tuple[NDArray[np.int64], NDArray[np.int64]], NDArray[np.int64]]:
    """The pairs of site and date that occur, and by row how many rows share its pair."""
    width = int(date.max()) + 1
    cells, number, count = np.unique(site * width + date, return_inverse=True, return_counts=True)
    return (cells // width, cells % width), count[number]


def _in_ring(means: NDArray[np.float32], latitude: Floats, longitude: Floats, ring_km: float) -> Floats:
    """Each site's mean over the sites within a distance, itself included."""
    exact = means.astype(np.float64)
    if ring_km == 0:
        return exact
    places = np.column_stack([latitude, longitude])
    near = _near(places, places, ring_km)
    return np.asarray(near @ exact / near.sum(axis=1)[:, None])


def _near(places: Floats, sites: Floats, km: float) -> csr_array:
    """1 where a site is within a distance of a place, places x sites; latitude and longitude in degrees."""
    tree = BallTree(np.radians(sites), metric="haversine")
    found = tree.query_radius(np.radians(places), km / EARTH_RADIUS_KM)
    place = np.repeat(np.arange(len(places)), [len(each) for each in found])
    return csr_array((np.ones(len(place)), (place, np.concatenate(found))), shape=(len(places), len(sites)))


def _numbered(keys: NDArray[np.object_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The number of each row's key in the order of the keys, and the first row of each key."""
    _, first, number = np.unique(keys, return_index=True, return_inverse=True)
    return number, first


def _texts(column: pd.Series) -> NDArray[np.object_]:
    return column.to_numpy(dtype=object)


def _dates(column: pd.Series) -> NDArray[np.datetime64]:
    return column.to_numpy("datetime64[ns]")
