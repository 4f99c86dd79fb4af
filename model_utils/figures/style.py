"""The looks all figures share."""

from __future__ import annotations

from typing import Literal

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

PM25 = "PM2.5 (µg/m³)"
OBSERVED, PREDICTED, QUIET = "#333333", "#d95f02", "#9a9a9a"
SMALL = 8.5


def new_figure(width: float, height: float, layout: Literal["constrained", "compressed"] = "constrained") -> Figure:
    """An empty figure, inches, that makes room for its labels; it belongs to no global list of figures."""
    return Figure(figsize=(width, height), layout=layout)


def label(axes: Axes, title: str, x: str = "", y: str = "") -> None:
    """Sets title and axis labels, and removes the frame's upper and right line."""
    axes.set_title(title, fontsize=11, loc="left")
    axes.set_xlabel(x, fontsize=10)
    axes.set_ylabel(y, fontsize=10)
    axes.tick_params(labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)


def note(axes: Axes, text: str) -> None:
    """Writes a few numbers into the upper left corner."""
    box = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 2}
    axes.text(0.03, 0.97, text, transform=axes.transAxes, va="top", fontsize=9, bbox=box)


def identity_line(axes: Axes, values: pd.DataFrame) -> None:
    """Gives both axes one scale and one range that holds all values, and draws y = x."""
    low, high = (values.min().min(), values.max().max()) if len(values) else (0.0, 1.0)
    margin = 0.04 * (high - low) or 1.0
    axes.set(xlim=(low - margin, high + margin), ylim=(low - margin, high + margin), aspect="equal")
    axes.axline((low, low), slope=1, color=QUIET, linewidth=1, linestyle="--", zorder=1.5)


def mark_simulated(figure: Figure, simulated: bool) -> None:
    """Says at the lower right that the data are simulated, where they are."""
    if simulated:
        figure.supxlabel("simulated city", x=0.99, ha="right", fontsize=SMALL, style="italic", color="#a03030")


def score(value: float | None, interval: list[float] | None = None) -> str:
    """A correlation in words: '0.51 [0.22, 0.71]', or 'not defined'."""
    if value is None:
        return "not defined"
    return f"{value:.2f}" + (f" [{interval[0]:.2f}, {interval[1]:.2f}]" if interval else "")
