"""The map of a city: level, its uncertainty, what the place adds, and where the map holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch
from numpy.typing import NDArray

from model_utils.figures.style import PM25, SMALL, label, mark_simulated, new_figure

LEVEL, WIDTH, EFFECT = "viridis", "cividis", "PuOr_r"
EMPTY = {
    "never_clear": ("#b8b8b8", "never clear"),
    "day_unknown": ("#d8d8d8", "day not known"),
    "outside_applicability": ("#efc7b8", "unlike the stations"),
    "outside_images": ("#e9e9e9", "no image"),
}
"""Reason -> colour and words for cells without a value."""

FINE = 1400
"""Parts of the map's side that outlines are drawn in, unless eight to a cell are fewer."""

MOST_CELLS_A_SIDE = 700
"""That a panel can show."""

Floats = NDArray[np.floating]


def draw_city_map(
    dataset: xr.Dataset,
    reasons: dict[str, int],
    stations: pd.DataFrame | None = None,
    time: int = 0,
    truth: Floats | None = None,
    simulated: str = "no",
) -> Figure:
    """Draws a time of a map in four panels.

    Args:
        dataset: As `mapping.layers.as_dataset` makes it.
        reasons: Name of each reason for no value -> its number in the layer `reason`.
        stations: x, y (metres, as the dataset's), observed (ug/m3; NaN where it did not read) of this time.
        time: Number of the time.
        truth: In a simulated city, y x x, ug/m3, NaN where it is not known: takes the place of the applicability.
        simulated: Which part of the data is simulated, as `archive.json` says it.
    """
    at = _thinned(dataset.isel(time=time))
    truth = truth if truth is None else truth[:: _step(dataset), :: _step(dataset)]
    level = at["pm25"].to_numpy()
    width = at["pm25_upper"].to_numpy() - at["pm25_lower"].to_numpy()
    effect = at["place_effect"].to_numpy()
    tall = len(at["y"]) / len(at["x"])
    figure = new_figure(11.5, max(6.0, 9.5 * min(tall, 1.4)), layout="compressed")
    first = pd.Timestamp(dataset["time"].to_numpy()[time])
    shown = {"day": "%-d %B %Y", "month": "%B %Y", "season": "the season from %B %Y on", "year": "%Y"}
    title = f"{dataset.attrs['title']}, {first.strftime(shown[str(dataset.attrs['period'])])}"
    if dataset.attrs["period"] != "day" and "days_in_mean" in dataset.attrs:
        title += f" (days in the mean: {str(dataset.attrs['days_in_mean']).split()[time]})"
    figure.suptitle(title, fontsize=13)
    panels = figure.subplots(2, 2)
    scale = _common_scale(level, truth, None if stations is None else stations["observed"].to_numpy())

    image = _layer(panels[0, 0], at, level, LEVEL, scale)
    _empty(panels[0, 0], at, reasons)
    if stations is not None:
        panels[0, 0].scatter(
            stations["x"], stations["y"], c=stations["observed"], cmap=LEVEL, norm=scale,
            s=34, edgecolor="white", linewidth=1.1, zorder=3,
        )  # fmt: skip
    label(panels[0, 0], "Predicted; circles: stations as they read" if stations is not None else "Predicted")
    figure.colorbar(image, ax=panels[0, 0], label=PM25, extend="both", shrink=0.85)

    if truth is not None:
        image = _layer(panels[0, 1], at, truth, LEVEL, scale)
        both = np.isfinite(truth) & np.isfinite(level)
        r = np.corrcoef(truth[both], level[both])[0, 1] if both.sum() > 2 else np.nan
        label(panels[0, 1], f"Hidden truth (r = {r:.2f})")
        figure.colorbar(image, ax=panels[0, 1], label=PM25, extend="both", shrink=0.85)
    else:
        image = _layer(panels[0, 1], at, at["dissimilarity"].to_numpy(), "cividis_r")
        hotspot = at["hotspot"].to_numpy() == 1
        label(panels[0, 1], "Dissimilarity from the stations" + ("; outline: hotspots" if hotspot.any() else ""))
        figure.colorbar(image, ax=panels[0, 1], label="index", shrink=0.85)
        _outlined(panels[0, 1], at, hotspot, colors="#d62728", linewidths=1.2)

    image = _layer(panels[1, 0], at, width, WIDTH)
    label(panels[1, 0], "Width of the 90 % interval")
    figure.colorbar(image, ax=panels[1, 0], label=PM25, shrink=0.85)

    most = float(np.nanmax(np.abs(effect))) if np.isfinite(effect).any() else 1.0
    image = _layer(panels[1, 1], at, effect, EFFECT, Normalize(-most, most))
    outside = at["inside_applicability"].to_numpy() == 0
    _hatched(panels[1, 1], at, outside)
    label(panels[1, 1], "What the place adds" + ("; hatched: unlike the stations" if outside.any() else ""))
    figure.colorbar(image, ax=panels[1, 1], label="% of the stations' mean", shrink=0.85)
    for axes in panels.flat:
        axes.set(xticks=[], yticks=[], aspect="equal")
        axes.spines[["left", "bottom"]].set_visible(False)
    _scale_bar(panels[1, 0], at)
    mark_simulated(figure, simulated)
    return figure


def _step(dataset: xr.Dataset) -> int:
    """Every so many cells one is drawn, so that a panel has a pixel for it."""
    return -(-max(dataset.sizes["x"], dataset.sizes["y"]) // MOST_CELLS_A_SIDE)


def _thinned(at: xr.Dataset) -> xr.Dataset:
    """The cells that are drawn, each as large as those that it stands for."""
    step = _step(at)
    if step == 1:
        return at.load()
    thin = at.isel(x=slice(None, None, step), y=slice(None, None, step)).load()
    half = (step - 1) * float(at.attrs["spacing_m"]) / 2
    thin = thin.assign_coords(x=thin["x"] + half, y=thin["y"] - half)
    return thin.assign_attrs(spacing_m=step * float(at.attrs["spacing_m"]))


def _common_scale(level: Floats, truth: Floats | None, observed: Floats | None) -> Normalize:
    """Of the map and what it is compared with: nearly all cells, and all but the extreme stations.

    Stations differ more than the map, so that a scale of the cells alone would show them in its two end colours.
    """
    ends = []
    for values, share in ((level, 0.01), (truth, 0.01), (observed, 0.1)):
        if values is not None and np.isfinite(values).any():
            ends.append(np.nanquantile(values, [share, 1 - share]))
    low, high = zip(*ends, strict=True) if ends else ((0.0,), (1.0,))
    return Normalize(min(low), max(high))


def _layer(
    axes: Axes, at: xr.Dataset, values: Floats, colours: str | ListedColormap, scale: Normalize | None = None
) -> AxesImage:
    half = float(at.attrs["spacing_m"]) / 2
    x, y = at["x"].to_numpy(), at["y"].to_numpy()
    extent = (x[0] - half, x[-1] + half, y[-1] - half, y[0] + half)
    return axes.imshow(values, cmap=colours, norm=scale, extent=extent, interpolation="nearest")


def _edges(at: xr.Dataset, mask: NDArray[np.bool_]) -> tuple[Any, Any, Any]:
    """x, y and a mask so fine that contours follow the edges of the cells."""
    fine = min(8, max(2, FINE // max(mask.shape)))
    step = float(at.attrs["spacing_m"]) / fine
    offset = (np.arange(fine) - (fine - 1) / 2) * step
    x, y = at["x"].to_numpy()[:, None] + offset, at["y"].to_numpy()[:, None] - offset
    return x.ravel(), y.ravel(), np.kron(mask, np.ones((fine, fine), np.float32))


def _outlined(axes: Axes, at: xr.Dataset, mask: NDArray[np.bool_], **style: Any) -> None:
    if mask.any():
        axes.contour(*_edges(at, mask), levels=[0.5], **style)


def _hatched(axes: Axes, at: xr.Dataset, mask: NDArray[np.bool_]) -> None:
    if mask.any():
        axes.contourf(*_edges(at, mask), levels=[0.5, 1.5], colors="none", hatches=["////"], zorder=2)


def _empty(axes: Axes, at: xr.Dataset, reasons: dict[str, int]) -> None:
    """Says by colour why cells are empty."""
    reason = at["reason"].to_numpy()
    handles = []
    for name, (colour, words) in EMPTY.items():
        cells = reason == reasons[name]
        if cells.any():
            _layer(axes, at, np.where(cells, 1.0, np.nan), ListedColormap([colour]))
            handles.append(Patch(facecolor=colour, edgecolor="#777777", linewidth=0.4, label=words))
    if handles:
        axes.legend(handles=handles, fontsize=SMALL, loc="lower left", framealpha=0.9)


def _scale_bar(axes: Axes, at: xr.Dataset) -> None:
    """A bar of a round length at the lower left, and north."""
    x, y = at["x"].to_numpy(), at["y"].to_numpy()
    width = float(x[-1] - x[0])
    rough = width / 4
    unit = 10.0 ** np.floor(np.log10(max(rough, 1.0)))
    length = unit * max(step for step in (1, 2, 5) if step * unit <= max(rough, unit))
    left, bottom = x[0] + 0.04 * width, y[-1] + 0.04 * float(y[0] - y[-1])
    axes.plot([left, left + length], [bottom, bottom], color="black", linewidth=3, solid_capstyle="butt")
    box = {"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 1.5}
    axes.annotate(
        f"{length / 1000:g} km, north up", (left, bottom), (0, 5), textcoords="offset points", fontsize=SMALL, bbox=box
    )
