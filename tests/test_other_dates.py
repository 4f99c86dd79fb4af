"""Predictions of dates by fits that never saw them: what they use, and intervals that hold where there is no skill."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.estimators.estimator import FitPredict
from model_utils.estimators.head import HeadSettings, fit_head
from model_utils.estimators.other_dates import predict_other_dates
from model_utils.evaluation.bootstrap import multiplicities, percentile_interval
from model_utils.evaluation.temporal import temporal_statistics

WORLDS = 300

Scheme = Callable[
    [FitPredict, pd.DataFrame, NDArray[np.bool_], NDArray[np.float64], int],
    NDArray[np.float64],
]


def dates_of(day: NDArray[np.int64]) -> pd.DataFrame:
    return pd.DataFrame({"local_date": pd.Timestamp("2018-01-01") + pd.to_timedelta(day, "D")})


def test_each_pair_of_dates_is_used_once_and_no_date_for_itself() -> None:
    site, day = (axis.ravel() for axis in np.meshgrid(np.arange(4), np.arange(23)))
    training = site < 3
    used: list[NDArray[np.bool_]] = []

    def fit_predict(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        assert not (mask & ~training).any()
        used.append(mask)
        return np.full(len(mask), float(len(used)))

    predicted = predict_other_dates(fit_predict, dates_of(day), training, np.zeros(len(day)), seed=3)
    assert len(used) == 4
    helps = {
        (source, target)
        for number, mask in enumerate(used, start=1)
        for source in set(day[mask])
        for target in set(day[predicted == number])
    }
    assert helps
    assert not any((target, source) in helps for source, target in helps)
    first = set(day[np.isnan(predicted)])
    assert len(first) == 5
    assert set(day[used[0]]) == first


def test_the_order_of_rows_is_nothing() -> None:
    site, day = (axis.ravel() for axis in np.meshgrid(np.arange(4), np.arange(23)))
    pm25 = np.random.default_rng(1).normal(size=len(day))

    def predictions(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        def fit_predict(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
            return np.asarray(pm25[rows] * mask.sum())

        return predict_other_dates(fit_predict, dates_of(day[rows]), site[rows] < 3, pm25[rows], seed=3)

    order = np.random.default_rng(0).permutation(len(day))
    np.testing.assert_allclose(predictions(order), predictions(np.arange(len(day)))[order])


def test_the_level_of_the_dates_that_came_first_is_no_skill() -> None:
    """A fit that knows the mean of its rows and nothing else says the same number on every date."""
    site, day = (axis.ravel() for axis in np.meshgrid(np.arange(4), np.arange(30)))
    training = site < 3
    pm25 = np.random.default_rng(0).normal(100, 40, 30)[day] + 5.0 * site
    pm25[0] = np.nan  # a row that has nothing to learn is left out

    def mean(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        return np.full(len(mask), pm25[mask].mean())

    readings = np.where(training, pm25, np.inf)  # readings of other stations are not looked at
    predicted = predict_other_dates(mean, dates_of(day), training, readings)
    shown = np.isfinite(predicted)
    assert 0.7 < shown.mean() < 0.9
    np.testing.assert_allclose(predicted[shown], np.nanmean(pm25[training]))


def test_few_dates_or_no_training_rows_give_nothing_and_never_an_empty_fit() -> None:
    def fit_predict(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        assert mask.any()
        return np.ones(len(mask))

    day = np.array([0, 0, 0])
    assert np.isnan(predict_other_dates(fit_predict, dates_of(day), day == 0, np.zeros(3))).all()
    day = np.arange(12)
    assert np.isnan(predict_other_dates(fit_predict, dates_of(day), day > 99, np.zeros(12))).all()
    assert np.isfinite(predict_other_dates(fit_predict, dates_of(np.arange(2)), day[:2] > -1, np.zeros(2))).sum() == 1


def test_a_head_that_recognises_dates_gains_nothing() -> None:
    """Features that name the date and nothing else: a head that trains on a date knows its level, others cannot."""
    generator = np.random.default_rng(0)
    site, day = (axis.ravel() for axis in np.meshgrid(np.arange(12), np.arange(100)))
    signature, level = generator.normal(size=(100, 8)), generator.normal(100, 30, 100)
    features = (signature[day] + 0.01 * generator.normal(size=(1200, 8))).astype(np.float32)
    pm25 = level[day] + generator.normal(0, 2, 1200)
    training, test = site < 8, site >= 8

    def fit_predict(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        return fit_head(features[mask], pm25[mask], site[mask] == 7, HeadSettings(epochs=30)).predict(features)

    other = predict_other_dates(fit_predict, dates_of(day), training, pm25)
    shown = test & np.isfinite(other)
    assert np.corrcoef(fit_predict(training)[test], pm25[test])[0, 1] > 0.9
    assert abs(np.corrcoef(other[shown], pm25[shown])[0, 1]) < 0.35


def cross_validated(
    fit_predict: FitPredict, samples: pd.DataFrame, training: NDArray[np.bool_], pm25: NDArray[np.float64], seed: int
) -> NDArray[np.float64]:
    """The scheme that is wrong: each group from all others, so that each pair of dates is used twice."""
    dates, date = np.unique(samples["local_date"].to_numpy(), return_inverse=True)
    group = np.random.default_rng(seed).permutation(len(dates))[date] % 5
    predicted = np.empty(len(samples))
    for number in range(5):
        others = training & (group != number)
        predicted[group == number] = fit_predict(others)[group == number] + pm25[training].mean() - pm25[others].mean()
    return predicted


def holds_zero(scheme: Scheme, seed: int) -> bool:
    """Whether the interval of temporal_r holds zero in a world whose features say nothing of PM2.5."""
    random = np.random.default_rng(seed)
    days, width = int(random.integers(60, 121)), 20
    day, site = (axis.ravel() for axis in np.meshgrid(np.arange(days), np.arange(14), indexing="ij"))
    features = random.normal(size=(days, width))[day] + 0.3 * random.normal(size=(len(day), width))
    pm25 = random.normal(100, 40, days)[day] + random.normal(0, 10, len(day))

    def ridge(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        centre, mean = features[mask].mean(axis=0), pm25[mask].mean()
        x = features[mask] - centre
        weights = np.linalg.solve(x.T @ x + width * np.eye(width), x.T @ (pm25[mask] - mean))
        return np.asarray((features - centre) @ weights + mean)

    predicted = scheme(ridge, dates_of(day), site < 8, pm25, seed)
    table = np.stack([pm25, predicted]).reshape(2, days, 14)[:, :, 8:].transpose(0, 2, 1)
    table = table[:, :, np.isfinite(table[1, 0])]
    weights = multiplicities(table.shape[2], 300, random)
    scores = temporal_statistics(table[0], table[1], weights)["temporal_r"]
    low, high = percentile_interval(scores[1:], table.shape[2]) or (np.nan, np.nan)
    return bool(low <= 0 <= high)


def test_intervals_over_days_hold_where_there_is_no_skill() -> None:
    """Of 300 worlds a true 95 % interval misses zero in 15 +- 4."""
    once = np.mean([holds_zero(predict_other_dates, seed) for seed in range(WORLDS)])
    assert 0.91 <= once <= 0.98
    twice = np.mean([holds_zero(cross_validated, seed) for seed in range(WORLDS)])
    assert twice < 0.87, "or the bounds above cannot tell the schemes apart"
