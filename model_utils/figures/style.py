"""The looks all figures share."""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font

from model_utils.archive.format import simulated_words

PM25 = "PM2.5 (µg/m³)"
OBSERVED, PREDICTED, QUIET = "#333333", "#d95f02", "#9a9a9a"
SMALL = 8.5
_LEAST_ROWS, _MOST_OUTLIERS = 5, 0.1


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


def usual_range(values: pd.DataFrame) -> tuple[float, float]:
    """Least and greatest value that are no outliers.

    An outlier is farther from the quartiles than three times their distance (Tukey's outer fence), by those of the
    column that varies most.

    Args:
        values: Columns in one unit. Of fewer than five rows none is an outlier, nor where more than a tenth would be.
    """
    pooled = values.to_numpy(float)
    pooled = pooled[np.isfinite(pooled)]
    if not len(pooled):
        return 0.0, 1.0
    if len(values) >= _LEAST_ROWS:
        first, third = values.quantile(0.25), values.quantile(0.75)
        reach = 3 * (third - first)
        usual = pooled[(pooled >= (first - reach).min()) & (pooled <= (third + reach).max())]
        if 0 < len(pooled) - len(usual) <= _MOST_OUTLIERS * len(pooled):
            pooled = usual
    return float(pooled.min()), float(pooled.max())


def mark_simulated(figure: Figure, simulated: str) -> None:
    """Says at the lower right which part of the data is simulated, where any is."""
    if words := simulated_words(simulated):
        figure.supxlabel(plain(words), x=0.99, ha="right", fontsize=SMALL, style="italic", color="#a03030")


def place_names(stations: pd.DataFrame, longest: int = 26) -> list[str]:
    """A name a place that a figure can show: the id where the font lacks a letter; never read as a formula.

    Args:
        stations: site_id, site_name.
        longest: Longer names are cut.
    """
    names = []
    for site_id, site_name in zip(stations["site_id"], stations["site_name"], strict=True):
        text = next((text for text in (str(site_name), str(site_id)) if text and _has_font(text)), "?")
        text = " ".join(text.replace("_", " ").split())
        names.append(plain(text if len(text) <= longest else text[: longest - 1] + "…"))
    return names


def plain(text: str) -> str:
    """Text from outside, whose dollar signs are dollar signs."""
    return text.replace("$", r"\$")


@cache
def _letters() -> frozenset[int]:
    return frozenset(get_font(findfont(FontProperties())).get_charmap())


def _has_font(text: str) -> bool:
    return all(character.isspace() or ord(character) in _letters() for character in text)


def score(value: float | None, interval: list[float] | None = None) -> str:
    """A correlation in words: '0.51 [0.22, 0.71]', or 'not defined'."""
    if value is None:
        return "not defined"
    return f"{value:.2f}" + (f" [{interval[0]:.2f}, {interval[1]:.2f}]" if interval else "")
