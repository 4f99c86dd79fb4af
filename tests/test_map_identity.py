"""A map is kept only where nothing that its numbers depend on has changed, whatever it is called."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from map_town import DAYS, SPACING
from placed_scenes import around_town, moved, write_scene

from model_utils.mapping.config import MapConfig
from model_utils.mapping.job import opened

HALF = 90  # pixels


def written_area(root: Path, east: float) -> None:
    corners = [[77.20, 28.61], [east, 28.61], [east, 28.66], [77.20, 28.66], [77.20, 28.61]]
    (root / "area.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": [corners]}))


def written_half(root: Path, day: int) -> None:
    """The eastern half of a day's scene, called like the western half in another folder."""
    place = moved(around_town(), HALF, 0)
    path = write_scene(root / "scenes" / "east", DAYS[day], place=place, shape=(2 * HALF, HALF))
    path.rename(path.with_name(next((root / "scenes" / "west").iterdir()).name))


def replaced(root: Path, old: str, new: str) -> None:
    path = root / "data" / "cities" / "Town.yaml"
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


@pytest.fixture
def root(town: Path, tmp_path: Path) -> Path:
    """A town whose files may be changed."""
    shutil.copytree(town / "model", tmp_path / "model")
    (tmp_path / "data").mkdir()
    shutil.copytree(town / "data" / "cities", tmp_path / "data" / "cities")
    (tmp_path / "data" / "Town").symlink_to(town / "data" / "Town")
    write_scene(tmp_path / "scenes" / "west", DAYS[0], shape=(2 * HALF, HALF))
    written_half(tmp_path, 0)
    written_area(tmp_path, 77.25)
    return tmp_path


CHANGES: dict[str, Callable[[Path], None]] = {
    "the area in the file": lambda root: written_area(root, 77.24),
    "the city's box": lambda root: replaced(root, "north: 28.67", "north: 28.65"),
    "the city's clock": lambda root: replaced(root, "Asia/Kolkata", "Asia/Tokyo"),
    "a scene that is called like another one": lambda root: written_half(root, 1),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_numbers_makes_another_map(root: Path, change: str) -> None:
    config = MapConfig(
        "Town",
        root / "model",
        scenes=root / "scenes",
        area=str(root / "area.geojson") if "area" in change else None,
        spacing_metres=SPACING,
        root=root,
    )
    before = opened(config).identity()
    assert opened(config).identity() == before
    CHANGES[change](root)
    assert opened(config).identity() != before
