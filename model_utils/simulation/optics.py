"""What the atmosphere does to the light: from PM2.5 to optical depth to reflectance at the top of the atmosphere.

A single-scattering layer over a Lambertian ground with the ground-atmosphere bounces of the 6S form (Vermote et
al. 1997, doi:10.1109/36.581987), damped for multiple scattering; constants as in the project's design.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_utils.simulation.random_fields import Floats

Reflectance = NDArray[np.float32]

SINGLE_SCATTERING_ALBEDO = 0.93
AEROSOL_PHASE = 0.30  # phase function towards a nadir view
VIEW_COSINE = 1.0  # nadir
_EXTINCTION_M2_PER_UG = 5.2e-6  # dry mass extinction of 5.2 m2/g
_REFERENCE_HUMIDITY, _HUMIDITY_EXPONENT = 0.35, -0.5
OVERPASS_HOUR_ANGLE_DEGREES = 15 * (10.5 - 12)  # 10:30 local solar time


@dataclass(frozen=True)
class Band:
    """A spectral band: its centre (um) and Rayleigh optical depth."""

    wavelength_um: float
    rayleigh_depth: float


BANDS: Mapping[str, Band] = {
    "red": Band(0.665, 0.045),
    "green": Band(0.565, 0.087),
    "blue": Band(0.490, 0.156),
    "nir": Band(0.865, 0.0155),  # Hansen and Travis 1974: 0.008569 wavelength^-4
}


def sun_cosine(day_of_year: Floats, latitude: float) -> Floats:
    """Cosine of the solar zenith angle at 10:30 local solar time (Cooper 1969 for the declination)."""
    declination = np.radians(23.45) * np.sin(2 * np.pi * (284 + day_of_year) / 365.25)
    phi = np.radians(latitude)
    hour_angle = np.radians(OVERPASS_HOUR_ANGLE_DEGREES)
    return np.asarray(np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.cos(hour_angle))


def summerness(day_of_year: Floats) -> Floats:
    """0 in mid December, 1 in mid June."""
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * (day_of_year + 15) / 365.25))


def angstrom_exponent(day_of_year: Floats) -> Floats:
    """1.1 in winter (fine smoke) to 0.75 in summer (dust)."""
    return 1.1 - 0.35 * summerness(day_of_year)


def background_depth(day_of_year: Floats) -> Floats:
    """Optical depth above the boundary layer: 0.05 in winter, 0.30 in June."""
    return 0.05 + 0.25 * summerness(day_of_year)


def optical_depth(pm25: Floats, relative_humidity: Floats, mixing_height_m: Floats, background: Floats) -> Floats:
    """Aerosol optical depth at 0.55 um: a well mixed, humid boundary layer under a background.

    Args:
        pm25: ug/m3, already smoothed over the column's footprint.
        relative_humidity: Share, 0..1.
        mixing_height_m: Metres.
        background: Optical depth above.
    """
    growth = ((1 - relative_humidity) / (1 - _REFERENCE_HUMIDITY)) ** _HUMIDITY_EXPONENT
    return np.asarray(_EXTINCTION_M2_PER_UG * pm25 * growth * mixing_height_m + background)


def atmosphere(tau550: Floats, sun: float, angstrom: float, bands: Sequence[str]) -> tuple[Floats, Floats, Floats]:
    """Path reflectance, transmittance (down and up) and spherical albedo of hazy air.

    Args:
        tau550: Aerosol optical depth at 0.55 um of n places.
        sun: Cosine of the solar zenith angle.
        angstrom: Exponent alpha of tau(lambda) = tau550 (lambda / 0.55)^-alpha.
        bands: Names in `BANDS`.

    Returns:
        Three arrays n x bands.
    """
    wavelength = np.array([BANDS[band].wavelength_um for band in bands])
    rayleigh = np.array([BANDS[band].rayleigh_depth for band in bands])
    tau = np.asarray(tau550)[:, None] * (wavelength / 0.55) ** -angstrom
    slant, airmass = 4 * sun * VIEW_COSINE, 1 / sun + 1 / VIEW_COSINE
    rayleigh_path = rayleigh * 0.75 * (1 + sun**2) / slant  # nadir view: the scattering angle's cosine is -sun
    aerosol_path = SINGLE_SCATTERING_ALBEDO * AEROSOL_PHASE * tau / slant / (1 + 0.35 * tau)
    lost = (1 - SINGLE_SCATTERING_ALBEDO) + 0.12 * SINGLE_SCATTERING_ALBEDO  # absorbed, or scattered backwards
    transmittance = np.exp(-(lost * tau + rayleigh / 2) * airmass)
    return rayleigh_path + aerosol_path, transmittance, 0.12 * np.minimum(tau, 2)


def top_of_atmosphere(surface: Reflectance, path: Floats, transmittance: Floats, albedo: Floats) -> Reflectance:
    """Reflectance above the haze: rho = path + T rho_s / (1 - S rho_s), in single precision.

    Args:
        surface: Ground reflectance, n x H x W x bands.
        path: n x bands, as the others from `atmosphere`.
        transmittance: n x bands.
        albedo: n x bands.

    Returns:
        As `surface`.
    """
    a, t, s = (part[:, None, None].astype(np.float32) for part in (path, transmittance, albedo))
    return np.asarray(a + t * surface / (1 - s * surface))
