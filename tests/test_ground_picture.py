"""The picture of the ground below a map, made of its scenes."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.warp import Resampling, reproject, transform_bounds
from scene_rasters import EAST, GRID, NORTH, PLACE, bands_of, scene_of, smooth, write

from model_utils.ingest.products.catalogue import Catalogue
from model_utils.ingest.scenes.pixels import ScenePixels
from model_utils.mapping.places.grid import MapGrid
from model_utils.mapping.report.contents import BaseImage
from model_utils.mapping.report.ground_picture import MOST_BYTES, MOST_PIXELS, VIEWS, ground_picture

SIZE = 200  # pixels of 10 m
MAP = MapGrid(GRID.crs, 100.0, EAST, NORTH, SIZE // 10, SIZE // 10)


def catalogue(*files: Path, masks: dict[int, Path] | None = None) -> Catalogue:
    """Scenes a day apart."""
    scenes = []
    for number, path in enumerate(files):
        mask = (masks or {}).get(number)
        scene = scene_of(bands_of(path, 1, 2, 3), kind="udm" if mask else "none", mask=mask)
        scenes.append(replace(scene, scene_id=str(number), time_utc=scene.time_utc + timedelta(number)))
    return Catalogue(tuple(scenes), ("red", "green", "blue"), "", ())


def pixels_of(image: BaseImage | None) -> np.ndarray:
    assert image is not None
    return np.asarray(Image.open(io.BytesIO(image.webp)).convert("RGBA")).astype(int)


def at(image: BaseImage, east: float, north: float) -> np.ndarray:
    """The pixel at a place."""
    pixels = pixels_of(image)
    column = (east - image.left) / (image.right - image.left) * pixels.shape[1]
    row = (image.top - north) / (image.top - image.bottom) * pixels.shape[0]
    return pixels[int(row), int(column)]


def halves(dark: int, bright: int) -> np.ndarray:
    """Dark in the west, bright in the east: keeps what the stretch does to known levels."""
    pixels = np.full((3, SIZE, SIZE), dark, np.uint8)
    pixels[:, :, SIZE // 2 :] = bright
    return pixels


@pytest.mark.parametrize("crs", [GRID.crs, "EPSG:32644", "EPSG:4326"])
def test_the_picture_lies_where_the_ground_is(tmp_path, crs):
    pixels = np.full((3, SIZE, SIZE), 60, np.uint8)
    pixels[0, 40:60, 120:140] = 200  # red, 20 pixels
    place = PLACE
    if crs != GRID.crs:
        west, south, east, north = transform_bounds(GRID.crs, crs, EAST, NORTH - 10 * SIZE, EAST + 10 * SIZE, NORTH)
        place = rasterio.Affine((east - west) / 300, 0, west, 0, (south - north) / 300, north)
        warped = np.zeros((3, 300, 300), np.uint8)
        reproject(
            pixels, warped, src_transform=PLACE, src_crs=GRID.crs, dst_transform=place, dst_crs=crs,
            resampling=Resampling.nearest,
        )  # fmt: skip
        pixels = warped
    picture = ground_picture(catalogue(write(tmp_path / "a.tif", pixels, crs, place, nodata=0)), MAP, 10.0)
    rgba = pixels_of(picture)
    row, column = np.nonzero((rgba[..., 0] - rgba[..., 1] > 128) & (rgba[..., 3] == 255))
    step = (picture.right - picture.left) / rgba.shape[1]
    assert picture.left + step * (column.mean() + 0.5) == pytest.approx(EAST + 1300, abs=10)
    assert picture.top - step * (row.mean() + 0.5) == pytest.approx(NORTH - 500, abs=10)
    assert (picture.left, picture.top) == (EAST, NORTH)
    assert (picture.right, picture.bottom) == (EAST + 2000, NORTH - 2000)


def test_a_picture_has_few_pixels_and_bytes(tmp_path):
    noise = np.random.default_rng(0).integers(1, 256, (3, 1500, 1400)).astype(np.uint8)
    grid = MapGrid(GRID.crs, 300.0, EAST + 130, NORTH - 70, 45, 48)  # its edges are none of the lattice
    picture = ground_picture(catalogue(write(tmp_path / "noise.tif", noise)), grid, 10.0)
    assert len(picture.webp) <= MOST_BYTES
    assert max(pixels_of(picture).shape) <= MOST_PIXELS + 2
    assert picture.left <= grid.left < picture.left + 15
    assert picture.bottom - 15 < grid.top - 48 * 300 - 15 <= picture.bottom
    coarse = ground_picture(catalogue(tmp_path / "noise.tif"), grid, 100.0)
    assert pixels_of(coarse).shape[:2] == (145, 136)  # no finer than the scenes are read
    again = ground_picture(catalogue(tmp_path / "noise.tif"), grid, 100.0)
    assert again == coarse


def test_clouds_give_way_to_other_dates_and_holes_stay_open(tmp_path):
    whole = write(tmp_path / "a.tif", halves(60, 160))
    clouded = halves(60, 160)
    clouded[:, :100] = 255
    mask = np.zeros((1, SIZE, SIZE), np.uint8)
    mask[:, :100] = 2
    first = catalogue(write(tmp_path / "b.tif", clouded), masks={0: write(tmp_path / "mask.tif", mask)})
    alone = ground_picture(first, MAP, 10.0)
    assert at(alone, EAST + 500, NORTH - 500)[3] == 0  # cloud, and nothing else
    assert at(alone, EAST + 500, NORTH - 1500)[3] == 255
    both = ground_picture(catalogue(tmp_path / "b.tif", whole, masks={0: tmp_path / "mask.tif"}), MAP, 10.0)
    for north in (NORTH - 500, NORTH - 1500):
        np.testing.assert_allclose(at(both, EAST + 500, north), [0, 0, 0, 255], atol=3)
        np.testing.assert_allclose(at(both, EAST + 1500, north), [255, 255, 255, 255], atol=3)


def test_the_middle_view_shows_no_cloud_that_the_masks_have_missed(tmp_path):
    paths = []
    for number, haze in enumerate((0, 10, 20)):
        pixels = halves(60, 160) + np.uint8(haze)
        top = slice(70 * number, 70 * number + 50)
        pixels[:, top, :100] = 250 if number < 2 else 1  # two clouds and a shadow, each on one date
        paths.append(write(tmp_path / f"{number}.tif", pixels))
    picture = ground_picture(catalogue(*paths), MAP, 10.0)
    levels = pixels_of(picture)[20:180, 4:96, 0]  # the west, away from edges
    assert levels.max() < 60


def test_haze_of_a_date_leaves_no_seam(tmp_path):
    """A hazy date shows all, clear ones only the north and only the south-west."""
    hazy, north, south = halves(120, 190), halves(60, 160), halves(40, 150)
    north[:, 120:] = 0
    south[:, :60] = 0
    files = [write(tmp_path / f"{name}.tif", pixels, nodata=0) for name, pixels in
             {"hazy": hazy, "north": north, "south": south}.items()]  # fmt: skip
    picture = pixels_of(ground_picture(catalogue(*files), MAP, 10.0))
    np.testing.assert_allclose(picture[:, :95, :3], 0, atol=4)
    np.testing.assert_allclose(picture[:, 105:, :3], 255, atol=4)


def test_scenes_that_add_nothing_are_not_read(tmp_path, monkeypatch):
    path = write(tmp_path / "a.tif", smooth((3, SIZE, SIZE), seed=1))
    read, reads = ScenePixels.read, []

    def counted(self, *window):
        reads.append(window)
        return read(self, *window)

    monkeypatch.setattr(ScenePixels, "read", counted)
    ground_picture(catalogue(*[path] * 12), MAP, 10.0)
    assert len(reads) == VIEWS
    reads.clear()
    far = rasterio.Affine(10, 0, EAST + 9_000, 0, -10, NORTH)
    elsewhere = write(tmp_path / "far.tif", smooth((3, 50, 50), seed=1), place=far)
    assert ground_picture(catalogue(*[elsewhere] * 4), MAP, 10.0) is None
    assert not reads


def test_without_all_three_colours_the_first_band_is_shown_in_grey(tmp_path):
    path = write(tmp_path / "a.tif", halves(60, 160))
    scenes = replace(catalogue(path), bands=("nir", "green", "swir"))
    pixels = pixels_of(ground_picture(scenes, MAP, 10.0))
    np.testing.assert_allclose(pixels[..., 0], pixels[..., 2], atol=3)
