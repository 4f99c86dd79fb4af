"""The picture of the ground below the map: a mosaic of a few of its own scenes."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rasterio.enums import Resampling

from model_utils.ingest.products.catalogue import Catalogue
from model_utils.ingest.scenes.grid import TileGrid
from model_utils.ingest.scenes.pixels import ScenePixels
from model_utils.ingest.scenes.scene import Scene
from model_utils.mapping.places.grid import MapGrid
from model_utils.mapping.report.contents import BaseImage

MOST_PIXELS = 1000
"""Of the picture's longer side: finer pixels would not be seen, and the page would outgrow a letter."""

MOST_BYTES = 400_000
VIEWS = 3
"""Of each pixel: the middle one of three shows neither cloud nor its shadow where a mask has missed it."""

MOST_LOOKS = 6
"""At a pixel: one that no scene shows is given up."""

MOST_SCENES = 40
_SAMPLES = 3  # of a scene along a pixel's side: enough to be no speckle, and much quicker than all its pixels
_QUALITIES = (80, 65, 50, 35, 20)
_DARKEST, _BRIGHTEST = 0.01, 0.99  # quantiles that become black and white
_GAMMA = 0.7  # lightens: a base is to be seen through what lies on it
_FEWEST_COMMON = 500  # pixels that quartiles are taken of
_GOLDEN = (math.sqrt(5) - 1) / 2


def ground_picture(catalogue: Catalogue, grid: MapGrid, finest: float) -> BaseImage | None:
    """Puts scenes together to a picture of the map's extent.

    A pixel shows the middle, by brightness, of its first three clear views; of two the darker. Scenes come in an order
    that is spread over their dates, and those that would add nothing are not read. Each is matched to those before it
    where they overlap, so that haze and light of a date leave no seams. It is an illustration: its pixels are means of
    a few samples, and each band is stretched on its own.

    Args:
        catalogue: The scenes: red, green and blue where they have all three, else the first band in grey.
        grid: Of the map.
        finest: Metres: the picture's pixels are no smaller than this.

    Returns:
        The picture, transparent where no scene is clear; None where none is anywhere.

    Raises:
        InputError: A scene is broken.
    """
    step = max(finest, max(grid.rows, grid.columns) * grid.spacing / MOST_PIXELS)
    lattice = TileGrid(grid.crs, step / _SAMPLES, _SAMPLES)
    left, top = math.floor(grid.left / step), math.floor(-grid.top / step)
    right = math.ceil((grid.left + grid.columns * grid.spacing) / step)
    bottom = math.ceil((grid.rows * grid.spacing - grid.top) / step)
    views = _clear_views(catalogue, lattice, (left, top), (bottom - top, right - left))
    if np.isnan(views).all():
        return None
    return BaseImage(_encoded(_stretched(_middle_view(views))), left * step, -bottom * step, right * step, -top * step)


def _clear_views(
    catalogue: Catalogue, lattice: TileGrid, corner: tuple[int, int], shape: tuple[int, int]
) -> NDArray[np.float32]:
    """The first clear views of each pixel, views x height x width x bands, NaN where there are no more."""
    names = [name.lower() for name in catalogue.bands]
    bands = [names.index(name) for name in ("red", "green", "blue")] if {"red", "green", "blue"} <= set(names) else [0]
    views = np.full((VIEWS, *shape, len(bands)), np.nan, np.float32)
    count, looks = np.zeros(shape, np.intp), np.zeros(shape, np.intp)
    for scene in _spread(catalogue.scenes):
        row, column = np.nonzero((count < VIEWS) & (looks < MOST_LOOKS))
        with ExitStack() as stack:
            pixels = ScenePixels(stack, scene, lattice)
            met = pixels.meets(_SAMPLES * (corner[0] + column), _SAMPLES * (corner[1] + row))
            if not met.any():
                continue
            first, last = (row[met].min(), column[met].min()), (row[met].max() + 1, column[met].max() + 1)
            image, clear = _view(pixels, (corner[0] + first[1], corner[1] + first[0]), np.subtract(last, first))
        window = slice(first[0], last[0]), slice(first[1], last[1])
        image = _matched(image[..., bands], views[0][window], clear & (count[window] > 0))
        looks[window] += 1
        rows, columns = np.nonzero(clear & (count[window] < VIEWS))
        at = rows + first[0], columns + first[1]
        views[count[at], *at] = image[rows, columns]
        count[at] += 1
    return views


def _view(
    pixels: ScenePixels, corner: tuple[int, int], shape: NDArray[np.integer]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The mean of the clear samples of each pixel, height x width x bands, and where at least half of them are."""
    height, width = (int(length) for length in shape)
    start = _SAMPLES * int(corner[0]), _SAMPLES * int(corner[1])
    image, valid, cloudy = pixels.read(start, (_SAMPLES * height, _SAMPLES * width), Resampling.nearest)
    clear = (valid & ~(cloudy > 0)).reshape(height, _SAMPLES, width, _SAMPLES)
    samples = image.reshape(height, _SAMPLES, width, _SAMPLES, -1)
    count = clear.sum(axis=(1, 3))
    total = (samples * clear[..., None]).sum(axis=(1, 3), dtype=np.int64)
    return (total / np.maximum(count, 1)[..., None]).astype(np.float32), 2 * count >= _SAMPLES**2


def _matched(
    image: NDArray[np.float32], reference: NDArray[np.float32], common: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """An image whose bands have the quartiles of the reference's where both are seen, height x width x bands."""
    if common.sum() < _FEWEST_COMMON:
        return image
    low, high = np.quantile(image[common], [0.25, 0.75], axis=0)
    wanted_low, wanted_high = np.quantile(reference[common], [0.25, 0.75], axis=0)
    gain = np.where(high > low, (wanted_high - wanted_low) / np.maximum(high - low, 1e-6), 1.0)
    return np.asarray(wanted_low + gain * (image - low), np.float32)


def _spread(scenes: tuple[Scene, ...]) -> Iterator[Scene]:
    """At most so many scenes, the first few far apart in time, however many will be wanted."""
    order = sorted(range(len(scenes)), key=lambda number: (number * _GOLDEN) % 1)
    yield from (scenes[number] for number in order[:MOST_SCENES])


def _middle_view(views: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of the views of each pixel that with the middle brightness, height x width x bands; NaN where there is none."""
    brightness = views.sum(axis=-1)
    count = np.isfinite(brightness).sum(axis=0)
    order = np.argsort(brightness, axis=0, kind="stable")  # NaN last
    chosen = np.take_along_axis(order, (np.maximum(count - 1, 0) // 2)[None], axis=0)
    return np.asarray(np.take_along_axis(views, chosen[..., None], axis=0)[0])


def _stretched(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Each band from black to white; a last band says where there is a picture, height x width x 4."""
    seen = np.asarray(np.isfinite(image).all(axis=-1))
    low, high = np.quantile(image[seen], [_DARKEST, _BRIGHTEST], axis=0)
    scaled = ((np.nan_to_num(image) - low) / np.maximum(high - low, 1)).clip(0, 1) ** _GAMMA
    colours = np.broadcast_to(np.rint(255 * scaled), (*seen.shape, 3))
    return np.concatenate([colours, 255 * seen[..., None]], axis=-1).astype(np.uint8)


def _encoded(picture: NDArray[np.uint8]) -> bytes:
    """A WebP file: as good as fits."""
    image = Image.fromarray(picture, "RGBA")
    for quality in _QUALITIES:
        buffer = io.BytesIO()
        image.save(buffer, "WEBP", quality=quality, method=4)
        if buffer.tell() <= MOST_BYTES:
            break
    return buffer.getvalue()
