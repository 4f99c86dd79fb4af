"""The Historical Weather API of Open-Meteo: https://open-meteo.com/en/docs/historical-weather-api.

It needs no key and is free for what is not sold. Answers are kept as they come, a file a point and year, and made into
one table.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode

import numpy as np
import pandas as pd

from model_utils import atomic
from model_utils.cities import BoundingBox, City
from model_utils.fetching.transfer.rate_limit import RateLimit
from model_utils.fetching.transfer.remote_file import RemoteFile
from model_utils.fetching.weather.days import Span

ARCHIVE = "https://archive-api.open-meteo.com"
ARCHIVE_VARIABLE = "PM25_OPEN_METEO_ENDPOINT"
LICENCE = "CC BY 4.0"
ATTRIBUTION = "Weather data by Open-Meteo.com; contains modified Copernicus Climate Change Service information"
DAYS_BEHIND = {"era5": 6, "best_match": 3}
"""The documented delays are 5 and 2 days; a day more, as local days may end on the next one of UTC."""

VARIABLES = {
    "temperature_2m": ("temperature_c", "°C"),
    "dew_point_2m": ("dew_point_c", "°C"),
    "relative_humidity_2m": ("relative_humidity_pct", "%"),
    "surface_pressure": ("pressure_hpa", "hPa"),
    "wind_speed_10m": ("wind_speed_ms", "m/s"),
    "wind_direction_10m": ("wind_direction_deg", "°"),
    "precipitation": ("precipitation_mm", "mm"),
    "boundary_layer_height": ("boundary_layer_height_m", "m"),
}
"""Open-Meteo's names: the archive's columns, and the units that answers must be in."""

_SPACING = 0.25  # degrees, ERA5's grid
_DAYS_A_REQUEST = 14  # a longer one counts as several


def rate_limit() -> RateLimit:
    """What is free: https://open-meteo.com/en/terms."""
    return RateLimit((600, 60.0), (5000, 3600.0))


def points_over(box: BoundingBox) -> list[tuple[float, float]]:
    """Latitude and longitude of the middles of equal cells of at most 0.25 degrees."""
    sides = []
    for low, high in ((box.south, box.north), (box.west, box.east)):
        cells = max(1, math.ceil(round((high - low) / _SPACING, 6)))
        sides.append([round(low + (high - low) * (number + 0.5) / cells, 4) for number in range(cells)])
    return [(latitude, longitude) for latitude in sides[0] for longitude in sides[1]]


def requests_for(archive: str, box: BoundingBox, span: Span, model: Literal["era5", "best_match"]) -> list[RemoteFile]:
    """What to ask for: an answer a point and calendar year."""
    files = []
    for latitude, longitude in points_over(box):
        for year, group in groupby(span.days, key=lambda day: day.year):
            days = list(group)
            asked = {
                "latitude": latitude,
                "longitude": longitude,
                "start_date": days[0],
                "end_date": days[-1],
                "hourly": ",".join(VARIABLES),
                "wind_speed_unit": "ms",
                "timezone": "GMT",
            } | ({"models": model} if model != "best_match" else {})
            files.append(
                RemoteFile(
                    url=f"{archive}/v1/archive?{urlencode(asked, safe=',')}",
                    path=f"answers/{model}_{latitude:.4f}_{longitude:.4f}_{year}.json",
                    licence=LICENCE,
                    attribution=ATTRIBUTION,
                    cost=math.ceil(len(days) / _DAYS_A_REQUEST),
                    check=_Expected(days[0], days[-1]),
                )
            )
    return files


class _Expected:
    """Looks whether an answer holds the hours of some days."""

    def __init__(self, first: date, last: date) -> None:
        self._hours = 24 * ((last - first).days + 1)
        self._begins = f"{first}T00:00"

    def __call__(self, path: Path) -> None:
        content = json.loads(path.read_bytes())
        hourly, units = content.get("hourly"), content.get("hourly_units")
        if not isinstance(hourly, dict) or not isinstance(units, dict):
            raise ValueError("found no hourly values")
        for name, (_, unit) in VARIABLES.items():
            if units.get(name) != unit:
                raise ValueError(f"found {name} in {units.get(name)!r}, expected {unit}")
        lengths = {len(hourly.get(name) or ()) for name in ("time", *VARIABLES)}
        if lengths != {self._hours} or hourly["time"][0] != self._begins:
            raise ValueError(f"found {sorted(lengths)} hours from {hourly['time'][:1]}, expected {self._hours}")


def write_table(folder: Path, files: Sequence[RemoteFile], city: City, span: Span) -> tuple[Path, list[str]]:
    """Writes the answers as the table that `pm25 prepare --meteorology` reads: a row an hour and point.

    An hour's time is its beginning, so precipitation, which answers give at its end, goes an hour back.

    Args:
        folder: Holds the answers; gets `<City>.csv`.
        files: The answers.
        city: Gives the name.
        span: The hours; the last one only ends a sum.

    Returns:
        The table's path, and which columns have no value at all and are left out.
    """
    table = pd.concat([_answer(folder / file.path, file) for file in files], ignore_index=True)
    keys = ["time_utc", "latitude", "longitude"]
    rain = table[[*keys, "precipitation_mm"]].assign(time_utc=table["time_utc"] - pd.Timedelta(hours=1))
    table = table.drop(columns="precipitation_mm").merge(rain, on=keys, how="left")
    table = table[table["time_utc"].between(span.begin, span.end, inclusive="left")].sort_values(keys)
    columns = [column for column, _ in VARIABLES.values()]
    empty = [column for column in columns if table[column].isna().all()]
    table = table[[*keys, *(column for column in columns if column not in empty)]]
    table["time_utc"] = table["time_utc"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    path = folder / f"{city.name}.csv"
    with atomic.replacing(path) as temporary:
        table.to_csv(temporary, index=False)
    return path, empty


def _answer(path: Path, file: RemoteFile) -> pd.DataFrame:
    content: dict[str, Any] = json.loads(path.read_bytes())
    hourly = content["hourly"]
    asked = dict(_parameters(file.url))
    return pd.DataFrame(
        {
            "time_utc": pd.to_datetime(hourly["time"], format="%Y-%m-%dT%H:%M", utc=True),
            # those asked for: a grid cell's own differ between data sets, and two points may be of one cell
            "latitude": float(asked["latitude"]),
            "longitude": float(asked["longitude"]),
            **{column: np.array(hourly[name], np.float64) for name, (column, _) in VARIABLES.items()},
        }
    )


def _parameters(url: str) -> Iterator[tuple[str, str]]:
    for pair in url.partition("?")[2].split("&"):
        name, _, value = pair.partition("=")
        yield name, value
