"""Whether prediction intervals hold everywhere, and what they cost in width."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from model_utils.evaluation.coverage import LEVELS, SEASONS
from model_utils.figures.methods import method_name
from model_utils.figures.style import OBSERVED, PM25, PREDICTED, QUIET, SMALL, label, mark_simulated, new_figure

_LOOKS: dict[str, dict[str, dict[str, Any]]] = {
    kind: {value: {"color": colour, "marker": marker} for value, colour, marker in zip(values, *looks, strict=True)}
    for kind, values, looks in (
        # Okabe & Ito 2008: told apart by colour-blind readers
        ("season", SEASONS, (("#0072b2", "#009e73", "#d55e00", "#e69f00"), "s^oD")),
        ("level", LEVELS, (("#bbbbbb", "#777777", "#222222"), "vo^")),
    )
}


def draw_coverage(tables: Mapping[str, pd.DataFrame], level: float, simulated: str = "no") -> Figure:
    """Draws coverage of each station, by season and by third of the predictions, and mean width; one row a method.

    Args:
        tables: Method -> what `coverage_table` says of it, first on top.
        level: Share that the intervals promise to cover.
        simulated: Which part of the data is simulated, as `archive.json` says it.
    """
    figure = new_figure(11.0, 2.0 + 0.24 * len(tables))
    panels = figure.subplots(1, 4, sharey=True, width_ratios=(3, 3, 3, 2.4))
    panels[0].set_yticks(range(len(tables)), [method_name(name) for name in tables], fontsize=SMALL)
    panels[0].set_ylim(max(len(tables), 1) - 0.5, -0.5)
    for height, table in enumerate(tables.values()):
        for axes in panels:
            axes.axhline(height, color=QUIET, linewidth=0.25, zorder=0)
        stations = table[table["kind"] == "station"]
        panels[0].plot(stations["coverage"], np.full(len(stations), height), "|", color=QUIET, markersize=8)
        if len(stations):
            whole = np.average(stations["coverage"], weights=stations["samples"])
            panels[0].plot(whole, height, "o", color=PREDICTED, markersize=6, markeredgecolor=OBSERVED)
        _draw_groups(panels[1], table, "season", "coverage", height)
        _draw_groups(panels[2], table, "level", "coverage", height)
        _draw_groups(panels[3], table, "level", "width", height)
    for axes in panels[:3]:
        axes.axvline(level, color=OBSERVED, linestyle="--", linewidth=1, zorder=0)
    label(panels[0], "all, and each station", f"share of readings covered\n(promised: {level:.0%})")
    label(panels[1], "by season", "share of readings covered")
    label(panels[2], "by predicted level", "share of readings covered")
    label(panels[3], "mean width", PM25)
    panels[3].set_xlim(left=0)
    looks = {**_LOOKS["season"], **{f"{name} third": look for name, look in _LOOKS["level"].items()}}
    handles = [panels[1].plot([], [], linestyle="", label=name, **look)[0] for name, look in looks.items()]
    figure.legend(
        handles=handles,
        loc="outside upper center",
        ncols=len(handles),
        fontsize=SMALL,
        frameon=False,
        handletextpad=0.1,
    )
    mark_simulated(figure, simulated)
    return figure


def _draw_groups(axes: Axes, table: pd.DataFrame, kind: str, value: str, height: int) -> None:
    groups = table[table["kind"] == kind].set_index("group")[value]
    for name, look in _LOOKS[kind].items():
        if name in groups:
            axes.plot(groups[name], height, markersize=5, alpha=0.9, **look)
