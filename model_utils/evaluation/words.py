"""Designs, families and scores as people read them, in tables and figures alike."""

from __future__ import annotations

from typing import Any

import pandas as pd

DESIGNS = {
    "hold_out": "Hold-out: stations that no method learns from",
    "label_efficiency": "Label efficiency: spatial r [95 %] by number of training stations",
    "folds": "Spatially contiguous folds",
    "temporal": "Held-out stations on the last dates",
    "leave_one_out": "Leave one station out, with a buffer",
    "truth": "Hidden truth: place effects at sites without a reading",
}

FAMILIES = {
    "reference": "references",
    "start": "image encoders",
    "field": "same-day field plus image",
    "place": "place and day",
    "joint": "joint with weather",
    "ceiling": "ceilings",
}
"""Family -> its heading; ceilings know what no method can know."""

SCORES = {
    "spatial_r": "spatial r",
    "spatial_rmse": "spatial RMSE (µg/m³)",
    "rmse": "RMSE (µg/m³)",
    "rmse_new_dates": "RMSE on new dates (µg/m³)",
    "mae": "MAE (µg/m³)",
    "nrmse": "NRMSE",
    "r2": "R²",
    "temporal_r": "temporal r",
    "spatial_r_paper": "r of raw station means",
    "period_r_month": "r within months",
    "period_rmse_month": "RMSE of monthly means (µg/m³)",
    "period_r_season": "r within seasons",
    "period_rmse_season": "RMSE of seasonal means (µg/m³)",
    "coverage": "coverage",
    "truth_r": "r with the hidden place effect",
    "truth_r_seen": "r with what land use explains of it",
    "truth_rmse": "RMSE of the hidden place effect (log units)",
    "within_one_sd": "hidden effects within one SD",
}
"""Key of a score -> its name for people."""

_PERCENT = ("nrmse", "coverage", "within_one_sd")
_TWO_DIGITS = (
    *("spatial_r", "temporal_r", "spatial_r_paper", "r2"),
    *("period_r_month", "period_r_season", "truth_r", "truth_r_seen"),
)
_THREE_DIGITS = ("truth_rmse",)
LOWER_IS_BETTER = frozenset(
    {"spatial_rmse", "period_rmse_month", "period_rmse_season", "rmse", "rmse_new_dates", "mae", "nrmse"}
)
SIGNIFICANT = 0.05


def methods_shown(table: pd.DataFrame, design: str) -> pd.DataFrame:
    """The rows of a design whose method was not skipped, ordered by family, else as they come.

    Args:
        table: One row per (design, stations, method): design, method, family, and `skipped` (the reason, or missing)
            where any was.
        design: Which rows.
    """
    rows = table[table["design"] == design]
    if "skipped" in rows:
        rows = rows[rows["skipped"].isna()]
    rank = {family: number for number, family in enumerate(FAMILIES)}
    return rows.sort_values("family", key=lambda family: family.map(rank).fillna(len(rank)), kind="stable")


def number(key: str, value: Any, signed: bool = False) -> str:
    """A score as every table shows it: correlations with 2 digits, shares in percent, ug/m3 with 1; '-' if missing."""
    if pd.isna(value):
        return "-"
    digits = 2 if key in _TWO_DIGITS else 3 if key in _THREE_DIGITS else 1
    text = format(value, ".1%" if key in _PERCENT else f".{digits}f")
    text = text.removeprefix("-") if not text.strip("-0.%") else text  # no minus zero
    return f"+{text}" if signed and not text.startswith("-") else text


def interval(key: str, value: Any, low: Any, high: Any, signed: bool = False) -> str:
    """'0.51 [0.22, 0.71]', or the score alone where it has no interval."""
    text = number(key, value, signed)
    if pd.isna(value) or pd.isna(low) or pd.isna(high):
        return text
    return f"{text} [{number(key, low, signed)}, {number(key, high, signed)}]"
