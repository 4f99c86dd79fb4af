"""The area of applicability against loops over pairs of points."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from model_utils.estimators.applicability import Applicability, fit_applicability
from model_utils.estimators.saving import read_saved, write_saved

Floats = NDArray[np.float64]


def by_loops(points: Floats, importance: Floats, folds: NDArray[np.int64], asked: Floats) -> tuple[Floats, float]:
    """Dissimilarities of what is asked and the threshold, pair by pair as the paper says it."""

    def distance(a: Floats, b: Floats) -> float:
        parts = [
            weight * (first - second) / np.std(column)
            for first, second, column, weight in zip(a, b, points.T, importance, strict=True)
            if len(set(column)) > 1
        ]
        return float(np.sqrt(sum(part**2 for part in parts)))

    count = len(points)
    mean = np.mean([distance(points[i], points[j]) for i in range(count) for j in range(i)])
    found = np.array([min(distance(row, point) for point in points) / mean for row in asked])
    own = [
        min(distance(points[i], points[j]) for j in range(count) if folds[i] != folds[j]) / mean for i in range(count)
    ]
    quarters = np.percentile(own, [25, 75])
    return found, min(quarters[1] + 1.5 * (quarters[1] - quarters[0]), max(own))


def drawn(seed: int, count: int, width: int = 3) -> tuple[Floats, Floats, Floats]:
    random = np.random.default_rng(seed)
    points = random.normal(5, [1, 10, 0.1][:width], (count, width))
    return points, random.uniform(0.1, 2, width), random.normal(5, [2, 20, 0.2][:width], (15, width))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), count=st.integers(3, 20), groups=st.integers(2, 20))
def test_equals_loops_over_pairs_with_any_folds(seed: int, count: int, groups: int) -> None:
    points, importance, asked = drawn(seed, count)
    folds = np.arange(count) % groups
    found = fit_applicability(points, importance, folds)
    dissimilarity, threshold = by_loops(points, importance, folds, asked)
    np.testing.assert_allclose(found.dissimilarity(asked), dissimilarity, rtol=1e-9)
    assert found.threshold == pytest.approx(threshold)
    np.testing.assert_array_equal(found.inside(asked), found.dissimilarity(asked) <= found.threshold)
    np.testing.assert_allclose(found.dissimilarity(points), 0, atol=1e-12)
    assert found.inside(points).all()


def test_folds_of_neighbours_widen_the_area() -> None:
    """Points in tight pairs: who predicts from the pair's other one has a near neighbour, who must not has none."""
    points = np.repeat(np.arange(10.0), 2)[:, None] + np.tile([0, 0.01], 10)[:, None]
    each = fit_applicability(points, np.ones(1), np.arange(20))
    pairs = fit_applicability(points, np.ones(1), np.arange(20) // 2)
    between = np.array([[4.5]])
    assert not each.inside(between)
    assert pairs.inside(between)
    assert pairs.threshold > 50 * each.threshold


def test_a_predictor_that_is_constant_or_unimportant_counts_for_nothing() -> None:
    points, importance, asked = drawn(0, 12)
    expected = fit_applicability(points, importance, np.arange(12))
    more = np.column_stack([points, np.full(12, 0.1), np.random.default_rng(0).normal(size=12)])
    found = fit_applicability(more, np.append(importance, [3.0, 0.0]), np.arange(12))
    assert (found.weights[3:] == 0).all()
    assert found.threshold == pytest.approx(expected.threshold)
    for other in (0.1, 1e6, np.nan, np.inf):
        beside = np.column_stack([asked, np.full((15, 2), other)])
        np.testing.assert_allclose(found.dissimilarity(beside), expected.dissimilarity(asked))


def test_what_is_not_known_is_not_inside() -> None:
    points, importance, asked = drawn(0, 12)
    found = fit_applicability(points, importance, np.arange(12))
    asked[3, 1], asked[5, 0] = np.nan, np.inf
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(found.dissimilarity(asked))), [3, 5])
    assert not found.inside(asked)[[3, 5]].any()
    assert found.dissimilarity(np.empty((0, 3))).shape == (0,)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), factor=st.floats(1e-3, 1e3), shift=st.floats(-100, 100))
def test_units_and_the_sum_of_importances_do_not_matter(seed: int, factor: float, shift: float) -> None:
    points, importance, asked = drawn(seed, 10)
    first = fit_applicability(points, importance, np.arange(10))
    second = fit_applicability(points * factor + shift, importance * factor, np.arange(10))
    np.testing.assert_allclose(first.dissimilarity(asked), second.dissimilarity(asked * factor + shift), rtol=1e-6)
    assert first.threshold == pytest.approx(second.threshold)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_than_three_points_say_nothing(count: int) -> None:
    points, importance, asked = drawn(0, count)
    silent(fit_applicability(points, importance, np.arange(count)), asked)


def test_one_fold_and_points_that_are_alike_say_nothing() -> None:
    points, importance, asked = drawn(0, 9)
    silent(fit_applicability(points, importance, np.zeros(9)), asked)
    silent(fit_applicability(np.tile(points[:1], (9, 1)), importance, np.arange(9)), asked)
    silent(fit_applicability(np.empty((9, 0)), np.empty(0), np.arange(9)), np.empty((15, 0)))


def silent(found: Applicability, asked: Floats) -> None:
    assert np.isnan(found.threshold)
    assert np.isnan(found.dissimilarity(asked)).all()
    assert not found.inside(asked).any()


def test_is_saved(tmp_path: Path) -> None:
    points, importance, asked = drawn(0, 12)
    for count in (12, 2):
        found = fit_applicability(points[:count], importance, np.arange(count))
        write_saved(tmp_path, found)
        again = read_saved(tmp_path, Applicability)
        np.testing.assert_array_equal(again.dissimilarity(asked), found.dissimilarity(asked))
        np.testing.assert_array_equal(again.inside(asked), found.inside(asked))


def test_what_cannot_be_used_is_refused() -> None:
    points, importance, _ = drawn(0, 6)
    with pytest.raises(ValueError, match=r"applicability: found \(2,\) and \(6,\) for points of \(6, 3\)"):
        fit_applicability(points, importance[:2], np.arange(6))
    with pytest.raises(ValueError, match="negative importance"):
        fit_applicability(points, -importance, np.arange(6))
    points[2, 1] = np.nan
    with pytest.raises(ValueError, match="unknown predictor"):
        fit_applicability(points, importance, np.arange(6))
    whole = fit_applicability(drawn(0, 6)[0], importance, np.arange(6))
    for changed in ({"centre": np.zeros(2)}, {"known": np.zeros(3)}, {"weights": np.full(3, np.nan)}):
        with pytest.raises(ValueError, match="applicability: found"):
            replace(whole, **changed)
    for changed in ({"mean_distance": 0.0}, {"threshold": -1.0}):
        with pytest.raises(ValueError, match="applicability: found distances"):
            replace(whole, **changed)
