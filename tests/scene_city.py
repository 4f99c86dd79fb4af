"""A small city and its scenes, which tests of `pm25 prepare --scenes` share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rasterio
from rasterio.warp import transform

from model_utils.cli.main import main
from model_utils.ingest.config import PrepareConfig

ZONE, GSD, TILE, SIZE = "EPSG:32643", 10.0, 16, 120
LEFT, TOP = 716_000.0, 3_170_000.0  # in Delhi, on the lattice
CITY = """\
name: Delhi
bounding_box: {south: 28.61, west: 77.19, north: 28.65, east: 77.24}
time_zone: Asia/Kolkata
overpass_local_time: "10:30"
stations:
"""


def centre(column: float, row: float) -> tuple[float, float]:
    """Latitude and longitude of a pixel corner of the test scenes."""
    (longitude,), (latitude,) = transform(ZONE, "EPSG:4326", [LEFT + column * GSD], [TOP - row * GSD])
    return latitude, longitude


STATIONS = {"Alpha": (30, 40), "Beta": (70, 60), "Gamma": (100, 100)}  # column, row


def make_root(root: Path) -> Path:
    folder = root / "data" / "cities"
    folder.mkdir(parents=True)
    lines = [
        f"  - {{name: {name}, latitude: {place[0]:.8f}, longitude: {place[1]:.8f}}}"
        for name, place in ((name, centre(*at)) for name, at in STATIONS.items())
    ]
    (folder / "Delhi.yaml").write_text(CITY + "\n".join(lines) + "\n")
    (root / "scenes").mkdir()
    return root


def pixels(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 255, (3, SIZE, SIZE), dtype=np.uint8)


def write_scene(root: Path, name: str, values: np.ndarray, **profile: Any) -> Path:
    path = root / "scenes" / f"{name}.tif"
    settings = {
        "driver": "GTiff",
        "count": 3,
        "height": SIZE,
        "width": SIZE,
        "dtype": values.dtype,
        "crs": ZONE,
        "transform": rasterio.Affine(GSD, 0, LEFT, 0, -GSD, TOP),
        "photometric": "RGB",
        **profile,
    }
    with rasterio.open(path, "w", **settings) as file:
        file.write(values)
    return path


def scene_name(day: int) -> str:
    return f"scene_201901{day:02d}T051200"


def config(root: Path, **changes: Any) -> PrepareConfig:
    settings = {"scenes": root / "scenes", "gsd": GSD, "tile_size": TILE, "workers": 1, "root": root, **changes}
    return PrepareConfig(city="Delhi", **settings)


def last_line(capsys: pytest.CaptureFixture[str]) -> str:
    """The error; progress may stand before it, and nothing else."""
    *before, error = capsys.readouterr().err.splitlines()
    assert all(line.startswith("scenes: ") for line in before)
    return error


def run(root: Path, *flags: str) -> int:
    words = ["--city", "Delhi", "--scenes", str(root / "scenes"), "--gsd", "10", "--tile-size", str(TILE)]
    return main(["prepare", *words, "--workers", "1", "--root", str(root), *flags])


def contents(root: Path) -> dict[str, Any]:
    folder = root / "data" / "Delhi"
    metadata = json.loads((folder / "archive.json").read_text().replace(str(root), "ROOT"))
    for source in metadata["sources"]:
        source.pop("changed_ns", None)
    return {
        "images": (folder / "images.npy").read_bytes(),
        "samples": pd.read_parquet(folder / "samples.parquet").to_csv(),
        "metadata": metadata,
    }
