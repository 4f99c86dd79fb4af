"""Labels from flagged readings: a daily mean, or the mean around an overpass."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.errors import InputError
from model_utils.ingest.readings.flags import DEFAULT_DROP, FLAGS
from model_utils.ingest.weather.matching import DAY_SHARE

MIN_HOURS = 18
"""Three quarters of a day, as US EPA asks of a daily mean (40 CFR 50 appendix N); days of 23 or 25 hours keep it."""

_NO_NUMBER = ("missing", "missing_code")


def daily_labels(
    flagged: pd.DataFrame, drop: tuple[str, ...] = DEFAULT_DROP, min_hours: int = MIN_HOURS
) -> pd.DataFrame:
    """Averages the readings of each station and local day.

    Args:
        flagged: As `flag_records` gives it; other numeric columns are weather, in the archive's units.
        drop: Readings with one of these flags do not enter `pm25`. Missing codes enter no mean, whatever is given.
        min_hours: Different hours it takes; daily readings keep to the agency's own count (`incomplete`).

    Returns:
        One row a station and local day, sorted by both: `station`, `local_date`, `pm25` (ug/m3, NaN without a valid
        mean), `pm25_unfiltered` (of all numbers, whatever their flags), `hours` (kept; NaN for daily readings, of
        which the agency does not say it), `quality` (names of the flags that any of the day's readings has, the left
        out ones included, joined by '|'), `flag_<name>` for each of `FLAGS`, and the weather: means over the day,
        the wind's direction weighted by its speed, precipitation the sum, scaled up where hours are missing. Of
        hourly readings NaN where less than `DAY_SHARE` of a quantity's hours are known.

    Raises:
        InputError: `drop` names an unknown flag.
    """
    days = flagged.groupby(["station", "local_date"], sort=True)
    group = days.ngroup().to_numpy().astype(np.int64)
    keys = days.size().reset_index()[["station", "local_date"]]
    hours = 24.0 if flagged["time_utc"].notna().any() else 1.0
    return _averaged(flagged, group, keys, drop, min_hours, hours, DAY_SHARE * hours)


def overpass_labels(
    flagged: pd.DataFrame,
    overpasses: pd.DataFrame,
    window_hours: float,
    drop: tuple[str, ...] = DEFAULT_DROP,
) -> pd.DataFrame:
    """Averages the hours around each overpass: those whose middle is at most `window_hours` from it, at least one.

    Args:
        flagged: Hourly readings as `flag_records` gives them.
        overpasses: N rows with `station` and `time_utc` (aware, UTC).
        window_hours: Half the width of the window. Middles are an hour apart, so below 0.5 some overpasses have none.
        drop: As for `daily_labels`.

    Returns:
        N rows in the order and with the index of `overpasses`: its `station` and `time_utc`, then the columns of
        `daily_labels` from `pm25` on; weather where at least one hour is known.

    Raises:
        InputError: The readings are daily, the window is not positive, or `drop` names an unknown flag.
    """
    if not 0 < window_hours < math.inf:
        raise InputError(f"--window-hours: found {window_hours}, expected a positive number of hours")
    if not flagged["time_utc"].notna().all():
        raise InputError("--window-hours: found daily readings, expected hourly ones to average around an overpass")
    flagged = flagged.sort_values(["station", "time_utc"], ignore_index=True)
    middle = flagged["time_utc"].to_numpy("datetime64[us]") + np.timedelta64(30, "m")
    half = np.timedelta64(round(window_hours * 3_600_000_000), "us")
    when = overpasses["time_utc"].to_numpy("datetime64[us]")
    begin, end = np.zeros(len(overpasses), dtype=np.int64), np.zeros(len(overpasses), dtype=np.int64)
    rows_of = flagged.groupby("station").indices
    for station, asked in overpasses.reset_index(drop=True).groupby("station").indices.items():
        if station in rows_of:
            rows = rows_of[station]  # consecutive, since sorted
            begin[asked] = rows[0] + np.searchsorted(middle[rows], when[asked] - half, side="left")
            end[asked] = rows[0] + np.searchsorted(middle[rows], when[asked] + half, side="right")
    counts = end - begin
    group = np.repeat(np.arange(len(overpasses)), counts)
    rows = np.arange(len(group)) - np.repeat(np.cumsum(counts) - counts - begin, counts)
    keys = overpasses[["station", "time_utc"]]
    return _averaged(flagged.iloc[rows], group, keys, drop, 1, 2 * window_hours, min_weather=1)


def _averaged(
    table: pd.DataFrame,
    group: NDArray[np.int64],
    keys: pd.DataFrame,
    drop: tuple[str, ...],
    min_hours: int,
    whole: float,
    min_weather: float,
) -> pd.DataFrame:
    """One row for each row of `keys`, from the rows of `table` whose group is its position.

    A sum is that of `whole` values, and weather needs `min_weather` of different times.
    """
    for name in drop:
        if name not in FLAGS:
            raise InputError(f"flag {name!r} is not known, expected some of {', '.join(FLAGS)}")
    count = len(keys)
    flags = {name: table[f"flag_{name}"].to_numpy(bool) for name in FLAGS if f"flag_{name}" in table}
    pm25 = table["pm25"].to_numpy(np.float64)
    number = ~np.logical_or.reduce([flags[name] for name in _NO_NUMBER])
    kept = number.copy()
    for name in set(drop) & set(flags):
        kept &= ~flags[name]
    incomplete = table["incomplete"].to_numpy(bool) if "incomplete" in table else np.zeros(len(table), dtype=bool)
    kept &= ~incomplete
    labels: dict[str, NDArray[Any]] = {
        "pm25": _means(np.where(kept, pm25, np.nan), group, count),
        "pm25_unfiltered": _means(np.where(number, pm25, np.nan), group, count),
    }
    any_of = {name: np.bincount(group, weights=flag, minlength=count) > 0 for name, flag in flags.items()}
    hour = table["time_utc"].to_numpy("datetime64[us]").astype("datetime64[h]")
    if table["time_utc"].notna().any() or not len(table):
        hours = _different(hour, kept, group, count)
        any_of["too_few_hours"] = hours < min_hours
        labels["pm25"] = np.where(any_of["too_few_hours"], np.nan, labels["pm25"])
        labels["hours"] = hours.astype(np.float64)
    else:
        any_of["too_few_hours"] = np.bincount(group, weights=incomplete, minlength=count) > 0
        labels["hours"] = np.full(count, np.nan)
    labels["quality"] = flag_names(any_of, count)
    labels |= {f"flag_{name}": any_of[name] for name in FLAGS if name in any_of}
    weather = table.drop(columns=["pm25"]).select_dtypes("number")
    speed = next((weather[name] for name in weather if str(name).startswith("wind_speed")), None)
    for column in map(str, weather):
        if column.startswith("wind_direction"):
            labels[column] = _mean_direction(weather[column], speed, group, count)
        else:
            labels[column] = _means(weather[column].to_numpy(np.float64), group, count)
        if column.startswith("precipitation"):
            labels[column] = labels[column] * whole
        known = _different(hour, weather[column].notna().to_numpy(), group, count)
        labels[column] = np.where(known >= min_weather, labels[column], np.nan)
    return pd.concat([keys, pd.DataFrame(labels, index=keys.index)], axis=1)


def _different(
    hour: NDArray[np.datetime64], counted: NDArray[np.bool_], group: NDArray[np.int64], count: int
) -> NDArray[np.int64]:
    """How many different hours of each group are counted."""
    again = pd.DataFrame({"group": group, "hour": hour})[counted].duplicated().to_numpy()
    return np.bincount(group[counted][~again], minlength=count)


def _means(values: NDArray[np.float64], group: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """Mean of each group without NaN, NaN where there is nothing else."""
    known = np.isfinite(values)
    numbers = np.bincount(group[known], minlength=count)
    sums = np.bincount(group[known], weights=values[known], minlength=count)
    means: NDArray[np.float64] = np.divide(sums, numbers, out=np.full(count, np.nan), where=numbers > 0)
    return means


def _mean_direction(
    direction: pd.Series, speed: pd.Series | None, group: NDArray[np.int64], count: int
) -> NDArray[np.float64]:
    """Direction of the mean wind vector, degrees; an hour without a speed counts as 1 m/s, calm as next to nothing."""
    angle = np.radians(direction.to_numpy(np.float64))
    weight = np.ones(len(angle)) if speed is None else speed.fillna(1.0).clip(lower=1e-6).to_numpy(np.float64)
    weight = np.where(np.isfinite(angle), weight, np.nan)
    east, north = _means(weight * np.sin(angle), group, count), _means(weight * np.cos(angle), group, count)
    blows = np.hypot(east, north) > 1e-9 * _means(weight, group, count)
    return np.where(blows, np.degrees(np.arctan2(east, north)) % 360, np.nan)


def flag_names(any_of: Mapping[str, NDArray[np.bool_]], count: int) -> NDArray[np.object_]:
    """Names of the flags of each row joined by '|', in the order of `FLAGS`; each combination is written out once.

    Args:
        any_of: Whether each row has a flag, N, by the flag's name.
        count: N.
    """
    present = [name for name in FLAGS if name in any_of]
    bits = np.zeros(count, dtype=np.int64)
    for place, name in enumerate(present):
        bits |= any_of[name].astype(np.int64) << place
    combinations, row = np.unique(bits, return_inverse=True)
    texts = ["|".join(name for place, name in enumerate(present) if bit >> place & 1) for bit in combinations.tolist()]
    return np.array(texts, dtype=object)[row]
