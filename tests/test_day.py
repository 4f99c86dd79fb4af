"""The level of a day: kriging with its variance against PyKrige and loops; heads that never trained on the date."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from pykrige.ok import OrdinaryKriging
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from model_utils.estimators.place_and_day import day_from_images
from model_utils.estimators.place_and_day.day_from_images import DayFromImages, fit_day_from_images
from model_utils.estimators.place_and_day.day_from_readings import DayFromReadings, effect_errors, residual_variogram
from model_utils.estimators.place_and_day.ground import describe_ground
from model_utils.estimators.place_and_day.two_way_effects import two_way_effects
from model_utils.estimators.references.kriging import Variogram, fit_variogram, krige, krige_with_variance
from model_utils.estimators.references.same_day import same_day_mean, station_days
from model_utils.estimators.references.weather_inputs import weather_inputs
from model_utils.estimators.saving import read_saved, write_saved
from model_utils.geography import EARTH_RADIUS_KM, great_circle_km

Floats = NDArray[np.float64]
VARIOGRAM = Variogram(partial_sill=0.03, range_km=25.0, nugget=0.01)
KM_PER_DEGREE = np.radians(1) * EARTH_RADIUS_KM


def residuals(stations: int = 12, days: int = 30, seed: int = 0, present: float = 0.7) -> pd.DataFrame:
    """Day + residual of VARIOGRAM's covariance in log units, with gaps."""
    random = np.random.default_rng(seed)
    latitude, longitude = 28.4 + 0.4 * random.random(stations), 77.0 + 0.4 * random.random(stations)
    km = great_circle_km(latitude[:, None], longitude[:, None], latitude, longitude)
    covariance = VARIOGRAM.partial_sill * np.exp(-3 * km / VARIOGRAM.range_km) + VARIOGRAM.nugget * np.eye(stations)
    values = np.linalg.cholesky(covariance) @ random.normal(size=(stations, days)) + random.normal(0, 0.5, days)
    values[random.random(values.shape) > present] = np.nan
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


def others_today(rows: pd.DataFrame, row: object) -> pd.DataFrame:
    today = rows[(rows["local_date"] == row.local_date) & (rows["site_id"] != row.site_id)]  # type: ignore[attr-defined]
    return today.dropna(subset="pm25")


def test_kriging_variance_equals_pykrige_without_the_own_station() -> None:
    rows = residuals(days=8)
    apart = rows["site_id"].isin(["site01", "site05"])
    train = rows[~apart]
    mean, variance = krige_with_variance(VARIOGRAM, train, rows)
    in_degrees = {"psill": 0.03, "range": VARIOGRAM.range_km / KM_PER_DEGREE, "nugget": 0.01}
    for number, row in enumerate(rows.itertuples()):
        today = others_today(train, row)
        assert len(today) >= 3
        independent = OrdinaryKriging(
            *(today[name].to_numpy() for name in ("longitude", "latitude", "pm25")),
            variogram_model="exponential",
            variogram_parameters=in_degrees,
            coordinates_type="geographic",
        )
        value, spread = independent.execute("points", np.array([row.longitude]), np.array([row.latitude]))
        assert mean[number] == pytest.approx(value[0], rel=1e-8, abs=1e-8)
        assert variance[number] == pytest.approx(spread[0], rel=1e-8)
    np.testing.assert_allclose(mean, krige(VARIOGRAM, train, rows), atol=1e-12)


def test_a_neighbour_at_the_same_place_differs_by_the_nuggets() -> None:
    train = residuals(present=1)
    twin = train[train["site_id"] == "site00"].assign(site_id="twin").drop(columns="pm25")
    _, variance = krige_with_variance(VARIOGRAM, train, twin)
    assert (variance > VARIOGRAM.nugget).all()
    assert (variance < 2 * VARIOGRAM.nugget).all()


def test_few_readings_have_the_variance_of_a_mean() -> None:
    rows = residuals(present=1)
    dates = rows["local_date"].unique()
    few = (rows["local_date"] == dates[0]) & ~rows["site_id"].isin(["site00", "site02"])
    few |= (rows["local_date"] == dates[1]) & (rows["site_id"] != "site00")
    few |= rows["local_date"] == dates[2]
    train = rows[~few]
    test = rows[rows["site_id"].isin(["site00", "site04"])]
    mean, variance = krige_with_variance(VARIOGRAM, train, test)
    np.testing.assert_array_equal(
        mean[test["local_date"].isin(dates[:3])], same_day_mean(train, test)[test["local_date"].isin(dates[:3])]
    )
    first, second, third = (variance[test["local_date"] == date] for date in dates[:3])
    np.testing.assert_allclose(first, [0.04 * 2, 0.04 * 1.5])  # site00 is left out of its own mean
    np.testing.assert_allclose(second, [np.nan, 0.04 * 2])
    assert np.isnan(third).all()


def test_kriging_says_how_sure_it_is() -> None:
    rows = residuals(stations=30, days=200, seed=3)
    mean, variance = krige_with_variance(VARIOGRAM, rows, rows)
    z = ((rows["pm25"] - mean) / np.sqrt(variance)).dropna()
    assert z.std() == pytest.approx(1, abs=0.03)
    assert (z.abs() < 1).mean() == pytest.approx(0.683, abs=0.02)


def test_the_additive_variogram_is_that_of_the_differences() -> None:
    rows = residuals(stations=40, days=400, seed=1)
    fitted = fit_variogram(rows, relative=False)
    assert fitted is not None
    km = np.array([2.0, 5.0, 10.0, 20.0])
    np.testing.assert_allclose(fitted(km), VARIOGRAM(km), rtol=0.1)
    raised = fit_variogram(rows.assign(pm25=rows["pm25"] - 50), relative=False)
    assert raised is not None
    np.testing.assert_allclose(raised(km), fitted(km), rtol=1e-6)


@pytest.mark.parametrize("days", [4, 12])
def test_the_residual_variogram_is_not_too_small_after_effects_were_fitted(days: int) -> None:
    km = np.array([3.0, 10.0, 30.0])
    found = []
    for seed in range(60):
        rows = residuals(stations=20, days=days, seed=seed, present=0.9)
        table = station_days(rows)
        effects = two_way_effects(table.to_numpy())
        stations = rows.drop_duplicates("site_id").set_index("site_id").loc[table.index].reset_index()
        dates = table.columns.to_numpy("datetime64[ns]")
        found.append(residual_variogram(stations, dates, table.to_numpy(), effects, 0.04)(km))
    np.testing.assert_allclose(np.mean(found, axis=0), VARIOGRAM(km), rtol=0.1)


def test_errors_of_effects_have_the_covariance_that_is_said() -> None:
    """Of many tables of one constellation, with the same gaps; differences, as the level belongs to the days."""
    rows = residuals(stations=10, days=12, seed=5)
    table = station_days(rows)
    stations = rows.drop_duplicates("site_id").set_index("site_id").loc[table.index]
    said = effect_errors(stations, table.to_numpy(), VARIOGRAM, 0.04)
    np.testing.assert_allclose(np.diag(said), 0.04 / table.count(axis=1))
    assert np.linalg.eigvalsh(said).min() > 0
    km = great_circle_km(
        *(stations[name].to_numpy()[:, None] for name in ("latitude", "longitude")),
        *(stations[name].to_numpy() for name in ("latitude", "longitude")),
    )
    root = np.linalg.cholesky(0.03 * np.exp(-3 * km / VARIOGRAM.range_km) + 0.01 * np.eye(10))
    random = np.random.default_rng(0)
    effects = []
    for _ in range(3000):
        values = root @ random.normal(size=table.shape)
        values[table.isna()] = np.nan
        effects.append(two_way_effects(values).place)
    centre = np.eye(10) - 0.1
    found, expected = np.cov(np.transpose(effects)), centre @ said @ centre
    ratio = np.trace(found) / np.trace(expected)
    assert ratio == pytest.approx(1, abs=0.2)  # that days have few stations adds some
    off = ~np.eye(10, dtype=bool)
    assert np.corrcoef(found[off], expected[off])[0, 1] > 0.9


def test_without_days_of_three_stations_residuals_differ_by_what_is_usual() -> None:
    rows = residuals(stations=2, days=5, present=1)
    table = station_days(rows)
    stations = rows.drop_duplicates("site_id")
    dates = table.columns.to_numpy("datetime64[ns]")
    effects = two_way_effects(table.to_numpy())
    found = residual_variogram(stations, dates, table.to_numpy(), effects, 0.04)
    assert (found.partial_sill, found.nugget) == (0.0, 0.04)


def test_day_from_readings_leaves_out_the_own_station_and_looks_at_its_date_only(tmp_path: Path) -> None:
    rows = residuals()
    told = rows.dropna().reset_index(drop=True)
    day = DayFromReadings(told, VARIOGRAM)
    mean, variance = day.predict(rows)
    one_date = rows["local_date"] == rows["local_date"].iloc[3]
    np.testing.assert_allclose(day.predict(rows[one_date]), (mean[one_date], variance[one_date]), atol=1e-12)
    here = rows["site_id"] == "site03"
    changed = told.assign(pm25=told["pm25"].where(told["site_id"] != "site03", 9.0))
    again, _ = DayFromReadings(changed, VARIOGRAM).predict(rows)
    np.testing.assert_allclose(again[here], mean[here], atol=1e-9)
    assert (np.abs(again - mean)[~here] > 1e-3).mean() > 0.5
    write_saved(tmp_path, day)
    np.testing.assert_array_equal(read_saved(tmp_path, DayFromReadings).predict(rows), (mean, variance))
    assert np.isnan(day.predict(rows.assign(local_date=pd.Timestamp("2022-01-01")))).all()


class Air:
    """Dates whose haze and weather tell the level of the day; sites differ and are not all seen."""

    def __init__(self, dates: int = 60, sites: int = 8, haze: float = 1.0, weather: bool = True, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        site, date = np.nonzero(random.random((sites, dates)) < 0.6)
        self.dates = (pd.Timestamp("2019-01-01") + pd.to_timedelta(5 * np.arange(dates), "D")).to_numpy(
            "datetime64[ns]"
        )
        self.level = random.normal(0, 0.5, dates)
        pattern, ground = random.normal(size=6), random.normal(0, 3, (sites, 6))
        features = ground[site] + haze * self.level[date, None] * pattern + 0.1 * random.normal(size=(len(site), 6))
        self.features = features.astype(np.float32)
        self.rows = pd.DataFrame(
            {
                "site_id": [f"s{number}" for number in site],
                "latitude": 28.0,
                "longitude": 77.0,
                "local_date": self.dates[date],
            }
        )
        if weather:
            self.rows["temperature_c"] = (10 * self.level + random.normal(0, 3, dates))[date]
            self.rows["pressure_hpa"] = random.normal(980, 5, dates)[date]
        self.ground = describe_ground(self.rows, self.features)

    def fit(self, kept: NDArray[np.bool_], images: bool = True, effects: Floats | None = None) -> DayFromImages:
        weather = weather_inputs(self.rows, np.isin(self.rows["local_date"].to_numpy(), self.dates[kept]))
        told = self.level if effects is None else effects
        return fit_day_from_images(self.dates[kept], told[kept], weather, self.ground if images else None, seed=0)

    def at_dates(self) -> pd.DataFrame:
        return pd.DataFrame({"local_date": self.dates, "site_id": ""})


def test_heads_know_hazy_days_and_how_well() -> None:
    air, kept = Air(), np.arange(60) % 3 != 0
    heads = air.fit(kept)
    mean, variance = heads.predict(air.at_dates(), None, air.ground)
    assert heads.with_air is not None
    error = mean - air.level
    assert np.abs(error).max() < 0.25
    assert np.sqrt(variance[0]) == pytest.approx(error.std(), rel=0.6)
    without, wider = heads.predict(air.at_dates(), None, None)
    assert (wider > variance).all()
    assert np.sqrt((without - air.level)[~kept].std()) < np.sqrt(air.level.std())
    assert np.mean((without - air.level)[~kept] ** 2) < 0.7 * np.mean(air.level[~kept] ** 2)


def test_a_date_is_predicted_by_a_head_that_never_trained_on_it() -> None:
    air, kept = Air(), np.arange(60) % 3 != 0
    before, _ = air.fit(kept).predict(air.at_dates(), None, air.ground)
    number = int(np.flatnonzero(kept)[7])
    changed = air.level.copy()
    changed[number] += 0.01
    heads = air.fit(kept, effects=changed)
    assert heads.with_air is not None
    first = air.fit(kept).with_air
    assert first is not None
    assert heads.with_air.penalties == first.penalties  # a larger change could choose other penalties
    after, _ = heads.predict(air.at_dates(), None, air.ground)
    group = heads.group[np.flatnonzero(np.flatnonzero(kept) == number)[0]]
    same = np.zeros(60, bool)
    same[np.flatnonzero(kept)[heads.group == group]] = True
    np.testing.assert_array_equal(after[same], before[same])
    assert (np.abs(after - before)[~same] > 1e-8).all()


def test_heads_equal_scikit_learns_ridge() -> None:
    air, kept = Air(), np.ones(60, bool)
    heads = air.fit(kept, images=False)
    assert heads.with_air is None
    of_date = air.rows.groupby("local_date")[["temperature_c", "pressure_hpa"]].median()
    w = 2 * np.pi * pd.DatetimeIndex(air.dates).day_of_year / 365.25
    inputs = np.column_stack([of_date, np.cos(w), np.sin(w)])
    penalty = heads.without_air.penalties[1]
    assert penalty > 0

    def ridge(train: NDArray[np.bool_], test: NDArray[np.bool_], strength: float) -> Floats:
        scaler = StandardScaler().fit(inputs[train])
        model = Ridge(strength * train.sum()).fit(scaler.transform(inputs[train]), air.level[train])
        return np.asarray(model.predict(scaler.transform(inputs[test])))

    expected, losses = np.empty(60), {}
    for strength in day_from_images.PENALTIES[1:]:
        for number in range(day_from_images.GROUPS):
            expected[heads.group == number] = ridge(heads.group != number, heads.group == number, strength)
        losses[strength] = ((expected - air.level) ** 2).mean()
        if strength == penalty:
            mean, variance = heads.predict(air.at_dates(), None, None)
            np.testing.assert_allclose(mean, expected, atol=1e-9)
    assert min(losses, key=lambda each: losses[each]) == penalty
    assert variance[0] == pytest.approx(losses[penalty])
    other = air.at_dates().assign(local_date=air.dates + np.timedelta64(1, "D"), temperature_c=12.0, pressure_hpa=981.0)
    w = 2 * np.pi * pd.DatetimeIndex(other["local_date"]).day_of_year / 365.25
    scaler = StandardScaler().fit(inputs)
    model = Ridge(penalty * 60).fit(scaler.transform(inputs), air.level)
    there = np.column_stack([np.full(60, 12.0), np.full(60, 981.0), np.cos(w), np.sin(w)])
    np.testing.assert_allclose(heads.predict(other, None, None)[0], model.predict(scaler.transform(there)), atol=1e-9)


def test_nothing_to_learn_from_is_the_mean() -> None:
    """Haze and weather that know nothing: no better, and hardly worse, than the mean and its variance."""
    ratios = []
    for seed in range(20):
        air = Air(haze=0.0, seed=seed)
        told = np.random.default_rng(seed + 100).normal(3, 0.5, 60)
        mean, variance = air.fit(np.arange(60) < 40, effects=told).predict(air.at_dates(), None, air.ground)
        ratios.append((((mean - told)[40:] ** 2).mean() / 0.25, variance[0] / 0.25))
    errors, variances = np.mean(ratios, axis=0)
    assert errors < 1.2
    assert variances == pytest.approx(errors, abs=0.2)


def test_few_dates_are_their_mean() -> None:
    air = Air()
    for count in (1, 2, 5, 9):
        heads = air.fit(np.arange(60) < count)
        mean, variance = heads.predict(air.at_dates(), None, air.ground)
        np.testing.assert_allclose(mean[count:], air.level[:count].mean())
        expected = 0.25 if count == 1 else air.level[:count].var(ddof=1) * (1 + 1 / count)
        np.testing.assert_allclose(variance, expected)
        if count > 5:
            assert (np.abs(mean[:count] - air.level[:count].mean()) > 1e-6).all()  # without the date itself


def test_dates_whose_air_or_weather_is_not_known() -> None:
    air, kept = Air(), np.arange(60) < 50
    heads = air.fit(kept)
    new = pd.DataFrame(
        {
            "site_id": ["s1", "new"],
            "latitude": 28.0,
            "longitude": 77.0,
            "local_date": pd.to_datetime(["2021-01-01", "2021-02-01"]),
            "temperature_c": [5.0, np.nan],
            "pressure_hpa": [980.0, 981.0],
        }
    )
    mean, variance = heads.predict(new, air.features[:2], air.ground)
    assert heads.with_air is not None
    assert variance[0] == heads.with_air.variance  # a known site on a new date tells its air
    assert variance[1] > heads.without_air.variance  # a new site on its only date does not, nor is it known how warm
    typical = new.assign(temperature_c=[5.0, heads.weather.typical[list(heads.weather.names).index("temperature_c")]])
    np.testing.assert_array_equal(heads.predict(typical, air.features[:2], air.ground)[0], mean)
    assert np.isfinite(heads.predict(new.drop(columns=["temperature_c", "pressure_hpa"]), None, air.ground)[0]).all()
    nothing = Air(weather=False)
    mean, _ = nothing.fit(kept, images=False).predict(nothing.at_dates(), None, None)
    assert np.isfinite(mean).all()


@pytest.mark.parametrize("images", [False, True])
def test_without_the_weather_a_day_is_as_uncertain_as_is_said(images: bool) -> None:
    """A map of new scenes knows no weather of their dates: an interval as if it were known would hold half of them."""
    ratios = []
    for seed in range(5):
        air, kept = Air(dates=240, haze=0.02, seed=seed), np.arange(240) < 160
        told = air.rows.assign(
            temperature_c=air.rows["temperature_c"].where(np.isin(air.rows["local_date"], air.dates[kept]))
        )
        air.rows = told.assign(pressure_hpa=told["pressure_hpa"].where(told["temperature_c"].notna()))
        heads = air.fit(kept, images)
        mean, variance = heads.predict(air.at_dates(), None, air.ground if images else None)
        ratios.append(((air.level - mean) ** 2 / variance)[~kept].mean())
        own = heads.with_air if images else heads.without_air
        assert own is not None
        assert (variance[kept] == own.variance).mean() > 0.95  # a date that no site has seen has no weather either
    assert 0.8 < np.mean(ratios) < 1.25


def test_saved_and_loaded_heads_say_the_same(tmp_path: Path) -> None:
    for number, (weather, images) in enumerate([(True, True), (False, True), (True, False), (False, False)]):
        air = Air(weather=weather)
        heads = air.fit(np.arange(60) < 40, images)
        write_saved(tmp_path / str(number), heads)
        again = read_saved(tmp_path / str(number), DayFromImages)
        for rows, features in (
            (air.at_dates(), None),
            (air.rows.assign(local_date=pd.Timestamp("2021-01-01")), air.features),
        ):
            np.testing.assert_array_equal(
                again.predict(rows, features, air.ground), heads.predict(rows, features, air.ground)
            )
