"""Joint models: they never see a test reading, and they know more than weather or image alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from model_utils.estimators.anomaly import FrozenEncoder
from model_utils.estimators.estimator import Method, Problem, hidden
from model_utils.estimators.forests import joint
from model_utils.estimators.forests.cnn_rf import ForestOnFeatures
from model_utils.estimators.forests.joint import JointModel, out_of_fold
from model_utils.estimators.forests.rt_rf import fit_embedding, fit_forest, leaf_indicators
from model_utils.estimators.ridge import RidgeHead
from model_utils.estimators.tuned import TunedFit

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


def methods(features: Features) -> dict[str, Method]:
    return {"joint": JointModel(features, RidgeHead()), "cnn_rf": ForestOnFeatures(features)}


def rmse(predicted: NDArray[np.float64], samples: pd.DataFrame, rows: NDArray[np.bool_]) -> float:
    return float(np.sqrt(np.mean((predicted - samples["pm25"].to_numpy())[rows] ** 2)))


@pytest.mark.parametrize("name", ["joint", "cnn_rf"])
def test_readings_of_test_stations_change_no_prediction(name: str) -> None:
    samples, features = made_city()
    training = of_stations(samples, 8)
    method = methods(features)[name]
    predicted = method.predict(hidden(samples, training)).values
    shuffled = samples.copy()
    shuffled.loc[~training, "pm25"] = np.random.default_rng(1).permutation(samples["pm25"][~training])
    # the readings are there to be misused: a method has to leave them alone, not just be kept from them
    np.testing.assert_array_equal(method.predict(Problem(shuffled, training, training)).values, predicted)
    moved = samples.copy()
    moved.loc[training, "pm25"] += np.where(samples["temperature_c"][training] > 20, 30, 0)
    assert not np.allclose(method.predict(hidden(moved, training)).values, predicted)
    assert not method.uses_same_day_readings


def test_joint_knows_more_than_either_part() -> None:
    samples, features = made_city()
    training = of_stations(samples, 9)
    problem = hidden(samples, training)
    both = rmse(JointModel(features, RidgeHead()).predict(problem).values, samples, ~training)
    image = rmse(FrozenEncoder(features, RidgeHead()).predict(problem).values, samples, ~training)
    no_image = JointModel(np.zeros_like(features), RidgeHead()).predict(problem).values
    weather = rmse(no_image, samples, ~training)
    assert both < 0.7 * image
    assert both < 0.7 * weather
    forest = rmse(ForestOnFeatures(features).predict(problem).values, samples, ~training)
    assert forest < 0.9 * image
    assert forest < 0.9 * weather


def test_prediction_is_the_forest_and_the_head_on_what_it_leaves() -> None:
    samples, features = made_city(8, 15)
    training = of_stations(samples, 6)
    asked = {}

    def constant_head(inputs, target, rows, fitted, seed):  # type: ignore[no-untyped-def]
        asked.update(inputs=inputs, target=target)
        return TunedFit(np.full(len(target), 2.5))

    method = JointModel(features, constant_head)
    predicted = method.predict(hidden(samples, training)).values
    weather = samples[["temperature_c", "relative_humidity_pct", "pressure_hpa"]].to_numpy()
    forest = method.fit_weather(weather[training], samples["pm25"].to_numpy()[training], 0).forest(weather)
    np.testing.assert_allclose(predicted, 0.95 * forest + 2.5, rtol=1e-12)
    assert asked["inputs"].shape == (len(samples), WIDTH + 16)
    np.testing.assert_array_equal(asked["inputs"][:, :WIDTH], features)
    assert np.isnan(asked["target"][~training]).all()
    assert np.isfinite(asked["target"][training]).all()


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
    problem = hidden(samples, training)
    method = JointModel(features, RidgeHead())
    honest = method.predict(problem).values

    def in_sample(embedding, pm25, group, seed):  # type: ignore[no-untyped-def]
        return fit_forest(embedding, pm25, seed).predict(embedding)

    monkeypatch.setattr(joint, "out_of_fold", in_sample)
    original = method.predict(problem).values
    assert rmse(honest, samples, ~training) < 0.9 * rmse(original, samples, ~training)
    image = 20 * features[:, 0] - 10 * features[:, 1]
    causes = np.column_stack([image, samples["pm25"] - image, np.ones(len(samples))])
    both = np.column_stack([honest, original])
    effect = np.linalg.lstsq(causes[~training], both[~training])[0][0]  # of the image, whose true one is 1
    assert effect[0] > 0.9
    assert effect[1] < 0.7


@pytest.mark.parametrize("name", ["joint", "cnn_rf"])
def test_rows_in_another_order_give_the_same_predictions(name: str) -> None:
    samples, features = made_city(8, 12)
    training = of_stations(samples, 6)
    order = np.random.default_rng(2).permutation(len(samples))
    straight = methods(features)[name].predict(hidden(samples, training)).values
    mixed = methods(features[order])[name]
    again = mixed.predict(hidden(samples.iloc[order].reset_index(drop=True), training[order])).values
    np.testing.assert_allclose(again, straight[order], rtol=1e-5)


@pytest.mark.parametrize("name", ["joint", "cnn_rf"])
def test_no_weather_no_prediction(name: str) -> None:
    samples, features = made_city(6, 5)
    samples = samples.assign(temperature_c=np.nan, relative_humidity_pct=np.nan, pressure_hpa=np.nan)
    assert np.isnan(methods(features)[name].predict(hidden(samples, of_stations(samples, 5))).values).all()


@pytest.mark.parametrize("name", ["joint", "cnn_rf"])
@pytest.mark.parametrize("missing", ["pressure_hpa", "temperature_c"])
def test_some_weather_is_enough(name: str, missing: str) -> None:
    samples, features = made_city(6, 5)
    predicted = methods(features)[name].predict(hidden(samples.assign(**{missing: np.nan}), of_stations(samples, 5)))
    assert np.isfinite(predicted.values).all()


@pytest.mark.parametrize("name", ["joint", "cnn_rf"])
def test_weather_that_never_changes(name: str) -> None:
    samples, features = made_city(6, 5)
    samples = samples.assign(temperature_c=20.0, relative_humidity_pct=50.0, pressure_hpa=980.0)
    predicted = methods(features)[name].predict(hidden(samples, of_stations(samples, 5))).values
    assert np.corrcoef(predicted, samples["pm25"])[0, 1] > 0.2  # what the image says is left


@pytest.mark.parametrize("stations", [1, 2, 5])
@pytest.mark.parametrize("dates", [1, 2, 6])
def test_few_stations_and_dates(stations: int, dates: int) -> None:
    samples, features = made_city(stations + 2, dates)
    problem = hidden(samples, of_stations(samples, stations))
    predicted = {name: method.predict(problem).values for name, method in methods(features).items()}
    assert np.isfinite(predicted["cnn_rf"]).all()
    nothing_to_leave_out = stations < 5 and dates == 1
    assert np.isnan(predicted["joint"]).all() if nothing_to_leave_out else np.isfinite(predicted["joint"]).all()
    none = replace(problem, training=np.zeros(len(samples), dtype=bool))
    assert all(np.isnan(method.predict(none).values).all() for method in methods(features).values())


def test_head_says_what_it_tried() -> None:
    samples, features = made_city(7, 8)
    prediction = JointModel(features, RidgeHead()).predict(hidden(samples, of_stations(samples, 6)))
    assert prediction.trials > 1
    assert set(prediction.chosen) == {"components", "penalty"}
