"""A town and its scenes, which tests of `pm25 prepare --readings` share."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import rasterio
from rasterio.warp import transform

from model_utils.ingest.config import PrepareConfig
from model_utils.ingest.prepare import prepare

HOUR = timedelta(hours=1)
GSD, TILE = 100.0, 8
WINDOW = 1.5


def write_city(root: Path, name: str, zone: str, box: tuple[float, float, float, float], stations: str = " []") -> None:
    south, west, north, east = box
    folder = root / "data" / "cities"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.yaml").write_text(
        f"name: {name}\nbounding_box: {{south: {south}, west: {west}, north: {north}, east: {east}}}\n"
        f'time_zone: {zone}\noverpass_local_time: "10:30"\nstations:{stations}\n'
    )


def write_scenes(
    folder: Path, times: Iterable[datetime], crs: str, middle: tuple[float, float], gsd: float, size: int
) -> None:
    """Scenes of noise around a latitude and longitude, on the lattice of their zone."""
    folder.mkdir(parents=True)
    (x,), (y,) = transform("EPSG:4326", crs, [middle[1]], [middle[0]])
    left, top = (round(x / gsd) - size // 2) * gsd, (round(y / gsd) + size // 2) * gsd
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 3, "height": size, "width": size, "photometric": "RGB"}
    for seed, time in enumerate(times):
        values = np.random.default_rng(seed).integers(1, 255, (3, size, size), dtype=np.uint8)
        path = folder / f"scene_{time.astimezone(UTC):%Y%m%dT%H%M%S}.tif"
        with rasterio.open(
            path, "w", crs=crs, transform=rasterio.Affine(gsd, 0, left, 0, -gsd, top), **profile
        ) as file:
            file.write(values)


def utc(local: str, zone: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


def prepared(root: Path, scenes: Path, **settings: Any) -> None:
    common = {"scenes": scenes, "gsd": GSD, "tile_size": TILE, "workers": 1, "root": root}
    prepare(PrepareConfig(city="Town", **{**common, **settings}))
