"""One ground as scenes of any projection show it: each pixel holds what lies at its own middle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import rasterio
from map_town import GSD, MIDDLE, SIZE, ZONE
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio import Affine
from readings_town import utc

Floats = NDArray[np.float64]


def ground(east: Floats, north: Floats) -> Floats:
    """Brightness of three bands at places in the town's zone, metres: waves of 0.6 to 3 km, none of which repeats."""
    random = np.random.default_rng(12)
    bands = []
    for _ in range(3):
        value = np.full(east.shape, 110.0)
        for _ in range(12):
            length, angle, phase = random.uniform(600, 3000), random.uniform(0, np.pi), random.uniform(0, 2 * np.pi)
            along = np.cos(angle) * east + np.sin(angle) * north
            value += 11 * np.sin(2 * np.pi * along / length + phase)
        bands.append(value)
    return np.stack(bands)


def middle_of_town(crs: str) -> Floats:
    """x and y of the town's middle in a system."""
    return np.array(Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(MIDDLE[1], MIDDLE[0]))


def around_town(crs: str = ZONE, size: float = GSD, turned: float = 0.0, south_up: bool = False) -> Affine:
    """A square scene of the town: pixels of a size in the units of the system, rows turned by so many degrees."""
    cosine, sine = np.cos(np.radians(turned)), np.sin(np.radians(turned))
    across, down = size * np.array([cosine, sine]), size * np.array([sine, -cosine]) * (-1 if south_up else 1)
    corner = middle_of_town(crs) - (across + down) * SIZE / 2
    return Affine(*np.column_stack([across, down, corner]).ravel().tolist())


def moved(place: Affine, columns: float, rows: float) -> Affine:
    """The place of a scene that begins so many pixels further on."""
    x, y = place.c + place.a * columns + place.b * rows, place.f + place.d * columns + place.e * rows
    return Affine(place.a, place.b, x, place.d, place.e, y)


def write_scene(
    folder: Path,
    day: pd.Timestamp,
    crs: str = ZONE,
    place: Affine | None = None,
    shape: tuple[int, int] = (SIZE, SIZE),
    shifted: tuple[float, float] = (0.0, 0.0),
    name: str = "scene",
) -> Path:
    """Writes a scene whose pixels hold `ground`, brighter by the day; `shifted` metres off, if it is to be wrong."""
    folder.mkdir(exist_ok=True, parents=True)
    place = around_town() if place is None else place
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    x = place.c + place.a * columns + place.b * rows
    y = place.f + place.d * columns + place.e * rows
    east, north = Transformer.from_crs(crs, ZONE, always_xy=True).transform(x, y)
    values = ground(east - shifted[0], north - shifted[1]) + 2 * day.day
    path = folder / f"{name}_{utc(f'{day:%Y-%m-%d}T10:42:00', 'Asia/Kolkata'):%Y%m%dT%H%M%S}.tif"
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        dtype="uint8",
        count=3,
        height=shape[0],
        width=shape[1],
        photometric="RGB",
        crs=crs,
        transform=place,
    ) as file:
        file.write(np.clip(np.rint(values), 1, 255).astype(np.uint8))
    return path
