"""Heads on features of images, alone and added to a same-day field of readings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from model_utils.estimators.added_to_field import AddedToField
from model_utils.estimators.estimator import Constant, Features, FittedEstimator, hidden
from model_utils.estimators.head import HeadSettings
from model_utils.estimators.network import TunedHead
from model_utils.estimators.ridge import RidgeHead

NETWORK = TunedHead(HeadSettings(epochs=3), learning_rates=(1e-3,), weight_decays=(1e-4,))
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


def predicted(estimator, samples, features, training, known=None):
    """Of every row, by a fit on the training rows that knows no other reading."""
    return estimator.fit(hidden(samples, training, known), features, training).predict(samples, features).mean


class Recorder:
    """Keeps the readings that it is given, and says zero."""

    uses_same_day_readings = False

    def __init__(self) -> None:
        self.given: list[tuple[NDArray[np.float64], NDArray[np.bool_]]] = []

    def fit(self, samples: pd.DataFrame, features: Features, training: NDArray[np.bool_]) -> FittedEstimator:
        self.given.append((samples["pm25"].to_numpy(), training))
        return Constant(0.0, trials=1, chosen={"a": 1.0})


@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize("head", [RidgeHead(), RidgeHead(2.0), NETWORK, SPATIAL_NETWORK])
def test_test_readings_change_nothing(head, added):
    samples, features, site, _ = world()
    training = site < 8
    estimator = AddedToField(head) if added else head
    before = predicted(estimator, samples, features, training)
    readings = samples["pm25"].to_numpy(copy=True)
    readings[~training] = np.random.default_rng(1).permutation(readings[~training])
    after = predicted(estimator, samples.assign(pm25=readings), features, training)
    assert not np.array_equal(readings, samples["pm25"])
    assert np.isfinite(before).all()
    np.testing.assert_array_equal(before, after)
    if not added:  # the readings are there to be misused: a head has to leave them alone, not just be kept from them
        shown = head.fit(samples.assign(pm25=readings), features, training)
        np.testing.assert_array_equal(shown.predict(samples, features).mean, before)


def test_predicts_what_the_images_show(tmp_path):
    samples, features, site, _ = world()
    np.save(tmp_path / "features.npy", features)
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    test = site >= 8
    found = {}
    for estimator in (RidgeHead(), AddedToField(RidgeHead())):
        assert estimator.uses_same_day_readings == isinstance(estimator, AddedToField)
        fitted = estimator.fit(hidden(samples, ~test), mapped, ~test)
        found[estimator] = fitted.predict(samples, mapped).mean
        error = (found[estimator] - samples["pm25"])[test]
        assert np.sqrt((error**2).mean()) < 6
        assert fitted.trials > 1
        assert set(fitted.chosen) == {"components", "penalty"}
    absolute, anomaly = found.values()
    assert not np.allclose(absolute, anomaly, atol=0.1)
    np.testing.assert_array_equal(
        predicted(NETWORK, samples, mapped, ~test), predicted(NETWORK, samples, features, ~test)
    )


def test_a_head_sees_anomalies_of_training_rows_and_the_field_is_added_back():
    samples, features, site, day = world()
    training = site < 8
    recorder = Recorder()
    fitted = AddedToField(recorder).fit(hidden(samples, training), features, training)
    assert (fitted.trials, fitted.chosen) == (1, {"a": 1.0})
    found = fitted.predict(samples, features).mean
    ((target, given),) = recorder.given
    np.testing.assert_array_equal(given, training)
    np.testing.assert_array_equal(np.isnan(target), ~training)
    mean = samples["pm25"].where(training).groupby(day).transform("mean")
    np.testing.assert_allclose(found[~training], mean[~training])
    np.testing.assert_allclose(target[training], (samples["pm25"] - found)[training])


def test_readings_of_the_day_reach_dates_that_do_not_train():
    samples, features, site, day = world()
    stations, early = site < 8, day < 10
    estimator = AddedToField(RidgeHead())
    without = predicted(estimator, samples, features, stations & early)
    known = predicted(estimator, samples, features, stations & early, known=stations)
    assert np.isnan(without[~early]).all()
    error = (known - samples["pm25"])[~stations & ~early]
    assert np.sqrt((error**2).mean()) < 6


def test_readings_that_are_known_and_do_not_train_make_the_field_and_teach_nothing():
    samples, features, site, day = world()
    stations, early = site < 8, day < 10
    recorder = Recorder()
    AddedToField(recorder).fit(hidden(samples, stations & early, known=stations), features, stations & early)
    np.testing.assert_array_equal(np.isfinite(recorder.given[0][0]), stations & early)


@pytest.mark.parametrize("head", [RidgeHead(), NETWORK])
def test_a_row_without_a_field_is_not_learnt_from(head):
    samples, features, site, day = world()
    training = (site < 8) & ((day > 0) | (site == 0))  # station 0 is alone on the first day
    alone = training & (day == 0)
    recorder = Recorder()
    found = predicted(AddedToField(recorder), samples, features, training)
    np.testing.assert_array_equal(np.isfinite(recorder.given[0][0]), training & ~alone)
    assert np.isfinite(found[~training]).all()
    found = predicted(AddedToField(head), samples, features, training)
    assert np.isfinite(found[~training]).all()
    odd = np.where(alone[:, None], np.float32(1e6), features)
    np.testing.assert_array_equal(predicted(AddedToField(head), samples, odd, training)[~alone], found[~alone])


def test_too_few_stations_for_an_anomaly_say_nothing():
    samples, features, site, _ = world()
    fitted = AddedToField(RidgeHead()).fit(hidden(samples, site < 2), features, site < 2)
    assert np.isnan(fitted.predict(samples, features).mean).all()
    assert fitted.trials == 0


@pytest.mark.parametrize("head", [RidgeHead(), NETWORK])
def test_one_value_is_predicted_everywhere(head):
    samples, features, site, day = world()
    one_row = (site == 0) & (day == 0)
    np.testing.assert_allclose(predicted(head, samples, features, one_row), samples["pm25"][one_row].item())
    np.testing.assert_array_equal(predicted(head, samples.assign(pm25=80.0), features, site < 8), 80)
    assert np.isnan(predicted(head, samples, features, site < 0)).all()
