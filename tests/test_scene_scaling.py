"""From the numbers of a scene to bytes, against numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scene_rasters import bands_of, cut, scene_of, sites_at, write

from model_utils.ingest.scenes.scaling import to_bytes
from model_utils.ingest.scenes.scene import Band


def test_uint16_is_scaled_by_one_rule(tmp_path):
    pixels = np.random.default_rng(3).integers(0, 65536, (2, 40, 40), dtype=np.uint16)
    pixels[:, :20] = pixels[:, :20] % 12_000 + 1
    path = write(tmp_path / "reflectance.tif", pixels)
    scene = scene_of(bands_of(path, 2, 1), full_scale=0.4, gain=1e-4, offset=-0.1)
    found = cut(scene, sites_at([0, 24], [0, 24]))
    for tile, at in zip(found.tiles, (slice(0, 16), slice(24, 40)), strict=True):
        wanted = np.round(255 * (1e-4 * pixels[::-1, at, at].astype(float) - 0.1) / 0.4)
        np.testing.assert_array_equal(np.moveaxis(tile, -1, 0), np.clip(wanted, 0, 255).astype(np.uint8))
    assert len(np.unique(found.tiles)) > 100


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint16, np.float32, np.float64])
def test_scaling_rounds_clips_and_never_warns(kind):
    numbers = np.array([0, 1, 2, 100, 127], kind)
    band = Band(Path("x"), 1, 2.0, 1.0)
    np.testing.assert_array_equal(to_bytes(numbers, band, 255), [1, 3, 5, 201, 255])
    if np.dtype(kind).kind == "f":
        wild = np.array([np.nan, np.inf, -np.inf, np.finfo(kind).max, -5], kind)
        np.testing.assert_array_equal(to_bytes(wild, band, 255), [0, 255, 0, 255, 0])


def test_bytes_pass_without_a_copy():
    numbers = np.arange(256, dtype=np.uint8)
    assert to_bytes(numbers, Band(Path("x"), 1), 255) is numbers
    np.testing.assert_array_equal(to_bytes(numbers, Band(Path("x"), 1), 510), np.round(numbers / 2).astype(np.uint8))
