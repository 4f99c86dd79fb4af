"""Which rows of a table are meant: those of PM2.5, that are valid, near the city, and no footer."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.cities import plain_letters
from model_utils.errors import InputError
from model_utils.ingest.readings.formats.combining import Findings, ReadingOptions
from model_utils.ingest.readings.formats.layout import Layout
from model_utils.ingest.readings.formats.specification import PM25, Format, Selection, shown
from model_utils.ingest.readings.text import Rows

MARGIN = 0.5
"""Degrees around the city that a nationwide table is cut to."""


def rows_meant(format: Format, layout: Layout, rows: Rows, options: ReadingOptions, findings: Findings) -> Rows:
    """The rows that are meant, perhaps none.

    Args:
        format: Says which.
        layout: Of the file.
        rows: All its rows.
        options: Has the city.
        findings: Which counts the others.

    Raises:
        InputError: There is a second table below the first, or a coordinate is no number.
    """
    if format.footer:
        rows = _above_footer(rows, layout.time[0], findings)
    chosen = list(format.rows)
    if format.measured:
        chosen.append(Selection(format.measured.column, (format.measured.pm25, *format.measured.weather)))
    for selection in chosen:
        if len(rows) and selection.column in layout.named:
            column = layout.named[selection.column]
            words, codes = rows.distinct(column)
            meant = _meant(words, selection)
            if not meant.any():
                values = " or ".join(map(shown, selection.values))
                findings.nothing = f"no row of {column} {values}, only {', '.join(words)[:120]}"
            others = selection.others or f"{column} is not {' or '.join(map(shown, selection.values))}"
            rows = _kept(rows, meant[codes], others, findings)
    if len(rows) and format.nationwide and format.station:
        box = options.city.bounding_box
        place = (format.station.latitude, format.station.longitude)
        latitude, longitude = (rows.numbers(layout.named[name]) for name in place)
        near = (latitude > box.south - MARGIN) & (latitude < box.north + MARGIN)
        near &= (longitude > box.west - MARGIN) & (longitude < box.east + MARGIN)
        rows = _kept(rows, near, f"over {MARGIN} degrees outside the city", findings)
    return rows


def nothing_found(format: Format, options: ReadingOptions, findings: Findings) -> str:
    """What there was none of, where no row is meant."""
    if format.measured:
        return f"no measurement of {format.measured.pm25}{''.join(f'; {note}' for note in left_out(format, findings))}"
    if format.nationwide:
        return f"no PM2.5 within {MARGIN} degrees of {options.city.name}"
    return findings.nothing or "no row of PM2.5"


def left_out(format: Format, findings: Findings) -> list[str]:
    """How many rows are left out; of a nationwide table in one number, for nobody wants to know more of them."""
    counts = findings.left_out
    if format.nationwide and counts:
        whys = " or ".join(dict.fromkeys((*(row.others for row in format.rows if row.others), *list(counts)[-1:])))
        return [f"{sum(counts.values())} rows {whys} are left out"]
    return [f"{count} rows left out: {why}" for why, count in counts.items()]


def _meant(words: pd.Series, selection: Selection) -> NDArray[np.bool_]:
    wanted = {value.casefold() for value in selection.values}
    spelled = PM25 in wanted
    return np.array([word.casefold() in wanted or (spelled and plain_letters(word) == "pm25") for word in words])


def _kept(rows: Rows, kept: NDArray[np.bool_], others: str, findings: Findings) -> Rows:
    if kept.all():
        return rows
    findings.left_out.update({others: int((~kept).sum())})
    return rows.taken(np.flatnonzero(kept))


def _above_footer(rows: Rows, first: str, findings: Findings) -> Rows:
    """The rows that begin with a digit; a portal puts minimum, maximum and average below them.

    Raises:
        InputError: There is a second header, or no such row.
    """
    words, codes = rows.distinct(first)
    rows.refuse(first, (words.str.casefold() == first.casefold()).to_numpy(bool)[codes], "one table a file")
    dated = words.str.match(r"[0-9]").to_numpy(bool)
    if not dated.any():
        raise InputError(f"{rows.path}: found no row that begins with a date")
    if dated.all():
        return rows
    count, others = int((~dated[codes]).sum()), ", ".join(sorted(words[~dated]))[:60]
    findings.notes.append(f"{rows.path.name}: {count} rows without a date left out ({others})")
    return rows.taken(np.flatnonzero(dated[codes]))
