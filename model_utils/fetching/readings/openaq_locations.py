"""Stations by OpenAQ's API, version 3: https://docs.openaq.org/resources/locations.

Asked directly and not by OpenAQ's own package: that (1.2.0) speaks https alone, knows no proxy and asks no question
again but over a connection that has gone stale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from model_utils.cities import BoundingBox
from model_utils.errors import IncompleteError
from model_utils.fetching.transfer.http_source import HttpSource
from model_utils.fetching.transfer.rate_limit import RateLimit

API = "https://api.openaq.org"
API_VARIABLE = "PM25_OPENAQ_ENDPOINT"
KEY_VARIABLE = "OPENAQ_API_KEY"
KEY_FROM = "a free one is at https://explore.openaq.org"
MOST_PER_PAGE = 1000
_PM25 = 2  # https://docs.openaq.org/resources/parameters
_MOST_PAGES = 100
_DECIMALS = 10_000  # the API takes four of them


def rate_limit() -> RateLimit:
    """Of a free key: https://docs.openaq.org/using-the-api/rate-limits."""
    return RateLimit((60, 60.0), (2000, 3600.0))


@dataclass(frozen=True)
class Location:
    """A place where OpenAQ has PM2.5.

    Attributes:
        id: OpenAQ's, and the station's name in its files.
        name: As the provider calls it.
        latitude: WGS84 degrees.
        longitude: WGS84 degrees.
        provider: Who gives the readings to OpenAQ.
        licence: Under which they may be used, or ''.
        attribution: Who is to be named.
        is_monitor: Whether it is of reference grade, not a low-cost sensor.
    """

    id: int
    name: str
    latitude: float
    longitude: float
    provider: str
    licence: str
    attribution: str
    is_monitor: bool


def find_locations(
    source: HttpSource, api: str, box: BoundingBox, first: date, last: date, low_cost: bool
) -> list[Location]:
    """The places in a box that measured PM2.5 in some time, sorted by id; mobile ones are left out.

    Args:
        source: Is asked; knows the key.
        api: Address of the API, without the version.
        box: WGS84 degrees.
        first: First day.
        last: Last day.
        low_cost: Take low-cost sensors, too.

    Raises:
        IncompleteError: The API does not answer, or not as it is documented.
        InputError: It refuses the key.
    """
    corners = (
        *(math.floor(box.west * _DECIMALS), math.floor(box.south * _DECIMALS)),
        *(math.ceil(box.east * _DECIMALS), math.ceil(box.north * _DECIMALS)),
    )
    asked: dict[str, str | int] = {
        "bbox": ",".join(f"{corner / _DECIMALS:.4f}" for corner in corners),
        "parameters_id": _PM25,
        "mobile": "false",
        "limit": MOST_PER_PAGE,
    }
    if not low_cost:
        asked["monitor"] = "true"
    found: dict[int, Location] = {}
    for page in range(1, _MOST_PAGES + 1):
        answer = source.json(f"{api}/v3/locations", {**asked, "page": page})
        results = answer.get("results") if isinstance(answer, dict) else None
        if not isinstance(results, list):
            raise IncompleteError(f"{source.name}: found no list 'results' in its answer, expected locations")
        for result in results:
            try:
                location = _location(result) if _measured_between(result, first, last) else None
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                what = f"{type(error).__name__}: {error}"[:120]
                raise IncompleteError(f"{source.name}: found no location as documented ({what})") from None
            if location is None or not box.holds(location.latitude, location.longitude):
                continue
            if low_cost or location.is_monitor:
                found[location.id] = location
        if len(results) < MOST_PER_PAGE:  # `found` may be a text such as '>1000'
            break
    return [found[id] for id in sorted(found)]


def _measured_between(result: dict[str, Any], first: date, last: date) -> bool:
    """Whether it has readings of some days, as far as their first and last time tell; these days are those of UTC."""
    ends = [result.get(name) for name in ("datetimeFirst", "datetimeLast")]
    if not all(ends):
        return False
    begin, end = (datetime.fromisoformat(each["utc"]).date() for each in ends if each)
    return begin - timedelta(days=1) <= last and first <= end + timedelta(days=1)


def _location(result: dict[str, Any]) -> Location | None:
    """None where OpenAQ does not know where it is."""
    place = result["coordinates"] or {}
    latitude, longitude = place.get("latitude"), place.get("longitude")
    if latitude is None or longitude is None:
        return None
    licences = result.get("licenses") or []
    named = [str((licence.get("attribution") or {}).get("name") or "") for licence in licences]
    provider = str(result["provider"]["name"])
    return Location(
        id=int(result["id"]),
        name=" ".join(str(result.get("name") or result["id"]).split()),
        latitude=float(latitude),
        longitude=float(longitude),
        provider=provider,
        licence="; ".join(dict.fromkeys(str(licence["name"]) for licence in licences)),
        attribution="; ".join(dict.fromkeys(filter(None, named))) or provider,
        is_monitor=bool(result["isMonitor"]),
    )
