"""The designs of a comparison: who trains, who is known, who is predicted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_utils.cities import load_city
from model_utils.comparison.config import CompareConfig
from model_utils.errors import InputError
from model_utils.geography import great_circle_km
from model_utils.project import SHIPPED_ROOT
from model_utils.sampling.designs import held_out_stations, make_runs
from model_utils.sampling.splits import station_table


def labelled(stations: int = 12, days: int = 10, seed: int = 0) -> pd.DataFrame:
    """Readings with gaps at places in a box of some 20 km."""
    random = np.random.default_rng(seed)
    site, day = np.nonzero(random.random((stations, days)) < 0.8)
    latitude, longitude = 28.5 + 0.2 * random.random(stations), 77.1 + 0.2 * random.random(stations)
    names = np.array([f"site{number:02d}" for number in range(stations)])
    return pd.DataFrame(
        {
            "site_id": names[site],
            "site_name": names[site],
            "latitude": latitude[site],
            "longitude": longitude[site],
            "local_date": pd.Timestamp("2019-01-01") + pd.to_timedelta(day, "D"),
            "pm25": random.gamma(4, 25, len(site)),
        }
    ).sample(frac=1, random_state=seed, ignore_index=True)


def config(**values) -> CompareConfig:
    return CompareConfig(**{"city": "Delhi", "label_counts": (1, 3, 8), "draws": 3, "folds": 4, **values})


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), buffer_km=st.floats(0, 6))
def test_no_station_trains_and_tests_and_folds_predict_each_row_once(seed, buffer_km):
    samples = labelled(seed=seed)
    held = sorted(samples["site_id"].unique())[:4]
    for run in make_runs(samples, held, config(buffer_km=buffer_km)):
        tested = np.zeros(len(samples), dtype=int)
        for fold in run.folds:
            assert not set(samples["site_id"][fold.training]) & set(samples["site_id"][fold.test])
            assert not set(samples["site_id"][fold.known]) & set(samples["site_id"][fold.test])
            assert not (fold.training & ~fold.known).any()
            tested += fold.test
            assert samples.loc[fold.training, "site_id"].nunique() >= run.stations
        assert tested.max() == 1
        assert np.array_equal(tested > 0, run.test)


def test_each_design_is_what_it_says():
    samples = labelled()
    held = sorted(samples["site_id"].unique())[:4]
    runs = make_runs(samples, held, config(buffer_km=3.0, temporal_share=0.3))
    of = {design: [run for run in runs if run.design == design] for design in {run.design for run in runs}}
    site, date = samples["site_id"], samples["local_date"]

    (run,) = of["hold_out"]
    assert set(site[run.test]) == set(held)
    assert run.stations == 8
    assert np.array_equal(run.folds[0].training, ~site.isin(held))

    counts = [(run.stations, run.draw) for run in of["label_efficiency"]]
    assert counts == [(1, 0), (1, 1), (1, 2), (3, 0), (3, 1), (3, 2), (8, 0)]  # 8 is all
    assert len({run.sha256 for run in of["label_efficiency"]}) > 3
    assert all(np.array_equal(each.test, run.test) for each in of["label_efficiency"])

    (run,) = of["folds"]
    assert len(run.folds) == 4
    assert run.test.all()

    (run,) = of["temporal"]
    (fold,) = run.folds
    last = sorted(date.unique())[-3:]
    assert set(date[fold.test]) <= set(last)
    assert not set(date[fold.training]) & set(last)
    assert set(site[fold.test]) <= set(held)
    assert np.array_equal(fold.known, ~site.isin(held))  # readings of the day are there on the day

    (run,) = of["leave_one_out"]
    places = station_table(samples).set_index("site_id")
    for fold in run.folds:
        (left_out,) = set(site[fold.test])
        here = places.loc[left_out]
        distance = great_circle_km(places["latitude"], places["longitude"], here["latitude"], here["longitude"])
        assert set(site[fold.training]) == set(places.index[distance > 3.0])


def test_masks_follow_the_rows():
    samples = labelled()
    held = sorted(samples["site_id"].unique())[:4]
    order = np.random.default_rng(1).permutation(len(samples))
    moved = samples.iloc[order].reset_index(drop=True)
    for run, other in zip(make_runs(samples, held, config()), make_runs(moved, held, config()), strict=True):
        for fold, same in zip(run.folds, other.folds, strict=True):
            assert np.array_equal(fold.training[order], same.training)
            assert np.array_equal(fold.test[order], same.test)


def test_a_city_without_a_list_holds_out_a_third():
    samples = labelled()
    held, words = held_out_stations(station_table(samples), load_city("Delhi", SHIPPED_ROOT))
    assert len(held) == 4
    assert "random third" in words
    assert held == held_out_stations(station_table(samples), load_city("Delhi", SHIPPED_ROOT))[0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"designs": ("folds",), "folds": 13}, "--folds: found 13"),
        ({"designs": ("leave_one_out",), "buffer_km": 500.0}, "--buffer_km: found 500"),
    ],
)
def test_designs_that_do_not_fit_are_refused(values, message):
    samples = labelled()
    with pytest.raises(InputError, match=message):
        make_runs(samples, sorted(samples["site_id"].unique())[:4], config(**values))
