"""Weather of ERA5 single levels, from NetCDF files as the Climate Data Store delivers them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from model_utils.errors import InputError
from model_utils.ingest.weather.quantities import QUANTITIES, known_unit

if TYPE_CHECKING:  # takes a third of a second to import, which most runs need not spend
    import xarray as xr

_NAMES = {
    "t2m": ("t2m", "2t", "var167", "2m_temperature"),
    "d2m": ("d2m", "2d", "var168", "2m_dewpoint_temperature"),
    "sp": ("sp", "var134", "surface_pressure"),
    "u10": ("u10", "10u", "var165", "10m_u_component_of_wind"),
    "v10": ("v10", "10v", "var166", "10m_v_component_of_wind"),
    "tp": ("tp", "var228", "total_precipitation"),
    "blh": ("blh", "var159", "boundary_layer_height"),
}
"""Our name, which is that of the Climate Data Store, and what converters from GRIB write for it."""
_QUANTITY = {
    "t2m": ("temperature", "K"),
    "d2m": ("dew_point", "K"),
    "sp": ("pressure", "Pa"),
    "u10": ("wind_speed", "m/s"),
    "v10": ("wind_speed", "m/s"),
    "tp": ("precipitation", "m"),
    "blh": ("boundary_layer_height", "m"),
}
"""What each variable is, and its unit where the file states none."""
_GRID_STEP = 0.25  # degrees: ERA5's, where a file holds one row or column and so does not tell
_CLASSIC = (b"CDF\x01", b"CDF\x02")  # the netCDF library takes the sizes in a damaged header for memory that it needs
_UNDECODABLE = (OSError, ValueError, RuntimeError, KeyError, TypeError, OverflowError, AttributeError, IndexError)


def relative_humidity_pct(temperature_c: ArrayLike, dew_point_c: ArrayLike) -> NDArray[np.float64]:
    """Relative humidity over water, at most 100 %.

    Magnus' formula with the coefficients of Alduchov and Eskridge (1996, https://doi.org/10.1175/1520-0450(1996)035
    <0601:IMFAOS>2.0.CO;2): e = 6.1094 hPa exp(17.625 t / (243.04 + t)), within 0.4 % from -40 to 50 °C.

    Args:
        temperature_c: Degrees Celsius, any shape.
        dew_point_c: Degrees Celsius, the same shape.
    """
    t, dew = np.asarray(temperature_c, np.float64), np.asarray(dew_point_c, np.float64)
    humidity: NDArray[np.float64] = np.minimum(
        100 * np.exp(17.625 * dew / (243.04 + dew) - 17.625 * t / (243.04 + t)), 100
    )
    return humidity


def read_reanalysis(path: Path, latitudes: Sequence[float], longitudes: Sequence[float], timezone: str) -> pd.DataFrame:
    """Reads the grid points nearest to some places; of a large file nothing else is read.

    Args:
        path: A NetCDF file, or a folder of such files: several periods, or several variables of one period.
        latitudes: WGS84 degrees, one a place.
        longitudes: WGS84 degrees, one a place; -180 to 180 or 0 to 360, as may be the file's.
        timezone: IANA name; decides the local date.

    Returns:
        A row an hour and grid point, sorted: `time_utc` (datetime64[us, UTC]), `local_date` (datetime64, without
        zone), `latitude`, `longitude` (of the grid point, -180 to 180), and of temperature_c, dew_point_c,
        relative_humidity_pct, pressure_hpa (at the ground of the model), wind_speed_ms, wind_direction_deg (where
        from, clockwise from north), precipitation_mm (of the hour that *begins* at the time; the files give it at the
        hour's end) and boundary_layer_height_m those that the files have. All but precipitation are values at the time,
        and `attrs['instantaneous']` is True.

    Raises:
        InputError: A file is broken or no such file, or a place lies outside its grid.
    """
    files = sorted(file for file in path.glob("*.nc*") if file.is_file()) if path.is_dir() else [path]
    if not files or not files[0].exists():
        raise InputError(f"{path}: found no NetCDF file, expected ERA5 single levels (.nc) or a folder of them")
    places = np.stack([np.asarray(latitudes, np.float64), np.asarray(longitudes, np.float64)], axis=1)
    keys = ["time_utc", "latitude", "longitude"]
    table = pd.concat([_read_file(file, places) for file in files], ignore_index=True)
    # expver 1 (final) and 5 (preliminary), and files of different variables: the first value that is known counts.
    table = table.groupby(keys, sort=True).first().reset_index()
    if "tp" in table:
        rain = table.loc[table["tp"].notna(), [*keys, "tp"]]
        rain = rain.assign(time_utc=rain["time_utc"] - pd.Timedelta(hours=1))
        table = table.drop(columns="tp").merge(rain, on=keys, how="outer").sort_values(keys, ignore_index=True)
    raw = {name: table[name] for name in _NAMES if name in table}
    columns = {QUANTITIES[_QUANTITY[name][0]].column: raw[name] for name in ("t2m", "d2m", "sp", "blh") if name in raw}
    if "tp" in raw:
        columns["precipitation_mm"] = raw["tp"].clip(lower=0)  # packing leaves -1e-6
    if "t2m" in raw and "d2m" in raw:
        columns["relative_humidity_pct"] = pd.Series(relative_humidity_pct(raw["t2m"], raw["d2m"]), table.index)
    if "u10" in raw and "v10" in raw:
        columns["wind_speed_ms"] = pd.Series(np.hypot(raw["u10"], raw["v10"]), table.index)
        columns["wind_direction_deg"] = pd.Series(np.degrees(np.arctan2(-raw["u10"], -raw["v10"])) % 360, table.index)
    local_date = table["time_utc"].dt.tz_convert(timezone).dt.tz_localize(None).dt.normalize()
    table = table[keys].assign(local_date=local_date, **columns)
    table.attrs["instantaneous"] = True
    return table


def _read_file(path: Path, places: NDArray[np.float64]) -> pd.DataFrame:
    """Columns time_utc, latitude, longitude and our variables, in the archive's units."""
    import xarray as xr

    try:
        # xarray warns of what it cannot decode: it is an error here, or not looked at
        with path.open("rb") as file:
            engine = "scipy" if file.read(4) in _CLASSIC else "netcdf4"
        with warnings.catch_warnings(action="ignore"), xr.open_dataset(path, engine=engine, cache=False) as data:
            return _selected(path, data, places)
    except InputError:
        raise
    except _UNDECODABLE as error:  # the library's many ways to say that a file is not what it seems
        raise InputError(f"{path}: not readable as NetCDF ({' '.join(str(error).split())[:200]})") from None


def _selected(path: Path, data: xr.Dataset, places: NDArray[np.float64]) -> pd.DataFrame:
    import xarray as xr

    variables = {ours: name for name in map(str, data.data_vars) for ours in _NAMES if name.lower() in _NAMES[ours]}
    latitude, longitude = (
        next((name for name in names if name in data.dims), None)
        for names in (("latitude", "lat"), ("longitude", "lon"))
    )
    if not variables or latitude is None or longitude is None:
        raise InputError(
            f"{path}: found the variables {', '.join(map(str, data.data_vars)) or 'none'} over "
            f"{', '.join(map(str, data.dims)) or 'no dimension'}, expected ERA5 single levels such as t2m over "
            "valid_time, latitude, longitude"
        )
    if data.sizes.get("number", 1) > 1:
        raise InputError(f"{path}: found {data.sizes['number']} ensemble members, expected one")
    grid = [np.asarray(data[name].to_numpy(), np.float64) for name in (latitude, longitude)]
    points = _nearest_points(path, grid[0], grid[1], places)
    picked = data[list(variables.values())].isel(
        {latitude: xr.DataArray(points[:, 0], dims="point"), longitude: xr.DataArray(points[:, 1], dims="point")}
    )
    table = picked.to_dataframe().reset_index()
    time = next((name for name in ("valid_time", "time") if name in table), None)
    if time is None or not pd.api.types.is_datetime64_dtype(table[time]):
        raise InputError(f"{path}: found no times in valid_time or time, expected dates of the standard calendar")
    if "expver" in table:
        table = table.sort_values("expver", kind="stable")
    columns = {
        "time_utc": table[time].dt.as_unit("us").dt.tz_localize("UTC"),
        "latitude": table[latitude].astype(np.float64).round(6),
        "longitude": ((table[longitude].astype(np.float64) + 180) % 360 - 180).round(6),
    }
    for ours, name in variables.items():
        quantity, unit = _QUANTITY[ours]
        stated = str(data[name].attrs.get("units", unit))
        gain, offset = QUANTITIES[quantity].units[known_unit(quantity, stated, f"{path}: variable {name}")]
        columns[ours] = values = gain * table[name].astype(np.float64) + offset
        low, high = (-115.0, 115.0) if ours in ("u10", "v10") else QUANTITIES[quantity].limits
        low -= 0.01  # packing
        if ((values < low) | (values > high)).any():
            raise InputError(
                f"{path}: variable {name} in {stated} is {table[name].min():g} to {table[name].max():g} at the places, "
                f"expected {low:.0f} to {high:.0f} {QUANTITIES[quantity].symbol}"
            )
    return pd.DataFrame(columns)


def _nearest_points(
    path: Path, latitude: NDArray[np.float64], longitude: NDArray[np.float64], places: NDArray[np.float64]
) -> NDArray[np.intp]:
    """Index pairs of the grid points nearest to the places, each once, P x 2."""
    south_north = np.abs(latitude[None, :] - places[:, :1])
    east_west = np.abs((longitude[None, :] - places[:, 1:] + 180) % 360 - 180)
    nearest = np.stack([south_north.argmin(axis=1), east_west.argmin(axis=1)], axis=1)
    for distance, axis in ((south_north.min(axis=1), latitude), (east_west.min(axis=1), longitude)):
        step = float(np.abs(np.diff(axis)).min()) if len(axis) > 1 else _GRID_STEP
        far = ~(distance <= step + 1e-6)
        if far.any():
            place = places[far.argmax()]
            raise InputError(
                f"{path}: no grid point within one step of {step:g} degrees from latitude {place[0]:g}, longitude "
                f"{place[1]:g}, found latitude {latitude.min():g} to {latitude.max():g}, "
                f"longitude {longitude.min():g} to {longitude.max():g}"
            )
    return np.unique(nearest, axis=0)
