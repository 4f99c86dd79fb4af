"""From what is seen of cells to PM2.5: place, day, and back to ug/m3, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.estimators.place_and_day.place_and_day import FittedPlaceAndDay

Floats = NDArray[np.float64]

ROWS_AT_ONCE = 100_000
"""Places x dates that are predicted together."""


@dataclass(frozen=True)
class PlacePrediction:
    """What is known of n places on t dates.

    Attributes:
        place: Effect of the place, log units, n; NaN where nothing shows it.
        place_sd: Its standard deviation, n.
        mean: PM2.5, ug/m3, t x n; NaN where place or day is not known.
        sd: Its standard deviation, t x n.
    """

    place: Floats
    place_sd: Floats
    mean: Floats
    sd: Floats


def with_air(fitted: FittedPlaceAndDay, dates: pd.DatetimeIndex, air: NDArray[np.float32]) -> FittedPlaceAndDay:
    """A model that also knows what the air of further dates looks like; of dates it knows nothing is changed.

    Args:
        fitted: The model.
        dates: Sorted, t.
        air: As `Ground.air_of_dates` gives it, t x d; a row that is not finite tells nothing.
    """
    ground = fitted.ground
    if ground is None:
        return fitted
    new = ~dates.isin(pd.DatetimeIndex(ground.dates)) & np.isfinite(air).all(axis=1)
    every = np.concatenate([ground.dates, dates.to_numpy("datetime64[ns]")[new]])
    order = np.argsort(every)
    return replace(
        fitted, ground=replace(ground, dates=every[order], air=np.concatenate([ground.air, air[new]])[order])
    )


def predict_places(
    fitted: FittedPlaceAndDay, places: pd.DataFrame, means: NDArray[np.float32] | None, dates: pd.DatetimeIndex
) -> PlacePrediction:
    """Predicts every place on every date.

    A place that the model's ground knows is taken as it is known; another as its mean embedding shows it. The level of
    a date is told by its readings, by the air that the model knows of it (`with_air`) and its weather, or both; where
    it is neither read nor seen it is not known: what season and weather alone would say is no prediction of a day.

    Args:
        fitted: The model.
        places: n rows: site_id, latitude, longitude (WGS84 degrees).
        means: Mean embeddings, n x d; None where the model knows all places.
        dates: t.
    """
    place, variance = fitted.places(places.reset_index(drop=True), means)
    return PlacePrediction(place, np.sqrt(variance), *predict_dates(fitted, places, place, variance, dates))


def predict_dates(
    fitted: FittedPlaceAndDay, places: pd.DataFrame, place: Floats, variance: Floats, dates: pd.DatetimeIndex
) -> tuple[Floats, Floats]:
    """Mean and standard deviation of PM2.5 at every place on every date, ug/m3, t x n each; NaN where not known.

    Args:
        fitted: The model.
        places: n rows: site_id, latitude, longitude (WGS84 degrees).
        place: Effect of each, log units, n.
        variance: Of the effect, n.
        dates: t.
    """
    count = len(places)
    mean, sd = np.full((2, len(dates), count), np.nan)
    known = np.flatnonzero(_read_or_seen(fitted, dates))
    step = max(1, ROWS_AT_ONCE // max(count, 1))
    for first in range(0, len(known), step):
        some = known[first : first + step]
        rows = places[["site_id", "latitude", "longitude"]].iloc[np.tile(np.arange(count), len(some))]
        rows = rows.assign(local_date=np.repeat(dates.to_numpy()[some], count)).reset_index(drop=True)
        day, day_variance = (values.reshape(len(some), count) for values in fitted.days(rows, None))
        mean[some], sd[some] = fitted.back.back(place + day, np.sqrt(variance + day_variance))
    return mean, sd


def _read_or_seen(fitted: FittedPlaceAndDay, dates: pd.DatetimeIndex) -> NDArray[np.bool_]:
    """Whether readings or images tell the level of each date."""
    known = np.zeros(len(dates), bool)
    if fitted.day_from_readings is not None:
        known |= np.asarray(dates.isin(fitted.day_from_readings.readings["local_date"].unique()))
    if fitted.day_from_images is not None and fitted.day_from_images.with_air is not None and fitted.ground is not None:
        air, number = fitted.ground.air_of_dates(pd.DataFrame({"site_id": "", "local_date": dates}), None)
        known |= np.asarray(np.isfinite(air).all(axis=1))[number]
    return known


@dataclass(frozen=True)
class PeriodMeans:
    """Means over periods, p x n.

    Attributes:
        mean: ug/m3; NaN where no date of the period is known.
        sd: Standard deviation: of a period the mean of its dates', narrower as its interval is than a day's.
        lower: Of the 90 % interval, 0 or more; NaN without calibration.
        upper: Of the interval.
    """

    mean: Floats
    sd: Floats
    lower: Floats
    upper: Floats


def period_means(
    mean: Floats, sd: Floats, period: NDArray[np.int64], length: str, reach: Mapping[str, float]
) -> PeriodMeans:
    """Averages dates; each date that is known at a place counts once.

    Args:
        mean: t x n, ug/m3.
        sd: t x n.
        period: Of each date, from 0, t.
        length: day, month, season or year.
        reach: Half-width of intervals by length, in standard deviations (see `CityModel`).
    """
    periods, count = int(period.max()) + 1, mean.shape[1]
    totals, spreads = np.zeros((2, periods, count))
    dates = np.zeros((periods, count), np.int64)
    known = np.isfinite(mean)
    np.add.at(totals, period, np.where(known, mean, 0.0))
    np.add.at(spreads, period, np.where(known, sd, 0.0))
    np.add.at(dates, period, known)
    with np.errstate(invalid="ignore"):
        average, spread = (np.where(dates > 0, sums / dates, np.nan) for sums in (totals, spreads))
    wide = reach.get(length, np.nan)
    half = wide * spread
    if length != "day":  # errors of days partly cancel, by as much as the intervals say
        spread = spread * (wide / reach["day"] if reach.get("day") else np.nan)
    return PeriodMeans(average, spread, np.maximum(average - half, 0.0), average + half)
