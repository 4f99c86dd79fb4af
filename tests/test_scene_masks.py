"""Which pixels of a scene hold data, and which of those are cloudy, pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window
from scene_rasters import EAST, NORTH, REAL, bands_of, cut, needs_real, scene_of, sites_at, write, write_four_bands

from model_utils.ingest.scenes.cutting import LeftOut
from model_utils.ingest.scenes.grid import TileGrid
from model_utils.ingest.scenes.masks import MASKS, mask_flags


@pytest.fixture(scope="module")
def raster(tmp_path_factory):
    return write_four_bands(tmp_path_factory.mktemp("scene"))


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
    empty, cloudy = mask_flags(MASKS["scl"], np.arange(12, dtype=np.uint8).reshape(1, 3, 4))
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
