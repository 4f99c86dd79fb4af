"""The tuned network head and the spatial loss of its training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from model_utils.errors import InputError
from model_utils.estimators.estimator import Constant
from model_utils.estimators.head import HeadSettings, fit_head, shuffled_batches
from model_utils.estimators.network import PaperHead, TunedHead
from model_utils.sampling.splits import validation_rows

SETTINGS = HeadSettings(epochs=30, patience=5, batch_size=64)
ROWS = pd.DataFrame(index=range(600))
"""Of a head, which looks at features alone."""


def world(stations=10, days=20, width=6):
    generator = np.random.default_rng(0)
    site, day = (axis.ravel() for axis in np.meshgrid(np.arange(stations), np.arange(days)))
    dates = pd.Timestamp("2018-01-01") + pd.to_timedelta(day, "D")
    samples = pd.DataFrame({"site_id": [f"s{number:02d}" for number in site], "local_date": dates})
    features = generator.normal(2, 3, (len(samples), width)).astype(np.float32)
    target = 90 + features @ generator.normal(0, 5, width)
    return samples, features, target, site, day


def fit(head, samples, features, target, training):
    return head.fit(samples.assign(pm25=np.where(training, target, np.nan)), features, training)


def predict(fitted, features):
    return fitted.predict(pd.DataFrame(index=range(len(features))), features).mean


def test_takes_the_setting_with_the_lowest_validation_loss():
    samples, features, target, site, _ = world()
    training = site < 8
    head = TunedHead(replace(SETTINGS, seed=4), learning_rates=(1e-4, 3e-3), weight_decays=(1e-4, 1e-1))
    found = fit(head, samples, features, target, training)
    order = samples[training].sort_values(["site_id", "local_date"]).index.to_numpy()
    validation = validation_rows(samples.iloc[order], 0.2, 4)
    fits = {
        (rate, decay): fit_head(
            features[order],
            target[order],
            validation,
            replace(SETTINGS, learning_rate=rate, weight_decay=decay, seed=4),
        )
        for rate in (1e-4, 3e-3)
        for decay in (1e-4, 1e-1)
    }
    best = min(fits, key=lambda setting: fits[setting].history["validation_loss"].min())
    assert found.trials == 4
    assert (found.chosen["learning_rate"], found.chosen["weight_decay"]) == best
    assert found.chosen["epochs"] == fits[best].best_epoch
    np.testing.assert_array_equal(predict(found, features), predict(fits[best], features))
    test = ~training
    assert np.sqrt(((predict(found, features) - target)[test] ** 2).mean()) < 0.3 * target.std()


def test_order_of_rows_does_not_matter():
    samples, features, target, site, _ = world()
    training, order = site < 6, np.random.default_rng(1).permutation(len(samples))
    head = TunedHead(replace(SETTINGS, epochs=5), learning_rates=(1e-3,), weight_decays=(1e-4,))
    found = fit(head, samples, features, target, training)
    other = fit(head, samples.iloc[order], features[order], target[order], training[order])
    np.testing.assert_allclose(predict(other, features[order]), predict(found, features)[order], rtol=1e-5)


def test_the_paper_s_head_keeps_validation_stations_apart_and_a_row_without_a_reading_teaches_nothing():
    samples, features, target, site, day = world()
    training = site < 8
    settings = replace(SETTINGS, epochs=4, seed=2)
    known = training & (np.arange(len(site)) % 7 > 0)
    validation = validation_rows(samples[known], 0.4, 2)
    assert 0 < validation.sum() < known.sum()
    expected = fit_head(features[known], target[known], validation, settings)
    found = PaperHead(settings, 0.4).fit(samples.assign(pm25=np.where(known, target, np.nan)), features, training)
    pd.testing.assert_frame_equal(found.history, expected.history)
    np.testing.assert_array_equal(predict(found, features), predict(expected, features))
    one_date = (site < 3) & (day == 0)
    with pytest.raises(InputError, match="found 3 stations on 1 date"):
        fit(PaperHead(settings), samples, features, target, one_date)


def test_few_rows_work():
    samples, features, target, site, day = world()
    head = TunedHead(replace(SETTINGS, epochs=3))
    found = fit(head, samples, features, target, site == 0)
    assert np.isfinite(predict(found, features)).all()
    assert found.trials == 6
    one_date = (site < 3) & (day == 0)
    found = fit(head, samples, features, target, one_date)
    assert found == Constant(pytest.approx(target[one_date].mean()))
    np.testing.assert_allclose(predict(found, features), target[one_date].mean())
    assert found.trials == 0


def test_spatial_batches_hold_whole_dates_and_every_row_once():
    day = torch.from_numpy(np.random.default_rng(0).integers(0, 30, 400))
    generator = torch.Generator().manual_seed(0)
    batches = shuffled_batches(400, day, 64, generator)
    assert sorted(torch.cat(list(batches)).tolist()) == list(range(400))
    dates = [set(day[rows].tolist()) for rows in batches]
    assert sum(map(len, dates)) == 30
    assert [len(each) for each in dates] == [5] * 6  # 64 rows are 4.8 dates
    assert dates != [set(day[rows].tolist()) for rows in shuffled_batches(400, day, 64, generator)]
    assert len(shuffled_batches(400, day, 1, generator)) == 30


def test_history_of_a_spatial_fit_is_the_spatial_loss():
    _, features, target, site, day = world()
    validation = site >= 7
    settings = replace(SETTINGS, spatial_weight=3.0)
    fitted = fit_head(features, target, validation, settings, day)
    error = (predict(fitted, features) - target)[validation] / float(fitted.head().target_std)
    anomaly = error - pd.Series(error).groupby(day[validation]).transform("mean").to_numpy()
    expected = (error**2).mean() + 3 * (anomaly**2).mean()
    assert fitted.history["validation_loss"].min() == pytest.approx(expected, rel=1e-4)


def test_without_a_spatial_weight_dates_change_nothing():
    _, features, target, site, day = world()
    plain = fit_head(features, target, site >= 7, SETTINGS)
    pd.testing.assert_frame_equal(fit_head(features, target, site >= 7, SETTINGS, day).history, plain.history)
    spatial = fit_head(features, target, site >= 7, replace(SETTINGS, spatial_weight=1.0), day)
    assert not np.array_equal(predict(spatial, features), predict(plain, features))


def test_spatial_loss_finds_what_differs_between_stations():
    """One feature shows the day and, where it must not, the place; the other shows the place alone."""
    _, _, _, site, day = world(stations=30)
    generator = np.random.default_rng(2)
    level, of_place, misleading = generator.normal(size=20)[day], generator.normal(size=30), generator.normal(size=30)
    target = 100 + 60 * level + 5 * of_place[site]
    features = np.column_stack([level + 0.5 * misleading[site], of_place[site]]).astype(np.float32)
    test = site >= 15
    validation = site[~test] >= 12

    def spatial_r(weight):
        settings = HeadSettings(epochs=60, dropout=0.0, spatial_weight=weight)
        fitted = fit_head(features[~test], target[~test], validation, settings, day[~test])
        predicted = predict(fitted, features[test])
        means = pd.DataFrame({"p": predicted, "t": target[test]}).groupby(site[test]).mean()
        return means.corr().iloc[0, 1]

    assert spatial_r(100.0) > spatial_r(0.0) + 0.2


def test_a_spatial_loss_without_dates_is_refused():
    _, features, target, site, _ = world()
    with pytest.raises(ValueError, match=r"spatial_weight 0\.5: dates are missing"):
        fit_head(features, target, site >= 7, HeadSettings(spatial_weight=0.5))


def test_head_reaches_least_squares_on_a_linear_problem():
    generator = np.random.default_rng(0)
    features = generator.normal(3, 2, (600, 10)).astype(np.float32)
    target = 50 + features @ generator.normal(size=10) * 5
    validation = np.arange(600) >= 500
    fitted = fit_head(features, target, validation, HeadSettings(epochs=150, dropout=0.0))
    residual = fitted.predict(ROWS[:100], features[validation]).mean - target[validation]
    assert np.sqrt((residual**2).mean()) < 0.1 * target.std()
    history = fitted.history
    assert history["validation_loss"].idxmin() + 1 == fitted.best_epoch
    again = fit_head(features, target, validation, HeadSettings(epochs=150, dropout=0.0))
    np.testing.assert_array_equal(*(each.predict(ROWS, features).mean for each in (fitted, again)))


def test_head_stops_early_and_ignores_validation_targets_in_its_gradients():
    generator = np.random.default_rng(0)
    features = generator.normal(size=(200, 6)).astype(np.float32)
    target = generator.normal(size=200)
    validation = np.arange(200) >= 150
    fitted = fit_head(features, target, validation, HeadSettings(epochs=500, patience=5))
    assert len(fitted.history) < 500
    assert len(fitted.history) == fitted.best_epoch + 5
    other = target.copy()
    other[validation] += 1000
    changed = fit_head(features, other, validation, HeadSettings(epochs=500, patience=5))
    np.testing.assert_array_equal(
        fitted.history["train_loss"].iloc[:3].to_numpy(), changed.history["train_loss"].iloc[:3].to_numpy()
    )
    assert fitted.state["target_mean"] == changed.state["target_mean"]


def test_constant_target_and_dead_features_are_survived():
    features = np.zeros((20, 4), dtype=np.float32)
    fitted = fit_head(features, np.full(20, 80.0), np.arange(20) >= 15, HeadSettings(epochs=5))
    np.testing.assert_allclose(fitted.predict(ROWS[:20], features).mean, 80, atol=5)


def test_a_head_takes_raw_embeddings_and_returns_micrograms() -> None:
    generator = np.random.default_rng(0)
    features = (5 + 3 * generator.normal(size=(400, 4))).astype(np.float32)
    target = 80 + 20 * (features[:, 0] - 5)
    validation = np.arange(400) % 5 == 0
    fitted = fit_head(features, target.astype(np.float64), validation, HeadSettings(epochs=40, batch_size=32))
    with torch.inference_mode():
        said = fitted.head()(torch.from_numpy(features))
    assert said.shape == (400,)
    assert np.corrcoef(said.numpy(), target)[0, 1] > 0.98
    assert said.mean().item() == pytest.approx(target.mean(), rel=0.05)
    np.testing.assert_array_equal(said.double().numpy(), fitted.predict(pd.DataFrame(index=range(400)), features).mean)
