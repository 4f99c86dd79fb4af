"""The flags of `pm25 city` and `pm25 fetch`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, time
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from model_utils.errors import flag
from model_utils.project import SHIPPED_ROOT

_FIRST_DAY = date(1940, 1, 1)  # of any source
_MOST_CONNECTIONS = 32


@dataclass(frozen=True)
class CityConfig:
    """The city that a new file defines.

    Args:
        name: Of the city and its file, data/cities/<name>.yaml: letters, digits, '_' and '-'.
        box: south,west,north,east in WGS84 degrees.
        around: latitude,longitude,km: a square that reaches so many kilometres in each direction.
        time_zone: IANA name, such as Asia/Kolkata; by default that of the box's middle.
        overpass: Local time of the satellite's overpass, for scenes that have only a date.
        overwrite: Replace a file of the same name, its list of stations too.
        root: Folder that holds data/.
    """

    name: str
    box: str | None = None
    around: str | None = None
    time_zone: str | None = None
    overpass: str = "10:30"
    overwrite: bool = False
    root: Path = SHIPPED_ROOT

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w[\w-]*", self.name) or self.name.startswith("_"):
            raise ValueError(f"--name: found {self.name!r}, expected letters, digits, '_' and '-', such as New_York")
        if (self.box is None) == (self.around is None):
            raise ValueError("expected one of --box south,west,north,east and --around latitude,longitude,km")
        for name, text, count in (("box", self.box, 4), ("around", self.around, 3)):
            if text is not None and len(_numbers(text)) != count:
                raise ValueError(f"--{name}: found {text!r}, expected {count} numbers with commas between them")
        try:
            time.fromisoformat(self.overpass)
        except ValueError:
            raise ValueError(f"--overpass: found {self.overpass!r}, expected a time such as 10:30") from None
        if self.time_zone is not None:
            try:
                ZoneInfo(self.time_zone)
            except (ZoneInfoNotFoundError, ValueError, OSError):
                raise ValueError(f"--time-zone: found {self.time_zone!r}, expected a name like Asia/Kolkata") from None

    @property
    def numbers(self) -> tuple[float, ...]:
        """Those of `box`, or else of `around`."""
        return _numbers(self.box or self.around or "")


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        return ()


@dataclass(frozen=True)
class FetchConfig:
    """What every `pm25 fetch` is told."""

    city: str
    from_: str
    to: str

    def __post_init__(self) -> None:
        for name, text in (("from", self.from_), ("to", self.to)):
            try:
                date.fromisoformat(text)
            except ValueError:
                raise ValueError(f"--{name}: found {text!r}, expected a date such as 2019-01-01") from None
        if not _FIRST_DAY <= self.first <= self.last:
            raise ValueError(
                f"--from and --to: found {self.from_} and {self.to}, expected the first and the last day, "
                f"from {_FIRST_DAY} on"
            )
        if not 1 <= getattr(self, "connections", 1) <= _MOST_CONNECTIONS:
            raise ValueError(f"--connections: found {getattr(self, 'connections', 1)}, expected 1 to 32")

    @property
    def first(self) -> date:
        """The first local day."""
        return date.fromisoformat(self.from_)

    @property
    def last(self) -> date:
        """The last local day."""
        return date.fromisoformat(self.to)


@dataclass(frozen=True)
class FetchReadingsConfig(FetchConfig):
    """Which readings to fetch.

    Args:
        city: Name of the city; it is defined by data/cities/<city>.yaml.
        from_: First local day, such as 2019-01-01.
        to: Last local day.
        source: OpenAQ: stations by its API (free key from https://explore.openaq.org), history from its open archive.
        low_cost: Take low-cost sensors as well, not reference-grade monitors alone.
        update_city: Add the stations to the city's file, about a quarter of them held out (split: test).
        out: Folder for the files; by default downloads/<city>/readings.
        dry_run: Show which stations and how many bytes there are, and fetch nothing.
        key_file: File with OpenAQ's key, of mode 0600, where the environment variable OPENAQ_API_KEY has none.
        endpoint: A mirror of https://api.openaq.org; or the environment variable PM25_OPENAQ_ENDPOINT.
        archive_endpoint: A mirror of OpenAQ's archive; or the environment variable PM25_OPENAQ_ARCHIVE_ENDPOINT.
        connections: How many files come at a time.
        root: Folder that holds data/.
    """

    source: Literal["openaq"] = "openaq"
    low_cost: bool = False
    update_city: bool = False
    out: Path | None = None
    dry_run: bool = False
    key_file: Path = Path("~/.config/pm25/openaq.key")
    endpoint: str | None = None
    archive_endpoint: str | None = None
    connections: int = 8
    root: Path = SHIPPED_ROOT


@dataclass(frozen=True)
class FetchWeatherConfig(FetchConfig):
    """Which weather to fetch.

    Args:
        city: Name of the city; it is defined by data/cities/<city>.yaml.
        from_: First local day, such as 2019-01-01.
        to: Last local day.
        source: 'open-meteo' needs no account and gives a table; 'era5' is the Climate Data Store's NetCDF, with the key
            of a free account in ~/.cdsapirc (mode 0600).
        model: Open-Meteo's data: 'era5' is one reanalysis for all years; 'best_match' has finer grids in recent ones.
        out: Folder for the files; by default downloads/<city>/weather.
        dry_run: Show what would be asked for, and fetch nothing.
        endpoint: A mirror of https://archive-api.open-meteo.com, or the environment variable PM25_OPEN_METEO_ENDPOINT;
            of era5: of https://cds.climate.copernicus.eu/api, or the environment variable CDSAPI_URL.
        connections: How many files come at a time.
        root: Folder that holds data/.
    """

    source: Literal["open-meteo", "era5"] = "open-meteo"
    model: Literal["era5", "best_match"] = "era5"
    out: Path | None = None
    dry_run: bool = False
    endpoint: str | None = None
    connections: int = 4
    root: Path = SHIPPED_ROOT


@dataclass(frozen=True)
class FetchScenesConfig(FetchConfig):
    """Which scenes to fetch.

    Args:
        city: Name of the city; it is defined by data/cities/<city>.yaml.
        from_: First local day, such as 2019-01-01.
        to: Last local day.
        source: sentinel2-l2a (10 m), landsat or hls (30 m), all surface reflectance from open catalogues. That serves
            the place part of the model, which averages many dates; single days by images need top of atmosphere.
        bands: Which bands, by colour.
        max_cloud: Leave out a day whose scene has a larger share of the city under cloud, by the quality mask.
        min_cover: Leave out a day whose scene shows a smaller share of the city.
        limit: Fetch at most so many days, those with the least cloud.
        out: Folder for the scenes; by default downloads/<city>/scenes.
        dry_run: Show days, cloud and size, and fetch nothing.
        endpoint: Another STAC catalogue with the same collections, such as a mirror; or the environment variable
            PM25_STAC_ENDPOINT.
        root: Folder that holds data/.
    """

    source: Literal["sentinel2-l2a", "landsat", "hls"] = "sentinel2-l2a"
    bands: tuple[str, ...] = ("red", "green", "blue")
    max_cloud: float = 0.2
    min_cover: float = 0.5
    limit: int | None = None
    out: Path | None = None
    dry_run: bool = False
    endpoint: str | None = None
    root: Path = SHIPPED_ROOT

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("max_cloud", "min_cover"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{flag(name)}: found {getattr(self, name)}, expected 0 to 1")
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"--limit: found {self.limit}, expected 1 or more")
        if not self.bands or not all(self.bands) or len(set(self.bands)) != len(self.bands):
            raise ValueError(f"--bands: found {list(self.bands)}, expected different names")
