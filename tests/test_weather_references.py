"""Weather without gaps, and the references that read nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler

from model_utils.estimators.estimator import Estimator, NothingLearnt, hidden
from model_utils.estimators.references import weather as weather_references
from model_utils.estimators.references.catalogue import ON_BAND_STATISTICS, REFERENCES
from model_utils.estimators.references.cross_validated_ridge import PENALTIES, left_out
from model_utils.estimators.references.weather_inputs import WEATHER_COLUMNS, weather_inputs


def predicted(estimator: Estimator, train: pd.DataFrame, test: pd.DataFrame) -> NDArray[np.float64]:
    """Fits `train` and predicts `test`, whose weather is known and whose readings are there if it has them."""
    rows = pd.concat([train, test])
    fitted = estimator.fit(rows, None, np.arange(len(rows)) < len(train))
    return fitted.predict(test, None).mean


def weather_ridge(train: pd.DataFrame, test: pd.DataFrame) -> NDArray[np.float64]:
    return predicted(weather_references.weather_ridge(), train, test)


def weather_forest(train: pd.DataFrame, test: pd.DataFrame) -> NDArray[np.float64]:
    return predicted(weather_references.weather_forest(), train, test)


BOTH = pytest.mark.parametrize("predict", [weather_ridge, weather_forest])


@pytest.fixture(autouse=True)
def fewer_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weather_references, "TREES", 30)


def world(stations: int = 9, days: int = 60, missing: float = 0.0, seed: int = 0) -> pd.DataFrame:
    """PM2.5 is a function of temperature and humidity only; weather differs little between stations of a day."""
    random = np.random.default_rng(seed)
    station, day = (axis.ravel() for axis in np.meshgrid(np.arange(stations), np.arange(days)))
    kept = random.random(len(station)) < 0.9
    station, day = station[kept], day[kept]
    daily = random.normal((25, 60, 985), (6, 12, 5), (days, 3))
    values = daily[day] + random.normal(0, (0.5, 1, 0.5), (len(day), 3))
    pm25 = 150 - 3 * (values[:, 0] - 25) + np.maximum(values[:, 1] - 60, 0) * 4
    values[random.random(values.shape) < missing] = np.nan
    return pd.DataFrame(values.astype(np.float32), columns=list(WEATHER_COLUMNS)).assign(
        site_id=[f"s{number}" for number in station],
        latitude=28 + 0.01 * station,
        longitude=77.0,
        local_date=pd.Timestamp("2019-01-01") + pd.to_timedelta(day, unit="D"),
        pm25=pm25,
    )


def split(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    held_out = rows["site_id"].isin(["s1", "s4", "s7"])
    return rows[~held_out], rows[held_out].drop(columns="pm25")


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), missing=st.sampled_from([0.0, 0.3, 0.8, 0.97]))
def test_gaps_are_filled_as_a_slow_loop_fills_them(seed: int, missing: float) -> None:
    rows = world(stations=4, days=6, missing=missing, seed=seed).sample(frac=1, random_state=seed)
    rows.index = rows.index % 5  # as of frames put together
    training = rows["site_id"].isin(["s0", "s2"]).to_numpy()
    found = weather_inputs(rows, training)
    expected = {}
    for name in WEATHER_COLUMNS:
        given_values, dates = rows[name].to_numpy(float), rows["local_date"].to_numpy()
        filled = given_values.copy()
        for number in np.flatnonzero(np.isnan(filled)):
            today = [value for value, date in zip(given_values, dates, strict=True) if date == dates[number]]
            today = sorted(value for value in today if not np.isnan(value))
            if today:
                filled[number] = (today[(len(today) - 1) // 2] + today[len(today) // 2]) / 2
        trained = filled[training & ~np.isnan(filled)]
        if len(trained):
            expected[name] = np.where(np.isnan(filled), np.median(trained), filled)
    values = found.values(rows)
    assert found.names == tuple(expected)
    assert values.shape == (len(rows), len(expected))
    for column, name in enumerate(found.names):
        np.testing.assert_allclose(values[:, column], expected[name], rtol=1e-12)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), missing=st.sampled_from([0.0, 0.3, 0.8, 0.97]))
def test_a_row_is_filled_by_itself_and_by_the_fit_whatever_rows_it_comes_with(seed: int, missing: float) -> None:
    """Also rows that the fit has not seen: of its dates, and of others, whose gaps take what is typical."""
    random = np.random.default_rng(seed)
    rows = world(stations=6, days=8, missing=missing, seed=seed)
    fitted, new = rows[rows["site_id"] < "s4"], rows[rows["site_id"] >= "s4"]
    found = weather_inputs(fitted, np.ones(len(fitted), dtype=bool))
    later = new.assign(local_date=new["local_date"] + pd.Timedelta(days=100))
    asked = pd.concat([fitted, new, later])
    whole = found.values(asked)
    assert np.isfinite(whole).all()
    some = random.permutation(len(asked))[: int(random.integers(1, 9))]
    np.testing.assert_array_equal(found.values(asked.iloc[some]), whole[some])
    for row in some:
        np.testing.assert_array_equal(found.values(asked.iloc[[row]]), whole[[row]])
    medians = fitted.astype(dict.fromkeys(found.names, float)).groupby("local_date")[list(found.names)].median()
    of_date = medians.reindex(new["local_date"]).to_numpy()
    typical = found.values(later.assign(**dict.fromkeys(WEATHER_COLUMNS, np.nan)))
    assert (typical == typical[:1]).all()
    own = new[list(found.names)].to_numpy(float)
    expected = np.where(np.isnan(own), np.where(np.isnan(of_date), typical, of_date), own)
    np.testing.assert_allclose(whole[len(fitted) : len(fitted) + len(new)], expected, rtol=1e-12)
    expected = np.where(np.isnan(own), typical, own)
    np.testing.assert_array_equal(whole[len(fitted) + len(new) :], expected)
    without = found.values(later.drop(columns=list(WEATHER_COLUMNS)))  # an archive without weather
    np.testing.assert_array_equal(without, typical)
    assert found.values(asked.iloc[:0]).shape == (0, len(found.names))


def test_dates_of_any_resolution_are_the_same_dates() -> None:
    rows = world(stations=4, days=6, missing=0.6)
    training = (rows["site_id"] < "s2").to_numpy()
    plain = weather_inputs(rows, training).values(rows)
    for unit in ("s", "ms", "us"):
        coarse = rows.assign(local_date=rows["local_date"].astype(f"datetime64[{unit}]"))
        np.testing.assert_array_equal(weather_inputs(rows, training).values(coarse), plain)
        np.testing.assert_array_equal(weather_inputs(coarse, training).values(rows), plain)


def test_weather_that_cannot_be_is_refused() -> None:
    rows = world(stations=4, days=6)
    good = weather_inputs(rows, np.ones(len(rows), dtype=bool))
    for changed in (
        {"names": ("temperature_c", "wind", "pressure_hpa")},
        {"names": good.names[:2]},
        {"names": (good.names[0], *good.names[:2])},
        {"dates": good.dates[1:]},
        {"dates": good.dates[[0, 0, *range(2, len(good.dates))]]},
        {"dates": np.append(good.dates[1:], np.datetime64("NaT"))},
        {"of_date": good.of_date[:, :2]},
        {"of_date": good.of_date.ravel()},
        {"of_date": np.where(good.of_date == good.of_date[2, 1], np.inf, good.of_date)},
        {"typical": good.typical[:2]},
        {"typical": np.append(good.typical[:2], np.nan)},
        {"typical": good.typical[:, None]},
    ):
        with pytest.raises(ValueError, match="weather: found"):
            replace(good, **changed)


def test_known_weather_stays_and_a_gap_takes_the_day_of_test_stations_too() -> None:
    rows = pd.DataFrame(
        {
            "local_date": pd.to_datetime(["2019-01-01"] * 3 + ["2019-01-02"]),
            "temperature_c": [np.nan, 10.0, 14.0, np.nan],
            "pressure_hpa": np.nan,
        }
    )
    found = weather_inputs(rows, np.array([True, False, False, False]))
    assert found.names == ("temperature_c",)
    np.testing.assert_array_equal(found.values(rows), [[12], [10], [14], [12]])
    nothing = weather_inputs(rows[["local_date"]], np.array([True, False, False, False]))
    assert nothing.names == ()
    assert nothing.values(rows).shape == (4, 0)
    assert weather_inputs(rows, np.zeros(4, dtype=bool)).names == ()


def test_the_forest_follows_a_world_of_weather() -> None:
    rows = world(days=120)
    train, test = split(rows)
    predicted = weather_forest(train, test)
    assert np.corrcoef(predicted, rows.loc[test.index, "pm25"])[0, 1] > 0.97


def test_the_ridge_follows_a_world_linear_in_weather() -> None:
    rows = world()
    rows["pm25"] = 100 + rows[list(WEATHER_COLUMNS)].to_numpy(float) @ (2, -1, 3) - 2900
    train, test = split(rows)
    np.testing.assert_allclose(weather_ridge(train, test), rows.loc[test.index, "pm25"], rtol=2e-3)


def test_a_forest_that_knows_the_day_returns_its_level() -> None:
    """Readings have nothing to do with the weather, only with the date: why dates must be left out."""
    rows = world(stations=20, days=40)
    rows["pm25"] = np.random.default_rng(1).gamma(4, 25, 40)[(rows["local_date"] - rows["local_date"].min()).dt.days]
    train, test = split(rows)
    observed = rows.loc[test.index, "pm25"]
    assert np.corrcoef(weather_forest(train, test), observed)[0, 1] > 0.8
    left = test["local_date"] < test["local_date"].median()
    other = weather_forest(train[train["local_date"] >= test["local_date"].median()], test[left])
    assert abs(np.corrcoef(other, observed[left])[0, 1]) < 0.4


def test_the_ridge_equals_a_grid_search_written_out() -> None:
    rows = world(missing=0.2, seed=2)
    rows["pm25"] += np.random.default_rng(0).normal(0, 40, len(rows))
    train, test = split(rows)
    both = pd.concat([train, test])
    inputs = weather_inputs(both, both["pm25"].notna().to_numpy()).values(both)
    scaler = StandardScaler().fit(inputs[: len(train)])
    search = GridSearchCV(
        TransformedTargetRegressor(Ridge()),
        {"regressor__alpha": PENALTIES},
        scoring="neg_mean_squared_error",
        cv=left_out(train),
    ).fit(scaler.transform(inputs[: len(train)]), train["pm25"])
    assert search.best_params_["regressor__alpha"] > min(PENALTIES)
    expected = search.predict(scaler.transform(inputs[len(train) :]))
    np.testing.assert_allclose(weather_ridge(train, test), expected, rtol=1e-9)


def test_the_forest_is_scikit_learns_on_filled_weather() -> None:
    """Where the rows come in the order that the forest sorts them into, it is the plain one."""
    rows = world(missing=0.3).sort_values(["pressure_hpa", "relative_humidity_pct", "temperature_c", "pm25"])
    train, test = split(rows)
    both = pd.concat([train, test])
    inputs = weather_inputs(both, both["pm25"].notna().to_numpy()).values(both)
    order = sorted(range(len(train)), key=lambda row: (*inputs[row][::-1], train["pm25"].iloc[row]))
    forest = RandomForestRegressor(n_estimators=30, min_samples_leaf=5, random_state=0)
    forest.fit(inputs[order], train["pm25"].to_numpy()[order])
    np.testing.assert_allclose(weather_forest(train, test), forest.predict(inputs[len(train) :]), rtol=1e-12)


@BOTH
def test_test_readings_and_the_order_of_rows_change_nothing(predict) -> None:
    rows = world(missing=0.2)
    held_out = rows["site_id"].isin(["s1", "s4", "s7"])
    train, test = rows[~held_out], rows[held_out]
    plain = predict(train, test)
    assert np.isfinite(plain).all()
    permuted = test.assign(pm25=test["pm25"].sample(frac=1, random_state=0).to_numpy())
    for readings in (permuted, test.assign(pm25=np.nan), test.drop(columns="pm25")):
        np.testing.assert_array_equal(predict(train, readings), plain)
    np.testing.assert_allclose(predict(train.sample(frac=1, random_state=1), test), plain, rtol=1e-9)
    order = np.random.default_rng(0).permutation(len(test))
    np.testing.assert_allclose(predict(train, test.iloc[order]), plain[order], rtol=1e-12)


@BOTH
def test_weather_of_a_test_station_moves_only_that_station(predict) -> None:
    train, test = split(world())
    mine = (test["site_id"] == "s4").to_numpy()
    columns = list(WEATHER_COLUMNS)
    shuffled = test.copy()
    shuffled.loc[mine, columns] = test.loc[mine, columns].sample(frac=1, random_state=0).to_numpy()
    before, after = predict(train, test), predict(train, shuffled)
    np.testing.assert_array_equal(after[~mine], before[~mine])
    assert (np.abs(after[mine] - before[mine]) > 1).mean() > 0.5


@BOTH
def test_neither_place_nor_date_nor_image_is_read(predict) -> None:
    rows = world()
    train, test = split(rows)
    plain = predict(train, test)
    moved = [frame.assign(latitude=0.0, longitude=0.0, band_red_mean=1.0) for frame in (train, test)]
    np.testing.assert_array_equal(predict(*moved), plain)
    later = [frame.assign(local_date=frame["local_date"] + pd.Timedelta(days=100)) for frame in (train, test)]
    np.testing.assert_array_equal(predict(*later), plain)


@BOTH
def test_missing_weather_of_a_station_is_that_of_the_day(predict) -> None:
    train, test = split(world(missing=0.1))
    without = test.copy()
    mine = (test["site_id"] == "s4").to_numpy()
    without.loc[mine, "temperature_c"] = np.nan
    others = pd.concat([train, without]).groupby("local_date")["temperature_c"].median()
    told = without.copy()
    told.loc[mine, "temperature_c"] = without.loc[mine, "local_date"].map(others).to_numpy()
    assert told.loc[mine, "temperature_c"].notna().all()
    np.testing.assert_allclose(predict(train, without)[mine], predict(train, told)[mine], rtol=1e-5)


@BOTH
def test_without_weather_or_readings_there_is_no_prediction_and_with_little_there_is(predict) -> None:
    train, test = split(world())
    bare = [frame.drop(columns=list(WEATHER_COLUMNS)) for frame in (train, test)]
    unknown = [frame.assign(**dict.fromkeys(WEATHER_COLUMNS, np.nan)) for frame in (train, test)]
    for nothing in (bare, unknown, (train.iloc[:0], test), (train.assign(pm25=np.nan), test)):
        assert np.isnan(predict(*nothing)).all()
        assert predict(*nothing).shape == (len(test),)
    assert predict(train, test.iloc[:0]).shape == (0,)
    one = train[train["site_id"] == "s0"]
    assert np.isfinite(predict(one, test)).all()
    assert np.isfinite(predict(one.iloc[:2], test)).all()
    only_humidity = [frame.drop(columns=["temperature_c", "pressure_hpa"]) for frame in (train, test)]
    assert np.isfinite(predict(*only_humidity)).all()


def test_rows_without_a_reading_are_no_rows_to_learn_from() -> None:
    train, test = split(world())
    extra = train.iloc[:40].assign(pm25=np.nan)
    for predict in (weather_ridge, weather_forest):
        np.testing.assert_array_equal(predict(pd.concat([train, extra]), test), predict(train, test))


@BOTH
def test_rows_that_came_later_are_predicted_as_if_they_had_been_there(predict) -> None:
    """A forest or a line learns nothing from where it is asked: cells of a map are predicted long after the fit."""
    rows = world()
    train, test = split(rows)
    estimator = {weather_ridge: weather_references.weather_ridge, weather_forest: weather_references.weather_forest}
    alone = estimator[predict]().fit(train, None, np.ones(len(train), dtype=bool))
    np.testing.assert_allclose(alone.predict(test, None).mean, predict(train, test), rtol=1e-12)
    assert alone.trials == (len(PENALTIES) if predict is weather_ridge else 0)


def test_the_catalogue_counts_what_each_tries() -> None:
    rows = world()
    training = (~rows["site_id"].isin(["s1", "s4"])).to_numpy()
    known, features = hidden(rows, training), rows[list(WEATHER_COLUMNS)].to_numpy()
    fits = {name: reference.fit(known, features, training) for name, reference in REFERENCES.items()}
    assert not any(isinstance(fit, NothingLearnt) for fit in fits.values())
    trials = {name: fit.trials for name, fit in fits.items()}
    assert set(fits[ON_BAND_STATISTICS].chosen) == set(fits["weather_ridge"].chosen) == {"penalty"}
    assert trials["band_statistics_ridge"] == trials["weather_ridge"] == len(PENALTIES)
    assert trials["weather_forest"] == trials["same_day_mean"] == 0
    named = {name: reference.uses_same_day_readings for name, reference in REFERENCES.items()}
    assert not named["band_statistics_ridge"] | named["weather_ridge"] | named["weather_forest"]
