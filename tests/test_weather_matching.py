"""The weather of each tile, against a loop over the rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from model_utils.ingest.weather.matching import WeatherIndex


def tiles(count: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    time = pd.Timestamp("2020-01-02", tz="UTC") + pd.to_timedelta(rng.uniform(0, 96, count), unit="h").round("s")
    return pd.DataFrame(
        {
            "site_id": rng.choice(["A", "B b", "grid_1"], count),
            "latitude": rng.uniform(28, 29, count),
            "longitude": rng.uniform(77, 78, count),
            "time_utc": time.as_unit("us"),
            "local_date": time.tz_convert("Asia/Kolkata").tz_localize(None).normalize().as_unit("us"),
        },
        index=rng.permutation(count) + 100,
    )


def hourly(seed: int, places: pd.DataFrame) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    time = pd.date_range("2020-01-01", periods=24 * 7, freq="h", tz="UTC").as_unit("us")
    table = places.merge(pd.DataFrame({"time_utc": time}), how="cross")
    table["local_date"] = table["time_utc"].dt.tz_convert("Asia/Kolkata").dt.tz_localize(None).dt.normalize()
    table["temperature_c"] = rng.normal(10, 5, len(table))
    table.loc[rng.random(len(table)) < 0.25, "temperature_c"] = np.nan
    table["wind_direction_deg"] = rng.choice([350.0, 10.0], len(table))
    table["precipitation_mm"] = rng.exponential(0.5, len(table))
    return table.sample(frac=1, random_state=seed)


@pytest.mark.parametrize(("window", "instantaneous"), [(None, False), (None, True), (1.5, False), (1.5, True)])
@pytest.mark.parametrize("kind", ["city", "station", "grid"])
def test_matching_equals_a_loop_over_the_rows(kind: str, window: float | None, instantaneous: bool) -> None:
    places = {
        "city": pd.DataFrame(index=[0]),
        "station": pd.DataFrame({"station": ["A", "B_B", "C"]}),
        "grid": pd.DataFrame({"latitude": [28.0, 28.5, 29.0] * 2, "longitude": [77.25] * 3 + [77.75] * 3}),
    }[kind]
    source, rows = hourly(1, places), tiles(60, 2)
    result = WeatherIndex(source, window, instantaneous).at(rows)
    assert result.index.equals(rows.index)
    for index, row in rows.iterrows():
        here = source
        if kind == "station":
            here = source[source["station"].str.lower().str.replace("_", "") == row["site_id"].lower().replace(" ", "")]
        if kind == "grid":
            north = source["latitude"] - row["latitude"]
            east = (source["longitude"] - row["longitude"]) * np.cos(np.radians(row["latitude"]))
            here = source[north**2 + east**2 < (north**2 + east**2).min() + 1e-12]
        if window is None:
            part = wet = here[here["local_date"] == row["local_date"]]
            enough = 18
        else:
            half_hour, reach = pd.Timedelta(minutes=30), pd.Timedelta(hours=window)
            wet = part = here[(here["time_utc"] + half_hour - row["time_utc"]).abs() <= reach]
            if instantaneous:
                part = here[(here["time_utc"] - row["time_utc"]).abs() <= reach]
            enough = 1
        values = part["temperature_c"].dropna()
        expected = values.mean() if len(values) >= enough else np.nan
        np.testing.assert_allclose(result.loc[index, "temperature_c"], expected)
        if len(part) >= enough:
            angle = np.exp(1j * np.radians(part["wind_direction_deg"])).mean()
            np.testing.assert_allclose(
                np.exp(1j * np.radians(result.loc[index, "wind_direction_deg"])), angle / abs(angle), atol=1e-9
            )
        total = wet["precipitation_mm"].mean() * (24 if window is None else 3) if len(wet) >= enough else np.nan
        np.testing.assert_allclose(result.loc[index, "precipitation_mm"], total)


def test_daily_weather_belongs_to_its_local_date() -> None:
    rows = tiles(40, 3)
    days = pd.date_range("2020-01-01", "2020-01-05").as_unit("us")
    source = pd.DataFrame({"local_date": days, "time_utc": pd.NaT, "temperature_c": np.arange(5.0)})
    expected = (rows["local_date"] - days[0]).dt.days.where(rows["local_date"] <= days[-1]).astype(float)
    for window in (None, 2.0):
        np.testing.assert_array_equal(WeatherIndex(source, window).at(rows)["temperature_c"], expected)


def test_an_index_is_asked_in_any_blocks_and_keeps_its_source_as_it_was() -> None:
    places = pd.DataFrame({"latitude": [28.0, 28.5, 29.0] * 2, "longitude": [77.25] * 3 + [77.75] * 3})
    source, rows = hourly(4, places), tiles(50, 5)
    for window in (None, 2.0):
        before = source.copy()
        index = WeatherIndex(source, window)
        blocks = [index.at(rows.iloc[start : start + 7]) for start in range(0, len(rows), 7)]
        pd.testing.assert_frame_equal(pd.concat(blocks), index.at(rows))
        pd.testing.assert_frame_equal(source, before)


def test_observations_hours_apart_are_taken_at_their_own_time() -> None:
    times = pd.date_range("2020-01-02", periods=16, freq="3h", tz="UTC").as_unit("us")
    source = pd.DataFrame({"time_utc": times, "temperature_c": np.arange(16.0)})
    source["local_date"] = times.tz_localize(None).normalize()
    row = pd.DataFrame({"site_id": ["A"], "time_utc": times[2:3] - pd.Timedelta(minutes=50)})
    row["local_date"] = times[:1].tz_localize(None)
    assert WeatherIndex(source, 1.0).at(row)["temperature_c"].tolist() == [2]
    assert WeatherIndex(source).at(row)["temperature_c"].tolist() == [3.5]
