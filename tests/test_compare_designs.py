"""The designs of a comparison: who trains, who is known, who is predicted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_utils.cities import load_city
from model_utils.errors import InputError
from model_utils.geography import great_circle_km
from model_utils.project import SHIPPED_ROOT
from model_utils.sampling.designs import DesignSettings, folds, held_out_stations, hold_out, make_runs
from model_utils.sampling.splits import random_stations, station_table


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


DESIGNS = ("hold_out", "label_efficiency", "folds", "temporal", "leave_one_out")


def settings_of(**values) -> DesignSettings:
    return DesignSettings(**{"label_counts": (1, 3, 8), "draws": 3, "folds": 4, **values})


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), buffer_km=st.floats(0, 6))
def test_no_station_trains_and_tests_and_folds_predict_each_row_once(seed, buffer_km):
    samples = labelled(seed=seed)
    held = sorted(samples["site_id"].unique())[:4]
    for run in make_runs(samples, held, DESIGNS, settings_of(buffer_km=buffer_km)):
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
    runs = make_runs(samples, held, DESIGNS, settings_of(buffer_km=3.0, temporal_share=0.3))
    of = {design: [run for run in runs if run.design == design] for design in {run.design for run in runs}}
    site, date = samples["site_id"], samples["local_date"]
    assert set(of) == set(DESIGNS)

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
    for run, other in zip(*(make_runs(rows, held, DESIGNS, settings_of()) for rows in (samples, moved)), strict=True):
        for fold, same in zip(run.folds, other.folds, strict=True):
            assert np.array_equal(fold.training[order], same.training)
            assert np.array_equal(fold.test[order], same.test)


def test_a_city_without_a_list_holds_out_a_third():
    samples = labelled()
    held, words = held_out_stations(station_table(samples), load_city("Delhi", SHIPPED_ROOT))
    assert len(held) == 4
    assert "random third" in words
    assert held == held_out_stations(station_table(samples), load_city("Delhi", SHIPPED_ROOT))[0]


def test_random_training_stations_of_an_experiment():
    """`supervise --stations n --draw k` takes them from the pool of each fold, and predicts the same rows."""
    samples = labelled()
    site, held = samples["site_id"], ["site02", "site05", "site09"]
    (whole,), (few,), (again,), (other,) = (list(hold_out(samples, held, *of)) for of in ((), (4, 1), (4, 1), (4, 2)))
    assert whole.stations == 9
    assert few.stations == site[few.folds[0].training].nunique() == 4
    assert sorted(set(site[few.folds[0].training])) == random_stations(set(site) - set(held), 4, 1)
    np.testing.assert_array_equal(few.test, site.isin(held))
    assert few.sha256 == again.sha256 != other.sha256
    assert len({run.name for run in (whole, few, other)}) == 3

    (every,), (some,) = folds(samples, 3), folds(samples, 3, 5, 2)
    assert (every.stations, some.stations) == (8, 5)
    for full, part in zip(every.folds, some.folds, strict=True):
        np.testing.assert_array_equal(part.test, full.test)
        assert sorted(set(site[part.training])) == random_stations(set(site[full.training]), 5, 2)
    with pytest.raises(InputError, match="--stations: found 9, expected 1 to 8"):
        list(folds(samples, 3, 9))


def test_a_list_that_holds_out_every_station_is_refused():
    city = load_city("Delhi", SHIPPED_ROOT)
    samples = labelled()
    held = [station.name for station in city.stations if station.split == "test"][:12]
    renamed = dict(zip(sorted(samples["site_id"].unique()), held, strict=True))
    stations = station_table(samples.assign(site_name=samples["site_id"].map(renamed)))
    with pytest.raises(InputError, match="hold-out list of Delhi: leaves no training station of the 12"):
        held_out_stations(stations, city)
    found, words = held_out_stations(stations.assign(site_name=["nowhere", *stations["site_name"][1:]]), city)
    assert (len(found), words) == (11, "hold-out list of Delhi")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("folds", {"folds": 13}), "--folds: found 13"),
        (("leave_one_out", {"buffer_km": 500.0}), "--buffer-km: found 500"),
        (("temporal", {"temporal_share": 1.0}), "--designs temporal: 10 dates leave nothing"),
    ],
)
def test_designs_that_do_not_fit_are_refused(values, message):
    samples, (design, asked) = labelled(), values
    with pytest.raises(InputError, match=message):
        make_runs(samples, sorted(samples["site_id"].unique())[:4], [design], settings_of(**asked))
