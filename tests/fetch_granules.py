"""Granules of Sentinel-2 for a catalogue on loopback, of a ground that is known in degrees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import rasterio
from fetch_scene_server import World
from rasterio.warp import transform, transform_bounds

COLOURS = {"red": "B04", "green": "B03", "blue": "B02"}
Ground = Callable[[str, np.ndarray, np.ndarray], np.ndarray]
"""Reflectance by colour, longitudes and latitudes."""


def reflectance(colour: str, longitude: np.ndarray, latitude: np.ndarray) -> np.ndarray:
    """The same ground, whatever zone it is seen in."""
    across = (longitude - 77.9) / 0.2
    up = (latitude - 28.5) / 0.2
    return {"red": 0.05 + 0.2 * across, "green": 0.05 + 0.2 * up, "blue": 0.05 + 0.1 * (across + up)}[colour]


def write_granule(
    world: World,
    name: str,
    when: str,
    zone: int = 43,
    cloud: float = 0.0,
    applied: bool = False,
    covers: float = 1.0,
    collection: str = "sentinel-2-c1-l2a",
    seed: int | None = None,
    ground: Ground = reflectance,
    middle: tuple[float, float] = (78.0, 28.615),
    size: int = 600,
) -> dict[str, Any]:
    """A granule of Collection 1: numbers with an offset of 1000 unless it was applied, SCL at 20 m, an item."""
    crs = f"EPSG:326{zone}"
    (east,), (north,) = transform("EPSG:4326", crs, [middle[0]], [middle[1]])
    left, top = round(east / 20) * 20 - size * 5, round(north / 20) * 20 + size * 5
    columns, rows = np.meshgrid(left + 10 * (np.arange(size) + 0.5), top - 10 * (np.arange(size) + 0.5))
    longitude, latitude = (
        np.reshape(values, columns.shape) for values in transform(crs, "EPSG:4326", columns.ravel(), rows.ravel())
    )
    empty = np.zeros((size, size), bool)
    empty[:, int(covers * size) :] = True
    if zone == 43 and middle[0] == 78.0:
        empty |= longitude > 78.001  # where its neighbour goes on
    assets: dict[str, Any] = {}
    profile: dict[str, Any] = {
        "driver": "COG",
        "height": size,
        "width": size,
        "count": 1,
        "dtype": "uint16",
        "crs": crs,
        "transform": rasterio.Affine(10, 0, left, 0, -10, top),
        "nodata": 0,
        "compress": "deflate",
        "blocksize": 128,
    }
    folder = world.folder / name
    folder.mkdir(parents=True)
    noise = np.random.default_rng(seed or 0).integers(0, 3, (size, size)) if seed else 0
    for colour, band in COLOURS.items():
        numbers = np.rint(ground(colour, longitude, latitude) * 10_000) + (0 if applied else 1000) + noise
        numbers[empty] = 0
        with rasterio.open(folder / f"{band}.tif", "w", **profile) as file:
            file.write(numbers.astype(np.uint16), 1)
        scale = {"nodata": 0, "data_type": "uint16", "scale": 0.0001, "offset": -0.1}
        assets[colour] = {
            "href": f"HERE/files/{name}/{band}.tif",
            "type": "image/tiff; application=geotiff; profile=cloud-optimized",
            "eo:bands": [{"name": band, "common_name": colour}],
            "raster:bands": [scale],
            "roles": ["data", "reflectance"],
        }
        assets[f"{colour}-jp2"] = {**assets[colour], "href": f"s3://somewhere/{band}.jp2"}
    codes = np.where(empty[::2, ::2], 0, 4).astype(np.uint8)
    codes[: int(cloud * size / 2)][codes[: int(cloud * size / 2)] == 4] = 9
    mask = {**profile, "dtype": "uint8", "height": size // 2, "width": size // 2}
    with rasterio.open(
        folder / "SCL.tif", "w", **{**mask, "transform": rasterio.Affine(20, 0, left, 0, -20, top)}
    ) as file:
        file.write(codes, 1)
    assets["scl"] = {"href": f"HERE/files/{name}/SCL.tif", "roles": ["data"]}
    assets["visual"] = {"href": f"HERE/files/{name}/TCI.tif", "roles": ["visual"], "eo:bands": [{"name": "red"}] * 3}
    properties: dict[str, Any] = {"datetime": when, "platform": "sentinel-2a", "eo:cloud_cover": 99.0}
    if applied:
        properties["earthsearch:boa_offset_applied"] = True
    item = {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": [],
        "id": name,
        "collection": collection,
        "bbox": list(transform_bounds(crs, "EPSG:4326", left, top - 10 * size, left + 10 * size, top)),
        "geometry": None,
        "links": [],
        "properties": properties,
        "assets": assets,
    }
    world.items.append(item)
    return item
