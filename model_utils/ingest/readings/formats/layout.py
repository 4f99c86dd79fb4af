"""Which columns of a table hold what."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from model_utils.errors import InputError
from model_utils.ingest.readings.formats.combining import Findings, ReadingOptions, some
from model_utils.ingest.readings.formats.opening import Table
from model_utils.ingest.readings.formats.specification import LISTED, Format, pm25_columns, position, shown
from model_utils.ingest.readings.stations import matched
from model_utils.ingest.weather.quantities import known_unit

_QUANTITY = re.compile(r"(?P<name>[^(\[]*?)\s*(?:[(\[](?P<unit>.*)[)\]])?")
_WEATHER = {
    "at": "temperature",
    "temp": "temperature",
    "rh": "relative_humidity",
    "bp": "pressure",
    "ws": "wind_speed",
    "wd": "wind_direction",
    "rf": "precipitation",
}


@dataclass(frozen=True)
class Layout:
    """Which columns of a file hold what.

    Attributes:
        positions: Where in the header every column is that is read, by its name in messages.
        named: These names by those that the format has for them, of columns that are there.
        time: The columns of the time.
        pm25: The columns of readings, and the unit that each heading names or ''.
        weather: Column, quantity and unit.
        stations: The stations that have a column each.
    """

    positions: dict[str, int] = field(compare=False)
    named: dict[str, str]
    time: tuple[str, ...]
    pm25: dict[str, str]
    weather: tuple[tuple[str, str, str], ...]
    stations: tuple[str, ...]


def layout_of(format: Format, table: Table, options: ReadingOptions, findings: Findings) -> Layout:
    """Finds the columns of a format in a header.

    Args:
        format: The format.
        table: The table.
        options: Has the list of stations.
        findings: To which is added why columns are not read.

    Raises:
        InputError: A column is missing, or is there twice.
    """
    names = table.names
    often = Counter(names)
    positions: dict[str, int] = {}
    named: dict[str, str] = {}

    def put(at: int) -> str:
        name = names[at] if often[names[at]] == 1 else f"{names[at]} (column {at + 1})"
        positions[name] = at
        return name

    def find(*wanted: str, needed: bool = True) -> None:
        for name in filter(None, wanted):
            at = position(names, name)
            if at is not None:
                named[name] = put(at)
            elif needed:
                raise InputError(f"{table.path}: column {shown(name)} is missing, found {', '.join(names)[:120]}")

    time = format.time.columns or format.time.parts
    find(*time, *format.instrument, *(selection.column for selection in format.rows if not selection.optional))
    find(format.time.end, *(selection.column for selection in format.rows), *format.weather, needed=False)
    if format.measured:
        find(format.measured.column)
    if format.choice:
        find(*format.choice.columns, needed=False)
    weather = [(named[name], of[0], of[1]) for name, of in format.weather.items() if name in named]
    if format.weather_headings:
        headed, unread = _weather_headings(names)
        weather += [(put(at), quantity, unit) for quantity, (at, unit) in headed.items()]
        for why in unread:
            findings.unread.setdefault(why, []).append(table.path.name)
    pm25: dict[str, str] = {}
    stations: list[str] = []
    if format.station and format.pm25:
        station, headings = format.station, dict(pm25_columns(names))
        find(station.column, *station.codes)
        find(station.latitude, station.longitude, needed=format.nationwide)
        find(station.shown_name, format.pm25.unit_column, needed=False)
        value = "|".join(format.pm25.columns)
        find(value)
        at = [positions[named[value]]]
        at += [further for further in headings if further not in at] if format.pm25.repeated else []
        pm25 = {put(each): headings.get(each) or "" for each in at}
    else:
        stations = _stations(format, table, options, findings)
        positions |= {name: names.index(name, len(format.recognised_by.first)) for name in stations}
    return Layout(positions, named, tuple(named[name] for name in time), pm25, tuple(weather), tuple(stations))


def _stations(format: Format, table: Table, options: ReadingOptions, findings: Findings) -> list[str]:
    """The stations that have a column each; those of a whole country only where a list of stations has them."""
    behind = [name for name in table.names[len(format.recognised_by.first) :] if name]
    stations = format.stations_among(behind)
    if len(set(stations)) < len(stations):
        raise InputError(f"{table.path}: a station is there twice, expected one column a station")
    if not stations:
        raise InputError(f"{table.path}: expected one column a station, found {', '.join(table.names)[:120]}")
    if options.listed is None or format.recognised_by.stations == LISTED:
        return stations
    mine = set(matched(dict.fromkeys(stations, ""), options.listed))
    if unlisted := [name for name in stations if name not in mine]:
        findings.notes.append(f"stations that stations.csv does not list are left out ({some(unlisted)})")
    if not mine:
        raise InputError(f"{table.path}: none of its stations is in stations.csv, found {', '.join(behind)[:60]}")
    return [name for name in stations if name in mine]


def _weather_headings(names: tuple[str, ...]) -> tuple[dict[str, tuple[int, str]], list[str]]:
    """The weather as CPCB heads it.

    Returns:
        Position and unit of the first readable column of each quantity; and why others before it are not read.
    """
    columns: dict[str, tuple[int, str]] = {}
    unread: list[str] = []
    for short, quantity in _WEATHER.items():
        for at, name in enumerate(names):
            match = _QUANTITY.fullmatch(name.strip())
            if quantity not in columns and match and match["name"].casefold() == short:
                unit = (match["unit"] or "").strip()
                try:
                    known_unit(quantity, unit, f"column {name!r}")
                    columns[quantity] = (at, unit)
                except InputError as error:
                    unread.append(str(error))
    return columns, unread
