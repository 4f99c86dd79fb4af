"""A Gaussian process over places: coordinates, scores of what the images show, and what neither explains."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, Kernel, Matern, WhiteKernel

from model_utils.estimators.applicability import Applicability, fit_applicability
from model_utils.estimators.saving import Saved
from model_utils.geography import EARTH_RADIUS_KM

Floats = NDArray[np.float64]

LEVEL_VARIANCE = 1.0
"""Prior variance of the mean of all places, log units squared: vague, as effects are a tenth."""
PRIOR_VARIANCE = 0.1**2
"""Prior median of each variance: effects of real cities have an SD of .05 to .2 (Beijing, Delhi)."""
PRIOR_VARIANCE_LOG_SD = 1.5
PRIOR_RANGE_KM = 10.0
"""Prior median of the range."""
PRIOR_RANGE_LOG_SD = 1.0
BOUNDS = 6.0
"""Hyperparameters are sought within this many log-SDs of their prior medians."""
STARTS = ((0.0, 0.0), (1.0, -1.0), (-1.0, 1.0))
"""Where the optimiser starts: log-SDs from the medians, of the structured variances and of the nugget."""


class OnColumns(Kernel):  # type: ignore[misc]
    """A kernel that sees some of the columns, as scikit-learn has none.

    It has the hyperparameters of the kernel that it wraps.
    """

    def __init__(self, kernel: Kernel, first: int, last: int) -> None:
        self.kernel, self.first, self.last = kernel, first, last

    def __call__(self, X: Floats, Y: Floats | None = None, eval_gradient: bool = False) -> Any:  # noqa: N803
        """As scikit-learn defines it."""
        return self.kernel(self._seen(X), None if Y is None else self._seen(Y), eval_gradient)

    def diag(self, X: Floats) -> Floats:  # noqa: N803
        """As scikit-learn defines it."""
        return np.asarray(self.kernel.diag(self._seen(X)))

    def is_stationary(self) -> bool:
        """As the wrapped one."""
        return bool(self.kernel.is_stationary())

    @property
    def hyperparameters(self) -> Any:
        """Those of the wrapped one."""
        return self.kernel.hyperparameters

    @property
    def theta(self) -> Floats:
        """Those that are free, in logarithms."""
        return np.asarray(self.kernel.theta)

    @theta.setter
    def theta(self, theta: Floats) -> None:
        self.kernel.theta = theta

    @property
    def bounds(self) -> Floats:
        """Of theta."""
        return np.asarray(self.kernel.bounds)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """What a clone is made with."""
        return {"kernel": self.kernel, "first": self.first, "last": self.last}

    def clone_with_theta(self, theta: Floats) -> OnColumns:
        """A copy with other hyperparameters."""
        return OnColumns(self.kernel.clone_with_theta(theta), self.first, self.last)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OnColumns) and self.get_params() == other.get_params()

    def __repr__(self) -> str:
        return f"{self.kernel}[{self.first}:{self.last}]"

    def _seen(self, inputs: Floats) -> Floats:
        return inputs[:, self.first : self.last]


class KnownErrors(Kernel):  # type: ignore[misc]
    """A given covariance of the errors of the training values, as scikit-learn's `alpha` has it for independent ones.

    Nothing is free in it, and other inputs have none of it.
    """

    def __init__(self, covariance: Floats) -> None:
        self.covariance = covariance

    def __call__(self, X: Floats, Y: Floats | None = None, eval_gradient: bool = False) -> Any:  # noqa: N803
        """As scikit-learn defines it."""
        found = self.covariance if Y is None else np.zeros((len(X), len(Y)))
        return (found, np.empty((*found.shape, 0))) if eval_gradient else found

    def diag(self, X: Floats) -> Floats:  # noqa: N803
        """As scikit-learn defines it."""
        return np.zeros(len(X))

    def is_stationary(self) -> bool:
        """Never."""
        return False


@dataclass(frozen=True)
class PlaceProcess(Saved):
    """A fitted process: effect = level + field + blocks + nugget, in log units.

    Attributes:
        middle: Latitude and longitude of the mean of the training stations, degrees.
        stations: site_id of the n training stations.
        east_north_km: Their places about the middle, n x 2.
        blocks: Their scores, n x k each.
        level_variance: Of the mean of all places; 0 where there is no station: then the mean is zero.
        field_variance: Of what coordinates explain; 0 without coordinates.
        range_km: The field's correlation is exp(-distance / range).
        block_variances: Of what each block explains at a site of mean square score 1.
        nugget: Variance of what belongs to a place alone.
        errors: Covariance of the training effects' errors, n x n.
        effects: Of the training stations, n.
        inverse: Of the effects' covariance, n x n.
        log_posterior: Log marginal likelihood + log prior density at the hyperparameters, up to a constant.
    """

    middle: Floats
    stations: NDArray[np.object_]
    east_north_km: Floats
    blocks: tuple[Floats, ...]
    level_variance: float
    field_variance: float
    range_km: float
    block_variances: tuple[float, ...]
    nugget: float
    errors: Floats
    effects: Floats
    inverse: Floats
    log_posterior: float

    def __post_init__(self) -> None:
        count = len(self.stations)
        shapes = self.middle.shape, self.east_north_km.shape, self.inverse.shape, self.errors.shape, self.effects.shape
        expected = (2,), (count, 2), (count, count), (count, count), (count,)
        if shapes != expected or len(self.blocks) != len(self.block_variances):
            raise ValueError(f"place process: found {shapes}, expected {expected}")
        if self.stations.ndim != 1 or not self.range_km > 0:
            raise ValueError(f"place process: found {self.stations.shape} stations and {self.range_km:g} km of range")
        if any(block.ndim != 2 or len(block) != count for block in self.blocks):
            raise ValueError(f"place process: found {[block.shape for block in self.blocks]}, expected {count} rows")

    def predict(
        self, latitude: Floats, longitude: Floats, blocks: tuple[Floats, ...], stations: NDArray[np.object_] | None
    ) -> tuple[Floats, Floats]:
        """Mean and variance of the effect of m places, log units.

        At a training station that is what its instrument shows persistently: the nugget is part of what its readings
        tell. Anywhere else the variance includes the nugget, of which nothing is known.

        Args:
            latitude: WGS84 degrees, m.
            longitude: WGS84 degrees, m.
            blocks: Scores, m x k each, as in the fit; NaN where they are not known, and so is then the effect.
            stations: site_id of the places, m; without, none is a training station.
        """
        places = east_north_km(latitude, longitude, self.middle)
        covariance = self.covariance(places, blocks)
        if stations is not None:
            covariance = covariance + self.nugget * (np.asarray(stations, dtype=object)[:, None] == self.stations)
        mean = covariance @ (self.inverse @ self.effects)
        prior = self.level_variance + self.field_variance + self.nugget
        for variance, block in zip(self.block_variances, blocks, strict=True):
            prior = prior + variance * (block**2).sum(axis=1)
        variance = prior - ((covariance @ self.inverse) * covariance).sum(axis=1)
        return mean, np.maximum(variance, 0.0)

    def covariance(self, places: Floats, blocks: tuple[Floats, ...]) -> Floats:
        """Between m places and the training stations without the nugget, m x n."""
        apart = np.linalg.norm(places[:, None] - self.east_north_km, axis=2)
        covariance = self.level_variance + self.field_variance * np.exp(-apart / self.range_km)
        for variance, block, known in zip(self.block_variances, blocks, self.blocks, strict=True):
            covariance = covariance + variance * block @ known.T
        return np.asarray(covariance)

    def left_out(self) -> tuple[Floats, Floats]:
        """Mean and variance of each training station's effect as the others predict it, n each, in closed form.

        As in Rasmussen & Williams 2006, section 5.4.2, for the effects without their errors: with K^-1 = B of all, that
        of all but one has b b' / B_ii less, b the column that is left out.
        """
        signal = self.covariance(self.east_north_km, self.blocks) + self.nugget * np.eye(len(self.effects))
        weighed, diagonal = signal @ self.inverse, np.diag(self.inverse)
        own = np.diag(weighed)
        mean = weighed @ self.effects - own * (self.inverse @ self.effects) / diagonal
        variance = np.diag(signal) - (weighed * signal).sum(axis=1) + own**2 / diagonal
        return mean, np.maximum(variance, 0.0)

    def applicability(self) -> Applicability:
        """Where places are like the training stations, each of which is its own fold.

        Predictors count by what they contribute to an effect's prior: a score by its SD over the stations x the SD of
        its block, a coordinate by its SD x the SD of the field / the range. It follows from what is saved and costs
        n x n distances, so it is no field: nothing can contradict the process, and any saved model has it.
        """
        points = np.column_stack([self.east_north_km, *self.blocks])
        of_coordinates = np.full(2, self.field_variance**0.5 / self.range_km)
        of_scores = (
            np.full(block.shape[1], variance**0.5)
            for variance, block in zip(self.block_variances, self.blocks, strict=True)
        )
        spread = points.std(axis=0) if len(points) else np.zeros(points.shape[1])
        return fit_applicability(points, np.concatenate([of_coordinates, *of_scores]) * spread, np.arange(len(points)))

    def dissimilarity(self, latitude: Floats, longitude: Floats, blocks: tuple[Floats, ...]) -> Floats:
        """Of m places from the training stations (see `Applicability`), m; arguments as in `predict`."""
        points = np.column_stack([east_north_km(latitude, longitude, self.middle), *blocks])
        return self.applicability().dissimilarity(points)

    def chosen(self, names: tuple[str, ...]) -> dict[str, float]:
        """The hyperparameters, blocks by their names; standard deviations in log units."""
        field = {"field_sd": self.field_variance**0.5, "range_km": self.range_km} if self.field_variance else {}
        blocks = {f"{name}_sd": variance**0.5 for name, variance in zip(names, self.block_variances, strict=True)}
        return {**field, **blocks, "nugget_sd": self.nugget**0.5}


def fit_place_process(
    latitude: Floats,
    longitude: Floats,
    effects: Floats,
    errors: Floats,
    blocks: tuple[Floats, ...],
    stations: NDArray[np.object_],
    coordinates: bool = True,
) -> PlaceProcess:
    """Hyperparameters at the maximum of marginal likelihood x weak log-normal priors, then the exact posterior.

    The priors are densities of the logarithms (their maximum does not move with the unit). With few stations they
    decide, so one station or none is no special case.

    Args:
        latitude: Of the training stations, WGS84 degrees, n.
        longitude: Of the training stations, WGS84 degrees, n.
        effects: Log units, n.
        errors: Covariance of their errors, n x n.
        blocks: Scores of covariates, n x k each, in units in which the mean square of a site's row is 1.
        stations: site_id, n.
        coordinates: Whether places that are close are alike.
    """
    count = len(effects)
    middle = np.array([latitude.mean(), longitude.mean()]) if count else np.zeros(2)
    places = east_north_km(latitude, longitude, middle)
    kernel = _kernel(coordinates, tuple(block.shape[1] for block in blocks))
    medians, log_sds = _priors(coordinates, len(blocks))
    theta, log_posterior = medians, 0.0
    if count:
        posterior = _Posterior(medians, log_sds)
        process = GaussianProcessRegressor(kernel + KnownErrors(errors), alpha=0.0, optimizer=posterior.optimum)
        with warnings.catch_warnings():
            # a variance at its lower bound is nil, as in a world without noise: nothing is to be done about it
            warnings.simplefilter("ignore", ConvergenceWarning)
            process.fit(np.column_stack([places, *blocks]), effects)
        theta = np.asarray(process.kernel_.theta)
        log_posterior = process.log_marginal_likelihood_value_  # of the optimiser's objective, priors included
    values = [float(value) for value in np.exp(theta)]
    field_variance, range_km = values[:2] if coordinates else (0.0, 1.0)
    fitted = PlaceProcess(
        middle=middle,
        stations=np.asarray(stations, dtype=object),
        east_north_km=places,
        blocks=blocks,
        level_variance=LEVEL_VARIANCE if count else 0.0,
        field_variance=field_variance,
        range_km=range_km,
        block_variances=tuple(values[2 * coordinates : -1]),
        nugget=values[-1],
        errors=errors,
        effects=effects,
        inverse=np.eye(count),
        log_posterior=float(log_posterior),
    )
    covariance = fitted.covariance(places, blocks) + fitted.nugget * np.eye(count) + errors
    inverse = cho_solve((cholesky(covariance, lower=True), True), np.eye(count)) if count else np.empty((0, 0))
    return replace(fitted, inverse=np.ascontiguousarray((inverse + inverse.T) / 2))


def east_north_km(latitude: Floats, longitude: Floats, middle: Floats) -> Floats:
    """Places projected about a middle (equirectangular: within a city right to a metre in a kilometre), km, m x 2."""
    east = (np.asarray(longitude) - middle[1] + 180) % 360 - 180
    north = np.asarray(latitude) - middle[0]
    km = np.column_stack([east * np.cos(np.radians(middle[0])), north])
    return np.asarray(np.radians(km) * EARTH_RADIUS_KM)


def _kernel(coordinates: bool, widths: tuple[int, ...]) -> Kernel:
    """Level + field + blocks + nugget on columns of km east, km north and the blocks' scores."""
    variance, distance = _bounds(PRIOR_VARIANCE, PRIOR_VARIANCE_LOG_SD), _bounds(PRIOR_RANGE_KM, PRIOR_RANGE_LOG_SD)
    kernel: Kernel = ConstantKernel(LEVEL_VARIANCE, "fixed")
    if coordinates:
        exponential = Matern(PRIOR_RANGE_KM, distance, nu=0.5)
        kernel = kernel + ConstantKernel(PRIOR_VARIANCE, variance) * OnColumns(exponential, 0, 2)
    first = 2
    for width in widths:
        linear = OnColumns(DotProduct(sigma_0=0.0, sigma_0_bounds="fixed"), first, first + width)
        kernel = kernel + ConstantKernel(PRIOR_VARIANCE, variance) * linear
        first += width
    return kernel + WhiteKernel(PRIOR_VARIANCE, variance)


def _priors(coordinates: bool, blocks: int) -> tuple[Floats, Floats]:
    """Medians and SDs of the logarithms of the hyperparameters, in the kernel's order."""
    pairs = [(PRIOR_VARIANCE, PRIOR_VARIANCE_LOG_SD), (PRIOR_RANGE_KM, PRIOR_RANGE_LOG_SD)] if coordinates else []
    pairs += [(PRIOR_VARIANCE, PRIOR_VARIANCE_LOG_SD)] * (blocks + 1)
    medians, log_sds = np.array(pairs).T
    return np.log(medians), log_sds


def _bounds(median: float, log_sd: float) -> tuple[float, float]:
    return median * float(np.exp(-BOUNDS * log_sd)), median * float(np.exp(BOUNDS * log_sd))


@dataclass(frozen=True)
class _Posterior:
    """Finds the maximum for scikit-learn.

    Attributes:
        medians: Logarithms of the priors' medians.
        log_sds: SDs of the logarithms.
    """

    medians: Floats
    log_sds: Floats

    def penalty(self, theta: Floats) -> tuple[float, Floats]:
        """- log prior density of the logarithms, up to a constant, and its gradient."""
        standardised = (theta - self.medians) / self.log_sds
        return float(standardised @ standardised / 2), standardised / self.log_sds

    def optimum(
        self, objective: Callable[[Floats], tuple[float, Floats]], initial: Floats, bounds: Floats
    ) -> tuple[Floats, float]:
        """The best of a few starts; `objective` is - log marginal likelihood with its gradient."""

        def penalised(theta: Floats) -> tuple[float, Floats]:
            (value, gradient), (penalty, slope) = objective(theta), self.penalty(theta)
            return value + penalty, gradient + slope

        found = []
        for structured, nugget in STARTS:
            start = self.medians + self.log_sds * np.append(np.full(len(self.medians) - 1, structured), nugget)
            best = minimize(penalised, start, jac=True, bounds=bounds, method="L-BFGS-B")
            found.append((float(best.fun), best.x))
        value, theta = min(found, key=lambda each: each[0])
        return theta, value
