"""A contact sheet: a row a place, a column a date."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from model_utils.figures.archive.contact_sheet import draw_tile
from model_utils.figures.style import SMALL, mark_simulated, new_figure


def draw_tiles_by_date(
    tiles: NDArray[np.uint8],
    number: NDArray[np.integer],
    names: Sequence[str],
    dates: Sequence[str],
    titles: Sequence[str],
    heading: str,
    simulated: str = "no",
) -> Figure:
    """Draws tiles in a table; where a place has no tile on a date the cell stays empty.

    Args:
        tiles: N x H x W x C as `draw_tile` takes them.
        number: Which tile belongs to each place and date, places x dates; -1 where there is none.
        names: A name a place.
        dates: A text a date.
        titles: A short text a tile, shown above it.
        heading: What the texts mean.
        simulated: Which part of the data is simulated.
    """
    rows, columns = number.shape
    width = max(1.15 * columns + 1.9, 4.0)
    figure = new_figure(width, 1.32 * rows + 0.9)
    figure.suptitle(fill(heading, int(13 * width)), fontsize=10)
    grid: Any = figure.subplots(rows, columns, squeeze=False)
    for (row, column), tile in np.ndenumerate(number):
        axes: Axes = grid[row, column]
        axes.set_axis_off()
        text = ""
        if tile >= 0:
            text = titles[tile]
            draw_tile(axes, tiles[tile], text)
        if row == 0:
            axes.set_title(f"{dates[column]}\n{text}", fontsize=SMALL)
        if column == 0:
            axes.text(-0.08, 0.5, names[row], transform=axes.transAxes, ha="right", va="center", fontsize=SMALL)
    mark_simulated(figure, simulated)
    return figure
