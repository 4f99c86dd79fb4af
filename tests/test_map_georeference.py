"""A map lies where its scenes lie, whatever projection, direction or extent they have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from map_town import DAYS, GSD, SIZE
from numpy.typing import NDArray
from placed_scenes import around_town, moved, write_scene
from pyproj import CRS, Transformer

from model_utils.mapping.config import MapConfig
from model_utils.mapping.files.geotiff import write_geotiffs
from model_utils.mapping.files.netcdf import write_netcdf
from model_utils.mapping.layers import LAYERS, REASON
from model_utils.mapping.run import predict_map

SPACING = 400.0
AREA = "77.205,28.615,77.245,28.655"
PLACES = {
    "another zone": ("EPSG:32644", around_town("EPSG:32644")),
    "degrees": ("EPSG:4326", around_town("EPSG:4326", GSD / 111_320)),
    "the web's": ("EPSG:3857", around_town("EPSG:3857", GSD / np.cos(np.radians(28.635)))),
    "rotated": ("EPSG:32643", around_town(turned=30)),
    "on its side": ("EPSG:32643", around_town(turned=90)),
    "south-up": ("EPSG:32643", around_town(south_up=True)),
    "south-up in degrees": ("EPSG:4326", around_town("EPSG:4326", GSD / 111_320, south_up=True)),
    "half a pixel aside": ("EPSG:32643", moved(around_town(), 0.5, 0.5)),
}


def mapped(town: Path, scenes: Path, **changes: object) -> xr.Dataset:
    given = {"scenes": scenes, "spacing_metres": SPACING, "keep_outside": True, "area": AREA, "precision": "32-true"}
    return predict_map(MapConfig(city="Town", model=town / "model", root=town, **{**given, **changes}))


def effect(dataset: xr.Dataset) -> NDArray[np.float64]:
    return dataset["place_effect"].to_numpy().astype(np.float64)


def rms(values: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.nanmean(values**2)))


@pytest.fixture(scope="module")
def whole(town: Path, tmp_path_factory: pytest.TempPathFactory) -> xr.Dataset:
    """The map of scenes that lie on the lattice of the model."""
    folder = tmp_path_factory.mktemp("whole")
    for day in DAYS[:2]:
        write_scene(folder, day)
    return mapped(town, folder)


@pytest.mark.parametrize("name", PLACES)
def test_scenes_of_any_projection_and_direction_give_the_same_map(
    town: Path, whole: xr.Dataset, tmp_path: Path, name: str
) -> None:
    crs, place = PLACES[name]
    for day in DAYS[:2]:
        write_scene(tmp_path, day, crs, place)
    found = mapped(town, tmp_path)
    error = rms(effect(found) - effect(whole))
    assert np.isfinite(effect(found)).sum() > 100
    assert error < 0.03 * np.nanstd(effect(whole))
    np.testing.assert_allclose(found["pm25"], whole["pm25"], rtol=0.003)


@pytest.mark.parametrize("shifted", [(SPACING / 2, 0), (0, SPACING / 2), (GSD, 0), (0, -GSD)])
def test_a_shift_of_half_a_cell_or_one_pixel_would_be_seen(
    town: Path, whole: xr.Dataset, tmp_path: Path, shifted: tuple[float, float]
) -> None:
    """What the test above allows is less than a third of what one pixel does."""
    for day in DAYS[:2]:
        write_scene(tmp_path, day, shifted=shifted)
    assert rms(effect(mapped(town, tmp_path)) - effect(whole)) > 0.09 * np.nanstd(effect(whole))


@pytest.mark.parametrize("turned", [0, 20])
def test_cells_at_a_scene_s_edge_are_right_or_have_no_value(
    town: Path, whole: xr.Dataset, tmp_path: Path, turned: float
) -> None:
    """Scenes that end in the middle of the area, along the cells and obliquely."""
    for day in DAYS[:2]:
        write_scene(tmp_path, day, place=around_town(turned=turned), shape=(SIZE, 100))
    found = mapped(town, tmp_path)
    error = effect(found) - effect(whole)
    known = np.isfinite(error)
    assert 20 < known.sum() < 0.8 * np.isfinite(effect(whole)).sum()
    assert np.abs(error[known]).max() < 0.1 * np.nanstd(effect(whole))
    reasons = found["reason"].to_numpy()[0][~known & np.isfinite(effect(whole))]
    assert set(reasons.tolist()) <= {REASON["never_clear"], REASON["outside_images"]}
    with_black = mapped(town, tmp_path, min_valid_fraction=0.8)
    assert np.nanmax(np.abs(effect(with_black) - effect(whole))) > np.nanstd(effect(whole))


@pytest.mark.parametrize("overlap", [0, 40])
def test_two_scenes_of_a_day_give_the_map_of_one(town: Path, whole: xr.Dataset, tmp_path: Path, overlap: int) -> None:
    """A tile that lies across the seam is in neither scene; where they overlap by a tile, every tile is in one."""
    half = SIZE // 2
    for day in DAYS[:2]:
        write_scene(tmp_path, day, shape=(SIZE, half + overlap), name="west")
        write_scene(tmp_path, day, place=moved(around_town(), half, 0), shape=(SIZE, half), name="east")
    found = effect(mapped(town, tmp_path))
    known = np.isfinite(found)
    missing = np.isfinite(effect(whole)) & ~known
    np.testing.assert_allclose(found[known], effect(whole)[known], atol=1e-3)
    assert missing.any() == (overlap == 0)
    assert not known[:, missing.any(axis=0)].any()  # a seam from north to south, and nothing else


def test_each_layer_lies_where_rasterio_and_xarray_find_it(town: Path, whole: xr.Dataset, tmp_path: Path) -> None:
    """From longitude and latitude to a value, by the files alone."""
    files = write_geotiffs(whole, tmp_path)
    write_netcdf(whole, tmp_path / "map.nc")
    x, y = np.meshgrid(whole["x"], whole["y"])
    near = 0.49 * SPACING * np.random.default_rng(0).uniform(-1, 1, (2, *x.shape))
    degrees = Transformer.from_crs("EPSG:32643", "EPSG:4326", always_xy=True).transform(x + near[0], y + near[1])
    with xr.open_dataset(tmp_path / "map.nc", decode_coords="all", mask_and_scale=False) as opened:
        to_map = Transformer.from_crs("EPSG:4326", CRS.from_cf(opened["crs"].attrs), always_xy=True)
        east, north = (xr.DataArray(each.ravel()) for each in to_map.transform(*degrees))
        picked = opened.sel(x=east, y=north, method="nearest").load()
    for name, paths in files.items():
        expected = whole[name].to_numpy().reshape(len(paths), -1)
        np.testing.assert_array_equal(picked[name].to_numpy().reshape(expected.shape), expected)
        for path, values in zip(paths, expected, strict=True):
            with rasterio.open(path) as file:
                to_file = Transformer.from_crs("EPSG:4326", file.crs, always_xy=True)
                places = np.column_stack([each.ravel() for each in to_file.transform(*degrees)])
                np.testing.assert_array_equal([value[0] for value in file.sample(places)], values)
    assert set(files) == set(LAYERS)
