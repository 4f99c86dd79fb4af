"""Small archives that tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from fork_server import ForkServer, fork_server
from matplotlib.figure import Figure

from model_utils.archive.reader import open_archive
from model_utils.archive.writer import ArchiveWriter
from model_utils.cities import load_city
from model_utils.project import SHIPPED_ROOT

torch.set_num_threads(1)  # the suite's tensors are tiny: a second thread costs more than it gives


def write_small_archive(
    root: Path,
    city: str = "Delhi",
    days: int = 6,
    tile_size: int = 32,
    stations: int | None = None,
    cells: int = 20,
    seed: int = 0,
    bands: tuple[str, ...] = ("red", "green", "blue"),
) -> Path:
    """Writes tiles whose brightness follows PM2.5 and whose texture belongs to the place.

    It is a test pattern with a known answer, not the simulation: brightness = haze, so an image method can learn it.
    """
    generator = np.random.default_rng(seed)
    listed = load_city(city, SHIPPED_ROOT).stations[:stations]
    box = load_city(city, SHIPPED_ROOT).bounding_box
    names = [station.name for station in listed] + [f"cell{number:02d}" for number in range(cells)]
    latitude = [station.latitude for station in listed] + list(generator.uniform(box.south, box.north, cells))
    longitude = [station.longitude for station in listed] + list(generator.uniform(box.west, box.east, cells))
    count = len(names)
    ground = generator.uniform(20, 120, (count, tile_size, tile_size, len(bands)))
    folder = root / "data" / city
    with ArchiveWriter(folder, tile_size, bands) as writer:
        for day in range(days):
            pm25 = 100 + 60 * np.sin(day) + generator.normal(0, 15, count)
            tiles = np.clip(ground + 0.5 * pm25[:, None, None, None], 0, 255).astype(np.uint8)
            time = pd.Timestamp("2018-01-01 05:00", tz="UTC") + pd.Timedelta(days=day)
            rows = pd.DataFrame(
                {
                    "sample_id": [f"{name}_{day:03d}" for name in names],
                    "site_id": names,
                    "site_name": names,
                    "latitude": latitude,
                    "longitude": longitude,
                    "time_utc": time,
                    "local_date": time.date(),
                    "scene_id": f"scene{day:03d}",
                    "pm25": np.where(np.arange(count) < len(listed), pm25, np.nan),
                }
            )
            writer.append(tiles, rows)
        writer.commit(city=city, ground_sample_distance_m=3.0, created_by={"command": "test"}, simulated="all")
    return folder


def rewrite_small_archive(root: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    """Writes that archive of Delhi again with changed rows and the same tiles."""
    archive = open_archive(root / "data" / "Delhi")
    tiles, samples, metadata = archive.tiles(), archive.samples, archive.metadata
    with ArchiveWriter(archive.folder, metadata.tile_size, metadata.bands, overwrite=True) as writer:
        writer.append(tiles, change(samples.copy()))
        writer.commit(city="Delhi", ground_sample_distance_m=3.0, simulated="all")


@pytest.fixture
def small_root(tmp_path: Path) -> Path:
    """A project root with a small archive of Delhi."""
    write_small_archive(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with the town of `map_town`: what tests write there goes into results of their own."""
    from map_town import write_town

    root = tmp_path_factory.mktemp("town")
    write_town(root)
    return root


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    """Runs of the command line that tests disturb."""
    with fork_server() as server:
        yield server


@pytest.fixture
def figures_unrendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Saves figures as empty files, for runs whose figures are not the point: each takes a second to render."""
    monkeypatch.setattr(Figure, "savefig", lambda self, path, **options: Path(path).write_bytes(b""))


@pytest.fixture(params=["every fourth", pytest.param("all others", marks=pytest.mark.slow)])
def seeds(request: pytest.FixtureRequest) -> Callable[[int], list[int]]:
    """The seeds of so many random cases: every fourth, and in a slow test of its own all others."""

    def chosen(count: int) -> list[int]:
        return [seed for seed in range(count) if (seed % 4 == 0) == (request.param == "every fourth")]

    return chosen
