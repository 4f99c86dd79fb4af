"""The process of places against scikit-learn, a Cholesky solution by hand, a grid of hyperparameters, and the truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.stats import multivariate_normal
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, WhiteKernel

from model_utils.estimators.place_and_day import place_process
from model_utils.estimators.place_and_day.place_process import (
    KnownErrors,
    OnColumns,
    PlaceProcess,
    east_north_km,
    fit_place_process,
)
from model_utils.geography import great_circle_km

Floats = NDArray[np.float64]


class City:
    """Places with effects of known variances: field .08^2 over 8 km, block .1^2, nugget .05^2."""

    def __init__(self, count: int, seed: int = 0, width: int = 5) -> None:
        random = np.random.default_rng(seed)
        self.latitude, self.longitude = 28.6 + random.uniform(-0.3, 0.3, (2, count))
        self.longitude = self.longitude + 48.5
        self.scores = random.normal(size=(count, width)) * np.sqrt(0.5 ** np.arange(width))
        self.scores -= self.scores.mean(axis=0)
        self.scores /= np.sqrt((self.scores**2).sum(axis=1).mean())
        km = great_circle_km(self.latitude[:, None], self.longitude[:, None], self.latitude, self.longitude)
        covariance = 0.08**2 * np.exp(-km / 8) + 0.1**2 * self.scores @ self.scores.T + 0.05**2 * np.eye(count)
        self.truth = np.linalg.cholesky(covariance) @ random.normal(size=count)
        sd = random.uniform(0.01, 0.03, count)
        self.errors = sd[:, None] * sd * (0.5 * np.exp(-km / 10) + 0.5 * np.eye(count))
        self.effects = self.truth + np.linalg.cholesky(self.errors) @ random.normal(size=count)
        self.names = np.array([f"site{number:03d}" for number in range(count)], dtype=object)

    def fit(self, rows: slice | NDArray[np.int64], coordinates: bool = True, images: bool = True) -> PlaceProcess:
        return fit_place_process(
            self.latitude[rows],
            self.longitude[rows],
            self.effects[rows],
            self.errors[rows][:, rows],
            (self.scores[rows],) if images else (),
            self.names[rows],
            coordinates,
        )

    def predict(self, process: PlaceProcess, rows: slice, named: bool = True) -> tuple[Floats, Floats]:
        blocks = (self.scores[rows],) if process.blocks else ()
        names = self.names[rows] if named else None
        return process.predict(self.latitude[rows], self.longitude[rows], blocks, names)


VARIANTS = [(True, True), (True, False), (False, True), (False, False)]


def by_hand(process: PlaceProcess, city: City, train: slice, places: slice) -> tuple[Floats, Floats]:
    """Posterior of the effects of `places` with the process's hyperparameters, from the whole covariance matrix."""

    def kernel(a: slice, b: slice) -> Floats:
        first, second = (east_north_km(city.latitude[rows], city.longitude[rows], process.middle) for rows in (a, b))
        apart = np.sqrt(((first[:, None] - second) ** 2).sum(axis=2))
        found = 1.0 + process.field_variance * np.exp(-apart / process.range_km)
        for variance in process.block_variances:
            found += variance * city.scores[a] @ city.scores[b].T
        return np.asarray(found + process.nugget * (city.names[a][:, None] == city.names[b]))

    factor = cho_factor(kernel(train, train) + city.errors[train, train])
    across = kernel(places, train)
    mean = across @ cho_solve(factor, city.effects[train])
    variance = np.diag(kernel(places, places) - across @ cho_solve(factor, across.T))
    return mean, variance


@pytest.mark.parametrize(("coordinates", "images"), VARIANTS)
def test_equals_a_cholesky_solution_by_hand(coordinates: bool, images: bool) -> None:
    city = City(40)
    process = city.fit(slice(25), coordinates, images)
    for places in (slice(40), slice(10, 30)):  # training stations keep their nugget, others have it before them
        mean, variance = city.predict(process, places)
        expected_mean, expected_variance = by_hand(process, city, slice(25), places)
        np.testing.assert_allclose(mean, expected_mean, atol=1e-10)
        np.testing.assert_allclose(variance, expected_variance, atol=1e-10)


@pytest.mark.parametrize(("coordinates", "images"), VARIANTS)
def test_equals_scikit_learn(coordinates: bool, images: bool) -> None:
    city = City(40)
    process = city.fit(slice(25), coordinates, images)
    kernel = ConstantKernel(1.0, "fixed")
    if coordinates:
        kernel += ConstantKernel(process.field_variance) * OnColumns(
            place_process.Matern(process.range_km, nu=0.5), 0, 2
        )
    for variance in process.block_variances:
        kernel += ConstantKernel(variance) * OnColumns(DotProduct(0.0, "fixed"), 2, 7)
    kernel += WhiteKernel(process.nugget) + KnownErrors(city.errors[:25, :25])
    places = east_north_km(city.latitude, city.longitude, process.middle)
    inputs = np.column_stack([places, city.scores])
    regressor = GaussianProcessRegressor(kernel, alpha=0.0, optimizer=None)
    regressor.fit(inputs[:25], city.effects[:25])
    expected, sd = regressor.predict(inputs, return_std=True)
    mean, variance = city.predict(process, slice(40), named=False)
    np.testing.assert_allclose(mean, expected, atol=1e-9)
    np.testing.assert_allclose(np.sqrt(variance), sd, atol=1e-9)


def log_posterior(process: PlaceProcess, theta: Floats) -> float:
    """Log marginal likelihood + log priors, by scipy, of (field, range, block, nugget) in logarithms."""
    field, distance, block, nugget = np.exp(theta)
    apart = np.linalg.norm(process.east_north_km[:, None] - process.east_north_km, axis=2)
    covariance = 1 + field * np.exp(-apart / distance) + block * process.blocks[0] @ process.blocks[0].T
    covariance += nugget * np.eye(len(apart)) + process.errors
    likelihood = multivariate_normal(cov=covariance).logpdf(process.effects)
    medians, sds = np.log([0.01, 10, 0.01, 0.01]), np.array([1.5, 1, 1.5, 1.5])
    return float(likelihood - (((theta - medians) / sds) ** 2).sum() / 2)


@pytest.mark.parametrize("seed", range(3))
def test_no_grid_of_hyperparameters_has_a_higher_posterior(seed: int) -> None:
    city = City(24, seed)
    process = city.fit(slice(24))
    variances, distances = np.log(np.geomspace(1e-4, 0.1, 7)), np.log(np.geomspace(1, 60, 6))
    best = max(
        log_posterior(process, np.array([field, distance, block, nugget]))
        for field in variances
        for distance in distances
        for block in variances
        for nugget in variances
    )
    values = process.field_variance, process.range_km, process.block_variances[0], process.nugget
    assert process.log_posterior == pytest.approx(log_posterior(process, np.log(values)), abs=1e-6)
    assert process.log_posterior >= best


def test_left_out_is_a_fit_without_the_station() -> None:
    city = City(12)
    process = city.fit(slice(12))
    mean, variance = process.left_out()
    for number in range(12):
        others = np.delete(np.arange(12), number)
        covariance = np.linalg.inv(process.inverse)
        signal = (covariance - city.errors)[number]
        weights = np.linalg.solve(covariance[np.ix_(others, others)], signal[others])
        assert mean[number] == pytest.approx(weights @ city.effects[others], abs=1e-9)
        assert variance[number] == pytest.approx(signal[number] - weights @ signal[others], abs=1e-9)


def test_known_errors_on_the_diagonal_are_scikit_learns_alpha() -> None:
    city = City(15)
    errors = np.diag(city.errors)
    inputs = np.column_stack([city.latitude, city.longitude])
    kernel = ConstantKernel(0.1) * RBF(0.1)
    expected = GaussianProcessRegressor(kernel, alpha=errors).fit(inputs, city.effects)
    found = GaussianProcessRegressor(kernel + KnownErrors(np.diag(errors)), alpha=0.0).fit(inputs, city.effects)
    np.testing.assert_allclose(found.kernel_.theta, expected.kernel_.theta, atol=1e-4)
    for a, b in zip(
        found.predict(inputs + 0.01, return_std=True), expected.predict(inputs + 0.01, return_std=True), strict=True
    ):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_recovers_the_variances_it_was_drawn_from() -> None:
    found = [city.fit(slice(300)) for city in (City(300, seed) for seed in range(4))]
    chosen = [process.chosen(("images",)) for process in found]
    median = {name: np.median([each[name] for each in chosen]) for name in chosen[0]}
    assert median["images_sd"] == pytest.approx(0.1, rel=0.2)
    assert median["nugget_sd"] == pytest.approx(0.05, rel=0.2)
    assert median["field_sd"] == pytest.approx(0.08, rel=0.3)
    assert median["range_km"] == pytest.approx(8, rel=0.6)


def test_says_how_sure_it_is() -> None:
    within, better = [], []
    for seed in range(30):
        city = City(150, seed)
        process = city.fit(slice(24))
        mean, variance = city.predict(process, slice(24, 150))
        within.append(np.abs(mean - city.truth[24:]) < np.sqrt(variance))
        better.append(np.mean((mean - city.truth[24:]) ** 2) / city.truth.var())
        at_stations, sure = city.predict(process, slice(24))
        assert sure.max() < variance.min()
        assert np.corrcoef(at_stations, city.truth[:24])[0, 1] > 0.95
    assert np.mean(within) == pytest.approx(0.683, abs=0.05)
    assert np.mean(better) < 0.75


def test_few_stations_or_none_say_the_prior() -> None:
    city = City(10)
    nothing = city.fit(slice(0))
    mean, variance = city.predict(nothing, slice(10))
    np.testing.assert_array_equal(mean, 0)
    expected = 0.02 + 0.01 * (city.scores**2).sum(axis=1)
    np.testing.assert_allclose(variance, expected)
    for count in (1, 2, 3):
        city.effects[:count] -= city.effects[:count].mean()
        mean, variance = city.predict(city.fit(slice(count)), slice(10))
        assert np.isfinite(mean).all()
        assert (np.abs(mean[count:]) < 0.3).all()
        assert (variance[count:] > 0.005).all()
        np.testing.assert_allclose(mean[:count], city.effects[:count], atol=0.02)


def test_places_without_scores_are_unknown_and_level_is_the_stations() -> None:
    city = City(30)
    process = city.fit(slice(20))
    city.scores[25] = np.nan
    mean, variance = city.predict(process, slice(30))
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(mean)), [25])
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(variance)), [25])
    far, _ = process.predict(np.array([-30.0]), np.array([10.0]), (np.zeros((1, 5)),), None)
    assert abs(far[0] - city.effects[:20].mean()) < 0.1


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), eastward=st.floats(-200, 90))
def test_order_and_longitude_do_not_matter(seed: int, eastward: float) -> None:
    city = City(15, seed)
    before = city.predict(city.fit(slice(12)), slice(15))
    order = np.random.default_rng(seed).permutation(12)
    city.longitude = (city.longitude + eastward + 180) % 360 - 180
    after = city.predict(city.fit(order), slice(15))
    np.testing.assert_allclose(before, after, atol=1e-3)


def test_projection_is_right_to_a_metre_in_a_kilometre() -> None:
    latitude, longitude = 28.6 + np.array([0.0, 0.2, -0.2, 0.1]), 77.2 + np.array([0.0, 0.1, 0.2, -0.25])
    places = east_north_km(latitude, longitude, np.array([28.6, 77.2]))
    km = great_circle_km(latitude[0], longitude[0], latitude, longitude)
    np.testing.assert_allclose(np.hypot(*places.T), km, rtol=1e-3)
    np.testing.assert_allclose(
        east_north_km(np.zeros(2), np.array([179.9, -179.9]), np.array([0, 179.9]))[:, 0], [0, 22.24], atol=0.01
    )


def test_a_kernel_on_columns_is_that_kernel_on_those_columns() -> None:
    random = np.random.default_rng(0)
    a, b = random.normal(size=(6, 4)), random.normal(size=(3, 4))
    kernel, whole = OnColumns(RBF(1.5), 1, 3), RBF(1.5)
    np.testing.assert_array_equal(kernel(a, b), whole(a[:, 1:3], b[:, 1:3]))
    for found, expected in zip(kernel(a, eval_gradient=True), whole(a[:, 1:3], eval_gradient=True), strict=True):
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(kernel.diag(a), np.ones(6))
    assert kernel.is_stationary()
    changed = kernel.clone_with_theta(np.log([3.0]))
    np.testing.assert_allclose(changed(a), RBF(3.0)(a[:, 1:3]), rtol=1e-12)
    assert kernel.theta == pytest.approx(np.log(1.5))
    assert changed != kernel
    assert kernel == OnColumns(RBF(1.5), 1, 3)


def test_a_world_without_noise_warns_of_nothing() -> None:
    """Variances go to their lower bounds; warnings are errors here."""
    city = City(24)
    nothing = np.zeros(24)
    fitted = fit_place_process(
        city.latitude, city.longitude, nothing, np.zeros((24, 24)), (), np.array([f"s{n}" for n in range(24)], object)
    )
    assert fitted.nugget < 1e-4
