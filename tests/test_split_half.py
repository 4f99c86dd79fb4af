"""Split halves against known variances, against a slow loop, and on real readings."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from model_utils.evaluation.split_half import reliability, split_half

REAL = Path(__file__).resolve().parents[2] / "shared" / "real"


def record(
    stations: int,
    days: int,
    persistent: float,
    noise: float,
    changing: float = 0.0,
    missing: float = 0.0,
    seed: int = 0,
) -> pd.DataFrame:
    """Station anomalies of known variance over a day signal; those that change have another value in each half."""
    random = np.random.default_rng(seed)
    halves = random.normal(0, changing, (stations, 2)) if changing else np.zeros((stations, 2))
    anomaly = random.normal(0, persistent, (stations, 1)) + halves[:, (2 * np.arange(days) >= days).astype(int)]
    values = 100 + random.normal(0, 50, days) + anomaly + random.normal(0, noise, (stations, days))
    station, day = np.nonzero(random.random((stations, days)) >= missing)
    return pd.DataFrame(
        {
            "site_id": [f"site{number:04d}" for number in station],
            "local_date": pd.Timestamp("2019-01-01") + pd.to_timedelta(day, "D"),
            "pm25": values[station, day],
        }
    )


def test_known_variances() -> None:
    """Half a record of d days: P / (P + 2 N / d); a whole one: P / (P + N / d); a perfect P reaches its root."""
    persistent, noise, days = 10.0, 30.0, 24
    result = split_half(record(3000, days, persistent, noise), draws=50)
    half = persistent**2 / (persistent**2 + 2 * noise**2 / days)
    whole = persistent**2 / (persistent**2 + noise**2 / days)
    assert result["split_half_r"] == pytest.approx(half, abs=0.03)
    assert result["split_half_r_random"] == pytest.approx(half, abs=0.03)
    assert result["reliability"] == pytest.approx(whole, abs=0.03)
    assert result["ceiling"] == pytest.approx(whole**0.5, abs=0.02)
    assert result["ceiling_random"] == pytest.approx(whole**0.5, abs=0.02)


def test_a_perfect_static_predictor_scores_the_ceiling() -> None:
    stations, days, persistent = 2000, 20, 10.0
    rows = record(stations, days, persistent, noise=40.0, seed=4)
    known = np.random.default_rng(4).normal(0, persistent, stations)  # the first draw of `record`
    mean = rows.groupby("site_id")["pm25"].mean()
    assert stats.pearsonr(mean, known).statistic == pytest.approx(split_half(rows, draws=2)["ceiling"], abs=0.02)


def test_what_changes_between_the_halves_does_not_persist() -> None:
    result = split_half(record(3000, 24, 10.0, 5.0, changing=10.0), draws=2)
    assert result["split_half_r"] == pytest.approx(10**2 / (2 * 10**2 + 2 * 5**2 / 24), abs=0.03)
    assert result["ceiling_random"] > 0.97 > 0.85 > result["ceiling"]


def test_equals_a_slow_loop_with_gaps() -> None:
    rows = record(6, 31, 10.0, 20.0, missing=0.5, seed=2)
    per_day = rows.groupby("local_date")["site_id"].transform("nunique")
    assert (per_day < 3).any(), "the case must hold days that are left out"
    kept = rows[per_day >= 3]
    dates = sorted(kept["local_date"].unique())
    anomalies = {}
    for name, half in (("first", dates[: len(dates) // 2]), ("second", dates[len(dates) // 2 :])):
        of_half = kept[kept["local_date"].isin(half)]
        day_mean = of_half.groupby("local_date")["pm25"].transform("mean")
        anomalies[name] = (of_half["pm25"] - day_mean).groupby(of_half["site_id"]).mean()
    both = pd.DataFrame(anomalies).dropna()
    expected = stats.pearsonr(both["first"], both["second"]).statistic
    result = split_half(rows, draws=200)
    assert result["split_half_r"] == pytest.approx(expected, rel=1e-9)
    low, high = result["split_half_r_ci95"]
    assert low < expected < high
    assert result["n_days"] == len(dates)
    shuffled = split_half(rows.sample(frac=1, random_state=0), draws=200)
    for key, value in result.items():
        assert shuffled[key] == pytest.approx(value), key


def test_no_repeating_anomaly_gives_an_interval_around_zero() -> None:
    covered = 0
    for seed in range(30):
        low, high = split_half(record(15, 20, 0.0, 20.0, seed=seed), draws=100)["split_half_r_ci95"]
        covered += low <= 0 <= high
    assert covered >= 25


def test_spearman_brown() -> None:
    assert reliability(0.5) == pytest.approx(2 / 3)
    assert reliability(1.0) == 1
    assert reliability(-0.3) == 0


@pytest.mark.parametrize("stations", [0, 1, 2])
def test_too_few_stations_give_none(stations: int) -> None:
    rows = record(5, 10, 10.0, 5.0)
    result = split_half(rows[rows["site_id"].isin([f"site{number:04d}" for number in range(stations)])], draws=20)
    json.dumps(result, allow_nan=False)
    assert result["ceiling"] is None
    assert result["split_half_r_random"] is None
    assert result["split_half_r_ci95"] is None


def test_one_date_gives_none() -> None:
    assert split_half(record(5, 1, 10.0, 5.0), draws=20)["ceiling"] is None


@pytest.mark.real
@pytest.mark.skipif(not REAL.is_dir(), reason="the real data are not here")
def test_real_delhi_repeats_as_it_does_in_later_years() -> None:
    """Three years correlate at .84 with later ones, so that is the reliability of such a record."""
    frames = []
    for file in sorted((REAL / "delhi_labels" / "stations").glob("*.csv")):
        table = pd.read_csv(file)
        pm25 = table[next(name for name in table if name.startswith("PM2.5"))]
        frames.append(
            pd.DataFrame({"site_id": file.stem, "local_date": table["Datetime"], "pm25": pm25.where(pm25 < 990)})
        )
    result = split_half(pd.concat(frames))
    assert result["n_stations"] == 37
    assert result["reliability"] == pytest.approx(0.84, abs=0.05)
    low, high = result["split_half_r_ci95"]
    assert low < 0.84 < high
    assert result["ceiling"] < result["ceiling_random"]
