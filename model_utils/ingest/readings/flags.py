"""Quality flags of readings: rows are kept, and what speaks against each is a column."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.ingest.readings.neighbours import colocated, spikes, unit_doubt
from model_utils.ingest.readings.records import StationRecords

FLAGS = {
    "missing": "the row holds no number (empty, None, NA)",
    "missing_code": "a number that stands for 'missing', such as -999 or 9999",
    "invalid": "below -10 ug/m3, which no monitor's noise explains",
    "low": "from -10 to below 0 ug/m3: noise of the monitor in clean air",
    "saturated": "985 ug/m3 or more: the end of the monitors' scales (985, 999, 1000)",
    "stuck": "one of 4 or more equal hours in a row, or of 5 or more days in a row within 0.05 ug/m3",
    "spike": "an hour far from the neighbours at the same hour and from the station's own hours before and after",
    "duplicate_time": "the station has this time twice: a repetition of an equal value, or any of different values",
    "colocated": "another station within 50 m persistently disagrees; which of the two is right is not known",
    "coordinates": "the station has no usable coordinates (none, 0, 0, swapped, or outside the city)",
    "unit_doubt": "the station's readings are 100 times or more off the others at the same times: another unit?",
    "low_cost": "an optical sensor without a reference, which humid air and coarse dust mislead",
    "too_few_hours": "the mean was not taken, since fewer hours were kept than asked for",
}
"""What can be said against a reading (the last one: against a mean), in the order in which `quality` names them."""

DEFAULT_DROP = (
    "missing",
    "missing_code",
    "invalid",
    "saturated",
    "spike",
    "duplicate_time",
    "unit_doubt",
)
"""Readings with one of these enter no label unless a user says otherwise. `low` stays: without the negative half of
the noise, means of clean air are too high (US EPA keeps hourly PM2.5 down to -10 ug/m3 for that reason). `stuck` stays
too: instruments that round repeat themselves in clean air. In Beijing 2013-2017 two thirds of the stuck hours are the
lowest value that is reported, and leaving them out raises a station's mean by up to 1.2 ug/m3."""

MISSING_CODES = (
    *(-99.0, -99.9, -99.99, -999.0, -999.9, -999.99, -9999.0, -9999.9, -9999.99, -99999.0),
    *(9999.0, 9999.9, 9999.99, 99999.0, 99999.9),
)
"""999 is not among them: it is also where some monitors saturate, and `saturated` covers it."""

INVALID_BELOW = -10.0
SATURATION = 985.0
STUCK_HOURS = 4
STUCK_DAYS = 5
STUCK_DAYS_WITHIN = 0.05
"""Daily means repeat to the second decimal only where the hours behind them do."""


def flag_records(records: StationRecords, stations: pd.DataFrame) -> pd.DataFrame:
    """Adds a boolean column `flag_<name>` for each of `FLAGS` that concerns a reading: all but too_few_hours.

    `low_cost` is of all readings or of none, and then there is no such column.

    Nothing is removed or changed. A missing code gets that flag alone: it is no number that could be stuck or far
    from the neighbours. A saturated reading can be stuck too, but is no neighbour and no spike.

    Args:
        records: As a format's reader gives them.
        stations: The stations that have usable coordinates: `station`, `latitude`, `longitude` (WGS84 degrees).
            Rows of other stations are flagged `coordinates`, and have no neighbours.

    Returns:
        The rows of `records.table`, sorted by station and time, with the flags behind their columns.
    """
    hourly = records.period == "hour"
    step = np.timedelta64(1, "h") if hourly else np.timedelta64(1, "D")
    name = records.table["station"].astype(str)
    code, _ = pd.factorize(name, sort=True)
    time = records.table["time_utc" if hourly else "local_date"].to_numpy("datetime64[us]")
    order = np.lexsort((time, code))
    table, name = records.table.iloc[order].reset_index(drop=True), name.iloc[order]
    code, time = code[order], time[order]
    value = table["pm25"].to_numpy(np.float64)

    missing = ~np.isfinite(value)
    missing_code = np.isin(value, MISSING_CODES)
    number = np.flatnonzero(~missing & ~missing_code)
    flags = {
        "missing": missing,
        "missing_code": missing_code,
        "invalid": ~missing & ~missing_code & (value < INVALID_BELOW),
        "low": (value >= INVALID_BELOW) & (value < 0),
        "saturated": ~missing & ~missing_code & (value >= SATURATION),
        "coordinates": ~name.isin(stations["station"].astype(str)).to_numpy(),
    }

    # From here on one entry a station and time that has a number: NaN where there are two different ones.
    number_value = value[number]
    first = np.ones(len(number), dtype=bool)
    first[1:] = (np.diff(code[number]) != 0) | (np.diff(time[number]) != np.timedelta64(0, "us"))
    entry_of, starts = np.cumsum(first) - 1, np.flatnonzero(first)
    entry = number[first]
    if len(entry):
        differ = np.maximum.reduceat(number_value, starts) > np.minimum.reduceat(number_value, starts)
    else:
        differ = np.zeros(0, dtype=bool)
    entry_value = np.where(differ, np.nan, value[entry])
    of_number = {"duplicate_time": ~first | differ[entry_of]}
    run, within = (STUCK_HOURS, 0.0) if hourly else (STUCK_DAYS, STUCK_DAYS_WITHIN)
    of_number["stuck"] = _stuck(entry_value, code[entry], time[entry], step, run, within)[entry_of]

    places = stations.drop_duplicates("station")
    column = pd.Index(places["station"].astype(str)).get_indexer(pd.Index(name.iloc[entry]))
    located = column >= 0
    times, row = np.unique(time[entry[located]], return_inverse=True)
    grid = np.full((len(times), len(places)), np.nan)
    grid[row, column[located]] = entry_value[located]
    latitude, longitude = (places[key].to_numpy(np.float64) for key in ("latitude", "longitude"))
    doubt = unit_doubt(grid)
    plausible = np.where((grid >= INVALID_BELOW) & (grid < SATURATION) & ~doubt, grid, np.nan)
    disagree = colocated(plausible, latitude, longitude)
    spike = np.zeros(len(entry), dtype=bool)
    if hourly:  # a station's day that differs may well be true: a fire, a festival
        spike[located] = spikes(plausible, times, step, latitude, longitude)[row, column[located]]
    of_number["spike"] = spike[entry_of]

    for key, found in of_number.items():
        flags[key] = np.zeros(len(table), dtype=bool)
        flags[key][number] = found
    for key, wrong in (("colocated", disagree), ("unit_doubt", doubt)):
        flags[key] = name.isin(places["station"].astype(str).to_numpy()[wrong]).to_numpy()
    if records.low_cost:
        flags["low_cost"] = np.ones(len(table), dtype=bool)
    columns = {f"flag_{key}": flags[key] for key in FLAGS if key in flags}
    return pd.concat([table, pd.DataFrame(columns, index=table.index)], axis=1)


def flag_counts(table: pd.DataFrame) -> dict[str, int]:
    """How many rows of `flag_records`, `daily_labels` or `overpass_labels` have each flag, in the order of `FLAGS`."""
    return {name: int(table[f"flag_{name}"].sum()) for name in FLAGS if f"flag_{name}" in table}


def filter_line(drop: tuple[str, ...] = DEFAULT_DROP) -> str:
    """The filter in words."""
    # readings of a station without a place reach no tile, and too few hours concern the mean; what is low-cost is so
    # throughout, and said where it is
    kept = [name for name in FLAGS if name not in (*drop, "coordinates", "low_cost", "too_few_hours")]
    return f"readings flagged {', '.join(drop) or 'nothing'} enter no mean; those flagged {', '.join(kept)} do"


def _stuck(
    value: NDArray[np.float64],
    code: NDArray[np.int64],
    time: NDArray[np.datetime64],
    step: np.timedelta64,
    run: int,
    within: float,
) -> NDArray[np.bool_]:
    """Marks the windows of `run` entries, each a step after the one before, whose range is at most `within`."""
    stuck = np.zeros(len(value), dtype=bool)
    if len(value) < run:
        return stuck
    starts = len(value) - run + 1
    windows = np.lib.stride_tricks.sliding_window_view(value, run)
    flat = windows.max(axis=1) - windows.min(axis=1) <= within + 1e-9  # NaN, two different values, is no part of a run
    # Entries are distinct times in order, so ends that are run - 1 steps apart need a check of the steps between too.
    follows = (np.diff(code) == 0) & (np.diff(time) == step)
    flat &= np.lib.stride_tricks.sliding_window_view(follows, run - 1).all(axis=1)
    for offset in range(run):
        stuck[offset : offset + starts] |= flat
    return stuck
