"""Whole simulated scenes as GeoTIFF files, in the layout of a Planet order, and the tiles cut out of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pandas as pd
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp

from model_utils import atomic
from model_utils.cities import City
from model_utils.errors import InputError
from model_utils.simulation.cloud_field import CloudField
from model_utils.simulation.ground import RegionGround, surface_bounds, warp_ground
from model_utils.simulation.optics import atmosphere, top_of_atmosphere
from model_utils.simulation.random_fields import Floats, stream
from model_utils.simulation.region import HazeGrid, Region
from model_utils.simulation.rendering import CLOUD_REFLECTANCE, MARGIN, SHADOW_DEPTH, sensor_gains, to_codes

BANDS = ("red", "green", "blue")
CLEAR, SHADOW, HEAVY_HAZE, CLOUD, CONFIDENCE, UNUSABLE = 1, 3, 5, 6, 7, 8
"""Bands of the mask that are filled (Planet's UDM2); 2 and 4, snow and light haze, stay 0."""
ROWS = 256  # of noise that one stream draws, and of a block of the files
_STRIP_ROWS = 256
_HEAVY_HAZE_DEPTH = 1.0  # optical depth at 0.55 um
_OPAQUE = 0.5
_DEPTH_LEVELS = 1024  # steps of optical depth between a scene's least and most: far below one grey level
_SIMULATED = "SIMULATED by pm25-contrastive: haze, clouds and sensor are computed; not an observation"


@dataclass(frozen=True)
class SceneSky:
    """The air of one scene.

    Attributes:
        tau550: Optical depth at the nodes of the haze grid.
        sun: Cosine of the solar zenith angle.
        angstrom: Wavelength exponent.
        cloud_cover: Share of the region under cloud.
    """

    tau550: Floats
    sun: float
    angstrom: float
    cloud_cover: float


class SceneSet:
    """Renders the scenes of a city over a real surface, and shows the folder only when it is whole.

    `folder/<City>_SIMULATED/<scene>/<scene>_3B_Visual.tif` with `_3B_udm2.tif` and `_metadata.json` is written under a
    temporary name and renamed by `commit`. Memory holds a strip of a scene; the warped surface lies in a file meanwhile.
    """

    def __init__(
        self, folder: Path, city: City, surface: Path, gsd: float, tile_size: int, seed: int, overwrite: bool = False
    ) -> None:
        """Checks surface and folder.

        Raises:
            InputError: The surface is not readable or lies elsewhere, or the scenes are there already.
        """
        region = Region.of(city, gsd, tile_size, surface_bounds(surface, BANDS))
        if region is None:
            raise InputError(f"{surface}: lies outside of the bounding box of {city.name}")
        self.folder = folder / f"{city.name}_SIMULATED"
        self._partial = folder / f".{self.folder.name}.partial"
        self._old = folder / f".{self.folder.name}.old"
        if self.folder.exists() and not overwrite:
            raise InputError(f"{self.folder}: scenes are already there, --overwrite replaces them")
        self.region, self.grid = region, HazeGrid(region, city)
        self._surface, self._tile_size = surface, tile_size
        self._key, self._northern = (seed, city.name), city.bounding_box.south + city.bounding_box.north > 0
        self._windows: tuple[NDArray[np.int64], NDArray[np.int64]]
        self._ground: RegionGround

    def __enter__(self) -> SceneSet:
        try:
            for leftover in (self._partial, self._old):  # of a killed run
                shutil.rmtree(leftover, ignore_errors=True)
            self._partial.mkdir(parents=True)
        except OSError as error:
            raise InputError(f"--write_scenes: {self.folder.parent}: {error.strerror}, expected a folder") from None
        self._ground = warp_ground(self._surface, self.region, BANDS, self._partial / "ground.npy")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._partial, ignore_errors=True)

    def place(self, places: pd.DataFrame) -> pd.DataFrame:
        """Keeps the places whose whole window has ground; `render` cuts the tiles of these."""
        rows, columns = self.region.windows(places, self._tile_size)
        inside = self._ground.covers(rows, columns, self._tile_size)
        self._windows = rows[inside], columns[inside]
        return places[inside].reset_index(drop=True)

    def optical_depth(self, tau550: Floats) -> Floats:
        """Of the placed tiles' middles, from that at the nodes (days x nodes -> days x places)."""
        half = self._tile_size / 2
        return self.grid.at_pixels(tau550, self._windows[0] + half, self._windows[1] + half)

    def render(
        self, time_utc: datetime, sky: SceneSky, strip_rows: int = _STRIP_ROWS
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Writes one scene and cuts its tiles.

        Args:
            time_utc: Of the acquisition; with the seed it names the scene and keys the draws.
            sky: The air.
            strip_rows: Height of a strip, a multiple of `ROWS`; the scene does not depend on it.

        Returns:
            uint8 tiles, places x tile x tile x bands, and the share of each under cloud.
        """
        rows, columns = self._windows
        size = self._tile_size
        tiles = np.zeros((len(rows), size, size, len(BANDS)), np.uint8)
        cloudy = np.zeros(len(rows), np.int64)
        name = scene_name(time_utc, self._key[0])
        target = self._partial / name
        target.mkdir()
        image, mask = target / f"{name}_3B_Visual.tif", target / f"{name}_3B_udm2.tif"
        with self._open(image, time_utc, BANDS) as image_file, self._open(mask, time_utc, _MASK_BANDS) as mask_file:
            image_file.colorinterp = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
            counts = np.zeros(9, np.int64)
            for first, codes, masks in self._strips(name, sky, strip_rows):
                last = first + len(codes)
                window = ((first, last), (0, self.region.width))
                image_file.write(codes.transpose(2, 0, 1), window=window)
                for band, values in masks.items():
                    mask_file.write(values, band, window=window)
                    counts[band] += np.count_nonzero(values)
                for place in np.flatnonzero((rows < last) & (rows + size > first)):
                    top, bottom = max(rows[place], first), min(rows[place] + size, last)
                    across = slice(columns[place], columns[place] + size)
                    inside = slice(top - first, bottom - first)
                    tiles[place, top - rows[place] : bottom - rows[place]] = codes[inside, across]
                    cloudy[place] += np.count_nonzero(masks[CLOUD][inside, across])
        metadata = _metadata(name, time_utc, sky.sun, counts, self.region.gsd)
        (target / f"{name}_metadata.json").write_text(metadata, encoding="utf-8")
        for file in target.iterdir():
            atomic.sync(file)
        return tiles, (cloudy / size**2).astype(np.float32)

    def commit(self) -> None:
        """Makes the scenes visible."""
        (self._partial / "ground.npy").unlink()
        (self._partial / "SIMULATED.txt").write_text(f"{_SIMULATED}.\nOver {self._surface.name}.\n", encoding="utf-8")
        atomic.sync(self._partial)
        if self.folder.exists():
            self.folder.rename(self._old)
        self._partial.rename(self.folder)
        atomic.sync(self.folder.parent)
        shutil.rmtree(self._old, ignore_errors=True)

    def _strips(
        self, name: str, sky: SceneSky, strip_rows: int
    ) -> Iterator[tuple[int, NDArray[np.uint8], dict[int, NDArray[np.uint8]]]]:
        """First row, codes (rows x width x bands) and mask bands of one strip after another."""
        region, random = self.region, stream(*self._key, "scene", name)
        top, left = random.integers(0, 2 * MARGIN + 1, 2)  # the scene's registration error
        gains = sensor_gains(random, len(BANDS))
        clouds = CloudField(region.height, region.width, region.gsd, sky.cloud_cover, sky.sun, self._northern, random)
        low, high = 0.8 * sky.tau550.min(), 1.2 * sky.tau550.max()  # the spline may pass the nodes' extremes
        path, clear = _clear_sky(np.linspace(low, high, _DEPTH_LEVELS), sky, self._ground)
        for first in range(0, region.height, strip_rows):
            last = min(first + strip_rows, region.height)
            ground = self._ground.codes[first + top : last + top, left : left + region.width]
            tau = self.grid.over_pixels(sky.tau550, first, last)
            level = np.clip((tau - low) * ((_DEPTH_LEVELS - 1) / (high - low)) + 0.5, 0, _DEPTH_LEVELS - 1)
            level = level.astype(np.intp)
            index = ground * np.intp(len(BANDS)) + np.arange(len(BANDS))
            index += level[..., None] * (256 * len(BANDS))
            scene = clear.ravel().take(index)
            shadow, cloud = clouds.shadow(first, last), clouds.cloud(first, last)
            if shadow.any():
                haze = path[level]
                scene = haze + (scene - haze) * (1 - np.float32(SHADOW_DEPTH) * shadow[..., None])
            scene += cloud[..., None] * (np.float32(CLOUD_REFLECTANCE) - scene)
            noise = [
                stream(*self._key, "noise", name, block).standard_normal((ROWS, *scene.shape[1:]), dtype=np.float32)
                for block in range(first // ROWS, -(-last // ROWS))
            ]
            codes = to_codes(scene, np.concatenate(noise)[: last - first], gains)
            valid = ground[..., 0] > 0
            codes[~valid] = 0
            under_cloud, in_shadow = valid & (cloud >= _OPAQUE), valid & (shadow >= _OPAQUE) & (cloud < _OPAQUE)
            hazy = valid & (tau >= _HEAVY_HAZE_DEPTH) & ~under_cloud & ~in_shadow
            masks = {
                CLEAR: valid & ~under_cloud & ~in_shadow & ~hazy,
                SHADOW: in_shadow,
                HEAVY_HAZE: hazy,
                CLOUD: under_cloud,
                CONFIDENCE: valid * np.uint8(100),
                UNUSABLE: ~valid,
            }
            yield first, codes, {band: values.astype(np.uint8) for band, values in masks.items()}

    def _open(self, path: Path, time_utc: datetime, names: tuple[str, ...]) -> Any:
        """A tiled, packed GeoTIFF of uint8 whose bands have these names."""
        is_image = names == BANDS
        file = rasterio.open(
            path,
            "w",
            driver="GTiff",
            dtype="uint8",
            count=len(names),
            width=self.region.width,
            height=self.region.height,
            crs=self.region.crs,
            transform=self.region.transform(),
            nodata=0 if is_image else None,
            photometric="RGB" if is_image else "MINISBLACK",
            interleave="pixel" if is_image else "band",
            tiled=True,
            blockxsize=ROWS,
            blockysize=ROWS,
            compress="deflate",
            zlevel=1,
            predictor=2 if is_image else 1,
            sparse_ok=True,
            bigtiff="if_safer",
        )
        file.update_tags(
            TIFFTAG_IMAGEDESCRIPTION=_SIMULATED, TIFFTAG_DATETIME=f"{time_utc:%Y:%m:%d %H:%M:%S}", SIMULATED="yes"
        )
        file.update_tags(ns="IMAGERY", ACQUISITIONDATETIME=f"{time_utc:%Y-%m-%dT%H:%M:%SZ}")
        file.descriptions = names
        return file


_MASK_BANDS = ("clear", "snow", "shadow", "haze_light", "haze_heavy", "cloud", "confidence", "unusable")


def scene_name(time_utc: datetime, seed: int) -> str:
    """What Planet calls an item: the time, and where it names the satellite, the last digits of the seed."""
    return f"{time_utc:%Y%m%d_%H%M%S}_{seed % 65536:04x}"


def _clear_sky(tau550: Floats, sky: SceneSky, ground: RegionGround) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Path reflectance (depths x bands), and the reflectance of each ground code (depths x 256 x bands)."""
    path, transmittance, albedo = atmosphere(tau550, sky.sun, sky.angstrom, BANDS)
    clear = top_of_atmosphere(ground.table[None, :, None], path, transmittance, albedo)
    return path.astype(np.float32), clear[:, :, 0]


def _metadata(name: str, time_utc: datetime, sun: float, counts: NDArray[np.int64], gsd: float) -> str:
    """The item as Planet's `_metadata.json` describes one."""
    valid = max(int(counts[CONFIDENCE]), 1)
    properties = {
        "acquired": f"{time_utc:%Y-%m-%dT%H:%M:%SZ}",
        "item_type": "PSScene",
        "provider": "simulated",
        "description": _SIMULATED,
        "pixel_resolution": gsd,
        "sun_elevation": round(float(np.degrees(np.arcsin(sun))), 1),
        "cloud_cover": round(counts[CLOUD] / valid, 4),
        "clear_percent": round(100 * counts[CLEAR] / valid),
        "shadow_percent": round(100 * counts[SHADOW] / valid),
        "heavy_haze_percent": round(100 * counts[HEAVY_HAZE] / valid),
    }
    return json.dumps({"id": name, "type": "Feature", "properties": properties}, indent=2) + "\n"
