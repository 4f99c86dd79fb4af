"""A deliberate leak is caught; an honest method is not accused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from model_utils.comparison.alarms import alarms
from model_utils.comparison.methods import MethodEntry
from model_utils.comparison.outcomes import Outcome, score_outcomes
from model_utils.comparison.rows import comparison_table
from model_utils.estimators.estimator import Method, hidden
from model_utils.estimators.ridge import RidgeHead


def null_world(seed: int) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Stations whose images say nothing: 40 places, 30 days, features without any relation to the readings."""
    random = np.random.default_rng(seed)
    site, day = (axis.ravel() for axis in np.meshgrid(np.arange(40), np.arange(30)))
    pm25 = 100 + random.normal(0, 15, 40)[site] + random.normal(0, 40, 30)[day] + random.normal(0, 10, 1200)
    samples = pd.DataFrame(
        {
            "site_id": [f"s{number:02d}" for number in site],
            "local_date": pd.Timestamp("2018-01-01") + pd.to_timedelta(day, "D"),
            "pm25": pm25,
        }
    )
    return samples, random.normal(size=(40, 16))[site] + random.normal(size=(1200, 16)), site >= 20


def standardised_with_labels(features: np.ndarray, samples: pd.DataFrame, test: np.ndarray) -> np.ndarray:
    """The leak: embeddings of each test station are centred on its own mean reading."""
    features = features.copy()
    level = samples["pm25"].groupby(samples["site_id"]).transform("mean").to_numpy()
    spread = level.std()
    features[test] -= features[test].mean(axis=0)
    features[test] += ((level - level.mean()) / spread)[test, None]
    features[~test] += ((level - level.mean()) / spread)[~test, None]  # as a careless pipeline treats all alike
    return features


def judged(samples: pd.DataFrame, features: np.ndarray, test: np.ndarray) -> list[str]:
    method = Method(RidgeHead(), features.astype(np.float32))
    fitted = method.estimator.fit(hidden(samples, ~test), method.features, ~test)
    predicted = fitted.predict(samples, method.features).mean
    run = samples.assign(observed=samples["pm25"], predicted=predicted, lower=np.nan)[test]
    entry = MethodEntry("encoder", "start", lambda shared, seed: method, uses_images=True, cost="trained")
    outcomes = [Outcome("hold_out", 20, entry, {(0, 0): run}, 1)]
    table = comparison_table(outcomes, score_outcomes(outcomes, 500, 0), {}, 96.0, 0.9, 500, 0)
    return alarms(table, {"land_use_coupling": 0.0, "haze_coupling": 1.0})


def test_a_leak_of_test_labels_is_caught_and_noise_is_not_accused():
    accused = 0
    for seed in range(20):
        samples, features, test = null_world(seed)
        (line,) = judged(samples, standardised_with_labels(features, samples, test), test)
        assert "encoder (hold_out, 20 stations): spatial_r" in line
        assert "chance, or a leak" in line
        accused += bool(judged(samples, features, test))
    assert accused <= 2


@pytest.mark.parametrize(("high", "lines"), [(0.6, 1), (0.9, 0)])
def test_nobody_passes_the_ceiling(high, lines):
    rows = {
        "design": "hold_out",
        "stations": 24,
        "method": ["encoder", "inverse_distance", "ceiling_true_both"],
        "family": ["start", "reference", "ceiling"],
        "uses_same_day_readings": [False, True, False],
        "uses_images": [True, False, False],
        "uses_weather": False,
        "spatial_r": [0.8, 0.95, 0.5],
        "spatial_r_low": [0.7, 0.9, 0.4],
        "spatial_r_high": [0.9, 0.99, high],
    }
    found = alarms(pd.DataFrame(rows), {})
    assert len(found) == lines
    assert all("above the ceiling's 0.60" in line for line in found)
