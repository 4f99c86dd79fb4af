"""The file that defines a new city."""

from __future__ import annotations

import math
from datetime import date

import yaml

from model_utils import atomic
from model_utils.cities import BoundingBox, city_file, city_of_text, load_city
from model_utils.errors import InputError
from model_utils.fetching.config import CityConfig
from model_utils.fetching.transfer.extra import extra_needed
from model_utils.geography import EARTH_RADIUS_KM

_DECIMALS = 4  # of a degree: 11 m


def make_city(config: CityConfig) -> None:
    """Writes data/cities/<name>.yaml and says what is in it.

    Raises:
        InputError: The place is none, a file is there, or the time zone is not known.
    """
    path = city_file(config.root, config.name)
    if path.exists() and not config.overwrite:
        raise InputError(f"{path}: is already there, --overwrite replaces it")
    box = _box(config)
    zone = config.time_zone or _time_zone((box.south + box.north) / 2, (box.west + box.east) / 2)
    sides = ", ".join(f"{side}: {getattr(box, side):.{_DECIMALS}f}" for side in ("south", "west", "north", "east"))
    text = (
        f"{yaml.safe_dump({'name': config.name}, allow_unicode=True)}"  # a city called No is no truth value
        f"bounding_box: {{{sides}}}  # WGS84 degrees\n"
        f"time_zone: {zone}\n"
        f'overpass_local_time: "{config.overpass}"  # of scenes that have only a date\n'
        "stations: []  # pm25 fetch readings --update-city fills it\n"
    )
    city_of_text(text, path)
    atomic.write_text(path, text)
    city = load_city(config.name, config.root)
    height = math.radians(box.north - box.south) * EARTH_RADIUS_KM
    width = math.radians(box.east - box.west) * EARTH_RADIUS_KM * math.cos(math.radians((box.south + box.north) / 2))
    print(f"{path}: {width:.0f} x {height:.0f} km, {city.time_zone}")
    year = date.today().year - 1
    print(f"next: pm25 fetch readings --city {city.name} --from {year}-01-01 --to {year}-12-31 --update-city")


def _box(config: CityConfig) -> BoundingBox:
    if config.box is not None:
        flag, sides = f"--box {config.box}", config.numbers
    else:
        flag, (latitude, longitude, reach) = f"--around {config.around}", config.numbers
        if not (abs(latitude) < 90 and 0 < reach <= 1000):
            raise InputError(f"{flag}: expected a latitude, a longitude, and 0 to 1000 km")
        north = math.degrees(reach / EARTH_RADIUS_KM)
        east = north / math.cos(math.radians(latitude))
        sides = (latitude - north, longitude - east, latitude + north, longitude + east)
    try:
        return BoundingBox(*(round(side, _DECIMALS) for side in sides))
    except ValueError as error:
        crosses = " (a box across the 180th meridian is two cities)" if max(abs(sides[1]), abs(sides[3])) > 180 else ""
        raise InputError(f"{flag}: {error}{crosses}") from None


def _time_zone(latitude: float, longitude: float) -> str:
    with extra_needed():
        from timezonefinder import TimezoneFinder
    zone: str | None = TimezoneFinder().timezone_at(lat=latitude, lng=longitude)
    if zone is None:
        raise InputError(f"no time zone at {latitude:g}, {longitude:g}, expected --time-zone such as Asia/Kolkata")
    return zone
