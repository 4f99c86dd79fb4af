"""A city and the YAML file that defines it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml

from model_utils.errors import InputError
from model_utils.project import SHIPPED_ROOT

Split = Literal["train", "test"]
MOST_HOURS_FROM_THE_SUN = 3.2
"""No clock is farther from the sun than that of westernmost China."""

_TAKEN = ("cities", "weights")  # data/ holds these beside the archives


@dataclass(frozen=True)
class BoundingBox:
    """A rectangle in WGS84 degrees."""

    south: float
    west: float
    north: float
    east: float

    def __post_init__(self) -> None:
        if not _is_box(self.south, self.west, self.north, self.east):
            swapped = _is_box(self.west, self.south, self.east, self.north)
            hint = " (latitude and longitude seem swapped)" if swapped else ""
            raise ValueError(f"expected -90 <= south < north <= 90 and -180 <= west < east <= 180{hint}")

    def holds(self, latitude: float, longitude: float, margin: float = 0.0) -> bool:
        """Whether a place lies in it, or at most `margin` degrees outside."""
        return (
            self.south - margin <= latitude <= self.north + margin
            and self.west - margin <= longitude <= self.east + margin
        )

    def intersection(self, other: BoundingBox) -> BoundingBox | None:
        """The rectangle that both share, or None."""
        south, west = max(self.south, other.south), max(self.west, other.west)
        north, east = min(self.north, other.north), min(self.east, other.east)
        return BoundingBox(south, west, north, east) if south < north and west < east else None


@dataclass(frozen=True)
class Station:
    """A monitoring station: WGS84 degrees, and its side of the city's hold-out."""

    name: str
    latitude: float
    longitude: float
    split: Split = "train"
    kind: str = ""

    def __post_init__(self) -> None:
        if self.split not in ("train", "test"):
            raise ValueError(f"station {self.name}: split is {self.split!r}, expected 'train' or 'test'")
        if not self.name:
            raise ValueError("name is empty")
        if not (abs(self.latitude) <= 90 and abs(self.longitude) <= 180):
            raise ValueError(f"station {self.name}: {self.latitude}, {self.longitude} are not WGS84 degrees")


Built = TypeVar("Built", BoundingBox, Station)


@dataclass(frozen=True)
class City:
    """A city: where it is, when the satellite passes, which stations it has and which are held out.

    Attributes:
        name: The name used in folders and commands.
        bounding_box: WGS84 degrees.
        time_zone: IANA name; `local_date` in the archive is in this zone.
        overpass_local_time: Local time of the satellite's overpass.
        stations: The listed stations. A station that is not listed counts as a training station.
        simulation: Parameters of the synthetic city (see `model_utils.simulation`), or None.
    """

    name: str
    bounding_box: BoundingBox
    time_zone: str
    overpass_local_time: time
    stations: tuple[Station, ...]
    simulation: Mapping[str, Any] | None = None

    @property
    def zone(self) -> ZoneInfo:
        """The time zone as an object."""
        return ZoneInfo(self.time_zone)


def _is_box(south: float, west: float, north: float, east: float) -> bool:
    return -90 <= south < north <= 90 and -180 <= west < east <= 180


def plain_letters(name: str) -> str:
    """Letters and digits of any script, without case."""
    return "".join(character for character in name.casefold() if character.isalnum())


def city_file(root: Path, name: str) -> Path:
    """Where a city of one's own is defined."""
    return root / "data" / "cities" / f"{name}.yaml"


def available_cities(root: Path) -> list[str]:
    """Names of the cities that have a YAML file under `root` or came with the software."""
    folders = {root / "data" / "cities", SHIPPED_ROOT / "data" / "cities"}
    return sorted({path.stem for folder in folders for path in folder.glob("*.yaml")})


def load_city(name: str, root: Path) -> City:
    """Reads `data/cities/<name>.yaml` under `root`, else the one that came with the software.

    Raises:
        InputError: No such city, or its file is not a city definition.
    """
    for path in (city_file(root, name), city_file(SHIPPED_ROOT, name)):
        if path.is_file():
            return read_city(path)
    raise InputError(
        f"city {name!r}: no such city, expected one of {', '.join(available_cities(root))} "
        f"or a new file {city_file(root, name)} (pm25 city writes one)"
    )


def read_city(path: Path) -> City:
    """Reads one city file.

    Raises:
        InputError: Naming the file and the key that is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not readable as YAML ({' '.join(str(error).split())})") from None
    return city_of_text(text, path)


def city_of_text(text: str, path: Path) -> City:
    """The city that a file would define.

    Args:
        text: Content of the file.
        path: What it is called, or will be.

    Raises:
        InputError: Naming the file and the key that is wrong.
    """
    try:
        raw = yaml.safe_load(text)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise InputError(f"{path}: not readable as YAML ({' '.join(str(error).split())})") from None
    if not isinstance(raw, dict):
        raise InputError(f"{path}: found {type(raw).__name__}, expected a mapping of city keys")
    known = {"name", "bounding_box", "time_zone", "overpass_local_time", "stations", "simulation"}
    if unknown := sorted(set(map(str, raw)) - known):
        raise InputError(f"{path}: unknown key {unknown[0]!r}, expected {', '.join(sorted(known))}")
    if missing := sorted(known - {"simulation"} - set(raw)):
        raise InputError(f"{path}: key {missing[0]!r} is missing")
    if raw["name"] != path.stem:
        raise InputError(f"{path}: name is {raw['name']!r}, expected {path.stem!r} as the file is called")
    if path.stem in _TAKEN:
        raise InputError(f"{path}: a city cannot be called {' or '.join(_TAKEN)}, expected another name")
    if not isinstance(raw["stations"], list):
        raise InputError(f"{path}: stations is {raw['stations']!r}, expected a list, [] where there are none")
    if not isinstance(raw.get("simulation"), dict | None):
        raise InputError(f"{path}: simulation is {raw['simulation']!r}, expected a mapping")
    city = City(
        name=path.stem,
        bounding_box=_built(path, "bounding_box", BoundingBox, raw["bounding_box"]),
        time_zone=_time_zone(path, raw["time_zone"]),
        overpass_local_time=_local_time(path, raw["overpass_local_time"]),
        stations=tuple(
            _built(path, f"station {number}", Station, station)
            for number, station in enumerate(raw["stations"], start=1)
        ),
        simulation=raw.get("simulation"),
    )
    if why := _swapped(city):
        raise InputError(f"{path}: bounding_box: latitude and longitude seem swapped: {why}")
    names = [station.name for station in city.stations]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"{path}: station {repeated[0]!r} is listed twice")
    return city


def _built(path: Path, key: str, kind: type[Built], raw: object) -> Built:
    """A dataclass from the mapping under a key; numbers and texts are checked by the field's own type."""
    if not isinstance(raw, dict):
        raise InputError(f"{path}: {key} is {raw!r}, expected a mapping of {_names(kind)}")
    for item in fields(kind):
        if item.name not in raw and item.default is MISSING:
            raise InputError(f"{path}: {key}: key {item.name!r} is missing, expected {_names(kind)}")
        value = raw.get(item.name, item.default)
        number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < math.inf
        if item.type == "float" and not number:
            raise InputError(f"{path}: {key}: {item.name} is {value!r}, expected a number of degrees")
        if item.type != "float" and not isinstance(value, str):
            raise InputError(f"{path}: {key}: {item.name} is {value!r}, expected text")
    if unknown := sorted(set(map(str, raw)) - {item.name for item in fields(kind)}):
        raise InputError(f"{path}: {key}: unknown key {unknown[0]!r}, expected {_names(kind)}")
    try:
        return kind(**raw)
    except ValueError as error:
        raise InputError(f"{path}: {key}: {error}") from None


def _swapped(city: City) -> str:
    """Why latitude and longitude of the box must have been exchanged, or ''."""
    box = city.bounding_box
    if not _is_box(box.west, box.south, box.east, box.north):
        return ""
    exchanged = BoundingBox(south=box.west, west=box.south, north=box.east, east=box.north)
    places = [(station.latitude, station.longitude) for station in city.stations]
    if places and not any(box.holds(*place) for place in places) and all(exchanged.holds(*place) for place in places):
        return f"none of the {len(places)} stations of the list lies in it, and all would if they were exchanged"
    if "/" not in city.time_zone or city.time_zone.startswith("Etc/"):
        return ""  # UTC and its like are no place's clock
    offset = datetime(2020, 1, 1, tzinfo=city.zone).utcoffset() or timedelta()
    hours = {each: _from_the_sun(offset, (each.west + each.east) / 2) for each in (box, exchanged)}
    if hours[box] > MOST_HOURS_FROM_THE_SUN and hours[exchanged] < hours[box] / 2:
        return (
            f"at {(box.west + box.east) / 2:g} degrees east the clock of {city.time_zone} is {hours[box]:.1f} hours "
            f"off the sun, at {(exchanged.west + exchanged.east) / 2:g} it is {hours[exchanged]:.1f}"
        )
    return ""


def _from_the_sun(offset: timedelta, longitude: float) -> float:
    """Hours between a clock and the mean sun; a day more or less is none."""
    apart = (offset / timedelta(hours=1) - longitude / 15) % 24
    return min(apart, 24 - apart)


def _names(kind: type[Built]) -> str:
    return ", ".join(item.name for item in fields(kind))


def _time_zone(path: Path, raw: object) -> str:
    try:
        return ZoneInfo(str(raw)).key
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: 'Asia' is a folder of time zones
        raise InputError(f"{path}: time_zone is {raw!r}, expected an IANA time zone such as Asia/Kolkata") from None


def _local_time(path: Path, raw: object) -> time:
    try:
        return time.fromisoformat(str(raw) if isinstance(raw, str) else "")
    except ValueError:
        raise InputError(f'{path}: overpass_local_time is {raw!r}, expected a quoted time such as "10:30"') from None
