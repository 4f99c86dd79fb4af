"""Ordinary kriging against PyKrige, a system solved by hand, and what must leave it unchanged."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pykrige.ok import OrdinaryKriging

from model_utils.estimators.references.kriging import Variogram, fit_variogram, krige, ordinary_kriging
from model_utils.estimators.references.same_day import inverse_distance, same_day_mean
from model_utils.geography import EARTH_RADIUS_KM, great_circle_km

VARIOGRAM = Variogram(partial_sill=0.06, range_km=25.0, nugget=0.02)
KM_PER_DEGREE = np.radians(1) * EARTH_RADIUS_KM


def table(values: NDArray[np.float64], latitude: NDArray[np.float64], longitude: NDArray[np.float64]) -> pd.DataFrame:
    """Rows of a stations x days table of readings."""
    station, day = (axis.ravel() for axis in np.indices(values.shape))
    return pd.DataFrame(
        {
            "site_id": [f"site{number:02d}" for number in station],
            "latitude": latitude[station],
            "longitude": longitude[station],
            "local_date": pd.Timestamp("2019-01-01") + pd.to_timedelta(day, "D"),
            "pm25": values.ravel(),
        }
    )


def city(stations: int = 12, days: int = 40, seed: int = 0, present: float = 0.7) -> pd.DataFrame:
    """Readings of a field with VARIOGRAM's covariance and a level by day, with gaps."""
    random = np.random.default_rng(seed)
    latitude, longitude = 28.4 + 0.4 * random.random(stations), 77.0 + 0.4 * random.random(stations)
    km = great_circle_km(latitude[:, None], longitude[:, None], latitude, longitude)
    covariance = VARIOGRAM.partial_sill * np.exp(-3 * km / VARIOGRAM.range_km) + VARIOGRAM.nugget * np.eye(stations)
    relative = 1 + np.linalg.cholesky(covariance) @ random.normal(size=(stations, days))
    values = relative * random.gamma(4, 30, days)
    values[random.random(values.shape) > present] = np.nan
    return table(values, latitude, longitude)


def split(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    held_out = rows["site_id"].isin(["site01", "site05", "site08"])
    return rows[~held_out], rows[held_out].drop(columns="pm25")


def others_today(rows: pd.DataFrame, row: object) -> pd.DataFrame:
    """Readings of the day, without those of the row's own station."""
    today = rows[(rows["local_date"] == row.local_date) & (rows["site_id"] != row.site_id)]  # type: ignore[attr-defined]
    return today.dropna(subset="pm25")


def solved_by_hand(today: pd.DataFrame, row: object) -> float:
    """The ordinary kriging system in covariances (the code under test has it in semivariances)."""
    latitude, longitude = today["latitude"].to_numpy(), today["longitude"].to_numpy()
    count = len(today)

    def covariance(km: NDArray[np.float64]) -> NDArray[np.float64]:
        return VARIOGRAM.partial_sill * np.exp(-3 * km / VARIOGRAM.range_km)

    system = np.ones((count + 1, count + 1))
    system[:count, :count] = covariance(great_circle_km(latitude[:, None], longitude[:, None], latitude, longitude))
    system[:count, :count] += VARIOGRAM.nugget * np.eye(count)
    system[count, count] = 0
    place = np.array(row.latitude), np.array(row.longitude)  # type: ignore[attr-defined]
    weights = np.linalg.solve(system, np.append(covariance(great_circle_km(latitude, longitude, *place)), 1))
    return float(weights[:count] @ today["pm25"].to_numpy())


def test_equals_a_system_solved_by_hand_for_each_row_at_stations_and_elsewhere() -> None:
    rows = city()
    train, elsewhere = split(rows)
    at_stations = train.drop(columns="pm25")
    for test in (elsewhere, at_stations, pd.concat([at_stations, elsewhere])):
        expected = []
        for row in test.itertuples():
            today = others_today(train, row)
            expected.append(solved_by_hand(today, row) if len(today) >= 3 else today["pm25"].mean())
        np.testing.assert_allclose(krige(VARIOGRAM, train, test), expected, rtol=1e-9)


def test_equals_pykrige() -> None:
    train, test = split(city(days=10))
    predicted = krige(VARIOGRAM, train, test)
    in_degrees = {"psill": VARIOGRAM.partial_sill, "range": VARIOGRAM.range_km / KM_PER_DEGREE, "nugget": 0.02}
    for number, row in enumerate(test.itertuples()):
        today = others_today(train, row)
        assert len(today) >= 3
        independent = OrdinaryKriging(
            *(today[name].to_numpy() for name in ("longitude", "latitude", "pm25")),
            variogram_model="exponential",
            variogram_parameters=in_degrees,
            coordinates_type="geographic",
        )
        value, _ = independent.execute("points", np.array([row.longitude]), np.array([row.latitude]))
        assert predicted[number] == pytest.approx(value[0], rel=1e-8)


def test_at_another_station_it_gives_that_reading_and_beside_it_too_without_a_nugget() -> None:
    train, _ = split(city(present=1))
    there = train[train["site_id"] == "site00"]
    here = there.assign(site_id="here").drop(columns="pm25")
    beside = here.assign(latitude=here["latitude"] + 1e-6)
    reading = there["pm25"].to_numpy()
    smooth = Variogram(VARIOGRAM.partial_sill, VARIOGRAM.range_km, nugget=0)
    np.testing.assert_allclose(krige(smooth, train, here), reading, rtol=1e-9)
    np.testing.assert_allclose(krige(smooth, train, beside), reading, rtol=1e-3)
    np.testing.assert_allclose(krige(VARIOGRAM, train, here), reading, rtol=1e-9)
    assert np.abs(krige(VARIOGRAM, train, beside) / reading - 1).mean() > 0.02


def test_a_pure_nugget_gives_the_mean_of_the_others() -> None:
    rows = city()
    flat = Variogram(partial_sill=0, range_km=10, nugget=0.1)
    np.testing.assert_allclose(krige(flat, rows, rows), same_day_mean(rows, rows), rtol=1e-9)


def test_days_without_enough_readings() -> None:
    train, test = split(city(present=1))
    day = train["local_date"]
    dates = np.sort(day.unique())
    sites = train["site_id"]
    gone = (day == dates[0]) | ((day == dates[1]) & ~sites.isin(["site00"]))
    gone |= (day == dates[2]) & ~sites.isin(["site00", "site02"])
    train = train.assign(pm25=train["pm25"].where(~gone))
    kriged, mean = ordinary_kriging(train, test), same_day_mean(train, test)
    nothing = (test["local_date"] == dates[0]).to_numpy()
    few = test["local_date"].isin(dates[1:3]).to_numpy()
    assert np.isnan(kriged[nothing]).all()
    np.testing.assert_array_equal(kriged[few], mean[few])
    assert (np.abs(kriged / mean - 1)[~nothing & ~few] > 1e-6).all()


@pytest.mark.parametrize("sites", [["site00"], ["site00", "site02"]])
def test_one_or_two_stations_are_their_mean(sites: list[str]) -> None:
    train, test = split(city())
    few = train[train["site_id"].isin(sites)]
    assert fit_variogram(few) is None
    np.testing.assert_array_equal(ordinary_kriging(few, test), same_day_mean(few, test))


def test_two_stations_at_one_place_and_stations_that_never_differ_are_survived() -> None:
    train, test = split(city())
    double = pd.concat([train, train[train["site_id"] == "site00"].assign(site_id="twin")])
    alike = train.assign(pm25=train["pm25"].where(train["pm25"].isna(), 80.0))
    one_place = train.assign(latitude=28.5, longitude=77.1)
    for frame in (double, alike, one_place):
        same = same_day_mean(frame, test)
        kriged = ordinary_kriging(frame, test)
        np.testing.assert_array_equal(np.isnan(kriged), np.isnan(same))
        assert (np.abs(kriged / same - 1)[np.isfinite(same)] < 1).all()
    assert fit_variogram(alike) is None
    assert fit_variogram(one_place) is None


def test_where_no_system_can_be_solved_the_same_day_mean_stays() -> None:
    """Without a nugget two stations at one place are one unknown twice; a fit has a trace of it."""
    train, test = split(city())
    twin = pd.concat([train, train[train["site_id"] == "site00"].assign(site_id="twin")], ignore_index=True)
    both = twin[twin["site_id"].isin(["site00", "twin"])].dropna(subset="pm25")["local_date"]
    smooth = Variogram(VARIOGRAM.partial_sill, VARIOGRAM.range_km, nugget=0)
    kriged, mean = krige(smooth, twin, test), same_day_mean(twin, test)
    there = test["local_date"].isin(both).to_numpy()
    assert 0 < there.sum() < len(test)
    np.testing.assert_array_equal(kriged[there], mean[there])
    assert (kriged != mean)[~there].any()
    assert np.isfinite(ordinary_kriging(twin, test)).all()


@pytest.mark.parametrize(
    "of",
    [(-0.1, 25, 0.02), (0.06, 0, 0.02), (0.06, -1, 0.02), (0.06, np.inf, 0.02), (0.06, 25, -1e-9), (np.inf, 25, 0)],
)
@pytest.mark.parametrize("place", [None, 0, 1, 2])
def test_a_variogram_that_cannot_be_is_refused(of: tuple[float, float, float], place: int | None) -> None:
    values = [np.nan if number == place else value for number, value in enumerate(of)]
    with pytest.raises(ValueError, match="variogram: found"):
        Variogram(*values)


def test_finds_the_variogram_it_was_drawn_from_and_a_spike_does_not_move_it() -> None:
    rows = city(stations=40, days=600, present=0.8)
    fitted = fit_variogram(rows)
    assert fitted is not None
    km = np.array([2.0, 5.0, 10.0, 20.0])
    np.testing.assert_allclose(fitted(km), VARIOGRAM(km), rtol=0.1)
    spiked = rows.copy()
    spiked.loc[rows["site_id"].isin(["site00", "site01"]) & (rows["local_date"] < "2019-01-08"), "pm25"] = 999.0
    moved = fit_variogram(spiked)
    assert moved is not None
    np.testing.assert_allclose(moved(km), fitted(km), rtol=0.1)


def test_beats_the_mean_and_inverse_distance_in_a_field_with_its_variogram() -> None:
    rows = city(stations=40, days=300)
    observed = rows["pm25"].to_numpy()
    error = {
        field.__name__: np.nanmean((field(rows, rows) - observed) ** 2)
        for field in (same_day_mean, inverse_distance, ordinary_kriging)
    }
    assert error["ordinary_kriging"] < min(error["same_day_mean"], error["inverse_distance"])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), eastward=st.floats(-180, 90), level=st.floats(0.1, 10))
def test_order_longitude_and_level_do_not_matter(seed: int, eastward: float, level: float) -> None:
    rows = city(stations=8, days=6, seed=seed)
    kriged = ordinary_kriging(rows, rows)
    order = np.random.default_rng(seed).permutation(len(rows))
    changed = rows.iloc[order].assign(longitude=rows["longitude"] + eastward, pm25=rows["pm25"] * level)
    shuffled = ordinary_kriging(changed.sample(frac=1, random_state=seed), changed)
    np.testing.assert_allclose(shuffled, level * kriged[order], rtol=1e-5)


def test_a_level_by_day_does_not_change_the_variogram() -> None:
    rows = city()
    day = rows["local_date"].dt.day_of_year
    before, after = fit_variogram(rows), fit_variogram(rows.assign(pm25=rows["pm25"] * (1 + day)))
    assert before is not None
    assert after is not None
    km = np.array([1.0, 5.0, 30.0])
    np.testing.assert_allclose(before(km), after(km), rtol=1e-9)
