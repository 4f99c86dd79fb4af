"""A small world on a loopback server: stations, their archive, and weather, in the shapes that the providers document.

OpenAQ's API: https://docs.openaq.org/using-the-api/quick-start (a location in full) and
https://docs.openaq.org/errors/too-many-requests; its archive: https://docs.openaq.org/aws/about. A bucket's list:
https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html. Open-Meteo:
https://open-meteo.com/en/docs/historical-weather-api.
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

from fetch_server import Answer, Asked, LoopbackServer, etag_of

KEY = "planted-0123456789abcdef0123456789abcdef"
BOX = {"south": 26.70, "west": 80.80, "north": 27.00, "east": 81.10}
PAGE = 1000


@dataclass(frozen=True)
class Place:
    """A location of OpenAQ."""

    id: int
    name: str
    latitude: float
    longitude: float
    is_monitor: bool = True
    is_mobile: bool = False
    provider: str = "CPCB"
    first: str = "2016-01-30T00:00:00Z"
    last: str = "2026-01-01T00:00:00Z"

    def json(self) -> dict[str, Any]:
        """As the API gives it."""
        return {
            "id": self.id,
            "name": self.name,
            "locality": None,
            "timezone": "Asia/Kolkata",
            "country": {"id": 9, "code": "IN", "name": "India"},
            "owner": {"id": 4, "name": "Unknown Governmental Organization"},
            "provider": {"id": 168, "name": self.provider},
            "isMobile": self.is_mobile,
            "isMonitor": self.is_monitor,
            "instruments": [{"id": 2, "name": "Government Monitor"}],
            "sensors": [
                {
                    "id": 10 * self.id,
                    "name": "pm25 µg/m³",
                    "parameter": {"id": 2, "name": "pm25", "units": "µg/m³", "displayName": "PM2.5"},
                }
            ],
            "coordinates": {"latitude": self.latitude, "longitude": self.longitude},
            "licenses": [
                {
                    "id": 41,
                    "name": "CC BY 4.0",
                    "attribution": {"name": f"{self.provider} of India", "url": None},
                    "dateFrom": "2016-01-30",
                    "dateTo": None,
                }
            ],
            "bounds": [self.longitude, self.latitude, self.longitude, self.latitude],
            "distance": None,
            "datetimeFirst": {"utc": self.first, "local": self.first} if self.first else None,
            "datetimeLast": {"utc": self.last, "local": self.last} if self.last else None,
        }


PLACES = (
    Place(8118, "Gomti Nagar, Lucknow - UPPCB", 26.8685, 81.0055),
    Place(8119, "Lalbagh, Lucknow - CPCB", 26.8460, 80.9365),
    Place(8120, "Talkatora, Lucknow - CPCB", 26.8340, 80.8917),
    Place(8121, "Central School, Lucknow - CPCB", 26.8822, 80.9303),
    Place(8122, "US Consulate", 26.8461, 80.9366, provider="AirNow"),  # beside Lalbagh
    Place(9001, "Rooftop sensor", 26.9000, 80.9000, is_monitor=False, provider="AirGradient"),
    Place(9002, "A car", 26.8600, 80.9500, is_mobile=True),
    Place(9003, "Closed in 2018", 26.7700, 80.8300, last="2018-02-22T04:00:00Z"),
    Place(9004, "Never reported", 26.7600, 80.8200, first="", last=""),
    Place(9005, "Out of the box", 26.6999, 80.9000),
)


def day_file(place: Place, day: date, hours: int = 24) -> bytes:
    """A file of the archive: hours by their ending, in local time, with its offset."""
    lines = ['"location_id","sensors_id","location","datetime","lat","lon","parameter","units","value"']
    for hour in range(hours):
        value = 60 + 30 * math.sin(day.toordinal() + place.id) + hour
        shown, time = f"{place.name}-{place.id}", f"{day}T{hour:02d}:00:00+05:30"
        cells = (place.id, 10 * place.id, shown, time, place.latitude, place.longitude, "pm25", "µg/m³", f"{value:.1f}")
        lines.append(",".join(f'"{cell}"' for cell in cells))
    return gzip.compress("\n".join([*lines, ""]).encode(), mtime=0)


def key_of(place: Place, day: date) -> str:
    folder = f"records/csv.gz/locationid={place.id}/year={day.year}/month={day.month:02d}"
    return f"{folder}/location-{place.id}-{day:%Y%m%d}.csv.gz"


def days(first: str, last: str) -> list[date]:
    begin, end = date.fromisoformat(first), date.fromisoformat(last)
    return [begin + timedelta(days=number) for number in range((end - begin).days + 1)]


class OpenAQ:
    """The API below `/api`, and the bucket below `/bucket`.

    Attributes:
        page: How many results a page has at most, whatever is asked.
        keys_a_page: The same of the bucket's lists.
    """

    def __init__(self, server: LoopbackServer, places: Sequence[Place] = PLACES, keys_a_page: int = PAGE) -> None:
        self.server, self.places, self.keys_a_page = server, list(places), keys_a_page
        self.key = KEY
        server.routes += [self.api, self.bucket]

    def fill(self, first: str, last: str) -> None:
        for place in self.places:
            for day in days(first, last):
                self.server.files[f"/bucket/{key_of(place, day)}"] = day_file(place, day)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PM25_OPENAQ_ENDPOINT": f"{self.server.url}/api",
            "PM25_OPENAQ_ARCHIVE_ENDPOINT": f"{self.server.url}/bucket",
            "OPENAQ_API_KEY": KEY,
        }

    def api(self, asked: Asked) -> Answer | None:
        if not asked.path.startswith("/api/"):
            return None
        if asked.headers.get("x-api-key") != self.key:
            given = asked.headers.get("x-api-key")
            return _json({"message": f"Unauthorized. {given} is no valid API key"}, 401 if not given else 403)
        assert asked.path == "/api/v3/locations"
        west, south, east, north = map(float, asked.parameters["bbox"].split(","))
        assert asked.parameters["parameters_id"] == "2"
        found = [
            place.json()
            for place in self.places
            if west <= place.longitude <= east
            and south <= place.latitude <= north
            and (asked.parameters.get("monitor") != "true" or place.is_monitor)
            and (asked.parameters.get("mobile") != "false" or not place.is_mobile)
        ]
        limit, page = int(asked.parameters["limit"]), int(asked.parameters["page"])
        shown = found[(page - 1) * limit : page * limit]
        many: int | str = len(found) if len(found) < limit else f">{limit}"
        meta = {"name": "openaq-api", "website": "/", "page": page, "limit": limit, "found": many}
        return _json({"meta": meta, "results": shown})

    def bucket(self, asked: Asked) -> Answer | None:
        if asked.path != "/bucket/":
            return None
        assert asked.parameters["list-type"] == "2"
        prefix = asked.parameters["prefix"]
        after = asked.parameters.get("continuation-token") or asked.parameters.get("start-after", "")
        keys = sorted(path.removeprefix("/bucket/") for path in self.server.files)
        keys = [key for key in keys if key.startswith(prefix) and key > after]
        shown, more = keys[: self.keys_a_page], len(keys) > self.keys_a_page
        items = "".join(
            f"<Contents><Key>{quote(key, safe='/')}</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified>"
            f"<ETag>{escape(etag_of(self.server.files[f'/bucket/{key}']))}</ETag>"
            f"<Size>{len(self.server.files[f'/bucket/{key}'])}</Size><StorageClass>STANDARD</StorageClass></Contents>"
            for key in shown
        )
        token = f"<NextContinuationToken>{escape(shown[-1])}</NextContinuationToken>" if more else ""
        text = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>openaq-data-archive</Name>'
            f"<Prefix>{escape(prefix)}</Prefix>{token}<KeyCount>{len(shown)}</KeyCount>"
            f"<MaxKeys>{self.keys_a_page}</MaxKeys><EncodingType>url</EncodingType>"
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{items}</ListBucketResult>"
        )
        return Answer(text.encode(), "application/xml")


UNITS = {
    "temperature_2m": "°C",
    "dew_point_2m": "°C",
    "relative_humidity_2m": "%",
    "surface_pressure": "hPa",
    "wind_speed_10m": "m/s",
    "wind_direction_10m": "°",
    "precipitation": "mm",
    "boundary_layer_height": "m",
}


class OpenMeteo:
    """The archive below `/meteo`; the weather is a formula of place and time.

    Attributes:
        without: Variables that are null throughout.
    """

    def __init__(self, server: LoopbackServer) -> None:
        self.server = server
        self.without: set[str] = set()
        server.routes.append(self.archive)

    @property
    def environment(self) -> dict[str, str]:
        return {"PM25_OPEN_METEO_ENDPOINT": f"{self.server.url}/meteo"}

    @staticmethod
    def value(name: str, latitude: float, hour: datetime) -> float:
        count = hour.timestamp() / 3600
        slow, quick = math.sin(count / 4000), math.sin(count * math.pi / 12)
        return {
            "temperature_2m": round(20 + 8 * slow + 5 * quick + latitude - 26, 1),
            "dew_point_2m": round(10 + 4 * slow, 1),
            "relative_humidity_2m": round(60 - 20 * quick),
            "surface_pressure": round(1000 + 5 * slow, 1),
            "wind_speed_10m": round(3 + 2 * quick, 2),
            "wind_direction_10m": round(count * 7) % 360,
            "precipitation": round(count) % 5 / 10,
            "boundary_layer_height": round(600 + 500 * quick, 1),
        }[name]

    def archive(self, asked: Asked) -> Answer | None:
        if asked.path != "/meteo/v1/archive":
            return None
        names = asked.parameters["hourly"].split(",")
        if unknown := [name for name in names if name not in UNITS]:
            reason = f"Data corrupted at path ''. Cannot initialize from invalid String value {unknown[0]}."
            return _json({"error": True, "reason": reason}, 400)
        assert asked.parameters["timezone"] == "GMT"
        assert asked.parameters["wind_speed_unit"] == "ms"
        latitude, longitude = float(asked.parameters["latitude"]), float(asked.parameters["longitude"])
        begin = datetime.combine(date.fromisoformat(asked.parameters["start_date"]), datetime.min.time(), UTC)
        end = datetime.combine(date.fromisoformat(asked.parameters["end_date"]), datetime.min.time(), UTC)
        hours = [begin + timedelta(hours=each) for each in range(int((end - begin).total_seconds()) // 3600 + 24)]
        content = {
            "latitude": round(latitude * 4) / 4,
            "longitude": round(longitude * 4) / 4,
            "generationtime_ms": 0.1,
            "utc_offset_seconds": 0,
            "timezone": "GMT",
            "timezone_abbreviation": "GMT",
            "elevation": 120.0,
            "hourly_units": {"time": "iso8601", **{name: UNITS[name] for name in names}},
            "hourly": {
                "time": [f"{hour:%Y-%m-%dT%H:%M}" for hour in hours],
                **{
                    name: [None if name in self.without else self.value(name, latitude, hour) for hour in hours]
                    for name in names
                },
            },
        }
        return _json(content)


def write_city(root: Path, name: str = "Lucknow", stations: str = "[]") -> Path:
    path = root / "data" / "cities" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    box = ", ".join(f"{side}: {value}" for side, value in BOX.items())
    path.write_text(
        f"# a city of the tests\nname: {name}\nbounding_box: {{{box}}}\ntime_zone: Asia/Kolkata\n"
        f'overpass_local_time: "10:30"\nstations: {stations}\n'
    )
    return path


def _json(content: Any, status: int = 200) -> Answer:
    headers = {"x-ratelimit-used": "1", "x-ratelimit-reset": "60", "x-ratelimit-limit": "60"}
    return Answer(json.dumps(content).encode(), "application/json", status, headers)
