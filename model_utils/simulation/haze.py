"""The haze of each day over each place, and the two switches of the null worlds.

Pbar, the PM2.5 that drives the optical depth, is the day's level times 1 + 0.25 (local ratio - 1), where the ratio is
smoothed over about 4 km: imagery sees a column of air, so it must not hand over a station's own reading.

- `haze_coupling` is the share of days that show their own haze. The others show a *stranger*: another day of the
  year with its own sun, weather, cloud, background and level of PM2.5, drawn independently for each day and without
  local increments. At 0 no image holds anything of its day's PM2.5, the season included.
- `land_use_coupling` scales the local increments, as it scales what the places' increments owe to space.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from model_utils.simulation import optics
from model_utils.simulation.parameters import SimulationParameters
from model_utils.simulation.random_fields import FEATURES, Floats, MaternField, stream
from model_utils.simulation.readings import day_signal, season
from model_utils.simulation.weather import Weather, simulate_weather

LOCAL_SHARE = 0.25
SMOOTHING_KM = 4.0
_COLUMN_SD = 0.2  # ln ratio of column to ground, not explained by humidity and mixing height
_COLUMN_LOCAL_SHARE, _COLUMN_RANGE_KM = 0.2, 10.0  # of its variance, what varies within the city


@dataclass(frozen=True)
class Sky:
    """What one scene shows.

    Attributes:
        tau550: Aerosol optical depth at 0.55 um of n points.
        sun: Cosine of the solar zenith angle.
        angstrom: Exponent.
        cloud_cover: Expected share under cloud.
    """

    tau550: Floats
    sun: float
    angstrom: float
    cloud_cover: float


@dataclass(frozen=True)
class Haze:
    """What the scenes show.

    Attributes:
        tau550: Aerosol optical depth at 0.55 um, days x places.
        sun: Cosine of the solar zenith angle, a day.
        angstrom: Exponent, a day.
        cloud_cover: Expected share under cloud, a day.
    """

    tau550: Floats
    sun: Floats
    angstrom: Floats
    cloud_cover: Floats

    def on(self, day: int) -> Sky:
        """One day's."""
        return Sky(self.tau550[day], self.sun[day], self.angstrom[day], self.cloud_cover[day])


def around(places: pd.DataFrame) -> tuple[Floats, Floats]:
    """East and north (km) of 13 points in the disc of radius `SMOOTHING_KM` around each place (places x 13)."""
    angles = np.arange(6) * np.pi / 3
    rings = [np.zeros(1), 0.5 * np.exp(1j * angles), np.exp(1j * (angles + np.pi / 6))]
    disc = SMOOTHING_KM * np.concatenate(rings)
    east = places["east_km"].to_numpy()[:, None] + disc.real
    return east, places["north_km"].to_numpy()[:, None] + disc.imag


def driver(level: Floats, local_ratio: Floats, coupling: float) -> Floats:
    """Pbar, days x places, from the day's level and the smoothed ratio of a place to it."""
    return np.asarray(level[:, None] * (1 + LOCAL_SHARE * coupling * (local_ratio - 1)))


def simulate_haze(
    driving: Floats,
    places: pd.DataFrame,
    dates: pd.DatetimeIndex,
    weather: Weather,
    parameters: SimulationParameters,
    coupling: float,
    latitude: float,
    seed: int,
    city: str,
) -> Haze:
    """Optical depth and light of each day.

    Args:
        driving: Pbar, days x places, ug/m3.
        places: With east_km and north_km.
        dates: The local dates.
        weather: Of these dates.
        parameters: The city's.
        coupling: Share of days that show their own haze.
        latitude: Of the city's centre: one sun for all places.
        seed: Keys the draws.
        city: Keys the draws.
    """
    days, p = len(dates), parameters
    own = stream(seed, city, "own days").random(days) < coupling
    strange_day = stream(seed, city, "stranger", "day").uniform(1, 366, days)
    z = stream(seed, city, "stranger", "signal").standard_normal(days)
    strange_level = np.exp(season(p.readings, strange_day) + day_signal(p.readings, z))
    strange = simulate_weather(p.weather, strange_day, seed, city, "stranger", persistence=0.0)
    day_of_year = np.where(own, dates.day_of_year, strange_day)
    humidity = np.where(own, weather.relative_humidity_pct, strange.relative_humidity_pct) / 100
    height = np.where(own, weather.mixing_height_m, strange.mixing_height_m)
    level = np.where(own[:, None], driving, strange_level[:, None])

    column = stream(seed, city, "column")
    field = MaternField(column, _COLUMN_RANGE_KM)
    basis = field.basis(places["east_km"].to_numpy(), places["north_km"].to_numpy())
    weights = column.standard_normal((days, FEATURES + 1))
    noise = np.sqrt(1 - _COLUMN_LOCAL_SHARE) * weights[:, :1] + np.sqrt(_COLUMN_LOCAL_SHARE) * (
        weights[:, 1:] @ basis.T
    )
    return Haze(
        tau550=optics.optical_depth(
            level * np.exp(_COLUMN_SD * noise),
            humidity[:, None],
            height[:, None],
            optics.background_depth(day_of_year)[:, None],
        ),
        sun=optics.sun_cosine(day_of_year, latitude),
        angstrom=optics.angstrom_exponent(day_of_year),
        cloud_cover=np.where(own, weather.cloud_cover, strange.cloud_cover),
    )
