"""The weather quantities of the archive: their units, and what their values can be."""

from __future__ import annotations

from dataclasses import dataclass

from model_utils.errors import InputError

_HPA_PER_MMHG = 1013.25 / 760
_HPA_PER_INHG = 33.8639


@dataclass(frozen=True)
class Quantity:
    """One quantity.

    Attributes:
        column: Name in the archive; it ends with the unit.
        symbol: The archive's unit as a person reads it.
        units: Known units: value in the archive's unit = gain x value + offset.
        limits: What a value can be anywhere on Earth at the ground, in the archive's unit; both included. Temperature:
            the records are -89.2 and 56.7 (WMO); pressure: 1084 hPa at sea level, and 300 hPa is above any town.
    """

    column: str
    symbol: str
    units: dict[str, tuple[float, float]]
    limits: tuple[float, float]


_TEMPERATURE = {"c": (1.0, 0.0), "f": (5 / 9, -160 / 9), "k": (1.0, -273.15)}
QUANTITIES = {
    "temperature": Quantity("temperature_c", "°C", _TEMPERATURE, (-90.0, 57.0)),
    "relative_humidity": Quantity("relative_humidity_pct", "%", {"%": (1.0, 0.0), "1": (100.0, 0.0)}, (0.0, 100.0)),
    "pressure": Quantity(
        "pressure_hpa",
        "hPa",
        {
            "hpa": (1.0, 0.0),
            "mmhg": (_HPA_PER_MMHG, 0.0),
            "kpa": (10.0, 0.0),
            "pa": (0.01, 0.0),
            "inhg": (_HPA_PER_INHG, 0.0),
        },
        (300.0, 1085.0),
    ),
    "dew_point": Quantity("dew_point_c", "°C", _TEMPERATURE, (-100.0, 36.0)),
    "wind_speed": Quantity(
        "wind_speed_ms",
        "m/s",
        {"m/s": (1.0, 0.0), "km/h": (1 / 3.6, 0.0), "kn": (0.514444, 0.0), "mph": (0.44704, 0.0)},
        (0.0, 115.0),
    ),
    "wind_direction": Quantity("wind_direction_deg", "°", {"deg": (1.0, 0.0)}, (0.0, 360.0)),
    "precipitation": Quantity(
        "precipitation_mm",
        "mm",
        {"mm": (1.0, 0.0), "cm": (10.0, 0.0), "m": (1000.0, 0.0), "in": (25.4, 0.0)},
        (0.0, 1900.0),
    ),
    "boundary_layer_height": Quantity("boundary_layer_height_m", "m", {"m": (1.0, 0.0)}, (0.0, 8000.0)),
}
"""By name as the readings have it. Zero humidity is no measurement either; see `plausible`."""

UNIT_NAMES = {"c": "°C", "f": "°F", "k": "K", "hpa": "hPa", "mmhg": "mmHg", "kpa": "kPa", "pa": "Pa", "inhg": "inHg"}
"""Units as a person reads them, where they differ from the names above."""

_SAME = {
    **dict.fromkeys(("degc", "degreec", "degreesc", "celsius", "degreescelsius", "degreecelsius"), "c"),
    **dict.fromkeys(("degf", "fahrenheit"), "f"),
    **dict.fromkeys(("kelvin", "degk"), "k"),
    **dict.fromkeys(("mb", "mbar", "millibar", "millibars"), "hpa"),
    **dict.fromkeys(("mmofmercury", "torr"), "mmhg"),
    **dict.fromkeys(("pascal", "pascals"), "pa"),
    **dict.fromkeys(("inofmercury", "inchesofmercury"), "inhg"),
    **dict.fromkeys(("pct", "percent"), "%"),
    **dict.fromkeys(("fraction", "(0-1)", "dimensionless"), "1"),
    **dict.fromkeys(("ms", "mps", "ms-1", "ms**-1", "m.s-1", "meters/second"), "m/s"),
    **dict.fromkeys(("kmh", "kph", "kmph", "kmh-1"), "km/h"),
    **dict.fromkeys(("knot", "knots", "kt"), "kn"),
    **dict.fromkeys(("miles/hour", "mi/h"), "mph"),
    **dict.fromkeys(("", "degree", "degrees", "degreescompass"), "deg"),
    **dict.fromkeys(("inch", "inches"), "in"),
}


def known_unit(name: str, text: str, where: str) -> str:
    """The name that `Quantity.units` has for a unit as a header writes it.

    Args:
        name: A key of `QUANTITIES`.
        text: Such as 'mmHg', '°C', 'm s**-1'.
        where: What the message of an error begins with.

    Raises:
        InputError: The unit is none of this quantity's.
    """
    units = QUANTITIES[name].units
    plain = "".join(text.lower().split()).replace("°", "").replace("º", "")
    plain = plain if plain in units else _SAME.get(plain, plain)
    if plain not in units:
        raise InputError(f"{where}: {name} has the unit {text!r}, expected one of {', '.join(units)}")
    return plain
