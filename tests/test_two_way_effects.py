"""Two-way effects against dense least squares, and what must leave them unchanged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from model_utils.estimators.place_and_day.two_way_effects import NONE, two_way_effects


def random_table(seed: int, stations: int, days: int, present: float) -> NDArray[np.float64]:
    random = np.random.default_rng(seed)
    values = random.normal(4, 0.2, (stations, days)) + random.normal(0, 0.5, days)
    values[random.random(values.shape) > present] = np.nan
    return values


def dense(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Minimum-norm least squares on dummies: fitted values, residuals, rank."""
    station, day = np.nonzero(np.isfinite(values))
    design = np.zeros((len(station), sum(values.shape)))
    design[np.arange(len(station)), station] = 1
    design[np.arange(len(station)), len(values) + day] = 1
    found, _, rank, _ = np.linalg.lstsq(design, values[station, day], rcond=None)
    return found, values[station, day] - design @ found, int(rank)


tables = st.builds(
    random_table,
    st.integers(0, 10_000),
    st.integers(1, 8),
    st.integers(1, 8),
    st.sampled_from([0.15, 0.3, 0.6, 1.0]),
)


@settings(max_examples=100, deadline=None)
@given(values=tables)
def test_equals_dense_least_squares(values: NDArray[np.float64]) -> None:
    effects = two_way_effects(values)
    present = np.isfinite(values)
    if not present.any():
        assert np.isnan(effects.place).all()
        assert np.isnan(effects.day).all()
        return
    found, residuals, rank = dense(values)
    np.testing.assert_allclose((values - effects.place[:, None] - effects.day)[present], residuals, atol=1e-9)
    assert effects.degrees_of_freedom == present.sum() - rank
    for number in range(effects.component.max() + 1):
        of_it = effects.component == number
        expected = found[: len(values)][of_it]
        np.testing.assert_allclose(effects.place[of_it], expected - expected.mean(), atol=1e-9)
        assert abs(effects.place[of_it].sum()) < 1e-9
    if effects.degrees_of_freedom:
        variance = (residuals**2).sum() / (present.sum() - rank)
        assert effects.residual_sd**2 == pytest.approx(variance, abs=1e-12)
        read = present.any(axis=1)
        expected = variance / present.sum(axis=1)[read]
        np.testing.assert_allclose(effects.place_variance[read], expected, atol=1e-12)
    else:
        assert np.isnan(effects.residual_sd)
    np.testing.assert_array_equal(np.isnan(effects.place), ~present.any(axis=1))
    np.testing.assert_array_equal(np.isnan(effects.day), ~present.any(axis=0))


@settings(max_examples=50, deadline=None)
@given(values=tables, seed=st.integers(0, 10_000))
def test_order_does_not_matter(values: NDArray[np.float64], seed: int) -> None:
    random = np.random.default_rng(seed)
    station, day = random.permutation(len(values)), random.permutation(values.shape[1])
    effects, moved = two_way_effects(values), two_way_effects(values[station][:, day])
    np.testing.assert_allclose(moved.place, effects.place[station], atol=1e-9)
    np.testing.assert_allclose(moved.day, effects.day[day], atol=1e-9)
    np.testing.assert_allclose(moved.residual_sd, effects.residual_sd, atol=1e-9)


@settings(max_examples=50, deadline=None)
@given(values=tables, level=st.floats(-5, 5))
def test_a_level_goes_to_the_days(values: NDArray[np.float64], level: float) -> None:
    effects, raised = two_way_effects(values), two_way_effects(values + level)
    np.testing.assert_allclose(raised.place, effects.place, atol=1e-9)
    np.testing.assert_allclose(raised.day, effects.day + level, atol=1e-9)


def test_components_are_the_stations_that_share_days_through_others_the_largest_first() -> None:
    values = np.full((6, 6), np.nan)
    values[0, [0, 1]] = values[1, 0] = 1.0
    values[2, 2] = values[3, [2, 3]] = values[4, 3] = 2.0  # 2 and 4 share no day, but both one with 3
    effects = two_way_effects(values)
    np.testing.assert_array_equal(effects.component, [1, 1, 0, 0, 0, NONE])
    np.testing.assert_array_equal(np.isnan(effects.day), [False, False, False, False, True, True])


def test_one_station_one_day_and_nothing() -> None:
    one = two_way_effects(np.array([[1.0, 2.0, np.nan]]))
    np.testing.assert_array_equal(one.place, [0.0])
    np.testing.assert_array_equal(one.day, [1.0, 2.0, np.nan])
    assert one.degrees_of_freedom == 0
    assert np.isnan(one.place_variance).all()
    day = two_way_effects(np.array([[1.0], [2.0], [6.0]]))
    np.testing.assert_allclose(day.place, [-2, -1, 3], atol=1e-12)
    np.testing.assert_allclose(day.day, [3], atol=1e-12)
    for shape in ((0, 0), (0, 3), (3, 0)):
        empty = two_way_effects(np.empty(shape))
        assert np.isnan(empty.place).all()
        assert np.isnan(empty.day).all()
        assert (len(empty.place), len(empty.day), empty.degrees_of_freedom) == (*shape, 0)


def test_finds_the_residual_sd_and_the_errors_of_the_effects() -> None:
    random = np.random.default_rng(0)
    place, errors = random.normal(0, 0.1, 12), []
    for _ in range(200):
        values = place[:, None] + random.normal(4, 0.5, 20) + random.normal(0, 0.2, (12, 20))
        values[random.random(values.shape) > 0.7] = np.nan
        effects = two_way_effects(values)
        errors.append((effects.residual_sd**2, (effects.place - place + place.mean()) ** 2 / effects.place_variance))
    assert np.mean([variance for variance, _ in errors]) == pytest.approx(0.2**2, rel=0.03)
    # centring takes a twelfth of the errors' variance, the days' own errors add a little to it
    assert np.mean([error for _, error in errors]) == pytest.approx(1.0, abs=0.1)
