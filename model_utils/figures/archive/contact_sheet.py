"""A grid of tiles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from model_utils.figures.style import QUIET, SMALL, mark_simulated, new_figure


def draw_contact_sheet(tiles: NDArray[np.uint8], titles: Sequence[str], columns: int, simulated: str = "no") -> Figure:
    """Draws tiles row by row, each under its title.

    Args:
        tiles: N x H x W x C; the first three bands are shown as red, green, blue, or the first alone in grey.
        titles: One short text a tile.
        columns: Tiles in a row.
        simulated: Which part of the tiles is simulated, as `archive.json` says it.
    """
    rows = math.ceil(len(tiles) / columns)
    figure = new_figure(1.5 * columns, 1.7 * rows + 0.2)
    grid: list[Axes] = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for axes in grid:
        axes.set_axis_off()
    for axes, tile, title in zip(grid, tiles, titles, strict=False):
        draw_tile(axes, tile, title)
    mark_simulated(figure, simulated)
    return figure


def draw_tile(axes: Axes, tile: NDArray[np.uint8], title: str) -> None:
    """Shows one H x W x C tile without ticks (a part of two figures)."""
    picture: dict[str, Any] = {"X": tile[..., :3]}
    if tile.shape[-1] < 3:
        picture = {"X": tile[..., 0], "cmap": "gray", "vmin": 0, "vmax": 255}
    axes.imshow(**picture)
    axes.set_title(title, fontsize=SMALL)
    axes.set_axis_on()
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(color=QUIET, linewidth=0.5)  # a cloud's tile is as white as the page
