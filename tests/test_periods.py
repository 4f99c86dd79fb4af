"""Statistics of months and seasons against a slow loop and against what must come out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from model_utils.evaluation.bootstrap import percentile_interval, resample
from model_utils.evaluation.correlation import NO_SPREAD
from model_utils.evaluation.paired import difference, paired_differences, replicates
from model_utils.evaluation.periods import MIN_DAYS_OF_PERIOD, months, seasons
from model_utils.evaluation.scores import PERIOD, draw_scores
from model_utils.evaluation.spatial import MIN_STATIONS
from model_utils.evaluation.statistics import evaluate
from model_utils.evaluation.words import LOWER_IS_BETTER, SCORES, number


def world(stations=8, days=70, step=5, seed=0, gaps=0.3):
    """Places and days with gaps, and predictions that know something of both."""
    random = np.random.default_rng(seed)
    site, day = (axis.ravel() for axis in np.meshgrid(np.arange(stations), np.arange(days)))
    place, level = random.normal(0, 15, stations), random.normal(100, 40, days)
    observed = level[day] + place[site] + random.normal(0, 8, len(site))
    predicted = level[day] + 0.6 * place[site] + random.normal(3, 8, len(site))
    dates = pd.Timestamp("2018-11-20") + pd.to_timedelta(step * day, "D")
    rows = pd.DataFrame({"site_id": [f"s{number}" for number in site], "local_date": dates})
    rows = rows.assign(observed=observed, predicted=predicted)
    return rows[random.random(len(rows)) > gaps].reset_index(drop=True)


def slow(rows, name):
    """One pair of station and period after the other."""
    rows = rows.groupby(["site_id", "local_date"], as_index=False).mean(numeric_only=True)
    winter = {12: "DJF", 1: "DJF", 2: "DJF", 3: "MAM", 4: "MAM", 5: "MAM", 6: "JJA", 7: "JJA", 8: "JJA"}

    def period(date):
        if name == "month":
            return (date.year, date.month)
        return (date.year + (date.month == 12), winter.get(date.month, "SON"))

    rows["period"] = [period(date) for date in rows["local_date"]]
    known = rows["predicted"] - rows.get("predicted_level", 0.0)
    anomalies = []
    for _, of_day in rows.groupby("local_date"):
        if len(of_day) >= MIN_STATIONS:
            x, y = of_day["observed"], known.loc[of_day.index]
            anomalies.append(of_day.assign(x=x - x.mean(), y=y - y.mean()))
    anomalies = pd.concat(anomalies)
    pairs, errors = [], []
    for which in dict.fromkeys(rows["period"]):
        means = []
        for _, group in rows[rows["period"] == which].groupby("site_id"):
            if len(group) >= MIN_DAYS_OF_PERIOD[name]:
                means.append(group["predicted"].mean() - group["observed"].mean())
        if len(means) < MIN_STATIONS:
            continue
        errors += means
        of_period = anomalies[anomalies["period"] == which].groupby("site_id")
        kept = [
            (group["x"].mean(), group["y"].mean()) for _, group in of_period if len(group) >= MIN_DAYS_OF_PERIOD[name]
        ]
        if len(kept) >= MIN_STATIONS:
            pairs += list(np.array(kept) - np.mean(kept, axis=0))
    spread = pairs and np.std(pairs, axis=0).min() > NO_SPREAD
    r = np.corrcoef(np.array(pairs).T)[0, 1] if spread else None
    return r, np.sqrt(np.mean(np.square(errors))) if errors else None


@pytest.mark.parametrize("name", ["month", "season"])
@pytest.mark.parametrize("seed", range(4))
def test_they_equal_a_slow_loop(name, seed):
    rows = world(seed=seed, gaps=(0.0, 0.3, 0.6, 0.75)[seed])
    if seed == 2:  # a station that reads twice on some days, and rounds with levels of their own
        rows = pd.concat([rows, rows.iloc[::7].assign(observed=90.0)], ignore_index=True)
        rows["predicted_level"] = np.where(rows["site_id"] < "s4", 95.0, 105.0)
    r, rmse = slow(rows, name)
    found = evaluate(rows, draws=200)
    assert found[f"period_r_{name}"] == pytest.approx(r, abs=1e-9)
    assert found[f"period_rmse_{name}"] == pytest.approx(rmse, rel=1e-9)
    for key in ("period_r", "period_rmse"):
        low, high = found[f"{key}_{name}_ci95"]
        assert low < found[f"{key}_{name}"] < high


@pytest.mark.parametrize("name", ["month", "season"])
def test_intervals_equal_explicit_resampling(name):
    """Copies of a drawn station become stations of their own; then all is computed anew, periods chosen anew too."""
    rows, draws = world(stations=5, days=30, step=8, gaps=0.4, seed=3), 60
    resamples = resample([rows], draws, seed=2)
    fast = draw_scores(rows, resamples, PERIOD)
    redrawn = []
    for counts in resamples.stations[1:].astype(int):
        drawn = [
            rows[rows["site_id"] == site].assign(site_id=f"{site}-{copy}")
            for site, count in zip(resamples.sites, counts, strict=True)
            for copy in range(count)
        ]
        redrawn.append(slow(pd.concat(drawn, ignore_index=True), name))
    found = evaluate(rows, draws, seed=2)
    for key, expected in zip(("period_r", "period_rmse"), np.array(redrawn, dtype=float).T, strict=True):
        np.testing.assert_allclose(fast[f"{key}_{name}"][1:], expected, rtol=1e-9)
        assert found[f"{key}_{name}_ci95"] == pytest.approx(percentile_interval(expected, 5))


def test_a_period_counts_in_a_resample_only_with_three_stations_there():
    """Of months that four, and that only three of eight stations read, most resamples hold the former alone."""
    rows = world(stations=8, days=60, step=1, gaps=0.0)
    month = rows["local_date"].dt.month
    rows = rows[(month == 12) | ((month == 1) & (rows["site_id"] < "s3"))]
    rows = rows.assign(predicted=rows["observed"] + np.where(rows["local_date"].dt.month == 12, 10.0, 50.0))
    resamples = resample([rows], 400, seed=0)
    found = draw_scores(rows, resamples, ["period_rmse_month"])["period_rmse_month"]
    few = resamples.stations[:, :3].sum(axis=1) < 3
    assert 0.3 < few.mean() < 0.7
    np.testing.assert_allclose(found[few], 10.0)
    assert (found[~few] > 20).all()


def test_what_a_predictor_adds_to_days_does_not_move_r_but_moves_rmse():
    rows = world(seed=1)
    added = 40 * np.sin(rows["local_date"].dt.day_of_year.to_numpy())
    before, after = (evaluate(of, draws=30) for of in (rows, rows.assign(predicted=rows["predicted"] + added)))
    for name in ("month", "season"):
        assert after[f"period_r_{name}"] == pytest.approx(before[f"period_r_{name}"])
        assert after[f"period_r_{name}_ci95"] == pytest.approx(before[f"period_r_{name}_ci95"])
        assert after[f"period_rmse_{name}"] > before[f"period_rmse_{name}"] + 1


def test_unequal_dates_fake_no_pattern():
    """Every station reads on other dates of the month; who knows days alone gets raw means right, and no pattern."""
    rows = world(stations=12, days=60, step=1, gaps=0.0, seed=2)
    day = (rows["local_date"] - rows["local_date"].min()).dt.days
    haze = 3.0 * day
    noise = np.random.default_rng(0).normal(0, 1, (2, len(rows)))
    rows = rows.assign(observed=haze + noise[0], predicted=haze + noise[1])
    rows = rows[(day - 5 * rows["site_id"].str[1:].astype(int)) % 60 < 30]
    raw = rows.groupby(["site_id", rows["local_date"].dt.to_period("M")])[["observed", "predicted"]].mean()
    within = raw - raw.groupby("local_date").transform("mean")
    assert np.corrcoef(within.to_numpy().T)[0, 1] > 0.99
    low, high = evaluate(rows)["period_r_month_ci95"]
    assert low < 0 < high


def test_intervals_are_about_other_places_and_not_about_other_periods():
    """Two equally good methods whose errors are shared by days: no claim of the pattern, too many of the means."""
    random = np.random.default_rng(0)
    rows = world(stations=27, days=60, step=1, gaps=0.0)
    day = rows["local_date"].factorize()[0]

    def method():
        error = random.normal(0, 15, 60)[day] + random.normal(0, 15, len(rows))
        return replicates([rows.assign(predicted=rows["observed"] + error)], PERIOD[:2], 200)

    found = [difference(method(), method()) for _ in range(60)]
    claimed = {key: np.mean([of[f"{key}_p"] < 0.05 for of in found]) for key in PERIOD[:2]}
    assert claimed["period_r_month"] < 0.15
    assert claimed["period_rmse_month"] > 0.25


def test_who_knows_places_is_right_and_who_knows_days_alone_is_not():
    rows = world(gaps=0.4)
    place, day = rows.groupby("site_id")["observed"], rows.groupby("local_date")["observed"]
    exact = rows.assign(observed=10.0 * rows["site_id"].str[1:].astype(int) + day.transform("mean"))
    knows_places = exact.assign(predicted=10.0 * exact["site_id"].str[1:].astype(int))
    found = evaluate(knows_places, draws=20)
    assert found["period_r_month"] == pytest.approx(1)
    assert found["period_rmse_month"] > 20  # it knows no level
    days_alone = evaluate(exact.assign(predicted=day.transform("mean")), draws=20)
    assert days_alone["period_r_month"] is None
    assert days_alone["period_r_season"] is None
    assert place.ngroups == 8


def test_a_december_belongs_to_the_next_winter():
    dates = pd.DatetimeIndex(["2018-11-30", "2018-12-01", "2019-01-15", "2019-02-28", "2019-03-01", "2019-12-01"])
    assert seasons(dates).tolist() == [0, 1, 1, 1, 2, 3]
    assert months(dates).tolist() == [0, 1, 2, 3, 4, 5]


def test_too_few_days_or_stations_have_no_score():
    rows = world(stations=2, gaps=0.0)
    assert all(evaluate(rows, draws=20)[key] is None for key in PERIOD)
    rare = world(step=50, gaps=0.0)  # two days a season at most
    assert all(evaluate(rare, draws=20)[key] is None for key in PERIOD)


def test_differences_are_paired():
    rows = world(gaps=0.2)
    better = rows.assign(predicted=0.5 * (rows["predicted"] + rows["observed"]))
    found = paired_differences([better], [rows], PERIOD, draws=200)
    for name in ("month", "season"):
        assert found[f"period_r_{name}"] > 0
        assert found[f"period_rmse_{name}"] < 0
        assert found[f"period_rmse_{name}_ci95"][1] < 0


def test_they_have_names_and_digits():
    assert set(PERIOD) <= set(SCORES)
    assert set(PERIOD) & LOWER_IS_BETTER == {"period_rmse_month", "period_rmse_season"}
    assert [number(key, 0.567) for key in PERIOD] == ["0.57", "0.6", "0.57", "0.6"]
