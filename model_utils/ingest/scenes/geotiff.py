"""Rasters that no provider's order stands behind: NAIP tiles, known by name, and any other GeoTIFF."""

from __future__ import annotations

import re
from pathlib import Path

from model_utils.errors import InputError
from model_utils.ingest.scenes.delivery import Delivery, delivered_bands
from model_utils.ingest.scenes.header import Header, read_header
from model_utils.ingest.scenes.sidecars import json_time
from model_utils.ingest.scenes.times import Stamp, parsed_time

NAIP, GEOTIFF = "naip", "geotiff"
_DTYPES = ("uint8", "uint16", "int16", "float32", "float64")
_NAIP = re.compile(r"m_\d{7}_(?:ne|nw|se|sw)_\d{1,2}_[0-9a-z]+_(?P<date>\d{8})(?:_\d{8})?\.tiff?", re.IGNORECASE)


def product_of(raster: Path) -> str:
    """Tells NAIP's names (https://www.fsa.usda.gov, quarter quadrangles) from all others."""
    return NAIP if _NAIP.fullmatch(raster.name) else GEOTIFF


def read_naip(raster: Path) -> Delivery:
    """Reads the header of a NAIP tile: red, green, blue and, in four, near infrared; the first date is the flight's.

    Raises:
        InputError: The file is not what its name says.
    """
    header = read_header(raster)
    if header.count not in (3, 4) or header.dtype != "uint8":
        raise InputError(
            f"{raster}: found {header.count} bands of {header.dtype}, expected 3 or 4 of uint8 as its NAIP name says"
        )
    found = _NAIP.fullmatch(raster.name)
    date = parsed_time(found["date"], "name") if found else None
    return _delivery(header, raster.stem, NAIP, ("red", "green", "blue", "nir"), None, date, ())


def read_geotiff(raster: Path, folder: Path) -> Delivery:
    """Reads the header of any other raster; its id is its path below the folder.

    Raises:
        InputError: Its numbers are of a type that is not read.
    """
    header = read_header(raster)
    if header.dtype not in _DTYPES:
        raise InputError(
            f"{raster}: found {header.dtype} numbers, expected {', '.join(_DTYPES)} (gdal_translate -ot converts)"
        )
    sidecar = raster.with_name(f"{raster.stem}_metadata.json")
    time = json_time(sidecar) if sidecar.is_file() else None
    scene_id = raster.relative_to(folder).with_suffix("").as_posix()
    return _delivery(header, scene_id, GEOTIFF, (), time, None, (sidecar,) if time else ())


def _delivery(
    header: Header,
    scene_id: str,
    product: str,
    names: tuple[str, ...],
    metadata_time: Stamp | None,
    name_time: Stamp | None,
    sidecars: tuple[Path, ...],
) -> Delivery:
    return Delivery(
        path=header.path,
        scene_id=scene_id,
        product=product,
        bands=delivered_bands(header, names),
        dtype=header.dtype,
        reflectance=False,
        missing="",
        metadata_time=metadata_time,
        name_time=name_time,
        tags=header.tags,
        mask_kind="none",
        mask_file=None,
        surface_reflectance=False,
        sidecars=sidecars,
    )
