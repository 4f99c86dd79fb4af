"""How well place effects are known where no station stands, by the hidden truth of simulated cities."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from model_utils.evaluation.words import SCORES
from model_utils.figures.methods import method_colour, method_name, numbers
from model_utils.figures.style import QUIET, SMALL, label, mark_simulated, new_figure

_KEYS = ("truth_r_seen", "truth_r")
_DASHES = {"_images": "--", "_ring": ":"}
_SHOWN = ("place", "start", "reference", "ceiling")


def draw_hidden_truth(table: pd.DataFrame) -> Figure:
    """Draws r over the number of training sites: with what images can show, and with the whole place effect.

    Place and day has full lines (dashed by images alone, dotted with the ring), heads on single tiles thin ones.

    Args:
        table: As from `truth_table`.
    """
    figure = new_figure(11, 5.6)
    panels = figure.subplots(1, 2, sharey=True)
    counts = sorted(table["stations"].unique())
    for axes, key in zip(panels, _KEYS, strict=True):
        for family in _SHOWN:
            for method, rows in table[table["family"] == family].groupby("method", sort=False):
                curve, name = rows.sort_values("stations"), str(method)
                dashes = next((dash for part, dash in _DASHES.items() if name.endswith(part)), "-")
                width, colour = 2.0 if family == "place" else 0.8, method_colour(name)
                x = curve["stations"].to_numpy(float)
                axes.plot(
                    x,
                    numbers(curve, key),
                    marker="o",
                    markersize=3,
                    label=method_name(name),
                    color=colour,
                    linestyle=dashes,
                    linewidth=width,
                )
                if family == "place" and dashes == "-":
                    low, high = numbers(curve, f"{key}_low"), numbers(curve, f"{key}_high")
                    axes.fill_between(x, low, high, color=colour, alpha=0.12, linewidth=0)
        axes.set_xscale("log")
        axes.set_xticks(counts, [str(count) for count in counts])
        axes.minorticks_off()
        axes.axhline(0, color=QUIET, linewidth=0.5, zorder=0)
        label(axes, SCORES[key], "training sites", "r" if key == _KEYS[0] else "")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside right upper", fontsize=SMALL, frameon=False)
    mark_simulated(figure, "all")
    return figure
