"""Weather of stations, checked against physics and against the other stations at the same times."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.ingest.weather.consensus import FAULTS, TOLERANCES, Consensus, find_faults
from model_utils.ingest.weather.conversion import converted
from model_utils.ingest.weather.findings import SET_ASIDE, Findings, span
from model_utils.ingest.weather.quantities import QUANTITIES, UNIT_NAMES, known_unit


def check_weather(
    table: pd.DataFrame, units: dict[str, str], period: Literal["hour", "day"]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Gives the weather of station records the archive's units, and sets aside what cannot be.

    A value is converted from another unit than the header's where that explains it (see `converted`). It becomes NaN
    outside the limits of `QUANTITIES` (a humidity of 0 too), and, for temperature, dew point, humidity and pressure at
    times with at least three stations, where the others contradict it (see `find_faults`). A constant difference in
    pressure is kept and stated: it may be altitude, or a reduction to sea level.

    Args:
        table: N rows with station, time_utc, local_date and some weather columns, as of `StationRecords`.
        units: The unit of each weather column as its header states it.
        period: What a row averages over.

    Returns:
        The N rows with the archive's weather columns in place of the raw ones, index and order kept; and the findings,
        a row each: station, column, first and last (time in UTC, or local date), count (of values), found, done.

    Raises:
        InputError: A weather column has no unit, or one that is not known.
    """
    present = [name for name in QUANTITIES if name in table]
    checked = table.drop(columns=present)
    time = table["time_utc"] if period == "hour" else table["local_date"]
    row, times = pd.factorize(time, sort=True)
    column, names = pd.factorize(table["station"], sort=True)
    days = np.empty(len(times), "datetime64[us]")
    days[row[row >= 0]] = table["local_date"].to_numpy("datetime64[us]")[row >= 0]
    findings = Findings([str(name) for name in names], pd.Index(times), days)

    # A time that is there twice has one cell, the first one's; a row without a time has a last cell of its own.
    raw: dict[str, NDArray[np.float64]] = {}
    faults: dict[str, NDArray[np.int8]] = {}
    fits: dict[str, Consensus] = {}
    for name in present:
        stated = known_unit(name, units.get(name, "none"), "weather of the readings")
        numbers = table[name].to_numpy(np.float64)
        wide = np.full((len(times), len(names)), np.nan)
        wide[row[::-1][row[::-1] >= 0], column[::-1][row[::-1] >= 0]] = numbers[::-1][row[::-1] >= 0]
        values, unit = converted(name, wide, stated)
        possible = _possible(name, values)
        values = np.where(possible, values, np.nan)
        fault = np.zeros(wide.shape, np.int8)
        if name in TOLERANCES:
            fault, fits[name] = find_faults(values, days, period, TOLERANCES[name])
            raw[name], faults[name] = wide, fault
        _tell(findings, name, stated, wide, values, unit, fault, fits.get(name))
        sound = (fault == 0) & (possible | np.isnan(wide))
        gain, offset = np.array(list(QUANTITIES[name].units.values()))[unit[row, column]].T
        result = gain * numbers + offset
        keep = _possible(name, result) & sound[row, column] & (row >= 0)
        checked[QUANTITIES[name].column] = np.where(keep, result, np.nan)
    findings.tell_swapped(raw, faults, fits)
    return checked, findings.table()


def _possible(name: str, values: NDArray[np.float64]) -> NDArray[np.bool_]:
    low, high = QUANTITIES[name].limits
    inside: NDArray[np.bool_] = (values >= low) & (values <= high)
    return inside & (values > 0) if name == "relative_humidity" else inside


def _tell(
    findings: Findings,
    name: str,
    stated: str,
    wide: NDArray[np.float64],
    values: NDArray[np.float64],
    unit: NDArray[np.int8],
    fault: NDArray[np.int8],
    consensus: Consensus | None,
) -> None:
    """Tells of one quantity: other units, impossible values, and those that the other stations contradict."""
    quantity = QUANTITIES[name]
    header = UNIT_NAMES.get(stated, stated)
    for index, real in enumerate(quantity.units):
        if real != stated:
            read = UNIT_NAMES.get(real, real)

            def held(times: NDArray[np.intp], station: int, read: str = read) -> str:
                return f"headed {header}, holds {read}: {span(wide[times, station])}"

            findings.tell(quantity.column, (unit == index) & ~np.isnan(values) & (fault == 0), held, f"read as {read}")

    def impossible(times: NDArray[np.intp], station: int) -> str:
        return f"{span(wide[times, station])} {header} cannot be" + (" in any unit" if len(quantity.units) > 1 else "")

    findings.tell(quantity.column, ~np.isnan(wide) & np.isnan(values), impossible, SET_ASIDE)
    if consensus is None:
        return
    constant = TOLERANCES[name].constant
    for index, kind in enumerate(FAULTS[1:], start=1):

        def contradicted(times: NDArray[np.intp], station: int, kind: str = kind) -> str:
            here, offset = f"{span(values[times, station])} {quantity.symbol}", consensus.offset[station]
            if foreign := int((unit[times, station] != list(quantity.units).index(stated)).sum()):
                here += f" ({foreign} of them headed {header}, but in another unit)"
            rest = consensus.rest[times, station] + (offset if abs(offset) > constant else 0)
            median = float(np.median(rest))
            side = f"{abs(median):.1f} {quantity.symbol} {'above' if median > 0 else 'below'} the other stations"
            return {
                "stuck": f"repeats one value while the other stations move: {here}",
                "deaf": f"hardly follows the weather: {here}",
                "apart": f"for weeks {side} (median): {here}",
                "departs": f"{span(rest)} {quantity.symbol} from the other stations: {here}",
                "amid": f"plausible amid values that are not: {here}",
            }[kind]

        findings.tell(quantity.column, fault == index, contradicted, SET_ASIDE)
    findings.tell_unchecked(quantity.column, values, consensus)
    if name == "pressure":
        findings.tell_offsets(quantity.column, np.where(fault == 0, values, np.nan), consensus)
