"""What the stations of a city say together, and which values depart from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Fault = Literal["", "stuck", "deaf", "apart", "departs", "amid"]
FAULTS: tuple[Fault, ...] = ("", "stuck", "deaf", "apart", "departs", "amid")

_WINDOW = 31  # days: longer than a spell of weather
_FEW = 10  # days that a judgement over a window needs
_DEAF_SHARE = 0.3  # of the day-to-day change of the other stations
_HOPELESS = 0.75  # share of a station's days; then the rest of them is not believed either
_RUN = {"hour": 12, "day": 4}
_QUORUM = 3  # with two stations that disagree nobody can tell which one is wrong


@dataclass(frozen=True)
class Tolerance:
    """How far sound instruments of one city can lie apart, after each one's own constant difference is taken off.

    Attributes:
        single: One value, by period.
        lasting: The median over a month.
        constant: The constant difference itself; more is no matter of altitude or surroundings.
        stuck: Range of the others' values within which equal values are no fault.
        change: Day-to-day change of the others below which a quiet instrument is no fault.
        share: Adds to `single` and `lasting` this share of the constant difference, which varies with the season.
    """

    single: dict[str, float]
    lasting: float
    constant: float
    stuck: float
    change: float
    share: float = 0.0


# Wider than twelve sound stations of Beijing ever lay apart in four years of hours (fronts and foehn reach some of them
# first: 13 K in temperature, 25 K in dew point), narrower than the faults of 37 stations of Delhi.
TOLERANCES = {
    "temperature": Tolerance({"hour": 15.0, "day": 5.0}, 3.0, 8.0, 3.0, 0.3, 0.15),
    "dew_point": Tolerance({"hour": 30.0, "day": 10.0}, 5.0, 10.0, 3.0, 0.5, 0.15),
    "relative_humidity": Tolerance({"hour": 55.0, "day": 30.0}, 20.0, 35.0, 12.0, 1.5),
    "pressure": Tolerance({"hour": 6.0, "day": 5.0}, 3.5, 150.0, 2.0, 0.3, 0.1),
}


@dataclass(frozen=True)
class Consensus:
    """The additive picture value = station's constant difference + the city's value at the time + the rest.

    Attributes:
        offset: A station's constant difference from the median station, S; NaN where nothing is known.
        reference: The city's value, T; NaN where fewer than three stations report.
        rest: T x S.
    """

    offset: NDArray[np.float64]
    reference: NDArray[np.float64]
    rest: NDArray[np.float64]


def fit(values: NDArray[np.float64], trusted: NDArray[np.bool_]) -> Consensus:
    """Median polish (Tukey 1977) of the values that are trusted; the rest is given for all values.

    A median over all stations, a station's own value included, withstands one faulty station among three.

    Args:
        values: T x S, NaN where there is none.
        trusted: T x S.
    """
    sound = pd.DataFrame(np.where(trusted, values, np.nan))
    counted = (sound.notna().sum(axis=1) >= _QUORUM).to_numpy()
    every = pd.DataFrame(np.where(counted[:, None], values, np.nan))
    sound = sound.where(pd.Series(counted), np.nan)
    offset = pd.Series(0.0, sound.columns)
    for _ in range(10):
        reference = (sound - offset).median(axis=1)
        difference = sound.sub(reference, axis=0)
        few = difference.notna().sum() < _FEW
        offset = difference.median().where(~few, every.sub(reference, axis=0).median())
        if offset.notna().any():
            offset -= offset.median()
        offset = offset.fillna(0.0)
    reference = (sound - offset).median(axis=1)
    rest = every.sub(reference, axis=0) - offset
    known = offset.where(every.notna().any())
    return Consensus(*(np.asarray(part, np.float64) for part in (known, reference, rest)))


def find_faults(
    values: NDArray[np.float64], days: NDArray[np.datetime64], period: Literal["hour", "day"], tolerance: Tolerance
) -> tuple[NDArray[np.int8], Consensus]:
    """Marks the values that sound instruments cannot have given, by comparison with the other stations.

    The consensus is found from all values, then twice more from those that no fault was found with.

    Args:
        values: T x S in time order, NaN where there is none.
        days: The local date of each time, T.
        period: What a value averages over.
        tolerance: Of this quantity.

    Returns:
        Index into `FAULTS` of each value, T x S, 0 where nothing speaks against it (or nobody can tell):
        'stuck' repeats one value exactly while the others move; 'deaf' hardly follows the weather over a month;
        'apart' lies apart for a month or always; 'departs' is a single value; 'amid' fits, but lies in a month with
        more faults than sound days, or at a station with three times as many. And the consensus.
    """
    known = ~np.isnan(values)
    consensus = fit(values, known)
    for _ in range(3):
        faults = _judge(values, days, period, tolerance, consensus)
        consensus = fit(values, known & (faults == 0))
    return _judge(values, days, period, tolerance, consensus), consensus


def _judge(
    values: NDArray[np.float64],
    days: NDArray[np.datetime64],
    period: Literal["hour", "day"],
    tolerance: Tolerance,
    consensus: Consensus,
) -> NDArray[np.int8]:
    slack = tolerance.share * np.abs(np.nan_to_num(consensus.offset))
    comparable = ~np.isnan(consensus.rest)
    stuck = _stuck(values, consensus.reference, _RUN[period], tolerance.stuck)
    moving = pd.DataFrame(~stuck & comparable)  # what has been found must not weigh on the days around it
    daily = pd.DataFrame(values).where(moving).groupby(days).mean().asfreq("D")
    daily_rest = pd.DataFrame(consensus.rest).where(moving).groupby(days).mean().asfreq("D")
    row_of_day = daily.index.get_indexer(pd.DatetimeIndex(days))

    lasting = daily_rest.rolling(_WINDOW, center=True, min_periods=_FEW).median().abs() > tolerance.lasting + slack
    apart = lasting.to_numpy()[row_of_day] | (np.abs(np.nan_to_num(consensus.offset)) > tolerance.constant)
    change = daily.diff().abs().rolling(_WINDOW, center=True, min_periods=2 * _FEW).median().to_numpy()
    usual = pd.DataFrame(change).median(axis=1).to_numpy()[:, None]
    deaf = ((change < _DEAF_SHARE * usual) & (usual > tolerance.change))[row_of_day]
    departs = np.abs(np.nan_to_num(consensus.rest)) > tolerance.single[period] + slack

    faults = np.zeros(values.shape, np.int8)
    found: tuple[tuple[Fault, NDArray[np.bool_]], ...]
    found = (("departs", departs), ("apart", apart), ("deaf", deaf), ("stuck", stuck))  # the later name stands
    for name, marked in found:
        faults[marked & comparable] = FAULTS.index(name)
    bad = pd.DataFrame(np.where(comparable, faults > 0, np.nan)).groupby(days).mean().asfreq("D")
    mostly = (bad.rolling(_WINDOW, center=True, min_periods=_FEW).mean() > 0.5) | (bad.mean() > _HOPELESS)
    faults[mostly.to_numpy()[row_of_day] & comparable & (faults == 0)] = FAULTS.index("amid")
    return faults


def _stuck(values: NDArray[np.float64], reference: NDArray[np.float64], length: int, moved: float) -> NDArray[np.bool_]:
    """Values of a run of at least `length` equal ones, gaps left out, in which the reference moves by over `moved`."""
    stuck = np.zeros(values.shape, bool)
    for station in range(values.shape[1]):
        rows = np.flatnonzero(~np.isnan(values[:, station]) & ~np.isnan(reference))
        if not rows.size:
            continue
        run = np.cumsum(np.diff(values[rows, station], prepend=np.nan) != 0)
        of_run = pd.Series(reference[rows]).groupby(run)
        long = (of_run.transform("size") >= length) & (of_run.transform("max") - of_run.transform("min") > moved)
        stuck[rows[long.to_numpy()], station] = True
    return stuck
