"""Statistics over all rows together."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_utils.evaluation.correlation import NO_SPREAD, pearson, pearson_from_sums


def pooled_statistics(
    observed: NDArray[np.float64],
    predicted: NDArray[np.float64],
    station: NDArray[np.integer[Any]],
    weights: NDArray[np.float64],
) -> dict[str, NDArray[np.float64]]:
    """Pooled scores of the rows, for every weighting of the stations.

    All are functions of a few sums over rows, so rows are summed once per station.
    Normalised scores are fractions of the observed mean (0.25, not 25 %); bias is predicted minus observed;
    R2 = 1 - SSE/SST; FAC2 is the share of rows with 0.5 <= predicted/observed <= 2 (Chang & Hanna 2004).

    Args:
        observed: N readings, ug/m3, all finite.
        predicted: N predictions, ug/m3, all finite.
        station: N station numbers, 0 .. stations - 1.
        weights: draws x stations, how often each station counts.

    Returns:
        Key -> one value a draw; NaN where it does not exist, also in draws of stations without rows.
    """
    shift = observed.mean()  # keeps the sums of squares free of cancellation
    o, p = observed - shift, predicted - shift
    error = p - o
    within_factor_2 = (0.5 * observed <= predicted) & (predicted <= 2 * observed)
    terms = (np.ones_like(o), o, p, o * o, p * p, o * p, error, np.abs(error), error**2, within_factor_2)
    per_station = np.array([np.bincount(station, weights=term, minlength=weights.shape[1]) for term in terms])
    n, so, sp, soo, spp, sop, bias, absolute, squared, within = per_station @ weights.T
    n = np.where(n > 0, n, np.nan)

    mean = so / n + shift
    mean = np.where(mean > 0, mean, np.nan)
    variance = soo / n - (so / n) ** 2
    rmse, mae = np.sqrt(squared / n), absolute / n
    return {
        "rmse": rmse,
        "mae": mae,
        "nrmse": rmse / mean,
        "nmae": mae / mean,
        "mean_bias": bias / n,
        "nmb": bias / n / mean,
        "r2": 1 - squared / n / np.where(variance > NO_SPREAD**2, variance, np.nan),
        "pearson_r": pearson_from_sums(n, so, sp, soo, spp, sop),
        "fac2": within / n,
    }


def spearman_statistics(
    observed: NDArray[np.float64],
    predicted: NDArray[np.float64],
    station: NDArray[np.integer[Any]],
    weights: NDArray[np.float64],
) -> dict[str, NDArray[np.float64]]:
    """`spearman_r`: Pearson's r of mid-ranks, ranked anew in each draw (a row drawn twice is two tied rows).

    Slower than all other scores together. Arguments and result as in `pooled_statistics`.
    """
    if min(np.std(observed), np.std(predicted)) <= NO_SPREAD:
        return {"spearman_r": np.full(len(weights), np.nan)}
    levels = [np.unique(values, return_inverse=True)[1] for values in (observed, predicted)]
    result = np.empty(len(weights))
    for draw, of_station in enumerate(weights):
        of_row = of_station[station]
        ranks = []
        for level in levels:
            tied = np.bincount(level, weights=of_row)
            rank = np.cumsum(tied) - tied / 2  # mid-rank less 1/2
            ranks.append((rank - of_row.sum() / 2)[level])
        result[draw] = pearson(ranks[0], ranks[1], of_row)
    return {"spearman_r": result}
