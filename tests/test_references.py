"""The no-image references against naive loops, and on real readings."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from model_utils.estimators.estimator import Estimator
from model_utils.estimators.references.catalogue import FIELD_REFERENCES, ON_BAND_STATISTICS, REFERENCES
from model_utils.estimators.references.ceilings import ceilings
from model_utils.estimators.references.coordinates import Plane
from model_utils.estimators.references.kriging import ordinary_kriging
from model_utils.estimators.references.same_day import inverse_distance, same_day_mean
from model_utils.evaluation.statistics import evaluate

REAL = Path(__file__).resolve().parents[2] / "shared" / "real"


HIDDEN = {"true_land_use_increment": 0.1, "true_optical_depth": 0.5}
CEILINGS = ceilings(pd.DataFrame(HIDDEN, index=[0]))


def readings(stations: int = 9, days: int = 30, seed: int = 0) -> pd.DataFrame:
    """Readings with gaps, unlabelled rows, one day without any reading, and shuffled rows."""
    random = np.random.default_rng(seed)
    latitude, longitude = 28.6 + 0.2 * random.random(stations), 77.2 + 0.2 * random.random(stations)
    station, day = np.nonzero(random.random((stations, days)) < 0.6)
    pm25 = random.gamma(4, 25, len(station))
    pm25[(random.random(len(station)) < 0.1) | (day == 4)] = np.nan
    rows = pd.DataFrame(
        {
            "site_id": [f"site{number}" for number in station],
            "latitude": latitude[station],
            "longitude": longitude[station],
            "local_date": pd.Timestamp("2019-01-01") + pd.to_timedelta(day, "D"),
            "pm25": pm25.astype("float32"),
        }
    )
    return rows.sample(frac=1, random_state=seed)


def split(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    held_out = rows["site_id"].isin(["site1", "site4", "site7"])
    return rows[~held_out], rows[held_out].drop(columns="pm25")


def predicted(estimator: Estimator, train: pd.DataFrame, test: pd.DataFrame) -> NDArray[np.float64]:
    """Fits `train` and predicts `test`; the features are two numbers that depend on the row alone."""
    rows = pd.concat([train, test])
    features = np.column_stack([rows["local_date"].dt.day_of_year, np.arange(len(rows)) % 7]).astype(np.float32)
    fitted = estimator.fit(rows, features, np.arange(len(rows)) < len(train))
    return fitted.predict(test, features[len(train) :]).mean


def latitude_longitude(train: pd.DataFrame, test: pd.DataFrame) -> NDArray[np.float64]:
    return predicted(Plane(), train, test)


def kilometres(a: object, b: object) -> float:
    """Great-circle distance by the spherical law of cosines (the code under test uses haversines)."""
    p, q = math.radians(a.latitude), math.radians(b.latitude)  # type: ignore[attr-defined]
    along = math.radians(a.longitude - b.longitude)  # type: ignore[attr-defined]
    return 6371.0088 * math.acos(math.sin(p) * math.sin(q) + math.cos(p) * math.cos(q) * math.cos(along))


def test_both_equal_a_naive_loop() -> None:
    train, test = split(readings())
    mean, inverse = same_day_mean(train, test), inverse_distance(train, test)
    undefined = 0
    for number, row in enumerate(test.itertuples()):
        today = train[(train["local_date"] == row.local_date) & train["pm25"].notna()]
        if today.empty:
            undefined += 1
            assert math.isnan(mean[number])
            assert math.isnan(inverse[number])
            continue
        weights = [kilometres(row, other) ** -2 for other in today.itertuples()]
        assert mean[number] == pytest.approx(today["pm25"].astype(float).mean(), rel=1e-9)
        assert inverse[number] == pytest.approx(np.average(today["pm25"].astype(float), weights=weights), rel=1e-6)
    assert 0 < undefined < len(test)


def test_a_station_at_the_very_place_gives_its_reading_and_else_the_others_speak() -> None:
    train, test = split(readings())
    there = train[train["site_id"] == "site0"].iloc[0]
    test = test.assign(latitude=there["latitude"], longitude=there["longitude"])
    own = train[train["site_id"] == "site0"].dropna(subset="pm25").set_index("local_date")["pm25"]
    others = inverse_distance(train[train["site_id"] != "site0"], test)
    result = inverse_distance(train, test)
    reads = test["local_date"].isin(own.index).to_numpy()
    assert reads.any()
    assert not reads.all()
    assert result[reads] == pytest.approx(own[test["local_date"][reads]].to_numpy())
    assert result[~reads] == pytest.approx(others[~reads], nan_ok=True)


def test_two_readings_of_a_station_in_a_day_count_as_their_mean() -> None:
    day = pd.Timestamp("2019-01-01")
    train = pd.DataFrame(
        {
            "site_id": ["a", "a", "b"],
            "latitude": [28.0, 28.0, 28.2],
            "longitude": 77.0,
            "local_date": day,
            "pm25": [10.0, 30.0, 80.0],
        }
    )
    test = pd.DataFrame({"site_id": ["c"], "latitude": [28.1], "longitude": [77.0], "local_date": [day]})
    for predict in (same_day_mean, inverse_distance, ordinary_kriging, latitude_longitude):
        assert predict(train, test) == pytest.approx([50.0])


@pytest.mark.parametrize("name", [*REFERENCES, *CEILINGS])
def test_no_training_reading_at_all_gives_nan(name: str) -> None:
    reference = {**REFERENCES, **CEILINGS}[name]
    train, test = (
        rows.assign(temperature_c=20.0 + rows["local_date"].dt.day_of_year, **HIDDEN) for rows in split(readings())
    )
    for nothing in (train.iloc[:0], train.assign(pm25=np.nan)):
        assert np.isnan(predicted(reference, nothing, test)).all()
    assert predicted(reference, train, test.iloc[:0]).shape == (0,)
    assert np.isfinite(predicted(reference, train, test)[test["local_date"] != "2019-01-05"]).all()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), stations=st.integers(6, 12))
def test_a_plane_under_levels_by_day_is_found_whoever_reads_when(seed: int, stations: int) -> None:
    rows = readings(stations, seed=seed).dropna(subset="pm25")
    plane = (40 * rows["latitude"] - 25 * rows["longitude"]).to_numpy()
    rows = rows.assign(pm25=3.0 * rows["local_date"].dt.day_of_year + plane)
    train = rows[rows["site_id"] != "site3"]
    above = latitude_longitude(train, rows.drop(columns="pm25")) - plane
    np.testing.assert_allclose(above, above[0], atol=1e-6)
    assert latitude_longitude(train, train).mean() == pytest.approx(train["pm25"].mean())


def test_four_stations_make_no_plane_and_stations_on_a_meridian_only_a_slope_along_it() -> None:
    rows = readings().dropna(subset="pm25")
    few = rows[rows["site_id"].isin(["site0", "site1", "site2", "site3"])]
    np.testing.assert_allclose(latitude_longitude(few, rows), few["pm25"].astype(float).mean())
    rows = rows.assign(longitude=77.2, pm25=rows["local_date"].dt.day_of_year + 30 * rows["latitude"])
    difference = latitude_longitude(rows, rows.assign(longitude=77.9)) - 30 * rows["latitude"]
    np.testing.assert_allclose(difference, difference.iloc[0])


def test_names_are_unique_and_those_that_are_looked_up_are_there() -> None:
    assert not set(REFERENCES) & set(CEILINGS)
    assert {*FIELD_REFERENCES.values(), ON_BAND_STATISTICS} <= set(REFERENCES)


@pytest.mark.real
@pytest.mark.skipif(not REAL.is_dir(), reason="the real data folder is absent")
def test_real_readings_flatter_a_guess_without_images() -> None:
    """Delhi 2018-2020, each station predicted from the others of the same day."""
    labels = REAL / "delhi_labels"
    frames = []
    for place in pd.read_csv(labels / "stations.csv").itertuples():
        (path,) = (labels / "stations").glob(f"{place.station}_Pollutants*.csv")
        frame = pd.read_csv(path, low_memory=False)
        frames.append(
            pd.DataFrame(
                {
                    "site_id": place.station,
                    "latitude": place.lat,
                    "longitude": place.lon,
                    "local_date": pd.to_datetime(frame["Datetime"]),
                    "pm25": pd.to_numeric(frame["PM2.5 (µg/m³)"], errors="coerce"),
                }
            )
        )
    rows = pd.concat(frames).dropna(subset="pm25")
    scores = {}
    for predict in (same_day_mean, inverse_distance, ordinary_kriging, latitude_longitude):
        said = [
            predict(rows[rows["site_id"] != site], rows[rows["site_id"] == site].drop(columns="pm25"))
            for site in rows["site_id"].unique()
        ]
        scores[predict.__name__] = evaluate(
            rows.rename(columns={"pm25": "observed"}).assign(predicted=np.concatenate(said)), draws=100
        )
    mean, inverse = scores["same_day_mean"], scores["inverse_distance"]
    assert mean["n_stations"] == 37
    assert 0.22 < mean["nrmse"] < 0.36  # 28.6 % in another export of these stations
    assert mean["pearson_r"] > 0.9
    # the mean of all others is lowest where the station itself is highest
    assert mean["spatial_r"] == pytest.approx(-1, abs=0.1)
    assert inverse["nrmse"] < mean["nrmse"]
    assert inverse["spatial_r"] > 0.2
    assert scores["ordinary_kriging"]["nrmse"] < inverse["nrmse"]
    assert scores["latitude_longitude"]["spatial_r"] == pytest.approx(0.49, abs=0.02)


def test_ceilings_recover_a_world_made_of_their_columns() -> None:
    random = np.random.default_rng(0)
    site, day = (axis.ravel() for axis in np.meshgrid(np.arange(20), np.arange(60)))
    land_use, depth = random.normal(0, 0.2, 20)[site], np.exp(random.normal(0, 0.5, 60))[day]
    rows = pd.DataFrame(
        {
            "site_id": [f"s{number}" for number in site],
            "local_date": pd.Timestamp("2018-01-01") + pd.to_timedelta(day * 6, unit="D"),
            "true_land_use_increment": land_use,
            "true_optical_depth": depth,
            "pm25": np.exp(4 + land_use + 0.7 * np.log(depth) + 0.3 * np.cos(2 * np.pi * (day * 6 + 1) / 365.25)),
        }
    )
    train, test = rows[site < 10], rows[site >= 10]
    named = {name: predicted(ceiling, train, test.drop(columns="pm25")) for name, ceiling in ceilings(rows).items()}
    assert set(named) == {"ceiling_true_land_use", "ceiling_true_optical_depth", "ceiling_true_both"}
    np.testing.assert_allclose(named["ceiling_true_both"], test["pm25"], rtol=1e-6)
    assert np.ptp(named["ceiling_true_land_use"][test["site_id"] == "s10"]) < 1e-9
    real = rows.drop(columns=["true_land_use_increment"])
    assert list(ceilings(real)) == ["ceiling_true_optical_depth"]
    unread = train.assign(pm25=train["pm25"].where(np.arange(len(train)) % 3 > 0))  # a gap is no row to learn from
    again = predicted(ceilings(rows)["ceiling_true_both"], unread, test.drop(columns="pm25"))
    np.testing.assert_allclose(again, test["pm25"], rtol=1e-6)


def test_a_ceiling_of_one_station_is_its_level_not_its_rounding() -> None:
    increment = np.float32(0.1234567) * (1 + 1e-16 * np.arange(30))
    rows = pd.DataFrame(
        {
            "site_id": "a",
            "local_date": pd.Timestamp("2018-01-01") + pd.to_timedelta(np.arange(30), unit="D"),
            "true_land_use_increment": increment + 1e-9 * np.random.default_rng(0).random(30),
            "true_optical_depth": 0.5,
            "pm25": np.random.default_rng(1).gamma(4, 25, 30),
        }
    )
    test = rows.assign(site_id="b", true_land_use_increment=-0.3).drop(columns="pm25")
    said = predicted(ceilings(rows)["ceiling_true_land_use"], rows, test)
    np.testing.assert_allclose(said, np.exp(np.log(rows["pm25"]).mean()))
