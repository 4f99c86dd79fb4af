"""How many stations a method needs."""

from __future__ import annotations

from textwrap import fill, shorten
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression

from model_utils.comparison.words import FAMILIES, SCORES, methods_shown
from model_utils.figures.methods import method_colour, method_marker, method_name, numbers
from model_utils.figures.style import QUIET, label, mark_simulated, new_figure

_NOT_LEARNT = ("reference", "ceiling")
_TEXT_SIZE, _LINE_HEIGHT = 7.5, 0.145  # points, inches


def draw_label_efficiency(table: pd.DataFrame, key: str = "spatial_r", simulated: str = "no") -> Figure:
    """Draws a score over the number of training stations, a panel for each family of learnt methods.

    Every panel shows the references too (thin lines, dashed where they use same-day readings) and the ceilings
    (grey). Learnt methods have their 95 % interval as a band, and hollow markers where they use same-day readings.
    Methods without any value are named as not defined.

    Args:
        table: Rows of the design `label_efficiency`: stations, method, family, uses_same_day_readings, `<key>`,
            `<key>_low`, `<key>_high`; other designs and skipped methods are left out.
        key: The score.
        simulated: Which part of the data is simulated, as `archive.json` says it.
    """
    rows = methods_shown(table, "label_efficiency").dropna(subset="stations")
    families = [family for family in rows["family"].unique() if family not in _NOT_LEARNT] or [""]
    shared = rows[rows["family"].isin(_NOT_LEARNT)]
    panels = [pd.concat([shared, rows[rows["family"] == family]]) for family in families]
    lines = max(panel["method"].nunique() for panel in panels)
    figure = new_figure(5.6 * len(panels), max(4.8, _LINE_HEIGHT * lines + 1.2))
    grid: Any = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, panel, family in zip(grid, panels, families, strict=True):
        label(axes, FAMILIES.get(family, family), "training stations", SCORES.get(key, key) if axes is grid[0] else "")
        for _, curve in panel.groupby("method", sort=False):
            _draw_curve(axes, curve.sort_values("stations"), key)
        counts = sorted(panel["stations"].astype(int).unique())
        axes.set_xticks(counts, [f"{count}\n(all)" if count == counts[-1] else f"{count}" for count in counts])
        if axes.get_ylim()[0] < 0 < axes.get_ylim()[1]:
            axes.axhline(0, color=QUIET, linewidth=0.5, zorder=0)
        if not axes.lines:
            axes.text(0.5, 0.5, "not defined", transform=axes.transAxes, ha="center", fontsize=9, color=QUIET)
    for axes, panel in zip(grid, panels, strict=True):  # all share the range that holds every curve
        _name_curves(axes, panel, key, figure.get_size_inches()[1] - 1.2)
    caption = "Bands: 95 % intervals. Thin: references. Dashed or hollow: uses same-day readings. Grey: ceilings."
    figure.suptitle(
        fill(caption, int(13 * figure.get_size_inches()[0])),
        fontsize=9,
        x=0.01,
        ha="left",
    )
    mark_simulated(figure, simulated)
    return figure


def _draw_curve(axes: Axes, curve: pd.DataFrame, key: str) -> None:
    method, family = curve["method"].iloc[0], curve["family"].iloc[0]
    x, y = numbers(curve, "stations"), numbers(curve, key)
    if not np.isfinite(y).any():
        return
    colour = method_colour(method)
    same_day = bool((numbers(curve, "uses_same_day_readings") == 1).any())
    if family in _NOT_LEARNT:
        width, style = (2.0, "-") if family == "ceiling" else (1.0, "--" if same_day else "-")
        axes.plot(x, y, style, color=colour, linewidth=width, marker=".", markersize=3, zorder=2, label=method)
        return
    low, high = numbers(curve, f"{key}_low"), numbers(curve, f"{key}_high")
    axes.fill_between(x, low, high, color=colour, alpha=0.08, linewidth=0, zorder=1)
    for edge in (low, high):
        axes.plot(x, edge, color=colour, linewidth=0.6, alpha=0.5, zorder=1)
    face = "white" if same_day else colour
    marker = method_marker(method)
    axes.plot(x, y, marker=marker, markersize=5, markerfacecolor=face, color=colour, linewidth=1.8, label=method)


def _name_curves(axes: Axes, panel: pd.DataFrame, key: str, inches: float) -> None:
    """Names each curve beside the axes, near its last point; names never overlap.

    Args:
        axes: Of the curves.
        panel: Their rows.
        key: The score.
        inches: Rough height of the axes.
    """
    low, high = axes.get_ylim()
    ends: dict[str, tuple[float, float]] = {}
    undefined: list[str] = []
    for method, curve in panel.assign(_value=numbers(panel, key)).groupby("method", sort=False):
        defined = curve.dropna(subset="_value").sort_values("stations")
        if defined.empty:
            undefined.append(str(method))
        else:
            ends[str(method)] = (float(defined["stations"].iloc[-1]), float(defined["_value"].iloc[-1]))
    gap = min(_LINE_HEIGHT / inches, 1 / max(len(ends) + len(undefined), 1))
    ranked = sorted(ends, key=lambda method: ends[method][1])
    wanted = np.array([(ends[method][1] - low) / (high - low) for method in ranked])
    for method, height in zip(ranked, spread_out(wanted, gap, gap * (len(undefined) + 0.5)), strict=True):
        axes.annotate(
            method_name(method),
            ends[method],
            xytext=(1.06, height),
            textcoords="axes fraction",
            va="center",
            fontsize=_TEXT_SIZE,
            color=method_colour(method),
            arrowprops={"arrowstyle": "-", "color": QUIET, "linewidth": 0.4, "relpos": (0, 0.5), "shrinkB": 2},
        )
    for number, method in enumerate(reversed(undefined)):
        text = f"{shorten(method_name(method), 34, placeholder='…')}: not defined"
        axes.text(1.06, gap * (number + 0.5), text, transform=axes.transAxes, va="center", fontsize=_TEXT_SIZE)


def spread_out(wanted: NDArray[np.float64], gap: float, lowest: float) -> NDArray[np.float64]:
    """The heights nearest to ascending `wanted` (least squares) that are `gap` apart, from `lowest` to 1."""
    if not len(wanted):
        return wanted
    steps = gap * np.arange(len(wanted))
    fit = IsotonicRegression(y_min=lowest, y_max=max(lowest, 1 - steps[-1]))
    heights: NDArray[np.float64] = fit.fit_transform(np.arange(len(wanted)), wanted - steps) + steps
    return heights
