"""Where the stations are: from the readings, a stations file, or the city's list."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from model_utils.cities import BoundingBox, City, plain_letters
from model_utils.errors import InputError
from model_utils.geography import great_circle_km
from model_utils.ingest.readings.records import StationRecords
from model_utils.ingest.readings.text import open_text

NAME_COLUMNS = ("station", "name", "site", "station_name", "site_name", "station_id", "site_id", "id", "监测点编码")
LATITUDE_COLUMNS = ("latitude", "lat", "纬度")
LONGITUDE_COLUMNS = ("longitude", "lon", "lng", "long", "经度")
SHOWN_NAME_COLUMNS = ("station_name", "site_name", "name", "openaq_name", "监测点名称")
ALIAS_ENDINGS = ("name", "id", "site", "code", "alias", "station", "监测点名称")
"""A further column whose name ends so holds other names of the station (openaq_name, kdd_id, cpcb_site)."""

MARGIN_DEGREES = 0.1
"""How far outside the city's box a station may be: some 10 km."""

DISAGREE_KM = 0.1
"""Coordinates of one station that are farther apart are noted; two or three decimals of a degree can be."""

MOST_NAMED = 20
"""Notes on stations left out; a file of a whole country has more of them than anyone reads."""


def read_stations(path: Path) -> pd.DataFrame:
    """Reads a text file of stations; commas, semicolons (then decimal commas) or tabs between the cells.

    Returns:
        One row a station: `station`, `station_name` (as a person knows it), `latitude`, `longitude` (WGS84 degrees,
        NaN where empty), `aliases` (a tuple of the station's other names).

    Raises:
        InputError: Naming the file, and the line or column that is wrong.
    """
    table = open_text(path)
    if table.encoding == "latin-1":  # a guess, and stations are matched by their names
        raise InputError(f"{path}: not UTF-8, expected a UTF-8 file of stations")
    names = [name.casefold() for name in table.names]
    station, latitude, longitude = (
        _column(path, names, wanted) for wanted in (NAME_COLUMNS, LATITUDE_COLUMNS, LONGITUDE_COLUMNS)
    )
    aliases = [name for name in names if name != station and name.endswith(ALIAS_ENDINGS)]
    rows = table.rows({name: names.index(name) for name in (station, latitude, longitude, *aliases)})
    found = pd.DataFrame({"station": rows.texts(station)})
    rows.refuse(station, found["station"] == "", "the station's name")
    rows.refuse(station, found["station"].duplicated(), "each station once")
    shown = next((name for name in SHOWN_NAME_COLUMNS if name in aliases), station)
    found["station_name"] = rows.texts(shown)
    for key, name in (("latitude", latitude), ("longitude", longitude)):
        found[key] = rows.numbers(name)
        # A swapped latitude may exceed 90: `locate_stations` says so with the station's name.
        rows.refuse(name, found[key].abs() > 360, "decimal degrees")
    # '301.0' is a number 301 that a table kept as a float, as it does where another is missing.
    others = [rows.texts(name).str.removesuffix(".0").tolist() for name in aliases]
    found["aliases"] = list(zip(*others, strict=True)) if others else [()] * len(found)
    return found


def stated_rights(path: Path) -> dict[str, tuple[str, ...]]:
    """What a file of stations states of their readings, in columns `licence` and `attribution`, each text once.

    Raises:
        InputError: The file is damaged.
    """
    table = open_text(path)
    names = [name.casefold() for name in table.names]
    here = [key for key in ("licence", "attribution") if key in names]
    rows = table.rows({key: names.index(key) for key in here}) if here else None
    return {
        key: tuple(sorted(set(rows.texts(key)) - {""})) if rows is not None and key in here else ()
        for key in ("licence", "attribution")
    }


def locate_stations(
    records: StationRecords, stations_file: pd.DataFrame | None, city: City
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Finds the stations' coordinates: in the stations file, else in the readings, else in the city's list.

    Names agree as `matched` says. Coordinates that cannot be (0, 0; swapped; farther than 0.1 degrees outside the
    city's box) are never corrected: the next source is asked, and a station that none knows is left out.

    Args:
        records: Their `stations` may have coordinates.
        stations_file: As `read_stations` gives it, or None.
        city: Gives the box and the last list.

    Returns:
        The stations that have usable coordinates, in the order of `records.stations`: `station`, `station_name`,
        `latitude`, `longitude`; and notes on those left out and on sources that disagree by more than 100 m.

    Raises:
        InputError: No station has usable coordinates.
    """
    listed = pd.DataFrame(
        [(station.name, station.latitude, station.longitude, ()) for station in city.stations],
        columns=["station", "latitude", "longitude", "aliases"],
    )
    columns = ["station", "station_name", "latitude", "longitude"]
    names = dict(zip(records.stations["station"], records.stations["station_name"], strict=True))
    sources = {  # a file that is given for the purpose is the most exact: some readings round to 0.01 degrees
        "the stations file": {} if stations_file is None else _places(matched(names, stations_file), stations_file),
        "the readings": _places({station: row for row, station in enumerate(names)}, records.stations),
        f"the list of {city.name}": _places(matched(names, listed), listed),
    }
    located: list[tuple[str, str, float, float]] = []
    left_out: list[str] = []
    notes: list[str] = []
    for station, name in names.items():
        known = {source: places[station] for source, places in sources.items() if station in places}
        problems = {source: _problem(*place, city.bounding_box) for source, place in known.items()}
        usable = [source for source in known if not problems[source]]
        said = "; ".join(
            f"{known[source][0]:g}, {known[source][1]:g} in {source} {problem}"
            for source, problem in problems.items()
            if problem
        )
        if not usable:
            left_out.append(f"station {station}: {said or 'no coordinates'}")
            continue
        chosen = usable[0]
        located.append((station, name, *known[chosen]))
        if said:
            notes.append(f"station {station}: {said}; those in {chosen} are used")
        notes.extend(
            f"station {station}: coordinates in {source} are {distance:.2f} km from those in {chosen}, which are used"
            for source in usable[1:]
            if (distance := _distance_km(known[chosen], known[source])) > DISAGREE_KM
        )
    if not located and left_out and all(text.endswith("seem swapped") for text in left_out):
        raise InputError(
            f"bounding_box of {city.name}: all {len(left_out)} stations lie in it if latitude and longitude are "
            f"exchanged ({left_out[0]}): they are swapped in the city's file, or else in that of the stations"
        )
    if not located:
        raise InputError(
            f"--stations: no station of the readings has usable coordinates in {city.name} "
            f"({left_out[0] if left_out else 'the readings name no station'}), "
            "expected a CSV file with the columns station, latitude, longitude"
        )
    notes += [f"{text}: left out" for text in left_out[:MOST_NAMED]]
    if (more := len(left_out) - MOST_NAMED) > 0:
        notes.append(f"{more} more stations without usable coordinates in {city.name}: left out")
    return pd.DataFrame(located, columns=columns), tuple(notes)


def matched(stations: Mapping[str, str], listed: pd.DataFrame) -> dict[str, int]:
    """Finds stations in a list of them by their names.

    Names agree if their letters and digits of any script do. Where none does, a portal's long name agrees by what
    stands before its first comma or a ' - ' ('Anand Vihar, Delhi - DPCC' is Anand_Vihar), unless two long names
    would be one station ('Lodhi Road, Delhi - IMD' and '... - IITM'). A name of several stations of the list is taken
    for none of them, and a station's own name precedes aliases.

    Args:
        stations: Another name of each station, or '', by its name.
        listed: Rows `station` and `aliases`, as `read_stations` gives them.

    Returns:
        The row, counted from 0, of each station that is found.
    """
    own: dict[str, set[int]] = {}
    other: dict[str, set[int]] = {}
    for row, (station, aliases) in enumerate(zip(listed["station"], listed["aliases"], strict=True)):
        own.setdefault(plain_letters(station), set()).add(row)
        for alias in aliases:
            other.setdefault(plain_letters(alias), set()).add(row)
    unique = {key: next(iter(rows)) for key, rows in (other | own).items() if key and len(rows) == 1}
    found: dict[str, int] = {}
    shortened: dict[int, dict[str, str]] = {}
    for station, name in stations.items():
        both = [str(station), str(name)]
        exact = [unique[key] for key in map(plain_letters, both) if key in unique]
        if exact:
            found[station] = exact[0]
            continue
        short = {text.split(mark)[0] for text in both for mark in (",", " - ")} | {
            text.rpartition(" - ")[0] for text in both
        }
        rows = {unique[key] for key in map(plain_letters, short) if key in unique}
        if len(rows) == 1:
            shortened.setdefault(rows.pop(), {})[station] = plain_letters(both[1] or both[0])
    for row, claims in shortened.items():
        if row not in found.values() and len(set(claims.values())) == 1:
            found |= dict.fromkeys(claims, row)
    return found


def _places(rows: Mapping[str, int], listed: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Latitude and longitude of the stations where a list has both."""
    latitude, longitude = listed["latitude"].tolist(), listed["longitude"].tolist()
    places = {station: (latitude[row], longitude[row]) for station, row in rows.items()}
    return {station: place for station, place in places.items() if all(map(math.isfinite, place))}


def _problem(latitude: float, longitude: float, box: BoundingBox) -> str:
    """Why the coordinates are no station's of the city, or ''."""
    if latitude == 0 and longitude == 0:
        return "are no place"
    if box.holds(latitude, longitude, MARGIN_DEGREES):
        return ""
    return "seem swapped" if box.holds(longitude, latitude, MARGIN_DEGREES) else "are outside the city's box"


def _distance_km(one: tuple[float, float], other: tuple[float, float]) -> float:
    return float(great_circle_km(*(np.array(value) for value in (*one, *other))))


def _column(path: Path, names: list[str], wanted: tuple[str, ...]) -> str:
    """The first of the wanted columns that the file has, once."""
    found = next((name for name in wanted if name in names), None)
    if found is None:
        shown = ", ".join(names)
        raise InputError(f"{path}: no column {' or '.join(wanted)}, found {shown[:200]}{'...' * (len(shown) > 200)}")
    if names.count(found) > 1:
        raise InputError(f"{path}: column {found!r} is there {names.count(found)} times, expected once")
    return found
