"""The synthetic ground of one tile: patches of land use, buildings, roads and texture, fixed for a place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.ndimage import gaussian_filter

from model_utils.simulation.land_use import CLASSES
from model_utils.simulation.optics import Reflectance
from model_utils.simulation.random_fields import Floats, power_law_noise

REFLECTANCE: Mapping[str, Sequence[float]] = {
    "red": (0.25, 0.10, 0.14, 0.04, 0.03, 0.22),
    "green": (0.24, 0.10, 0.13, 0.07, 0.05, 0.17),
    "blue": (0.22, 0.10, 0.11, 0.03, 0.05, 0.11),
    "nir": (0.30, 0.13, 0.20, 0.40, 0.02, 0.30),
}
"""Of each class in `CLASSES`; near infrared from typical spectra of roofs, asphalt, leaves, water and dry soil."""

_VARIATION = np.array([0.25, 0.15, 0.25, 0.30, 0.15, 0.20])  # coefficient of the 1/f^1.5 texture by class
_BLOCK_METRES = {"industry": 45.0, "compact": 14.0}  # typical size of a roof
_ROAD_METRES = 9.0
_POINT_SPREAD_PIXELS = 0.6


def render_surface(
    shares: Floats, size: int, gsd: float, bands: Sequence[str], random: np.random.Generator
) -> Reflectance:
    """Draws a tile whose ground is made of the given shares.

    Args:
        shares: Of the classes in `CLASSES`, adding up to one.
        size: Height and width, pixels.
        gsd: Metres per pixel.
        bands: Names in `REFLECTANCE`.
        random: The place's own stream.

    Returns:
        Reflectance, size x size x bands.
    """
    angle = random.uniform(0, np.pi / 2)
    rows, columns = np.mgrid[:size, :size] * gsd
    along = columns * np.cos(angle) + rows * np.sin(angle)
    across = rows * np.cos(angle) - columns * np.sin(angle)

    kind = _patches(shares, size, random)
    roads = _road_cover(shares[CLASSES.index("road")], along, across, gsd, random)
    brightness = 1 + _VARIATION[kind] * power_law_noise(random, size, 1.5)
    for name, metres in _BLOCK_METRES.items():
        roofs = _roofs(along, across, metres * random.uniform(0.8, 1.4), random)
        brightness = np.where(kind == CLASSES.index(name), brightness * roofs, brightness)
    brightness = np.clip(brightness, 0.25, 2.5)[..., None]

    spectra = np.array([REFLECTANCE[band] for band in bands]).T
    ground = spectra[kind] * brightness * (1 - roads) + spectra[CLASSES.index("road")] * roads
    blurred = gaussian_filter(ground, (_POINT_SPREAD_PIXELS, _POINT_SPREAD_PIXELS, 0), mode="nearest")
    return np.asarray(blurred, np.float32)


def _patches(shares: Floats, size: int, random: np.random.Generator) -> np.ndarray[tuple[int, int], np.dtype[np.intp]]:
    """Class of each pixel: each class in turn takes its share where its own smooth noise is highest.

    Roads are drawn on top, so their share is first dealt to the others.
    """
    areas = np.delete(shares, CLASSES.index("road"))
    order = [index for index, name in enumerate(CLASSES) if name != "road"]
    counts = np.round(np.cumsum(areas / areas.sum()) * size * size).astype(int)
    kind = np.full(size * size, -1)
    for index, taken in zip(order, counts, strict=True):
        wish = power_law_noise(random, size, 1.8).ravel()
        wish[kind >= 0] = -np.inf
        already = int((kind >= 0).sum())
        kind[np.argsort(wish)[::-1][: taken - already]] = index
    return kind.reshape(size, size)


def _road_cover(share: float, along: Floats, across: Floats, gsd: float, random: np.random.Generator) -> Floats:
    """Share of each pixel under straight roads, parallel or at right angles, until they cover the share asked."""
    cover = np.zeros(along.shape)
    while (missing := share - cover.mean()) > 0.005:
        axis = along if random.random() < 0.5 else across
        centre = random.uniform(axis.min(), axis.max())
        width = min(_ROAD_METRES, missing * np.ptp(axis))
        cover = np.maximum(cover, np.clip((width / 2 - np.abs(axis - centre)) / gsd + 0.5, 0, 1))
    return cover[..., None]


def _roofs(along: Floats, across: Floats, metres: float, random: np.random.Generator) -> Floats:
    """Brightness of a regular built-up area: one value a roof, dark gaps between the roofs."""
    tints = np.clip(random.normal(1.06, 0.28, (64, 64)), 0.4, 1.9)
    i, j = np.floor(along / metres).astype(int), np.floor(across / (0.7 * metres)).astype(int)
    gap = np.minimum(along / metres - i, across / (0.7 * metres) - j) < 0.16
    return np.where(gap, 0.72, tints[i % 64, j % 64])
