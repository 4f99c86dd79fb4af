"""What a fit must not have made itself: other dates and other stations, what they use, and that intervals hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from model_utils.errors import InputError
from model_utils.estimators.estimator import Features, FittedEstimator, Prediction, Silent, without_sd
from model_utils.estimators.finetuned import FittedFineTuned
from model_utils.estimators.head import HeadSettings, fit_head
from model_utils.estimators.references.fields import SameDayField
from model_utils.estimators.refitting import predict_fold, predict_other_dates, predict_unseen_stations
from model_utils.estimators.ridge import FittedRidge
from model_utils.evaluation.bootstrap import multiplicities, percentile_interval
from model_utils.evaluation.levels import round_level
from model_utils.evaluation.temporal import temporal_statistics
from model_utils.sampling.designs import Fold

WORLDS = 300

FitPredict = Callable[[NDArray[np.bool_]], NDArray[np.float64]]
Scheme = Callable[[FitPredict, pd.DataFrame, NDArray[np.bool_], int], NDArray[np.float64]]


def dated(day: NDArray[np.int64], pm25: NDArray[np.float64] | float = 0.0) -> pd.DataFrame:
    return pd.DataFrame({"local_date": pd.Timestamp("2018-01-01") + pd.to_timedelta(day, "D"), "pm25": pm25})


def test_each_pair_of_dates_is_used_once_and_no_date_for_itself() -> None:
    site, day = (axis.ravel() for axis in np.meshgrid(np.arange(4), np.arange(23)))
    training = site < 3
    used: list[NDArray[np.bool_]] = []

    def fit_predict(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        assert not (mask & ~training).any()
        used.append(mask)
        return np.full(len(mask), float(len(used)))

    predicted = predict_other_dates(fit_predict, dated(day), training, seed=3)
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

        return predict_other_dates(fit_predict, dated(day[rows], pm25[rows]), site[rows] < 3, seed=3)

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
    predicted = predict_other_dates(mean, dated(day, readings), training)
    shown = np.isfinite(predicted)
    assert 0.7 < shown.mean() < 0.9
    np.testing.assert_allclose(predicted[shown], np.nanmean(pm25[training]))


def test_few_dates_or_no_training_rows_give_nothing_and_never_an_empty_fit() -> None:
    def fit_predict(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        assert mask.any()
        return np.ones(len(mask))

    day = np.array([0, 0, 0])
    assert np.isnan(predict_other_dates(fit_predict, dated(day), day == 0)).all()
    day = np.arange(12)
    assert np.isnan(predict_other_dates(fit_predict, dated(day), day > 99)).all()
    assert np.isfinite(predict_other_dates(fit_predict, dated(np.arange(2)), day[:2] > -1)).sum() == 1


def test_a_head_that_recognises_dates_gains_nothing() -> None:
    """Features that name the date and nothing else: a head that trains on a date knows its level, others cannot."""
    generator = np.random.default_rng(0)
    site, day = (axis.ravel() for axis in np.meshgrid(np.arange(12), np.arange(100)))
    signature, level = generator.normal(size=(100, 8)), generator.normal(100, 30, 100)
    features = (signature[day] + 0.01 * generator.normal(size=(1200, 8))).astype(np.float32)
    pm25 = level[day] + generator.normal(0, 2, 1200)
    training, test = site < 8, site >= 8

    def fit_predict(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        fitted = fit_head(features[mask], pm25[mask], site[mask] == 7, HeadSettings(epochs=30))
        return fitted.predict(samples, features).mean

    samples = dated(day, pm25)
    other = predict_other_dates(fit_predict, samples, training)
    shown = test & np.isfinite(other)
    assert np.corrcoef(fit_predict(training)[test], pm25[test])[0, 1] > 0.9
    assert abs(np.corrcoef(other[shown], pm25[shown])[0, 1]) < 0.35


def cross_validated(
    fit_predict: FitPredict, samples: pd.DataFrame, training: NDArray[np.bool_], seed: int
) -> NDArray[np.float64]:
    """The scheme that is wrong: each group from all others, so that each pair of dates is used twice."""
    pm25 = samples["pm25"].to_numpy()
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

    predicted = scheme(ridge, dated(day, pm25), site < 8, seed)
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


def stations_and_days(stations: int = 12, days: int = 20, seed: int = 0) -> pd.DataFrame:
    """Shuffled readings with gaps."""
    random = np.random.default_rng(seed)
    site, day = np.nonzero(random.random((stations, days)) < 0.8)
    latitude, longitude = 28.4 + 0.4 * random.random(stations), 77 + 0.4 * random.random(stations)
    pm25 = random.gamma(4, 30, days)[day] * (1 + random.normal(0, 0.2, stations)[site])
    samples = dated(day, pm25).assign(
        site_id=[f"s{number:02d}" for number in site], latitude=latitude[site], longitude=longitude[site]
    )
    return samples.sample(frac=1, random_state=seed, ignore_index=True)


@pytest.mark.parametrize(("stations", "enough"), [(4, False), (5, True), (8, True)])
def test_no_station_is_predicted_by_a_fit_that_saw_it(stations: int, enough: bool) -> None:
    samples = stations_and_days()
    site = samples["site_id"].to_numpy()
    training = site < f"s{stations:02d}"
    held_out: list[str] = []

    def refit(mask: NDArray[np.bool_]) -> Prediction:
        assert not (mask & ~training).any()
        held_out.extend(set(site[training]) - set(site[mask]))
        assert not set(site[mask]) & set(site[training & ~mask])
        return Prediction(np.full(len(mask), float(len(held_out))), np.full(len(mask), 10.0 + len(held_out)))

    said = predict_unseen_stations(refit, samples, training, seed=4)
    assert sorted(held_out) == sorted(set(site[training])) * enough
    np.testing.assert_array_equal(np.isfinite(said.mean), training & enough)
    np.testing.assert_array_equal(said.sd, said.mean + 10)  # of the same fit
    for number, name in enumerate(held_out, start=1):
        assert (said.mean[site == name] >= number).all()


def test_unseen_stations_are_dealt_by_the_seed_whatever_the_order_of_rows() -> None:
    samples = stations_and_days()
    training = (samples["site_id"] < "s09").to_numpy()

    def said(rows: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
        here = samples.iloc[rows].reset_index(drop=True)

        def refit(mask: NDArray[np.bool_]) -> Prediction:
            return without_sd(np.full(len(mask), here["pm25"][mask].sum()))

        return predict_unseen_stations(refit, here, training[rows], seed).mean

    straight, order = np.arange(len(samples)), np.random.default_rng(0).permutation(len(samples))
    np.testing.assert_allclose(said(order, 4), said(straight, 4)[order])
    assert not np.allclose(said(straight, 5), said(straight, 4), equal_nan=True)


@dataclass
class Recorder:
    """Keeps what it is given; its n-th fit says n, and is 2 n sure."""

    uses_same_day_readings: bool = False
    least_stations: int = 0
    given: list[tuple[pd.DataFrame, NDArray[np.bool_]]] = field(default_factory=list)

    def fit(self, samples: pd.DataFrame, features: Features, training: NDArray[np.bool_]) -> FittedEstimator:
        if samples["site_id"][training].nunique() < self.least_stations:
            raise InputError("too few")
        self.given.append((samples, training))
        return Numbered(len(self.given))


@dataclass(frozen=True)
class Numbered(FittedEstimator):
    number: int

    def predict(self, samples: pd.DataFrame, features: Features) -> Prediction:
        return Prediction(np.full(len(samples), float(self.number)), np.full(len(samples), 2.0 * self.number))


def temporal_fold(samples: pd.DataFrame) -> Fold:
    """Eight stations train early and are known later; the other ones are predicted later."""
    station = (samples["site_id"] < "s08").to_numpy()
    late = (samples["local_date"] >= "2018-01-15").to_numpy()
    return Fold(training=station & ~late, known=station, test=~station & late)


def test_a_fold_is_fitted_to_what_it_may_know_and_every_row_is_predicted() -> None:
    samples = stations_and_days()
    fold, recorder = temporal_fold(samples), Recorder()
    said = predict_fold(recorder, samples, None, fold, other_dates=False, interval_level=None)
    ((given, training),) = recorder.given
    np.testing.assert_array_equal(training, fold.training)
    np.testing.assert_array_equal(given["pm25"], np.where(fold.known, samples["pm25"], np.nan))
    assert said.fitted == Numbered(1)
    np.testing.assert_array_equal(said.predicted.mean, 1)
    np.testing.assert_array_equal(said.predicted.sd, 2)
    np.testing.assert_array_equal(said.level, 1)
    assert np.isnan([said.other_dates, said.lower, said.upper]).all()


def test_the_level_of_a_fold_is_that_of_its_training_rows() -> None:
    samples = stations_and_days()
    training = (samples["site_id"] < "s08").to_numpy()
    fold = Fold(training, training, ~training)
    said = predict_fold(SameDayField("mean"), samples, None, fold, other_dates=False, interval_level=None)
    np.testing.assert_array_equal(said.level, round_level(said.predicted.mean, training, samples["local_date"]))


def test_refits_for_intervals_know_no_reading_but_those_they_train_on() -> None:
    """The readings of a station that is predicted as if it were new must not come in as readings of the day."""
    samples = stations_and_days()
    fold, recorder = temporal_fold(samples), Recorder(uses_same_day_readings=True)
    said = predict_fold(recorder, samples, None, fold, other_dates=False)
    assert len(recorder.given) == 6
    held = np.zeros(len(samples), dtype=int)
    for given, training in recorder.given[1:]:
        np.testing.assert_array_equal(given["pm25"], np.where(training, samples["pm25"], np.nan))
        held += fold.training & ~training
    np.testing.assert_array_equal(held, fold.training)
    assert np.isfinite([said.lower, said.upper]).all()  # the standard deviation tells how wide


def test_refits_for_other_dates_train_on_no_reading_of_the_date() -> None:
    samples = stations_and_days()
    fold, recorder = temporal_fold(samples), Recorder()
    said = predict_fold(recorder, samples, None, fold, interval_level=None, seed=2)
    assert len(recorder.given) == 5
    pm25, date = samples["pm25"].to_numpy(), samples["local_date"].to_numpy()
    left = np.isfinite(said.other_dates)
    for number, (given, training) in enumerate(recorder.given[1:], start=2):
        np.testing.assert_array_equal(given["pm25"], np.where(fold.known, pm25, np.nan))
        assert not (training & ~fold.training).any()
        level = pm25[fold.training].mean() - pm25[training].mean()
        shown = np.abs(said.other_dates - number - level) < 1e-9
        assert shown.any()
        assert not set(date[shown]) & set(date[training])
        left &= ~shown
    assert not left.any()


def test_refits_that_have_too_few_rows_say_nothing_and_the_fit_itself_complains() -> None:
    samples = stations_and_days()
    fold = temporal_fold(samples)
    said = predict_fold(Recorder(least_stations=8), samples, None, fold)
    np.testing.assert_array_equal(said.predicted.mean, 1)
    assert np.isfinite(said.other_dates).any()
    assert np.isnan([said.lower, said.upper]).all()  # seven stations are not eight
    with pytest.raises(InputError, match="too few"):
        predict_fold(Recorder(least_stations=9), samples, None, fold)
    said = predict_fold(Silent(), samples, None, fold)
    assert np.isnan([said.predicted.mean, said.predicted.sd, said.other_dates, said.lower, said.upper]).all()


def test_what_reads_the_day_is_not_refitted_for_other_dates() -> None:
    samples = stations_and_days()
    fold, recorder = temporal_fold(samples), Recorder(uses_same_day_readings=True)
    said = predict_fold(recorder, samples, None, fold, interval_level=None)
    assert len(recorder.given) == 1
    np.testing.assert_array_equal(said.other_dates, said.predicted.mean)


@dataclass(frozen=True)
class FineTunedOnce(FittedFineTuned):
    """What was fine-tuned, without an encoder."""

    def __post_init__(self) -> None:
        """There is no encoder to look at."""

    def predict(self, samples: pd.DataFrame, features: Features) -> Prediction:
        return without_sd(np.full(len(samples), 100.0))


class FineTunesOnce:
    """Is fitted once."""

    uses_same_day_readings = False

    def __init__(self, unseen: tuple[str, ...]) -> None:
        self.unseen, self.fits = unseen, 0

    def fit(self, samples: pd.DataFrame, features: Features, training: NDArray[np.bool_]) -> FittedEstimator:
        self.fits += 1
        return FineTunedOnce("none", 8, {}, (), (), None, self.unseen)  # type: ignore[arg-type]


def test_what_was_fine_tuned_is_not_refitted_and_its_validation_stations_make_the_intervals() -> None:
    samples = stations_and_days()
    training = (samples["site_id"] < "s08").to_numpy()
    fold, unseen = Fold(training, training, ~training), ("s01", "s04", "s06", "s10")  # the last is no training station
    estimator = FineTunesOnce(unseen)
    said = predict_fold(estimator, samples, None, fold)
    assert estimator.fits == 1
    assert np.isnan(said.other_dates).all()
    error = np.abs(samples["pm25"] - 100)[samples["site_id"].isin(unseen[:3])]
    reach = said.upper[0] - 100
    assert np.isclose(error, reach, rtol=1e-12).any()
    np.testing.assert_allclose(said.upper, 100 + reach)
    np.testing.assert_allclose(said.lower, max(100 - reach, 0))
    assert np.isnan(predict_fold(FineTunesOnce(unseen[1:]), samples, None, fold).lower).all()  # two stations are few


@dataclass(frozen=True)
class FixedRidge:
    """Ridge regression with a penalty of 10 on features as they are."""

    uses_same_day_readings = False

    def fit(self, samples: pd.DataFrame, features: Features, training: NDArray[np.bool_]) -> FittedEstimator:
        assert isinstance(features, np.ndarray)
        pm25 = samples["pm25"].to_numpy()
        centre, mean = features[training].mean(axis=0), pm25[training].mean()
        x = features[training] - centre
        weights = np.linalg.solve(x.T @ x + 10 * np.eye(x.shape[1]), x.T @ (pm25[training] - mean))
        return FittedRidge(weights, float(mean - centre @ weights))


def coverage_of_world(seed: int, effect: float, stations: int = 51, trained: int = 24) -> tuple[float, float]:
    """Stations with effects that features half explain, days that all share, and noise that grows with the level.

    Returns:
        Share of readings of new stations in their intervals, and that of intervals by rows of the fit's own residuals.
    """
    random = np.random.default_rng(seed)
    station, day = np.nonzero(random.random((stations, 50)) < 0.6)
    level = np.exp(random.normal(4.4, 0.6, 50))
    ground = random.normal(size=(stations, 6))
    offset = effect * (0.25 * ground.sum(axis=1) + 0.8 * random.normal(size=stations))
    pm25 = level[day] * (1 + offset[station] + 0.15 * random.standard_normal(len(day)))
    haze = (np.log(level) + random.normal(0, 0.15, 50))[day] + random.normal(0, 0.1, len(day))
    blurred = ground[station] + 0.1 * random.normal(size=(len(day), 6))
    features = np.column_stack([haze, np.exp(haze) / 50, blurred, random.normal(size=(len(day), 6))])
    training = station < trained
    samples = dated(day, pm25).assign(site_id=[f"s{number:02d}" for number in station])
    fold = Fold(training, training, ~training)
    said = predict_fold(FixedRidge(), samples, features, fold, other_dates=False, seed=seed)  # type: ignore[arg-type]
    inside = (said.lower <= pm25) & (pm25 <= said.upper)
    error = np.abs(pm25 - said.predicted.mean)
    return float(inside[~training].mean()), float((error <= np.quantile(error[training], 0.9))[~training].mean())


@pytest.mark.parametrize("effect", [0.05, 0.15, 0.4])
def test_ninety_percent_intervals_cover_ninety_percent_at_new_stations(effect: float) -> None:
    covered, by_rows = np.mean([coverage_of_world(seed, effect) for seed in range(150)], axis=0)
    assert covered == pytest.approx(0.9, abs=0.015)
    if effect == 0.4:
        assert by_rows < 0.87, "or these worlds do not need intervals by station"
