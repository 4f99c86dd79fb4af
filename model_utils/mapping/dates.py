"""The times of a map: its days, and the periods that they are averaged over."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.errors import InputError
from model_utils.mapping.config import Period

MOST_TIMES = 5000
_FREQUENCY = {"day": "D", "month": "M", "season": "Q-NOV", "year": "Y"}


@dataclass(frozen=True)
class MapTimes:
    """What a map is of.

    Attributes:
        days: Local dates, sorted, t.
        period: Number of each day's period, t.
        bounds: First instant and end of each period, p x 2.
    """

    days: pd.DatetimeIndex
    period: NDArray[np.int64]
    bounds: NDArray[np.datetime64]


def map_times(dates: str | None, length: Period, known: pd.DatetimeIndex) -> MapTimes:
    """Days and their periods.

    Args:
        dates: As the flag has them; None for all that are known.
        length: Of a period. Daily maps have every day that was asked for, periods those that something is known of.
        known: Dates with readings or images, sorted.

    Raises:
        InputError: No date is left.
    """
    if dates is None:
        days = known
    elif ".." in dates:
        first, last = dates.split("..")
        days = pd.date_range(first, last)
    else:
        days = pd.DatetimeIndex(sorted(set(dates.split(","))))
    some = days[days.isin(known)]
    if not len(some):
        span = f"{known[0].date()} to {known[-1].date()}" if len(known) else "nothing"
        raise InputError(f"--dates {dates}: no date with readings or images, which are of {span}")
    if length != "day":
        days = some
    if len(days) > MOST_TIMES:
        raise InputError(f"--dates {dates}: found {len(days)} days, expected at most {MOST_TIMES}")
    periods = days.to_period(_FREQUENCY[length])
    each = periods.unique()
    bounds = np.stack([each.start_time.to_numpy(), (each + 1).start_time.to_numpy()], axis=1)
    return MapTimes(days.as_unit("ns"), each.get_indexer(periods).astype(np.int64), bounds.astype("datetime64[ns]"))
