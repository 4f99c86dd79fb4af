"""Simple weather: monthly means, a day's departure from them, and an independent draw of cloud."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_utils.simulation.parameters import WeatherParameters
from model_utils.simulation.random_fields import Floats, autoregressive, stream

_MID_MONTH = np.array([15.5, 45, 74.5, 105, 135.5, 166, 196.5, 227.5, 258, 288.5, 319, 349.5])
# Day-to-day SD about the monthly mean, and its lag-1 autocorrelation: synoptic weather lasts a few days.
_TEMPERATURE_SD, _HUMIDITY_SD, _PRESSURE_SD, _LOG_HEIGHT_SD, _PERSISTENCE = 2.5, 9.0, 3.0, 0.25, 0.7
_CLOUD_CONCENTRATION = 2.0  # of the beta distribution: most days are nearly clear or nearly overcast


@dataclass(frozen=True)
class Weather:
    """The city's weather at the overpass; every array has one entry a day.

    Attributes:
        temperature_c: Air temperature.
        relative_humidity_pct: 10..98.
        pressure_hpa: Station pressure.
        mixing_height_m: Height of the boundary layer.
        cloud_cover: Expected share under cloud.
    """

    temperature_c: Floats
    relative_humidity_pct: Floats
    pressure_hpa: Floats
    mixing_height_m: Floats
    cloud_cover: Floats


def simulate_weather(
    parameters: WeatherParameters,
    day_of_year: Floats,
    seed: int,
    *keys: object,
    persistence: float = _PERSISTENCE,
) -> Weather:
    """Draws the weather of a series of days; fewer days are the beginning of more."""
    z = stream(seed, *keys, "departures").standard_normal((len(day_of_year), 4))
    z = autoregressive(z, persistence)
    cover = np.clip(_seasonal(parameters.cloud_cover, day_of_year), 0.01, 0.99) * _CLOUD_CONCENTRATION
    humidity = _seasonal(parameters.relative_humidity_pct, day_of_year) + _HUMIDITY_SD * z[:, 1]
    return Weather(
        temperature_c=_seasonal(parameters.temperature_c, day_of_year) + _TEMPERATURE_SD * z[:, 0],
        relative_humidity_pct=np.clip(humidity, 10, 98),
        pressure_hpa=_seasonal(parameters.pressure_hpa, day_of_year) + _PRESSURE_SD * z[:, 2],
        mixing_height_m=_seasonal(parameters.mixing_height_m, day_of_year) * np.exp(_LOG_HEIGHT_SD * z[:, 3]),
        cloud_cover=np.array(
            [stream(seed, *keys, "cloud", day).beta(a, _CLOUD_CONCENTRATION - a) for day, a in enumerate(cover)]
        ),
    )


def _seasonal(monthly: tuple[float, ...], day_of_year: Floats) -> Floats:
    """Interpolates between the middles of the months, around the year's end."""
    return np.asarray(np.interp(day_of_year, _MID_MONTH, monthly, period=365.25))
