"""The model of PM2.5 keeps the statistics of the real records."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from model_utils.cities import City, load_city
from model_utils.errors import InputError
from model_utils.simulation.land_use import LandUse
from model_utils.simulation.parameters import ReadingsParameters, simulation_parameters
from model_utils.simulation.places import grid_places, station_places
from model_utils.simulation.random_fields import MaternField, autoregressive, stream
from model_utils.simulation.readings import PlaceIncrements, Residuals, city_signal, operator_bias

ROOT = Path(__file__).resolve().parents[1]
SEEDS = range(4)
REAL = {
    "Delhi": {
        "mean": 112,
        "sd": 90,
        "day_share": 0.88,
        "station_share": 0.031,
        "station_sd": 15.7,
        "within_day_cv": 0.24,
        "median_pair_r": 0.93,
    },
    "Beijing": {
        "mean": 80,
        "sd": 69,
        "day_share": 0.94,
        "station_share": 0.010,
        "station_sd": 6.8,
        "within_day_cv": 0.17,
        "median_pair_r": 0.955,
    },
}


def statistics(readings: np.ndarray) -> dict[str, float]:
    """Of a full table of days x stations; shares are those of a two-way analysis of variance."""
    day_means, station_means, mean = readings.mean(axis=1), readings.mean(axis=0), readings.mean()
    pairs = np.corrcoef(readings.T)[np.triu_indices(readings.shape[1], 1)]
    return {
        "mean": mean,
        "sd": readings.std(),
        "day_share": day_means.var() / readings.var(),
        "station_share": station_means.var() / readings.var(),
        "station_sd": station_means.std(ddof=1),
        "within_day_cv": (readings.std(axis=1, ddof=1) / day_means).mean(),
        "median_pair_r": np.median(pairs),
    }


def assert_as_real(found: pd.Series, real: dict[str, float]) -> None:
    for name, value in real.items():
        allowed = 0.02 if name.endswith("share") else 0.1 * value
        assert abs(found[name] - value) <= allowed, f"{name}: {found[name]:.4g}, real {value}"


def stations_of(city: City) -> pd.DataFrame:
    return station_places(city, ((s.name, s.latitude, s.longitude) for s in city.stations))


def increments(city: City, parameters: ReadingsParameters, seed: int, coupling: float = 1.0) -> PlaceIncrements:
    places = stations_of(city)
    land_use = LandUse(simulation_parameters(city).land_use, seed, city.name)
    bias = operator_bias(parameters, len(places), seed, city.name)
    return PlaceIncrements(parameters, places, bias, land_use, coupling, seed, city.name)


def simulated_statistics(name: str, coupling: float = 1.0, **changes: float) -> pd.Series:
    city = load_city(name, ROOT)
    parameters = replace(simulation_parameters(city).readings, **changes)
    places, dates = stations_of(city), pd.date_range("2018-07-01", periods=600)
    rows = []
    for seed in SEEDS:
        persistent = increments(city, parameters, seed, coupling).at(places)
        bias = operator_bias(parameters, len(places), seed, name)
        residual = Residuals(parameters, seed, name).at(places, len(dates))
        signal = city_signal(parameters, dates, seed, name)
        rows.append(statistics(np.exp(signal[:, None] + persistent + bias + residual)))
    return pd.DataFrame(rows).mean()


@pytest.mark.parametrize("coupling", [1.0, 0.0])
@pytest.mark.parametrize("city", ["Delhi", "Beijing"])
def test_statistics_are_those_of_the_record_whatever_the_coupling(city: str, coupling: float) -> None:
    assert_as_real(simulated_statistics(city, coupling), REAL[city])


@pytest.mark.parametrize(
    "change",
    [
        {"day_sd": 0.6},
        {"place_sd": 0.17},
        {"residual_sd": 0.15},
        {"residual_sd": 0.22},
        {"residual_nugget_share": 1.0},
        {"season": (4.2, 0.701, 0.096, 0.183, -0.376)},
        {"season": (4.401, 0.4, 0.096, 0.183, -0.376)},
    ],
)
def test_the_comparison_notices_a_parameter_that_is_off(change: dict[str, float]) -> None:
    if "residual_nugget_share" in change:
        change |= {"residual_sd": 0.22}
    with pytest.raises(AssertionError, match="real"):
        assert_as_real(simulated_statistics("Delhi", **change), REAL["Delhi"])


@pytest.mark.parametrize("city_name", ["Delhi", "Beijing"])
def test_land_use_explains_its_share_of_the_increments(city_name: str) -> None:
    city = load_city(city_name, ROOT)
    places = stations_of(city)
    model = increments(city, simulation_parameters(city).readings, seed=3)
    part = model.land_use_part(places["east_km"].to_numpy(), places["north_km"].to_numpy())
    shares = LandUse(simulation_parameters(city).land_use, 3, city_name).shares(
        places["east_km"].to_numpy(), places["north_km"].to_numpy()
    )
    design = np.column_stack([np.ones(len(places)), shares[:, :-1]])
    residual = part - design @ np.linalg.lstsq(design, part, rcond=None)[0]
    assert np.corrcoef(part, model.at(places))[0, 1] ** 2 == pytest.approx(0.45, abs=1e-6)
    assert np.abs(residual).max() < 1e-9  # a linear function of what the images show


def test_an_increment_belongs_to_its_place_not_to_the_list_it_is_asked_in() -> None:
    city = load_city("Delhi", ROOT)
    model = increments(city, simulation_parameters(city).readings, seed=0)
    places = pd.concat([stations_of(city), grid_places(city, 20.0)], ignore_index=True)
    some = places.iloc[[60, 3, 17]].reset_index(drop=True)
    np.testing.assert_allclose(model.at(some), model.at(places)[[60, 3, 17]], rtol=1e-12)


def test_without_coupling_increments_are_independent_of_place_and_land_use() -> None:
    city = load_city("Beijing", ROOT)  # it has the north gradient
    parameters, places = simulation_parameters(city).readings, stations_of(city)
    east, north = places["east_km"].to_numpy(), places["north_km"].to_numpy()
    distance = np.hypot(east[:, None] - east, north[:, None] - north) + 1e9 * np.eye(len(places))
    neighbour = distance.argmin(axis=1)
    found: dict[float, list[list[float]]] = {0.0: [], 1.0: []}
    for coupling, rows in found.items():
        for seed in range(40):
            model = increments(city, parameters, seed, coupling)
            o = model.at(places)
            score = LandUse(simulation_parameters(city).land_use, seed, city.name).score(east, north)
            rows.append([np.corrcoef(o, other)[0, 1] for other in (north, score, o[neighbour])])
            if coupling == 0:
                assert not model.spatial_part(east, north).any()
    error = 4 / np.sqrt(40 * 35)
    assert np.abs(np.mean(found[0.0], axis=0)).max() < error
    assert np.abs(np.mean(found[1.0], axis=0)).min() > 2 * error


def test_matern_fields_have_their_covariance() -> None:
    distance = np.array([0.0, 3.0, 10.0, 25.0])
    a = np.sqrt(3) * distance / 10
    expected = {0.5: np.exp(-distance / 10), 1.5: (1 + a) * np.exp(-a)}
    for smoothness, covariance in expected.items():
        found = []
        for seed in range(60):
            basis = MaternField(stream(seed, "test"), 10.0, smoothness).basis(distance, np.zeros(4))
            found.append(basis @ basis[0])
        np.testing.assert_allclose(np.mean(found, axis=0), covariance, atol=0.02)


def test_autoregressive_series_have_unit_variance_and_begin_alike() -> None:
    innovations = np.random.default_rng(0).standard_normal((200, 500))
    series = autoregressive(innovations, 0.68)
    assert series[0].std() == pytest.approx(1, abs=0.1)
    assert series[-1].std() == pytest.approx(1, abs=0.1)
    assert np.corrcoef(series[1:].ravel(), series[:-1].ravel())[0, 1] == pytest.approx(0.68, abs=0.02)
    np.testing.assert_array_equal(autoregressive(innovations[:50], 0.68), series[:50])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("weather"), "key 'weather' is missing"),
        (lambda s: s["readings"].update(day_sd="big"), "readings.day_sd: found 'big'"),
        (lambda s: s["readings"].update(daysd=1), "unknown key 'daysd'"),
        (lambda s: s["weather"].update(cloud_cover=[0.1]), "cloud_cover is .* list of 12"),
        (lambda s: s["readings"].update(season=4.4), "season is .* list of 5"),
    ],
)
def test_a_wrong_city_file_is_named(change: object, message: str) -> None:
    city = load_city("Delhi", ROOT)
    section = {key: dict(value) for key, value in city.simulation.items()}
    change(section)
    with pytest.raises(InputError, match=message):
        simulation_parameters(replace(city, simulation=section))


def test_a_city_needs_parameters_and_stations_to_be_simulated() -> None:
    city = load_city("Delhi", ROOT)
    with pytest.raises(InputError, match="no 'simulation' section"):
        simulation_parameters(replace(city, simulation=None))
    with pytest.raises(InputError, match="2 stations, expected at least 6"):
        simulation_parameters(replace(city, stations=city.stations[:2]))
