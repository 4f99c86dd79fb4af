"""From blocks to the layers of a map, in the file that holds them all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from model_utils.mapping.air_quality_index import ScaleName, pm25_sub_index
from model_utils.mapping.blocks import Block
from model_utils.mapping.dates import MapTimes
from model_utils.mapping.files.netcdf import OpenNetcdf, writing_netcdf
from model_utils.mapping.hotspots import hotspots, reach_cells
from model_utils.mapping.layers import LAYERS, REASON, as_dataset
from model_utils.mapping.places.cells import Blocks, Window
from model_utils.mapping.places.grid import MapGrid

NORMAL_90 = 1.645
LEAST_SIDE = 64
"""Of the file's chunks, cells, where blocks are smaller."""
HOTSPOT_SIDE = 512
"""Of the parts that hotspots are looked for in, cells; at least as many as they are seen with around them."""


def assemble(
    path: Path,
    cells: Blocks,
    times: MapTimes,
    read: Callable[[int], Block],
    threshold: float,
    scale: ScaleName,
    keep_outside: bool,
    attributes: dict[str, object],
) -> None:
    """Writes the NetCDF of a map, block after block: no more than one of them is in memory.

    Args:
        path: Of the file.
        cells: In their blocks.
        times: Of the map.
        read: Gives what is known of the cells of a block, by its number.
        threshold: Of dissimilarity: the area of applicability ends there; NaN where the model knows none.
        scale: Of the sub-index.
        keep_outside: Whether cells outside of the area of applicability keep their values.
        attributes: Of the dataset.
    """
    grid = cells.cells.grid
    place_sd = np.full((grid.rows, grid.columns), np.nan, np.float32)
    number_of = {_corner(window): number for number, window in enumerate(cells.windows)}
    side = cells.side * -(-LEAST_SIDE // cells.side)
    with writing_netcdf(_frame(grid, times, attributes), path, side) as file:
        for window in cells.every_window:
            number = number_of.get(_corner(window))
            shape = window[0].stop - window[0].start, window[1].stop - window[1].start
            reason = np.full((len(times.bounds), *shape), REASON["outside_area"], np.int8)
            if number is None:
                file.put("reason", (slice(None), *window), reason)
                continue
            block, at = read(number), np.nonzero(cells.cells.inside[window])
            place_sd[window][at] = block.place_sd
            _put_block(file, window, at, reason, block, times, threshold, scale, keep_outside)
        _put_hotspots(file, grid, len(times.bounds), place_sd)


def _frame(grid: MapGrid, times: MapTimes, attributes: dict[str, object]) -> xr.Dataset:
    """A map without numbers: what stands for no value takes no memory however often it is repeated."""
    shape = len(times.bounds), grid.rows, grid.columns
    layers: dict[str, NDArray[np.generic]] = {
        name: np.broadcast_to(np.asarray(layer.fill, layer.dtype), shape if layer.timed else shape[1:])
        for name, layer in LAYERS.items()
    }
    return as_dataset(grid, times.bounds, layers, attributes)


def _put_block(
    file: OpenNetcdf,
    window: Window,
    at: tuple[NDArray[np.int64], ...],
    reason: NDArray[np.int8],
    block: Block,
    times: MapTimes,
    threshold: float,
    scale: ScaleName,
    keep_outside: bool,
) -> None:
    """Writes all layers of a block but its hotspots; `at` are its n cells in the window."""
    why = block.reasons(threshold, keep_outside)
    reason[:, at[0], at[1]] = why
    file.put("reason", (slice(None), *window), reason)

    def put(name: str, values: NDArray[np.generic]) -> None:
        layer = LAYERS[name]
        shape = reason.shape if layer.timed else reason.shape[1:]
        spread: NDArray[np.generic] = np.full(shape, layer.fill, layer.dtype)
        spread[..., at[0], at[1]] = values
        file.put(name, (slice(None), *window) if layer.timed else window, spread)

    kept = why == REASON["value"]
    level = np.where(kept, block.mean, np.nan).astype(np.float32)
    put("pm25", level)
    for name, values in (("pm25_lower", block.lower), ("pm25_upper", block.upper), ("pm25_sd", block.sd)):
        put(name, np.where(kept, values, np.nan))
    days = pd.DatetimeIndex(times.bounds[:, 0])
    index = [pm25_sub_index(each.astype(np.float64), day, scale) for each, day in zip(level, days, strict=True)]
    put("aqi", np.stack(index))
    put("place_effect", 100 * np.expm1(block.place.astype(np.float32)))
    put("dissimilarity", block.dissimilarity)
    unlike = block.dissimilarity > threshold
    put("inside_applicability", np.where(np.isfinite(block.dissimilarity), ~unlike, -1))


def _put_hotspots(file: OpenNetcdf, grid: MapGrid, times: int, place_sd: NDArray[np.float32]) -> None:
    """Writes the hotspots, part by part, each seen with all the cells around that it is compared with."""
    reach = reach_cells(grid.spacing)
    side = max(HOTSPOT_SIDE, 2 * reach)
    for top in range(0, grid.rows, side):
        for left in range(0, grid.columns, side):
            part = slice(top, min(top + side, grid.rows)), slice(left, min(left + side, grid.columns))
            around = tuple(slice(max(0, each.start - reach), each.stop + reach) for each in part)
            inner = tuple(
                slice(each.start - all_of.start, each.stop - all_of.start)
                for each, all_of in zip(part, around, strict=True)
            )
            factor = np.expm1(NORMAL_90 * place_sd[around].astype(np.float64))
            for time in range(times):
                level = file.get("pm25", (time, *around)).astype(np.float64)
                found = hotspots(level, level * factor, grid.spacing)
                file.put("hotspot", (time, *part), np.where(np.isfinite(level), found.mask, -1)[inner].astype(np.int8))


def _corner(window: Window) -> tuple[int, int]:
    return window[0].start, window[1].start
