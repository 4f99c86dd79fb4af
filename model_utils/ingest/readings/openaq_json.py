"""Answers of OpenAQ's API as saved: version 2 (`date`, the end of the average) and version 3 (`period`, both ends)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from model_utils.errors import InputError
from model_utils.ingest.readings.encoding import decoded
from model_utils.ingest.readings.hours import HourStamp
from model_utils.ingest.readings.openaq import WEATHER, gather
from model_utils.ingest.readings.records import StationRecords
from model_utils.ingest.readings.source import Source

NAME = "openaq-json"

_SENSOR = re.compile(r"sensors?[-_]?([0-9]+)(?![0-9])", re.IGNORECASE)
_DAY = (pd.Timedelta(hours=22), pd.Timedelta(hours=26))  # a local day, clock changes included


def read(source: Source) -> StationRecords:
    """Reads pm25 and the weather of every page; a station is a location, called by its id.

    Raises:
        InputError: Naming the file and the result that is wrong.
    """
    frames = [frame for path in source.files for frame in [_page(path, source)] if not frame.empty]
    if not frames:
        raise InputError(f"{source.files[0]}: found no measurement of pm25")
    table = pd.concat(frames, ignore_index=True)
    table, flagged = table[~table["flagged"]], int(table["flagged"].sum())
    if table.empty:
        raise InputError(f"{source.files[0]}: all {flagged} measurements are flagged by OpenAQ (flagInfo.hasFlags)")
    if table["both_ends"].nunique() > 1:
        raise InputError(f"{source.files[0]}: found answers of versions 2 and 3 of the API, expected one of them")
    both_ends = bool(table["both_ends"].iloc[0])
    if both_ends and source.hour_stamp == "ending":
        raise InputError(f"{source.files[0]}: measurements name both their ends, but --hour-stamp says ending")
    days = table["length"].between(*_DAY)
    if not days.all() and (days.any() or table["length"].gt(pd.Timedelta(minutes=61)).any()):
        raise InputError(
            f"{source.files[0]}: found periods of {table['length'].max()}, expected hours or days throughout"
        )
    if days.all():
        gathered = gather(table.assign(date=table["local"]), source, "date")
        gathered.notes.append("daily means of local days, as datetimeFrom.local says")
        stamp: HourStamp | None = None
    else:
        gathered = gather(table, source, "utc")
        stamp = "beginning" if both_ends else source.hour_stamp or "ending"
    if flagged:
        gathered.notes.append(f"{flagged} measurements that OpenAQ flags (flagInfo.hasFlags) are left out")
    if source.timezone:
        gathered.notes.append("--timezone is not used: all times are given in UTC")
    if (table["station"] == table["file"]).any():
        gathered.notes.append("measurements without a location are taken as those of a station called as the file")
    return gathered.records(source, NAME, stamp)


def _page(path: Path, source: Source) -> pd.DataFrame:
    """The measurements of one file."""
    data, _ = decoded(path)
    try:
        page = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not readable as JSON ({str(error)[:120]})") from None
    called = path.name.split(".")[0]
    if sensor := _SENSOR.match(called):  # answers about one sensor name it in the question only
        called = sensor[1]
    pages = page if isinstance(page, list) else [page]
    rows = []
    for answer in pages:
        results = answer.get("results") if isinstance(answer, dict) else None
        if not isinstance(results, list):
            raise InputError(f"{path}: found no list 'results', expected an answer of OpenAQ's measurements")
        for number, result in enumerate(results):
            try:
                row = _measurement(result, called)
            except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
                what = f"{type(error).__name__}: {error}"[:120]
                raise InputError(f"{path}: results[{number}]: not a measurement ({what})") from None
            if row:
                rows.append(row)
    table = pd.DataFrame(rows)
    if table.empty:
        return table
    for name in ("utc", "end"):
        times = pd.to_datetime(table[name], format="ISO8601", utc=True, errors="coerce")
        if not times.dt.year.between(1970, 2100).all():
            wrong = table[name][~times.dt.year.between(1970, 2100)].iloc[0]
            raise InputError(
                f"{path}: time {wrong[:60]!r}, expected one from 1970 to 2100 such as 2020-01-31T05:00:00Z"
            )
        table[name] = times.dt.as_unit("us")
    table["length"] = table["end"] - table["utc"]
    table["local"] = pd.to_datetime(table["local"].str.slice(0, 10), format="%Y-%m-%d", errors="coerce")
    if table["local"].isna().any():
        raise InputError(f"{path}: a time has no field local that begins with its date")
    mine = table["parameter"] == "pm25"
    table.loc[mine, "value"] = source.micrograms(
        table["value"][mine].to_numpy(), table["unit"][mine], lambda _: str(path)
    )
    return table


def _measurement(result: dict[str, Any], file: str) -> dict[str, Any] | None:
    """One result of either version, flat; None where it measures something else."""
    parameter = result["parameter"]
    named = isinstance(parameter, dict)
    name = str(parameter["name"] if named else parameter).lower()
    if name not in ("pm25", *WEATHER):
        return None
    both_ends = "period" in result
    begin = result["period"]["datetimeFrom"] if both_ends else result["date"]
    end = result["period"]["datetimeTo"] if both_ends else result["date"]
    place = result.get("coordinates") or {}
    value = result["value"]
    if isinstance(value, bool):
        raise TypeError("value is a boolean")
    station = next((result[key] for key in ("locationId", "locationsId") if result.get(key) is not None), None)
    station = str(result.get("location") or file) if station is None else str(station)
    number = float("nan") if value is None else float(value)
    if np.isinf(number):
        raise ValueError("value is infinite")
    row = {
        "file": file,
        "station": station,
        "station_name": str(result.get("location") or ""),
        "sensor": str(result.get("sensorsId") or ""),
        "latitude": float(place.get("latitude", np.nan) if place.get("latitude") is not None else np.nan),
        "longitude": float(place.get("longitude", np.nan) if place.get("longitude") is not None else np.nan),
        "parameter": name,
        "unit": str(parameter["units"] if named else result["unit"]),
        "value": number,
        "both_ends": both_ends,
        "flagged": bool((result.get("flagInfo") or {}).get("hasFlags")),
        "utc": str(begin["utc"]),
        "end": str(end["utc"]),
        "local": str(begin["local"]),
    }
    "".join(map(str, row.values())).encode()  # JSON can escape half a letter, which is no text
    return row
