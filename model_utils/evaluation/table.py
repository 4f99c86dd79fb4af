"""The table of methods: one row a method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd


def statistics_table(rows: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Turns statistics into a table for `statistics.csv`.

    Args:
        rows: Method name -> its statistics (`evaluate`'s, and any other numbers, flags and texts).

    Returns:
        One row a method, indexed by `method`. An interval `<key>_ci95` becomes `<key>_ci95_low` and
        `<key>_ci95_high`; other lists and mappings are left out; None becomes missing.
    """
    flat: list[dict[str, Any]] = []
    for method, statistics in rows.items():
        cells: dict[str, Any] = {"method": method}
        for key, value in statistics.items():
            if key.endswith("_ci95"):
                cells[f"{key}_low"], cells[f"{key}_high"] = value or (None, None)
            elif value is None or isinstance(value, str | bool | int | float):
                cells[key] = value
        flat.append(cells)
    return pd.DataFrame(flat).set_index("method")


def table_rows(rows: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """The few columns that fit a terminal or a page, as text, below their names; '-' where a score does not exist.

    Args:
        rows: As in `statistics_table`; `uses_same_day_readings` (bool) says whether a method reads stations on
            the day it predicts, and `transductive` whether its encoder has seen ground of test stations: such a method
            is marked (see `marks_explained`).
    """
    lines: list[tuple[str, ...]] = [
        (
            *("method", "RMSE", "NRMSE", "spatial_r", "[95 %]", "temporal_r", "same-day readings"),
            *("stations", "days", "samples"),
        )
    ]
    for method, statistics in rows.items():
        interval = statistics.get("spatial_r_ci95")
        same_day = statistics.get("uses_same_day_readings")
        lines.append(
            (
                f"{method}{_mark(statistics)}",
                _number(statistics.get("rmse"), ".1f"),
                _number(statistics.get("nrmse"), ".1%"),
                _number(statistics.get("spatial_r"), ".2f"),
                f"[{interval[0]:.2f}, {interval[1]:.2f}]" if interval else "-",
                _number(statistics.get("temporal_r"), ".2f"),
                "-" if same_day is None else "yes" if same_day else "no",
                *(_number(statistics.get(key), "d") for key in ("n_stations", "n_days", "n_samples")),
            )
        )
    return lines


def marks_explained(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What the marks of a table mean, a line each; none where every encoder is known to have seen no test ground."""
    marks = {_mark(statistics) for statistics in rows.values()}
    return [f"{mark.strip()} {words}" for mark, words in _MARKS.items() if mark in marks]


_MARKS = {
    " *": "its encoder was pre-trained on ground of test stations (transductive): no scores of new ground",
    " ?": "its weights do not say which ground they saw: that of test stations may be among it",
}


def _mark(statistics: Mapping[str, Any]) -> str:
    if "transductive" not in statistics or statistics["transductive"] is False:
        return ""
    return " *" if statistics["transductive"] else " ?"


def format_table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """`table_rows` as plain text in columns."""
    lines = table_rows(rows)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    texts = []
    for first, *others in lines:
        cells = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        texts.append("  ".join([first.ljust(widths[0]), *cells]))
    return "\n".join(texts)


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
