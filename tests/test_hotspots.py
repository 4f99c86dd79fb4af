"""Hotspots against a loop over cells, in fields where they were planted, and in fields where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from model_utils.mapping.hotspots import HIGH, LEAST_SD, REACH, WIDTH_OF_SD, hotspots

Floats = NDArray[np.float64]


def loop(pm25: Floats, cell_m: float, window_km: float) -> Floats:
    """z, cell by cell."""
    sd = 1000 * window_km / WIDTH_OF_SD / cell_m
    reach = int(REACH * sd + 0.5)
    z = np.full(pm25.shape, np.nan)
    for row, column in np.argwhere(np.isfinite(pm25)):
        values, weights = [], []
        for other_row, other_column in np.argwhere(np.isfinite(pm25)):
            down, right = other_row - row, other_column - column
            if max(abs(down), abs(right)) <= reach:
                values.append(pm25[other_row, other_column])
                weights.append(np.exp(-(down**2 + right**2) / (2 * sd**2)))
        mean = np.average(values, weights=weights)
        spread = np.sqrt(np.average((np.array(values) - mean) ** 2, weights=weights))
        z[row, column] = (pm25[row, column] - mean) / (spread + LEAST_SD)
    return z


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), missing=st.sampled_from([0.0, 0.3, 0.9]), window=st.floats(0.4, 3))
def test_equals_a_loop_over_cells_with_and_without_gaps(seed: int, missing: float, window: float) -> None:
    random = np.random.default_rng(seed)
    pm25 = 60 + random.normal(0, 5, (9, 12))
    pm25[random.random(pm25.shape) < missing] = np.nan
    half_width = random.uniform(0, 10, pm25.shape)
    mask, z = hotspots(pm25, half_width, 300, window)
    np.testing.assert_allclose(z, loop(pm25, 300, window), atol=1e-6)
    assert not mask[np.isnan(pm25)].any()
    assert not mask[z <= HIGH].any()


def smooth(shape: tuple[int, int]) -> Floats:
    """A level that rises slowly over the map, ug/m3."""
    north, east = np.indices(shape)
    return np.asarray(50 + 0.05 * north + 0.03 * east)


def test_finds_what_was_planted_and_nothing_else() -> None:
    random = np.random.default_rng(0)
    pm25 = smooth((80, 90)) + random.normal(0, 0.5, (80, 90))
    planted = np.zeros(pm25.shape, bool)
    for row, column in ((20, 20), (55, 30), (40, 70), (0, 60)):
        planted[row : row + 2, column : column + 2] = True
    mask, _ = hotspots(pm25 + 12 * planted, np.full(pm25.shape, 3.0), 300)
    np.testing.assert_array_equal(mask, planted)
    cold, _ = hotspots(pm25 - 12 * planted, np.full(pm25.shape, 3.0), 300)
    assert not cold.any()


def test_noise_within_its_intervals_has_no_hotspot_though_its_contrast_is_high() -> None:
    random = np.random.default_rng(1)
    pm25 = 70 + random.uniform(-2, 2, (60, 60))
    mask, z = hotspots(pm25, np.full(pm25.shape, 4.0), 300)
    assert (z > HIGH).mean() > 0.1
    assert not mask.any()
    assert hotspots(pm25, np.zeros(pm25.shape), 300).mask.mean() > 0.1
    assert not hotspots(pm25, np.full(pm25.shape, np.nan), 300).mask.any()


def test_a_flat_field_has_no_contrast_at_any_level_or_edge() -> None:
    for level in (0.0, 73.1, 1e4):
        mask, z = hotspots(np.full((20, 30), level), np.zeros((20, 30)), 300)
        np.testing.assert_allclose(z, 0, atol=1e-6)
        assert not mask.any()


@settings(max_examples=20, deadline=None)
@given(down=st.integers(0, 40), right=st.integers(0, 40), level=st.floats(-40, 400))
def test_where_the_map_begins_and_how_high_it_lies_do_not_matter(down: int, right: int, level: float) -> None:
    random = np.random.default_rng(3)
    pm25, half_width = random.normal(60, 5, (15, 18)), random.uniform(0, 5, (15, 18))
    expected = hotspots(pm25, half_width, 300)
    wide, widths = (np.full((60, 60), np.nan) for _ in range(2))
    place = slice(down, down + 15), slice(right, right + 18)
    wide[place], widths[place] = pm25 + level, half_width
    found = hotspots(wide, widths, 300)
    np.testing.assert_allclose(found.z[place], expected.z, atol=1e-9)
    np.testing.assert_array_equal(found.mask[place], expected.mask)
    assert found.mask.sum() == expected.mask.sum()


def test_the_window_is_a_length_on_the_ground() -> None:
    """A hotspot of 600 m in cells of 300 m and of 150 m."""
    coarse = smooth((40, 40))
    coarse[20:22, 20:22] += 10
    fine = np.kron(coarse, np.ones((2, 2)))
    fine_z = hotspots(fine, np.zeros(fine.shape), 150).z
    np.testing.assert_allclose(fine_z[40:44, 40:44], hotspots(coarse, np.zeros(coarse.shape), 300).z[20, 20], rtol=0.1)


def test_a_map_of_nothing_and_maps_that_do_not_fit() -> None:
    mask, z = hotspots(np.full((3, 4), np.nan), np.ones((3, 4)), 300)
    assert not mask.any()
    assert np.isnan(z).all()
    assert hotspots(np.empty((0, 4)), np.empty((0, 4)), 300).z.shape == (0, 4)
    with pytest.raises(ValueError, match=r"hotspots: found \(3, 4\) and \(4, 3\), expected two maps of a shape"):
        hotspots(np.ones((3, 4)), np.ones((4, 3)), 300)
    with pytest.raises(ValueError, match="hotspots: found cells of 0 m and a window of 3 km"):
        hotspots(np.ones((3, 4)), np.ones((3, 4)), 0)
