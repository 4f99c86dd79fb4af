"""Small rasters and the tiles cut from them, which tests of cutting share."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
from rasterio.enums import ColorInterp, Resampling
from rasterio.warp import reproject

from model_utils.ingest.scenes.cutting import Cut, LeftOut, cut_scene
from model_utils.ingest.scenes.grid import TileGrid
from model_utils.ingest.scenes.masks import MASKS
from model_utils.ingest.scenes.scene import Band, QualityMask, Scene

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
    quality = None if mask is None else QualityMask(mask, MASKS[kind], MASKS[kind].bands)
    return Scene("scene", "product", bands, time, "name", quality, full_scale, surface_reflectance=False)


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


def write_four_bands(folder):
    """A raster of noise, and its pixels."""
    pixels = np.random.default_rng(0).integers(1, 256, (4, 90, 110), dtype=np.uint8)
    return write(folder / "four.tif", pixels), pixels
