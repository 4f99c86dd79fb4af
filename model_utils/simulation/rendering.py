"""From the ground, the haze and the sensor's faults to 8-bit tiles, one scene at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from model_utils.simulation.optics import Reflectance, atmosphere, top_of_atmosphere
from model_utils.simulation.random_fields import Floats, power_law_noise

MARGIN = 1  # pixels of ground around a tile, for the shift
GAMMA = 2.2
FULL_SCALE_REFLECTANCE = 0.6  # what 255 stands for
_SCENE_GAIN_SD, _BAND_GAIN_SD, _SIGNAL_TO_NOISE = 0.05, 0.02, 100.0
CLOUD_REFLECTANCE, SHADOW_DEPTH = 0.55, 0.5
_CLOUD_PLACE_SD, _CLOUD_EDGE = 0.9, 0.8  # most tiles are wholly clear or wholly covered
_LEVELS = 4096
_BANK = 64
_CODES = np.round(255 * ((np.arange(_LEVELS) + 0.5) / _LEVELS) ** (1 / GAMMA)).astype(np.uint8)


def sensor_gains(random: np.random.Generator, bands: int) -> Floats:
    """The scene's gain times each band's."""
    return np.asarray(1 + _SCENE_GAIN_SD * random.standard_normal() + _BAND_GAIN_SD * random.standard_normal(bands))


def to_codes(scene: Reflectance, noise: Reflectance, gains: Floats) -> NDArray[np.uint8]:
    """What the sensor makes of a scene: noise, gain, and 8 bits of gamma 2.2, never 0.

    Args:
        scene: Reflectance, ... x bands; overwritten.
        noise: Standard normal, as `scene`; overwritten.
        gains: As from `sensor_gains`.
    """
    noise *= 1 / _SIGNAL_TO_NOISE
    noise += 1
    scene *= noise
    scene *= (gains * _LEVELS / FULL_SCALE_REFLECTANCE).astype(np.float32)
    np.clip(scene, 0, _LEVELS - 1, out=scene)
    return _CODES[scene.astype(np.int16)]


class SceneRenderer:
    """Renders the tiles of all places of a city on one day.

    The grounds stay in memory: 4 bytes x (tile + 2)^2 x bands a place (52 kB at 64 pixels and 3 bands).
    """

    def __init__(self, grounds: Reflectance, bands: Sequence[str], random: np.random.Generator) -> None:
        """Takes places x (tile + 2 MARGIN)^2 x bands of reflectance; `random` draws the shapes of clouds."""
        self._grounds, self._bands = grounds, bands
        size = grounds.shape[1] - 2 * MARGIN
        self._shapes = np.stack([power_law_noise(random, size, 2.0) for _ in range(_BANK)]).astype(np.float32)

    def render(
        self,
        tau550: NDArray[np.float64],
        sun: float,
        angstrom: float,
        cloud_cover: float,
        random: np.random.Generator,
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Renders one scene.

        Args:
            tau550: Optical depth at each place.
            sun: Cosine of the solar zenith angle.
            angstrom: Wavelength exponent.
            cloud_cover: Expected share under cloud.
            random: The scene's own stream.

        Returns:
            uint8 tiles, places x tile x tile x bands, and the share of each under cloud.
        """
        size = self._grounds.shape[1] - 2 * MARGIN
        top, left = random.integers(0, 2 * MARGIN + 1, 2)  # the scene's registration error
        gains = sensor_gains(random, len(self._bands))
        ground = self._grounds[:, top : top + size, left : left + size]
        path, transmittance, albedo = atmosphere(tau550, sun, angstrom, self._bands)
        scene = top_of_atmosphere(ground, path, transmittance, albedo)
        covered = np.zeros(len(scene), np.float32)
        shadow_places, shadow = self._clouds(len(scene), cloud_cover, random)
        cloud_places, cloud = self._clouds(len(scene), cloud_cover, random)
        if shadow_places.size:
            haze = path[shadow_places][:, None, None].astype(np.float32)
            lit = scene[shadow_places] - haze
            scene[shadow_places] = haze + lit * (1 - SHADOW_DEPTH * shadow[..., None])
        if cloud_places.size:
            below = scene[cloud_places]
            scene[cloud_places] = below + cloud[..., None] * (CLOUD_REFLECTANCE - below)
            covered[cloud_places] = cloud.mean(axis=(1, 2))
        noise = random.standard_normal(scene.shape, dtype=np.float32)
        return to_codes(scene, noise, gains), covered

    def _clouds(
        self, places: int, cover: float, random: np.random.Generator
    ) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """Places that have any cloud, and its opacity there (places x tile x tile)."""
        threshold = ndtri(np.clip(cover, 1e-6, 1 - 1e-6))
        height = threshold + _CLOUD_PLACE_SD * random.standard_normal(places)
        picks = random.integers(0, _BANK, places)
        detail = np.sqrt(1 - _CLOUD_PLACE_SD**2)
        cloudy = np.flatnonzero(height + 3.5 * detail > -_CLOUD_EDGE / 2)
        field = height[cloudy, None, None].astype(np.float32) + np.float32(detail) * self._shapes[picks[cloudy]]
        return cloudy, np.clip(field / np.float32(_CLOUD_EDGE) + np.float32(0.5), 0, 1)
