"""The stations that were found, written into the city's file; all else in it stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import yaml

from model_utils import atomic
from model_utils.cities import City, city_file, city_of_text, plain_letters
from model_utils.errors import InputError
from model_utils.fetching.readings.hold_out import SAME_PLACE_KM, held_out
from model_utils.fetching.readings.openaq_locations import Location
from model_utils.geography import great_circle_km
from model_utils.project import SHIPPED_ROOT


def add_stations(city: City, locations: Sequence[Location], root: Path) -> tuple[Path, int, int]:
    """Adds those locations that the city's file does not list, and holds some of them out.

    Stations of the list keep their side, or results of before and after could not be compared. A location counts as one
    of the list as `pm25 prepare` counts it: by its name, or less than 500 m from one.

    Args:
        city: As its file defines it.
        locations: Some may be listed.
        root: Folder that holds data/; a city that came with the software gets a file of its own there.

    Returns:
        The city's file, how many stations were added, and how many of these are held out.

    Raises:
        InputError: The file is not readable any more.
    """
    new = [location for location in locations if not _is_listed(location, city)]
    path = city_file(root, city.name)
    if not new:
        return path, 0, 0
    text = (path if path.is_file() else city_file(SHIPPED_ROOT, city.name)).read_text(encoding="utf-8")
    sides: list[bool | None] = [station.split == "test" for station in city.stations]
    latitude = [station.latitude for station in city.stations] + [location.latitude for location in new]
    longitude = [station.longitude for station in city.stations] + [location.longitude for location in new]
    test = held_out(latitude, longitude, sides + [None] * len(new))[len(sides) :]
    names = _names(new, [station.name for station in city.stations])
    lines = [
        _line(name, location, "test" if side else "train")
        for name, location, side in zip(names, new, test, strict=True)
    ]
    changed = _with_lines(path, text, lines)
    found = city_of_text(changed, path)
    assert len(found.stations) == len(latitude)
    atomic.write_text(path, changed)
    return path, len(new), sum(test)


def _is_listed(location: Location, city: City) -> bool:
    if not city.stations:
        return False
    latitude, longitude = np.array([(station.latitude, station.longitude) for station in city.stations]).T
    apart = great_circle_km(np.array(location.latitude), np.array(location.longitude), latitude, longitude)
    names = {plain_letters(station.name) for station in city.stations}
    return bool(apart.min() < SAME_PLACE_KM) or bool({plain_letters(location.name), str(location.id)} & names)


def _names(locations: Sequence[Location], taken: Sequence[str]) -> list[str]:
    """The providers' names; those that two have, or that have no letter, with OpenAQ's number."""
    letters = [plain_letters(location.name) for location in locations]
    known = {plain_letters(name) for name in taken}
    return [
        location.name if own and letters.count(own) == 1 and own not in known else f"{location.name} {location.id}"
        for location, own in zip(locations, letters, strict=True)
    ]


def _line(name: str, location: Location, split: str) -> str:
    station = {"name": name, "latitude": location.latitude, "longitude": location.longitude, "split": split}
    flow = yaml.safe_dump(station, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**6)
    return f"  - {flow.strip()}\n"


def _with_lines(path: Path, text: str, lines: Sequence[str]) -> str:
    """The text with further stations at the end of the list, and every other character where it was."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode)
    listed = next(value for key, value in root.value if key.value == "stations")
    if not isinstance(listed, yaml.SequenceNode):
        raise InputError(f"{path}: stations: expected a list")
    if listed.flow_style:  # [] or [{...}, ...]: a line each from now on
        stations = yaml.safe_load(text)["stations"]
        kept = [
            "  - " + yaml.safe_dump(each, default_flow_style=True, sort_keys=False, width=10**6).strip() + "\n"
            for each in stations
        ]
        begin, end = listed.start_mark.index, listed.end_mark.index
        line_end = text.find("\n", end)
        behind = text[end:] if line_end < 0 else text[end:line_end]
        rest = "" if line_end < 0 else text[line_end + 1 :]
        return f"{text[:begin].rstrip(' ')}{behind.rstrip()}\n{''.join([*kept, *lines])}{rest}"
    last = listed.value[-1]
    while isinstance(last, yaml.CollectionNode) and not last.flow_style and last.value:  # ends where its last text does
        last = last.value[-1][1] if isinstance(last, yaml.MappingNode) else last.value[-1]
    line_end = text.find("\n", last.end_mark.index)
    line_end = len(text) if line_end < 0 else line_end + 1
    head = text[:line_end] if text[:line_end].endswith("\n") else f"{text}\n"
    indent = " " * listed.start_mark.column
    return head + "".join(f"{indent}{line.lstrip()}" for line in lines) + text[line_end:]
