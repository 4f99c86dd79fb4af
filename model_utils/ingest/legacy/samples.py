"""Samples of the 2022 research code, one by one."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_utils.errors import InputError
from model_utils.ingest.legacy import values
from model_utils.ingest.legacy.unpickler import ItemReader

KEYS = ("Image", "PM25", "Station_index", "Meteo", "lat", "lon")


@dataclass(frozen=True)
class LegacySample:
    """One sample.

    Attributes:
        number: Its place in the file, from 1.
        image: uint8, H x W x C.
        pm25: ug/m3 as written, codes included; NaN where there is none.
        station: Name or number of the station, '' where the sample names none.
        time: As written: the city's local time, without a zone.
        weather: Values of `Meteo` by name; NaN where missing, text where the file has text.
        latitude: WGS84 degrees, NaN where unknown.
        longitude: WGS84 degrees, NaN where unknown.
        other_keys: Keys of the sample that this reader does not know.
    """

    number: int
    image: NDArray[np.uint8]
    pm25: float
    station: str
    time: datetime
    weather: dict[str, float | str]
    latitude: float
    longitude: float
    other_keys: tuple[str, ...]


def read_legacy(path: Path) -> Iterator[LegacySample]:
    """Reads a pickle of the 2022 code without running anything in it; a sample is in memory at a time.

    Both layouts are read: a list of samples, and a list of such lists (one a date). Files of pandas 0.25 to 3 and
    numpy 1 and 2 in pickle protocols 0 to 5 are understood; anything else is refused by name.

    Raises:
        InputError: Naming the sample and key, or the byte, that is wrong.
    """
    try:
        with path.open("rb") as file:
            for number, item in enumerate(ItemReader(file, path), start=1):
                try:
                    sample = _sample(number, item)
                except ValueError as error:
                    raise InputError(f"{path}: sample {number}: {error}") from None
                yield sample
    except OSError as error:
        raise InputError(f"{path}: not readable ({error.strerror}), expected a pickle of the 2022 code") from None


def _sample(number: int, item: dict[str, Any]) -> LegacySample:
    if missing := [key for key in ("Image", "Meteo") if key not in item]:
        found = ", ".join(ascii(key)[1:-1][:20] for key in list(item)[:8]) or "no key"
        raise ValueError(f"key {missing[0]!r} is missing, found {found}")
    name, weather = _keyed("Meteo", values.series, item["Meteo"])
    return LegacySample(
        number=number,
        image=_image(_keyed("Image", values.array, item["Image"])),
        pm25=_number("PM25", item.get("PM25")),
        station=_station(_keyed("Station_index", values.scalar, item.get("Station_index"))),
        time=_time(_keyed("the name of Meteo", values.scalar, name)),
        weather={label: _weather(label, value) for label, value in weather.items()},
        latitude=_number("lat", item.get("lat")),
        longitude=_number("lon", item.get("lon")),
        other_keys=tuple(key for key in item if key not in KEYS),
    )


def _keyed(key: str, read: Any, value: object) -> Any:
    try:
        return read(value)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


def _image(image: NDArray[Any]) -> NDArray[np.uint8]:
    if image.dtype != np.uint8 or image.ndim != 3 or 0 in image.shape:
        shape = " x ".join(map(str, image.shape))
        raise ValueError(f"Image is {image.dtype} {shape}, expected uint8 height x width x bands")
    return image


def _number(key: str, value: object) -> float:
    plain = _keyed(key, values.scalar, value)
    if plain is None:
        return math.nan
    if isinstance(plain, bool) or not isinstance(plain, int | float) or abs(plain) > 1e300:
        raise ValueError(f"{key} is {ascii(plain)[:30]}, expected a number")
    return float(plain)


def _station(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"Station_index is {ascii(value)[:30]}, expected a number or a name")
    name = str(value).strip()
    if len(name) > 200 or not name.isprintable():
        raise ValueError(f"Station_index is {ascii(name)[:30]}, expected a number or a name")
    return name


def _time(name: object) -> datetime:
    if isinstance(name, str) and re.match(r"\d{4}-?\d\d-?\d\d", name):
        with contextlib.suppress(ValueError):
            name = datetime.fromisoformat(name.strip())
    if not isinstance(name, datetime) or name.tzinfo is not None or not 1970 <= name.year <= 2100:
        raise ValueError(
            f"Meteo is named {ascii(name)[:40]}, expected its local date and time without a zone, 1970 to 2100"
        )
    return name


def _weather(label: str, value: object) -> float | str:
    if isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    return _number(f"Meteo {ascii(label)[1:-1][:30]}", value)
