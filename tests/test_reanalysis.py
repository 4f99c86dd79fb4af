from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model_utils.errors import InputError
from model_utils.ingest.weather.matching import WeatherIndex
from model_utils.ingest.weather.reanalysis import read_reanalysis, relative_humidity_pct

REAL = Path(__file__).resolve().parents[2] / "shared" / "real"
ZONE = "Asia/Kolkata"
RAIN_AROUND = ["2020-01-02T22:20", "2020-01-02T23:10", "2020-01-02T23:50", "2020-01-03T00:40"]
LATITUDES, LONGITUDES = np.arange(30.0, 27.9, -0.25), np.arange(76.0, 78.1, 0.25)


def era5(hours: int = 30, time: str = "valid_time", longitudes: np.ndarray = LONGITUDES) -> xr.Dataset:
    rng = np.random.default_rng(0)
    times = pd.date_range("2020-01-01", periods=hours, freq="h")
    dims = (time, "latitude", "longitude")
    shape = (hours, len(LATITUDES), len(longitudes))
    dew = rng.normal(278, 3, shape)
    fields = {
        "t2m": (dew + rng.uniform(0, 10, shape), "K"),
        "d2m": (dew, "K"),
        "sp": (rng.normal(98500, 300, shape), "Pa"),
        "msl": (rng.normal(101500, 300, shape), "Pa"),
        "u10": (rng.normal(0, 3, shape), "m s**-1"),
        "v10": (rng.normal(0, 3, shape), "m s**-1"),
        "tp": (rng.exponential(1e-4, shape), "m"),
        "blh": (rng.uniform(50, 2000, shape), "m"),
    }
    variables = {name: (dims, values.astype("f4"), {"units": unit}) for name, (values, unit) in fields.items()}
    return xr.Dataset(variables, {time: times, "latitude": LATITUDES, "longitude": longitudes})


def saved(data: xr.Dataset, path: Path, **options: object) -> Path:
    data.to_netcdf(path, engine="netcdf4", **options)  # type: ignore[call-overload]
    return path


@pytest.mark.parametrize("time", ["valid_time", "time"])
def test_every_variable_at_the_nearest_point(tmp_path: Path, time: str) -> None:
    data = era5(time=time)
    table = read_reanalysis(saved(data, tmp_path / "a.nc"), [28.61, 28.60], [77.20, 77.21], ZONE)
    point = data.isel(latitude=6, longitude=5)  # 28.50, 77.25
    assert float(point["latitude"]) == 28.5
    assert (table["latitude"] == 28.5).all()
    assert (table["longitude"] == 77.25).all()
    stamps = pd.DatetimeIndex(data[time].to_numpy())
    hour = pd.Timedelta(hours=1)
    assert table["time_utc"].dt.tz_localize(None).tolist() == [stamps[0] - hour, *stamps]
    assert table.attrs["instantaneous"] is True
    local = table["time_utc"] + pd.Timedelta(hours=5, minutes=30)
    assert table["local_date"].tolist() == local.dt.tz_localize(None).dt.normalize().tolist()
    close = {"rtol": 1e-6, "atol": 1e-4}
    np.testing.assert_allclose(table["precipitation_mm"][:-1], point["tp"] * 1000, **close)  # the hour before the stamp
    assert np.isnan(table["precipitation_mm"].iloc[-1])
    assert np.isnan(table["temperature_c"].iloc[0])
    table = table.iloc[1:]
    np.testing.assert_allclose(table["temperature_c"], point["t2m"] - 273.15, **close)
    np.testing.assert_allclose(table["dew_point_c"], point["d2m"] - 273.15, **close)
    np.testing.assert_allclose(table["pressure_hpa"], point["sp"] / 100, **close)
    np.testing.assert_allclose(table["boundary_layer_height_m"], point["blh"], **close)
    toward = np.radians(table["wind_direction_deg"] + 180)
    np.testing.assert_allclose(table["wind_speed_ms"] * np.sin(toward), point["u10"], **close)
    np.testing.assert_allclose(table["wind_speed_ms"] * np.cos(toward), point["v10"], **close)
    assert table["relative_humidity_pct"].between(20, 100).all()


def test_rain_stamped_at_midnight_fell_on_the_day_before(tmp_path: Path) -> None:
    data = era5(80)[["t2m", "tp"]]
    data["tp"][:] = 0
    data["tp"][48] = 0.003  # 2020-01-03T00:00 UTC
    table = read_reanalysis(saved(data, tmp_path / "a.nc"), [28.5], [77.25], "UTC")
    rows = pd.DataFrame({"latitude": 28.5, "longitude": 77.25, "time_utc": pd.to_datetime(RAIN_AROUND, utc=True)})
    rows["local_date"] = rows["time_utc"].dt.tz_localize(None).dt.normalize()
    days = WeatherIndex(table, None, instantaneous=True).at(rows)
    np.testing.assert_allclose(days["precipitation_mm"], [3, 3, 3, 0], atol=1e-6)
    assert days["temperature_c"].notna().all()
    around = WeatherIndex(table, 0.5, instantaneous=True).at(rows)
    np.testing.assert_allclose(around["precipitation_mm"], [0, 3, 3, 0], atol=1e-6)  # it fell from 23:00 to 24:00
    point = data["t2m"].sel(latitude=28.5, longitude=77.25).to_numpy() - 273.15
    np.testing.assert_allclose(around["temperature_c"], point[[46, 47, 48, 49]], atol=1e-4)


def test_humidity_against_tabulated_vapour_pressure() -> None:
    # Saturation vapour pressure over water, hPa (Sonntag 1990, as tabulated by the WMO).
    tabulated = {0.0: 6.112, 10.0: 12.281, 20.0: 23.388, 30.0: 42.455}
    for dew, e in tabulated.items():
        for t, es in tabulated.items():
            if dew <= t:
                assert relative_humidity_pct(t, dew) == pytest.approx(100 * e / es, rel=4e-3)
    assert relative_humidity_pct(10.0, 10.2) == 100


@pytest.mark.parametrize("shift", [0, 360])
def test_either_convention_of_longitude(tmp_path: Path, shift: int) -> None:
    west = np.arange(-118.5, -117.4, 0.25)
    path = saved(era5(3, longitudes=west + shift), tmp_path / "a.nc")
    tables = [read_reanalysis(path, [29.0], [longitude], ZONE) for longitude in (-118.01, 241.99)]
    for table in tables:
        assert table["longitude"].tolist() == [-118.0] * 4  # three stamps, and the hour before
    pd.testing.assert_frame_equal(*tables)


def test_a_grid_around_the_globe_closes(tmp_path: Path) -> None:
    path = saved(era5(2, longitudes=np.arange(0, 360, 0.5)), tmp_path / "a.nc")
    assert set(read_reanalysis(path, [29.0], [-0.1], ZONE)["longitude"]) == {0.0}


def test_packed_numbers_and_fill_values(tmp_path: Path) -> None:
    data = era5()[["t2m", "sp"]]
    data["t2m"][3] = np.nan
    packing = {"t2m": {"dtype": "i2", "scale_factor": 0.002, "add_offset": 283.0, "_FillValue": -32767}}
    table = read_reanalysis(saved(data, tmp_path / "a.nc", encoding=packing), [28.5], [77.25], ZONE)
    expected = data["t2m"].sel(latitude=28.5, longitude=77.25) - 273.15
    np.testing.assert_allclose(table["temperature_c"], expected, atol=0.0011)
    assert table["temperature_c"].isna().tolist() == [row == 3 for row in range(30)]


def test_final_and_preliminary_are_merged(tmp_path: Path) -> None:
    data = era5(time="time")
    late = xr.DataArray(np.arange(30) >= 20, dims="time")
    both = xr.concat([data.where(~late), data.where(late)], pd.Index([1, 5], name="expver"))
    one = read_reanalysis(saved(both, tmp_path / "two.nc"), [28.5], [77.25], ZONE)
    pd.testing.assert_frame_equal(one, read_reanalysis(saved(data, tmp_path / "one.nc"), [28.5], [77.25], ZONE))
    named = data.rename(time="valid_time").assign_coords(number=0, expver=("valid_time", ["0001"] * 30))
    pd.testing.assert_frame_equal(one, read_reanalysis(saved(named, tmp_path / "new.nc"), [28.5], [77.25], ZONE))


def test_files_of_periods_and_of_variables_join(tmp_path: Path) -> None:
    data = era5()
    folder = tmp_path / "parts"
    folder.mkdir()
    saved(data[["t2m", "sp", "u10", "v10"]].isel(valid_time=slice(12)), folder / "b.nc")
    saved(data[["t2m", "sp", "u10", "v10"]].isel(valid_time=slice(10, 30)), folder / "a.nc")
    saved(data[["d2m", "tp", "blh"]], folder / "accum.nc")
    parts = read_reanalysis(folder, [28.5, 29.5], [77.25, 76.0], ZONE)
    whole = read_reanalysis(saved(data, tmp_path / "a.nc"), [28.5, 29.5], [77.25, 76.0], ZONE)
    pd.testing.assert_frame_equal(parts, whole)
    assert len(whole) == 62  # the rain of the first stamp fell in the hour before it


def test_names_of_converters_from_grib(tmp_path: Path) -> None:
    data = era5()[["t2m", "u10", "v10"]]
    plain = read_reanalysis(saved(data, tmp_path / "a.nc"), [28.5], [77.25], ZONE)
    names = {"t2m": "2t", "u10": "10u", "v10": "10v", "latitude": "lat", "longitude": "lon", "valid_time": "time"}
    other = saved(data.rename(names), tmp_path / "b.nc")
    pd.testing.assert_frame_equal(read_reanalysis(other, [28.5], [77.25], ZONE), plain)
    # Forecast steps: time + step = valid_time.
    steps = xr.concat(
        [data.isel(valid_time=slice(k, 30, 2)).assign_coords(valid_time=range(15)) for k in (0, 1)], "step"
    )
    steps = steps.rename(valid_time="time").assign_coords(
        time=data["valid_time"].to_numpy()[::2], step=np.array([0, 1], "timedelta64[h]").astype("timedelta64[ns]")
    )
    steps = steps.assign_coords(valid_time=steps["time"] + steps["step"])
    pd.testing.assert_frame_equal(read_reanalysis(saved(steps, tmp_path / "c.nc"), [28.5], [77.25], ZONE), plain)


def test_places_off_the_grid_are_refused(tmp_path: Path) -> None:
    path = saved(era5(2), tmp_path / "a.nc")
    read_reanalysis(path, [30.2], [78.2], ZONE)
    with pytest.raises(InputError, match=r"latitude 30\.3, longitude 77, found latitude 28 to 30, longitude 76 to 78"):
        read_reanalysis(path, [28.5, 30.3], [77.0, 77.0], ZONE)
    with pytest.raises(InputError, match=r"no grid point within one step of 0\.25 degrees"):
        read_reanalysis(path, [28.5], [-77.0], ZONE)


def test_files_of_another_kind(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found no NetCDF file"):
        read_reanalysis(tmp_path / "absent.nc", [28.5], [77.0], ZONE)
    with pytest.raises(InputError, match="found no NetCDF file"):
        read_reanalysis(tmp_path, [28.5], [77.0], ZONE)
    other = saved(xr.Dataset({"blue": ("x", [1.0])}), tmp_path / "a.nc")
    with pytest.raises(InputError, match="found the variables blue over x, expected ERA5 single levels"):
        read_reanalysis(other, [28.5], [77.0], ZONE)
    celsius = era5(2)[["t2m"]]
    celsius["t2m"] = celsius["t2m"] - 273.15  # and the unit is lost with it, or says kelvin
    celsius["t2m"].attrs["units"] = "K"
    with pytest.raises(InputError, match=r"variable t2m in K is .* expected -90 to 57 °C"):
        read_reanalysis(saved(celsius, tmp_path / "b.nc"), [28.5], [77.0], ZONE)
    celsius["t2m"].attrs["units"] = "degC"
    assert (
        read_reanalysis(saved(celsius, tmp_path / "c.nc"), [28.5], [77.0], ZONE)["temperature_c"].between(-10, 40).all()
    )
    members = xr.concat([era5(2), era5(2)], pd.Index([0, 1], name="number"))
    with pytest.raises(InputError, match="found 2 ensemble members"):
        read_reanalysis(saved(members, tmp_path / "d.nc"), [28.5], [77.0], ZONE)
    timeless = era5(2).isel(valid_time=0, drop=True)
    with pytest.raises(InputError, match="found no times"):
        read_reanalysis(saved(timeless, tmp_path / "e.nc"), [28.5], [77.0], ZONE)


@pytest.mark.real
@pytest.mark.skipif(not REAL.is_dir(), reason="real data folder is absent")
def test_a_scene_in_netcdf_is_no_weather() -> None:
    for path in (REAL / "other_rasters").glob("*.nc"):
        with pytest.raises(InputError, match="found the variables blue, green"):
            read_reanalysis(path, [28.5], [77.0], ZONE)


@given(
    cut=st.floats(0, 0.999),
    flips=st.lists(st.floats(0, 1), max_size=4),
    kind=st.sampled_from(["NETCDF4", "NETCDF3_CLASSIC"]),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_broken_files_are_refused_quietly(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], cut: float, flips: list[float], kind: str
) -> None:
    whole = tmp_path / f"{kind}.nc"
    if not whole.exists():
        saved(era5(4), whole, format=kind)
    data = bytearray(whole.read_bytes())
    if not flips:
        data = data[: int(cut * len(data))]
    for place in flips:
        data[int(place * (len(data) - 1))] ^= 0xFF
    path = tmp_path / "broken.nc"
    path.write_bytes(data)
    said = "broken.nc"
    try:
        read_reanalysis(path, [28.5], [77.25], ZONE)
    except InputError as error:
        said = str(error)
    assert "\n" not in said
    assert "broken.nc" in said
    assert capfd.readouterr() == ("", "")


def test_a_large_file_stays_small_in_memory(tmp_path: Path) -> None:
    hours, size = 200, 400
    data = xr.Dataset(
        {"t2m": (("valid_time", "latitude", "longitude"), np.full((hours, size, size), 280, "f4"))},
        {
            "valid_time": pd.date_range("2020-01-01", periods=hours, freq="h"),
            "latitude": np.linspace(60, 20, size),
            "longitude": np.linspace(60, 100, size),
        },
    )
    path = saved(data, tmp_path / "large.nc")
    assert path.stat().st_size > 1.2e8
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from model_utils.ingest.weather.reanalysis import read_reanalysis\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"read_reanalysis(Path(sys.argv[1]), [28.5, 28.7], [77.2, 77.0], {ZONE!r})\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    unit = 1024 if sys.platform == "linux" else 1
    assert int(done.stdout) * unit < 6e7, done.stdout
    assert done.stderr == ""
