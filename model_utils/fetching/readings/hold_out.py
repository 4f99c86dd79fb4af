"""Which stations of a new city are held out: about a quarter, spread over the city as the stations are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model_utils.geography import great_circle_km

SHARE = 0.25
FEWEST_PLACES = 4
SAME_PLACE_KM = 0.5
"""As for `pm25 prepare`: stations that are closer are one place, and on one side of the hold-out."""


def held_out(
    latitude: Sequence[float], longitude: Sequence[float], fixed: Sequence[bool | None], seed: int = 0
) -> list[bool]:
    """Draws the hold-out by strata: the places are cut by medians into cells, and of each cell one place is drawn.

    So the held-out stations are spread as all of them are. (The farthest from each other would be those on the edge of
    the city, where everything is predicted worst.)

    Args:
        latitude: WGS84 degrees, one a station.
        longitude: The same.
        fixed: Whether a station is held out already, or None where that is to be drawn.
        seed: Of the draw.

    Returns:
        Whether each station is held out; none is where there are fewer than four places.
    """
    place = _places(np.asarray(latitude, np.float64), np.asarray(longitude, np.float64))
    side: dict[int, bool | None] = dict.fromkeys(place.tolist())
    for number, known in zip(place.tolist(), fixed, strict=True):
        side[number] = known if known is not None else side[number]
    free = [number for number, known in side.items() if known is None]
    count = min(round(SHARE * len(side)) - sum(known is True for known in side.values()), len(free))
    drawn: set[int] = set()
    if len(side) >= FEWEST_PLACES and count > 0:
        first = [int(np.flatnonzero(place == number)[0]) for number in free]
        east = np.asarray(longitude, np.float64)[first] * np.cos(np.radians(np.mean(latitude)))
        cells = _cells(np.stack([np.asarray(latitude, np.float64)[first], east], axis=1), np.arange(len(free)), count)
        generator = np.random.default_rng(seed)
        drawn = {free[int(generator.choice(cell))] for cell in cells}
    return [bool(side[number]) if side[number] is not None else number in drawn for number in place.tolist()]


def _places(latitude: NDArray[np.float64], longitude: NDArray[np.float64]) -> NDArray[np.intp]:
    """The number of each station's place; what is linked by stations that are close is one place."""
    near = great_circle_km(latitude[:, None], longitude[:, None], latitude, longitude) < SAME_PLACE_KM
    place = np.arange(len(latitude))
    while (nearest := np.where(near, place, len(place)).min(axis=1, initial=len(place))).tolist() != place.tolist():
        place = nearest
    return place


def _cells(at: NDArray[np.float64], rows: NDArray[np.intp], count: int) -> list[NDArray[np.intp]]:
    """So many groups of rows that lie together, of about one size: cut across the longer side, again and again."""
    if count == 1:
        return [rows]
    axis = int(np.ptp(at[rows], axis=0).argmax())
    ordered = rows[np.argsort(at[rows, axis], kind="stable")]
    half = count // 2
    cut = round(len(rows) * half / count)
    return [*_cells(at, ordered[:cut], half), *_cells(at, ordered[cut:], count - half)]
