"""`evaluate` against scipy, scikit-learn and explicit resampling, and on cases built to fool it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics

from model_utils.errors import InputError
from model_utils.evaluation.bootstrap import multiplicities, percentile_interval
from model_utils.evaluation.scores import PERIOD
from model_utils.evaluation.statistics import KEYS, evaluate
from model_utils.evaluation.temporal import MIN_DAYS

SPATIAL = ("spatial_r", "spatial_rmse", "spatial_r_paper", "spatial_rmse_paper")
POOLED = tuple(key for key in KEYS if key not in (*SPATIAL, *PERIOD, "temporal_r"))


def city(stations: int = 8, days: int = 40, missing: float = 0.3, seed: int = 0) -> pd.DataFrame:
    """Readings with a day signal, station offsets, gaps, ties, and now and then two rows of a station and day."""
    random = np.random.default_rng(seed)
    day_signal, offset = random.gamma(4, 25, days), random.normal(0, 15, stations)
    station, day = np.nonzero(random.random((stations, days)) >= missing)
    again = random.random(len(station)) < 0.1
    station, day = np.append(station, station[again]), np.append(day, day[again])
    truth = day_signal[day] + offset[station]
    return pd.DataFrame(
        {
            "site_id": [f"site{number}" for number in station],
            "local_date": pd.Timestamp("2019-01-01") + pd.to_timedelta(day, "D"),
            "observed": np.maximum(truth + random.normal(0, 20, len(truth)), 1).round(-1),
            "predicted": (0.8 * truth + 15 + random.normal(0, 25, len(truth))).round(),
        }
    )


def by_hand(rows: pd.DataFrame) -> dict[str, float]:
    """The definitions, one at a time."""
    observed, predicted = rows["observed"], rows["predicted"]
    mean = observed.mean()
    rmse = metrics.root_mean_squared_error(observed, predicted)
    mae = metrics.mean_absolute_error(observed, predicted)
    result = {
        "rmse": rmse,
        "mae": mae,
        "nrmse": rmse / mean,
        "nmae": mae / mean,
        "mean_bias": predicted.mean() - mean,
        "nmb": predicted.sum() / observed.sum() - 1,
        "r2": metrics.r2_score(observed, predicted),
        "pearson_r": stats.pearsonr(observed, predicted).statistic,
        "spearman_r": stats.spearmanr(observed, predicted).statistic,
        "fac2": sum(0.5 * o <= p <= 2 * o for o, p in zip(observed, predicted, strict=True)) / len(rows),
    }
    means = rows.groupby("site_id")[["observed", "predicted"]].mean()
    result["spatial_r_paper"] = stats.pearsonr(means["observed"], means["predicted"]).statistic
    result["spatial_rmse_paper"] = metrics.root_mean_squared_error(means["observed"], means["predicted"])

    daily = rows.groupby(["site_id", "local_date"], as_index=False)[["observed", "predicted"]].mean()
    anomalies: dict[str, list[tuple[float, float]]] = {}
    for _, of_day in daily.groupby("local_date"):
        if len(of_day) >= 3:
            for row in of_day.itertuples():
                o, p = row.observed - of_day["observed"].mean(), row.predicted - of_day["predicted"].mean()
                anomalies.setdefault(row.site_id, []).append((o, p))
    x, y = np.array([np.mean(pairs, axis=0) for pairs in anomalies.values()]).T
    result["spatial_r"] = stats.pearsonr(x, y).statistic
    result["spatial_rmse"] = metrics.root_mean_squared_error(x, y)
    result["temporal_r"] = np.median(
        [
            stats.pearsonr(of_site["observed"], of_site["predicted"]).statistic
            for _, of_site in daily.groupby("site_id")
            if len(of_site) >= MIN_DAYS
        ]
    )
    return result


def copies(rows: pd.DataFrame, unit: str, counts: dict[Any, int]) -> pd.DataFrame:
    """Rows with each unit as often as it is drawn, each copy with a site name or a date of its own."""
    drawn = []
    for name, count in counts.items():
        for copy in range(count):
            of_unit = rows[rows[unit] == name].copy()
            of_unit[unit] = f"{name}-{copy}" if unit == "site_id" else name + pd.Timedelta(copy, "s")
            drawn.append(of_unit)
    return pd.concat(drawn)


@pytest.mark.parametrize("seed", range(3))
def test_scores_equal_their_definitions(seed: int) -> None:
    rows = city(seed=seed)
    result = evaluate(rows, draws=10)
    for key, value in by_hand(rows).items():
        assert result[key] == pytest.approx(value, rel=1e-9), key
    assert result["n_samples"] == len(rows)
    assert result["n_stations"] == rows["site_id"].nunique()
    assert result["n_days"] == rows["local_date"].nunique()


def test_days_with_fewer_than_three_stations_are_left_out_of_the_spatial_scores_only() -> None:
    rows = city(stations=4, days=60, missing=0.5)
    per_day = rows.groupby("local_date")["site_id"].nunique()
    assert (per_day < 3).sum() > 5, "the case must hold such days"
    result = evaluate(rows, draws=10)
    assert result["n_days_spatial"] == (per_day >= 3).sum() < result["n_days"]
    assert result["spatial_r"] == pytest.approx(by_hand(rows)["spatial_r"], rel=1e-9)
    assert result["rmse"] == pytest.approx(by_hand(rows)["rmse"], rel=1e-9)


def test_intervals_equal_explicit_resampling() -> None:
    """Copies of a drawn station or day become stations or days of their own; then all is computed anew.

    Periods: `test_periods.py`.
    """
    rows, draws, seed = city(), 40, 5
    random = np.random.default_rng(seed)
    values: dict[str, list[float]] = {key: [] for key in KEYS if key not in PERIOD}
    names = {unit: sorted(rows[unit].unique()) for unit in ("site_id", "local_date")}
    counts = {
        unit: random.multinomial(len(of_unit), np.full(len(of_unit), 1 / len(of_unit)), size=draws)
        for unit, of_unit in names.items()
    }
    for keys, units in (
        (SPATIAL, ["site_id"]),
        (("temporal_r",), ["local_date"]),
        (POOLED, ["site_id", "local_date"]),
    ):
        for draw in range(draws):
            drawn = rows
            for unit in units:
                drawn = copies(drawn, unit, dict(zip(names[unit], counts[unit][draw], strict=True)))
            score = by_hand(drawn)
            for key in keys:
                values[key].append(score[key])
    result = evaluate(rows, draws=draws, seed=seed)
    for key in values:
        units = len(names["local_date" if key == "temporal_r" else "site_id"])
        tail = stats.norm.cdf(stats.t.ppf(0.025, units - 1) * np.sqrt(units / (units - 1)))
        low, high = np.quantile(values[key], [tail, 1 - tail])
        assert result[f"{key}_ci95"] == pytest.approx([low, high], rel=1e-8), key
        assert low < high


@pytest.mark.parametrize(("stations", "days"), [(1, 9), (9, 1), (2, 1), (1, 1)])
def test_of_a_single_station_the_days_are_resampled_and_of_a_single_day_the_stations(stations: int, days: int) -> None:
    rows = city(stations, days, missing=0).drop_duplicates(["site_id", "local_date"])
    units, draws = max(stations, days), 50
    random = np.random.default_rng(3)
    stations_drawn, days_drawn = (
        random.multinomial(number, np.full(number, 1 / number), size=draws) for number in (stations, days)
    )
    squares = ((rows["predicted"] - rows["observed"]) ** 2).to_numpy()
    replicated = np.sqrt((stations_drawn if days == 1 else days_drawn) @ squares / units)
    interval = evaluate(rows, draws, seed=3)["rmse_ci95"]
    if units == 1:
        assert interval is None
    else:
        assert interval == pytest.approx(percentile_interval(replicated, units), rel=1e-12)


@pytest.mark.parametrize("units", [8, 12])
def test_expanded_intervals_of_a_mean_cover_it_and_plain_ones_do_not(units: int) -> None:
    random = np.random.default_rng(units)
    samples, weights = random.normal(0, 1, (2000, units)), multiplicities(units, 2000, random)[1:] / units
    replicated = samples @ weights.T
    expanded = np.array([percentile_interval(of_sample, units) for of_sample in replicated])
    plain = np.percentile(replicated, [2.5, 97.5], axis=1).T
    covered, covered_plainly = (((bounds[:, 0] <= 0) & (bounds[:, 1] >= 0)).mean() for bounds in (expanded, plain))
    assert 0.93 < covered < 0.96
    assert covered_plainly < covered - 0.025


def test_an_interval_needs_two_units_and_half_of_the_resamples() -> None:
    values = np.arange(10.0)
    assert percentile_interval(values, 1) is None
    assert percentile_interval(values, 2) == pytest.approx([0, 9], abs=1e-9)
    assert percentile_interval(np.where(values < 6, np.nan, values), 5) is None
    assert percentile_interval(np.where(values < 5, np.nan, values), 5) is not None
    assert percentile_interval(np.array([]), 5) is None


def test_knowing_only_the_day_has_no_spatial_skill_though_raw_station_means_say_so() -> None:
    random = np.random.default_rng(3)
    season = 100 + 80 * np.cos(np.arange(360) / 360 * 2 * np.pi)
    parts = []
    for station in range(12):  # each station reads through another, overlapping part of the year
        day = np.arange(20 * station, 20 * station + 140)
        parts.append(
            pd.DataFrame(
                {
                    "site_id": str(station),
                    "local_date": pd.Timestamp("2019-01-01") + pd.to_timedelta(day, "D"),
                    "observed": season[day] + random.normal(0, 10) + random.normal(0, 5, len(day)),
                    "predicted": season[day],
                }
            )
        )
    rows = pd.concat(parts)
    result = evaluate(rows)
    assert result["spatial_r_paper"] > 0.8
    assert result["pearson_r"] > 0.9
    assert result["spatial_r"] is None
    assert result["spatial_r_ci95"] is None

    noise = random.normal(0, 1e-4, len(rows))  # what a float32 network adds
    assert evaluate(rows.assign(predicted=rows["predicted"] + noise))["spatial_r"] is None


def test_knowing_only_the_station_has_no_temporal_skill() -> None:
    rows = city(missing=0)
    result = evaluate(rows.assign(predicted=rows.groupby("site_id")["observed"].transform("mean")))
    assert result["temporal_r"] is None
    assert result["temporal_r_ci95"] is None
    assert result["spatial_r"] > 0.99
    assert result["pearson_r"] < 0.5


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 1000),
    st.lists(st.floats(-1e4, 1e4, allow_nan=False), min_size=40, max_size=40),
)
def test_spatial_scores_do_not_see_what_is_added_to_a_whole_day(seed: int, constants: list[float]) -> None:
    rows = city(seed=seed)
    day = (rows["local_date"] - rows["local_date"].min()).dt.days
    shifted = rows.assign(predicted=rows["predicted"] + np.array(constants)[day])
    before, after = evaluate(rows, draws=20), evaluate(shifted, draws=20)
    for key in ("spatial_r", "spatial_rmse", "spatial_r_ci95"):
        assert after[key] == pytest.approx(before[key], abs=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(0.1, 10), st.floats(-100, 100))
def test_correlations_do_not_see_scale_and_offset_and_bias_does(seed: int, scale: float, offset: float) -> None:
    rows = city(seed=seed)
    moved = rows.assign(predicted=scale * rows["predicted"] + offset)
    before, after = evaluate(rows, draws=2), evaluate(moved, draws=2)
    for key in ("pearson_r", "spearman_r", "spatial_r", "spatial_r_paper", "temporal_r"):
        assert after[key] == pytest.approx(before[key], abs=1e-9)
    mean = rows["predicted"].mean()
    assert after["mean_bias"] - before["mean_bias"] == pytest.approx((scale - 1) * mean + offset, abs=1e-8)


def test_row_order_changes_nothing() -> None:
    rows = city()
    before, after = evaluate(rows), evaluate(rows.sample(frac=1, random_state=1))
    for key, value in before.items():
        assert after[key] == pytest.approx(value, rel=1e-9), key


def test_seed_and_draws_are_obeyed() -> None:
    rows = city()
    assert evaluate(rows, draws=50, seed=1) == evaluate(rows, draws=50, seed=1)
    assert evaluate(rows, draws=50, seed=1)["rmse_ci95"] != evaluate(rows, draws=50, seed=2)["rmse_ci95"]


def test_rows_without_a_prediction_are_counted_and_left_out() -> None:
    rows = city()
    holes = rows.copy()
    holes.loc[rows.index[::7], "predicted"] = np.nan
    kept = rows.drop(rows.index[::7])
    result = evaluate(holes, draws=20)
    assert result.pop("n_samples_without_prediction") == len(rows) - len(kept)
    expected = evaluate(kept, draws=20)
    assert expected.pop("n_samples_without_prediction") == 0
    assert result == expected

    unlabelled = rows.assign(observed=rows["observed"].mask(rows["site_id"] == "site0"))
    result = evaluate(unlabelled, draws=20)
    assert result == evaluate(rows[rows["site_id"] != "site0"], draws=20)


@pytest.mark.parametrize("stations", [0, 1, 2, 3])
def test_too_few_stations_give_none_and_never_nan(stations: int) -> None:
    rows = city(stations=3, missing=0)
    result = evaluate(rows[rows["site_id"].isin([f"site{n}" for n in range(stations)])])
    json.dumps(result, allow_nan=False)
    assert result["n_stations"] == stations
    for key in (*SPATIAL, *PERIOD):
        assert (result[key] is None) == (stations < 3)
    for key in POOLED:
        assert (result[key] is None) == (stations == 0)
        assert (result[f"{key}_ci95"] is None) == (stations == 0)
    assert (result["temporal_r"] is None) == (stations == 0)
    assert (result["temporal_r_ci95"] is None) == (stations == 0)


def test_short_stations_are_left_out_of_the_temporal_median() -> None:
    rows = city(stations=3, days=MIN_DAYS, missing=0).drop_duplicates(["site_id", "local_date"])
    assert evaluate(rows)["temporal_r"] is not None
    assert evaluate(rows[rows["local_date"] > rows["local_date"].min()])["temporal_r"] is None


def test_no_spread_or_no_level_gives_none() -> None:
    rows = city()
    flat = evaluate(rows.assign(predicted=80.0))
    for key in ("pearson_r", "spearman_r", "spatial_r", "spatial_r_paper", "period_r_month", "temporal_r"):
        assert flat[key] is None
        assert flat[f"{key}_ci95"] is None
    assert flat["r2"] < 0
    constant = evaluate(rows.assign(observed=0.0))
    assert constant["r2"] is None
    assert constant["nrmse"] is None
    assert constant["rmse"] > 0


def test_a_missing_column_is_named() -> None:
    with pytest.raises(InputError, match="column 'observed' is missing"):
        evaluate(city().drop(columns="observed"))
