"""Intervals that hold at stations nobody trained on."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from model_utils.estimators.conformal import calibrated_intervals, conformal_quantile, station_intervals

STATIONS, TRAINING = 51, 24


def ridge(features: NDArray[np.float64], pm25: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    centre, mean = features[mask].mean(axis=0), pm25[mask].mean()
    x = features[mask] - centre
    weights = np.linalg.solve(x.T @ x + 10 * np.eye(x.shape[1]), x.T @ (pm25[mask] - mean))
    return np.asarray((features - centre) @ weights + mean)


def coverage_of_world(seed: int, effect: float) -> tuple[float, float]:
    """Stations with effects that features half explain, days that all share, and noise that grows with the level.

    Returns:
        Share of readings of new stations in their intervals, and that of intervals by rows of the fit's own residuals.
    """
    random = np.random.default_rng(seed)
    station, day = np.nonzero(random.random((STATIONS, 50)) < 0.6)
    level = np.exp(random.normal(4.4, 0.6, 50))
    ground = random.normal(size=(STATIONS, 6))
    offset = effect * (0.25 * ground.sum(axis=1) + 0.8 * random.normal(size=STATIONS))
    pm25 = level[day] * (1 + offset[station] + 0.15 * random.standard_normal(len(day)))
    haze = (np.log(level) + random.normal(0, 0.15, 50))[day] + random.normal(0, 0.1, len(day))
    blurred = ground[station] + 0.1 * random.normal(size=(len(day), 6))
    features = np.column_stack([haze, np.exp(haze) / 50, blurred, random.normal(size=(len(day), 6))])
    training = station < TRAINING
    samples = pd.DataFrame(
        {"site_id": [f"s{number:02d}" for number in station], "pm25": np.where(training, pm25, np.nan)}
    )
    predicted = ridge(features, pm25, training)
    lower, upper = station_intervals(
        lambda mask: ridge(features, pm25, mask), samples, training, predicted, 0.9, seed=seed
    )
    inside = (lower <= pm25) & (pm25 <= upper)
    error = np.abs(pm25 - predicted)
    return float(inside[~training].mean()), float((error <= np.quantile(error[training], 0.9))[~training].mean())


@pytest.mark.parametrize("effect", [0.05, 0.15, 0.4])
def test_ninety_percent_intervals_cover_ninety_percent_at_new_stations(effect: float) -> None:
    covered, by_rows = np.mean([coverage_of_world(seed, effect) for seed in range(150)], axis=0)
    assert covered == pytest.approx(0.9, abs=0.015)
    if effect == 0.4:
        assert by_rows < 0.87, "or these worlds do not need intervals by station"


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
    lower, upper = calibrated_intervals(observed, unseen, station, predicted)
    assert lower.min(initial=9, where=np.isfinite(lower)) >= 0
    width = (upper - lower)[1:4]
    assert width[2] == pytest.approx(2 * width[1], rel=0.15)
    assert np.isnan([lower[4], upper[4]]).all()
    assert (lower[:4] <= predicted[:4]).all()
    assert (predicted[:4] <= upper[:4]).all()
    # what is neither read nor predicted has no say
    with_gaps = calibrated_intervals(
        np.append(observed, [np.nan, 1e6]), np.append(unseen, [70, np.nan]), np.append(station, [0, 1]), predicted
    )
    np.testing.assert_array_equal(with_gaps, (lower, upper))


def test_a_prediction_without_spread_or_without_error_is_survived() -> None:
    observed, _, station = calibration()
    lower, upper = calibrated_intervals(observed, np.full(400, 100.0), station, np.full(3, 100.0))
    inside = (lower[0] <= observed) & (observed <= upper[0])
    assert inside.mean() == pytest.approx(0.9, abs=0.04)
    lower, upper = calibrated_intervals(observed, observed, station, observed)
    np.testing.assert_allclose((lower, upper), (observed.clip(0), observed))


def test_a_few_wild_predictions_leave_the_other_intervals_as_they_are() -> None:
    observed, unseen, station = calibration()
    predicted = np.array([30.0, 100, 250])
    lower, upper = calibrated_intervals(observed, unseen, station, predicted)
    unseen[::50] = -3000  # of every second station one prediction
    wild_lower, wild_upper = calibrated_intervals(observed, unseen, station, predicted)
    np.testing.assert_allclose(wild_upper - wild_lower, upper - lower, rtol=0.3)
    assert (calibrated_intervals(observed, unseen, station, np.array([-3000.0]))[1] >= 0).all()


def test_too_few_stations_have_no_intervals() -> None:
    observed, unseen, station = calibration()
    two = np.where(station < 2, unseen, np.nan)
    assert np.isnan(calibrated_intervals(observed, two, station, unseen)).all()
    assert np.isfinite(calibrated_intervals(observed, np.where(station < 3, unseen, np.nan), station, unseen)).all()
    samples = pd.DataFrame({"site_id": station.astype(str), "pm25": observed})
    for stations, some in ((4, False), (5, True)):
        training = station < stations
        bounds = station_intervals(lambda mask: unseen, samples, training.astype(bool), unseen)
        assert np.isfinite(bounds).all() == some


def test_no_station_is_calibrated_by_a_fit_that_saw_it_and_the_order_of_rows_is_nothing() -> None:
    observed, unseen, station = calibration()
    training = (station < 8).astype(bool)
    samples = pd.DataFrame({"site_id": station.astype(str), "pm25": np.where(training, observed, np.nan)})
    held_out: list[str] = []

    def fit_predict(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        assert not (mask & ~training).any()
        held_out.extend(set(station[training]) - set(station[mask]))
        assert not set(station[mask]) & set(station[training & ~mask])
        return unseen

    expected = station_intervals(fit_predict, samples, training, unseen, seed=4)
    assert sorted(held_out) == list(range(8))
    order = np.random.default_rng(0).permutation(len(samples))
    shuffled = station_intervals(
        lambda mask: unseen[order], samples.iloc[order].reset_index(drop=True), training[order], unseen[order], seed=4
    )
    np.testing.assert_allclose(shuffled, np.array(expected)[:, order], rtol=1e-9)
