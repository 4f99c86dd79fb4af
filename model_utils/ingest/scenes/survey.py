"""A quick look at a scene over a city: the spread of its values, how much of the city it shows, and how cloudily."""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
from rasterio.enums import Resampling
from rasterio.warp import transform_bounds

from model_utils.cities import City
from model_utils.ingest.scenes.grid import city_grid
from model_utils.ingest.scenes.pixels import ScenePixels
from model_utils.ingest.scenes.scene import Scene

PERCENTILES = (2, 50, 98)
_ACROSS = 192
"""Points that are looked at along the longer side of the city's bounding box."""


@dataclass(frozen=True)
class Survey:
    """What a scene shows of a city.

    Attributes:
        percentiles: The `PERCENTILES` of each band's physical values in the city; none where it shows nothing of it.
        covered: Share of the city's bounding box with data.
        cloudy: Share of that under cloud; None without a mask.
    """

    percentiles: tuple[tuple[float, ...], ...]
    covered: float
    cloudy: float | None


def fitting_full_scale(high: float) -> float:
    """A round value a little above one that nearly all pixels stay below."""
    step = 10.0 ** (math.floor(math.log10(high)) - 1) if high > 0 else 1.0
    return max(1, math.ceil(high / step)) * step


def survey(scene: Scene, city: City) -> Survey:
    """Looks at the pixels nearest to some ten thousand points of the city.

    Raises:
        InputError: A file of the scene is broken.
    """
    box, zone = city.bounding_box, city_grid(city, 1.0, 1).crs
    west, south, east, north = transform_bounds("EPSG:4326", zone, box.west, box.south, box.east, box.north)
    grid = city_grid(city, max(east - west, north - south) / _ACROSS, 1)
    corner = int(np.floor(west / grid.gsd)), int(np.floor(-north / grid.gsd))
    shape = max(1, round((north - south) / grid.gsd)), max(1, round((east - west) / grid.gsd))
    with ExitStack() as stack:
        values, valid, cloudy = ScenePixels(stack, scene, grid).values(corner, shape, Resampling.nearest)
    shown = values[valid]
    known = len(shown) > 0 and scene.mask is not None
    return Survey(
        percentiles=tuple(tuple(np.percentile(band, PERCENTILES).tolist()) for band in shown.T) if len(shown) else (),
        covered=float(valid.mean()),
        cloudy=float(cloudy[valid].mean()) if known else None,
    )
