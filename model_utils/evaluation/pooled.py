"""Statistics over all rows together."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_utils.evaluation.bootstrap import Resamples
from model_utils.evaluation.correlation import NO_SPREAD, pearson, pearson_from_sums


def pooled_statistics(
    observed: NDArray[np.float64],
    predicted: NDArray[np.float64],
    station: NDArray[np.integer[Any]],
    day: NDArray[np.integer[Any]],
    resamples: Resamples,
) -> dict[str, NDArray[np.float64]]:
    """Pooled scores of the rows, for every resample of stations and, crosswise, of days.

    Rows share their errors two ways: those of a station its place, those of a day its haze. So a row counts as often
    as its station is drawn times as often as its day is (the pigeonhole bootstrap of two crossed factors, Owen 2007,
    Annals of Applied Statistics 1(2)). This is conservative: the variance of what is a row's own counts three times.
    In 800 simulated worlds of two equally good methods (27 stations, 60 days), `rmse_p` fell below .05 in 2 % of cases
    where errors were shared by days (resampling stations alone: 51 %), in 5 % where by stations (6 %), in none where
    not at all (6 %). Days are drawn singly: where the days' errors last (autocorrelation .65) it was 14 % (66 %).
    `benchmarks/interval_coverage.py` prints these shares.

    All scores are functions of a few sums over rows, so rows are summed once per station and day.
    Normalised scores are fractions of the observed mean (0.25, not 25 %); bias is predicted minus observed;
    R2 = 1 - SSE/SST; FAC2 is the share of rows with 0.5 <= predicted/observed <= 2 (Chang & Hanna 2004).

    Args:
        observed: N readings, ug/m3, all finite.
        predicted: N predictions, ug/m3, all finite.
        station: N station numbers, as from `resamples.place`.
        day: N day numbers.
        resamples: Of stations and days. A single one of either is in every resample, so only the other varies.

    Returns:
        Key -> 1 + draws values, the data's first; NaN where it does not exist, also in draws without rows.
    """
    shift = observed.mean()  # keeps the sums of squares free of cancellation
    o, p = observed - shift, predicted - shift
    error = p - o
    within_factor_2 = (0.5 * observed <= predicted) & (predicted <= 2 * observed)
    terms = (np.ones_like(o), o, p, o * o, p * p, o * p, error, np.abs(error), error**2, within_factor_2)
    n, so, sp, soo, spp, sop, bias, absolute, squared, within = (_sums(term, station, day, resamples) for term in terms)
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
    day: NDArray[np.integer[Any]],
    resamples: Resamples,
) -> dict[str, NDArray[np.float64]]:
    """`spearman_r`: Pearson's r of mid-ranks, ranked anew in each draw (a row drawn twice is two tied rows).

    Slower than all other scores together. Arguments and result as in `pooled_statistics`.
    """
    if min(np.std(observed), np.std(predicted)) <= NO_SPREAD:
        return {"spearman_r": np.full(len(resamples.stations), np.nan)}
    levels = [np.unique(values, return_inverse=True)[1] for values in (observed, predicted)]
    result = np.empty(len(resamples.stations))
    for draw, (of_station, of_day) in enumerate(zip(resamples.stations, resamples.days, strict=True)):
        of_row = of_station[station] * of_day[day]
        ranks = []
        for level in levels:
            tied = np.bincount(level, weights=of_row)
            rank = np.cumsum(tied) - tied / 2  # mid-rank less 1/2
            ranks.append((rank - of_row.sum() / 2)[level])
        result[draw] = pearson(ranks[0], ranks[1], of_row)
    return {"spearman_r": result}


def _sums(
    term: NDArray[Any], station: NDArray[np.integer[Any]], day: NDArray[np.integer[Any]], resamples: Resamples
) -> NDArray[np.float64]:
    """Sum of the rows' values in each draw. Days go first: draws x days would be the larger product."""
    stations, days = len(resamples.sites), len(resamples.dates)
    cells = np.bincount(station * days + day, weights=term, minlength=stations * days).reshape(stations, days)
    return np.asarray(np.einsum("ds,ds->d", resamples.days @ cells.T, resamples.stations))
