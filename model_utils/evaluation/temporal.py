"""Statistics within stations: does the prediction follow the days?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model_utils.evaluation.correlation import pearson_from_sums

MIN_DAYS = 10
"""Fewest days of a station whose correlation enters the median (the error of a smaller one exceeds 0.3)."""


def temporal_statistics(
    observed: NDArray[np.float64], predicted: NDArray[np.float64], weights: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """`temporal_r`: median over stations of the within-station Pearson r, for every weighting of the days.

    Stations with fewer than `MIN_DAYS` days, or without spread over time, are left out of the median.

    Args:
        observed: Stations x days, ug/m3, NaN where there is no pair of reading and prediction.
        predicted: The same for predictions, NaN at the same places.
        weights: Draws x days, how often each day counts.

    Returns:
        Key -> one value a draw; NaN where no station is left.
    """
    present = np.isfinite(observed)
    days = np.maximum(present.sum(axis=1, keepdims=True), 1)
    x, y = (
        np.where(present, values - np.where(present, values, 0).sum(axis=1, keepdims=True) / days, 0)
        for values in (observed, predicted)
    )
    n, *sums = (weights @ term.T for term in (present.astype(float), x, y, x * x, y * y, x * y))
    r = np.where(n >= MIN_DAYS, pearson_from_sums(n, *sums), np.nan)
    median = np.full(len(weights), np.nan)
    some = np.isfinite(r).any(axis=1)
    median[some] = np.nanmedian(r[some], axis=1)
    return {"temporal_r": median}
