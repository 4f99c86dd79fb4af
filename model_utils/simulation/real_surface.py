"""The ground from a real, georeferenced scene."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform

from model_utils.errors import InputError
from model_utils.ingest.scenes.header import SEALED
from model_utils.simulation.optics import Reflectance
from model_utils.simulation.rendering import GAMMA

TYPICAL_REFLECTANCE = {"red": 0.12, "green": 0.11, "blue": 0.09}
"""Mean of a city between green, roofs and soil: what a scene whose numbers have no unit is scaled to."""

_COLOURS = {"red": ColorInterp.red, "green": ColorInterp.green, "blue": ColorInterp.blue}


def read_surface(
    path: Path,
    latitudes: NDArray[np.float64],
    longitudes: NDArray[np.float64],
    size: int,
    gsd: float,
    bands: Sequence[str],
) -> tuple[Reflectance, NDArray[np.bool_]]:
    """Cuts one window around each place, warped to its UTM zone.

    8-bit numbers become reflectance as rho = m (DN / 255)^2.2 / mean of (DN / 255)^2.2 over the scene, with m the
    typical reflectance of the band: the coding is taken as a gamma of 2.2 and the mean is made plausible.

    Args:
        path: A georeferenced uint8 scene with red, green and blue.
        latitudes: WGS84 degrees of n places.
        longitudes: WGS84 degrees.
        size: Height and width of a window, pixels; the place lies in its middle.
        gsd: Metres per pixel.
        bands: Of red, green, blue.

    Returns:
        Reflectance of the places that lie inside (m x size x size x bands), and which of the n those are.

    Raises:
        InputError: The scene cannot be read, has no georeference, is not uint8 or lacks a band.
    """
    try:
        with rasterio.Env(**SEALED), rasterio.open(path) as scene:
            indexes = band_indexes(path, scene, bands)
            windows = [
                _window(scene, indexes, latitude, longitude, size, gsd)
                for latitude, longitude in zip(latitudes, longitudes, strict=True)
            ]
            inside = np.array([window is not None for window in windows])
            if not inside.any():
                raise InputError(f"{path}: none of the {len(windows)} sites lies in the scene with its whole window")
            table = reflectance_table(scene, indexes, bands)
    except RasterioError as error:
        raise InputError(f"{path}: not readable as a raster ({' '.join(str(error).split())})") from None
    values = np.stack([window for window in windows if window is not None]).transpose(0, 2, 3, 1)
    return np.stack([table[values[..., band], band] for band in range(len(bands))], axis=-1), inside


def reflectance_table(scene: rasterio.DatasetReader, indexes: Sequence[int], bands: Sequence[str]) -> Reflectance:
    """Reflectance of the 8-bit numbers of a scene, 256 x bands (see `read_surface`)."""
    coarse = scene.read(indexes, out_shape=(len(indexes), min(scene.height, 1024), min(scene.width, 1024)))
    seen = scene.dataset_mask(out_shape=coarse.shape[1:]) > 0
    means = ((coarse[:, seen] / 255) ** GAMMA).mean(axis=1)
    scales = np.array([TYPICAL_REFLECTANCE[band] for band in bands]) / np.maximum(means, 1e-6)
    table = ((np.arange(256) / 255) ** GAMMA)[:, None] * scales
    return np.asarray(np.clip(table, 0.005, 0.5), np.float32)


def band_indexes(path: Path, scene: rasterio.DatasetReader, bands: Sequence[str]) -> list[int]:
    """Numbers of the bands of these colours, from 1.

    Raises:
        InputError: The scene has no georeference, is not uint8 or lacks a band.
    """
    if scene.crs is None:
        raise InputError(f"{path}: found no coordinate reference system, expected a georeferenced scene")
    indexes = []
    for band in bands:
        if band not in _COLOURS or _COLOURS[band] not in scene.colorinterp:
            found = ", ".join(colour.name for colour in scene.colorinterp)
            raise InputError(f"{path}: no {band} band, found colours {found}")
        indexes.append(scene.colorinterp.index(_COLOURS[band]) + 1)
    if kinds := {scene.dtypes[index - 1] for index in indexes} - {"uint8"}:
        raise InputError(f"{path}: found {', '.join(sorted(kinds))}, expected uint8")
    return indexes


def _window(
    scene: rasterio.DatasetReader, indexes: Sequence[int], latitude: float, longitude: float, size: int, gsd: float
) -> NDArray[np.uint8] | None:
    """Bands x size x size around a place, or None where the scene does not cover it."""
    zone = f"EPSG:{(32600 if latitude >= 0 else 32700) + int((longitude + 180) // 6) % 60 + 1}"
    (x,), (y,) = transform("EPSG:4326", zone, [longitude], [latitude])
    half = size * gsd / 2
    grid = rasterio.Affine(gsd, 0, x - half, 0, -gsd, y + half)
    with WarpedVRT(
        scene,
        crs=zone,
        transform=grid,
        width=size,
        height=size,
        resampling=Resampling.bilinear,
        add_alpha=ColorInterp.alpha not in scene.colorinterp,  # or the outside would read as black
    ) as warped:
        if not warped.dataset_mask().all():
            return None
        window: NDArray[np.uint8] = warped.read(indexes)
    return window
