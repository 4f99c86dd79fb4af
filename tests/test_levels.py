"""Levels of rounds: worlds without skill score none, worlds with skill keep it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from model_utils.errors import InputError
from model_utils.estimators.references.same_day import same_day_mean
from model_utils.evaluation.levels import round_level
from model_utils.evaluation.spatial import station_table
from model_utils.evaluation.statistics import evaluate

Fit = Callable[[pd.DataFrame, NDArray[np.bool_]], NDArray[np.float64]]
FEATURES = [f"feature{number}" for number in range(8)]


def world(seed: int, stations: int = 12, days: int = 8, missing: float = 0.2, skill: float = 0.0) -> pd.DataFrame:
    """Readings with station offsets; `feature0` tells the offsets to the share `skill`, the others tell nothing."""
    random = np.random.default_rng(seed)
    station, day = np.nonzero(random.random((stations, days)) >= missing)
    offset, features = random.normal(0, 15, stations), random.normal(0, 1, (stations, len(FEATURES)))
    features[:, 0] = skill * offset / 15 + np.sqrt(1 - skill**2) * features[:, 0]
    haze = random.gamma(4, 25, days)
    return pd.DataFrame(
        {
            "site_id": [f"site{number:02d}" for number in station],
            "local_date": pd.Timestamp("2019-01-01") + pd.to_timedelta(day, "D"),
            "latitude": 28.0,
            "longitude": 77.0,
            "pm25": haze[day] + offset[station] + random.normal(0, 8, len(day)),
            **dict(zip(FEATURES, features[station].T, strict=True)),
        }
    )


def ridge(samples: pd.DataFrame, training: NDArray[np.bool_], alpha: float = 1000) -> NDArray[np.float64]:
    features, pm25 = samples[FEATURES].to_numpy(), samples["pm25"].to_numpy()
    return np.asarray(Ridge(alpha).fit(features[training], pm25[training]).predict(features))


def day_mean(samples: pd.DataFrame, training: NDArray[np.bool_]) -> NDArray[np.float64]:
    return same_day_mean(samples[training], samples)


def in_rounds(samples: pd.DataFrame, fit: Fit, fold: NDArray[np.int64]) -> pd.DataFrame:
    """Predicts each fold of the rows from the others, each round with its level."""
    predicted, level = np.full((2, len(samples)), np.nan)
    for number in np.unique(fold):
        test = fold == number
        values = fit(samples, ~test)
        predicted[test] = values[test]
        level[test] = round_level(values, ~test, samples["local_date"])[test]
    return samples.assign(observed=samples["pm25"], predicted=predicted, predicted_level=level)


def leave_one_out(samples: pd.DataFrame, fit: Fit) -> pd.DataFrame:
    return in_rounds(samples, fit, samples["site_id"].factorize()[0])


def spatial_r(rows: pd.DataFrame) -> float:
    return float(evaluate(rows, draws=2)["spatial_r"])


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_the_mean_of_the_other_stations_has_no_spatial_skill(missing: float) -> None:
    rows = leave_one_out(world(0, missing=missing), day_mean)
    scores = evaluate(rows, draws=50)
    assert scores["spatial_r"] is None
    assert scores["spatial_r_ci95"] is None
    without = evaluate(rows.drop(columns="predicted_level"), draws=50)["spatial_r"]
    assert without < -0.9, "the artefact that levels cure"


def test_noise_features_score_zero_on_average_and_not_below() -> None:
    runs = [leave_one_out(world(seed), ridge) for seed in range(40)]
    with_level = np.array([spatial_r(run) for run in runs])
    without = np.array([spatial_r(run.drop(columns="predicted_level")) for run in runs])
    error = with_level.std() / np.sqrt(len(runs))
    assert error < 0.07
    assert abs(with_level.mean()) < 3 * error
    assert without.mean() < -0.4


def test_noise_features_score_zero_in_folds_too() -> None:
    samples = [world(seed) for seed in range(40)]
    runs = [in_rounds(of_world, ridge, of_world["site_id"].factorize()[0] % 4) for of_world in samples]
    scores = np.array([spatial_r(run) for run in runs])
    assert abs(scores.mean()) < 3 * scores.std() / np.sqrt(len(scores))
    assert np.mean([spatial_r(run.drop(columns="predicted_level")) for run in runs]) < -0.2


def test_real_skill_is_kept() -> None:
    """Leave one out scores as the same ridge does at stations of a large test set, in a single round."""

    def light(samples: pd.DataFrame, training: NDArray[np.bool_]) -> NDArray[np.float64]:
        return ridge(samples, training, alpha=30)

    left_out, held_out = [], []
    for seed in range(6):
        left_out.append(spatial_r(leave_one_out(world(seed, 40, skill=0.9), light)))
        samples = world(seed, 99, skill=0.9)
        test = (samples["site_id"] >= "site39").to_numpy()
        rows = samples.assign(observed=samples["pm25"], predicted=light(samples, ~test))
        held_out.append(spatial_r(rows[test]))
    assert np.mean(held_out) > 0.6
    assert np.mean(left_out) == pytest.approx(np.mean(held_out), abs=0.1)


def test_in_a_single_round_the_level_changes_no_score() -> None:
    samples = world(3, skill=0.7)
    test = samples["site_id"].isin([f"site{number:02d}" for number in range(5)]).to_numpy()
    values = ridge(samples, ~test) + samples["pm25"].to_numpy() / 2
    level = round_level(values, ~test, samples["local_date"])
    rows = samples.assign(observed=samples["pm25"], predicted=values)[test]
    with_level, without = evaluate(rows.assign(predicted_level=level[test]), draws=30), evaluate(rows, draws=30)
    for key, value in without.items():
        assert with_level[key] == pytest.approx(value), key


def test_the_level_is_the_mean_of_the_training_rows_of_the_day() -> None:
    day = np.array([1, 1, 1, 2, 2, 3])
    predicted = np.array([10.0, 20.0, 60.0, 8.0, 4.0, 100.0])
    training = np.array([True, True, False, True, False, False])
    # the test rows lie 45 above and 4 below the level on days 1 and 2, so day 3's level is 20.5 below its row
    expected = [15, 15, 15, 8, 8, 100 - (45 - 4) / 2]
    np.testing.assert_allclose(round_level(predicted, training, day), expected)
    holes = np.where([False, True, False, False, False, True], np.nan, predicted)
    np.testing.assert_allclose(round_level(holes, training, day), [10, 10, 10, 8, 8, np.nan])


def test_no_training_row_on_any_shared_day_leaves_the_mean_of_the_day() -> None:
    day, training = np.array([1, 1, 2, 2]), np.array([True, True, False, False])
    np.testing.assert_allclose(round_level(np.array([1.0, 3.0, 5.0, 9.0]), training, day), [2, 2, 7, 7])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.floats(-1e3, 1e3), min_size=6, max_size=6))
def test_what_is_added_to_a_day_is_added_to_its_level(seed: int, constants: list[float]) -> None:
    """Also on days without training rows, so that knowledge of days never looks like knowledge of places."""
    random = np.random.default_rng(seed)
    day, training = random.integers(0, 6, 25), random.random(25) < 0.3
    predicted, added = random.normal(80, 30, 25), np.array(constants)[day]
    before, after = round_level(predicted, training, day), round_level(predicted + added, training, day)
    np.testing.assert_allclose(after, before + added, atol=1e-8)


def test_row_order_and_type_of_date_change_nothing() -> None:
    samples = world(1)
    training = (samples["site_id"] > "site04").to_numpy() & (samples["local_date"] > "2019-01-03").to_numpy()
    values = samples["pm25"].to_numpy()
    level = round_level(values, training, samples["local_date"])
    order = np.random.default_rng(0).permutation(len(samples))
    shuffled = round_level(values[order], training[order], samples["local_date"].iloc[order])
    np.testing.assert_allclose(shuffled, level[order])
    np.testing.assert_array_equal(round_level(values, training, samples["local_date"].dt.date), level)


def test_the_station_table_shows_the_anomalies_that_are_scored() -> None:
    rows = leave_one_out(world(2, skill=0.9), ridge)
    table = station_table(rows.assign(site_name=rows["site_id"]))
    shown = np.corrcoef(table["observed_anomaly"], table["predicted_anomaly"])[0, 1]
    assert shown == pytest.approx(evaluate(rows, draws=2)["spatial_r"])
    np.testing.assert_allclose(table["predicted"], rows.groupby("site_id")["predicted"].mean())


def test_a_missing_level_is_named() -> None:
    rows = leave_one_out(world(2), ridge)
    rows.loc[rows.index[4], "predicted_level"] = np.nan
    with pytest.raises(InputError, match=r"no predicted_level at site00 on 2019-01-.*missing in 1 of"):
        evaluate(rows, draws=2)
    rows.loc[rows.index[4], "predicted"] = np.nan  # no level is needed where there is no prediction
    assert evaluate(rows, draws=2)["n_samples_without_prediction"] == 1
