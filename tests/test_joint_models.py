"""Joint models: they never see a test reading, and they know more than weather or image alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from model_utils.estimators.estimator import Constant, Estimator, FittedEstimator, hidden
from model_utils.estimators.forests import joint, rt_rf
from model_utils.estimators.forests.cnn_rf import ForestOnFeatures
from model_utils.estimators.forests.joint import FittedJoint, JointModel, out_of_fold
from model_utils.estimators.forests.rt_rf import fit_embedding, fit_forest, leaf_indicators
from model_utils.estimators.ridge import RidgeHead

WIDTH = 6
Features = NDArray[np.float32]


def made_city(stations: int = 14, dates: int = 20, noise: float = 3.0, seed: int = 0) -> tuple[pd.DataFrame, Features]:
    """pm25 = f(weather) + g(image) + noise, with weather that differs from row to row."""
    generator = np.random.default_rng(seed)
    rows = stations * dates
    site, date = np.divmod(np.arange(rows), dates)
    features = generator.normal(size=(rows, WIDTH)).astype(np.float32)
    temperature, humidity = generator.uniform(5, 40, rows), generator.uniform(20, 100, rows)
    pm25 = 120 - 2 * temperature + 40 * (humidity > 60) + 20 * features[:, 0] - 10 * features[:, 1]
    samples = pd.DataFrame(
        {
            "sample_id": [f"s{a:02d}_{b:03d}" for a, b in zip(site, date, strict=True)],
            "site_id": [f"s{a:02d}" for a in site],
            "latitude": 28.5 + 0.01 * site,
            "longitude": 77.1,
            "local_date": pd.Timestamp("2020-01-01") + pd.to_timedelta(date, unit="D"),
            "temperature_c": temperature,
            "relative_humidity_pct": humidity,
            "pressure_hpa": generator.uniform(960, 1000, rows),
            "pm25": pm25 + generator.normal(0, noise, rows),
        }
    )
    return samples, features


def of_stations(samples: pd.DataFrame, count: int) -> NDArray[np.bool_]:
    """Rows of the first stations."""
    return samples["site_id"].isin(sorted(samples["site_id"].unique())[:count]).to_numpy()


ESTIMATORS: dict[str, Estimator] = {"joint": JointModel(RidgeHead()), "cnn_rf": ForestOnFeatures()}
EACH = pytest.mark.parametrize("name", ESTIMATORS)
FEWER_TREES = pytest.mark.usefixtures("fewer_trees")
"""Where nothing depends on how good a prediction is."""


@pytest.fixture
def fewer_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rt_rf, "EMBEDDING_TREES", 80)


def predicted(
    estimator: Estimator, samples: pd.DataFrame, features: Features, training: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Of every row, by a fit on the training rows that knows no other reading."""
    return estimator.fit(hidden(samples, training), features, training).predict(samples, features).mean


def rmse(predicted: NDArray[np.float64], samples: pd.DataFrame, rows: NDArray[np.bool_]) -> float:
    return float(np.sqrt(np.mean((predicted - samples["pm25"].to_numpy())[rows] ** 2)))


@EACH
@FEWER_TREES
def test_readings_of_test_stations_change_no_prediction(name: str) -> None:
    samples, features = made_city()
    training = of_stations(samples, 8)
    estimator = ESTIMATORS[name]
    before = predicted(estimator, samples, features, training)
    shuffled = samples.copy()
    shuffled.loc[~training, "pm25"] = np.random.default_rng(1).permutation(samples["pm25"][~training])
    # the readings are there to be misused: an estimator has to leave them alone, not just be kept from them
    fitted = estimator.fit(shuffled, features, training)
    np.testing.assert_array_equal(fitted.predict(shuffled, features).mean, before)
    moved = samples.copy()
    moved.loc[training, "pm25"] += np.where(samples["temperature_c"][training] > 20, 30, 0)
    assert not np.allclose(predicted(estimator, moved, features, training), before)
    assert not estimator.uses_same_day_readings


def test_joint_knows_more_than_either_part() -> None:
    samples, features = made_city()
    training = of_stations(samples, 9)

    def error(estimator: Estimator, features: Features) -> float:
        return rmse(predicted(estimator, samples, features, training), samples, ~training)

    both, image = error(JointModel(RidgeHead()), features), error(RidgeHead(), features)
    weather = error(JointModel(RidgeHead()), np.zeros_like(features))
    assert both < 0.7 * image
    assert both < 0.7 * weather
    forest = error(ForestOnFeatures(), features)
    assert forest < 0.9 * image
    assert forest < 0.9 * weather


class Recorder:
    """Keeps what it is given, and says 2.5."""

    uses_same_day_readings = False

    def fit(self, samples: pd.DataFrame, features: Any, training: NDArray[np.bool_]) -> FittedEstimator:
        self.inputs, self.target, self.training = features, samples["pm25"].to_numpy(), training
        return Constant(2.5)


def test_prediction_is_the_forest_and_the_head_on_what_it_leaves() -> None:
    samples, features = made_city(8, 15)
    training = of_stations(samples, 6)
    recorder = Recorder()
    estimator = JointModel(recorder)
    weather = samples[["temperature_c", "relative_humidity_pct", "pressure_hpa"]].to_numpy()
    fitted = estimator.fit(hidden(samples, training), features, training)
    assert isinstance(fitted, FittedJoint)
    model = estimator.fit_weather(weather[training], samples["pm25"].to_numpy()[training], 0)
    said = fitted.predict(samples, features).mean
    np.testing.assert_allclose(said, 0.95 * model.forest(weather) + 2.5, rtol=1e-12)
    assert recorder.inputs.shape == (len(samples), WIDTH + 16)
    np.testing.assert_array_equal(recorder.inputs[:, :WIDTH], features)
    np.testing.assert_array_equal(recorder.training, training)
    assert np.isnan(recorder.target[~training]).all()
    assert np.isfinite(recorder.target[training]).all()


@EACH
@FEWER_TREES
def test_a_row_is_predicted_the_same_alone_as_among_others(name: str) -> None:
    samples, features = made_city(8, 12)
    training = of_stations(samples, 6)
    fitted = ESTIMATORS[name].fit(hidden(samples, training), features, training)
    whole = fitted.predict(samples, features).mean
    few = np.random.default_rng(3).permutation(len(samples))[:7]
    np.testing.assert_allclose(fitted.predict(samples.iloc[few], features[few]).mean, whole[few], rtol=1e-5)


def test_out_of_fold_leaves_the_row_s_group_out() -> None:
    samples, _ = made_city(6, 20)
    weather = samples[["temperature_c", "relative_humidity_pct"]].to_numpy()
    pm25 = samples["pm25"].to_numpy()
    embedding = leaf_indicators(fit_embedding(weather, 0), weather)
    group = np.arange(len(pm25)) % 3
    before = out_of_fold(embedding, pm25, group, 0)
    after = out_of_fold(embedding, pm25 + 500 * (group == 1), group, 0)
    np.testing.assert_array_equal(after[group == 1], before[group == 1])
    assert (after[group != 1] > before[group != 1] + 50).all()


def test_forecasts_of_the_readings_a_forest_was_fitted_to_hide_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    samples, features = made_city()
    training = of_stations(samples, 9)
    honest = predicted(JointModel(RidgeHead()), samples, features, training)

    def in_sample(embedding, pm25, group, seed):  # type: ignore[no-untyped-def]
        return fit_forest(embedding, pm25, seed).predict(embedding)

    monkeypatch.setattr(joint, "out_of_fold", in_sample)
    original = predicted(JointModel(RidgeHead()), samples, features, training)
    assert rmse(honest, samples, ~training) < 0.9 * rmse(original, samples, ~training)
    image = 20 * features[:, 0] - 10 * features[:, 1]
    causes = np.column_stack([image, samples["pm25"] - image, np.ones(len(samples))])
    both = np.column_stack([honest, original])
    effect = np.linalg.lstsq(causes[~training], both[~training])[0][0]  # of the image, whose true one is 1
    assert effect[0] > 0.9
    assert effect[1] < 0.7


@EACH
@FEWER_TREES
def test_rows_in_another_order_give_the_same_predictions(name: str) -> None:
    samples, features = made_city(8, 12)
    training = of_stations(samples, 6)
    order = np.random.default_rng(2).permutation(len(samples))
    straight = predicted(ESTIMATORS[name], samples, features, training)
    mixed = samples.iloc[order].reset_index(drop=True)
    again = predicted(ESTIMATORS[name], mixed, features[order], training[order])
    np.testing.assert_allclose(again, straight[order], rtol=1e-5)


@EACH
@FEWER_TREES
def test_no_weather_no_prediction(name: str) -> None:
    samples, features = made_city(6, 5)
    samples = samples.assign(temperature_c=np.nan, relative_humidity_pct=np.nan, pressure_hpa=np.nan)
    assert np.isnan(predicted(ESTIMATORS[name], samples, features, of_stations(samples, 5))).all()


@EACH
@FEWER_TREES
@pytest.mark.parametrize("missing", ["pressure_hpa", "temperature_c"])
def test_some_weather_is_enough(name: str, missing: str) -> None:
    samples, features = made_city(6, 5)
    samples = samples.assign(**{missing: np.nan})
    assert np.isfinite(predicted(ESTIMATORS[name], samples, features, of_stations(samples, 5))).all()


@EACH
@FEWER_TREES
def test_weather_that_never_changes(name: str) -> None:
    samples, features = made_city(6, 5)
    samples = samples.assign(temperature_c=20.0, relative_humidity_pct=50.0, pressure_hpa=980.0)
    said = predicted(ESTIMATORS[name], samples, features, of_stations(samples, 5))
    assert np.corrcoef(said, samples["pm25"])[0, 1] > 0.2  # what the image says is left


@FEWER_TREES
@pytest.mark.parametrize("stations", [1, 2, 5])
@pytest.mark.parametrize("dates", [1, 2, 6])
def test_few_stations_and_dates(stations: int, dates: int) -> None:
    samples, features = made_city(stations + 2, dates)
    training = of_stations(samples, stations)
    said = {name: predicted(estimator, samples, features, training) for name, estimator in ESTIMATORS.items()}
    assert np.isfinite(said["cnn_rf"]).all()
    nothing_to_leave_out = stations < 5 and dates == 1
    assert np.isnan(said["joint"]).all() if nothing_to_leave_out else np.isfinite(said["joint"]).all()
    none = np.zeros(len(samples), dtype=bool)
    assert all(np.isnan(predicted(estimator, samples, features, none)).all() for estimator in ESTIMATORS.values())


@FEWER_TREES
def test_head_says_what_it_tried() -> None:
    samples, features = made_city(7, 8)
    training = of_stations(samples, 6)
    fitted = JointModel(RidgeHead()).fit(hidden(samples, training), features, training)
    assert fitted.trials > 1
    assert set(fitted.chosen) == {"components", "penalty"}
