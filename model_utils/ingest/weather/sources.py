"""Weather from a file that is not the readings' own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from model_utils.cities import City
from model_utils.errors import InputError
from model_utils.ingest.weather.matching import WEATHER_COLUMNS
from model_utils.ingest.weather.reanalysis import read_reanalysis
from model_utils.ingest.weather.tables import read_weather_table

_NETCDF = (".nc", ".nc4", ".netcdf")
_POINTS_APART = 0.1  # degrees, finer than the grids of reanalyses


def read_weather(path: Path, city: City, timezone: str | None) -> tuple[pd.DataFrame, tuple[Path, ...], list[str]]:
    """Reads a CSV file or ERA5 NetCDF, or a folder of one of them.

    Args:
        path: The file or folder.
        city: Its bounding box says which part of a reanalysis to read.
        timezone: Of times that name none; by default the city's.

    Returns:
        The weather as `WeatherIndex` takes it (`attrs['instantaneous']` is True where values are those at their time,
        absent where they are of the hour that begins then), its files, and lines on what came in.

    Raises:
        InputError: Naming the file, and what is wrong.
    """
    if not path.exists():
        raise InputError(f"{path}: not found, expected weather as .csv or NetCDF (.nc), or a folder of such files")
    files = tuple(sorted(item for item in path.iterdir() if item.is_file())) if path.is_dir() else (path,)
    gridded = tuple(file for file in files if file.suffix.lower() in _NETCDF)
    if gridded:
        box = city.bounding_box
        latitudes, longitudes = np.meshgrid(
            np.append(np.arange(box.south, box.north, _POINTS_APART), box.north),
            np.append(np.arange(box.west, box.east, _POINTS_APART), box.east),
        )
        table = read_reanalysis(path, latitudes.ravel().tolist(), longitudes.ravel().tolist(), city.time_zone)
    else:
        table = read_weather_table(path, city.name, timezone or city.time_zone)
        if table["time_utc"].notna().any():  # the clock of a table need not be the city's
            table["local_date"] = table["time_utc"].dt.tz_convert(city.zone).dt.tz_localize(None).dt.normalize()
    columns = [name for name in WEATHER_COLUMNS if name in table]
    places = "the whole city"
    for key in ("station", "latitude"):
        if key in table:
            keys = ["station"] if key == "station" else ["latitude", "longitude"]
            places = f"{len(table[keys].drop_duplicates())} {'stations' if key == 'station' else 'grid points'}"
            break
    first, last = table["local_date"].min(), table["local_date"].max()
    line = f"weather: {', '.join(columns)} of {places}, {first:%Y-%m-%d} to {last:%Y-%m-%d}"
    files = gridded or tuple(file for file in files if file.suffix.lower() == ".csv")
    return table, files, [line, *table.attrs.get("notes", ())]
