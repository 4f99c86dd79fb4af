"""Keyed random streams, Matern fields that can be asked at any point, and AR(1) series."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

Floats = NDArray[np.float64]
FEATURES = 512  # the covariance is met to about 1/sqrt(512)


def stream(seed: int, *keys: object) -> np.random.Generator:
    """A generator of its own for each purpose, so that no draw depends on what else was asked for."""
    digest = blake2b("|".join(map(str, (seed, *keys))).encode(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest, "little"))


class MaternField:
    """Random Fourier features of a Matern field of variance 1 on the plane.

    The covariance is exp(-d / range) at smoothness 1/2 and (1 + a) exp(-a), a = sqrt(3) d / range, at 3/2; the
    spectral density is a bivariate Student t with twice the smoothness as degrees of freedom (Rahimi and Recht
    2007, "Random features for large-scale kernel machines"). Unlike a Cholesky draw, the field at a point does
    not depend on which other points are asked for.
    """

    def __init__(self, random: np.random.Generator, range_km: float, smoothness: float = 0.5) -> None:
        freedom = 2 * smoothness
        scale = np.sqrt(freedom / random.chisquare(freedom, FEATURES)) / range_km
        self._waves = random.standard_normal((2, FEATURES)) * scale
        self._phases = random.uniform(0, 2 * np.pi, FEATURES)

    def basis(self, east_km: Floats, north_km: Floats) -> Floats:
        """The features at points: weights ~ N(0, 1) times these are one draw of the field.

        Args:
            east_km: Any shape.
            north_km: The same shape.

        Returns:
            That shape x features.
        """
        places = np.stack([east_km, north_km], axis=-1)
        return np.asarray(np.cos(places @ self._waves + self._phases) * np.sqrt(2 / FEATURES))


def autoregressive(innovations: Floats, autocorrelation: float) -> Floats:
    """A stationary AR(1) series of variance 1 along axis 0, from standard normal innovations.

    A longer series begins with the shorter one.
    """
    scaled = innovations * np.sqrt(1 - autocorrelation**2)
    scaled[0] = innovations[0]
    return np.asarray(lfilter([1.0], [1.0, -autocorrelation], scaled, axis=0))


def power_law_noise(random: np.random.Generator, size: int, exponent: float) -> Floats:
    """A square image with amplitude spectrum 1/f^exponent, mean 0 and SD 1 (size x size)."""
    frequency = np.hypot(np.fft.fftfreq(2 * size)[:, None], np.fft.rfftfreq(2 * size)[None])
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(random.standard_normal((2 * size, 2 * size))) / frequency**exponent
    image = np.fft.irfft2(spectrum, s=(2 * size, 2 * size))[:size, :size]  # twice as wide: edges do not wrap
    return np.asarray((image - image.mean()) / image.std())
