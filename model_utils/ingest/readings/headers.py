"""Column headers that name a quantity and its unit, such as 'PM2.5 (µg/m³)' or 'AT (degree C)'."""

from __future__ import annotations

import re

_PM25 = re.compile(r"pm\s*_?2[._]?5(?:\s*[(\[](?P<unit>.*)[)\]])?(?:\.[0-9]+)?", re.IGNORECASE)
_QUANTITY = re.compile(r"(?P<name>[^(]*?)\s*\((?P<unit>.*)\)")
_WEATHER = {
    "at": "temperature",
    "temp": "temperature",
    "rh": "relative_humidity",
    "bp": "pressure",
    "ws": "wind_speed",
    "wd": "wind_direction",
    "rf": "precipitation",
}


def pm25_columns(names: tuple[str, ...]) -> list[tuple[int, str | None]]:
    """Positions of the columns that hold PM2.5, and the unit each names."""
    found = [(position, _PM25.fullmatch(name.strip())) for position, name in enumerate(names)]
    return [(position, match["unit"]) for position, match in found if match]


def weather_columns(names: tuple[str, ...]) -> dict[str, tuple[int, str]]:
    """Position and unit of the first column of each weather quantity, as CPCB heads them."""
    columns: dict[str, tuple[int, str]] = {}
    for short, quantity in _WEATHER.items():
        for position, name in enumerate(names):
            match = _QUANTITY.fullmatch(name.strip())
            if match and match["name"].casefold() == short:
                columns.setdefault(quantity, (position, match["unit"].strip()))
    return columns
