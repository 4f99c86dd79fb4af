"""Coverage and width of intervals, counted by hand."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from model_utils.evaluation.coverage import LEVELS, SEASONS, coverage, coverage_table


def predictions(stations: int = 9, days: int = 60, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    station, day = np.nonzero(random.random((stations, days)) < 0.7)
    predicted = random.uniform(20, 300, len(day))
    width = random.uniform(5, 60, len(day))
    return pd.DataFrame(
        {
            "site_id": [f"s{number}" for number in station],
            "local_date": pd.Timestamp("2019-01-01") + pd.to_timedelta(6 * day, "D"),
            "observed": predicted + random.normal(0, 20, len(day)) + random.normal(0, 10, stations)[station],
            "predicted": predicted,
            "lower": predicted - width,
            "upper": predicted + width,
        }
    )


def holes(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows without an interval, and one without a reading, that must count nowhere."""
    extra = rows.iloc[:3].assign(
        lower=[np.nan, 0, 0], upper=[1e9, np.nan, 1e9], observed=[1.0, 1.0, np.nan], site_id="nowhere"
    )
    return pd.concat([extra, rows]).sample(frac=1, random_state=1)


def test_coverage_is_the_share_of_readings_inside() -> None:
    rows = predictions()
    result = coverage(holes(rows), 0.9, draws=200)
    inside = [row.lower <= row.observed <= row.upper for row in rows.itertuples()]
    assert result["coverage"] == pytest.approx(np.mean(inside))
    assert result["mean_width"] == pytest.approx(np.mean(rows["upper"] - rows["lower"]))
    assert result["n"] == len(rows)
    assert result["interval_level"] == 0.9
    assert json.loads(json.dumps(result)) == result


def test_the_interval_of_coverage_resamples_stations() -> None:
    """Stations that are always or never inside: coverage is as sure as a share of 12 stations, however many rows."""
    rows = predictions(stations=12)
    inside = rows["site_id"].isin([f"s{number}" for number in range(9)])
    rows = rows.assign(observed=rows["predicted"].where(inside, 1e4))
    low, high = coverage(rows, 0.9)["coverage_ci95"]
    error = np.sqrt(0.75 * 0.25 / 12)
    assert 0.75 - 2.9 * error < low < 0.75 - 1.4 * error
    assert 0.75 + 1.4 * error < high <= 1


def test_nothing_to_cover_is_none() -> None:
    rows = predictions().assign(lower=np.nan)
    expected = {"interval_level": 0.8, "coverage": None, "coverage_ci95": None, "mean_width": None, "n": 0}
    assert coverage(rows, 0.8) == expected
    assert list(coverage_table(rows).columns) == ["kind", "group", "coverage", "width", "samples"]
    assert coverage_table(rows).empty
    one = predictions(stations=1)
    assert coverage(one, 0.8)["coverage"] is not None
    assert coverage(one, 0.8)["coverage_ci95"] is None


def test_the_table_counts_each_reading_once_a_kind() -> None:
    rows = predictions()
    table = coverage_table(holes(rows))
    low, high = np.quantile(rows["predicted"], [1 / 3, 2 / 3])
    seasons = {12: "DJF", 1: "DJF", 2: "DJF", 3: "MAM", 4: "MAM", 5: "MAM", 6: "JJA", 7: "JJA", 8: "JJA"}
    groups = {
        "station": list(rows["site_id"]),
        "season": [seasons.get(date.month, "SON") for date in rows["local_date"]],
        "level": ["low" if value <= low else "middle" if value <= high else "high" for value in rows["predicted"]],
    }
    for kind, names in groups.items():
        found = table[table["kind"] == kind].set_index("group")
        assert found["samples"].sum() == len(rows)
        assert set(found.index) == set(names)
        for name in set(names):
            own = rows[np.array(names) == name]
            inside = (own["lower"] <= own["observed"]) & (own["observed"] <= own["upper"])
            width = (own["upper"] - own["lower"]).mean()
            assert found.loc[name].drop("kind").to_list() == pytest.approx([inside.mean(), width, len(own)])
    assert tuple(table.loc[table["kind"] == "season", "group"]) == SEASONS
    assert tuple(table.loc[table["kind"] == "level", "group"]) == LEVELS


def test_thirds_of_readings_would_blame_good_intervals() -> None:
    """Exact 90 % intervals: covered alike at every predicted level, and too rarely among the highest readings."""
    random = np.random.default_rng(0)
    predicted = random.normal(100, 20, 30_000)
    rows = pd.DataFrame(
        {
            "site_id": "s",
            "local_date": pd.Timestamp("2019-01-01"),
            "observed": predicted + random.normal(0, 20, len(predicted)),
            "predicted": predicted,
            "lower": predicted - 1.645 * 20,
            "upper": predicted + 1.645 * 20,
        }
    )
    levels = coverage_table(rows).query("kind == 'level'")["coverage"]
    np.testing.assert_allclose(levels, 0.9, atol=0.01)
    assert coverage(rows[rows["observed"] > rows["observed"].quantile(2 / 3)], 0.9)["coverage"] < 0.87


def test_equal_predictions_are_one_level() -> None:
    table = coverage_table(predictions().assign(predicted=50.0))
    assert len(table[table["kind"] == "level"]) == 1
