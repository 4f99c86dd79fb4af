"""From blocks to layers: parts change no number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import model_utils.mapping.assembly as assembly
from model_utils.mapping.blocks import Block
from model_utils.mapping.dates import map_times
from model_utils.mapping.files.netcdf import read_map
from model_utils.mapping.hotspots import hotspots, reach_cells
from model_utils.mapping.layers import REASON
from model_utils.mapping.places.cells import Blocks, MapCells
from model_utils.mapping.places.grid import MapGrid

ROWS, COLUMNS, SPACING = 90, 130, 300.0
DAYS = pd.date_range("2019-11-01", periods=3)


def random_map(seed: int = 0) -> tuple[MapCells, dict[str, np.ndarray]]:
    """Cells inside of an odd shape, and fields of all of them."""
    random = np.random.default_rng(seed)
    grid = MapGrid("EPSG:32643", SPACING, 700_200.0, 3_180_000.0, COLUMNS, ROWS)
    down, across = np.mgrid[:ROWS, :COLUMNS]
    inside = (down - 45) ** 2 + (across - 60) ** 2 < 50**2
    fields = {name: random.uniform(0.01, 0.2, (ROWS, COLUMNS)) for name in ("place", "place_sd", "dissimilarity")}
    fields["place"][random.random((ROWS, COLUMNS)) < 0.05] = np.nan
    mean = 80 * np.exp(random.normal(0, 0.3, (len(DAYS), ROWS, COLUMNS)))
    mean[:, np.isnan(fields["place"])] = np.nan
    mean[1, :, :40] = np.nan
    fields |= {"mean": mean, "sd": 0.05 * mean, "lower": 0.9 * mean, "upper": 1.1 * mean}
    fields["shown"] = random.random((ROWS, COLUMNS)) < 0.9
    return MapCells(grid, inside), fields


def assembled(path: Path, cells: MapCells, fields: dict[str, np.ndarray], side: int) -> xr.Dataset:
    blocks = Blocks(cells, side)

    def read(number: int) -> Block:
        table = blocks[number]
        return Block(**{name: field[..., table["row"], table["column"]] for name, field in fields.items()})

    times = map_times(None, "day", DAYS)
    attributes = {"spacing_m": SPACING, "epsg": 32643, "title": "t", "city": "c", "period": "day"}
    assembly.assemble(path, blocks, times, read, 0.18, "india", False, attributes)
    return read_map(path)


def test_blocks_of_any_side_give_the_same_layers(tmp_path):
    cells, fields = random_map()
    whole = assembled(tmp_path / "whole.nc", cells, fields, 1000)
    for side in (9, 17, 64):
        xr.testing.assert_identical(assembled(tmp_path / f"{side}.nc", cells, fields, side), whole)
    reason = whole["reason"].to_numpy()
    assert (reason[:, ~cells.inside] == REASON["outside_area"]).all()
    assert set(np.unique(reason[:, cells.inside])) == {REASON[name] for name in REASON if name != "outside_area"}
    known = reason == REASON["value"]
    for layer, name in (("pm25", "mean"), ("pm25_lower", "lower"), ("pm25_upper", "upper"), ("pm25_sd", "sd")):
        np.testing.assert_array_equal(whole[layer].to_numpy()[known], fields[name].astype(np.float32)[known])
        assert np.isnan(whole[layer].to_numpy()[~known]).all()
    place = np.where(cells.inside, fields["place"], np.nan)
    np.testing.assert_allclose(whole["place_effect"], 100 * np.expm1(place), rtol=1e-5)


@pytest.mark.parametrize("side", [7, 40])
def test_hotspots_do_not_see_the_parts_they_are_looked_for_in(tmp_path, monkeypatch, side):
    """Against one call for the whole map."""
    cells, fields = random_map(1)
    monkeypatch.setattr(assembly, "HOTSPOT_SIDE", side)
    assert 2 * reach_cells(SPACING) < min(ROWS, COLUMNS), "there is more than one part"
    dataset = assembled(tmp_path / "map.nc", cells, fields, 50)
    factor = np.expm1(assembly.NORMAL_90 * np.where(cells.inside, fields["place_sd"], np.nan).astype(np.float32))
    for time in range(len(DAYS)):
        level = dataset["pm25"].to_numpy()[time].astype(np.float64)
        expected = np.where(np.isfinite(level), hotspots(level, level * factor, SPACING).mask, -1)
        assert (expected == 1).sum() > 20
        np.testing.assert_array_equal(dataset["hotspot"].to_numpy()[time], expected)


def test_blocks_hold_every_cell_once_and_are_made_when_asked_for():
    cells, _ = random_map()
    blocks = Blocks(cells, 33)
    every = pd.concat(blocks)
    assert len(every) == len(every.drop_duplicates(["row", "column"])) == cells.inside.sum()
    assert cells.inside[every["row"], every["column"]].all()
    np.testing.assert_allclose(cells.grid.x[every["column"]], every["east_m"])
    np.testing.assert_allclose(cells.grid.y[every["row"]], every["north_m"])
    pd.testing.assert_frame_equal(blocks[-1], blocks[len(blocks) - 1])
    assert len(cells.blocks(1000.0)) > len(cells.blocks()) >= 1
