"""Splits by station."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_utils.cities import Station, load_city
from model_utils.errors import InputError
from model_utils.project import SHIPPED_ROOT
from model_utils.sampling.splits import (
    contiguous_folds,
    held_out_sites,
    random_stations,
    station_table,
    validation_rows,
)


def sites_of(city):
    return pd.DataFrame(
        {
            "site_id": [station.name for station in city.stations],
            "site_name": [station.name for station in city.stations],
            "latitude": [station.latitude for station in city.stations],
            "longitude": [station.longitude for station in city.stations],
        }
    )


@pytest.mark.parametrize(("name", "held"), [("Delhi", 27), ("Beijing", 10)])
def test_the_city_list_is_found_by_name(name, held):
    city = load_city(name, SHIPPED_ROOT)
    assert held_out_sites(sites_of(city), city) == sorted(s.name for s in city.stations if s.split == "test")
    assert len(held_out_sites(sites_of(city), city)) == held


def test_the_city_list_is_found_by_place_and_by_other_spellings():
    city = load_city("Delhi", SHIPPED_ROOT)
    sites = sites_of(city)
    moved = sites.assign(
        site_id=[f"s{n}" for n in range(len(sites))], site_name="", latitude=sites["latitude"] + 0.0005
    )
    expected = sorted(f"s{n}" for n, s in enumerate(city.stations) if s.split == "test")
    assert held_out_sites(moved, city) == expected
    spelled = sites.assign(site_id=sites["site_name"].str.replace("_", "-").str.upper(), latitude=0.0)
    assert len(held_out_sites(spelled, city)) == 27
    far = moved.assign(latitude=moved["latitude"] + 0.2, longitude=moved["longitude"] + 2)
    assert held_out_sites(far, city) == []


def test_a_station_named_as_training_is_not_held_out_for_being_near():
    city = load_city("Delhi", SHIPPED_ROOT)
    test = next(s for s in city.stations if s.split == "test")
    train = next(s for s in city.stations if s.split == "train")
    site = pd.DataFrame(
        {"site_id": ["x"], "site_name": [train.name], "latitude": [test.latitude], "longitude": [test.longitude]}
    )
    assert held_out_sites(site, city) == []


def test_names_in_any_script_are_told_apart():
    stations = tuple(
        Station(name, 39.9, 116.0 + 0.1 * number, split)
        for number, (name, split) in enumerate(
            [("东四", "train"), ("天坛", "test"), ("定陵", "train"), ("万寿西宫", "test")]
        )
    )
    city = replace(load_city("Beijing", SHIPPED_ROOT), stations=stations)
    sites = pd.DataFrame(
        {
            "site_id": ["定陵", "天坛", "万寿西宫", "cell"],
            "site_name": ["定陵", "天坛", "", ""],
            "latitude": 0.0,
            "longitude": 0.0,
        }
    )
    for listed in (stations, stations[::-1]):
        assert held_out_sites(sites, replace(city, stations=listed)) == sorted(["天坛", "万寿西宫"])
    with pytest.raises(InputError, match="other side"):
        held_out_sites(sites, replace(city, stations=(*stations, Station("东-四", 1.0, 1.0, "test"))))


@settings(max_examples=60, deadline=None)
@given(count=st.integers(2, 40), folds=st.integers(2, 8), seed=st.integers(0, 99))
def test_folds_are_balanced_and_separated_by_straight_cuts(count, folds, seed):
    generator = np.random.default_rng(seed)
    stations = pd.DataFrame(
        {
            "site_id": [f"s{n:02d}" for n in range(count)],
            "latitude": 28.6 + 0.3 * generator.random(count),
            "longitude": 77.0 + 0.3 * generator.random(count),
        }
    )
    if folds > count:
        with pytest.raises(InputError, match="--folds"):
            contiguous_folds(stations, folds)
        return
    fold = contiguous_folds(stations, folds)
    sizes = np.bincount(fold, minlength=folds)
    assert sizes.min() >= 1
    assert sizes.max() - sizes.min() <= 2
    order = generator.permutation(count)
    again = contiguous_folds(stations.iloc[order].reset_index(drop=True), folds)
    assert again.tolist() == fold[order].tolist()
    # contiguous: any two folds can be told apart by one coordinate
    for a in range(folds):
        for b in range(a):
            separated = False
            for axis in ("latitude", "longitude"):
                x = stations[axis].to_numpy()
                low, high = x[fold == a], x[fold == b]
                separated |= low.max() < high.min() or high.max() < low.min()
            assert separated


def test_random_stations():
    names = [f"s{n}" for n in range(20)]
    assert random_stations(names, 5, 3) == random_stations(reversed(names), 5, 3)
    draws = {tuple(random_stations(names, 5, draw)) for draw in range(20)}
    assert len(draws) == 20
    assert all(len(set(draw)) == 5 for draw in draws)
    with pytest.raises(InputError, match="--stations"):
        random_stations(names, 21, 0)


def rows(stations, days):
    site, day = (axis.ravel() for axis in np.meshgrid(np.arange(stations), np.arange(days)))
    return pd.DataFrame(
        {"site_id": [f"s{n}" for n in site], "local_date": pd.Timestamp("2018-01-01") + pd.to_timedelta(day, "D")}
    )


def test_validation_takes_whole_stations_when_there_are_enough():
    samples = rows(10, 6)
    mask = validation_rows(samples, 0.2, seed=1)
    assert samples.loc[mask, "site_id"].nunique() == 2
    assert not set(samples.loc[mask, "site_id"]) & set(samples.loc[~mask, "site_id"])
    assert (validation_rows(samples, 0.2, seed=1) == mask).all()


@pytest.mark.parametrize("stations", [1, 4])
def test_validation_takes_the_last_dates_when_stations_are_few(stations):
    samples = rows(stations, 10)
    mask = validation_rows(samples, 0.2, seed=1)
    assert samples.loc[mask, "local_date"].min() > samples.loc[~mask, "local_date"].max()
    assert samples.loc[mask, "local_date"].nunique() == 2
    with pytest.raises(InputError, match="1 date"):
        validation_rows(rows(stations, 1), 0.2, seed=1)


def test_station_table_lists_sites_with_readings():
    samples = rows(3, 2).assign(
        site_name="n", latitude=1.0, longitude=2.0, pm25=[1.0, np.nan, 3.0, 4.0, np.nan, np.nan]
    )
    table = station_table(samples)
    assert table["site_id"].tolist() == ["s0", "s2"]
    assert table["readings"].tolist() == [2, 1]
