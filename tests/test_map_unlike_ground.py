"""Ground that is like none at the stations falls outside of the area of applicability, and has no value there."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
from map_town import GSD, TILE, write_town

from model_utils.mapping.config import MapConfig
from model_utils.mapping.layers import REASON
from model_utils.mapping.run import predict_map

FIRST, END = 60, 120  # pixels of 50 m: a square of 3 km in the middle


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("town")
    write_town(root)
    return root


def paste(scenes: Path, to: Path) -> None:
    """The same scenes, their middle taken by bright stripes: no place of the town looks like that."""
    shutil.copytree(scenes, to)
    stripes = np.where(np.arange(END - FIRST) // 2 % 2, 250, 5).astype(np.uint8)
    for path in to.glob("*.tif"):
        with rasterio.open(path, "r+") as file:
            values = file.read()
            values[:, FIRST:END, FIRST:END] = stripes
            file.write(values)


def test_a_far_away_land_cover_is_outside_and_nothing_else_changes(town: Path, tmp_path: Path) -> None:
    paste(town / "known", tmp_path / "pasted")
    common = {"city": "Town", "model": town / "model", "root": town, "spacing_metres": 400.0, "precision": "32-true"}
    before, after = (
        predict_map(MapConfig(**common, scenes=scenes)) for scenes in (town / "known", tmp_path / "pasted")
    )
    with rasterio.open(next((town / "known").glob("*.tif"))) as file:
        left, top = file.bounds.left, file.bounds.top
    x, y = np.meshgrid(before["x"].to_numpy(), before["y"].to_numpy())
    east, south = (x - left) / GSD, (top - y) / GSD  # pixels
    half = TILE / 2
    from_middle = np.maximum(np.abs(east - (FIRST + END) / 2), np.abs(south - (FIRST + END) / 2))
    pasted, apart = from_middle < (END - FIRST) / 2 - half, from_middle > (END - FIRST) / 2 + half + 1
    assert pasted.sum() >= 4
    assert (after["dissimilarity"].to_numpy()[pasted] > after.attrs["applicability_threshold"]).all()
    assert (after["inside_applicability"].to_numpy()[pasted] == 0).all()
    assert np.isnan(after["pm25"].to_numpy()[:, pasted]).all()
    assert (after["reason"].to_numpy()[:, pasted] == REASON["outside_applicability"]).all()
    assert (before["inside_applicability"].to_numpy()[pasted] == 1).mean() > 0.5
    for name in ("pm25", "dissimilarity", "reason"):
        np.testing.assert_array_equal(after[name].to_numpy()[..., apart], before[name].to_numpy()[..., apart])
