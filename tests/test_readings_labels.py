"""Daily and overpass labels against pandas, plain loops and the real readings."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_utils.errors import InputError
from model_utils.ingest.readings.flags import DEFAULT_DROP, FLAGS, flag_counts, flag_records
from model_utils.ingest.readings.labels import daily_labels, overpass_labels
from model_utils.ingest.readings.records import StationRecords

REAL = Path(__file__).resolve().parents[2] / "shared" / "real"
HOUR = pd.Timedelta(hours=1)
CODES = (-999.0, -9999.0, 9999.0)


def records(table, zone="Asia/Kolkata"):
    """Hourly records from rows with `station`, `time_utc`, `pm25`."""
    table = table.assign(
        time_utc=table["time_utc"].astype("datetime64[us, UTC]"),
        local_date=table["time_utc"].dt.tz_convert(zone).dt.tz_localize(None).dt.normalize(),
    )
    names = sorted(table["station"].unique())
    stations = pd.DataFrame({"station": names, "station_name": names, "latitude": 28.6, "longitude": 77.2})
    stations["latitude"] += 0.05 * np.arange(len(names))
    return StationRecords(table, stations, "hour", "test", {}, (), ())


def a_day(values, start="2019-01-01T18:30Z", **columns):
    times = pd.date_range(start, periods=len(values), freq="h")
    return pd.DataFrame({"station": "a", "time_utc": times, "pm25": np.asarray(values, float), **columns})


def flagged(table, zone="Asia/Kolkata"):
    given = records(table, zone)
    return flag_records(given, given.stations)


@pytest.mark.parametrize(("hours", "valid"), [(24, True), (18, True), (17, False), (1, False)])
def test_a_day_needs_18_hours(hours, valid):
    values = np.where(np.arange(24) < hours, np.arange(24) + 20.0, np.nan)
    (label,) = daily_labels(flagged(a_day(values))).to_dict("records")
    assert label["hours"] == hours
    assert label["pm25_unfiltered"] == pytest.approx(values[:hours].mean())
    assert label["flag_too_few_hours"] == (not valid)
    assert label["pm25"] == pytest.approx(values[:hours].mean()) if valid else np.isnan(label["pm25"])
    assert label["quality"] == "|".join(["missing"] * (hours < 24) + ["too_few_hours"] * (not valid))
    assert label["local_date"] == pd.Timestamp("2019-01-02")


def test_codes_enter_no_mean_and_dropped_readings_only_the_unfiltered_one():
    values = np.arange(24) + 20.0
    values[[2, 5, 9, 14]] = [-999, 999, -3, 9999]
    (label,) = daily_labels(flagged(a_day(values))).to_dict("records")
    numbers = np.delete(values, [2, 14])
    assert label["pm25_unfiltered"] == pytest.approx(numbers.mean())
    assert label["pm25"] == pytest.approx(numbers[numbers < 985].mean())
    assert label["hours"] == 21
    assert label["quality"] == "missing_code|low|saturated"
    (everything,) = daily_labels(flagged(a_day(values)), drop=()).to_dict("records")
    assert everything["pm25"] == everything["pm25_unfiltered"] == label["pm25_unfiltered"]
    (strict,) = daily_labels(flagged(a_day(values)), drop=(*DEFAULT_DROP, "low")).to_dict("records")
    assert strict["hours"] == 20
    with pytest.raises(InputError, match="'stuk' is not known, expected some of missing"):
        daily_labels(flagged(a_day(values)), drop=("stuk",))


def test_a_repeated_hour_counts_once():
    day = a_day(np.arange(18) + 20.0)
    twice = pd.concat([day, day.iloc[:4]], ignore_index=True)
    (label,) = daily_labels(flagged(twice)).to_dict("records")
    assert (label["hours"], label["pm25"]) == (18, pytest.approx(28.5))
    (unfiltered,) = daily_labels(flagged(twice), drop=()).to_dict("records")
    assert unfiltered["hours"] == 18
    differing = pd.concat([day, day.iloc[:1].assign(pm25=70.0)], ignore_index=True)
    (label,) = daily_labels(flagged(differing)).to_dict("records")
    assert (label["hours"], label["quality"]) == (17, "duplicate_time|too_few_hours")


@pytest.mark.parametrize(("date", "hours"), [("2019-03-31", 23), ("2019-10-27", 25), ("2019-06-01", 24)])
def test_days_of_23_and_25_hours(date, hours):
    begin = pd.Timestamp(date, tz="Europe/Berlin").tz_convert("UTC")
    table = a_day(np.arange(60) % 7 + 20.0, begin - 10 * HOUR)
    labels = daily_labels(flagged(table, "Europe/Berlin")).set_index("local_date")
    label = labels.loc[pd.Timestamp(date)]
    assert label["hours"] == hours
    assert label["pm25"] == pytest.approx(table["pm25"].iloc[10 : 10 + hours].mean())


def test_weather_is_averaged_and_wind_as_a_vector():
    hours = 24
    direction = np.where(np.arange(hours) % 2, 350.0, 10.0)
    table = a_day(
        np.arange(hours) + 20.0,
        temperature_c=np.r_[np.nan, np.arange(23.0)],
        wind_speed_ms=np.where(np.arange(hours) % 2, 2.0, 1.0),
        wind_direction_deg=direction,
        precipitation_mm=np.nan,
    )
    (label,) = daily_labels(flagged(table)).to_dict("records")
    assert label["temperature_c"] == pytest.approx(11.0)
    assert label["wind_speed_ms"] == pytest.approx(1.5)
    wind = (np.exp(1j * np.radians(direction)) * table["wind_speed_ms"]).mean()
    assert label["wind_direction_deg"] == pytest.approx(np.degrees(np.angle(wind)) % 360)
    assert 350 < label["wind_direction_deg"] < 360
    assert np.isnan(label["precipitation_mm"])
    opposed = table.assign(wind_direction_deg=np.where(np.arange(hours) % 2, 90.0, 270.0), wind_speed_ms=1.0)
    assert np.isnan(daily_labels(flagged(opposed))["wind_direction_deg"]).all()


def test_rain_is_the_sum_scaled_for_the_hours_that_are_missing():
    rain = np.arange(24) / 10.0
    rain[[3, 17]] = np.nan
    table = flagged(a_day(np.arange(24) + 20.0, precipitation_mm=rain))
    (label,) = daily_labels(table).to_dict("records")
    assert label["precipitation_mm"] == pytest.approx(np.nansum(rain) * 24 / 22)
    begin = table["time_utc"].iloc[0]
    overpasses = pd.DataFrame({"station": "a", "time_utc": [begin + 10.5 * HOUR, begin + 2.5 * HOUR, begin - 9 * HOUR]})
    labels = overpass_labels(table, overpasses, 1.5)
    np.testing.assert_allclose(labels["precipitation_mm"], [0.9 + 1.0 + 1.1, (0.1 + 0.2) * 3 / 2, np.nan])
    complete = a_day(np.arange(24) + 20.0, precipitation_mm=0.5)
    (label,) = daily_labels(flagged(complete)).to_dict("records")
    assert label["precipitation_mm"] == 12


@pytest.mark.parametrize(("hours", "known"), [(24, True), (18, True), (17, False), (1, False)])
def test_the_weather_of_a_day_needs_18_hours_and_that_of_a_window_one(hours, known):
    temperature = np.where(np.arange(24) < hours, 7.0, np.nan)
    day = a_day(np.arange(24) + 20.0, temperature_c=temperature, precipitation_mm=temperature)
    table = flagged(pd.concat([day, day.iloc[:1]], ignore_index=True))  # an hour given twice is one hour
    (label,) = daily_labels(table, min_hours=1).to_dict("records")
    assert [label["temperature_c"], label["precipitation_mm"]] == pytest.approx(
        [7, 168] if known else 2 * [np.nan], nan_ok=True
    )
    overpass = pd.DataFrame({"station": ["a"], "time_utc": [day["time_utc"].iloc[hours - 1] + HOUR]})
    (label,) = overpass_labels(table, overpass, 1).to_dict("records")
    assert [label["temperature_c"], label["precipitation_mm"]] == [7, 14]


def test_daily_readings_are_the_labels():
    days = pd.date_range("2019-01-01", periods=5)
    none = pd.Series(pd.NaT, index=range(5), dtype="datetime64[us, UTC]")
    table = pd.DataFrame({"station": "a", "time_utc": none, "local_date": days, "pm25": [50, np.nan, 999, -2, 70.5]})
    table["wind_direction_deg"] = [0, 90, 180, 270, 359.5]
    table["precipitation_mm"] = [0.0, 2.5, np.nan, 4.0, 1.0]
    stations = pd.DataFrame({"station": ["a"], "station_name": ["a"], "latitude": [28.6], "longitude": [77.2]})
    given = StationRecords(table, stations, "day", "test", {}, (), ())
    labels = daily_labels(flag_records(given, stations))
    np.testing.assert_array_equal(labels["pm25"], [50, np.nan, np.nan, -2, 70.5])
    np.testing.assert_array_equal(labels["pm25_unfiltered"], [50, np.nan, 999, -2, 70.5])
    assert labels["quality"].tolist() == ["", "missing", "saturated", "low", ""]
    assert labels["hours"].isna().all()
    np.testing.assert_allclose(labels["wind_direction_deg"], table["wind_direction_deg"], atol=1e-9)
    np.testing.assert_array_equal(labels["precipitation_mm"], table["precipitation_mm"])
    assert flag_counts(labels) == dict.fromkeys(FLAGS.keys() - {"low_cost"}, 0) | {
        "missing": 1,
        "saturated": 1,
        "low": 1,
    }
    with pytest.raises(InputError, match="--window-hours: found daily readings"):
        overpass_labels(flag_records(given, stations), table[["station", "time_utc"]], 1)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 90), st.sampled_from([5.0, 80.5, -999, 999, np.nan, -4]))),
    st.integers(1, 24),
)
def test_daily_labels_equal_plain_groups(rows, min_hours):
    start = pd.Timestamp("2019-01-01T07:30Z")
    table = pd.DataFrame(rows, columns=["station", "hour", "pm25"]).astype({"hour": "int64", "pm25": "float64"})
    table["station"] = table["station"].astype(str)
    table["time_utc"] = start + pd.to_timedelta(table["hour"], unit="h")
    table = flagged(table)
    labels = daily_labels(table, ("saturated", "stuck", "duplicate_time"), min_hours)
    expected = []
    for (station, date), group in table.groupby(["station", "local_date"]):
        number = group[np.isfinite(group["pm25"]) & ~group["pm25"].isin(CODES)]
        kept = number[~number[["flag_saturated", "flag_stuck", "flag_duplicate_time"]].any(axis=1)]
        mean = kept["pm25"].mean() if kept["time_utc"].nunique() >= min_hours else np.nan
        expected.append((station, date, mean, number["pm25"].mean(), kept["time_utc"].nunique()))
    assert list(zip(labels["station"], labels["local_date"], strict=True)) == [row[:2] for row in expected]
    found = labels[["pm25", "pm25_unfiltered", "hours"]].to_numpy(float)
    np.testing.assert_allclose(found, np.array([row[2:] for row in expected], float).reshape(-1, 3), rtol=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(-120, 60 * 40)), max_size=12),
    st.sampled_from([0.25, 0.5, 1.0, 1.5, 3.0]),
    st.integers(0, 99),
)
def test_overpass_labels_equal_a_plain_loop(passes, window, seed):
    random = np.random.default_rng(seed)
    start = pd.Timestamp("2019-01-01T00:30Z")
    table = pd.DataFrame({"station": np.repeat(["a", "b"], 36), "hour": np.tile(np.arange(36), 2)})
    table["pm25"] = np.where(random.random(72) < 0.2, -999, random.integers(5, 300, 72)).astype(float)
    table["time_utc"] = start + pd.to_timedelta(table.pop("hour"), unit="h")
    table = flagged(table[random.random(72) < 0.8])
    overpasses = pd.DataFrame(passes, columns=["station", "minute"], index=range(5, 5 + len(passes)))
    overpasses["time_utc"] = start + pd.to_timedelta(overpasses.pop("minute").astype("int64"), unit="m")
    labels = overpass_labels(table, overpasses, window)
    pd.testing.assert_index_equal(labels.index, overpasses.index)
    asked = zip(overpasses["station"], overpasses["time_utc"], strict=True)
    for label, (station, time) in zip(labels.to_dict("records"), asked, strict=True):
        near = table[(table["station"] == station) & ((table["time_utc"] + HOUR / 2 - time).abs() <= window * HOUR)]
        kept = near[near["pm25"] > 0]
        assert (label["station"], label["time_utc"], label["hours"]) == (station, time, len(kept))
        assert label["flag_too_few_hours"] == kept.empty
        assert label["flag_missing_code"] == (len(near) > len(kept))
        np.testing.assert_allclose(label["pm25"], kept["pm25"].mean(), rtol=1e-12)


@pytest.mark.parametrize("window", [0, -1, np.nan, np.inf])
def test_a_window_is_a_positive_number(window):
    table = flagged(a_day([20.0, 30.0]))
    with pytest.raises(InputError, match="--window-hours"):
        overpass_labels(table, table[["station", "time_utc"]], window)


@pytest.mark.real
@pytest.mark.skipif(not REAL.is_dir(), reason="no real data here")
def test_daily_means_of_beijing_equal_pandas():
    paths = sorted((REAL / "beijing_labels").glob("PRSA_Data_*.csv"))
    raw = pd.concat([pd.read_csv(path) for path in paths], ignore_index=True)
    local = pd.to_datetime(raw[["year", "month", "day", "hour"]])
    raw["time_utc"] = local.dt.tz_localize("Asia/Shanghai").dt.tz_convert("UTC")
    table = raw[["station", "time_utc"]].assign(pm25=raw["PM2.5"].astype(float), temperature_c=raw["TEMP"])
    labels = daily_labels(flagged(table, "Asia/Shanghai"), ("missing", "saturated"))

    good = raw["PM2.5"].where(raw["PM2.5"] < 985)
    days = raw.assign(good=good, date=local.dt.normalize()).groupby(["station", "date"])
    expected = days["good"].mean().where(days["good"].count() >= 18)
    np.testing.assert_allclose(labels["pm25"], expected, rtol=1e-12)
    np.testing.assert_allclose(labels["pm25_unfiltered"], days["PM2.5"].mean(), rtol=1e-12)
    temperature = days["TEMP"].mean().where(days["TEMP"].count() >= 18)
    assert 0 < temperature.isna().sum() < 30
    np.testing.assert_allclose(labels["temperature_c"], temperature, rtol=1e-9, atol=1e-12)
    assert labels["hours"].sum() == good.count()
    assert list(zip(labels["station"], labels["local_date"], strict=True)) == expected.index.tolist()


@pytest.mark.real
@pytest.mark.skipif(not REAL.is_dir(), reason="no real data here")
def test_valid_days_of_delhi_equal_pandas():
    stations = pd.read_csv(REAL / "delhi_labels" / "stations.csv").rename(
        columns={"lat": "latitude", "lon": "longitude"}
    )
    folder = REAL / "delhi_labels" / "stations"
    raw = {name: pd.read_csv(folder / f"{name}_Pollutants_2018_2020.csv") for name in stations["station"]}
    days = pd.concat(
        [day.assign(station=name)[["station", "Datetime", "PM2.5 (µg/m³)"]] for name, day in raw.items()],
        ignore_index=True,
    )
    none = pd.Series(pd.NaT, index=days.index, dtype="datetime64[us, UTC]")
    table = pd.DataFrame({"station": days["station"], "time_utc": none, "pm25": days["PM2.5 (µg/m³)"]})
    table["local_date"] = pd.to_datetime(days["Datetime"])
    labels = daily_labels(flag_records(StationRecords(table, stations, "day", "test", {}, (), ()), stations))
    by_station = labels.groupby("station")
    valid = by_station["pm25"].count()
    assert len(valid) == 37
    for name, day in raw.items():
        assert valid[name] == day["PM2.5 (µg/m³)"].between(-10, 985, inclusive="left").sum()
