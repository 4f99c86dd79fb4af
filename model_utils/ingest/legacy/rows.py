"""From samples of the 2022 code to tiles and rows of an archive."""

from __future__ import annotations

import statistics
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.cities import City, plain_letters
from model_utils.errors import InputError
from model_utils.ingest.legacy.samples import LegacySample
from model_utils.ingest.readings.flags import DEFAULT_DROP, INVALID_BELOW, MISSING_CODES, SATURATION
from model_utils.ingest.samples import LIMITS

MAX_NAMES = 1000
"""Different weather values and keys of a whole file."""

WEATHER = {
    **dict.fromkeys(("at", "temp", "temperature", "temperature_c"), "temperature_c"),
    **dict.fromkeys(("rh", "humidity", "relative_humidity", "relative_humidity_pct"), "relative_humidity_pct"),
    **dict.fromkeys(("bp", "pres", "pressure", "pressure_hpa"), "pressure_hpa"),
}
"""Names in `Meteo`, in lower case -> columns of the archive. Every other number becomes weather_<name>."""

_HPA_PER_MMHG = 1013.25 / 760
_MMHG = (650.0, 800.0)  # in hPa this is the air at 2 to 3.6 km
_SAME_PLACE_DEGREES = 0.005


@dataclass(frozen=True)
class Site:
    """Where a station is: WGS84 degrees."""

    site_id: str
    latitude: float
    longitude: float


@dataclass
class Survey:
    """What a first reading of the whole file finds: all that must be known before the first row is written.

    Attributes:
        count: Samples.
        shape: Height, width and bands of every image.
        columns: Name in `Meteo` -> column, of those that hold numbers.
        places: Station -> latitude and longitude as its samples say, where they do.
        stations: Station -> number of its first sample.
        midnights: Samples at 00:00:00, which is a date without a time.
        texts: Names in `Meteo` that hold text somewhere.
        other_keys: Keys of the samples that are not read.
        pressures: Every pressure as written.
    """

    count: int = 0
    shape: tuple[int, ...] = ()
    columns: dict[str, str] = field(default_factory=dict)
    places: dict[str, tuple[float, float]] = field(default_factory=dict)
    stations: dict[str, int] = field(default_factory=dict)
    midnights: int = 0
    texts: set[str] = field(default_factory=set)
    other_keys: set[str] = field(default_factory=set)
    pressures: array[float] = field(default_factory=lambda: array("d"))

    @cached_property
    def pressure_factor(self) -> float:
        """Turns the file's pressures into hPa, once all are known: no heading says their unit."""
        known = [value for value in self.pressures if value == value]
        in_mmhg = bool(known) and _MMHG[0] <= statistics.median(known) <= _MMHG[1]
        return _HPA_PER_MMHG if in_mmhg else 1.0


def survey(samples: Iterable[LegacySample], path: Path, bands: Sequence[str]) -> Survey:
    """Reads all samples once.

    Raises:
        InputError: There is none, or naming the sample whose image or place does not fit the first one's.
    """
    found = Survey()
    for sample in samples:
        found.count += 1
        where = f"{path}: sample {sample.number}"
        found.shape = found.shape or sample.image.shape
        height, width, channels = sample.image.shape
        size = f"{height} x {width} x {channels}"
        if height != width or channels != len(bands):
            raise InputError(f"{where}: Image is {size}, expected a square of {len(bands)} bands ({', '.join(bands)})")
        if sample.image.shape != found.shape:
            raise InputError(f"{where}: Image is {size}, sample 1 has {' x '.join(map(str, found.shape))}")
        _survey_place(found, sample, where)
        found.midnights += sample.time.time() == time()
        found.other_keys.update(sample.other_keys)
        for name, value in sample.weather.items():
            if isinstance(value, str):
                found.texts.add(name)
            elif name not in found.columns:
                column = WEATHER.get(name.lower(), "")
                taken = not column or column in found.columns.values()
                found.columns[name] = f"weather_{name}" if taken else column
            if found.columns.get(name) == "pressure_hpa" and not isinstance(value, str):
                found.pressures.append(value)
        if len(found.columns) + len(found.texts) + len(found.other_keys) > MAX_NAMES:
            raise InputError(f"{where}: found more than {MAX_NAMES} different names in Meteo and beside it")
    if not found.count:
        raise InputError(f"{path}: the list is empty, expected samples")
    for name in found.texts:
        found.columns.pop(name, None)
    return found


def _survey_place(found: Survey, sample: LegacySample, where: str) -> None:
    place = (sample.latitude, sample.longitude)
    known = [value == value for value in place]
    if any(known) and not (all(known) and abs(place[0]) <= 90 and abs(place[1]) <= 180):
        raise InputError(f"{where}: lat, lon are {place[0]:g}, {place[1]:g}, expected WGS84 degrees")
    station = _station(sample)
    if not station:
        raise InputError(f"{where}: has neither Station_index nor lat and lon, expected one of them")
    first = found.stations.setdefault(station, sample.number)
    if all(known):
        before = found.places.setdefault(station, place)
        if max(abs(before[0] - place[0]), abs(before[1] - place[1])) > _SAME_PLACE_DEGREES:
            raise InputError(
                f"{where}: station {station} is at {place[0]:g}, {place[1]:g}, but since sample {first} "
                f"at {before[0]:g}, {before[1]:g}; expected one place"
            )


def _station(sample: LegacySample) -> str:
    """The station, or the place to a metre where the sample names none."""
    if sample.station or sample.latitude != sample.latitude:
        return sample.station
    return f"{round(sample.latitude, 5) + 0.0:.5f}_{round(sample.longitude, 5) + 0.0:.5f}"


def locate(found: Survey, path: Path, city: City, listed: Mapping[str, tuple[float, float]]) -> dict[str, Site]:
    """Where each station is: as its samples say, else as `listed` (--stations), else as the city's file says.

    Names match if their letters and digits do.

    Raises:
        InputError: Naming a station without a place, or none of them lies in the city.
    """
    of_city = {_letters(station.name): station for station in city.stations}
    of_list = {_letters(name): place for name, place in listed.items()}
    sites = {}
    for station, number in found.stations.items():
        letters = _letters(station)
        same = of_city.get(letters)
        place = found.places.get(station) or of_list.get(letters) or (same and (same.latitude, same.longitude))
        if not place:
            raise InputError(
                f"{path}: sample {number}: station {station} has no lat and lon and is not one of {city.name}'s, "
                "expected --stations FILE with columns station, latitude, longitude"
            )
        sites[station] = Site(same.name if same else station, *place)
    box = city.bounding_box
    if not any(box.south <= s.latitude <= box.north and box.west <= s.longitude <= box.east for s in sites.values()):
        station, site = next(iter(sites.items()))
        raise InputError(
            f"{path}: no station lies in the bounding box of {city.name} (station {station}: latitude "
            f"{site.latitude:g}, longitude {site.longitude:g})"
        )
    repeated = [name for name, count in Counter(site.site_id for site in sites.values()).items() if count > 1]
    if repeated:
        raise InputError(f"{path}: station {repeated[0]} is spelled in two ways, expected one")
    return sites


def legacy_rows(
    samples: Sequence[LegacySample], found: Survey, sites: Mapping[str, Site], city: City
) -> tuple[NDArray[np.uint8], pd.DataFrame]:
    """Tiles and rows of a block of samples; every block of a file has the same columns.

    Args:
        samples: n samples.
        found: Survey of the whole file.
        sites: From `locate`.
        city: Gives the time zone, and the time of day where a sample has a date only.

    Returns:
        uint8, n x H x W x C; n rows for `ArchiveWriter.append`, with `pm25_unfiltered` as written and NaN in `pm25`
        where a flag of `DEFAULT_DROP` speaks against it, which `quality` then says.
    """
    rows = []
    for sample in samples:
        site = sites[_station(sample)]
        local = sample.time
        if local.time() == time():
            local = datetime.combine(local, city.overpass_local_time)
        utc = local.replace(tzinfo=city.zone).astimezone(UTC)
        quality = _flag(sample.pm25)
        row: dict[str, Any] = {
            "sample_id": f"{site.site_id}_{utc:%Y%m%dT%H%M%SZ}_{sample.number}",
            "site_id": site.site_id,
            "site_name": site.site_id,
            "latitude": site.latitude,
            "longitude": site.longitude,
            "time_utc": utc,
            "local_date": pd.Timestamp(local.date()),
            "pm25": np.nan if quality in DEFAULT_DROP else sample.pm25,
            "pm25_unfiltered": sample.pm25,
            "quality": quality,
        }
        for name, column in found.columns.items():
            row[column] = _plausible(column, float(sample.weather.get(name, np.nan)), found.pressure_factor)
        rows.append(row)
    return np.stack([sample.image for sample in samples]), pd.DataFrame(rows)


def _plausible(column: str, value: float, pressure_factor: float) -> float:
    value = value * pressure_factor if column == "pressure_hpa" else value
    low, high = LIMITS.get(column, (-np.inf, np.inf))
    return value if low <= value <= high else np.nan


def _flag(pm25: float) -> str:
    """What speaks against a single reading, as `flag_records` calls it; '' for nothing."""
    if pm25 in MISSING_CODES:
        return "missing_code"
    limits = {"invalid": pm25 < INVALID_BELOW, "low": pm25 < 0, "saturated": pm25 >= SATURATION}
    return next((name for name, holds in limits.items() if holds), "")


def _letters(name: str) -> str:
    """What names of one station share; the name itself where it has no letter."""
    return plain_letters(name) or name
