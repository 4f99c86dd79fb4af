"""Tiles out of scenes, against GDAL's reprojection of each window and brute force."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.warp import transform
from scene_rasters import (
    EAST,
    GRID,
    NORTH,
    REAL,
    agreement,
    bands_of,
    cut,
    needs_real,
    scene_of,
    sites_at,
    smooth,
    write,
    write_four_bands,
)

from model_utils.cities import BoundingBox
from model_utils.ingest.scenes.cutting import LeftOut, cut_scene
from model_utils.ingest.scenes.grid import TileGrid
from model_utils.ingest.scenes.rasters import footprint
from model_utils.ingest.scenes.sites import grid_sites


@pytest.fixture(scope="module")
def raster(tmp_path_factory):
    return write_four_bands(tmp_path_factory.mktemp("scene"))


@pytest.mark.parametrize("count", [3, 400])  # windows one by one, and one for all
def test_a_scene_on_the_lattice_comes_out_bit_for_bit(raster, count):
    path, pixels = raster
    generator = np.random.default_rng(count)
    columns, rows = generator.integers(0, 110 - 16, count), generator.integers(0, 90 - 16, count)
    found = cut(scene_of(bands_of(path, 3, 1)), sites_at(columns, rows))
    assert found.positions.tolist() == list(range(count))
    for tile, column, row in zip(found.tiles, columns, rows, strict=True):
        np.testing.assert_array_equal(np.moveaxis(tile, -1, 0), pixels[[2, 0], row : row + 16, column : column + 16])
    assert (found.valid_fraction == 1).all()
    assert np.isnan(found.cloud_fraction).all()


@settings(max_examples=40, deadline=None)
@given(east=st.floats(-200, 1300), north=st.floats(-1100, 200), least=st.floats(0, 1))
def test_a_tile_is_the_window_around_its_place(raster, east, north, least):
    path, pixels = raster
    site = pd.DataFrame({"east_m": [EAST + east], "north_m": [NORTH + north]})
    found = cut(scene_of(bands_of(path, 1)), site, least=least)
    column, row = round(east / 10 - 8), round(-north / 10 - 8)
    whole = np.pad(pixels[0], 40)[row + 40 : row + 56, column + 40 : column + 56]
    share = np.count_nonzero(whole) / 256
    if share > 0 and np.float32(share) >= np.float32(least):
        np.testing.assert_array_equal(found.tiles[0, :, :, 0], whole)
        assert found.valid_fraction[0] == np.float32(share)
    else:
        assert len(found.positions) == 0


def test_places_outside_are_counted_and_the_rest_is_found(raster):
    found = cut(scene_of(bands_of(raster[0], 1)), sites_at([-17, -16, -1, 50, 110, 50], [0, 0, 0, 90, 0, 50]))
    assert found.positions.tolist() == [2, 5]
    assert found.left_out == LeftOut(outside=4)


@pytest.mark.parametrize(
    ("crs", "place"),
    [
        ("EPSG:32643", rasterio.Affine(7.3, 0, EAST + 3.1, 0, -7.3, NORTH - 1.7)),  # off the lattice, finer
        ("EPSG:32643", rasterio.Affine(3, 0, EAST, 0, -3, NORTH)),  # much finer: the kernel widens
        ("EPSG:32643", rasterio.Affine(25, 0, EAST, 0, -25, NORTH)),  # coarser
        ("EPSG:32643", rasterio.Affine(10, 0, EAST, 0, 10, NORTH - 3000)),  # upside down
        ("EPSG:32643", rasterio.Affine(8.66, -5, EAST + 800, -5, -8.66, NORTH)),
        ("EPSG:32644", rasterio.Affine(10, 0, 112_000, 0, -10, 3_214_000)),  # the zone beside
        ("EPSG:4326", rasterio.Affine(1e-4, 0, 77.04, 0, -9e-5, 28.91)),
    ],
)  # fmt: skip
def test_tiles_equal_reprojected_windows(tmp_path, crs, place):
    path = write(tmp_path / "scene.tif", smooth((3, 300, 300)), crs, place)
    x, y = (steps[0] * 150 + steps[1] * 150 + steps[2] for steps in (place[:3], place[3:6]))
    (east,), (north,) = transform(crs, GRID.crs, [x], [y])
    generator = np.random.default_rng(1)
    spread = 120 if abs(place.a) < 5 else 400
    sites = pd.DataFrame(
        {
            "east_m": east + generator.uniform(-spread, spread, 60),
            "north_m": north + generator.uniform(-spread, spread, 60),
        }
    )
    found = cut(scene_of(bands_of(path, 1, 2, 3)), sites, least=1)
    assert len(found.positions) == 60
    assert found.tiles.std() > 10
    assert agreement(found.tiles, path, (1, 2, 3), GRID, sites, found.positions) >= 0.99


def test_one_by_one_and_together_differ_by_a_grey_level_at_most(tmp_path):
    path = write(
        tmp_path / "scene.tif", smooth((1, 300, 300)), "EPSG:4326", rasterio.Affine(1e-4, 0, 77, 0, -1e-4, 28.9)
    )
    (east,), (north,) = transform("EPSG:4326", GRID.crs, [77.015], [28.885])
    sites = grid_sites_around(east, north)
    together = cut(scene_of(bands_of(path, 1)), sites)
    alone = [cut(scene_of(bands_of(path, 1)), sites.iloc[[number]]).tiles[0] for number in together.positions]
    difference = np.abs(together.tiles.astype(int) - np.stack(alone))
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.1


def grid_sites_around(east, north, spacing=160):
    x, y = np.meshgrid(np.arange(-4, 4) * spacing, np.arange(-4, 4) * spacing)
    return pd.DataFrame({"east_m": east + x.ravel(), "north_m": north + y.ravel()})


@pytest.mark.parametrize("west", [179.98, -180.02])
def test_degrees_that_run_on_across_the_180th_meridian(tmp_path, west):
    pixels = smooth((1, 400, 400))
    path = write(tmp_path / "fiji.tif", pixels, "EPSG:4326", rasterio.Affine(1e-4, 0, west, 0, -1e-4, -17))
    grid = TileGrid("EPSG:32701", 10, 16)
    longitudes, latitudes = np.array([179.99, 179.999, -179.999, -179.99]), np.full(4, -17.02)
    east, north = transform("EPSG:4326", grid.crs, longitudes, latitudes)
    found = cut(scene_of(bands_of(path, 1)), pd.DataFrame({"east_m": east, "north_m": north}), grid, least=1)
    assert found.positions.tolist() == [0, 1, 2, 3]
    columns = np.rint(((longitudes - west) % 360) / 1e-4).astype(int)
    middles = found.tiles[:, 8, 8, 0].astype(int)
    assert np.abs(middles - pixels[0, 200, columns]).max() <= 12  # a pixel's slope, at most
    boxes = footprint(scene_of(bands_of(path, 1)))
    assert [(round(box.west, 6), round(box.east, 6)) for box in boxes] == [(179.98, 180.0), (-180.0, -179.98)]


def test_a_scene_in_the_zone_across_the_180th_meridian(tmp_path):
    (east,), (north,) = transform("EPSG:4326", "EPSG:32760", [-179.99], [-17.02])
    place = rasterio.Affine(10, 0, round(east) - 1500, 0, -10, round(north) + 1500)
    path = write(tmp_path / "zone60.tif", smooth((1, 300, 300)), "EPSG:32760", place)
    grid = TileGrid("EPSG:32701", 10, 16)
    (east,), (north,) = transform("EPSG:4326", grid.crs, [-179.99], [-17.02])
    sites = grid_sites_around(east, north)
    found = cut(scene_of(bands_of(path, 1)), sites, grid, least=1)
    assert len(found.positions) == len(sites)
    assert agreement(found.tiles, path, (1,), grid, sites, found.positions) >= 0.99


def test_a_scene_of_another_continent_gives_no_tile(tmp_path):
    path = write(tmp_path / "lima.tif", smooth((1, 50, 50)), "EPSG:32718", rasterio.Affine(10, 0, 3e5, 0, -10, 8.6e6))
    assert cut(scene_of(bands_of(path, 1)), sites_at([0, 5], [0, 5])).left_out in (LeftOut(2), LeftOut(0, 2))


def test_memory_of_a_cut_is_bounded_where_tiles_overlap(tmp_path):
    path = write(tmp_path / "scene.tif", smooth((3, 400, 400)))
    grid = TileGrid(GRID.crs, 10, 200)
    columns, rows = map(np.ravel, np.meshgrid(np.arange(0, 200, 5), np.arange(0, 200, 5)))
    sizes = [
        one.tiles.nbytes
        for one in cut_scene(scene_of(bands_of(path, 1, 2, 3)), sites_at(columns, rows, grid), grid, 0, 1)
    ]
    assert sum(sizes) == 1600 * 200 * 200 * 3
    assert max(sizes) <= 2**24


@needs_real
@pytest.mark.real
def test_naip_tiles_equal_reprojected_windows_and_coincide():
    grid = TileGrid("EPSG:32614", 5, 64)
    paths = sorted((REAL / "naip_multidate").glob("*.tif"))[::4]
    sites = grid_sites(grid, footprint(scene_of(bands_of(paths[0], 1))), 600)
    for path in paths:
        found = cut(scene_of(bands_of(path, 1, 2, 3)), sites, grid, least=0.9)
        assert len(found.positions) >= 20
        assert agreement(found.tiles, path, (1, 2, 3), grid, sites, found.positions) >= 0.99


@needs_real
@pytest.mark.real
def test_delhi_tiles_equal_reprojected_windows():
    path = REAL / "delhi_surface" / "delhi_s2_rgb_10m.tif"
    grid = TileGrid("EPSG:32643", 10, 30)
    sites = grid_sites(grid, [BoundingBox(28.60, 77.20, 28.62, 77.22)], 300)
    found = cut(scene_of(bands_of(path, 1, 2, 3)), sites, grid, least=1)
    assert len(found.positions) == len(sites) > 40
    assert agreement(found.tiles, path, (1, 2, 3), grid, sites, found.positions) >= 0.99
