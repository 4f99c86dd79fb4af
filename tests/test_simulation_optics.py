"""Light through haze."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_utils.simulation import optics
from model_utils.simulation.haze import LOCAL_SHARE, driver

BANDS = ("red", "green", "blue")


def seen(surface: float, tau: float, sun: float = 0.7, angstrom: float = 1.0) -> np.ndarray:
    """Reflectance at the top of the atmosphere, a value a band."""
    ground = np.full((1, 1, 1, 3), surface, np.float32)
    return optics.top_of_atmosphere(ground, *optics.atmosphere(np.array([tau]), sun, angstrom, BANDS))[0, 0, 0]


def test_agrees_with_the_formula_worked_by_hand() -> None:
    # red at .665 um, tau550 .8, alpha 1, mu_s .7: tau .8 x .55/.665 = .66165; Rayleigh .045 x .75 x 1.49 / 2.8
    path = 0.045 * 0.75 * 1.49 / 2.8 + 0.93 * 0.30 * 0.66165 / 2.8 / (1 + 0.35 * 0.66165)
    airmass = 1 / 0.7 + 1
    transmittance = np.exp(-(0.07 + 0.12 * 0.93) * 0.66165 * airmass) * np.exp(-0.0225 * airmass)
    expected = path + transmittance * 0.1 / (1 - 0.12 * 0.66165 * 0.1)
    assert seen(0.1, 0.8)[0] == pytest.approx(expected, rel=1e-5)


def test_haze_brightens_the_dark_and_leaves_a_quarter_as_it_is() -> None:
    dark = np.array([seen(0.04, tau) for tau in (0.05, 0.4, 0.8, 1.5)])
    assert (np.diff(dark, axis=0) > 0.005).all()
    assert (dark[-1] > 1.5 * dark[0]).all()
    grey = np.array([seen(0.25, tau) for tau in (0.05, 0.4, 0.8, 1.5)])
    assert np.ptp(grey, axis=0).max() < 0.03
    assert (np.ptp(dark, axis=0) > 2 * np.ptp(grey, axis=0)).all()


@given(st.floats(0, 3), st.floats(0.3, 1), st.floats(0.02, 0.6), st.floats(0.02, 0.6))
@settings(max_examples=60, deadline=None)
def test_haze_keeps_order_and_lowers_contrast(tau: float, sun: float, a: float, b: float) -> None:
    low, high = sorted((a, b))
    hazy = seen(high, tau, sun) - seen(low, tau, sun)
    clear = seen(high, 0.0, sun) - seen(low, 0.0, sun)
    assert (hazy >= -1e-6).all()
    assert (hazy <= clear * (1 + 0.15 * tau) + 1e-6).all()


def test_blue_is_hazier_than_red_and_more_so_with_fine_smoke() -> None:
    red, _, blue = seen(0.04, 0.8, angstrom=1.1) - seen(0.04, 0.0)
    assert blue > red
    assert seen(0.04, 0.8, angstrom=1.1)[2] > seen(0.04, 0.8, angstrom=0.75)[2]


def test_sun_stands_where_geometry_says() -> None:
    assert optics.sun_cosine(np.array(81.0), 0.0) == pytest.approx(np.cos(np.radians(22.5)), abs=1e-3)
    june, december = optics.sun_cosine(np.array([172.0, 355.0]), 28.65)
    assert june == pytest.approx(0.925, abs=0.01)  # sin 28.65 sin 23.45 + cos 28.65 cos 23.45 cos 22.5
    assert december == pytest.approx(0.553, abs=0.01)


def test_optical_depth_grows_with_humidity_by_the_square_root() -> None:
    dry, humid = (
        optics.optical_depth(np.array(100.0), np.array(rh), np.array(1000.0), np.array(0.0))
        for rh in (0.35, 1 - 0.65 / 4)
    )
    assert dry == pytest.approx(0.52)
    assert humid == pytest.approx(2 * dry)


def test_background_and_exponent_swing_between_their_limits() -> None:
    days = np.arange(1.0, 366)
    assert (optics.background_depth(days).min(), optics.background_depth(days).max()) == pytest.approx(
        (0.05, 0.30), abs=1e-3
    )
    assert (optics.angstrom_exponent(days).min(), optics.angstrom_exponent(days).max()) == pytest.approx(
        (0.75, 1.10), abs=1e-3
    )
    assert 152 <= days[optics.background_depth(days).argmax()] <= 182  # June


def test_haze_carries_at_most_a_quarter_of_a_local_departure() -> None:
    level, ratio = np.array([100.0, 200.0]), np.array([[1.0, 1.4], [0.5, 2.0]])
    np.testing.assert_allclose(driver(level, ratio, 1.0), [[100, 110], [175, 250]])
    np.testing.assert_allclose(driver(level, ratio, 0.0), [[100, 100], [200, 200]])
    assert LOCAL_SHARE <= 0.25
