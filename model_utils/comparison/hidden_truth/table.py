"""What the hidden truth says of each method, and which differences are real."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import t

from model_utils.comparison.methods import MethodEntry

KEYS = ("truth_r", "truth_r_seen", "truth_rmse", "within_one_sd")


def truth_table(draws: pd.DataFrame, entries: Mapping[str, MethodEntry]) -> pd.DataFrame:
    """One row a method and number of training sites.

    Args:
        draws: One row a draw: world, method, sites, seed, draw and `KEYS`.
        entries: By method.

    Returns:
        design (truth), stations (training sites), method, family, cities, draws, and of each key its mean with `_low`
        and `_high`: Student's 95 % interval over cities, or with a single one over its draws of training sites.
    """
    rows = []
    for (method, sites), group in draws.groupby(["method", "sites"], sort=False):
        per_draw = group.groupby(["world", "draw"], as_index=False)[list(KEYS)].mean()
        row: dict[str, Any] = {
            "design": "truth",
            "stations": sites,
            "method": method,
            "family": entries[str(method)].family,
            "cities": per_draw["world"].nunique(),
            "draws": per_draw["draw"].nunique(),
        }
        for key in KEYS:
            units = _units(per_draw, key)
            row |= dict(zip((key, f"{key}_low", f"{key}_high"), _mean_with_interval(units), strict=True))
        rows.append(row)
    return pd.DataFrame(rows)


def truth_differences(draws: pd.DataFrame, pairs: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """Differences of methods on the same cities and training sites.

    Args:
        draws: As for `truth_table`.
        pairs: (method, against).

    Returns:
        design, stations, method, against, key, difference (method - against), low, high, cities; the interval is
        Student's at 95 %, over cities or with a single one over draws, and is not corrected for the number of pairs.
    """
    rows = []
    per_draw = draws.groupby(["method", "sites", "world", "draw"])[list(KEYS)].mean()
    known = set(draws["method"])
    for method, against in pairs:
        if not {method, against} <= known:
            continue
        difference = (per_draw.loc[method] - per_draw.loc[against]).dropna(how="all").reset_index()
        for sites, group in difference.groupby("sites"):
            for key in KEYS[:3]:
                mean, low, high = _mean_with_interval(_units(group, key))
                values = ("truth", sites, method, against, key, mean, low, high, group["world"].nunique())
                names = ("design", "stations", "method", "against", "key", "difference", "low", "high", "cities")
                rows.append(dict(zip(names, values, strict=True)))
    return pd.DataFrame(rows)


def truth_pairs(entries: Mapping[str, MethodEntry]) -> list[tuple[str, str]]:
    """Which method is compared against which, stated before any number is seen.

    Place and day against: the head on single tiles of the same start, the Gaussian process on coordinates, images
    alone, the same with the ring, band statistics, regular for spatiotemporal pairs, and the random encoder.
    """
    asked = []
    for name, entry in entries.items():
        if entry.family != "place" or not entry.start:
            continue
        base = name.removesuffix("_images").removesuffix("_ring")
        asked += [(name, "gaussian_process"), (name, "place_and_day_band_statistics")]
        asked += [(name, name.replace("_spatiotemporal", "_regular"))]
        asked += [(name, name.replace(base, "place_and_day_random_frozen"))]
        if name == base:
            asked.append((name, base.removeprefix("place_and_day_")))
        else:
            asked.append((base, name))
    return [(one, other) for one, other in dict.fromkeys(asked) if one != other and other in entries]


def _units(per_draw: pd.DataFrame, key: str) -> NDArray[np.float64]:
    """What an interval stands on: a mean for each city, or the draws of a single one."""
    several = per_draw["world"].nunique() > 1
    units = per_draw.groupby("world")[key].mean() if several else per_draw[key]
    return units.dropna().to_numpy(np.float64)


def _mean_with_interval(units: NDArray[np.float64]) -> tuple[float, float, float]:
    if not len(units):
        return np.nan, np.nan, np.nan
    mean = float(units.mean())
    if len(units) < 2:
        return mean, np.nan, np.nan
    reach = float(t.ppf(0.975, len(units) - 1) * units.std(ddof=1) / np.sqrt(len(units)))
    return mean, mean - reach, mean + reach
