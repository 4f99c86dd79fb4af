"""Whether prediction intervals hold everywhere, and what they cost in width."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.figure import Figure

from model_utils.evaluation.coverage import LEVELS, SEASONS
from model_utils.figures.style import PM25, PREDICTED, QUIET, label, mark_simulated, new_figure, plain

_PANELS = (("season", "by season"), ("level", "by third of the predictions"), ("station", "by station, sorted"))


def draw_coverage(tables: Mapping[str, pd.DataFrame], level: float, simulated: str = "no") -> Figure:
    """Draws coverage above and mean width below, by season, by predicted level, and of each station.

    Stations are sorted anew for each method and panel: the curve shows how they spread, not which is which.

    Args:
        tables: Method -> what `coverage_table` says of it.
        level: Share that the intervals promise to cover.
        simulated: Which part of the data is simulated, as `archive.json` says it.
    """
    figure = new_figure(10.0, 5.6)
    axes = figure.subplots(2, 3, sharey="row")
    colours = [PREDICTED] if len(tables) == 1 else [colormaps["tab20"](number % 20) for number in range(len(tables))]
    for column, (kind, title) in enumerate(_PANELS):
        for row, value in enumerate(("coverage", "width")):
            panel = axes[row, column]
            for number, ((name, table), colour) in enumerate(zip(tables.items(), colours, strict=True)):
                groups = table[table["kind"] == kind].set_index("group")[value]
                if kind == "station":
                    panel.plot(np.linspace(0, 1, len(groups)), groups.sort_values(), ".-", color=colour, lw=0.8)
                else:
                    order = pd.Index(SEASONS if kind == "season" else LEVELS)
                    aside = 0.6 * ((number + 0.5) / len(tables) - 0.5)
                    panel.plot(
                        np.arange(len(order)) + aside, groups.reindex(order), "o", color=colour, ms=5, label=name
                    )
                    panel.set_xticks(np.arange(len(order)), order)
            if kind == "station":
                panel.set_xticks([0, 1], ["lowest", "highest"])
            label(panel, title if row == 0 else "")
        axes[0, column].axhline(level, color=QUIET, linestyle="--", linewidth=1, zorder=0)
    label(axes[0, 0], _PANELS[0][1], y=f"share of readings covered\n(promised: {level:.0%})")
    label(axes[1, 0], "", y=f"mean width, {PM25}")
    axes[0, 0].set_ylim(top=1.02)
    axes[1, 0].set_ylim(bottom=0)
    handles, names = axes[0, 0].get_legend_handles_labels()
    if len(tables) > 1:
        figure.legend(
            handles, [plain(name) for name in names], fontsize=9, frameon=False, loc="outside upper center", ncols=4
        )
    mark_simulated(figure, simulated)
    return figure
