"""Ordinary kriging of one day's readings, with one variogram for the whole record."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pykrige.variogram_models import exponential_variogram_model
from scipy.optimize import nnls

from model_utils.estimators.references.same_day import Neighbours, at_rows, layers_at_rows, mean_field, station_days
from model_utils.estimators.saving import Saved
from model_utils.geography import great_circle_km

LEAST_STATIONS = 3
"""Fewest stations of a day; on others the field is the same-day mean."""
RANGES = 40
"""Ranges tried, from the shortest distance between two stations to three times the longest."""


@dataclass(frozen=True)
class Variogram(Saved):
    """Half the mean square of the difference between two stations on one day.

    In squares of the day's mean, or as it is, in squares of the readings' unit (see `fit_variogram`).

    Attributes:
        partial_sill: What distance adds to the nugget.
        range_km: Where 95 % of it is reached (PyKrige's convention).
        nugget: What stations side by side differ by.
    """

    partial_sill: float
    range_km: float
    nugget: float

    def __post_init__(self) -> None:
        if not (self.partial_sill >= 0 and self.nugget >= 0 and 0 < self.range_km < np.inf):
            raise ValueError(f"variogram: found {self.partial_sill:g}, {self.range_km:g} km and {self.nugget:g}")
        if not self.partial_sill + self.nugget < np.inf:
            raise ValueError("variogram: found no finite sill")

    def __call__(self, km: NDArray[np.float64]) -> NDArray[np.float64]:
        """The semivariance of two different stations."""
        model = exponential_variogram_model([self.partial_sill, self.range_km, self.nugget], km)
        return np.asarray(model, dtype=np.float64)


def ordinary_kriging(train: pd.DataFrame, test: pd.DataFrame) -> NDArray[np.float64]:
    """Ordinary kriging from the other training stations that read on that day (Cressie 1993, section 3.2).

    A day has too few stations for a variogram of its own, so there is one for all days of `train`. It is that of
    readings divided by their day's mean: what stations differ by grows with the level of the day. A prediction
    is linear in the day's readings and needs no transformation back. The same-day mean where fewer than
    three other stations read, or no variogram can be fitted; NaN where none reads.
    """
    return krige(fit_variogram(train), train, test)


def krige(variogram: Variogram | None, train: pd.DataFrame, test: pd.DataFrame) -> NDArray[np.float64]:
    """As `ordinary_kriging`, with a given variogram; the same-day mean without one."""
    if variogram is None:
        return at_rows(train, test, mean_field)
    return at_rows(train, test, lambda neighbours: _kriged(variogram, neighbours)[0])


def krige_with_variance(
    variogram: Variogram, train: pd.DataFrame, test: pd.DataFrame
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Kriging and the variance of its error as a prediction of a reading at the place.

    Unlike `krige` it does not repeat the reading of another station at the same place: two instruments side by side
    differ by the nugget, and so a place's reading and its neighbour's.

    Args:
        variogram: Of differences as they are.
        train: Rows with site_id, latitude, longitude, local_date, pm25 (in any unit: logarithms, residuals).
        test: Rows with the same but pm25; a row's own station is left out.

    Returns:
        Mean and variance by row of `test`. Where fewer than three other stations read that day, the same-day mean with
        the variance of stations that are far apart; NaN where none reads.
    """
    mean, variance = layers_at_rows(train, test, lambda neighbours: _kriged(variogram, neighbours, exact=False), 2)
    return mean, variance


def fit_variogram(rows: pd.DataFrame, relative: bool = True) -> Variogram | None:
    """Fits an exponential variogram to the differences between stations on the same day.

    The semivariance of a pair of stations is the estimate of Cressie & Hawkins (1980), through fourth powers of means
    of roots: one reading of 999 among a thousand days would rule a mean of squares. Pairs count by their days. Nugget
    and partial sill are non-negative least squares for each range on a grid, so there is no start to choose and
    no local minimum.

    Args:
        rows: site_id, latitude, longitude (WGS84 degrees), local_date, pm25 (ug/m3, NaN = no reading).
        relative: Whether readings are divided by their day's mean; logarithms are taken as they are.

    Returns:
        None where no day has three stations, or these do not differ.
    """
    readings = station_days(rows)
    stations = rows.drop_duplicates("site_id").set_index("site_id").loc[readings.index]
    compared = readings.count() >= LEAST_STATIONS
    if relative:
        compared &= readings.mean() > 0
    values = readings.loc[:, compared].to_numpy()
    if not values.size:
        return None
    if relative:
        values = values / np.nanmean(values, axis=0)
    first, second = np.triu_indices(len(values), 1)
    roots = np.sqrt(np.abs(values[first] - values[second]))
    days = np.isfinite(roots).sum(axis=1)
    latitude, longitude = stations[["latitude", "longitude"]].to_numpy(float).T
    km = great_circle_km(latitude[first], longitude[first], latitude[second], longitude[second])
    kept = (days > 0) & (km > 0)
    if not kept.any():
        return None
    days, km = days[kept], km[kept]
    semivariance = np.nanmean(roots[kept], axis=1) ** 4 / (0.457 + 0.494 / days) / 2

    weight = np.sqrt(days)
    fits = []
    for range_km in np.geomspace(km.min(), 3 * km.max(), RANGES):
        design = np.column_stack([exponential_variogram_model([1, range_km, 0], km), np.ones(len(km))])
        (sill, nugget), misfit = nnls(design * weight[:, None], semivariance * weight)
        fits.append((misfit, range_km, sill, nugget))
    _, range_km, sill, nugget = min(fits)
    if sill + nugget == 0:
        return None
    # a trace of nugget keeps two stations at one place from making the system singular
    return Variogram(float(sill), float(range_km), float(max(nugget, 1e-6 * sill)))


def _kriged(
    variogram: Variogram, neighbours: Neighbours, exact: bool = True
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and variance, places x days; days with the same stations share one system of equations, inverted once."""
    readings, own = neighbours.readings, neighbours.own
    between = variogram(neighbours.apart)
    np.fill_diagonal(between, 0)
    towards = variogram(neighbours.distance)
    if exact:  # at another station
        towards = np.where(neighbours.distance > 0, towards, 0)
    field = mean_field(neighbours)
    present = np.isfinite(readings)
    others = (~own).astype(int) @ present
    variance = (variogram.partial_sill + variogram.nugget) * (1 + 1 / np.maximum(others, 1))
    variance[others == 0] = np.nan
    enough = others >= LEAST_STATIONS
    patterns, pattern = np.unique(present, axis=1, return_inverse=True)
    for number, here in enumerate(patterns.T):
        if here.sum() < LEAST_STATIONS:
            continue
        days = pattern.ravel() == number
        system = np.pad(-between[np.ix_(here, here)], (0, 1), constant_values=1)
        system[-1, -1] = 0
        try:
            inverse = np.linalg.inv(system)
        except np.linalg.LinAlgError:  # stations that say the same twice: the same-day mean stays
            continue
        values = readings[np.ix_(here, days)]
        right = np.pad(-towards[:, here], ((0, 0), (0, 1)), constant_values=1)
        weights = right @ inverse
        kriged = weights[:, :-1] @ values
        error = -(weights * right).sum(axis=1)
        # a station of the system is left out of it in closed form (Dubrule 1983)
        place, station = np.nonzero(own[:, here])
        diagonal = np.diag(inverse)[:-1]
        kriged[place] = (values - inverse[:-1, :-1] @ values / diagonal[:, None])[station]
        error[place] = (1 / diagonal)[station]
        field[:, days] = np.where(enough[:, days], kriged, field[:, days])
        variance[:, days] = np.where(enough[:, days], error[:, None], variance[:, days])
    return field, variance
