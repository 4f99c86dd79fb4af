"""From blocks to the layers of a map."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from model_utils.mapping.air_quality_index import ScaleName, pm25_sub_index
from model_utils.mapping.blocks import Block
from model_utils.mapping.dates import MapTimes
from model_utils.mapping.hotspots import hotspots
from model_utils.mapping.layers import REASON, as_dataset
from model_utils.mapping.places.cells import MapCells

NORMAL_90 = 1.645


def assemble(
    cells: MapCells,
    times: MapTimes,
    blocks: Iterable[tuple[pd.DataFrame, Block]],
    threshold: float,
    scale: ScaleName,
    keep_outside: bool,
    attributes: dict[str, object],
) -> xr.Dataset:
    """Puts blocks into layers.

    Args:
        cells: All cells.
        times: Of the map.
        blocks: Cells of a block and what is known of them.
        threshold: Of dissimilarity: the area of applicability ends there; NaN where the model knows none.
        scale: Of the sub-index.
        keep_outside: Whether cells outside of the area of applicability keep their values.
        attributes: Of the dataset.
    """
    grid = cells.grid
    shape = (grid.rows, grid.columns)
    timed = (len(times.bounds), *shape)
    place, place_sd, dissimilarity = (np.full(shape, np.nan, np.float32) for _ in range(3))
    inside = np.full(shape, -1, np.int8)
    mean, lower, upper, sd = (np.full(timed, np.nan, np.float32) for _ in range(4))
    reason = np.full(timed, REASON["outside_area"], np.int8)
    for table, block in blocks:
        at = table["row"].to_numpy(), table["column"].to_numpy()
        unlike = block.dissimilarity > threshold
        place[at], place_sd[at], dissimilarity[at] = block.place, block.place_sd, block.dissimilarity
        inside[at] = np.where(np.isfinite(block.dissimilarity), ~unlike, -1)
        why = block.reasons(threshold, keep_outside)
        every = (slice(None), *at)
        reason[every] = why
        for layer, values in ((mean, block.mean), (lower, block.lower), (upper, block.upper), (sd, block.sd)):
            layer[every] = np.where(why == REASON["value"], values, np.nan)
    days = pd.DatetimeIndex(times.bounds[:, 0])
    hot = np.full(timed, -1, np.int8)
    index = np.full(timed, -1, np.int16)
    for number, day in enumerate(days):
        level = mean[number].astype(np.float64)
        half = level * np.expm1(NORMAL_90 * place_sd.astype(np.float64))
        found = hotspots(level, half, grid.spacing)
        hot[number] = np.where(np.isfinite(level), found.mask, -1)
        index[number] = pm25_sub_index(level, day, scale)
    layers: dict[str, NDArray[np.generic]] = {
        "pm25": mean,
        "pm25_lower": lower,
        "pm25_upper": upper,
        "pm25_sd": sd,
        "place_effect": 100 * np.expm1(place),
        "dissimilarity": dissimilarity,
        "inside_applicability": inside,
        "aqi": index,
        "hotspot": hot,
        "reason": reason,
    }
    return as_dataset(grid, times.bounds, layers, attributes)
