"""The `simulation:` section of a city file, typed and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, TypeVar

from model_utils.cities import City
from model_utils.errors import InputError

MINIMUM_STATIONS = 6  # the increments are standardised over the stations: three components and a mean


@dataclass(frozen=True)
class ReadingsParameters:
    """The model of ln PM2.5; every SD is in log units.

    Attributes:
        season: a0, a1, b1, a2, b2 of h(doy) = a0 + a1 cos w + b1 sin w + a2 cos 2w + b2 sin 2w.
        day_sd: Scale sigma of the city-wide day signal e(t).
        day_autocorrelation: Its lag-1 autocorrelation phi.
        place_sd: SD over the stations of the increment o(s), without its gradient.
        place_nugget_share: Share of place_sd^2 that has no spatial structure.
        place_range_km: Range of the Matern part.
        land_use_share: Share of the variance of o(s), gradient included, that land use explains.
        residual_sd: SD over the stations of eps(s, t).
        residual_nugget_share: Share of residual_sd^2 without spatial structure.
        residual_range_km: Range of its field.
        residual_autocorrelation: Its lag-1 autocorrelation.
        gradient_per_km: Change of o(s) per km north.
        gradient_limits_km: South and north of these distances from the box's centre the gradient is flat.
        operator_sd: SD of the constant log bias of a badly kept instrument.
        operator_share: Share of the stations that have one.
    """

    season: tuple[float, ...]
    day_sd: float
    day_autocorrelation: float
    place_sd: float
    place_nugget_share: float
    place_range_km: float
    land_use_share: float
    residual_sd: float
    residual_nugget_share: float
    residual_range_km: float
    residual_autocorrelation: float = 0.45
    gradient_per_km: float = 0.0
    gradient_limits_km: tuple[float, ...] = (-1000.0, 1000.0)
    operator_sd: float = 0.08
    operator_share: float = 0.2

    def __post_init__(self) -> None:
        _lengths(self, season=5, gradient_limits_km=2)


@dataclass(frozen=True)
class WeatherParameters:
    """Mean of each month, January first, at the hour of the overpass.

    Attributes:
        temperature_c: Air temperature.
        relative_humidity_pct: Relative humidity.
        pressure_hpa: Station pressure.
        mixing_height_m: Height of the boundary layer.
        cloud_cover: Share of the city under cloud, 0..1.
    """

    temperature_c: tuple[float, ...]
    relative_humidity_pct: tuple[float, ...]
    pressure_hpa: tuple[float, ...]
    mixing_height_m: tuple[float, ...]
    cloud_cover: tuple[float, ...]

    def __post_init__(self) -> None:
        _lengths(self, **{item.name: 12 for item in fields(self)})


@dataclass(frozen=True)
class LandUseParameters:
    """What the city is made of: typical shares of the ground (they need not add up to one).

    Attributes:
        industry: Industrial roofs and yards.
        road: Roads.
        compact: Densely built up.
        vegetation: Parks, fields, trees.
        water: Rivers and ponds.
        soil: Bare soil.
        green_per_km_north: How fast ln(vegetation) grows to the north.
    """

    industry: float
    road: float
    compact: float
    vegetation: float
    water: float
    soil: float
    green_per_km_north: float = 0.0


@dataclass(frozen=True)
class SimulationParameters:
    """All that a city file says about its simulation."""

    readings: ReadingsParameters
    weather: WeatherParameters
    land_use: LandUseParameters


def simulation_parameters(city: City) -> SimulationParameters:
    """Types and checks a city's `simulation` section.

    Raises:
        InputError: The section or a key is missing, unknown or of the wrong kind, or there are too few stations.
    """
    if city.simulation is None:
        raise InputError(f"city {city.name}: its file has no 'simulation' section, which simulate needs")
    if len(city.stations) < MINIMUM_STATIONS:
        raise InputError(
            f"city {city.name}: {len(city.stations)} stations, expected at least {MINIMUM_STATIONS} to simulate"
        )
    where = f"city {city.name}: simulation"
    sections = _known_keys(SimulationParameters, city.simulation, where)
    return SimulationParameters(
        readings=_section(ReadingsParameters, sections["readings"], f"{where}.readings"),
        weather=_section(WeatherParameters, sections["weather"], f"{where}.weather"),
        land_use=_section(LandUseParameters, sections["land_use"], f"{where}.land_use"),
    )


Section = TypeVar("Section")


def _section(kind: type[Section], raw: Any, where: str) -> Section:
    values = {}
    for name, value in _known_keys(kind, raw, where).items():
        numbers = value if isinstance(value, list) else [value]
        if not all(isinstance(number, int | float) and not isinstance(number, bool) for number in numbers):
            raise InputError(f"{where}.{name}: found {value!r}, expected numbers")
        values[name] = tuple(map(float, value)) if isinstance(value, list) else float(value)
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: {error}") from None


def _known_keys(kind: type[Any], raw: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(raw, Mapping):
        raise InputError(f"{where}: found {raw!r}, expected a mapping")
    known = {item.name: item.default is MISSING for item in fields(kind)}
    if unknown := sorted(set(map(str, raw)) - set(known)):
        raise InputError(f"{where}: unknown key {unknown[0]!r}, expected {', '.join(known)}")
    if missing := [name for name, required in known.items() if required and name not in raw]:
        raise InputError(f"{where}: key {missing[0]!r} is missing")
    return raw


def _lengths(section: object, **expected: int) -> None:
    for name, length in expected.items():
        value = getattr(section, name)
        if not isinstance(value, tuple) or len(value) != length:
            raise ValueError(f"{name} is {value}, expected a list of {length} numbers")
