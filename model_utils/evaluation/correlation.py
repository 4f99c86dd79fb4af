"""Pearson correlation from weighted sums."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NO_SPREAD = 1e-3
"""Standard deviation, ug/m3, below which values count as equal and have no correlation.

A predictor that says the same everywhere leaves rounding noise after its mean is subtracted: some 1e-12 in
double precision, up to 1e-4 where a float32 network made it. Monitors resolve 0.1 ug/m3 at best. The bound is
absolute, so that adding a constant to all values never changes the answer.
"""


def pearson_from_sums(
    n: NDArray[np.float64],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    xx: NDArray[np.float64],
    yy: NDArray[np.float64],
    xy: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Pearson's r from the (weighted) sums of 1, x, y, x^2, y^2 and xy, elementwise.

    The values summed must lie around zero (subtract any constant first), or the differences cancel.

    Returns:
        r, in the arguments' shape; NaN where `n` is 0 or x or y has a standard deviation below `NO_SPREAD`.
    """
    count = np.maximum(n, 1)
    variance_x, variance_y = xx / count - (x / count) ** 2, yy / count - (y / count) ** 2
    spread = np.minimum(variance_x, variance_y) > NO_SPREAD**2
    scale = np.sqrt(np.where(spread, variance_x * variance_y, 1))
    r = np.clip((xy / count - x * y / count**2) / scale, -1, 1)
    return np.where(spread, r, np.nan)


def pearson(x: NDArray[np.float64], y: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted Pearson's r along the last axis; arguments broadcast, and x and y lie around zero."""
    x, y, weights = np.broadcast_arrays(x, y, weights)
    terms = (np.ones_like(x), x, y, x * x, y * y, x * y)
    return pearson_from_sums(*((weights * term).sum(axis=-1) for term in terms))
