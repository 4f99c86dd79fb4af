"""PM2.5 of the synthetic city: ln P(s, t) = h(doy) + e(t) + o(s) + eps(s, t).

h is the season, e the day signal that all places share, o the constant increment of a place, eps the rest. All
spreads are in log units. Chosen where the calibration leaves it open: the fields have smoothness 1/2 (exponential
covariance), the place spread holds exactly over the city's stations, and the gradient is flat outside of the
latitudes that the record covers.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from model_utils.simulation.land_use import LandUse
from model_utils.simulation.parameters import ReadingsParameters
from model_utils.simulation.random_fields import FEATURES, Floats, MaternField, autoregressive, stream


def season(parameters: ReadingsParameters, day_of_year: Floats) -> Floats:
    """h(doy): two harmonics of the year."""
    a0, a1, b1, a2, b2 = parameters.season
    w = 2 * np.pi * day_of_year / 365.25
    return np.asarray(a0 + a1 * np.cos(w) + b1 * np.sin(w) + a2 * np.cos(2 * w) + b2 * np.sin(2 * w))


def day_signal(parameters: ReadingsParameters, z: Floats) -> Floats:
    """e(t) from standard normal z: skewed towards clean days, and clipped as the record is."""
    return np.asarray(parameters.day_sd * np.clip(z - 0.12 * (z**2 - 1), -2.6, 2.1))


def city_signal(parameters: ReadingsParameters, days: pd.DatetimeIndex, seed: int, city: str) -> Floats:
    """The sum h + e of consecutive days; fewer days are the beginning of more."""
    z = autoregressive(stream(seed, city, "day signal").standard_normal(len(days)), parameters.day_autocorrelation)
    return season(parameters, days.day_of_year.to_numpy(float)) + day_signal(parameters, z)


class PlaceIncrements:
    """o(s): land use, a Matern field with the north gradient, and a nugget, orthogonal over the stations.

    The variance of o and the operators' bias together, over the stations, is place_sd^2 plus that of the
    gradient: what a record shows. Of o's own variance land use holds `land_use_share`, the nugget as much as
    place_nugget_share * place_sd^2, the Matern field with the gradient the rest. `coupling` scales what depends
    on the place, and the nugget takes over what is lost: at 0 the increments are independent from place to
    place, so that neither an image nor a coordinate can tell them, and all other statistics stay.
    (A spatial field kept at 0 would be told: land use is smooth too, so a chance correlation among the training
    stations also holds at the test stations between them.)
    """

    def __init__(
        self,
        parameters: ReadingsParameters,
        stations: pd.DataFrame,
        bias: Floats,
        land_use: LandUse | None,
        coupling: float,
        seed: int,
        city: str,
    ) -> None:
        """Standardises over `stations` (latitude, longitude, east_km, north_km), whose operators have `bias`."""
        self._key, self._land_use = (seed, city), land_use
        self._limits, self._slope = parameters.gradient_limits_km, parameters.gradient_per_km
        random = stream(seed, city, "place field")
        self._field = MaternField(random, parameters.place_range_km)
        self._weights = random.standard_normal(FEATURES)
        field = (1 - parameters.place_nugget_share) * parameters.place_sd**2
        self._field_sd = np.sqrt(field)
        gradient = self._gradient(stations["north_km"].to_numpy())
        total = parameters.place_sd**2 + gradient.var()
        explained = parameters.land_use_share * total if land_use else 0.0
        spatial = max(field + gradient.var() - explained, 0.0)
        nugget = total - coupling**2 * (explained + spatial)
        self._scales = np.sqrt([coupling**2 * explained, coupling**2 * spatial, nugget])
        raw = self._raw(stations["east_km"].to_numpy(), stations["north_km"].to_numpy())
        _, triangle = np.linalg.qr(np.column_stack([raw, self._nugget(stations)]))  # Gram-Schmidt in this order
        self._transform = np.linalg.inv(triangle) * np.sign(np.diag(triangle)) * np.sqrt(len(stations))
        increments = self.at(stations)
        covariance = ((increments - increments.mean()) * bias).mean()
        room = max(total - bias.var(), 0.0)
        self._scales *= (np.sqrt(covariance**2 + increments.var() * room) - covariance) / increments.var()

    def land_use_part(self, east_km: Floats, north_km: Floats) -> Floats:
        """The part of o that land use explains, at points of any shape."""
        return self._parts(east_km, north_km)[..., 0]

    def spatial_part(self, east_km: Floats, north_km: Floats) -> Floats:
        """All of o but the nugget, at points of any shape."""
        return np.asarray(self._parts(east_km, north_km).sum(axis=-1))

    def at(self, places: pd.DataFrame) -> Floats:
        """The increments o of places, in their order."""
        east, north = places["east_km"].to_numpy(), places["north_km"].to_numpy()
        columns = np.column_stack([self._raw(east, north), self._nugget(places)])
        return np.asarray(self.spatial_part(east, north) + columns @ self._transform[:, -1] * self._scales[-1])

    def _parts(self, east_km: Floats, north_km: Floats) -> Floats:
        """Land use and field, scaled; a column of zeros where land use is unknown."""
        raw = self._raw(east_km, north_km)
        width = raw.shape[-1]
        parts = (raw @ self._transform[:width, :width])[..., 1:] * self._scales[3 - width : 2]
        return parts if self._land_use else np.concatenate([np.zeros_like(parts), parts], axis=-1)

    def _raw(self, east_km: Floats, north_km: Floats) -> Floats:
        """One, the land-use score if there is one, the field with the gradient."""
        field = self._field_sd * (self._field.basis(east_km, north_km) @ self._weights)
        score = [self._land_use.score(east_km, north_km)] if self._land_use else []
        return np.stack([np.ones_like(field), *score, field + self._gradient(north_km)], axis=-1)

    def _gradient(self, north_km: Floats) -> Floats:
        south, north = self._limits
        return np.asarray(self._slope * np.clip(north_km, south, north))

    def _nugget(self, places: pd.DataFrame) -> Floats:
        return np.array([stream(*self._key, "nugget", key).standard_normal() for key in place_keys(places)])


class Residuals:
    """eps(s, t): a Matern field and a nugget, both AR(1) in time with one autocorrelation."""

    def __init__(self, parameters: ReadingsParameters, seed: int, city: str) -> None:
        self._key, self._autocorrelation = (seed, city), parameters.residual_autocorrelation
        self._field = MaternField(stream(seed, city, "residual field"), parameters.residual_range_km)
        shares = np.array([1 - parameters.residual_nugget_share, parameters.residual_nugget_share])
        self._field_sd, self._nugget_sd = parameters.residual_sd * np.sqrt(shares)

    def field(self, east_km: Floats, north_km: Floats, days: int) -> Floats:
        """The spatial part, days x points (of any shape)."""
        basis = self._field.basis(east_km, north_km)
        innovations = stream(*self._key, "residual days").standard_normal((days, FEATURES))
        weights = autoregressive(innovations, self._autocorrelation)
        return np.asarray(self._field_sd * np.tensordot(weights, basis, axes=(1, -1)))

    def at(self, places: pd.DataFrame, days: int) -> Floats:
        """eps, days x places."""
        innovations = [stream(*self._key, "residual nugget", key).standard_normal(days) for key in place_keys(places)]
        nugget = autoregressive(np.stack(innovations, axis=1), self._autocorrelation)
        field = self.field(places["east_km"].to_numpy(), places["north_km"].to_numpy(), days)
        return np.asarray(field + self._nugget_sd * nugget)


def operator_bias(parameters: ReadingsParameters, stations: int, seed: int, city: str) -> Floats:
    """A constant log bias of the instrument, of root mean square operator_sd at some stations, 0 at the others."""
    random = stream(seed, city, "operators")
    badly_kept = random.permutation(stations) < round(parameters.operator_share * stations)
    bias = np.where(badly_kept, random.standard_normal(stations), 0.0)
    return np.asarray(bias * parameters.operator_sd / max(np.sqrt((bias[badly_kept] ** 2).mean()), 1e-9))


def place_keys(places: pd.DataFrame) -> list[str]:
    """What keys the draws of a place: its coordinates to about 0.1 m, never its row or name."""
    return [f"{a:.6f}|{b:.6f}" for a, b in zip(places["latitude"], places["longitude"], strict=True)]
