"""Column headers that name a quantity and its unit, such as 'PM2.5 (µg/m³)' or 'AT (degree C)'."""

from __future__ import annotations

import re

from model_utils.errors import InputError
from model_utils.ingest.weather.quantities import known_unit

_PM25 = re.compile(r"pm\s*_?2[._]?5(?:\s*[(\[](?P<unit>.*)[)\]])?(?:\.[0-9]+)?", re.IGNORECASE)
_QUANTITY = re.compile(r"(?P<name>[^(\[]*?)\s*(?:[(\[](?P<unit>.*)[)\]])?")
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


def weather_columns(names: tuple[str, ...]) -> tuple[dict[str, tuple[int, str]], list[str]]:
    """The weather as CPCB heads it.

    Returns:
        Position and unit of the first readable column of each quantity; and why others before it are not read.
    """
    columns: dict[str, tuple[int, str]] = {}
    unread: list[str] = []
    for short, quantity in _WEATHER.items():
        for position, name in enumerate(names):
            match = _QUANTITY.fullmatch(name.strip())
            if quantity not in columns and match and match["name"].casefold() == short:
                unit = (match["unit"] or "").strip()
                try:
                    known_unit(quantity, unit, f"column {name!r}")
                    columns[quantity] = (position, unit)
                except InputError as error:
                    unread.append(str(error))
    return columns, unread
