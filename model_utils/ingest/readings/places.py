"""A list of stations and where they are."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from model_utils.errors import InputError
from model_utils.ingest.readings.text import open_text

_STATION = ("station", "station_id", "site_id", "site", "id", "监测点编码")
_NAME = ("station_name", "site_name", "name", "openaq_name", "监测点名称")
_LATITUDE = ("latitude", "lat", "纬度")
_LONGITUDE = ("longitude", "lon", "lng", "long", "经度")


def read_places(path: Path) -> pd.DataFrame:
    """Reads a CSV file with a row a station: its name or id, latitude and longitude (WGS84 degrees, as they stand).

    Returns:
        Rows `station`, `station_name`, `latitude`, `longitude` (NaN where empty).

    Raises:
        InputError: Naming the column that is missing, or the line that is wrong.
    """
    table = open_text(path)
    found = {
        key: position_of(table.names, names)
        for key, names in (("station", _STATION), ("name", _NAME), ("latitude", _LATITUDE), ("longitude", _LONGITUDE))
    }
    for key in ("station", "latitude", "longitude"):
        if found[key] is None:
            raise InputError(f"{path}: column {key} is missing, found {', '.join(table.names)[:120]}")
    rows = table.rows({key: position for key, position in found.items() if position is not None})
    station = rows.texts("station")
    rows.refuse("station", station == "", "the name of a station")
    rows.refuse("station", station.duplicated(), "each station once")
    return pd.DataFrame(
        {
            "station": station,
            "station_name": rows.texts("name") if found["name"] is not None else station,
            "latitude": rows.numbers("latitude"),
            "longitude": rows.numbers("longitude"),
        }
    )


def position_of(names: tuple[str, ...], aliases: tuple[str, ...]) -> int | None:
    """Position of the first alias among the names, whatever their case."""
    small = [name.casefold() for name in names]
    return next((small.index(alias) for alias in aliases if alias in small), None)


def listed(name: str, places: pd.DataFrame | None) -> str | None:
    """The listed station that a portal calls `name`: 'Anand Vihar, Delhi - DPCC' is Anand_Vihar."""
    if places is None:
        return None
    wanted = {_plain(name), _plain(name.split(",")[0]), _plain(name.rsplit(" - ", 1)[0])}
    both = places["station"].map(_plain).isin(wanted) | places["station_name"].map(_plain).isin(wanted)
    matches = np.flatnonzero(both)
    return str(places["station"].iloc[matches[0]]) if len(matches) == 1 else None


def _plain(name: str) -> str:
    """Letters and digits only."""
    return re.sub(r"[\W_]", "", name.casefold())
