"""What each place breathes on each day: the synthetic readings, or real ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.errors import InputError
from model_utils.simulation.haze import SMOOTHING_KM, around, driver
from model_utils.simulation.land_use import LandUse
from model_utils.simulation.parameters import ReadingsParameters
from model_utils.simulation.random_fields import Floats, stream
from model_utils.simulation.readings import PlaceIncrements, Residuals, city_signal, operator_bias, place_keys
from model_utils.simulation.weather import Weather

_PRIOR_WEIGHT = 0.3  # of "as the city's mean" against one station at distance 0, in the smoothed real field


@dataclass(frozen=True)
class World:
    """Labels and haze driver of days x places.

    Attributes:
        driving: Pbar, PM2.5 smoothed as a column of air sees it, ug/m3.
        columns: Archive columns by name, each days x places.
    """

    driving: Floats
    columns: dict[str, NDArray[Any]]


def synthetic_world(
    parameters: ReadingsParameters,
    stations: pd.DataFrame,
    places: pd.DataFrame,
    dates: pd.DatetimeIndex,
    land_use: LandUse | None,
    weather: Weather,
    coupling: float,
    seed: int,
    city: str,
) -> World:
    """Simulates the readings of the stations and what is true at all places.

    Args:
        parameters: The model's.
        stations: The city's own, which the spreads refer to.
        places: Where it is asked for.
        dates: Consecutive days.
        land_use: None over a real ground, whose land use is unknown; its share then goes to the Matern field.
        weather: Of these days.
        coupling: Scales what depends on the place.
        seed: Keys the draws.
        city: Keys the draws.
    """
    bias = operator_bias(parameters, len(stations), seed, city)
    increments = PlaceIncrements(parameters, stations, bias, land_use, coupling, seed, city)
    residuals = Residuals(parameters, seed, city)
    signal = city_signal(parameters, dates, seed, city)
    persistent = increments.at(places)
    truth = np.exp(signal[:, None] + persistent + residuals.at(places, len(dates)))
    instrument = places["site_id"].map(dict(zip(stations["site_id"], bias, strict=True))).to_numpy(float)

    explained = increments.land_use_part(places["east_km"].to_numpy(), places["north_km"].to_numpy())
    east, north = around(places)
    local = increments.spatial_part(east, north).mean(axis=-1) + residuals.field(east, north, len(dates)).mean(axis=-1)
    noise = np.stack(
        [stream(seed, city, "station weather", key).standard_normal((len(dates), 3)) for key in place_keys(places)],
        axis=1,
    )
    columns = {
        "pm25": truth * np.exp(instrument),  # NaN at grid cells: they have no instrument
        "temperature_c": weather.temperature_c[:, None] + 0.5 * noise[..., 0],
        "relative_humidity_pct": np.clip(weather.relative_humidity_pct[:, None] + 2 * noise[..., 1], 5, 100),
        "pressure_hpa": weather.pressure_hpa[:, None] + 0.5 * noise[..., 2],
        "true_pm25": truth,
        "true_increment": np.broadcast_to(persistent, truth.shape),
        "true_land_use_increment": np.broadcast_to(explained, truth.shape),
    }
    return World(driver(np.exp(signal), np.exp(local), coupling), columns)


def real_dates(readings: pd.DataFrame) -> tuple[pd.DatetimeIndex, int]:
    """The days with a reading at any station, and how many have none.

    Raises:
        InputError: No day has one.
    """
    has_reading = readings.groupby("local_date")["pm25"].count() > 0
    if not has_reading.any():
        raise InputError("readings: no station has a PM2.5 reading on any day")
    return pd.DatetimeIndex(has_reading.index[has_reading]), int((~has_reading).sum())


def real_world(
    readings: pd.DataFrame,
    stations: pd.DataFrame,
    places: pd.DataFrame,
    dates: pd.DatetimeIndex,
    coupling: float,
) -> World:
    """Takes labels from real readings, and the haze from their smoothed field.

    The field of a day is its geometric mean over the stations times the ratios to it, averaged with Gaussian weights
    of `SMOOTHING_KM` around a place; far from all stations it is the mean.

    Args:
        readings: As from `daily_labels`; weather that it lacks is unknown.
        stations: All places with readings; those outside of the ground count as well.
        places: Where it is asked for.
        dates: Days with a reading at any station.
        coupling: Scales the local increments.
    """
    columns: dict[str, NDArray[Any]] = {}
    for name in ("pm25", "temperature_c", "relative_humidity_pct", "pressure_hpa", "quality"):
        if name not in readings:
            continue
        wide = readings.pivot(index="local_date", columns="station", values=name).reindex(index=dates)
        table = wide.reindex(columns=places["site_id"])
        columns[name] = (table.astype(object).fillna("") if name == "quality" else table).to_numpy()
        if name == "pm25":
            values = wide.reindex(columns=stations["site_id"]).to_numpy(float)
    known = ~np.isnan(values)
    level = np.exp(
        (np.log(np.maximum(values, 1), where=known, out=np.zeros_like(values))).sum(axis=1) / known.sum(axis=1)
    )
    ratios = np.where(known, values / level[:, None], 0)
    east, north = (places[axis].to_numpy()[:, None] - stations[axis].to_numpy() for axis in ("east_km", "north_km"))
    weights = np.exp(-(east**2 + north**2) / (2 * SMOOTHING_KM**2)).T
    local = (ratios @ weights + _PRIOR_WEIGHT) / (known @ weights + _PRIOR_WEIGHT)
    return World(driver(level, local, coupling), columns)
