"""The city's window of remote rasters: read over HTTP by GDAL, a few blocks of each, granules put together."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds

from model_utils.cities import City
from model_utils.errors import InputError
from model_utils.ingest.scenes.grid import city_grid

REMOTE = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # no listing of the server's folder is asked for
    "GDAL_PAM_ENABLED": "NO",
    "GDAL_HTTP_MAX_RETRY": "6",
    "GDAL_HTTP_RETRY_DELAY": "1",  # seconds, more after each
    "GDAL_HTTP_RETRY_CODES": "ALL",
    "GDAL_HTTP_CONNECTTIMEOUT": "20",
    "GDAL_HTTP_LOW_SPEED_TIME": "30",
    "GDAL_HTTP_LOW_SPEED_LIMIT": "100",  # bytes a second
    "GDAL_INGESTED_BYTES_AT_OPEN": "32768",  # the header of a COG at once
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "CPL_VSIL_CURL_NON_CACHED": "/vsicurl/",  # what failed is asked for again, not remembered as missing
}
"""GDAL's options while remote rasters are open."""


@dataclass(frozen=True)
class Window:
    """Pixels over a city.

    Attributes:
        crs: UTM zone of the city.
        west: Of the left edge, metres; a multiple of the pixel, or half a pixel off it, as the images have it.
        north: Of the upper edge.
        pixel: Size of a pixel, metres.
        height: Number of rows.
        width: Number of columns.
    """

    crs: str
    west: float
    north: float
    pixel: float
    height: int
    width: int

    @property
    def transform(self) -> rasterio.Affine:
        """Of the window's pixels."""
        return rasterio.Affine(self.pixel, 0, self.west, 0, -self.pixel, self.north)


def city_window(city: City, pixel: float, phase: float = 0.0) -> Window:
    """The window around a city's bounding box.

    Args:
        city: The city.
        pixel: Size of a pixel, metres.
        phase: How far the edges of pixels lie off whole multiples of their size, metres.
    """
    box, zone = city.bounding_box, city_grid(city, 1.0, 1).crs
    west, south, east, north = transform_bounds(
        "EPSG:4326", zone, box.west, box.south, box.east, box.north, densify_pts=99
    )
    left, right = math.floor((west - phase) / pixel), math.ceil((east - phase) / pixel)
    bottom, top = math.floor((south - phase) / pixel), math.ceil((north - phase) / pixel)
    return Window(zone, left * pixel + phase, top * pixel + phase, pixel, top - bottom, right - left)


def certificates() -> dict[str, str]:
    """Certificates to trust as the environment names them for all other questions, told to GDAL as well."""
    bundle = os.environ.get("CURL_CA_BUNDLE") or os.environ.get("REQUESTS_CA_BUNDLE")
    return {"CURL_CA_BUNDLE": bundle} if bundle else {}


@contextmanager
def remote(address: str) -> Iterator[None]:
    """Whatever goes wrong inside is the address's fault, without what stands behind ? in it.

    Raises:
        InputError: Instead of any other exception.
    """
    try:
        with rasterio.Env(**REMOTE, **certificates()):
            yield
    except InputError:
        raise
    except Exception as error:  # what GDAL says of servers comes as a dozen types
        plain = address.partition("?")[0]
        words = " ".join(str(error.__cause__ or error).split()).replace(address, plain)
        raise InputError(f"{plain}: not readable ({words[:200]})") from None


def read_window(
    address: str, window: Window, empty: int, resampling: Resampling
) -> tuple[NDArray[np.number], NDArray[np.bool_]]:
    """Reads the one band of a remote raster.

    Args:
        address: Of the raster.
        window: Where.
        empty: The number that stands for no data, unless the raster names another.
        resampling: Where pixels do not lie upon each other, as in another UTM zone.

    Returns:
        Numbers, height x width, and which of them are data.

    Raises:
        InputError: It cannot be read.
    """
    with remote(address), _fine_enough(address, window) as source:
        exact = source.crs == CRS.from_string(window.crs) and _upon(source.transform, window)
        nodata = empty if source.nodata is None else source.nodata
        with WarpedVRT(
            source,
            crs=window.crs,
            transform=window.transform,
            width=window.width,
            height=window.height,
            resampling=Resampling.nearest if exact else resampling,
            src_nodata=nodata,
            nodata=nodata,
        ) as warped:
            numbers: NDArray[np.number] = warped.read(1)
    return numbers, numbers != nodata


@contextmanager
def _fine_enough(address: str, window: Window) -> Iterator[rasterio.DatasetReader]:
    """Opens a raster, or the coarsest of its overviews whose pixels are no larger than the window's."""
    with rasterio.open(address) as source:
        same = source.crs is not None and source.crs.is_projected
        factor = window.pixel / abs(source.transform.a) if same else 1.0
        fitting = [level for level, by in enumerate(source.overviews(1)) if by <= factor]
        if not fitting:
            yield source
            return
    with rasterio.open(address, overview_level=fitting[-1]) as overview:
        yield overview


def read_codes(addresses: Sequence[str], window: Window, empty: int) -> NDArray[np.number]:
    """Reads the quality masks of some granules; where they overlap the first that holds data counts.

    Args:
        addresses: Of the masks.
        window: Where.
        empty: The code for no data.

    Returns:
        Codes, height x width.

    Raises:
        InputError: One cannot be read.
    """
    found = np.full((window.height, window.width), empty, np.int64)
    missing = np.ones(found.shape, bool)
    for address in addresses:
        codes, data = read_window(address, window, empty, Resampling.nearest)
        found[missing & data] = codes[missing & data]
        missing &= ~data
    return found


def _upon(transform: rasterio.Affine, window: Window) -> bool:
    """Whether pixels lie upon those of a window."""
    off = (transform.c - window.west) / window.pixel, (transform.f - window.north) / window.pixel
    same = (transform.a, transform.b, transform.d, transform.e) == (window.pixel, 0, 0, -window.pixel)
    return same and all(abs(steps - round(steps)) < 1e-6 for steps in off)
