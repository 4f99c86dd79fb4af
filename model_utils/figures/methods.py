"""How methods look: the same name, colour and marker in every figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from zlib import crc32

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from model_utils.figures.style import QUIET, SMALL, plain

# Okabe & Ito 2008: told apart by colour-blind readers
STARTS = {
    "SimCLR_spatiotemporal": "#d55e00",
    "SimCLR_regular": "#e69f00",
    "SimSiam_spatiotemporal": "#0072b2",
    "SimSiam_regular": "#56b4e9",
    "random_frozen": "#009e73",
    "random_trained": "#222222",
    "imagenet": "#cc79a7",
    "band_statistics": "#8c6d31",
}
"""Start of an image encoder -> colour; what is built on a start has its colour."""

# Tol 2021, muted
_REFERENCES = {
    "same_day_mean": "#332288",
    "inverse_distance": "#117733",
    "ordinary_kriging": "#882255",
    "latitude_longitude": "#aa4499",
    "band_statistics_ridge": "#999933",
    "weather_ridge": "#44aa99",
    "weather_forest": "#cc6677",
}
_CEILINGS = {
    "ceiling_true_land_use": "#4d4d4d",
    "ceiling_true_optical_depth": "#7f7f7f",
    "ceiling_true_both": "#a6a6a6",
}
_MARKERS = {"+mean": "s", "+inverse_distance": "^", "+kriging": "D", "cnn_rf_": "s"}


def method_name(method: str) -> str:
    """A method's id as a reader reads it."""
    return plain(" ".join(method.replace("_", " ").replace("+", " + ").split()))


def method_colour(method: str) -> str:
    """The colour of a method, from its name alone, so that it is the same in every figure."""
    if method.startswith("ceiling"):
        return _CEILINGS.get(method, "#7f7f7f")
    if method in _REFERENCES:
        return _REFERENCES[method]
    start = next((start for start in STARTS if start in method), None)
    return STARTS[start] if start else list(_REFERENCES.values())[crc32(method.encode()) % len(_REFERENCES)]


def method_marker(method: str) -> str:
    """Tells what is built on one start apart."""
    return next((marker for part, marker in _MARKERS.items() if part in method), "o")


def numbers(rows: pd.DataFrame, column: str) -> NDArray[np.float64]:
    """A column as float64, NaN where it is missing."""
    if column not in rows:
        return np.full(len(rows), np.nan)
    values: NDArray[np.float64] = rows[column].to_numpy(np.float64, na_value=np.nan)
    return values


def name_rows(axes: Axes, groups: Mapping[str, Sequence[str]]) -> list[int]:
    """Writes names down the left side, the first on top, under a bold heading for each group.

    Returns:
        The height of each name, in the order of the groups.
    """
    texts: list[tuple[str, bool]] = []
    rows: list[int] = []
    for heading, names in groups.items():
        texts.append((heading, True))
        rows += range(len(texts), len(texts) + len(names))
        texts += [(name, False) for name in names]
    axes.set_yticks(range(len(texts)), [text for text, _ in texts], fontsize=SMALL)
    axes.set_ylim(max(len(texts), 1) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    for tick, (_, bold) in zip(axes.get_yticklabels(), texts, strict=True):
        tick.set_fontweight("bold" if bold else "normal")
    return rows


def draw_interval(axes: Axes, value: NDArray[np.float64], height: float, colour: str, filled: bool) -> None:
    """Draws a value and its interval lying at one height, on a faint line; nothing where they are not defined.

    Args:
        axes: Where.
        value: The value, low, high.
        height: Of the row.
        colour: Of the method.
        filled: Whether the marker is.
    """
    axes.axhline(height, color=QUIET, linewidth=0.25, zorder=0)
    if not np.isfinite(value[0]):
        return
    if np.isfinite(value[1:]).all():
        axes.plot(value[1:], [height, height], color=colour, linewidth=1.6)
    axes.plot(value[0], height, "o", color=colour, markersize=6, markerfacecolor=colour if filled else "white")
