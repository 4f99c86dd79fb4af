"""Whole simulated scenes of a city over a real surface, and the tiles cut out of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import datetime
from types import TracebackType

import numpy as np
import pandas as pd
import rasterio
from numpy.typing import NDArray

from model_utils.cities import City
from model_utils.errors import InputError
from model_utils.ingest.scenes.grid import city_grid
from model_utils.ingest.scenes.sites import grid_sites, station_sites
from model_utils.simulation.cloud_field import CloudField
from model_utils.simulation.config import SimulateConfig
from model_utils.simulation.ground import RegionGround, surface_bounds, warp_ground
from model_utils.simulation.haze import Sky
from model_utils.simulation.optics import atmosphere, top_of_atmosphere
from model_utils.simulation.places import with_kilometres
from model_utils.simulation.random_fields import Floats, stream
from model_utils.simulation.region import HazeGrid, Region
from model_utils.simulation.rendering import CLOUD_REFLECTANCE, MARGIN, SHADOW_DEPTH, sensor_gains, to_codes
from model_utils.simulation.scene_files import BANDS, SceneFiles, replacing_scenes, scene_name, scenes_folder

NOISE_ROWS = 64  # that one stream draws, so that a strip can be drawn alone
_HEAVY_HAZE_DEPTH = 1.5  # optical depth at 0.55 um from which the mask says so
_OPAQUE = 0.5  # from here on the mask says cloud
_DEPTH_LEVELS = 1024  # steps of optical depth within a scene: far below one grey level
_CACHE_BYTES = 128_000_000  # of GDAL; by default it takes a twentieth of the machine

_GROUND = "ground.npy"

Strip = tuple[int, NDArray[np.uint8], dict[str, NDArray[np.uint8]]]


class _NotCommittedError(Exception):
    """Scenes are left without `commit`: nothing of them stays."""


class SceneSet:
    """Renders scene after scene; a context manager, whose folder appears when it is whole, by `commit`.

    Memory holds a strip of a scene; the warped surface lies in a file meanwhile. A scene shows one haze field and one
    cloud field, and the stations' and grid cells' tiles are windows of it: the same that `pm25 prepare` cuts.

    Attributes:
        folder: Where the scenes will lie.
        places: Stations and grid cells (as `pm25 prepare` names them) whose whole window has ground.
        air: Where the haze has to be known: at the nodes of a grid.
        land_use: Unknown.
        left_out: Number of places without ground.
    """

    land_use: None = None

    def __init__(
        self, config: SimulateConfig, city: City, labelled: pd.DataFrame, scenes: int, strip_rows: int = NOISE_ROWS
    ) -> None:
        """Checks what can be checked at once.

        Args:
            config: With `surface` and `write_scenes`.
            city: The city.
            labelled: The stations, as places.
            scenes: How many will be rendered.
            strip_rows: Rows at a time, a multiple of `NOISE_ROWS`; the scenes do not depend on it.

        Raises:
            InputError: The surface is not readable or lies elsewhere, or the scenes are there already.
        """
        if config.surface is None or config.write_scenes is None or strip_rows % NOISE_ROWS:
            raise ValueError("expected surface, write_scenes and whole blocks of noise")
        grid = city_grid(city, config.gsd, config.tile_size)
        region = Region.of(city, grid, surface_bounds(config.surface, BANDS))
        if region is None:
            raise InputError(f"{config.surface}: lies outside of the bounding box of {city.name}")
        self.folder = scenes_folder(config.write_scenes, city.name, config.overwrite)
        self._surface, self._strip_rows, self._region, self._scenes = config.surface, strip_rows, region, scenes
        self._key, self._northern = (config.seed, city.name), city.bounding_box.south + city.bounding_box.north > 0
        self._haze = HazeGrid(region, city)
        self.air = self._haze.nodes
        names = {"site_id": "station", "site_name": "station_name"}
        sites = [station_sites(grid, labelled.rename(columns=names))]
        if config.grid_km:
            sites.append(grid_sites(grid, [city.bounding_box], 1000 * config.grid_km))
        asked = pd.concat(sites, ignore_index=True)
        columns = ["site_id", "site_name", "site_kind", "latitude", "longitude"]
        self._asked = with_kilometres(city, list(asked[columns].itertuples(index=False, name=None)))
        self._corners = grid.corners(asked["east_m"], asked["north_m"])

    def __enter__(self) -> SceneSet:
        region, size = self._region, self._region.grid.tile_size
        needed = (self._scenes + 1) * region.height * region.width * len(BANDS)
        with ExitStack() as until_committed:
            self._partial = until_committed.enter_context(replacing_scenes(self.folder, needed, self._surface.name))
            with rasterio.Env(GDAL_CACHEMAX=_CACHE_BYTES):
                self._ground = warp_ground(self._surface, region, BANDS, self._partial / _GROUND)
            rows, columns = self._corners[1] - region.top, self._corners[0] - region.left
            inside = self._ground.covers(rows, columns, size)
            self._until_committed = until_committed.pop_all()
        self.places = self._asked[inside].reset_index(drop=True)
        self.left_out = int((~inside).sum())
        self._rows, self._columns = rows[inside], columns[inside]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(_NotCommittedError):  # behind `commit` there is nothing to leave
            self._until_committed.__exit__(kind or _NotCommittedError, error or _NotCommittedError(), trace)

    def optical_depth(self, tau550: Floats) -> Floats:
        """At the middles of the tiles, from that of the air (days x nodes -> days x places)."""
        half = self._region.grid.tile_size / 2
        return self._haze.at_pixels(tau550, self._rows + half, self._columns + half)

    def scene_id(self, time_utc: datetime) -> str:
        """The name of the scene of a time."""
        return scene_name(time_utc, self._key[0])

    def render(self, time_utc: datetime, sky: Sky) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Writes one scene and cuts its tiles.

        Args:
            time_utc: Of the acquisition; with the seed it names the scene and keys the draws.
            sky: With the optical depth at the nodes.

        Returns:
            uint8 tiles, places x tile x tile x bands, and the share of each under cloud.
        """
        size, name = self._region.grid.tile_size, self.scene_id(time_utc)
        tiles = np.zeros((len(self.places), size, size, len(BANDS)), np.uint8)
        cloudy = np.zeros(len(self.places), np.int64)
        with (
            rasterio.Env(GDAL_CACHEMAX=_CACHE_BYTES),
            SceneFiles(self._partial, name, self._region, time_utc) as files,
        ):
            for first, codes, masks in self._strips(name, sky):
                files.write(first, codes, masks)
                last = first + len(codes)
                for place in np.flatnonzero((self._rows < last) & (self._rows + size > first)):
                    row, column = self._rows[place], self._columns[place]
                    top, bottom = max(row, first), min(row + size, last)
                    part = slice(top - first, bottom - first), slice(column, column + size)
                    tiles[place, top - row : bottom - row] = codes[part]
                    cloudy[place] += np.count_nonzero(masks["cloud"][part])
            files.finish(sky.sun)
        return tiles, (cloudy / size**2).astype(np.float32)

    def commit(self) -> None:
        """Makes the scenes visible."""
        (self._partial / _GROUND).unlink()
        self._until_committed.close()

    def _strips(self, name: str, sky: Sky) -> Iterator[Strip]:
        """First row, codes (rows x width x bands) and mask of one strip after another."""
        height, width, gsd = self._region.height, self._region.width, self._region.grid.gsd
        random = stream(*self._key, "scene", name)
        top, left = random.integers(0, 2 * MARGIN + 1, 2)  # the scene's registration error
        gains = sensor_gains(random, len(BANDS))
        clouds = CloudField(height, width, gsd, sky.cloud_cover, sky.sun, self._northern, random)
        depths = np.linspace(0.8 * sky.tau550.min(), 1.2 * sky.tau550.max(), _DEPTH_LEVELS)  # a spline overshoots
        path, clear = _clear_sky(depths, sky, self._ground)
        for first in range(0, height, self._strip_rows):
            last = min(first + self._strip_rows, height)
            ground = self._ground.codes[first + top : last + top, left : left + width]
            tau = self._haze.over_pixels(sky.tau550, first, last)
            level = np.rint((tau - depths[0]) / (depths[1] - depths[0])).clip(0, _DEPTH_LEVELS - 1).astype(np.intp)
            code = ground * np.intp(len(BANDS)) + np.arange(len(BANDS))
            code += level[..., None] * clear[0].size
            scene = clear.ravel().take(code)
            shadow, cloud = clouds.shadow(first, last), clouds.cloud(first, last)
            if shadow.any():
                haze = path[level]
                scene = haze + (scene - haze) * (1 - np.float32(SHADOW_DEPTH) * shadow[..., None])
            if cloud.any():
                scene += cloud[..., None] * (np.float32(CLOUD_REFLECTANCE) - scene)
            noise = [
                stream(*self._key, "noise", name, block).standard_normal(
                    (NOISE_ROWS, *scene.shape[1:]), dtype=np.float32
                )
                for block in range(first // NOISE_ROWS, -(-last // NOISE_ROWS))
            ]
            codes = to_codes(scene, np.concatenate(noise)[: last - first], gains)
            valid = ground[..., 0] > 0
            codes[~valid] = 0
            yield first, codes, _mask(valid, cloud >= _OPAQUE, shadow >= _OPAQUE, tau >= _HEAVY_HAZE_DEPTH)


def _clear_sky(tau550: Floats, sky: Sky, ground: RegionGround) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Path reflectance (depths x bands), and what each code of the ground looks like (depths x 256 x bands)."""
    path, transmittance, albedo = atmosphere(tau550, sky.sun, sky.angstrom, BANDS)
    clear = top_of_atmosphere(ground.table[None, :, None], path, transmittance, albedo)
    return path.astype(np.float32), clear[:, :, 0]


def _mask(
    valid: NDArray[np.bool_], cloud: NDArray[np.bool_], shadow: NDArray[np.bool_], hazy: NDArray[np.bool_]
) -> dict[str, NDArray[np.uint8]]:
    """The bands of the usable data mask: a valid pixel is one of cloud, shadow, heavy haze and clear."""
    cloud = valid & cloud
    shadow = valid & shadow & ~cloud
    hazy = valid & hazy & ~cloud & ~shadow
    bands = {
        "clear": valid & ~cloud & ~shadow & ~hazy,
        "shadow": shadow,
        "haze_heavy": hazy,
        "cloud": cloud,
        "confidence": valid * np.uint8(100),
        "unusable": ~valid,
    }
    return {name: values.astype(np.uint8) for name, values in bands.items()}
