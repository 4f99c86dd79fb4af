"""Which days each place has an image and a reading."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from model_utils.figures.style import SMALL, label, mark_simulated, new_figure

NO_IMAGE, CLOUDY, NO_READING, READING = range(4)
STATES = {
    NO_IMAGE: ("no image", "#ffffff"),
    CLOUDY: ("cloudy image", "#a3a3a3"),
    NO_READING: ("image, no reading", "#f5c66b"),
    READING: ("image and reading", "#1f4e89"),
}
"""Name and colour; from pale to dark, so that they differ in print and to any eye."""

_MOST_TICKS = 12


def draw_calendar(coverage: pd.DataFrame, names: Sequence[str], title: str, simulated: str = "no") -> Figure:
    """Draws a row a place and a column a day.

    Args:
        coverage: Places x dates (timestamps, ascending) of states.
        names: A name a place.
        title: What is shown.
        simulated: Which part of the data is simulated.
    """
    places, days = coverage.shape
    figure = new_figure(float(np.clip(4.5 + 0.12 * days, 6.2, 13)), float(np.clip(1.6 + 0.16 * places, 2.4, 12)))
    axes = figure.subplots()
    colours = np.array([to_rgb(colour) for _, colour in STATES.values()])
    # edges at the days' bounds; colours, not codes, so that days narrower than a dot blend
    axes.imshow(colours[coverage.to_numpy()], aspect="auto", extent=(0, days, places, 0))
    if places <= 100:
        axes.hlines(range(1, places), 0, days, colors="#dddddd", linewidth=0.4)
    axes.set_yticks(np.arange(places) + 0.5, list(names), fontsize=min(SMALL, 640 / places))
    dates = pd.DatetimeIndex(coverage.columns)
    gaps = days != (dates[-1] - dates[0]).days + 1
    ticks = range(0, days, -(-days // _MOST_TICKS))
    axes.set_xticks(
        [tick + 0.5 for tick in ticks], [f"{dates[tick]:%Y-%m-%d}" for tick in ticks], rotation=45, ha="right"
    )
    label(axes, title, "dates with an image; the days between them are left out" if gaps else "local date")
    axes.tick_params(axis="y", labelsize=SMALL, length=0)
    handles = [Patch(facecolor=colour, edgecolor="#888888", linewidth=0.5, label=n) for n, colour in STATES.values()]
    figure.legend(handles=handles, loc="outside upper right", ncols=4, fontsize=SMALL, frameon=False)
    mark_simulated(figure, simulated)
    return figure
