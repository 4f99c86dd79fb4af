"""The places of a simulated city: stations, and the cells of a grid between them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from model_utils.cities import City

KM_PER_DEGREE = 111.195  # of latitude, on a sphere of 6371 km
STATION, GRID = "station", "grid"


def station_places(city: City, stations: Iterable[tuple[str, float, float]]) -> pd.DataFrame:
    """A row a station from (name, latitude, longitude)."""
    rows = [(name, name, STATION, latitude, longitude) for name, latitude, longitude in stations]
    return with_kilometres(city, rows)


def grid_places(city: City, spacing_km: float) -> pd.DataFrame:
    """Cell centres over the bounding box; none at spacing 0.

    A cell is called after its distance from the box's south-west corner, north and east in units of 100 m, so
    that a place keeps its name at every spacing.
    """
    box = city.bounding_box
    middle = np.cos(np.radians((box.south + box.north) / 2))
    height, width = (box.north - box.south) * KM_PER_DEGREE, (box.east - box.west) * KM_PER_DEGREE * middle
    rows = []
    for north in np.arange(spacing_km / 2, height, spacing_km) if spacing_km else ():
        for east in np.arange(spacing_km / 2, width, spacing_km):
            name = f"grid_{round(north * 10):04d}_{round(east * 10):04d}"
            latitude = box.south + north / KM_PER_DEGREE
            rows.append((name, name, GRID, latitude, box.west + east / KM_PER_DEGREE / middle))
    return with_kilometres(city, rows)


def with_kilometres(city: City, rows: Sequence[tuple[str, str, str, float, float]]) -> pd.DataFrame:
    """Adds the distance east and north of the bounding box's centre."""
    box = city.bounding_box
    latitude, longitude = (box.south + box.north) / 2, (box.west + box.east) / 2
    places = pd.DataFrame(rows, columns=["site_id", "site_name", "site_kind", "latitude", "longitude"])
    places = places.astype({"latitude": float, "longitude": float})
    return places.assign(
        east_km=(places["longitude"] - longitude) * KM_PER_DEGREE * np.cos(np.radians(latitude)),
        north_km=(places["latitude"] - latitude) * KM_PER_DEGREE,
    )
