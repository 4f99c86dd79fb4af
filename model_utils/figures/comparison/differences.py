"""Which differences between methods are real."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from model_utils.evaluation.words import DESIGNS, LOWER_IS_BETTER, SCORES, SIGNIFICANT, interval
from model_utils.figures.methods import draw_interval, method_colour, method_name, name_rows, numbers
from model_utils.figures.style import QUIET, SMALL, label, mark_simulated, new_figure


def draw_differences(differences: pd.DataFrame, design: str, key: str = "spatial_r", simulated: str = "no") -> Figure:
    """Draws every paired difference (method - against) of a score with its 95 % interval, grouped by `against`.

    A filled marker is a difference that is real at 95 % after Holm's correction; the numbers stand on the right.

    Args:
        differences: design, stations, method, against, key, difference, low, high, p_adjusted; may be empty.
        design: Which rows.
        key: Which score.
        simulated: Which part of the data is simulated, as `archive.json` says it.
    """
    if len(differences):
        differences = differences[(differences["design"] == design) & (differences["key"] == key)]
    rows, groups = _grouped(differences)
    figure = new_figure(8.2, 1.7 + 0.2 * (len(rows) + len(groups)))
    axes = figure.subplots()
    axes.axvline(0, color=QUIET, linewidth=0.8)
    heights = name_rows(axes, groups)
    real = numbers(rows, "p_adjusted") < SIGNIFICANT
    values = np.column_stack([numbers(rows, name) for name in ("difference", "low", "high")])
    for row, height in enumerate(heights):
        draw_interval(axes, values[row], height, method_colour(rows["method"].iloc[row]), filled=bool(real[row]))
        value, low, high = values[row]
        text = interval(key, value, low, high, signed=True)
        axes.text(1.02, height, text, transform=axes.get_yaxis_transform(), va="center", fontsize=SMALL)
    side = "left" if key in LOWER_IS_BETTER else "right"
    label(
        axes,
        f"{DESIGNS.get(design, design)}\npaired differences, 95 % intervals",
        f"difference in {SCORES.get(key, key)} ({side}: the named method is better)\n"
        "filled: real at 95 % after Holm's correction",
    )
    axes.tick_params(axis="y", labelsize=SMALL)
    axes.spines["left"].set_visible(False)
    furthest = 1.06 * float(np.max(np.abs(values[np.isfinite(values)]), initial=0)) or 1.0
    axes.set_xlim(-furthest, furthest)
    mark_simulated(figure, simulated)
    return figure


def _grouped(differences: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, list[str]]]:
    """Rows in the order they are drawn, and their names under 'against ...' (and the number of stations)."""
    if differences.empty:
        return differences, {"no difference was tested": []}
    several = differences["stations"].nunique() > 1
    pieces, groups = [], {}
    for (against, stations), piece in differences.groupby(["against", "stations"], sort=False, dropna=False):
        ending = f", {stations} training station{'' if stations == 1 else 's'}" if several else ""
        groups[f"against {method_name(str(against))}{ending}"] = [method_name(name) for name in piece["method"]]
        pieces.append(piece)
    return pd.concat(pieces), groups
