"""Back from logarithms: unbiased on log-normal data, and on data of another shape."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model_utils.estimators.place_and_day.smearing import FAR, KEPT, Smearing, smearing
from model_utils.estimators.saving import read_saved, write_saved


@pytest.mark.parametrize("sd", [0.05, 0.2, 0.4])
def test_normal_errors_give_the_log_normal_mean_and_sd(sd: float) -> None:
    back = smearing(np.random.default_rng(0).standard_normal(2_000_000))
    mean, spread = back.back(np.array([4.0]), np.array([sd]))
    assert mean[0] == pytest.approx(np.exp(4 + sd**2 / 2), rel=1e-3)
    assert spread[0] == pytest.approx(np.exp(4 + sd**2 / 2) * np.sqrt(np.exp(sd**2) - 1), rel=0.03)


def test_too_few_errors_and_errors_without_spread_are_taken_for_normal() -> None:
    for errors in (np.empty(0), np.array([3.0, np.nan]), np.full(19, 2.0), np.zeros(500)):
        mean, _ = smearing(errors).back(np.zeros(1), np.full(1, 0.3))
        assert mean[0] == pytest.approx(np.exp(0.3**2 / 2), rel=1e-3)


@pytest.mark.parametrize("shape", ["normal", "skewed"])
def test_is_unbiased(shape: str) -> None:
    """The mean of predictions from 510 errors each, against the exact mean; the spread varies by row."""
    random = np.random.default_rng(1)
    log_mean, sd = random.normal(4, 0.3, 100), random.uniform(0.1, 0.5, 100)
    if shape == "normal":
        exact = np.exp(log_mean + sd**2 / 2)
        draws = random.standard_normal((400, 510))
    else:  # a gamma distribution of mean 0, variance 1 and skewness 1
        exact = np.exp(log_mean - 2 * sd) / (1 - sd / 2) ** 4
        draws = (random.gamma(4, 1, (400, 510)) - 4) / 2
    predicted = np.array([smearing(errors).back(log_mean, sd)[0].mean() for errors in draws])
    error = predicted.std() / np.sqrt(len(predicted))
    assert abs(predicted.mean() - exact.mean()) < 3 * error + 1e-3 * exact.mean()  # and the loss of grouping
    assert np.exp(log_mean).mean() < exact.mean() - 20 * error  # without smearing it is not


def test_every_error_counts_the_same() -> None:
    for count in (20, 199, 200, 201, 390, 1001):
        errors = np.random.default_rng(count).standard_normal(count)
        found = smearing(errors).errors
        assert found.mean() == pytest.approx(errors.mean(), abs=1e-12)
        assert (np.diff(found) >= 0).all()
        if count <= KEPT:
            np.testing.assert_allclose(found, np.sort(errors), atol=1e-12)


def test_keeps_little_and_no_faulty_reading_rules() -> None:
    errors = np.random.default_rng(2).standard_normal(10_000)
    usual, faulty = smearing(errors), smearing(np.append(errors, 40.0))
    assert len(usual.errors) == KEPT
    (a,), (b,) = (each.back(np.zeros(1), np.full(1, 0.5))[0] for each in (usual, faulty))
    assert b == pytest.approx(a, rel=2e-3)
    assert faulty.errors.max() <= FAR


def test_is_monotone_in_level_says_nan_and_can_be_saved(tmp_path: Path) -> None:
    back = smearing(np.random.default_rng(3).standard_normal(50))
    mean, sd = back.back(np.array([3.0, 4.0, np.nan, 4.0]), np.array([0.2, 0.2, 0.2, np.nan]))
    assert mean[1] / mean[0] == pytest.approx(np.e)
    assert sd[1] / sd[0] == pytest.approx(np.e)
    assert np.isnan(mean[2:]).all()
    assert np.isnan(sd[2:]).all()
    write_saved(tmp_path, back)
    np.testing.assert_array_equal(read_saved(tmp_path, Smearing).errors, back.errors)
