"""Runs and pairs of runs against slow loops, and what is known of p-values."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics

from model_utils.errors import InputError
from model_utils.evaluation.bootstrap import percentile_interval, two_sided_p
from model_utils.evaluation.paired import Replicates, difference, holm, paired_differences, replicates, summary
from model_utils.evaluation.scores import KEYS
from model_utils.evaluation.statistics import evaluate

FAST = [key for key in KEYS if key != "spearman_r"]
Score = Callable[[pd.DataFrame], float]


def city(seed: int = 0, stations: int = 7, days: int = 25, missing: float = 0.2) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    station, day = np.nonzero(random.random((stations, days)) >= missing)
    truth = random.gamma(4, 25, days)[day] + random.normal(0, 15, stations)[station]
    return pd.DataFrame(
        {
            "site_id": [f"site{number}" for number in station],
            "local_date": pd.Timestamp("2019-01-01") + pd.to_timedelta(day, "D"),
            "observed": truth + random.normal(0, 15, len(truth)),
        }
    )


def runs_of(rows: pd.DataFrame, count: int, noise: float, seed: int = 0) -> list[pd.DataFrame]:
    random = np.random.default_rng([seed, 7])
    return [rows.assign(predicted=rows["observed"] + random.normal(0, noise, len(rows))) for _ in range(count)]


def summarise(runs: Sequence[pd.DataFrame], keys: Collection[str], draws: int = 1000, seed: int = 0) -> dict[str, Any]:
    return summary(replicates(runs, keys, draws, seed))


def rmse(rows: pd.DataFrame) -> float:
    return float(metrics.root_mean_squared_error(rows["observed"], rows["predicted"]))


def spatial_r(rows: pd.DataFrame) -> float:
    """Of the anomalies; days with fewer than three stations (copies count) are left out."""
    rows = rows.reset_index(drop=True)
    day = rows.groupby("local_date")
    mean, size = day[["observed", "predicted"]].transform("mean"), day["observed"].transform("size")
    anomaly = (rows[["observed", "predicted"]] - mean)[size >= 3]
    of_station = anomaly.groupby(rows["site_id"]).mean()
    return float(stats.pearsonr(of_station["observed"], of_station["predicted"]).statistic)


def temporal_r(rows: pd.DataFrame) -> float:
    each = [of_site for _, of_site in rows.groupby("site_id") if len(of_site) >= 10]
    return float(np.median([stats.pearsonr(of_site["observed"], of_site["predicted"]).statistic for of_site in each]))


def copies(rows: pd.DataFrame, unit: str, names: Sequence[object], counts: NDArray[np.int64]) -> pd.DataFrame:
    """Rows of a resample: a unit drawn twice becomes two units."""
    drawn = []
    for name, count in zip(names, counts, strict=True):
        for copy in range(count):
            of_unit = rows[rows[unit] == name].copy()
            of_unit[unit] = f"{name}-{copy}" if unit == "site_id" else of_unit[unit] + pd.Timedelta(copy, "s")
            drawn.append(of_unit)
    return pd.concat(drawn)


def slow_replicates(methods: Sequence[list[pd.DataFrame]], score: Score, draws: int, seed: int) -> NDArray[np.float64]:
    """Mean over resampled runs of what the first method (less the second) scores on resampled stations and days."""
    random = np.random.default_rng(seed)
    sites, dates = (sorted(methods[0][0][name].unique()) for name in ("site_id", "local_date"))
    station_counts = random.multinomial(len(sites), np.full(len(sites), 1 / len(sites)), size=draws)
    day_counts = random.multinomial(len(dates), np.full(len(dates), 1 / len(dates)), size=draws)
    of_station, of_day = ("site_id", sites, station_counts), ("local_date", dates, day_counts)
    factors = {spatial_r: [of_station], temporal_r: [of_day], rmse: [of_station, of_day]}[score]
    runs = len(methods[0])
    run_counts = np.random.default_rng([seed, runs]).multinomial(runs, np.full(runs, 1 / runs), size=draws)
    result = np.zeros(draws)
    for draw in range(draws):
        for sign, method in zip((1, -1), methods, strict=False):
            for unit, names, counts in factors:
                method = [copies(run, unit, names, counts[draw]) for run in method]
            scores = [score(run) for run in method]
            result[draw] += sign * np.average(scores, weights=run_counts[draw])
    return result


def expanded(replicated: NDArray[np.float64], units: int) -> list[float]:
    tail = stats.norm.cdf(-np.sqrt(units / (units - 1)) * stats.t.ppf(0.975, units - 1))
    return list(np.quantile(replicated, [tail, 1 - tail]))


def test_a_single_run_scores_as_evaluate_does() -> None:
    rows = runs_of(city(), 1, 20)[0].assign(predicted_level=city()["local_date"].dt.day * 2.0)
    single, expected = summarise([rows], KEYS, draws=60, seed=3), evaluate(rows, draws=60, seed=3)
    for key in KEYS:
        assert single[key] == pytest.approx(expected[key], rel=1e-12), key
        assert single[f"{key}_ci95"] == pytest.approx(expected[f"{key}_ci95"], rel=1e-12), key
        assert single[f"{key}_undefined_runs"] == 0
    assert single["n_runs"] == 1
    for count in ("n_stations", "n_days", "n_samples"):
        assert single[count] == expected[count]


@pytest.mark.parametrize("score", [rmse, spatial_r, temporal_r])
def test_means_and_intervals_equal_explicit_resampling(score: Score) -> None:
    key, draws, seed = score.__name__, 25, 4
    rows = city(missing=0.1)
    a, b = runs_of(rows, 3, 15), runs_of(rows, 3, 40, seed=1)
    units = rows["local_date" if score is temporal_r else "site_id"].nunique()
    one = summarise(a, [key], draws, seed)
    assert one[key] == pytest.approx(np.mean([score(run) for run in a]))
    assert one[f"{key}_ci95"] == pytest.approx(expanded(slow_replicates([a], score, draws, seed), units))
    pair = paired_differences(a, b, [key], draws, seed)
    slow = slow_replicates([a, b], score, draws, seed)
    assert pair[key] == pytest.approx(np.mean([score(x) - score(y) for x, y in zip(a, b, strict=True)]))
    assert pair[f"{key}_ci95"] == pytest.approx(expanded(slow, units))
    tail = (1 + min((slow <= 0).sum(), (slow >= 0).sum())) / (draws + 1)
    p = 2 * stats.t.cdf(np.sqrt((units - 1) / units) * stats.norm.ppf(tail), units - 1)
    if not min((slow <= 0).sum(), (slow >= 0).sum()):
        error = slow.std() * np.sqrt(units / (units - 1))
        p = min(p, 2 * stats.t.cdf(-abs(slow.mean()) / error, units - 1))
    assert pair[f"{key}_p"] == pytest.approx(p)


def test_pairing_is_sharper_than_two_intervals() -> None:
    """Two methods that err alike: their difference is known far better than either."""
    rows = city(stations=15)
    random = np.random.default_rng(0)
    shared = rows["observed"] + random.normal(0, 30, len(rows)) + rows["site_id"].factorize()[0] * 4
    a = [rows.assign(predicted=shared)]
    b = [rows.assign(predicted=shared + random.normal(0, 8, len(rows)))]
    alone, pair = summarise(a, ["rmse"]), paired_differences(a, b, ["rmse"])
    widths = [np.ptp(result["rmse_ci95"]) for result in (alone, pair)]
    assert widths[1] < 0.3 * widths[0]


def test_differences_are_antisymmetric_and_a_method_equals_itself() -> None:
    rows = city(stations=10)
    a, b = runs_of(rows, 4, 10), runs_of(rows, 4, 60, seed=1)
    there, back = paired_differences(a, b, FAST, 300), paired_differences(b, a, FAST, 300)
    for key in FAST:
        assert there[key] == pytest.approx(-back[key])
        assert there[f"{key}_ci95"] == pytest.approx([-high for high in back[f"{key}_ci95"]][::-1])
        assert there[f"{key}_p"] == back[f"{key}_p"]
    assert there["rmse"] < 0
    assert there["rmse_p"] < 0.05
    same = paired_differences(a, a, FAST, 300)
    assert {same[key] for key in FAST} == {0.0}
    assert {same[f"{key}_p"] for key in FAST} == {1.0}


def test_rows_without_a_prediction_are_left_out_of_both() -> None:
    rows = city()
    a, b = runs_of(rows, 2, 10), runs_of(rows, 2, 30, seed=1)
    a[0].loc[::5, "predicted"] = np.nan
    b[1].loc[b[1]["site_id"] == "site3", "predicted"] = np.nan
    holes = [run["predicted"].isna() for run in (a[0], b[1])]
    whole = [[run[~hole] for run, hole in zip(method, holes, strict=True)] for method in (a, b)]
    result = paired_differences(a, b, FAST, 50)
    assert result == paired_differences(*whole, FAST, 50)
    assert result["n_samples"] == int(np.median([(~hole).sum() for hole in holes]))
    of_replicates = difference(replicates(a, FAST, 50), replicates(b, FAST, 50))
    assert of_replicates == result


def test_row_order_changes_nothing() -> None:
    a, b = runs_of(city(), 2, 10), runs_of(city(), 2, 30, seed=1)
    order = np.random.default_rng(0).permutation(len(a[0]))
    moved = [[run.iloc[order] for run in method] for method in (a, b)]
    before, after = paired_differences(a, b, FAST, 50), paired_differences(*moved, FAST, 50)
    for key, value in before.items():
        assert after[key] == pytest.approx(value, rel=1e-9), key


def test_temporal_r_is_that_of_predictions_of_other_dates() -> None:
    rows = runs_of(city(), 1, 10)[0]
    random = np.random.default_rng(0)
    other = (rows["observed"] + random.normal(0, 80, len(rows))).mask(rows["site_id"] == "site0")
    result = summarise([rows.assign(predicted_other_dates=other)], ["temporal_r", "rmse"])
    expected = evaluate(rows.assign(predicted=other))
    assert result["temporal_r"] == pytest.approx(expected["temporal_r"])
    assert result["rmse"] == pytest.approx(evaluate(rows)["rmse"])
    without = summarise([rows.assign(predicted_other_dates=np.nan)], ["temporal_r"])
    assert without["temporal_r"] == pytest.approx(evaluate(rows)["temporal_r"])
    assert without["temporal_r"] > result["temporal_r"] + 0.1


def test_runs_without_a_score_are_left_out_and_counted() -> None:
    rows = city()
    runs = [*runs_of(rows, 2, 10), rows.assign(predicted=90.0), rows.assign(predicted=np.nan)]
    result = summarise(runs, ["spatial_r", "rmse", "temporal_r"], 100)
    json.dumps(result, allow_nan=False)
    assert result["spatial_r"] == pytest.approx(np.mean([evaluate(run, 2)["spatial_r"] for run in runs[:2]]))
    assert (result["spatial_r_undefined_runs"], result["rmse_undefined_runs"]) == (2, 1)
    assert result["n_runs"] == 4
    pair = paired_differences(runs, runs_of(rows, 4, 30), ["spatial_r", "rmse"], 100)
    assert (pair["spatial_r_undefined_runs"], pair["rmse_undefined_runs"]) == (2, 1)


def test_what_never_exists_is_none() -> None:
    rows = city()
    flat, silent = [rows.assign(predicted=90.0)] * 2, [rows.assign(predicted=np.nan)] * 2
    for pair in (paired_differences(flat, runs_of(rows, 2, 10), ["spatial_r"], 20), summarise(flat, ["spatial_r"], 20)):
        assert (pair["spatial_r"], pair["spatial_r_ci95"], pair.get("spatial_r_p")) == (None, None, None)
    for result in (summarise(silent, FAST, 20), paired_differences(silent, flat, FAST, 20)):
        json.dumps(result, allow_nan=False)
        assert {result[key] for key in FAST} == {None}
        assert result["n_samples"] == 0


def test_runs_may_have_other_stations_and_single_rows_no_interval() -> None:
    rows = city(stations=8)
    runs = [run[run["site_id"] != f"site{number}"] for number, run in enumerate(runs_of(rows, 5, 15))]
    result = summarise(runs, FAST, 100)
    assert result["rmse"] == pytest.approx(np.mean([rmse(run) for run in runs]))
    assert result["spatial_r_ci95"] is not None
    alone = [run[run["site_id"] == "site0"] for run in runs_of(rows, 5, 15)]
    of_days = paired_differences(alone, alone, ["rmse", "spatial_r"], 20)
    assert (of_days["rmse"], of_days["rmse_ci95"], of_days["rmse_p"], of_days["spatial_r"]) == (0.0, [0, 0], 1.0, None)
    row = [run.iloc[:1] for run in alone]
    single = paired_differences(row, row, ["rmse", "spatial_r"], 20)
    assert (single["rmse"], single["rmse_ci95"], single["rmse_p"], single["spatial_r"]) == (0.0, None, None, None)


def test_errors_that_stations_share_on_a_day_are_no_difference_between_methods() -> None:
    """Two methods of one quality, each with its own haze; resampling stations alone tells nearly half of them apart."""
    truth, found, better, covered = 15 * np.sqrt(2), [], [], []
    random = np.random.default_rng(0)
    rows = city(stations=27, days=60)
    day = rows["local_date"].factorize()[0]

    def method(scale: float) -> Replicates:
        error = random.normal(0, scale, 60)[day] + random.normal(0, scale, len(rows))
        return replicates([rows.assign(predicted=rows["observed"] + error)], ["rmse"], 400)

    for _ in range(200):
        a, b, c = method(15), method(15), method(25)
        found.append(difference(a, b)["rmse_p"] < 0.05)
        better.append(difference(a, c)["rmse_p"] < 0.05)
        low, high = summary(a)["rmse_ci95"]
        covered.append(low <= truth <= high)
    assert np.mean(found) < 0.08
    assert 0.92 < np.mean(covered) < 0.995
    assert np.mean(better) > 0.9


def test_runs_of_other_rows_are_refused() -> None:
    a, b = runs_of(city(), 2, 10), runs_of(city(), 2, 30)
    with pytest.raises(InputError, match="found 2 and 1 runs"):
        paired_differences(a, b[:1], ["rmse"], 5)
    with pytest.raises(InputError, match="site_id differs in run 1"):
        paired_differences(a, [b[0], b[1].iloc[::-1]], ["rmse"], 5)
    with pytest.raises(InputError, match="observed differs in run 0"):
        paired_differences(a, [b[0].assign(observed=b[0]["observed"] + 1), b[1]], ["rmse"], 5)


def test_summary_and_difference_take_what_was_scored_once() -> None:
    a, b = runs_of(city(), 3, 10), runs_of(city(), 3, 30)
    scored = [replicates(runs, FAST, 40, 5) for runs in (a, b)]
    assert difference(*scored) == paired_differences(a, b, FAST, 40, 5)
    assert summary(scored[0]) == summarise(a, FAST, 40, 5)


@settings(max_examples=100, deadline=None)
@given(st.integers(2, 40), st.floats(-4, 4), st.integers(0, 10**6))
def test_p_lies_below_5_percent_where_the_interval_leaves_zero_out(units: int, mean: float, seed: int) -> None:
    replicated = np.random.default_rng(seed).normal(mean, 1, 2000)
    low, high = percentile_interval(replicated, units) or (np.nan, np.nan)
    p = two_sided_p(replicated, units)
    share = stats.norm.cdf(-np.sqrt(units / (units - 1)) * stats.t.ppf(0.975, units - 1))
    if min(abs((replicated < 0).mean() - tail) for tail in (share, 1 - share)) > 2 / 2000:  # the added one decides
        assert (p < 0.05) == (not low <= 0 <= high)


def test_p_is_uniform_without_a_difference() -> None:
    """Means of 12 units that differ by chance: 5 % of p-values lie below 5 %."""
    random = np.random.default_rng(0)
    weights = random.multinomial(12, np.full(12, 1 / 12), size=500) / 12
    p = np.array([two_sided_p(weights @ random.normal(0, 1, 12), 12) for _ in range(1500)])
    assert 0.035 < (p < 0.05).mean() < 0.065
    assert 0.17 < (p < 0.2).mean() < 0.23


def test_p_of_nothing_is_none() -> None:
    assert two_sided_p(np.full(10, np.nan), 5) is None
    assert two_sided_p(np.ones(10), 1) is None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=7))
def test_holm_is_the_closed_test_of_bonferroni(p_values: list[float]) -> None:
    """Marcus et al. 1976: a hypothesis falls where all sets of hypotheses that hold it fall."""
    numbers = range(len(p_values))
    sets = [chosen for size in range(1, len(p_values) + 1) for chosen in itertools.combinations(numbers, size)]
    expected = [
        max(min(1.0, len(chosen) * min(p_values[number] for number in chosen)) for chosen in sets if one in chosen)
        for one in numbers
    ]
    assert holm(p_values) == pytest.approx(expected)


def test_holm_passes_over_what_was_not_tested() -> None:
    adjusted = holm([0.04, None, 0.01, float("nan"), 0.03])
    assert adjusted[1] is None
    assert np.isnan(adjusted[3])
    assert [adjusted[number] for number in (0, 2, 4)] == pytest.approx([0.06, 0.03, 0.06])
    assert holm([]) == []
