"""What a provider's table of readings looks like, as a YAML file says it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from model_utils.errors import InputError
from model_utils.ingest.readings.clocks import Order
from model_utils.ingest.readings.formats.functions import ANSWERS, CHOICES
from model_utils.ingest.readings.hours import HourStamp
from model_utils.ingest.readings.units import micrograms_in
from model_utils.ingest.specification import read_specification
from model_utils.ingest.weather.quantities import QUANTITIES, known_unit

CITY, WRITTEN, TOLD = "city", "written", "told"
PARTS = (("year", "month", "day", "hour"), ("date", "hour"))
PM25 = "pm25"
"""In place of a column's name: any spelling of PM2.5, with its unit or without."""
PM25_WITH_UNIT = "pm25 (unit)"
"""In place of a column's name: any spelling of PM2.5 that names a unit, such as 'PM2.5 (µg/m³)'."""
LISTED = "listed"
"""In place of a pattern of stations' names: those of the list of stations."""
COMPASS = "compass"
"""In place of a unit of the wind's direction: N, NNE, NE, ..."""

_PM25 = re.compile(r"pm\s*_?2[._]?5(?:\s*[(\[](?P<unit>.*)[)\]])?(?:\.[0-9]+)?", re.IGNORECASE)

# named first where formats are listed: those that data/requirements.md shows at work
_FIRST = ("cpcb-daily", "cpcb-ccr", "uci-beijing", "openaq-csv", "openaq-json", "china-national")


@dataclass(frozen=True)
class Recognition:
    """How a table is known by its header; names agree whatever their case, and 'a|b' is a or else b.

    Attributes:
        columns: Names that it has, in any order; `PM25` and `PM25_WITH_UNIT` are two of them.
        without: Names that it does not have.
        first: Names that it begins with, in this order.
        above: Lines may stand above the header.
        stations: Where each station has a column behind `first`: the pattern of most of these columns' names, or
            `LISTED`, and then it is known only if it can be no other format.
        answers: The file is JSON: which of `ANSWERS` makes a table of it.
    """

    columns: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    above: bool = False
    stations: str = ""
    answers: str = ""


@dataclass(frozen=True)
class Selection:
    """Which rows are meant.

    Attributes:
        column: Whose values decide.
        values: Those that stay, whatever their case; `PM25` is any spelling of it.
        others: What the other rows are, for the note on how many were left out.
        optional: A table without the column is meant throughout.
    """

    column: str
    values: tuple[str, ...]
    others: str = ""
    optional: bool = False


@dataclass(frozen=True)
class StationColumns:
    """Which station a row belongs to, and where it is; one of the first four.

    Attributes:
        column: Holds the station.
        codes: Columns with numbers that make up the station's name, and how many digits each has.
        file_name: Pattern of the file's name without its ending, whose group `station` is the station. Where a list of
            stations has one that the file's name begins with, or whose letters and digits are the group's, it is that.
        preamble: What a line above the header begins with whose other cells are the station.
        portal_name: The group is a name of the Indian portal with _ for every other sign.
        shown_name: Column with the name that a person knows.
        latitude: Column, in degrees.
        longitude: Column, in degrees.
    """

    column: str = ""
    codes: Mapping[str, int] = field(default_factory=dict)
    file_name: str = ""
    preamble: tuple[str, ...] = ()
    portal_name: bool = False
    shown_name: str = ""
    latitude: str = ""
    longitude: str = ""


@dataclass(frozen=True)
class TimeColumns:
    """When a reading was taken.

    Attributes:
        columns: One column, or a date and a clock in two.
        end: Column with the end of what a row averages over, whose beginning is in `columns`; may be absent.
        parts: In place of them: year, month, day and hour, or date and hour, as numbers in columns of their own.
        hour_24: An hour in parts may be 24, the midnight that ends the day.
        order: Whether days or months come first, where the provider documents it; else the column itself decides. Or
            'year': digits alone, as in 2023010124, are year, month, day and hour.
        zone: `WRITTEN` with each time, `CITY` for the clock of the city, a zone such as UTC or Asia/Kolkata, or `TOLD`:
            written, or UTC where the column's name says so, or else --timezone must say it.
        period: What a row averages over; shorter than an hour is an hour here. 'either': what the times say.
        stamp: Which end of its hour a time is.
        documented: Whether the provider says so; else it is an assumption, and a note says that.
        note: That note, or the one on days, where the usual one does not fit.
    """

    columns: tuple[str, ...] = ()
    end: str = ""
    parts: tuple[str, ...] = ()
    hour_24: bool = True
    order: Order = ""
    zone: str = CITY
    period: Literal["hour", "day", "either"] = "hour"
    stamp: HourStamp = "beginning"
    documented: bool = False
    note: str = ""


@dataclass(frozen=True)
class ValueColumns:
    """The reading.

    Attributes:
        columns: The column; of several names the first that is there counts.
        unit: Its unit, where the provider documents it; else its header or --unit says it.
        unit_column: Column with the unit of each row; may be absent.
        repeated: The column may be there twice, and the second fills gaps of the first.
        missing: The provider's words for a missing reading; others are counted.
    """

    columns: tuple[str, ...]
    unit: str = ""
    unit_column: str = ""
    repeated: bool = False
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measured:
    """What rows hold, where weather has rows of its own.

    Attributes:
        column: Says it.
        pm25: Its word for PM2.5.
        weather: Its words for weather -> quantity; the unit is in the readings' column of units.
    """

    column: str
    pm25: str
    weather: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Choice:
    """Which of several rows of a station, instrument and time counts.

    Attributes:
        by: One of `CHOICES`.
        columns: That it decides by; they may be absent.
    """

    by: str
    columns: tuple[str, ...]


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
        measured: Where weather has rows of its own.
        weather: Column -> quantity and unit, or `COMPASS`.
        weather_headings: Weather is headed as CPCB heads it, 'AT (°C)'.
        footer: Below the readings stand rows that begin with no digit, such as an average.
        choice: Which of several rows of a time counts.
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
    measured: Measured | None = None
    weather: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    weather_headings: bool = False
    footer: bool = False
    choice: Choice | None = None
    instrument: tuple[str, ...] = ()
    nationwide: bool = False
    low_cost: bool = False
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check(self)

    def matches(self, names: Sequence[str]) -> bool:
        """Whether a header is that of such a table; of `LISTED` stations only where it begins with the time."""
        known = self.recognised_by
        begins = [position(names[at : at + 1], name) == 0 for at, name in enumerate(known.first)]
        behind = [name for name in names[len(known.first) :] if name]
        return (
            all(begins)
            and all(position(names, name) is not None for name in known.columns)
            and all(position(names, name) is None for name in known.without)
            and (not known.stations or 2 * len(self.stations_among(behind)) > len(behind))
        )

    def stations_among(self, names: Sequence[str]) -> list[str]:
        """Which columns behind `recognised_by.first` are stations."""
        pattern = ".+" if self.recognised_by.stations == LISTED else self.recognised_by.stations
        return [name for name in names if re.fullmatch(pattern, name)]


def position(names: Sequence[str], wanted: str) -> int | None:
    """Where a header has a column, whatever its case; None where it has not."""
    small = [folded(name) for name in names]
    for name in wanted.split("|"):
        if name in (PM25, PM25_WITH_UNIT):
            found = [at for at, unit in pm25_columns(names) if unit or name == PM25]
            if found:
                return found[0]
        elif folded(name) in small:
            return small.index(folded(name))
    return None


def shown(name: str) -> str:
    """A column of a format in words."""
    words = {PM25_WITH_UNIT: "PM2.5 with its unit", PM25: "PM2.5"}
    return " or ".join(words.get(each, each) for each in name.split("|"))


def pm25_columns(names: Sequence[str]) -> list[tuple[int, str | None]]:
    """Positions of the columns that hold PM2.5, and the unit each names."""
    found = [(position, _PM25.fullmatch(name.strip())) for position, name in enumerate(names)]
    return [(position, match["unit"]) for position, match in found if match]


@lru_cache(maxsize=4096)
def folded(name: str) -> str:
    """A column's name without case and with single spaces."""
    return " ".join(name.casefold().split())


def with_columns(format: Format, told: Mapping[str, str]) -> Format:
    """A format whose columns are called as somebody says.

    Args:
        format: Of a row a station and time.
        told: What columns are called, by what they hold: station, time, pm25, ...

    Raises:
        InputError: Something that no column of such a table holds.
    """
    assert format.station
    assert format.pm25
    columns = {"pm25": format.pm25.columns[0], "station": format.station.column, "time": format.time.columns[0]}
    columns |= {"station_name": format.station.shown_name, "unit": format.pm25.unit_column}
    columns |= {"latitude": format.station.latitude, "longitude": format.station.longitude}
    columns |= {"parameter": format.rows[0].column}
    if unknown := [key for key in told if key not in columns]:
        raise InputError(f"--columns: found {unknown[0]!r}, expected some of {', '.join(columns)}")
    renamed: Format = _renamed(format, {columns[key]: name for key, name in told.items()})
    known = renamed.recognised_by
    return replace(renamed, recognised_by=replace(known, columns=(*known.columns, *told.values())))


def _renamed(part: Any, names: Mapping[str, str]) -> Any:
    """A part of a format with other names of columns."""
    if isinstance(part, tuple):
        return tuple(_renamed(each, names) for each in part)
    if is_dataclass(part) and not isinstance(part, type):
        return replace(part, **{item.name: _renamed(getattr(part, item.name), names) for item in fields(part)})
    return names.get(part, part) if isinstance(part, str) else part


def read_format(path: Path) -> Format:
    """Reads and checks a format.

    Raises:
        InputError: Naming the file, and the key that is wrong.
    """
    return read_specification(path, Format)


@cache
def shipped_formats() -> dict[str, Format]:
    """The formats that come with the software, by name."""
    found = {path.stem: read_format(path) for path in sorted(Path(__file__).parent.glob("*.yaml"))}
    return {name: found[name] for name in dict.fromkeys((*_FIRST, *found))}


def _check(format: Format) -> None:
    """What types do not say.

    Raises:
        ValueError: Naming the key.
    """
    if (format.station is None) != (format.pm25 is None):
        raise ValueError("station, pm25: expected both, or neither in a table with a column for each station")
    known = format.recognised_by
    _pattern("recognised_by.stations", known.stations)
    if not (known.columns or known.first or known.answers):
        raise ValueError("recognised_by: expected columns or first")
    if known.answers and known.answers not in ANSWERS:
        raise ValueError(f"recognised_by.answers: found {known.answers!r}, expected one of {', '.join(ANSWERS)}")
    if format.choice is not None and format.choice.by not in CHOICES:
        raise ValueError(f"choice.by: found {format.choice.by!r}, expected one of {', '.join(CHOICES)}")
    if format.station is not None:
        station = format.station
        if sum(map(bool, (station.column, station.codes, station.file_name, station.preamble))) != 1:
            raise ValueError("station: expected a column or a file_name, or else codes or a preamble")
        if station.file_name and "station" not in _pattern("station.file_name", station.file_name):
            raise ValueError("station.file_name: expected a group (?P<station>...)")
    elif not known.stations:
        raise ValueError("recognised_by.stations: missing in a table with a column for each station")
    time = format.time
    if bool(time.columns) == bool(time.parts) or len(time.columns) > 2 or len(time.parts) not in (0, 2, 4):
        raise ValueError(f"time: expected columns, or the parts {' or '.join(map(', '.join, PARTS))}")
    if time.zone not in (CITY, WRITTEN, TOLD):
        try:
            ZoneInfo(time.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(
                f"time.zone: found {time.zone!r}, expected {CITY}, {WRITTEN}, {TOLD} or a name like Asia/Kolkata"
            ) from None
    if format.pm25 is not None and format.pm25.unit and micrograms_in(format.pm25.unit) is None:
        raise ValueError(f"pm25.unit: found {format.pm25.unit!r}, expected ug/m3, mg/m3 or ng/m3")
    for column, of in format.weather.items():
        if len(of) != 2 or of[0] not in QUANTITIES:
            raise ValueError(f"weather[{column}]: found {list(of)}, expected a quantity and its unit")
        if of == ("wind_direction", COMPASS):
            continue
        try:
            known_unit(of[0], of[1], f"weather[{column}]")
        except InputError as error:
            raise ValueError(str(error)) from None
    if format.nationwide and not (format.station and format.station.latitude and format.station.longitude):
        raise ValueError("nationwide: expected station.latitude and station.longitude")


def _pattern(key: str, pattern: str) -> Mapping[str, int]:
    """The groups of a pattern.

    Raises:
        ValueError: It is none.
    """
    try:
        return re.compile(pattern).groupindex
    except re.error as error:
        raise ValueError(f"{key}: no pattern ({error})") from None
