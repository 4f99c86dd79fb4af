"""What a YAML file cannot say of a format: functions that it names."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from model_utils.errors import InputError

_SENSOR = re.compile(r"sensors?[-_]?([0-9]+)(?![0-9])", re.IGNORECASE)


def portal_name(written: str, city: str) -> str:
    """The name of a station of the Indian portal, which its file names write with _ for every other sign.

    'Mandir_Marg_Delhi_DPCC' is 'Mandir Marg, Delhi - DPCC': the agency is last, and before it the city.
    """
    place, _, agency = " ".join(written.replace("_", " ").split()).rpartition(" ")
    if not place or not agency.isupper():
        return f"{place} {agency}".strip()
    head = re.fullmatch(rf"(.+) ({re.escape(city)})", place, re.IGNORECASE)
    return f"{head[1]}, {head[2]} - {agency}" if head else f"{place} - {agency}"


def openaq_answers(text: bytes, path: Path) -> tuple[list[dict[str, str]], list[str]]:
    """Measurements in answers of OpenAQ's API: version 2 (`date`, the end of the average) or 3 (`period`, both ends).

    Args:
        text: One answer, or a list of them.
        path: Where it is from. An answer about one sensor does not name its station: it is called as the file.

    Returns:
        A row a measurement, with its place in the answer under ''; and notes.

    Raises:
        InputError: Naming the result that is wrong.
    """
    try:
        page = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not readable as JSON ({str(error)[:120]})") from None
    rows = []
    for answer in page if isinstance(page, list) else [page]:
        results = answer.get("results") if isinstance(answer, dict) else None
        if not isinstance(results, list):
            raise InputError(f"{path}: found no list 'results', expected an answer of OpenAQ's measurements")
        for number, result in enumerate(results):
            try:
                rows.append({"": f"results[{number}]", **_measurement(result)})
            except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
                what = f"{type(error).__name__}: {error}"[:120]
                raise InputError(f"{path}: results[{number}]: not a measurement ({what})") from None
    if any(row.keys() != rows[0].keys() for row in rows):
        raise InputError(f"{path}: found answers of versions 2 and 3 of the API, expected one of them")
    called = path.name.split(".")[0]
    if sensor := _SENSOR.match(called):
        called = sensor[1]
    notes = []
    if any(not row["station"] for row in rows):
        rows = [{**row, "station": row["station"] or called} for row in rows]
        notes = ["measurements without a location are taken as those of a station called as the file"]
    for name in {"date", "datetimeFrom", "datetimeTo"} & (rows[0].keys() if rows else set()):
        words = pd.Series([row[name] for row in rows])
        times = pd.to_datetime(words, format="ISO8601", utc=True, errors="coerce")
        wrong = words[~times.dt.year.between(1970, 2100)]
        if len(wrong):
            raise InputError(
                f"{path}: time {wrong.iloc[0][:60]!r}, expected one from 1970 to 2100 such as 2020-01-31T05:00:00Z"
            )
        for row, word in zip(rows, times.dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), strict=True):
            row[name] = word
    return rows, notes


def _measurement(result: dict[str, Any]) -> dict[str, str]:
    """One result of either version, flat."""
    parameter, value, place = result["parameter"], result["value"], result.get("coordinates") or {}
    named = isinstance(parameter, dict)
    if isinstance(value, bool):
        raise TypeError("value is a boolean")
    number = float("nan") if value is None else float(value)
    if np.isinf(number):
        raise ValueError("value is infinite")
    station = next((result[key] for key in ("locationId", "locationsId") if result.get(key) is not None), None)
    if "period" in result:
        ends = {"datetimeFrom": result["period"]["datetimeFrom"], "datetimeTo": result["period"]["datetimeTo"]}
    else:
        ends = {"date": result["date"]}
    row = {
        "station": str((result.get("location") or "") if station is None else station),
        "location": str(result.get("location") or ""),
        "sensor": str(result.get("sensorsId") or ""),
        **{name: _degrees(place.get(name)) for name in ("latitude", "longitude")},
        "parameter": str(parameter["name"] if named else parameter).lower(),
        "unit": str(parameter["units"] if named else result["unit"]),
        "value": "" if np.isnan(number) else repr(number),
        "hasFlags": str(bool((result.get("flagInfo") or {}).get("hasFlags"))),
        **{name: str(end["utc"]) for name, end in ends.items()},
    }
    "".join(row.values()).encode()  # JSON can escape half a letter, which is no text
    return row


def _degrees(value: Any) -> str:
    return "" if value is None or np.isnan(float(value)) else repr(float(value))


def epa_days(table: pd.DataFrame, keys: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
    """Of an instrument's several rows of a day, the one that counts all air, of 24 hours, of the first standard.

    Args:
        table: With `keys`, and `Event Type`, `Sample Duration`, `Pollutant Standard`, `Observation Percent`,
            `Observation Count` as text.
        keys: What names a station, an instrument and a day.

    Returns:
        The rows with `incomplete`: the mean rests on under 75 % of its observations, of which a sample of 24 hours is
        one; and notes.
    """
    percent, count = (
        pd.to_numeric(table[name], errors="coerce") for name in ("Observation Percent", "Observation Count")
    )
    of_hours = table["Sample Duration"].str.casefold() == "1 hour"
    order = pd.DataFrame(
        {
            **{key: table[key] for key in keys},
            "without events": table["Event Type"].str.casefold() == "excluded",
            "of hours": of_hours,
            "standard": table["Pollutant Standard"],
        }
    )
    first = order.sort_values(list(map(str, order)), kind="stable").drop_duplicates(list(keys)).index
    once = table.assign(incomplete=(percent < 75) | (of_hours & (count < 18))).loc[first]
    notes = []
    if len(once) < len(table):
        notes.append(
            f"{len(table) - len(once)} rows repeat an instrument's day for another standard, averaging or without "
            "exceptional events; the one with events, of 24 hours, of the first standard is taken"
        )
    return once, notes


ANSWERS = {"openaq": openaq_answers}
"""From JSON to rows."""
CHOICES = {"epa-days": epa_days}
"""Which of several rows counts."""
