"""No reading of a test row reaches a prediction, whatever the estimator: not one bit of one number."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from golden_estimators import ESTIMATORS, SEED, seen_by
from golden_world import golden_world
from numpy.typing import NDArray

from model_utils.estimators.estimator import hidden
from model_utils.estimators.refitting import predict_fold
from model_utils.sampling.designs import Fold

EACH = pytest.mark.parametrize("name", ESTIMATORS)
REFITTED = ("ridge", "ordinary_kriging", "ridge+kriging", "weather_ridge", "paper_spatial", "gaussian_process")
"""Some of each family: what they are given depends on the fold, not on them."""


def permuted(samples: pd.DataFrame, rows: NDArray[np.bool_]) -> pd.DataFrame:
    """Other readings in some rows: those of the others of them."""
    pm25 = samples["pm25"].to_numpy(copy=True)
    pm25[rows] = np.random.default_rng(0).permutation(pm25[rows])
    assert (pm25 != samples["pm25"])[rows].mean() > 0.9
    return samples.assign(pm25=pm25)


@EACH
def test_readings_of_test_rows_change_no_prediction(name: str) -> None:
    samples, features, training = golden_world()
    estimator, seen = ESTIMATORS[name], seen_by(name, samples, features)
    other = permuted(samples, ~training)
    fitted = estimator.fit(hidden(samples, training), seen, training)
    plain = fitted.predict(samples, seen)
    assert np.isfinite(plain.mean).all()
    # what is predicted may come with its reading: a row is never told its own
    shown = fitted.predict(other, seen)
    np.testing.assert_array_equal(shown.mean, plain.mean)
    np.testing.assert_array_equal(shown.sd, plain.sd)
    if not estimator.uses_same_day_readings:  # then readings beside the training rows are there to be misused
        misused = estimator.fit(other, seen, training).predict(other, seen)
        np.testing.assert_array_equal(misused.mean, plain.mean)
        np.testing.assert_array_equal(misused.sd, plain.sd)
    changed = permuted(samples, training)
    learnt = estimator.fit(hidden(changed, training), seen, training).predict(samples, seen)
    assert (np.abs(learnt.mean - plain.mean) > 1e-3).any(), "or it does not look at any reading"


@pytest.mark.parametrize("name", REFITTED)
def test_readings_of_test_rows_change_nothing_of_a_fold(name: str) -> None:
    """Neither intervals nor predictions of other dates: also in a temporal fold, where later readings are known."""
    samples, features, training = golden_world()
    seen = seen_by(name, samples, features)
    early = training & (samples["local_date"] <= pd.Timestamp("2019-06-15")).to_numpy()
    fold = Fold(early, training, ~training)
    plain, other = (
        predict_fold(ESTIMATORS[name], rows, seen, fold, seed=SEED) for rows in (samples, permuted(samples, fold.test))
    )
    for part in ("other_dates", "lower", "upper", "level"):
        np.testing.assert_array_equal(getattr(other, part), getattr(plain, part))
    np.testing.assert_array_equal(other.predicted.mean, plain.predicted.mean)
    np.testing.assert_array_equal(other.predicted.sd, plain.predicted.sd)
    assert np.isfinite(plain.lower[fold.test]).any()
