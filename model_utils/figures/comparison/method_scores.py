"""The scores of all methods side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from model_utils.evaluation.words import DESIGNS, FAMILIES, SCORES, methods_shown
from model_utils.figures.methods import draw_interval, method_colour, method_name, name_rows, numbers
from model_utils.figures.style import QUIET, SMALL, label, mark_simulated, new_figure

SHOWN = ("spatial_r", "temporal_r", "nrmse")
_ASIDE: Any = {"ha": "center", "va": "center", "fontsize": 7.5, "color": QUIET, "backgroundcolor": "white"}


def draw_method_scores(table: pd.DataFrame, design: str, simulated: str = "no") -> Figure:
    """Draws spatial r, temporal r and NRMSE of each method with 95 % intervals, by family, the ceilings last.

    Hollow markers use same-day readings. Where a method has rows for several
    numbers of training stations, the largest is shown.

    Args:
        table: One row per (design, stations, method): method, family, uses_same_day_readings, and each score with
            `_low` and `_high`; skipped methods are left out.
        design: Which rows.
        simulated: Which part of the data is simulated, as `archive.json` says it.
    """
    rows = methods_shown(table, design)
    if "stations" in rows:
        largest = rows.sort_values("stations", kind="stable", na_position="first").drop_duplicates(
            "method", keep="last"
        )
        rows = rows.loc[rows.index.intersection(largest.index, sort=False)]
    groups = {
        FAMILIES.get(family, str(family)): [method_name(name) for name in rows["method"][rows["family"] == family]]
        for family in rows["family"].unique()
    }
    figure = new_figure(10.5, 1.4 + 0.2 * (len(rows) + len(groups)))
    panels: Any = figure.subplots(1, len(SHOWN), sharey=True)
    heights = name_rows(panels[0], groups)
    for axes, key in zip(panels, SHOWN, strict=True):
        _draw_score(axes, rows, heights, key)
        label(axes, "", SCORES[key])
        axes.tick_params(axis="y", length=0, labelsize=SMALL)
        axes.spines["left"].set_visible(False)
    panels[-1].xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    panels[-1].set_xlim(left=0)
    figure.suptitle(
        f"{DESIGNS.get(design, design)}; 95 % intervals (hollow: uses same-day readings)",
        fontsize=10,
    )
    mark_simulated(figure, simulated)
    return figure


def _draw_score(axes: Axes, rows: pd.DataFrame, heights: list[int], key: str) -> None:
    axes.axvline(0, color=QUIET, linewidth=0.8)
    values = np.column_stack([numbers(rows, name) for name in (key, f"{key}_low", f"{key}_high")])
    filled = numbers(rows, "uses_same_day_readings") != 1
    for method, height, value, fill in zip(rows["method"], heights, values, filled, strict=True):
        draw_interval(axes, value, height, method_colour(method), bool(fill))
        if not np.isfinite(value[0]):
            axes.text(0.5, height, "not defined", transform=axes.get_yaxis_transform(), **_ASIDE)
