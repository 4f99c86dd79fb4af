"""The picture of the ground below the map: a mosaic of a few of its own scenes."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model_utils.ingest.scenes.catalogue import Catalogue
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

MOST_SCENES = 40
_QUALITIES = (80, 65, 50, 35, 20)
_DARKEST, _BRIGHTEST = 0.01, 0.99  # quantiles that become black and white
_GOLDEN = (math.sqrt(5) - 1) / 2


def ground_picture(catalogue: Catalogue, grid: MapGrid, finest: float) -> BaseImage | None:
    """Puts scenes together to a picture of the map's extent.

    A pixel shows the middle, by brightness, of its first three clear views; of two the darker, which has less haze.
    Scenes come in an order that is spread over their dates, and those that would add nothing are not read. It is an
    illustration: each band is stretched on its own.

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
    lattice = TileGrid(grid.crs, step, 1)
    left, top = math.floor(grid.left / step), math.floor(-grid.top / step)
    right = math.ceil((grid.left + grid.columns * grid.spacing) / step)
    bottom = math.ceil((grid.rows * grid.spacing - grid.top) / step)
    views = _clear_views(catalogue, lattice, (left, top), (bottom - top, right - left))
    if not (views > 0).any():
        return None
    return BaseImage(_encoded(_stretched(_middle_view(views))), left * step, -bottom * step, right * step, -top * step)


def _clear_views(
    catalogue: Catalogue, lattice: TileGrid, corner: tuple[int, int], shape: tuple[int, int]
) -> NDArray[np.uint8]:
    """The first clear views of each pixel, views x height x width x bands, 0 where there are no more."""
    names = [name.lower() for name in catalogue.bands]
    bands = [names.index(name) for name in ("red", "green", "blue")] if {"red", "green", "blue"} <= set(names) else [0]
    views = np.zeros((VIEWS, *shape, len(bands)), np.uint8)
    count = np.zeros(shape, np.intp)
    for scene in _spread(catalogue.scenes):
        with ExitStack() as stack:
            pixels = ScenePixels(stack, scene, lattice)
            row, column = np.nonzero(count < VIEWS)
            met = pixels.meets(corner[0] + column, corner[1] + row)
            if not met.any():
                continue
            first, last = (row[met].min(), column[met].min()), (row[met].max() + 1, column[met].max() + 1)
            window = slice(first[0], last[0]), slice(first[1], last[1])
            size = int(last[0] - first[0]), int(last[1] - first[1])
            image, valid, cloudy = pixels.read((corner[0] + int(first[1]), corner[1] + int(first[0])), size)
        new = valid & ~(cloudy > 0) & (count[window] < VIEWS)
        rows, columns = np.nonzero(new)
        numbers = image[rows, columns][:, bands]
        views[count[window][new], rows + first[0], columns + first[1]] = np.maximum(numbers, 1)  # 0 is no view
        count[window] += new
    return views


def _spread(scenes: tuple[Scene, ...]) -> Iterator[Scene]:
    """At most so many scenes, the first few far apart in time, however many will be wanted."""
    order = sorted(range(len(scenes)), key=lambda number: (number * _GOLDEN) % 1)
    yield from (scenes[number] for number in order[:MOST_SCENES])


def _middle_view(views: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Of the views of each pixel that with the middle brightness, height x width x bands; 0 where there is none."""
    brightness = views.sum(axis=-1, dtype=np.intp)
    count = (brightness > 0).sum(axis=0)
    order = np.argsort(np.where(brightness > 0, brightness, np.iinfo(np.intp).max), axis=0, kind="stable")
    chosen = np.take_along_axis(order, (np.maximum(count - 1, 0) // 2)[None], axis=0)
    return np.asarray(np.take_along_axis(views, chosen[..., None], axis=0)[0])


def _stretched(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Each band from black to white; a last band says where there is a picture, height x width x 4."""
    seen = np.asarray((image > 0).any(axis=-1))
    low, high = np.quantile(image[seen], [_DARKEST, _BRIGHTEST], axis=0)
    scaled = 255 * (image - low) / np.maximum(high - low, 1)
    colours = np.broadcast_to(np.rint(scaled).clip(0, 255), (*seen.shape, 3))
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
