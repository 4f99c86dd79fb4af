"""How often intervals hold the truth, in simulated worlds, beside the simpler way that each of ours replaced.

A world is a table of readings and predictions made of station effects, day effects and noise, so that the truth is
known. Every line is a setting: what ours and the rival do, in % of the worlds, with the binomial standard error. Lines
of `spatial_r` pool correlations of 0 and .8 between the station effects, each with normal and with skewed (exponential)
effects; the lowest and the highest of these four are in brackets, and each has `--worlds` worlds. Intervals are of
1,000 resamples. Every line has its own fixed seed. It takes some 5 minutes of one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.signal import lfilter
from sklearn.linear_model import Ridge

from model_utils.estimators.refitting import DATE_GROUPS, predict_other_dates
from model_utils.evaluation.bootstrap import percentile_interval
from model_utils.evaluation.correlation import pearson
from model_utils.evaluation.paired import Replicates, difference, replicates, summary
from model_utils.evaluation.scores import draw_scores
from model_utils.evaluation.spatial import station_anomalies

DRAWS = 1000
STATIONS, DAYS = 27, 60
SPREAD = 15.0  # of effects and of noise, ug/m3
AUTOCORRELATION = 0.65  # of lasting errors, from a day to the next
TRAINING_STATIONS, TEST_STATIONS, FEATURES = 8, 6, 20

FitPredict = Callable[[NDArray[np.bool_]], NDArray[np.float64]]
"""Fits on the rows of a mask and predicts every row, ug/m3."""

Outcome = Callable[[np.random.Generator], tuple[bool, bool]]
"""Draws a world and says what our interval does there, and what the rival's does."""


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=800, help="of every setting")
    flags = parser.parse_args()
    effects = list(product((0.0, 0.8), (False, True)))
    sizes = (10, 15, STATIONS)
    tables: dict[tuple[str, str], dict[str, Sequence[Outcome]]] = {
        ("interval of spatial_r holds the truth (95 %)", "plain percentiles"): {
            f"{stations} stations, {DAYS} days": [partial(spatial, stations, *of) for of in effects]
            for stations in sizes
        },
        ("the same, each station in its own season (95 %)", "anomalies taken once"): {
            f"{stations} stations, {DAYS // 2} of {DAYS} days": [partial(seasonal, stations, *of) for of in effects]
            for stations in sizes
        },
        ("p < .05 for the RMSE of equally good methods (5 %)", "stations alone"): {
            f"{STATIONS} stations, {DAYS} days, {shared}": [partial(paired, shared)]
            for shared in ("errors by day", "errors by station", "errors by row", "errors by day, lasting")
        },
        ("interval of temporal_r holds 0 without skill (95 %)", "cross-validation"): {
            f"{TRAINING_STATIONS} + {TEST_STATIONS} stations, {days} days": [partial(temporal, days)]
            for days in (60, 120)
        },
    }
    number = 0
    for (claim, rival), lines in tables.items():
        print(f"{claim:53}{'worlds':>6}  {'ours':24}{rival}")
        for setting, outcomes in lines.items():
            number += 1
            random = np.random.default_rng(number)
            found = np.array([[outcome(random) for _ in range(flags.worlds)] for outcome in outcomes])
            ours, theirs = (share(found[:, :, column]) for column in (0, 1))
            print(f"  {setting:51}{found[:, :, 0].size:6}  {ours:24}{theirs}", flush=True)


def share(found: NDArray[np.bool_]) -> str:
    """Share of the worlds and its standard error, %; the lowest and highest of several settings (first axis)."""
    p = found.mean()
    text = f"{100 * p:4.1f} +- {100 * np.sqrt(p * (1 - p) / found.size):.1f}"
    each = 100 * found.mean(axis=1)
    return text if len(each) == 1 else f"{text} ({each.min():.0f}..{each.max():.0f})"


def spatial(stations: int, r: float, skewed: bool, random: np.random.Generator) -> tuple[bool, bool]:
    """Of every station on every day; the rival is the plain percentile interval."""
    scored, _, truth = spatial_world(stations, r, skewed, DAYS, random)
    plain = np.nanpercentile(scored.values["spatial_r"][0, 1:], [2.5, 97.5])
    return holds(summary(scored)["spatial_r_ci95"], truth), holds(plain, truth)


def seasonal(stations: int, r: float, skewed: bool, random: np.random.Generator) -> tuple[bool, bool]:
    """Each station reads half of the days in a row; the rival resamples anomalies of the data's own day means."""
    scored, grids, truth = spatial_world(stations, r, skewed, DAYS // 2, random)
    observed, predicted = (station_anomalies(grid, np.ones((1, stations)))[0] for grid in grids)
    once = pearson(observed, predicted, scored.resamples.stations[1:])
    return holds(summary(scored)["spatial_r_ci95"], truth), holds(percentile_interval(once, stations), truth)


def spatial_world(
    stations: int, r: float, skewed: bool, season: int, random: np.random.Generator
) -> tuple[Replicates, NDArray[np.float64], float]:
    """Scores of station effects that correlate by r, the table behind them, and the `spatial_r` of infinitely many.

    The noise of a station's mean over its days is part of its anomaly, so that truth lies a little below r.
    """
    own, other = random.exponential(size=(2, stations)) - 1 if skewed else random.normal(size=(2, stations))
    places = SPREAD * np.array([own, r * own + np.sqrt(1 - r**2) * other])
    grids = haze(2, random)[:, None] + places[:, :, None] + random.normal(0, SPREAD, (2, stations, DAYS))
    first = random.integers(DAYS, size=(stations, 1))
    grids[:, (np.arange(DAYS) - first) % DAYS >= season] = np.nan
    scored = scores(grids[0], grids[1], "spatial_r", int(random.integers(2**32)))
    return scored, grids, r / (1 + 1 / season)


def paired(shared: str, random: np.random.Generator) -> tuple[bool, bool]:
    """Two methods whose errors have one distribution; the rival resamples stations only."""
    observed, seed = np.tile(haze(1, random), (STATIONS, 1)), int(random.integers(2**32))

    def method() -> Replicates:
        innovations = random.normal(0, SPREAD * np.sqrt(1 - AUTOCORRELATION**2), 3 * DAYS)
        common = {
            "errors by day": random.normal(0, SPREAD, DAYS),
            "errors by station": random.normal(0, SPREAD, (STATIONS, 1)),
            "errors by row": 0.0,
            "errors by day, lasting": lfilter([1], [1, -AUTOCORRELATION], innovations)[-DAYS:],
        }[shared]
        error = common + random.normal(0, SPREAD, observed.shape)
        return scores(observed, observed + error, "rmse", seed)

    def over_stations(scored: Replicates) -> Replicates:
        resamples = replace(scored.resamples, days=np.ones_like(scored.resamples.days))
        values = {"rmse": draw_scores(scored.runs[0], resamples, ["rmse"])["rmse"][np.newaxis]}
        return replace(scored, resamples=resamples, values=values)

    a, b = method(), method()
    rival = difference(over_stations(a), over_stations(b))
    return difference(a, b)["rmse_p"] < 0.05, rival["rmse_p"] < 0.05


def temporal(days: int, random: np.random.Generator) -> tuple[bool, bool]:
    """Ridge regression on features that name the date and say nothing of its readings."""
    stations = TRAINING_STATIONS + TEST_STATIONS
    station, day = np.divmod(np.arange(stations * days), days)
    features = random.normal(size=(days, FEATURES))[day] + 0.3 * random.normal(size=(len(day), FEATURES))
    pm25 = random.normal(100, 40, days)[day] + random.normal(0, 10, len(day))
    training, seed = station < TRAINING_STATIONS, int(random.integers(2**32))
    samples = pd.DataFrame({"local_date": day, "pm25": pm25})

    def ridge(rows: NDArray[np.bool_]) -> NDArray[np.float64]:
        return np.asarray(Ridge(FEATURES).fit(features[rows], pm25[rows]).predict(features))

    def held(predicted: NDArray[np.float64]) -> bool:
        observed, shown = (values.reshape(stations, days)[TRAINING_STATIONS:] for values in (pm25, predicted))
        return holds(summary(scores(observed, shown, "temporal_r", seed))["temporal_r_ci95"], 0)

    once = predict_other_dates(ridge, samples, training, seed=seed)
    return held(once), held(cross_validated(ridge, day, training, pm25, random.permutation(days) % DATE_GROUPS))


def cross_validated(
    fit_predict: FitPredict,
    day: NDArray[np.int64],
    training: NDArray[np.bool_],
    pm25: NDArray[np.float64],
    group: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Each group of days by a fit on all others, so that each pair of days is used twice."""
    predicted = np.empty(len(day))
    for number in range(DATE_GROUPS):
        shown = group[day] == number
        others = training & ~shown
        predicted[shown] = fit_predict(others)[shown] + pm25[training].mean() - pm25[others].mean()
    return predicted


def haze(count: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Levels of the days, ug/m3, count x days."""
    return random.gamma(4, 25, (count, DAYS))


def scores(observed: NDArray[np.float64], predicted: NDArray[np.float64], key: str, seed: int) -> Replicates:
    """Scores stations x days, NaN where there is no reading."""
    station, day = np.nonzero(np.isfinite(observed))
    values = {"observed": observed[station, day], "predicted": predicted[station, day]}
    return replicates([pd.DataFrame({"site_id": station, "local_date": day, **values})], [key], DRAWS, seed)


def holds(interval: Sequence[float] | NDArray[np.float64] | None, truth: float) -> bool:
    """Whether there is an interval and the truth lies in it."""
    return interval is not None and bool(interval[0] <= truth <= interval[1])


if __name__ == "__main__":
    main()
