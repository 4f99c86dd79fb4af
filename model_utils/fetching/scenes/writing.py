"""An overpass as a STAC item with two COGs, the bands and the quality mask, which `pm25 prepare` reads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.io import MemoryFile
from rasterio.warp import transform_bounds, transform_geom

from model_utils import atomic
from model_utils.fetching.scenes.look import Look, empty_code
from model_utils.fetching.scenes.search import Overpass
from model_utils.fetching.scenes.sources import SceneSource
from model_utils.fetching.scenes.tokens import Sign
from model_utils.fetching.scenes.window import Window, read_codes, read_window
from model_utils.ingest.scenes.masks import MASKS
from model_utils.ingest.storage import file_hash

ITEM, BANDS, MASK = "item.json", "bands.tif", "mask.tif"
_NO_DATA = 0


def write_overpass(
    folder: Path, overpass: Overpass, source: SceneSource, window: Window, bands: Sequence[str], look: Look, sign: Sign
) -> Path:
    """Fetches the city's window of an overpass and writes it; the item comes last, so that what has one is whole.

    Args:
        folder: Of the scene; it is made.
        overpass: The granules.
        source: Where they come from.
        window: The city.
        bands: In the order of the file.
        look: What was seen of it.
        sign: Gives the addresses that are read.

    Returns:
        The item.

    Raises:
        InputError: A file cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    gain, offset = overpass.granules[0].scalings[bands[0]]
    atomic.write_bytes(folder / BANDS, _bands(overpass, window, bands, (gain, offset), sign))
    codes = read_codes(overpass.masks(sign), window, empty_code(source))
    mask = iter([codes.astype(MASKS[source.mask].dtype)])
    atomic.write_bytes(folder / MASK, _cog(mask, MASKS[source.mask].dtype, window, [source.mask], None))
    content = _item(folder, overpass, source, window, bands, (gain, offset), look)
    atomic.write_text(folder / ITEM, json.dumps(content, indent=1))
    return folder / ITEM


def is_whole(folder: Path) -> bool:
    """Whether a scene is there, with the very files that its item tells of."""
    try:
        assets = json.loads((folder / ITEM).read_text(encoding="utf-8"))["assets"].values()
        return all(
            (folder / asset["href"]).stat().st_size == asset["file:size"]
            and file_hash(folder / asset["href"]) == asset["file:checksum"].removeprefix(_SHA256)
            for asset in assets
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False


_SHA256 = "1220"
"""How a multihash of 32 bytes of SHA-256 begins."""


def _bands(overpass: Overpass, window: Window, bands: Sequence[str], scaling: tuple[float, float], sign: Sign) -> bytes:
    """Reads band by band, and brings all to one gain and offset."""

    def numbers(colour: str) -> NDArray[np.uint16]:
        found = np.full((window.height, window.width), _NO_DATA, np.uint16)
        missing = np.ones(found.shape, bool)
        for granule in overpass.granules:
            if not missing.any():
                break
            address = sign(granule.files[colour], granule.collection)
            read, data = read_window(address, window, _NO_DATA, Resampling.bilinear)
            chosen = missing & data
            own, values = granule.scalings[colour], read[chosen].astype(np.float64)
            if own != scaling:
                values = np.rint((own[0] * values + own[1] - scaling[1]) / scaling[0])
            found[chosen] = values.clip(_NO_DATA + 1, np.iinfo(np.uint16).max)
            missing &= ~data
        return found

    return _cog((numbers(colour) for colour in bands), "uint16", window, bands, _NO_DATA)


def _cog(
    bands: Iterable[NDArray[np.number]], dtype: str, window: Window, names: Sequence[str], nodata: int | None
) -> bytes:
    """A cloud-optimised GeoTIFF of bands that come one by one."""
    profile = {
        "driver": "GTiff",
        "count": len(names),
        "dtype": dtype,
        "height": window.height,
        "width": window.width,
        "crs": window.crs,
        "transform": window.transform,
        "nodata": nodata,
        "tiled": True,
        "compress": "lzw",
        "interleave": "band",
    }
    resampling = "nearest" if nodata is None else "average"
    with MemoryFile() as plain, MemoryFile() as optimised:
        with plain.open(**profile) as target:
            for number, band in enumerate(bands, start=1):
                target.write(band, number)
            target.descriptions = tuple(names)
        with plain.open() as source:
            rasterio.shutil.copy(
                source, optimised.name, driver="COG", compress="deflate", blocksize=512, overview_resampling=resampling
            )
        return bytes(optimised.getbuffer())


def _item(
    folder: Path,
    overpass: Overpass,
    source: SceneSource,
    window: Window,
    bands: Sequence[str],
    scaling: tuple[float, float],
    look: Look,
) -> dict[str, Any]:
    west, north, size = window.west, window.north, window.pixel
    east, south = west + window.width * size, north - window.height * size
    outline = {
        "type": "Polygon",
        "coordinates": [[[west, south], [east, south], [east, north], [west, north], [west, south]]],
    }
    time = overpass.time.astimezone(UTC)
    first = overpass.granules[0].item
    projection = {
        "proj:code": window.crs,
        "proj:shape": [window.height, window.width],
        "proj:transform": [size, 0.0, west, 0.0, -size, north],
    }
    described: Mapping[str, Any] = {
        "eo:bands": [{"name": colour, "common_name": colour} for colour in bands],
        "raster:bands": [
            {"data_type": "uint16", "nodata": _NO_DATA, "scale": scaling[0], "offset": scaling[1]} for _ in bands
        ],
        "roles": ["data", "reflectance"],
    }
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": folder.name,
        "collection": str(first.content.get("collection", source.collections[0])),
        "bbox": [round(value, 7) for value in transform_bounds(window.crs, "EPSG:4326", west, south, east, north)],
        "geometry": transform_geom(window.crs, "EPSG:4326", outline, precision=7),
        "properties": {
            "datetime": time.isoformat().replace("+00:00", "Z"),
            "platform": overpass.granules[0].platform,
            "created_from": [granule.item.scene_id for granule in overpass.granules],
            "pm25:covered": round(look.covered, 4),
            "eo:cloud_cover": round(100 * look.cloudy, 2),
            "license": source.licence,
            "attribution": source.attribution.format(year=time.year),
            **projection,
        },
        "links": [],
        "assets": {
            "data": {"href": BANDS, **_file(folder / BANDS), **described},
            source.mask: {"href": MASK, **_file(folder / MASK), "roles": ["data-mask"]},
        },
    }


def _file(path: Path) -> dict[str, Any]:
    """Size and checksum of a file, as STAC's extension for files has them."""
    cog = "image/tiff; application=geotiff; profile=cloud-optimized"
    return {"type": cog, "file:size": path.stat().st_size, "file:checksum": f"{_SHA256}{file_hash(path)}"}
