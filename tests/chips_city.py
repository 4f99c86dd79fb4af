"""A small city, its tiles and their table, which tests of `pm25 prepare --images` share."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck
from PIL import Image

from model_utils.archive.reader import TileArchive, open_archive
from model_utils.errors import InputError
from model_utils.ingest.config import PrepareConfig
from model_utils.ingest.prepare import prepare

CITY = """\
name: {name}
bounding_box: {{south: {south}, west: {west}, north: {north}, east: {east}}}
time_zone: {zone}
overpass_local_time: "10:30"
stations: []
"""
ZONE = ZoneInfo("America/Los_Angeles")
GOOD_TABLE = """\
longitude,latitude,acquired_utc,site,pm25
-122.1,37.7,2016-07-23T18:13:17Z,north,12.5
-122.2,37.6,2016-07-23T18:13:17Z,south,
-122.1,37.7,2016-07-24T03:00:00Z,north,30
-122.2,37.6,2016-07-24T03:00:00Z,south,NA
"""
KINDS = ("npy", "npz", "npz, packed, among others", "png", "tif")
QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


def make_city(root: Path, name: str = "Bay", box: tuple[float, ...] = (30, -130, 45, -110)) -> None:
    folder = root / "data" / "cities"
    folder.mkdir(parents=True, exist_ok=True)
    south, west, north, east = box
    text = CITY.format(name=name, south=south, west=west, north=north, east=east, zone=ZONE.key)
    (folder / f"{name}.yaml").write_text(text)


def random_tiles(count: int, size: int = 5, bands: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, bands), dtype=np.uint8)


def make_root(root: Path) -> Path:
    """A root with a city, four tiles and their table."""
    make_city(root)
    np.save(root / "chips.npy", random_tiles(4))
    (root / "chips.csv").write_text(GOOD_TABLE)
    return root


def config(root: Path, images: str = "chips.npy", table: str = "chips.csv", **changes: Any) -> PrepareConfig:
    return PrepareConfig(city="Bay", images=root / images, table=root / table, gsd=3.0, root=root, **changes)


def opened(root: Path) -> TileArchive:
    return open_archive(root / "data" / "Bay")


def refusal(config: PrepareConfig) -> str:
    """The message of the InputError; nothing may be left."""
    with pytest.raises(InputError) as caught:
        prepare(config)
    assert "\n" not in str(caught.value)
    assert not (config.root / "data" / "Bay").exists()
    return str(caught.value)


def save_images(root: Path, kind: str, tiles: np.ndarray) -> str:
    """Writes tiles as one of the accepted forms and returns the name; folders hold t0.png, t1.png ..."""
    if kind == "npy":
        np.save(root / "chips.npy", tiles)
        return "chips.npy"
    if kind == "npz":
        np.savez(root / "chips.npz", tiles)
        return "chips.npz"
    if kind == "npz, packed, among others":
        np.savez_compressed(root / "chips.npz", labels=np.arange(3), images=tiles)
        return "chips.npz"
    folder = root / "tiles"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for number, tile in enumerate(tiles):
        if kind == "png":
            Image.fromarray(tile).save(folder / f"t{number}.png")
        else:
            profile = {"driver": "GTiff", "dtype": "uint8", "count": tile.shape[2], "compress": "deflate"}
            size = {
                "height": len(tile),
                "width": len(tile),
                "transform": rasterio.Affine(3, 0, 500_000, 0, -3, 4_000_000),
            }
            with rasterio.open(folder / f"t{number}.tif", "w", **profile, **size) as dataset:
                dataset.write(np.moveaxis(tile, -1, 0))
    return "tiles"


def folder_root(root: Path) -> list[str]:
    save_images(root, "png", random_tiles(4))
    return [f"t{number}.png" for number in range(4)]
