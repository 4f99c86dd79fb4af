"""Opened rasters: their faults, and where they lie."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning
from rasterio.warp import transform, transform_bounds

from model_utils.cities import BoundingBox
from model_utils.errors import InputError
from model_utils.ingest.scenes.grid import TileGrid
from model_utils.ingest.scenes.header import SEALED, open_raster
from model_utils.ingest.scenes.scene import Scene

_CACHE_BYTES = 128 * 2**20  # rasterio hands the number on as bytes, whatever GDAL's own unit


@contextmanager
def blaming(file: Path) -> Iterator[None]:
    """Whatever goes wrong inside is the file's fault: one line that names it, and nothing on stderr.

    Raises:
        InputError: Instead of any other exception.
    """
    try:
        # numbers of a damaged header overflow; what comes of that is found out by what is asked of the results
        with rasterio.Env(GDAL_CACHEMAX=_CACHE_BYTES, **SEALED), warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # said by an error of ours
            yield
    except InputError:
        raise
    except Exception as error:  # what GDAL's drivers raise on broken bytes is not listed anywhere
        words = " ".join(str(error.__cause__ or error).split()) or type(error).__name__
        raise InputError(f"{file}: not readable ({words[:200]})") from None


def footprint(scene: Scene) -> tuple[BoundingBox, ...]:
    """The rectangle around a scene in WGS84 degrees; two where it lies across the 180th meridian.

    Raises:
        InputError: The first band's file is no raster, or has no place on the earth.
    """
    band = scene.bands[0]
    with blaming(band.file), open_raster(band.file) as source:
        check_raster(band.file, source, [band.index])
        west, south, east, north = bounds_in(source, "EPSG:4326")
    west, south, east, north = max(west, -180.0), max(south, -90.0), min(east, 180.0), min(north, 90.0)
    if west < east:
        return (BoundingBox(south, west, north, east),)
    parts = [(west, 180.0), (-180.0, east)]
    return tuple(BoundingBox(south, west, north, east) for west, east in parts if west < east)


def check_raster(file: Path, source: rasterio.DatasetReader, bands: Sequence[int], count: int | None = None) -> None:
    """Raises InputError unless the raster has a place and those bands, and as many as it must have."""
    if count not in (None, source.count):
        raise InputError(f"{file}: found {source.count} bands, expected the {count} of such a mask")
    if source.crs is None:
        raise InputError(f"{file}: found no coordinate reference system, expected a georeferenced raster")
    place = source.transform
    if not np.isfinite(tuple(place)).all() or place.is_degenerate or place.is_identity:
        raise InputError(f"{file}: found the geotransform {place.to_gdal()}, expected one that places its pixels")
    if max(bands) > source.count:
        raise InputError(f"{file}: found {source.count} bands, expected band {max(bands)} too")
    if kinds := {source.dtypes[band - 1] for band in bands if np.dtype(source.dtypes[band - 1]).kind not in "uif"}:
        raise InputError(f"{file}: found {kinds.pop()} numbers, expected real ones")


def crs_of(source: rasterio.DatasetReader) -> CRS:
    """The raster's system; GDAL is told where its longitudes run on beyond 180 degrees."""
    west, _, east, _ = _rectangle(source)
    if not source.crs.is_geographic or (west >= -180 and east <= 180):
        return source.crs
    return CRS.from_string(f"{source.crs.to_proj4()} +lon_wrap={(west + east) / 2}")


def _rectangle(source: rasterio.DatasetReader) -> tuple[float, float, float, float]:
    """West, south, east and north of the raster in its own system."""
    corners = [(x, y, 1) for x in (0, source.width) for y in (0, source.height)]
    xs, ys, _ = np.reshape(source.transform, (3, 3)) @ np.transpose(corners)
    return float(xs.min()), float(ys.min()), float(xs.max()), float(ys.max())


def bounds_in(source: rasterio.DatasetReader, crs: str) -> tuple[float, float, float, float]:
    """West, south, east and north of the raster in another system; infinite where that cannot show all of it."""
    west, south, east, north = transform_bounds(crs_of(source), crs, *_rectangle(source), densify_pts=21)
    infinite = float("inf")
    if not np.isfinite([west, south, east, north]).all():
        return -infinite, -infinite, infinite, infinite
    return west, south, east, north


def scale_on(source: rasterio.DatasetReader, grid: TileGrid) -> tuple[float, float] | None:
    """Lattice pixels per source pixel along the source's rows and columns, at its middle; None where it has none."""
    place = np.reshape(source.transform, (3, 3))
    middle_x, middle_y, _ = place @ (source.width / 2, source.height / 2, 1)
    (east,), (north,) = transform(crs_of(source), grid.crs, [middle_x], [middle_y])
    step = grid.gsd / 2
    xs, ys = transform(
        grid.crs, crs_of(source), [east - step, east + step, east, east], [north, north, north - step, north + step]
    )
    columns, rows, _ = np.linalg.inv(place) @ (xs, ys, np.ones(4))
    steps = [float(np.hypot(at[1] - at[0], at[3] - at[2])) for at in (columns, rows)]
    return (1 / steps[0], 1 / steps[1]) if np.isfinite(steps).all() and min(steps) > 0 else None
