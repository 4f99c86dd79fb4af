"""Splits by station, never by row."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.cities import City, plain_letters
from model_utils.errors import InputError
from model_utils.geography import great_circle_km

MATCH_KM = 0.5
"""A station within this distance of a listed one is that station, whatever it is called."""

VALIDATION_GROUPS = 5
LEAST_STATIONS = 5
"""Fewest training stations of which whole ones can be kept apart."""


def station_table(samples: pd.DataFrame) -> pd.DataFrame:
    """The stations of an archive: sites with at least one reading.

    Args:
        samples: The archive's rows.

    Returns:
        One row a station, sorted by `site_id`: `site_id`, `site_name`, `latitude`, `longitude`, `readings`.
    """
    labelled = samples[samples["pm25"].notna()]
    stations = labelled.groupby("site_id", as_index=False).agg(
        site_name=("site_name", "first"),
        latitude=("latitude", "first"),
        longitude=("longitude", "first"),
        readings=("pm25", "size"),
    )
    return stations.sort_values("site_id", ignore_index=True)


def held_out_sites(sites: pd.DataFrame, city: City) -> list[str]:
    """Sites that are on the city's hold-out list, by name or by place.

    Agencies spell names in many ways and move a station by a street, so a site matches a held-out station
    if the letters and digits of its name or id agree, or if it lies within 500 m of it. A site that matches a
    listed training station by name is never matched to a held-out one by distance.

    Args:
        sites: Rows with `site_id`, `site_name`, `latitude`, `longitude`.
        city: Gives the list.

    Returns:
        Their site ids, sorted.

    Raises:
        InputError: A training and a test station of the list cannot be told apart by name.
    """
    split_of_name: dict[str, str] = {}
    for station in city.stations:
        if split_of_name.setdefault(plain_letters(station.name), station.split) != station.split:
            raise InputError(f"{city.name}: {station.name!r} reads like a station on the other side of the hold-out")
    split_of_name.pop("", None)
    listed = city.stations
    held = []
    columns = (sites[name].tolist() for name in ("site_id", "site_name", "latitude", "longitude"))
    for site_id, site_name, latitude, longitude in zip(*columns, strict=True):
        split = split_of_name.get(plain_letters(site_name)) or split_of_name.get(plain_letters(site_id))
        if split is None and listed:
            distance = great_circle_km(
                np.array([station.latitude for station in listed]),
                np.array([station.longitude for station in listed]),
                np.array(latitude),
                np.array(longitude),
            )
            nearest = int(distance.argmin())
            split = listed[nearest].split if distance[nearest] <= MATCH_KM else None
        if split == "test":
            held.append(site_id)
    return sorted(held)


def contiguous_folds(stations: pd.DataFrame, folds: int) -> NDArray[np.int64]:
    """Assigns stations to k spatially contiguous folds of nearly equal size by recursive bisection.

    Each cut splits the longer side of the stations' extent at the station that balances the folds on both sides.

    Args:
        stations: Rows with `site_id`, `latitude`, `longitude`.
        folds: k, at least 2 and at most the number of stations.

    Returns:
        Fold of each station, 0..k-1.

    Raises:
        InputError: k does not fit the number of stations.
    """
    if not 2 <= folds <= len(stations):
        raise InputError(f"--folds: found {folds}, expected 2 to {len(stations)} (the number of stations)")
    latitude = stations["latitude"].to_numpy(np.float64)
    east = stations["longitude"].to_numpy(np.float64) * np.cos(np.radians(latitude.mean()))
    places = np.column_stack([latitude, east])
    names = stations["site_id"].astype(str).to_numpy()
    assigned = np.empty(len(stations), dtype=np.int64)
    pending = [(np.arange(len(stations)), 0, folds)]
    while pending:
        members, first, count = pending.pop()
        if count == 1:
            assigned[members] = first
            continue
        axis = int(np.ptp(places[members], axis=0).argmax())
        ordered = members[np.lexsort((names[members], places[members, axis]))]
        left = count // 2
        cut = round(len(members) * left / count)
        pending.append((ordered[:cut], first, left))
        pending.append((ordered[cut:], first + left, count - left))
    return assigned


def random_stations(site_ids: Iterable[str], count: int, draw: int) -> list[str]:
    """Draws n training stations; draw k is the same whatever the order of the ids.

    Raises:
        InputError: There are fewer than n.
    """
    pool = sorted(site_ids)
    if not 1 <= count <= len(pool):
        raise InputError(f"--stations: found {count}, expected 1 to {len(pool)} (the training stations)")
    return sorted(np.random.default_rng((draw, count)).choice(pool, count, replace=False).tolist())


def validation_rows(samples: pd.DataFrame, share: float, seed: int) -> NDArray[np.bool_]:
    """Takes the rows that early stopping looks at out of the training stations' rows.

    With five training stations or more these are the rows of some whole stations; with fewer, the last block of
    their dates.

    Args:
        samples: Rows of training stations, with `site_id` and `local_date`.
        share: Of the stations, or of the dates; at least one of each.
        seed: Keys the choice of stations.

    Returns:
        A mask over the rows; rows that are neither go to the fit.

    Raises:
        InputError: There is a single date of a few stations, so nothing can be kept apart.
    """
    sites = np.sort(samples["site_id"].unique())
    if len(sites) >= LEAST_STATIONS:
        count = min(max(1, round(share * len(sites))), len(sites) - 1)
        chosen = np.random.default_rng(seed).choice(sites, count, replace=False)
        return samples["site_id"].isin(chosen).to_numpy(copy=True)
    dates = np.sort(samples["local_date"].unique())
    if len(dates) < 2:
        raise InputError(
            f"training rows: found {len(sites)} stations on {len(dates)} date, "
            f"expected {LEAST_STATIONS} stations or 2 dates"
        )
    last = dates[-min(max(1, round(share * len(dates))), len(dates) - 1) :]
    return samples["local_date"].isin(last).to_numpy(copy=True)


def validation_groups(rows: pd.DataFrame, seed: int) -> NDArray[np.int64]:
    """Deals training rows into groups, each of which validates a fit on the others.

    Args:
        rows: Training rows: `site_id`, `local_date`.
        seed: Deals the stations.

    Returns:
        Group of each row, 0 .. 4: whole stations, or contiguous blocks of dates where there are fewer than five
        stations; all 0 where there is a single date as well.
    """
    sites, site = np.unique(rows["site_id"].to_numpy(str), return_inverse=True)
    if len(sites) >= LEAST_STATIONS:
        dealt = np.random.default_rng(seed).permutation(len(sites)) % VALIDATION_GROUPS
        return np.asarray(dealt[site])
    dates, date = np.unique(rows["local_date"].to_numpy(), return_inverse=True)
    return np.asarray(date * min(VALIDATION_GROUPS, len(dates)) // len(dates))
