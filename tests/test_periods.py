"""Statistics of months and seasons against a slow loop and against what must come out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from model_utils.evaluation.paired import paired_differences
from model_utils.evaluation.periods import MIN_DAYS_OF_PERIOD, months, seasons
from model_utils.evaluation.scores import PERIOD
from model_utils.evaluation.spatial import MIN_STATIONS
from model_utils.evaluation.statistics import evaluate


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
            pairs += kept
    r = np.corrcoef(np.array(pairs).T)[0, 1] if pairs else None
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
