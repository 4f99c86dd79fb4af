"""Daily station readings as India's Central Pollution Control Board (CPCB) exports them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from model_utils.errors import InputError

COLUMNS = {
    "PM2.5 (µg/m³)": "pm25",
    "AT (°C)": "temperature_c",
    "RH (%)": "relative_humidity_pct",
    "BP (mmHg)": "pressure_hpa",
}
SATURATION = 985.0
"""The monitors' scale ends at 985 or 1000 ug/m3, and 999 is a missing code: none of it is a reading."""

_HPA_PER_MMHG = 1013.25 / 760


def read_daily_readings(folder: Path) -> pd.DataFrame:
    """Reads all stations of a folder.

    Args:
        folder: Holds stations.csv (columns station, lat, lon; WGS84 degrees) and stations/*.csv, one file a
            station whose name begins with the station's. The day is the column Datetime.

    Returns:
        One row a station and day, sorted by both: station, latitude, longitude, local_date, pm25 (ug/m3, NaN
        without a valid reading), quality ('', or why a reading was set aside: 'negative', 'saturated'),
        temperature_c, relative_humidity_pct, pressure_hpa (NaN where implausible).

    Raises:
        InputError: Naming the file, column or row that is wrong.
    """
    places = _read_stations(folder / "stations.csv")
    files = sorted((folder / "stations").glob("*.csv"))
    if not files:
        raise InputError(f"{folder / 'stations'}: found no .csv file, expected one a station")
    tables: dict[str, pd.DataFrame] = {}
    for path in files:
        names = [name for name in places.index if path.stem == name or path.stem.startswith(f"{name}_")]
        if not names:
            raise InputError(f"{path}: no station of {folder / 'stations.csv'} begins this file's name")
        name = max(names, key=len)
        if name in tables:
            raise InputError(f"{path}: a second file of station {name!r}")
        tables[name] = _read_station(path).assign(station=name)
    if missing := sorted(set(places.index) - set(tables)):
        raise InputError(f"{folder / 'stations'}: found no file of station {missing[0]!r}")
    table = pd.concat(tables.values(), ignore_index=True)
    table = table.join(places, on="station").sort_values(["station", "local_date"], ignore_index=True)
    order = ["station", "latitude", "longitude", "local_date", "pm25", "quality"]
    return table[[*order, "temperature_c", "relative_humidity_pct", "pressure_hpa"]]


def _read_csv(path: Path, needed: list[str]) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, low_memory=False)
    except FileNotFoundError:
        raise InputError(f"{path}: not found") from None
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
        raise InputError(f"{path}: not readable as CSV ({' '.join(str(error).split())})") from None
    for name in needed:
        if name not in table:
            raise InputError(f"{path}: column {name!r} is missing")
    return table


def _numbers(path: Path, column: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(column, errors="coerce").astype(float)
    wrong = numbers.isna() & column.notna()
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        raise InputError(f"{path}: row {row + 2}: {column.name} is {column.iloc[row]!r}, expected a number")
    return numbers


def _read_stations(path: Path) -> pd.DataFrame:
    table = _read_csv(path, ["station", "lat", "lon"])
    if table.empty:
        raise InputError(f"{path}: found no station")
    places = pd.DataFrame(
        {
            "station": table["station"].astype(str),
            "latitude": _numbers(path, table["lat"]),
            "longitude": _numbers(path, table["lon"]),
        }
    )
    bad = ~(places["latitude"].abs().le(90) & places["longitude"].abs().le(180))
    if bad.any():
        row = int(bad.to_numpy().argmax())
        found = f"{places['latitude'].iloc[row]}, {places['longitude'].iloc[row]}"
        raise InputError(f"{path}: row {row + 2}: {found} are not WGS84 degrees")
    if (repeated := places["station"].duplicated()).any():
        raise InputError(f"{path}: station {places['station'][repeated].iloc[0]!r} is listed twice")
    return places.set_index("station")


def _read_station(path: Path) -> pd.DataFrame:
    raw = _read_csv(path, ["Datetime", *COLUMNS])
    dates = pd.to_datetime(raw["Datetime"], errors="coerce")
    if dates.isna().any():
        row = int(dates.isna().to_numpy().argmax())
        raise InputError(f"{path}: row {row + 2}: Datetime is {raw['Datetime'].iloc[row]!r}, expected a date")
    dates = dates.dt.normalize()
    if dates.duplicated().any():
        row = int(dates.duplicated().to_numpy().argmax())
        raise InputError(f"{path}: row {row + 2}: {dates.iloc[row].date()} came before, expected one row a day")
    table = pd.DataFrame({name: _numbers(path, raw[column]) for column, name in COLUMNS.items()})
    pm25 = table["pm25"]
    table["quality"] = np.select([pm25 < 0, pm25 >= SATURATION], ["negative", "saturated"], "")
    table["pm25"] = pm25.where(pm25.between(0, SATURATION, inclusive="left"))
    table["temperature_c"] = table["temperature_c"].where(table["temperature_c"].between(-40, 55))
    humidity = table["relative_humidity_pct"]
    table["relative_humidity_pct"] = humidity.where(humidity.between(0, 100, inclusive="right"))
    table["pressure_hpa"] = _to_hpa(table["pressure_hpa"])
    return table.assign(local_date=dates)


def _to_hpa(pressure: pd.Series) -> pd.Series:
    """Stations report hPa or mmHg under one heading; near sea level the two do not overlap."""
    converted = pressure.where(~pressure.between(650, 800), pressure * _HPA_PER_MMHG)
    return converted.where(converted.between(900, 1100))
