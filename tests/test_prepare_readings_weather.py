"""Weather from elsewhere precedes that of the readings, tile by tile."""

from __future__ import annotations

from datetime import datetime
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from readings_town import GSD, HOUR, WINDOW, prepared, utc, write_city, write_scenes
from readings_writers import PLACES

from model_utils.archive.reader import open_archive

WEATHER_ZONE = "Asia/Kathmandu"
PASSES = ("2019-01-03T10:40:00", "2019-01-04T23:20:00", "2019-01-06T10:40:00")
STATIONS = {name: PLACES[code] for name, code in (("Ason", "1001A"), ("Thamel", "1002A"), ("Patan", "1003A"))}
HOURLY = pd.date_range("2019-01-02", "2019-01-06", freq="h", inclusive="left")
"""Of the clock in Kathmandu: the last overpass has no weather from elsewhere."""


@pytest.fixture
def town(tmp_path: Path) -> Path:
    """Three stations, three scenes, and readings with a temperature of 4 degrees and a pressure of 880 hPa."""
    write_city(tmp_path, "Town", WEATHER_ZONE, (28.60, 77.19, 28.69, 77.27))
    times = [utc(local, WEATHER_ZONE) for local in PASSES]
    write_scenes(tmp_path / "scenes", times, "EPSG:32643", (28.6425, 77.231), GSD, 80)
    hours = pd.date_range("2019-01-02", "2019-01-08", freq="h", inclusive="left")
    of_station = [
        pd.DataFrame({"station": name, "latitude": at[0], "longitude": at[1], "time": hours, "value": 55.0})
        for name, at in STATIONS.items()
    ]
    pd.concat(of_station).assign(temperature_c=4.0, pressure_hpa=880.0).to_csv(tmp_path / "readings.csv", index=False)
    return tmp_path


def weather_rows(town: Path, meteorology: Path, **settings: Any) -> pd.DataFrame:
    """The archive's rows by station and overpass."""
    common = {"readings": town / "readings.csv", "timezone": WEATHER_ZONE, "meteorology": meteorology}
    prepared(town, town / "scenes", **common, **settings)
    samples = open_archive(town / "data" / "Town").samples
    assert len(samples) == 9
    assert np.allclose(samples["pm25"], 55)
    assert np.allclose(samples["pressure_hpa"][samples["local_date"].astype(str) == "2019-01-06"], 880)
    local = samples["time_utc"].dt.tz_convert(WEATHER_ZONE).dt.strftime("%Y-%m-%dT%H:%M:%S")
    return samples.set_index([samples["site_id"], local])


def test_weather_of_the_city_precedes_that_of_the_readings(town: Path) -> None:
    kelvin = 280 + 8 * np.sin(np.arange(len(HOURLY)) / 5)
    rain = np.arange(len(HOURLY)) % 3 / 10
    humidity = np.linspace(30, 80, len(HOURLY))
    table = pd.DataFrame({"datetime": HOURLY, "TEMP (K)": kelvin, "RH (%)": humidity, "RAIN (mm)": rain})
    table.to_csv(town / "Town.csv", index=False)
    for window in (None, WINDOW):
        rows = weather_rows(town, town / "Town.csv", window_hours=window)
        for station in STATIONS:
            for local in PASSES[:2]:
                if window is None:
                    hours = [at for at, hour in enumerate(HOURLY) if str(hour.date()) == local[:10]]
                    assert len(hours) == 24
                else:
                    clock = datetime.fromisoformat(local)
                    hours = [at for at, hour in enumerate(HOURLY) if abs(hour + HOUR / 2 - clock) <= window * HOUR]
                    assert len(hours) == 3
                row = rows.loc[(station, local)]
                assert row["temperature_c"] == pytest.approx(np.mean(kelvin[hours]) - 273.15, abs=1e-4)
                assert row["relative_humidity_pct"] == pytest.approx(np.mean(humidity[hours]), rel=1e-6)
                assert row["precipitation_mm"] == pytest.approx(np.sum(rain[hours]), rel=1e-6)
                assert row["pressure_hpa"] == 880  # of the readings: this weather has none
            row = rows.loc[(station, PASSES[2])]  # a day without this weather
            assert row["temperature_c"] == 4
            assert isnan(row["relative_humidity_pct"])


def test_weather_of_some_stations_precedes_that_of_the_readings(town: Path) -> None:
    (town / "weather").mkdir()
    for name, degrees in (("Ason", 11.5), ("thamel", 13.25)):
        days = pd.DataFrame({"date": pd.date_range("2019-01-03", periods=2), "temperature_c": [degrees, degrees + 1]})
        days.assign(**{"BP (mmHg)": 700.0}).to_csv(town / "weather" / f"{name}.csv", index=False)
    rows = weather_rows(town, town / "weather")
    found = rows["temperature_c"].unstack()[list(PASSES)]
    expected = {"Ason": [11.5, 12.5, 4], "Patan": [4, 4, 4], "Thamel": [13.25, 14.25, 4]}
    assert {name: values.tolist() for name, values in found.iterrows()} == expected
    pressure = rows["pressure_hpa"].unstack().loc["Thamel", list(PASSES)]
    np.testing.assert_allclose(pressure, [700 * 101_325 / 76_000, 700 * 101_325 / 76_000, 880], rtol=1e-6)


@pytest.mark.parametrize(
    ("day", "said"),
    [
        ("2019-01-03", "weather: temperature_c at 3 of 9 station tiles"),
        ("2018-01-03", "warning: weather: temperature_c at 0 of 9 station tiles"),
    ],
)
def test_how_many_tiles_have_weather_is_said(
    town: Path, capsys: pytest.CaptureFixture[str], day: str, said: str
) -> None:
    places = [{"station": name, "latitude": at[0], "longitude": at[1]} for name, at in STATIONS.items()]
    pd.DataFrame(places).to_csv(town / "stations.csv", index=False)
    (town / "Town.csv").write_text(f"date,temperature_c\n{day},5\n")
    prepared(town, town / "scenes", stations=town / "stations.csv", meteorology=town / "Town.csv")
    assert f"  {said}" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("window", [None, WINDOW])
def test_weather_of_a_reanalysis_precedes_that_of_the_readings(town: Path, window: float | None) -> None:
    times = pd.date_range("2019-01-02T00:00", "2019-01-05T18:00", freq="h")  # UTC: a quarter past the hour in Kathmandu
    latitudes, longitudes = np.arange(29.0, 28.24, -0.2), np.arange(76.75, 77.76, 0.25)
    shape = (len(times), len(latitudes), len(longitudes))
    generator = np.random.default_rng(1)
    fields = {
        "t2m": (generator.normal(283, 3, shape), "K"),
        "sp": (generator.normal(87_000, 200, shape), "Pa"),
        "blh": (generator.uniform(50, 900, shape), "m"),
    }
    dims = ("valid_time", "latitude", "longitude")
    variables = {name: (dims, values.astype("f4"), {"units": unit}) for name, (values, unit) in fields.items()}
    coordinates = {"valid_time": times, "latitude": latitudes, "longitude": longitudes}
    xr.Dataset(variables, coordinates).to_netcdf(town / "era5.nc", engine="netcdf4")
    rows = weather_rows(town, town / "era5.nc", window_hours=window)
    for (station, local), row in rows.iterrows():
        latitude, longitude = STATIONS[station]
        point = (abs(latitudes - latitude).argmin(), abs(longitudes - longitude).argmin())
        clock = times.tz_localize("UTC").tz_convert(WEATHER_ZONE)
        if window is None:
            hours = np.array([str(time.date()) == local[:10] for time in clock])
        else:
            hours = np.array([abs(time - utc(local, WEATHER_ZONE)) <= window * HOUR for time in clock])
        if local == PASSES[2]:
            assert not hours.any()
            assert (row["temperature_c"], row["pressure_hpa"]) == (4, 880)
            assert isnan(row["boundary_layer_height_m"])
            continue
        assert hours.sum() == (24 if window is None else 3)
        mean = {name: values[hours, *point].mean() for name, (values, _) in fields.items()}
        assert row["temperature_c"] == pytest.approx(mean["t2m"] - 273.15, abs=1e-3)
        assert row["pressure_hpa"] == pytest.approx(mean["sp"] / 100, rel=1e-5)
        assert row["boundary_layer_height_m"] == pytest.approx(mean["blh"], rel=1e-5)
