"""How wide an interval is, from the errors at stations that a fit has not seen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from model_utils.estimators.conformal import calibrated_intervals, conformal_quantile, period_reach
from model_utils.estimators.estimator import Prediction, without_sd


def mixture(random: np.random.Generator, stations: int, spread: float, rows: int) -> tuple[NDArray[np.float64], ...]:
    sizes = random.integers(rows // 2, rows * 2, stations)
    station = np.repeat(np.arange(stations), sizes)
    effect, scale = random.normal(0, spread, stations), np.exp(random.normal(0, 0.3 * min(spread, 1), stations))
    return np.abs(effect[station] + scale[station] * random.standard_normal(len(station))), station.astype(object)


@pytest.mark.parametrize("stations", [5, 12, 24])
@pytest.mark.parametrize("spread", [0.0, 1.0, 2.0])
def test_the_quantile_holds_for_few_stations_whether_they_differ_or_not(stations: int, spread: float) -> None:
    random = np.random.default_rng(stations)
    covered = []
    for _ in range(200):
        scores, station = mixture(random, stations, spread, 40)
        new, _ = mixture(random, 60, spread, 40)
        covered.append((new <= conformal_quantile(scores, station, 0.9)).mean())
    assert np.mean(covered) == pytest.approx(0.9, abs=0.02)


def quantile_by_loops(scores: list[float], station: list[int], level: float) -> float:
    """The definition, spelled out."""
    names = sorted(set(station))

    def share(name: int, bound: float) -> float:
        own = [score for score, of in zip(scores, station, strict=True) if of == name]
        return sum(score <= bound for score in own) / len(own)

    def quantile(among: list[int], wanted: float) -> float:
        for bound in sorted(set(scores)):
            if np.mean([share(name, bound) for name in among]) >= wanted - 1e-9:
                return bound
        return max(scores)

    for wanted in np.linspace(level, 1, 101):
        bounds = [(name, quantile([other for other in names if other != name], wanted)) for name in names]
        if np.mean([share(name, bound) for name, bound in bounds]) >= level - 1e-9:
            return quantile(names, wanted)
    return max(scores)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 12).map(float), st.integers(0, 3)), min_size=4, max_size=18).filter(
        lambda rows: len({station for _, station in rows}) > 1
    ),
    st.sampled_from([0.5, 0.8, 0.9]),
    st.integers(0, 99),
)
def test_the_quantile_is_that_of_slow_loops_in_any_order(
    rows: list[tuple[float, int]], level: float, seed: int
) -> None:
    scores, station = (list(column) for column in zip(*rows, strict=True))
    expected = quantile_by_loops(scores, station, level)
    order = np.random.default_rng(seed).permutation(len(rows))
    assert conformal_quantile(np.array(scores)[order], np.array(station, dtype=object)[order], level) == expected


def test_stations_count_alike_however_many_rows_they_have() -> None:
    """Nine stations score 1 in 1 row, one scores 2 in 1000: half of the stations' mixture lies at 1."""
    scores = np.concatenate([np.ones(9), np.full(1000, 2.0)])
    station = np.array([*range(9), *([9] * 1000)], dtype=object)
    assert conformal_quantile(scores, station, 0.5) == 1
    assert np.quantile(scores, 0.5) == 2


def calibration(seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.object_]]:
    random = np.random.default_rng(seed)
    unseen = random.uniform(20, 300, 400)
    observed = unseen * (1 + 0.2 * random.standard_normal(400))
    return observed, unseen, np.repeat(np.arange(10), 40).astype(object)


def test_intervals_widen_with_the_prediction_and_never_reach_below_zero() -> None:
    observed, unseen, station = calibration()
    predicted = np.array([5.0, 50, 100, 200, np.nan])
    lower, upper = calibrated_intervals(observed, without_sd(unseen), station, without_sd(predicted))
    assert lower.min(initial=9, where=np.isfinite(lower)) >= 0
    width = (upper - lower)[1:4]
    assert width[2] == pytest.approx(2 * width[1], rel=0.15)
    assert np.isnan([lower[4], upper[4]]).all()
    assert (lower[:4] <= predicted[:4]).all()
    assert (predicted[:4] <= upper[:4]).all()
    # what is neither read nor predicted has no say
    longer = without_sd(np.append(unseen, [70, np.nan]))
    with_gaps = calibrated_intervals(
        np.append(observed, [np.nan, 1e6]), longer, np.append(station, [0, 1]), without_sd(predicted)
    )
    np.testing.assert_array_equal(with_gaps, (lower, upper))


def test_a_prediction_without_spread_or_without_error_is_survived() -> None:
    observed, _, station = calibration()
    flat = without_sd(np.full(400, 100.0))
    lower, upper = calibrated_intervals(observed, flat, station, without_sd(np.full(3, 100.0)))
    inside = (lower[0] <= observed) & (observed <= upper[0])
    assert inside.mean() == pytest.approx(0.9, abs=0.04)
    lower, upper = calibrated_intervals(observed, without_sd(observed), station, without_sd(observed))
    np.testing.assert_allclose((lower, upper), (observed.clip(0), observed))


def test_a_few_wild_predictions_leave_the_other_intervals_as_they_are() -> None:
    observed, unseen, station = calibration()
    predicted = without_sd(np.array([30.0, 100, 250]))
    lower, upper = calibrated_intervals(observed, without_sd(unseen), station, predicted)
    unseen[::50] = -3000  # of every second station one prediction
    wild_lower, wild_upper = calibrated_intervals(observed, without_sd(unseen), station, predicted)
    np.testing.assert_allclose(wild_upper - wild_lower, upper - lower, rtol=0.3)
    low = calibrated_intervals(observed, without_sd(unseen), station, without_sd(np.array([-3000.0])))
    assert (low[1] >= 0).all()


def test_too_few_stations_have_no_intervals() -> None:
    observed, unseen, station = calibration()
    for stations, some in ((2, False), (3, True)):
        few = without_sd(np.where(station < stations, unseen, np.nan))
        bounds = calibrated_intervals(observed, few, station, without_sd(unseen))
        assert np.isfinite(bounds).all() == some
        assert np.isnan(bounds).all() != some


def test_with_a_predicted_standard_deviation_errors_are_scored_in_units_of_it() -> None:
    """How sure a prediction is has nothing to do with how high it is, so a line on the level could not tell it."""
    random = np.random.default_rng(0)
    station = np.repeat(np.arange(10), 40).astype(object)
    unseen = Prediction(random.uniform(100, 300, 400), random.choice([2.0, 20.0], 400))
    observed = unseen.mean + 1.5 * unseen.sd * random.standard_normal(400)
    mean, sd = np.array([200.0, 200, 150, 5, 200]), np.array([2.0, 20, 7, 20, np.nan])
    lower, upper = calibrated_intervals(observed, unseen, station, Prediction(mean, sd), 0.8)
    score = conformal_quantile(np.abs(observed - unseen.mean) / unseen.sd, station, 0.8)
    assert score == pytest.approx(1.5 * 1.28, rel=0.1)
    np.testing.assert_allclose(upper[:4], mean[:4] + score * sd[:4], rtol=1e-12)
    np.testing.assert_allclose(lower[:4], np.maximum(mean - score * sd, 0)[:4], rtol=1e-12)
    assert np.isnan([lower[4], upper[4]]).all()
    # sure and unsure rows are covered alike; by the line on the level they are not
    new = Prediction(random.uniform(100, 300, 4000), random.choice([2.0, 20.0], 4000))
    reading = new.mean + 1.5 * new.sd * random.standard_normal(4000)
    for known, shown, alike in ((unseen, new, True), (without_sd(unseen.mean), without_sd(new.mean), False)):
        lower, upper = calibrated_intervals(observed, known, station, shown, 0.8)
        inside = (lower <= reading) & (reading <= upper)
        sure, unsure = inside[new.sd == 2].mean(), inside[new.sd == 20].mean()
        assert (abs(sure - unsure) < 0.05) == alike
        assert (0.75 < sure < 0.85) == (0.75 < unsure < 0.85) == alike


def test_a_standard_deviation_that_is_not_known_everywhere_is_not_used_and_one_of_zero_is_survived() -> None:
    observed, unseen, station = calibration()
    predicted = Prediction(np.array([50.0, 100]), np.array([1.0, 1]))
    plain = calibrated_intervals(observed, without_sd(unseen), station, predicted)
    some = Prediction(unseen, np.where(np.arange(400) == 7, np.nan, 5.0))
    np.testing.assert_array_equal(calibrated_intervals(observed, some, station, predicted), plain)
    outside = Prediction(np.append(unseen, np.nan), np.append(np.full(400, 5.0), np.nan))  # no row of the calibration
    wide = calibrated_intervals(np.append(observed, np.nan), outside, np.append(station, [0]), predicted)
    assert np.isfinite(wide).all()
    assert not np.array_equal(wide, plain)
    sure = calibrated_intervals(unseen, Prediction(unseen, np.zeros(400)), station, Prediction(unseen, np.zeros(400)))
    np.testing.assert_allclose(sure, (unseen, unseen))


def _errors(stations: int, days: int, seed: int) -> tuple[np.ndarray, Prediction, np.ndarray, np.ndarray]:
    """Readings around predictions of 100: a part of the station's own and one of each day; periods of 10 days."""
    random = np.random.default_rng(seed)
    error = random.normal(0, 8, (stations, 1)) + random.normal(0, 20, (stations, days))
    station = np.repeat(np.array([f"s{number}" for number in range(stations)], object), days)
    unseen = Prediction(np.full(error.size, 100.0), np.full(error.size, 21.5))
    return (100 + error).ravel(), unseen, station, np.tile(np.arange(days) // 10, stations)


def test_the_reach_of_single_days_is_the_conformal_quantile():
    observed, unseen, station, _ = _errors(12, 30, 0)
    day = np.tile(np.arange(30), 12)
    expected = conformal_quantile(np.abs(observed - unseen.mean) / unseen.sd, station, 0.9)
    assert period_reach(observed, unseen, station, day, 1) == expected


def test_means_over_periods_are_covered_at_new_stations():
    """Days' errors average out, the station's own does not: the reach is between, and covers what it says."""
    covered = []
    for seed in range(30):
        observed, unseen, station, period = _errors(25, 60, seed)
        reach = period_reach(observed, unseen, station, period, 3)
        assert reach < period_reach(observed, unseen, station, np.tile(np.arange(60), 25), 1)
        other, _, _, _ = _errors(200, 60, 1000 + seed)
        means = other.reshape(200, 6, 10).mean(axis=2)
        covered.append((np.abs(means - 100) <= reach * 21.5).mean())
    assert np.mean(covered) == pytest.approx(0.9, abs=0.02)


def test_short_periods_and_few_stations_tell_no_reach():
    observed, unseen, station, period = _errors(25, 20, 0)
    assert np.isnan(period_reach(observed, unseen, station, period, 11))
    few = np.isin(station, ["s0", "s1"])
    known = Prediction(np.where(few, unseen.mean, np.nan), unseen.sd)
    assert np.isnan(period_reach(observed, known, station, period, 3))
