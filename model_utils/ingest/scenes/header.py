"""What a raster's header says, read without a pixel and without a word from GDAL."""

from __future__ import annotations

import math
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rasterio
from rasterio import warp
from rasterio.crs import CRS

from model_utils.errors import InputError
from model_utils.ingest.storage import gdal_name, is_file

DRIVERS = {".tif": "GTiff", ".tiff": "GTiff", ".jp2": "JP2OpenJPEG"}
"""Named, so that a text file called .tif cannot make GDAL open whatever it points to."""

SEALED = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # no .msk, .ovr, .aux.xml or .tfw beside a raster is looked for
    "GDAL_PAM_ENABLED": "NO",
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".none",
    "GDAL_HTTP_PROXY": "127.0.0.1:1",  # where nothing listens: what would be fetched is not
    "GDAL_HTTPS_PROXY": "127.0.0.1:1",
}
"""GDAL's options while a raster is open: its bytes alone say what is read, and nothing is fetched."""

_BLOCK_PIXELS = 2**22  # 2048 x 2048: small images are padded to a whole tile


@dataclass(frozen=True)
class Header:
    """A georeferenced raster.

    Attributes:
        path: The file.
        dtype: Type of its numbers, such as 'uint16'.
        descriptions: Of each band, '' where the file has none.
        colours: GDAL's colour interpretation of each band, such as 'red' or 'undefined'.
        scales: Of each band: physical value = scale x number + offset.
        offsets: See scales.
        tags: TIFF and IMAGERY tags by upper-case name.
        grid: CRS, the six numbers of the transform, width and height: equal for bands that lie upon each other.
    """

    path: Path
    dtype: str
    descriptions: tuple[str, ...]
    colours: tuple[str, ...]
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    tags: dict[str, str]
    grid: tuple[CRS, tuple[float, ...], int, int]

    @property
    def count(self) -> int:
        """Number of bands."""
        return len(self.colours)

    @property
    def pixels(self) -> int:
        """Number of pixels of a band."""
        return self.grid[2] * self.grid[3]


@contextmanager
def quiet_gdal() -> Iterator[None]:
    """Keeps GDAL's warnings and messages off the terminal; errors still come as exceptions. For one thread."""
    hooks, stderr = (sys.excepthook, sys.unraisablehook), os.dup(2)
    # rasterio's logger of GDAL messages fails on a damaged file's bytes, and Python prints that failure by both hooks;
    # what is raised in earnest leaves this block before they are asked
    sys.excepthook, sys.unraisablehook = (lambda *_: None), (lambda _: None)
    try:
        with warnings.catch_warnings(), rasterio.Env(**SEALED), Path(os.devnull).open("wb") as nowhere:
            warnings.simplefilter("ignore")
            os.dup2(nowhere.fileno(), 2)  # libgeotiff writes there, past all handlers
            yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        sys.excepthook, sys.unraisablehook = hooks


@contextmanager
def open_raster(path: Path) -> Iterator[Any]:
    """Opens a raster as what its suffix says; to be used with GDAL's options `SEALED`.

    Raises:
        InputError: Its metadata send GDAL to another file for its overviews.
    """
    with rasterio.open(gdal_name(path), driver=DRIVERS[path.suffix.lower()]) as dataset:
        if elsewhere := dataset.tags(ns="OVERVIEWS").get("OVERVIEW_FILE"):
            raise InputError(f"{path}: its metadata name {elsewhere[:100]!r} for its overviews, expected them inside")
        yield dataset


def read_header(path: Path) -> Header:
    """Reads the header of a GeoTIFF or JPEG 2000 file.

    Raises:
        InputError: It is not one, is damaged, holds complex numbers, or does not say where on the earth it lies.
    """
    if not is_file(path):  # a folder, a broken link, or a pipe that would never end
        raise InputError(f"{path}: not a file, expected a raster")
    try:
        with quiet_gdal(), open_raster(path) as dataset:
            fault = _blocks_fault(dataset) or _whereabouts_fault(dataset)
            header = Header(
                path=path,
                dtype=str(dataset.dtypes[0]),
                descriptions=tuple((text or "").strip() for text in dataset.descriptions),
                colours=tuple(colour.name for colour in dataset.colorinterp),
                scales=tuple(dataset.scales),
                offsets=tuple(dataset.offsets),
                tags={
                    name.upper(): value
                    for tags in (dataset.tags(), dataset.tags(ns="IMAGERY"))
                    for name, value in tags.items()
                },
                grid=(dataset.crs, tuple(dataset.transform)[:6], dataset.width, dataset.height),
            )
    except InputError:
        raise
    except Exception as error:  # GDAL's complaints about damaged files come as a dozen types
        raise InputError(f"{path}: not readable as an image ({' '.join(str(error).split())[:200]})") from None
    if fault:
        raise InputError(f"{path}: {fault}")
    return header


def _blocks_fault(dataset: Any) -> str:
    """Whether reading a pixel would take memory for many more than there are, or ''."""
    height, width = map(max, zip(*dataset.block_shapes, strict=True))
    if height * width <= max(4 * dataset.height * dataset.width, _BLOCK_PIXELS):
        return ""
    return f"its blocks of {width} x {height} px are larger than its {dataset.width} x {dataset.height} px"


def _whereabouts_fault(dataset: Any) -> str:
    """Why a dataset's place on the earth is not known, or ''."""
    transform = dataset.transform
    placed = bool(dataset.crs) and not transform.is_identity
    if not placed and (dataset.gcps[0] or dataset.rpcs):
        return "placed by ground control points or RPCs only, expected a map projection (gdalwarp makes one)"
    if not dataset.crs:
        return "has no coordinate reference system (gdal_edit -a_srs sets one)"
    numbers = tuple(transform)[:6]
    if transform.is_identity or not all(map(math.isfinite, numbers)) or transform.determinant == 0:
        return f"its geotransform is {list(numbers)}, expected the place and size of its pixels"
    eastings, northings = zip(
        *(transform * (x, y) for x in (0, dataset.width) for y in (0, dataset.height)), strict=True
    )
    try:
        longitudes, latitudes = warp.transform(dataset.crs, "EPSG:4326", eastings, northings)
    except Exception:  # a coordinate reference system of no earthly place
        longitudes = latitudes = [math.inf]
    if not (all(abs(degrees) <= 360 for degrees in longitudes) and all(abs(degrees) <= 90 for degrees in latitudes)):
        return f"its bounds {list(dataset.bounds)} are not on the earth in its coordinate reference system"
    return ""
