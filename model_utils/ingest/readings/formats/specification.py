"""What a provider's table of readings looks like, as a YAML file says it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml

from model_utils.errors import InputError
from model_utils.ingest.readings.headers import pm25_columns
from model_utils.ingest.readings.hours import HourStamp
from model_utils.ingest.readings.units import micrograms_in
from model_utils.ingest.weather.quantities import QUANTITIES, known_unit

CITY, WRITTEN = "city", "written"
PARTS = ("year", "month", "day", "hour")
PM25_WITH_UNIT = "pm25 (unit)"
"""In place of a column's name: any spelling of PM2.5 that names a unit, such as 'PM2.5 (µg/m³)'."""


@dataclass(frozen=True)
class Recognition:
    """How a table is known by its header; names agree whatever their case.

    Attributes:
        columns: Names that it has, in any order; `PM25_WITH_UNIT` is one too.
        without: Names that it does not have.
        first: Names that it begins with, in this order.
        above: Lines may stand above the header.
        stations: Where each station has a column: the pattern of their names.
    """

    columns: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    above: bool = False
    stations: str = ""


@dataclass(frozen=True)
class Selection:
    """Which rows are meant.

    Attributes:
        column: Whose values decide.
        values: Those that stay, whatever their case.
        others: What the other rows are, for the note on how many were left out; '' is no note.
    """

    column: str
    values: tuple[str, ...]
    others: str = ""


@dataclass(frozen=True)
class StationColumns:
    """Which station a row belongs to, and where it is.

    Attributes:
        column: Holds the station.
        file_name: Pattern of the file's name without its ending, whose group `station` is the station; where a list of
            stations has one whose letters and digits are that group's, it is that one.
        portal_name: The group is a name of the Indian portal with _ for every other sign.
        shown_name: Column with the name that a person knows.
        latitude: Column, in degrees.
        longitude: Column, in degrees.
    """

    column: str = ""
    file_name: str = ""
    portal_name: bool = False
    shown_name: str = ""
    latitude: str = ""
    longitude: str = ""


@dataclass(frozen=True)
class TimeColumns:
    """When a reading was taken.

    Attributes:
        columns: One column, or several whose texts with a space between are the time; of several ways to name it, as
            files of different years do, the first that is there counts.
        parts: Columns with the numbers `PARTS`, in place of it.
        order: Whether days or months come first, where the provider documents it; else the column itself decides.
        zone: `WRITTEN` with each time, `CITY` for the clock of the city, or a zone such as UTC or Asia/Kolkata.
        period: What a row averages over; shorter than an hour is an hour here.
        stamp: Which end of its hour a time is.
        documented: Whether the provider says so; else it is an assumption, and a note says that.
    """

    columns: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    order: Literal["", "day", "month"] = ""
    zone: str = CITY
    period: Literal["hour", "day"] = "hour"
    stamp: HourStamp = "beginning"
    documented: bool = False


@dataclass(frozen=True)
class ValueColumns:
    """The reading.

    Attributes:
        columns: The column; of several names the first that is there counts. `PM25_WITH_UNIT` is one too.
        unit: Its unit.
        unit_column: Column with the unit of each row.
    """

    columns: tuple[str, ...]
    unit: str = ""
    unit_column: str = ""


@dataclass(frozen=True)
class Format:
    """A format.

    Attributes:
        name: As --readings-format takes it.
        title: What it is, in a line.
        documentation: Where the provider describes it.
        recognised_by: How a file is known.
        rows: Which rows are meant.
        station: Whose a row is; None in a table with a column for each station, behind those of `recognised_by.first`.
        time: When.
        pm25: How much; None in a table with a column for each station.
        weather: Column -> quantity and unit.
        weather_headings: Weather is headed as CPCB heads it, 'AT (°C)'.
        instrument: Columns that tell instruments of one station apart; the lowest with a reading counts.
        nationwide: Rows far from the city are left out.
        low_cost: The instruments are optical sensors without a reference.
        notes: What a person should know of every file.
    """

    name: str
    title: str
    documentation: str
    recognised_by: Recognition
    time: TimeColumns
    station: StationColumns | None = None
    pm25: ValueColumns | None = None
    rows: tuple[Selection, ...] = ()
    weather: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    weather_headings: bool = False
    instrument: tuple[str, ...] = ()
    nationwide: bool = False
    low_cost: bool = False
    notes: tuple[str, ...] = ()

    def matches(self, names: Sequence[str]) -> bool:
        """Whether a header is that of such a table."""
        small = [folded(name) for name in names]
        known = self.recognised_by
        return (
            small[: len(known.first)] == [folded(name) for name in known.first]
            and all(position(names, name) is not None for name in known.columns)
            and all(position(names, name) is None for name in known.without)
            and all(re.fullmatch(known.stations, name) for name in names[len(known.first) :] if known.stations and name)
        )


def position(names: Sequence[str], wanted: str) -> int | None:
    """Where a header has a column, whatever its case; None where it has not."""
    if wanted == PM25_WITH_UNIT:
        return next((at for at, unit in pm25_columns(tuple(names)) if unit), None)
    small = [folded(name) for name in names]
    return small.index(folded(wanted)) if folded(wanted) in small else None


def folded(name: str) -> str:
    """A column's name without case and with single spaces."""
    return " ".join(name.casefold().split())


def read_format(path: Path) -> Format:
    """Reads and checks a format.

    Raises:
        InputError: Naming the file, and the key that is wrong.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise InputError(f"{path}: not readable as YAML ({' '.join(str(error).split())[:200]})") from None
    try:
        format: Format = _built(Format, raw, "")
        _check(format)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None
    return format


@cache
def shipped_formats() -> dict[str, Format]:
    """The formats that come with the software, by name."""
    found = [read_format(path) for path in sorted(Path(__file__).parent.glob("*.yaml"))]
    return {format.name: format for format in found}


def _built(kind: type[Any], raw: object, where: str) -> Any:
    """A dataclass from a mapping.

    Raises:
        ValueError: Naming the key.
    """
    if not isinstance(raw, dict):
        raise ValueError(f"{where or 'the file'} is {raw!r:.60}, expected a mapping of {_names(kind)}")
    types = get_type_hints(kind)
    if unknown := [key for key in raw if key not in types]:
        raise ValueError(f"{where}{unknown[0]}: unknown key, expected some of {_names(kind)}")
    for item in fields(kind):
        if item.name not in raw and item.default is MISSING and item.default_factory is MISSING:
            raise ValueError(f"{where}{item.name}: missing")
    return kind(**{key: _value(types[key], value, f"{where}{key}") for key, value in raw.items()})


def _value(kind: Any, raw: object, where: str) -> Any:
    """A value of a field's type."""
    some = [choice for choice in get_args(kind) if choice is not type(None)]
    text = str(kind)
    if text.startswith("typing.Literal"):
        if raw not in some:
            raise ValueError(f"{where}: found {raw!r}, expected one of {', '.join(map(repr, some))}")
        return raw
    if kind in (str, bool):
        if not isinstance(raw, kind):
            raise ValueError(f"{where}: found {raw!r:.60}, expected {'a text' if kind is str else 'true or false'}")
        return raw
    if text.startswith("tuple["):
        if not isinstance(raw, list):
            raise ValueError(f"{where}: found {raw!r:.60}, expected a list")
        return tuple(_value(some[0], item, f"{where}[{at}]") for at, item in enumerate(raw))
    if "Mapping" in text:
        if not isinstance(raw, dict):
            raise ValueError(f"{where}: found {raw!r:.60}, expected a mapping")
        return {_value(some[0], key, where): _value(some[1], value, f"{where}[{key}]") for key, value in raw.items()}
    return _built(some[0] if some else kind, raw, f"{where}.")


def _check(format: Format) -> None:
    """What types do not say.

    Raises:
        ValueError: Naming the key.
    """
    if (format.station is None) != (format.pm25 is None):
        raise ValueError("station, pm25: expected both, or neither in a table with a column for each station")
    known = format.recognised_by
    try:
        re.compile(known.stations)
    except re.error as error:
        raise ValueError(f"recognised_by.stations: no pattern ({error})") from None
    if not (known.columns or known.first):
        raise ValueError("recognised_by: expected columns or first")
    if format.station is not None and bool(format.station.column) == bool(format.station.file_name):
        raise ValueError("station: expected a column or a file_name")
    if format.station is not None and format.station.file_name:
        try:
            groups = re.compile(format.station.file_name).groupindex
        except re.error as error:
            raise ValueError(f"station.file_name: no pattern ({error})") from None
        if "station" not in groups:
            raise ValueError("station.file_name: expected a group (?P<station>...)")
    time = format.time
    if bool(time.columns) == bool(time.parts) or len(time.parts) not in (0, len(PARTS)):
        raise ValueError(f"time: expected columns, or the parts {', '.join(PARTS)}")
    if time.zone not in (CITY, WRITTEN):
        try:
            ZoneInfo(time.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(
                f"time.zone: found {time.zone!r}, expected {CITY}, {WRITTEN} or a name like Asia/Kolkata"
            ) from None
    if format.pm25 is not None and format.pm25.unit and micrograms_in(format.pm25.unit) is None:
        raise ValueError(f"pm25.unit: found {format.pm25.unit!r}, expected ug/m3, mg/m3 or ng/m3")
    for column, of in format.weather.items():
        if len(of) != 2 or of[0] not in QUANTITIES:
            raise ValueError(f"weather[{column}]: found {list(of)}, expected a quantity and its unit")
        try:
            known_unit(of[0], of[1], f"weather[{column}]")
        except InputError as error:
            raise ValueError(str(error)) from None
    if format.nationwide and not (format.station and format.station.latitude and format.station.longitude):
        raise ValueError("nationwide: expected station.latitude and station.longitude")


def _names(kind: type[Any]) -> str:
    return ", ".join(item.name for item in fields(kind))
