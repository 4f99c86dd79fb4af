"""The linear head: against scikit-learn, a numeric minimiser, and worlds with a known answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from model_utils.estimators.head import head_loss
from model_utils.estimators.ridge import PENALTIES, RidgeHead, ridge, stretched
from model_utils.sampling.splits import validation_groups


def world(stations=12, days=20, width=15, seed=0):
    """Samples, and features whose first unit is dead."""
    generator = np.random.default_rng(seed)
    site, day = (axis.ravel() for axis in np.meshgrid(np.arange(stations), np.arange(days)))
    dates = pd.Timestamp("2018-01-01") + pd.to_timedelta(day, "D")
    samples = pd.DataFrame({"site_id": [f"s{number:02d}" for number in site], "local_date": dates})
    features = generator.normal(3, generator.uniform(0.5, 4, width), (len(samples), width)).astype(np.float32)
    features[:, 0] = 0.25
    target = 80 + features @ generator.normal(size=width) + generator.normal(0, 3, len(samples))
    return samples, features, target, site, day


def day_mean(values, date):
    frame = pd.DataFrame(np.asarray(values, dtype=float).reshape(len(date), -1))
    return frame.groupby(np.asarray(date)).transform("mean").to_numpy()


class Found(NamedTuple):
    """What a fit predicts of every row, and what it chose from how many settings."""

    predicted: NDArray[np.float64]
    chosen: Mapping[str, float]
    trials: int


def fit(head, samples, features, target, training):
    known = samples.assign(pm25=np.where(training, target, np.nan))
    fitted = head.fit(known, features, training)
    return Found(fitted.predict(known, features).mean, fitted.chosen, fitted.trials)


def components_tried(training_rows, group, width):
    most = min(training_rows - np.bincount(group).max() - 1, width)
    return sorted({min(count, most) for count in (8, 32, 128, most)})


@pytest.mark.parametrize(("days", "width"), [(20, 40), (4, 60)])
def test_equals_a_search_by_scikit_learn(days, width):
    samples, features, target, site, _ = world(days=days, width=width)
    training = site < 9
    x, y = features[training].astype(float), target[training]
    group = validation_groups(samples[training], 3)
    errors = {}
    for count in components_tried(len(y), group, width):
        for penalty in PENALTIES:
            total = 0.0
            for number in range(5):
                kept = group == number
                model = make_pipeline(
                    StandardScaler(), PCA(count, svd_solver="full"), Ridge(penalty * (~kept).sum(), solver="cholesky")
                )
                total += ((model.fit(x[~kept], y[~kept]).predict(x[kept]) - y[kept]) ** 2).sum()
            errors[count, penalty] = total
    count, penalty = min(errors, key=errors.__getitem__)
    model = make_pipeline(StandardScaler(), PCA(count, svd_solver="full"), Ridge(penalty * len(y), solver="cholesky"))
    found = fit(RidgeHead(seed=3), samples, features, target, training)
    assert found.chosen == {"components": count, "penalty": penalty}
    assert found.trials == len(errors)
    np.testing.assert_allclose(found.predicted, model.fit(x, y).predict(features.astype(float)), rtol=1e-8)


def test_spatial_search_equals_ridge_on_augmented_rows():
    """Rows and, below them, their anomalies times sqrt(lambda): a slow loop over literally augmented rows."""
    samples, features, target, site, day = world(width=12)
    training, weight = site < 9, 3.0
    x, y, date = features[training].astype(float), target[training], day[training]
    group = validation_groups(samples[training], 0)

    def predict(x, y, date, others, count, penalty):
        scaler = StandardScaler().fit(x)
        z, centred = scaler.transform(x), y - y.mean()
        rows = np.vstack([z, np.sqrt(weight) * (z - day_mean(z, date))])
        values = np.append(centred, np.sqrt(weight) * (centred - day_mean(centred, date)[:, 0]))
        axes = np.linalg.svd(rows, full_matrices=False)[2][:count].T
        model = Ridge(penalty * len(y), fit_intercept=False).fit(rows @ axes, values)
        return model.predict(scaler.transform(others) @ axes) + y.mean()

    losses = {}
    for count in components_tried(len(y), group, 12):
        for penalty in PENALTIES:
            error = np.empty(len(y))
            for number in range(5):
                kept = group == number
                error[kept] = y[kept] - predict(x[~kept], y[~kept], date[~kept], x[kept], count, penalty)
            anomaly = error - day_mean(error, date)[:, 0]
            losses[count, penalty] = (error**2).mean() + weight * (anomaly**2).mean()
    count, penalty = min(losses, key=losses.__getitem__)
    found = fit(RidgeHead(weight), samples, features, target, training)
    assert found.chosen == {"components": count, "penalty": penalty}
    expected = predict(x, y, date, features.astype(float), count, penalty)
    np.testing.assert_allclose(found.predicted, expected, rtol=1e-8)


@pytest.mark.parametrize("days", [3, 20])
def test_spatial_fit_minimises_the_spatial_loss(days):
    _, features, target, _, day = world(days=days, width=40)
    x, weight, penalty = features.astype(float), 5.0, 0.3
    z = StandardScaler().fit_transform(x)

    def loss_and_slope(parameters):
        error = target - parameters[0] - z @ parameters[1:]
        anomaly = error - day_mean(error, day)[:, 0]
        loss = (error**2).mean() + weight * (anomaly**2).mean() + penalty * (parameters[1:] ** 2).sum()
        slope = -2 / len(z) * np.append(error.sum(), z.T @ (error + weight * anomaly))
        return loss, slope + 2 * penalty * np.append(0, parameters[1:])

    best = minimize(loss_and_slope, np.zeros(41), jac=True, method="L-BFGS-B", options={"ftol": 0, "gtol": 1e-9})
    weights, intercept = ridge(x, target, day, [(min(40, len(x) - 1), penalty)], weight)
    np.testing.assert_allclose(x @ weights[:, 0] + intercept, best.x[0] + z @ best.x[1:], rtol=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 8), st.floats(0, 100), st.integers(0, 1000))
def test_squares_of_stretched_rows_are_the_spatial_loss(count, days, weight, seed):
    generator = np.random.default_rng(seed)
    error, date = generator.normal(size=count), generator.integers(0, days, count)
    expected = (error**2).mean() + weight * ((error - day_mean(error, date)[:, 0]) ** 2).mean()
    assert (stretched(error[:, None], date, weight) ** 2).mean() == pytest.approx(expected, rel=1e-9)
    target = torch.from_numpy(generator.normal(size=count))
    network = head_loss(torch.from_numpy(error) + target, target, torch.from_numpy(date), weight)
    assert float(network) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("spatial_weight", [0.0, 4.0])
def test_order_of_rows_and_threads_do_not_matter(spatial_weight):
    samples, features, target, site, _ = world(width=64)
    training, order = site < 7, np.random.default_rng(1).permutation(len(samples))
    head = RidgeHead(spatial_weight)
    found = fit(head, samples, features, target, training)
    other = fit(head, samples.iloc[order], features[order], target[order], training[order])
    assert other.chosen == found.chosen
    np.testing.assert_allclose(other.predicted, found.predicted[order], rtol=1e-9)
    for threads in (1, 2):
        with threadpool_limits(threads):
            again = fit(head, samples, features, target, training)
        assert again.chosen == found.chosen
        np.testing.assert_allclose(again.predicted, found.predicted, rtol=1e-9)
    assert not np.allclose(found.predicted, target[training].mean())


def test_a_target_in_a_few_components_is_recovered():
    samples, _, _, site, _ = world()
    generator = np.random.default_rng(5)
    latent = generator.normal(size=(len(samples), 3))
    noise = 0.1 * generator.normal(size=(len(samples), 100))
    features = (latent @ generator.normal(size=(3, 100)) + noise).astype(np.float32)
    target = 90 + latent @ np.array([20.0, -10.0, 5.0])
    test = site >= 8
    found = fit(RidgeHead(), samples, features, target, ~test)
    assert np.sqrt(((found.predicted - target)[test] ** 2).mean()) < 0.05 * target.std()


def test_noise_shrinks_to_the_training_mean():
    samples, _, _, site, _ = world()
    training, spread = site < 9, []
    for seed in range(20):
        generator = np.random.default_rng(seed)
        features = generator.normal(size=(len(samples), 100)).astype(np.float32)
        target = generator.normal(100, 30, len(samples))
        found = fit(RidgeHead(), samples, features, target, training)
        spread.append(np.sqrt(((found.predicted - target[training].mean()) ** 2).mean()))
    assert np.median(spread) < 3  # a tenth of the target's own spread
    weights, intercept = ridge(features[training].astype(float), target[training], site[training], [(100, 1e-2)])
    assert np.std(features @ weights + intercept) > 15  # which least squares on the same noise does not do


def test_spatial_loss_finds_what_differs_between_stations():
    """One feature shows the day and, where it must not, the place; the other shows the place alone."""
    samples, _, _, site, day = world(stations=30)
    generator = np.random.default_rng(2)
    level, of_place, misleading = generator.normal(size=20)[day], generator.normal(size=30), generator.normal(size=30)
    target = 100 + 60 * level + 5 * of_place[site]
    clear = of_place[site] + generator.normal(0, 0.3, len(site))
    features = np.column_stack([level + 0.5 * misleading[site], clear]).astype(np.float32)
    test = site >= 15

    def spatial_r(weight):
        predicted = fit(RidgeHead(weight), samples, features, target, ~test).predicted
        means = pd.DataFrame({"p": predicted, "t": target})[test].groupby(site[test]).mean()
        return means.corr().iloc[0, 1]

    assert spatial_r(0.0) < 0.5
    assert spatial_r(100.0) > 0.8


def test_few_rows_work():
    samples, features, target, site, day = world()
    one_station = site == 0
    found = fit(RidgeHead(1.0), samples, features, target, one_station)
    assert np.isfinite(found.predicted).all()
    for training in (one_station & (day == 0), (site < 4) & (day == 0)):  # nothing to validate on
        found = fit(RidgeHead(1.0), samples, features, target, training)
        np.testing.assert_allclose(found.predicted, target[training].mean())
        assert found.trials == 0
    two_dates = one_station & (day < 2)
    np.testing.assert_allclose(
        fit(RidgeHead(), samples, features, target, two_dates).predicted, target[two_dates].mean()
    )


def test_validation_groups_are_whole_stations_or_blocks_of_dates():
    samples, *_ = world(stations=12)
    by_station = pd.Series(validation_groups(samples, 0)).groupby(samples["site_id"])
    assert (by_station.nunique() == 1).all()
    assert sorted(by_station.first().value_counts()) == [2, 2, 2, 3, 3]
    assert (validation_groups(samples, 0) != validation_groups(samples, 1)).any()
    few = samples[samples["site_id"] < "s04"]
    by_date = pd.Series(validation_groups(few, 0), few.index).groupby(few["local_date"])
    assert (by_date.nunique() == 1).all()
    assert by_date.first().tolist() == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4 + [4] * 4
