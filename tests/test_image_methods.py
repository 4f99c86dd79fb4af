"""Frozen encoders as methods of a comparison."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from model_utils.estimators.anomaly import FrozenEncoder
from model_utils.estimators.estimator import hidden
from model_utils.estimators.head import HeadSettings
from model_utils.estimators.network import NetworkHead
from model_utils.estimators.ridge import RidgeHead
from model_utils.estimators.tuned import TunedFit

NETWORK = NetworkHead(HeadSettings(epochs=3), learning_rates=(1e-3,), weight_decays=(1e-4,))
SPATIAL_NETWORK = replace(NETWORK, settings=HeadSettings(epochs=3, spatial_weight=2.0))


def world(stations=12, days=15, width=10):
    """Features that show the day's level and the place's, mixed, with noise."""
    generator = np.random.default_rng(0)
    site, day = (axis.ravel() for axis in np.meshgrid(np.arange(stations), np.arange(days)))
    level, of_place = generator.normal(0, 40, days)[day], generator.normal(0, 15, stations)[site]
    mixed = np.column_stack([level, of_place]) @ generator.normal(size=(2, width))
    features = (mixed + generator.normal(0, 5, (len(site), width))).astype(np.float32)
    samples = pd.DataFrame(
        {
            "sample_id": [f"{s}_{d}" for s, d in zip(site, day, strict=True)],
            "site_id": [f"s{number:02d}" for number in site],
            "latitude": 28 + generator.uniform(0, 1, stations)[site],
            "longitude": 77 + generator.uniform(0, 1, stations)[site],
            "local_date": pd.Timestamp("2018-01-01") + pd.to_timedelta(day, "D"),
            "pm25": 150 + level + of_place,
        }
    )
    return samples, features, site, day


def records(seen):
    """A head that keeps what it was given and predicts nothing."""

    def head(features, target, samples, training, seed):
        seen.append((target, training))
        return TunedFit(np.zeros(len(target)), 1, {"a": 1.0})

    return head


@pytest.mark.parametrize("target", ["absolute", "anomaly"])
@pytest.mark.parametrize("head", [RidgeHead(), RidgeHead(2.0), NETWORK, SPATIAL_NETWORK])
def test_test_readings_change_nothing(head, target):
    samples, features, site, _ = world()
    training = site < 8
    method = FrozenEncoder(features, head, target)
    before = method.predict(hidden(samples, training))
    readings = samples["pm25"].to_numpy(copy=True)
    readings[~training] = np.random.default_rng(1).permutation(readings[~training])
    after = method.predict(hidden(samples.assign(pm25=readings), training))
    assert not np.array_equal(readings, samples["pm25"])
    assert np.isfinite(before.values).all()
    np.testing.assert_array_equal(before.values, after.values)


def test_predicts_what_the_images_show(tmp_path):
    samples, features, site, _ = world()
    np.save(tmp_path / "features.npy", features)
    test = site >= 8
    predicted = {}
    for target in ("absolute", "anomaly"):
        method = FrozenEncoder(np.load(tmp_path / "features.npy", mmap_mode="r"), RidgeHead(), target)
        assert method.uses_same_day_readings == (target == "anomaly")
        predicted[target] = method.predict(hidden(samples, ~test))
        error = (predicted[target].values - samples["pm25"])[test]
        assert np.sqrt((error**2).mean()) < 6
        assert predicted[target].trials > 1
        assert set(predicted[target].chosen) == {"components", "penalty"}
    assert not np.allclose(predicted["absolute"].values, predicted["anomaly"].values, atol=0.1)
    mapped = FrozenEncoder(np.load(tmp_path / "features.npy", mmap_mode="r"), NETWORK).predict(hidden(samples, ~test))
    np.testing.assert_array_equal(
        mapped.values, FrozenEncoder(features, NETWORK).predict(hidden(samples, ~test)).values
    )


def test_a_head_sees_anomalies_of_training_rows_and_the_field_is_added_back():
    samples, features, site, day = world()
    training = site < 8
    seen: list[tuple[np.ndarray, np.ndarray]] = []
    found = FrozenEncoder(features, records(seen), "anomaly").predict(hidden(samples, training))
    target, given = seen[0]
    np.testing.assert_array_equal(given, training)
    np.testing.assert_array_equal(np.isnan(target), ~training)
    mean = samples["pm25"].where(training).groupby(day).transform("mean")
    np.testing.assert_allclose(found.values[~training], mean[~training])
    np.testing.assert_allclose(target[training], (samples["pm25"] - found.values)[training])


def test_readings_of_the_day_reach_dates_that_do_not_train():
    samples, features, site, day = world()
    stations, early = site < 8, day < 10
    method = FrozenEncoder(features, RidgeHead(), "anomaly")
    without = method.predict(hidden(samples, stations & early))
    known = method.predict(hidden(samples, stations & early, known=stations))
    assert np.isnan(without.values[~early]).all()
    error = (known.values - samples["pm25"])[~stations & ~early]
    assert np.sqrt((error**2).mean()) < 6


def test_a_row_without_a_field_is_not_learnt_from():
    samples, features, site, day = world()
    training = (site < 8) & ((day > 0) | (site == 0))  # station 0 is alone on the first day
    seen: list[tuple[np.ndarray, np.ndarray]] = []
    found = FrozenEncoder(features, records(seen), "anomaly").predict(hidden(samples, training))
    alone = training & (day == 0)
    np.testing.assert_array_equal(seen[0][1], training & ~alone)
    assert np.isfinite(found.values[~training]).all()


def test_too_few_stations_for_an_anomaly_say_nothing():
    samples, features, site, _ = world()
    found = FrozenEncoder(features, RidgeHead(), "anomaly").predict(hidden(samples, site < 2))
    assert np.isnan(found.values).all()
    assert found.trials == 0


@pytest.mark.parametrize("head", [RidgeHead(), NETWORK])
def test_one_value_is_predicted_everywhere(head):
    samples, features, site, day = world()
    one_row = (site == 0) & (day == 0)
    method = FrozenEncoder(features, head)
    np.testing.assert_allclose(method.predict(hidden(samples, one_row)).values, samples["pm25"][one_row].item())
    flat = method.predict(hidden(samples.assign(pm25=80.0), site < 8))
    np.testing.assert_array_equal(flat.values, 80)
