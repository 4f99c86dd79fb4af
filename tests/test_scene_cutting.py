"""Tiles out of scenes, against GDAL's reprojection of each window, numpy and brute force."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.enums import ColorInterp, Resampling
from rasterio.warp import reproject, transform
from rasterio.windows import Window

from model_utils.cities import BoundingBox
from model_utils.errors import InputError
from model_utils.ingest.scenes.cutting import Cut, LeftOut, cut_scene
from model_utils.ingest.scenes.grid import TileGrid
from model_utils.ingest.scenes.masks import mask_flags
from model_utils.ingest.scenes.rasters import footprint
from model_utils.ingest.scenes.scaling import to_bytes
from model_utils.ingest.scenes.scene import Band, Scene
from model_utils.ingest.scenes.sites import grid_sites

REAL = Path(__file__).resolve().parents[2] / "shared" / "real"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="the real data folder is absent")
GRID = TileGrid("EPSG:32643", 10, 16)
EAST, NORTH = 700_000, 3_200_000  # the upper left corner of most rasters here, on the lattice
PLACE = rasterio.Affine(10, 0, EAST, 0, -10, NORTH)


def write(path, pixels, crs=GRID.crs, place=PLACE, alpha=False, mask=None, **profile):
    """Writes bands x H x W."""
    count, height, width = pixels.shape
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(
            path, "w", driver="GTiff", count=count, height=height, width=width,
            dtype=pixels.dtype, crs=crs, transform=place, **profile,
        ) as raster,
    ):  # fmt: skip
        raster.write(pixels)
        colours = [ColorInterp.gray] + [ColorInterp.undefined] * (count - 1)
        raster.colorinterp = [*colours[:-1], ColorInterp.alpha] if alpha else colours
        if mask is not None:
            raster.write_mask(mask)
    return path


def scene_of(files, full_scale=255.0, gain=1.0, offset=0.0, kind="none", mask=None):
    bands = tuple(Band(path, index, gain, offset) for path, index in files)
    time = datetime(2020, 1, 1, tzinfo=UTC)
    return Scene("scene", "product", bands, time, "name", kind, mask, full_scale, surface_reflectance=False)


def bands_of(path, *indexes):
    return [(path, index) for index in indexes]


def sites_at(columns, rows, grid=GRID, corner=(EAST, NORTH)):
    """Places whose tiles begin at some pixels, counted from a corner."""
    half = grid.tile_size / 2
    return pd.DataFrame(
        {
            "east_m": corner[0] + (np.asarray(columns) + half) * grid.gsd,
            "north_m": corner[1] - (np.asarray(rows) + half) * grid.gsd,
        }
    )


def cut(scene, sites, grid=GRID, least=0.0, most=1.0):
    """All cuts as one, in the order of the sites."""
    cuts = list(cut_scene(scene, sites, grid, least, most))
    order = np.argsort(np.concatenate([one.positions for one in cuts]), kind="stable")
    parts = {
        name: np.concatenate([getattr(one, name) for one in cuts])[order]
        for name in ("positions", "tiles", "valid_fraction", "cloud_fraction")
    }
    whole = Cut(**parts, left_out=sum((one.left_out for one in cuts), LeftOut()))
    reasons = whole.left_out.outside + whole.left_out.invalid + whole.left_out.cloudy
    assert len(whole.positions) + reasons == len(sites)
    assert len(set(whole.positions.tolist())) == len(whole.positions)
    assert all(one.tiles.dtype == np.uint8 and one.tiles.flags.c_contiguous for one in cuts)
    return whole


def reprojected(path, indexes, grid, site, resampling=Resampling.bilinear):
    """One window by rasterio's other way into GDAL, straight from the file; bands x size x size."""
    size = grid.tile_size * grid.gsd
    (left,), (top,) = grid.corners([site["east_m"]], [site["north_m"]])
    place = rasterio.Affine(grid.gsd, 0, left * grid.gsd, 0, -grid.gsd, -top * grid.gsd)
    assert abs(left * grid.gsd + size / 2 - site["east_m"]) <= grid.gsd / 2
    with rasterio.open(path) as source:
        out = np.zeros((len(indexes), grid.tile_size, grid.tile_size), source.dtypes[0])
        reproject(
            rasterio.band(source, list(indexes)), out, dst_transform=place, dst_crs=grid.crs,
            resampling=resampling, tolerance=0,
        )  # fmt: skip
    return out


def agreement(tiles, path, indexes, grid, sites, positions):
    """Share of numbers within a grey level of the reprojected windows."""
    close = [
        np.abs(tile.astype(int) - np.moveaxis(reprojected(path, indexes, grid, sites.iloc[number]), 0, -1)) <= 1
        for tile, number in zip(tiles, positions, strict=True)
    ]
    return np.mean(close)


def smooth(shape, seed=0, high=250):
    """Pixels with texture at several scales, 1 to high."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[: shape[1], : shape[2]]
    waves = [
        np.sin(rows / generator.uniform(2, 30) + columns / generator.uniform(2, 30) + generator.uniform(0, 6))
        for _ in range(6 * shape[0])
    ]
    bands = np.reshape(waves, (shape[0], 6, *shape[1:])).mean(axis=1)
    return (1 + (bands + 1) / 2 * (high - 1)).astype(np.uint8)


@pytest.fixture(scope="module")
def raster(tmp_path_factory):
    pixels = np.random.default_rng(0).integers(1, 256, (4, 90, 110), dtype=np.uint8)
    return write(tmp_path_factory.mktemp("scene") / "four.tif", pixels), pixels


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


def test_uint16_is_scaled_by_one_rule(tmp_path):
    pixels = np.random.default_rng(3).integers(0, 65536, (2, 40, 40), dtype=np.uint16)
    pixels[:, :20] = pixels[:, :20] % 12_000 + 1
    path = write(tmp_path / "reflectance.tif", pixels)
    scene = scene_of(bands_of(path, 2, 1), full_scale=0.4, gain=1e-4, offset=-0.1)
    found = cut(scene, sites_at([0, 24], [0, 24]))
    for tile, at in zip(found.tiles, (slice(0, 16), slice(24, 40)), strict=True):
        wanted = np.round(255 * (1e-4 * pixels[::-1, at, at].astype(float) - 0.1) / 0.4)
        np.testing.assert_array_equal(np.moveaxis(tile, -1, 0), np.clip(wanted, 0, 255).astype(np.uint8))
    assert len(np.unique(found.tiles)) > 100


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint16, np.float32, np.float64])
def test_scaling_rounds_clips_and_never_warns(kind):
    numbers = np.array([0, 1, 2, 100, 127], kind)
    band = Band(Path("x"), 1, 2.0, 1.0)
    np.testing.assert_array_equal(to_bytes(numbers, band, 255), [1, 3, 5, 201, 255])
    if np.dtype(kind).kind == "f":
        wild = np.array([np.nan, np.inf, -np.inf, np.finfo(kind).max, -5], kind)
        np.testing.assert_array_equal(to_bytes(wild, band, 255), [0, 255, 0, 255, 0])


def test_bytes_pass_without_a_copy():
    numbers = np.arange(256, dtype=np.uint8)
    assert to_bytes(numbers, Band(Path("x"), 1), 255) is numbers
    np.testing.assert_array_equal(to_bytes(numbers, Band(Path("x"), 1), 510), np.round(numbers / 2).astype(np.uint8))


def holes(seed=5):
    """Which of 60 x 60 pixels hold data: a ragged half and some single holes."""
    generator = np.random.default_rng(seed)
    valid = np.tri(60, dtype=bool) | (np.arange(60) < 20)
    return valid & (generator.random((60, 60)) > 0.02)


def with_holes(tmp_path, how):
    valid, bands = holes(), 3
    pixels = np.random.default_rng(6).integers(1, 200, (bands, 60, 60)).astype(np.uint8)
    path = tmp_path / f"{how}.tif"
    if how == "alpha":
        pixels[0] = 0
        write(path, np.concatenate([pixels, np.where(valid, 255, 0).astype(np.uint8)[None]]), alpha=True)
    elif how == "mask":
        write(path, pixels, mask=np.where(valid, 255, 0).astype(np.uint8))
    elif how == "nodata":
        pixels[0] = 250  # the nodata number in one band only is no hole
        write(path, np.where(valid, pixels, 250).astype(np.uint8), nodata=250)
    elif how == "black":
        pixels[0] = 0
        write(path, np.where(valid, pixels, 0).astype(np.uint8))
    elif how == "NaN":
        floats = pixels.astype(np.float32)
        floats[:, ~valid] = np.nan
        write(path, floats)
    else:
        floats = np.where(valid, pixels.astype(np.float64), -9999)
        write(path, floats, nodata=-9999)
    return path, pixels, valid


@pytest.mark.parametrize("how", ["alpha", "mask", "nodata", "black", "NaN", "float nodata"])
def test_pixels_without_data_are_zero_and_counted(tmp_path, how):
    path, pixels, valid = with_holes(tmp_path, how)
    columns, rows = map(np.ravel, np.meshgrid([0, 11, 22, 33, 44], [0, 11, 22, 33, 44]))
    found = cut(scene_of(bands_of(path, 1, 2, 3)), sites_at(columns, rows))
    shares = []
    for number, tile, fraction in zip(found.positions, found.tiles, found.valid_fraction, strict=True):
        at = slice(rows[number], rows[number] + 16), slice(columns[number], columns[number] + 16)
        np.testing.assert_array_equal(np.moveaxis(tile, -1, 0), np.where(valid[at], pixels[:, *at], 0))
        assert fraction == np.float32(valid[at].mean())
        shares.append(valid[at].mean())
    assert min(shares) < 0.1
    strict = cut(scene_of(bands_of(path, 1, 2, 3)), sites_at(columns, rows), least=0.5)
    assert len(strict.positions) == sum(share >= 0.5 for share in shares)
    assert strict.left_out.invalid == 25 - len(strict.positions)


@pytest.mark.parametrize("how", ["alpha", "mask", "nodata", "black", "NaN"])
def test_holes_do_not_bleed_into_their_neighbours(tmp_path, how):
    path, _, _ = with_holes(tmp_path, how)
    with rasterio.open(path, "r+") as raster:
        raster.transform = rasterio.Affine(10, 0, EAST + 4, 0, -10, NORTH - 3)
        flat = raster.read([1, 2, 3])
        flat[(flat != 0) & (flat != 250) & ~np.isnan(flat)] = 100
        raster.write(flat, [1, 2, 3])
    found = cut(scene_of(bands_of(path, 2, 3)), sites_at([0, 15, 30], [0, 15, 30]))
    assert set(np.unique(found.tiles)) == {0, 100}


def test_an_alpha_band_says_yes_or_no_and_never_how_much(tmp_path):
    pixels = np.random.default_rng(14).integers(0, 256, (3, 60, 60), dtype=np.uint8)
    place = rasterio.Affine(10, 0, EAST + 4, 0, -10, NORTH - 3)
    plain = write(tmp_path / "plain.tif", pixels, place=place)
    faint = np.random.default_rng(13).integers(1, 256, (1, 60, 60), dtype=np.uint8)
    veiled = write(tmp_path / "veiled.tif", np.concatenate([pixels, faint]), place=place, alpha=True)
    sites = sites_at([5, 30], [5, 30])
    expected, found = (cut(scene_of(bands_of(path, 1, 2, 3)), sites) for path in (plain, veiled))
    assert np.abs(found.tiles.astype(int) - expected.tiles).max() <= 1
    assert (found.valid_fraction == 1).all()


@pytest.mark.parametrize("how", ["alpha", "mask", "nodata", "float", "alpha and nodata"])
def test_borders_are_invalid_whatever_else_the_file_says(tmp_path, how):
    pixels = np.random.default_rng(15).integers(1, 200, (3, 40, 40)).astype(np.float32 if how == "float" else np.uint8)
    pixels[:, :, :12] = 250 if how == "alpha and nodata" else 0
    opaque = np.full((1, 40, 40), 255, pixels.dtype)
    path = tmp_path / "scene.tif"
    if how.startswith("alpha"):
        write(path, np.concatenate([pixels, opaque]), alpha=True, nodata=250 if how.endswith("nodata") else None)
    else:
        write(path, pixels, mask=opaque[0] if how == "mask" else None, nodata=250 if how == "nodata" else None)
    found = cut(scene_of(bands_of(path, 1, 2, 3)), sites_at([4], [4]))
    pixels[:, :, :12] = 0
    np.testing.assert_array_equal(found.tiles[0], np.moveaxis(np.rint(pixels[:, 4:20, 4:20]), 0, -1))
    assert found.valid_fraction[0] == 0.5


def test_a_fourth_band_that_is_marked_alpha_is_data_when_it_is_asked_for(tmp_path):
    pixels = np.random.default_rng(7).integers(0, 256, (4, 40, 40), dtype=np.uint8)
    path = write(tmp_path / "rgbn.tif", pixels, alpha=True)
    found = cut(scene_of(bands_of(path, 1, 4)), sites_at([8], [8]))
    np.testing.assert_array_equal(np.moveaxis(found.tiles[0], -1, 0), pixels[[0, 3], 8:24, 8:24])


def test_bands_in_files_of_their_own_keep_zeros_that_others_do_not_share(tmp_path):
    pixels = np.random.default_rng(8).integers(0, 3, (2, 40, 40)).astype(np.uint16)
    files = [write(tmp_path / f"B0{number}.tif", band[None]) for number, band in enumerate(pixels)]
    found = cut(scene_of([(files[0], 1), (files[1], 1)]), sites_at([8], [8]))
    window = pixels[:, 8:24, 8:24]
    np.testing.assert_array_equal(np.moveaxis(found.tiles[0], -1, 0), window)
    assert found.valid_fraction[0] == np.float32((window != 0).any(axis=0).mean())


def test_a_nan_in_one_band_makes_its_pixel_invalid(tmp_path):
    pixels = np.random.default_rng(12).uniform(1, 200, (2, 40, 40)).astype(np.float32)
    pixels[1, 16, 16] = np.nan
    path = write(tmp_path / "nan.tif", pixels)
    found = cut(scene_of(bands_of(path, 1, 2)), sites_at([8], [8]))
    assert not found.tiles[0, 8, 8].any()
    kept = found.tiles[0].any(axis=-1)
    assert 256 - 4 <= kept.sum() <= 255
    np.testing.assert_array_equal(found.tiles[0][kept], np.moveaxis(np.rint(pixels[:, 8:24, 8:24]), 0, -1)[kept])


def udm2(clear, cloud, haze, unusable):
    nothing = np.zeros_like(clear)
    return np.stack([clear, nothing, nothing, nothing, haze, cloud, nothing + 90, unusable])


@pytest.mark.parametrize("kind", ["udm2", "udm", "scl", "classi"])
def test_masks_count_cloud_among_the_pixels_with_data(tmp_path, raster, kind):
    path, pixels = raster
    generator = np.random.default_rng(9)
    state = generator.choice(["clear", "haze", "cloud", "fill", "doubt"], (90, 110), p=[0.3, 0.2, 0.2, 0.2, 0.1])
    if kind == "classi":
        state[state == "fill"] = "doubt"

    def where(name, value=1):
        return np.where(state == name, value, 0).astype(np.uint8)

    codes = {
        "udm2": udm2(where("clear"), where("cloud"), where("haze"), where("fill") + where("doubt", 0b1000100)),
        "udm": (where("fill") + where("cloud", 2) + where("doubt", 0b1010100))[None],
        "scl": (where("clear", 4) + where("haze", 7) + where("doubt", 3) + where("cloud", 9))[None],
        "classi": np.stack([where("cloud") * (pixels[0] % 2), where("cloud") * (1 - pixels[0] % 2), where("haze")]),
    }[kind]
    mask = write(tmp_path / "mask.tif", codes)
    columns, rows = generator.integers(0, 94, 60), generator.integers(0, 74, 60)
    scene = scene_of(bands_of(path, 1, 2, 3), kind=kind, mask=mask)
    found = cut(scene, sites_at(columns, rows))
    for tile, column, row, valid, cloudy in zip(
        found.tiles, columns, rows, found.valid_fraction, found.cloud_fraction, strict=True
    ):
        window = state[row : row + 16, column : column + 16]
        whole = pixels[:3, row : row + 16, column : column + 16]
        np.testing.assert_array_equal(np.moveaxis(tile, -1, 0), np.where(window == "fill", 0, whole))
        assert valid == np.float32((window != "fill").mean())
        assert cloudy == np.float32((window == "cloud").sum() / (window != "fill").sum())
    limit = float(np.median(found.cloud_fraction))
    clearer = cut(scene, sites_at(columns, rows), most=limit)
    assert clearer.left_out.cloudy == int((found.cloud_fraction > np.float32(limit)).sum()) > 0


def test_scl_codes_one_by_one():
    empty, cloudy = mask_flags("scl", np.arange(12, dtype=np.uint8).reshape(1, 3, 4))
    assert np.flatnonzero(empty).tolist() == [0]
    assert np.flatnonzero(cloudy).tolist() == [8, 9, 10]


def test_a_coarser_mask_is_read_to_the_nearest_pixel_and_ends_where_it_ends(tmp_path, raster):
    classes = np.random.default_rng(10).choice(np.array([0, 4, 9], np.uint8), (1, 45, 20))
    mask = write(tmp_path / "scl.tif", classes, place=rasterio.Affine(20, 0, EAST, 0, -20, NORTH))
    found = cut(scene_of(bands_of(raster[0], 1), kind="scl", mask=mask), sites_at([4, 30, 50], [4, 30, 50]))
    assert found.positions.tolist() == [0, 1]
    assert found.left_out == LeftOut(invalid=1)  # the mask does not reach it
    fine = np.pad(classes[0].repeat(2, axis=0).repeat(2, axis=1), ((0, 20), (0, 20)))
    for number, at in enumerate((4, 30)):
        window = fine[at : at + 16, at : at + 16]
        assert found.valid_fraction[number] == np.float32((window > 0).mean())
        assert found.cloud_fraction[number] == np.float32((window == 9).sum() / (window > 0).sum())


def test_where_a_mask_does_not_reach_nothing_is_known(tmp_path, raster):
    mask = write(tmp_path / "classi.tif", np.zeros((3, 90, 20), np.uint8))
    found = cut(scene_of(bands_of(raster[0], 1), kind="classi", mask=mask), sites_at([0, 12, 40], [0, 0, 0]))
    shown = raster[1][0] > 0
    assert found.positions.tolist() == [0, 1]
    assert found.valid_fraction.tolist() == [shown[:16, :16].mean(), shown[:16, 12:20].sum() / 256]
    assert (found.cloud_fraction == 0).all()


def test_a_mask_with_other_bands_is_refused(tmp_path, raster):
    mask = write(tmp_path / "mask.tif", np.zeros((7, 90, 110), np.uint8))
    with pytest.raises(InputError, match=r"mask\.tif: found 7 bands, expected the 8"):
        cut(scene_of(bands_of(raster[0], 1), kind="udm2", mask=mask), sites_at([0], [0]))


@pytest.mark.parametrize(
    ("name", "profile", "word"),
    [
        ("unplaced.tif", {"crs": None}, "coordinate reference system"),
        ("nan.tif", {"place": rasterio.Affine(10, 0, float("nan"), 0, -10, NORTH)}, "geotransform"),
        ("flat.tif", {"place": rasterio.Affine(10, 0, EAST, 0, 0, NORTH)}, "geotransform"),
    ],
)
def test_a_raster_without_a_place_is_refused(tmp_path, name, profile, word):
    path = write(tmp_path / name, np.ones((1, 20, 20), np.uint8), **profile)
    with pytest.raises(InputError, match=rf"{name}: .*{word}"):
        cut(scene_of(bands_of(path, 1)), sites_at([0], [0]))


def test_a_band_that_is_not_there_and_complex_numbers_are_refused(tmp_path, raster):
    with pytest.raises(InputError, match=r"four\.tif: found 4 bands, expected band 5 too"):
        cut(scene_of(bands_of(raster[0], 5)), sites_at([0], [0]))
    path = write(tmp_path / "radar.tif", np.ones((1, 20, 20), np.complex64))
    with pytest.raises(InputError, match=r"radar\.tif: found complex64"):
        cut(scene_of(bands_of(path, 1)), sites_at([0], [0]))


def test_broken_files_become_one_line_and_nothing_on_stderr(tmp_path, raster):
    whole = write(
        tmp_path / "whole.tif", smooth((3, 90, 110)), compress="deflate", tiled=True, blockxsize=32, blockysize=32
    )
    bytes_ = whole.read_bytes()
    (tmp_path / "folder.tif").mkdir()
    (tmp_path / "empty.tif").touch()
    (tmp_path / "text.tif").write_text("not a raster\n")
    (tmp_path / "half.tif").write_bytes(bytes_[: len(bytes_) // 2])
    generator, spoiled = np.random.default_rng(11), np.frombuffer(bytes_, np.uint8).copy()
    spoiled[len(bytes_) // 2 :: 7] = generator.integers(0, 256, len(spoiled[len(bytes_) // 2 :: 7]))
    (tmp_path / "spoiled.tif").write_bytes(spoiled.tobytes())
    code = (
        "import sys; sys.path[:0] = [sys.argv[1]]\n"
        "from pathlib import Path\n"
        "from test_scene_cutting import cut, scene_of, bands_of, sites_at\n"
        "from model_utils.errors import InputError\n"
        "for name in sys.argv[2:]:\n"
        "    try:\n"
        "        cut(scene_of(bands_of(Path(name), 1)), sites_at(range(0, 90, 10), range(0, 72, 8)))\n"
        "        print('no error')\n"
        "    except InputError as error:\n"
        "        print(error)\n"
    )
    names = [str(tmp_path / f"{stem}.tif") for stem in ("folder", "empty", "text", "half", "spoiled", "absent")]
    here = str(Path(__file__).parent)
    done = subprocess.run([sys.executable, "-c", code, here, *names], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert len(lines) == len(names)
    assert all(line.startswith(f"{name}: not readable (") for line, name in zip(lines, names, strict=True))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_spoiled_bytes_never_end_in_anything_but_tiles_or_one_line(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("fuzz")
    path = write(folder / "scene.tif", smooth((2, 40, 40)), compress="lzw")
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 12))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    said = f"{path}: "
    try:
        cut(scene_of(bands_of(path, 1, 2)), sites_at([0, 10, 20], [0, 10, 20]))
    except InputError as error:
        said = str(error)
    assert said.startswith(f"{path}: ")
    assert "\n" not in said


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


@needs_real
@pytest.mark.real
def test_the_transparent_part_of_rapideye_is_invalid():
    path = next((REAL / "other_rasters").glob("1056417_*.tif"))
    with rasterio.open(path) as source:
        place, alpha, colours = source.transform, source.read(4), source.read([1, 2, 3])
    grid = TileGrid("EPSG:32610", 5, 40)
    columns, rows = map(np.ravel, np.meshgrid(np.arange(0, 640, 40), np.arange(0, 280, 40)))
    sites = sites_at(columns, rows, grid, (place.c, place.f))
    found = cut(scene_of(bands_of(path, 1, 2, 3)), sites, grid)
    shown = (alpha > 0) & (colours > 0).any(axis=0)
    for number, tile, valid in zip(found.positions, found.tiles, found.valid_fraction, strict=True):
        at = Window(columns[number], rows[number], 40, 40).toslices()
        assert valid == np.float32(shown[at].mean())
        np.testing.assert_array_equal(np.moveaxis(tile, -1, 0), np.where(shown[at], colours[:, *at], 0))
    assert found.valid_fraction.min() < 0.95  # it is a frame a few pixels wide
    assert not shown.all(axis=0).any()
