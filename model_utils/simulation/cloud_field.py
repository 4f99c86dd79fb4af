"""The clouds of a whole scene, and their shadows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model_utils.simulation.random_fields import power_law_noise

_CELLS = 1024  # at most, along a side of the field
_EXPONENT = 1.5  # of the amplitude spectrum
_EDGE = 0.3  # standard deviations of the field from clear to opaque
_BASE_METRES = 1500.0  # height of the clouds
_LONGEST_SHADOW_METRES = 6000.0


class CloudField:
    """Opacity of cloud and shadow at any pixel of a region of height x width pixels.

    One random field on cells of at least four pixels; the cloud is where it is highest, so that `cover` of the region
    has an opacity of one half or more. The shadow is the same field displaced by the clouds' height times the tangent
    of the sun's zenith angle, away from a sun that stands in the south-east (north-east south of the equator).
    """

    def __init__(
        self, height: int, width: int, gsd: float, cover: float, sun: float, northern: bool, random: np.random.Generator
    ) -> None:
        slant = min(_BASE_METRES * np.sqrt(1 - sun**2) / sun, _LONGEST_SHADOW_METRES) / gsd / np.sqrt(2)
        self._width, self._margin = width, int(np.ceil(slant))
        self._shift = (slant if northern else -slant, slant)  # rows south, columns east: where the shadow's cloud is
        side = max(height, width) + 2 * self._margin
        self._cell = max(4.0, side / (_CELLS - 2))
        cells = int(np.ceil(side / self._cell)) + 2
        self._field = power_law_noise(random, cells, _EXPONENT).astype(np.float32)
        rows, columns = (
            slice(int(self._margin / self._cell), int((self._margin + length) / self._cell) + 1)
            for length in (height, width)
        )
        self._threshold = np.float32(np.quantile(self._field[rows, columns], 1 - cover))

    def cloud(self, first_row: int, last_row: int) -> NDArray[np.float32]:
        """Opacity of the cloud, 0..1, rows x width."""
        return self._opacity(first_row, last_row, 0.0, 0.0)

    def shadow(self, first_row: int, last_row: int) -> NDArray[np.float32]:
        """Opacity of the cloud between the ground and the sun, 0..1, rows x width."""
        return self._opacity(first_row, last_row, *self._shift)

    def _opacity(self, first_row: int, last_row: int, south: float, east: float) -> NDArray[np.float32]:
        rows = (np.arange(first_row, last_row) + self._margin + south + 0.5) / self._cell
        columns = (np.arange(self._width) + self._margin + east + 0.5) / self._cell
        lower, share = _neighbours(rows)
        field = self._field[lower] * (1 - share[:, None]) + self._field[lower + 1] * share[:, None]
        lower, share = _neighbours(columns)
        field = field[:, lower] * (1 - share) + field[:, lower + 1] * share  # bilinear
        return np.clip((field - self._threshold) / np.float32(_EDGE) + np.float32(0.5), 0, 1)


def _neighbours(positions: NDArray[np.floating]) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """The cell before each position, and how far it lies on the way to the next."""
    lower = np.floor(positions).astype(np.intp)
    return lower, (positions - lower).astype(np.float32)
