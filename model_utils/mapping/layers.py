"""The layers of a map, as an xarray Dataset: one in memory, and the same in every file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pyproj import CRS

from model_utils.mapping.places.grid import MapGrid

STANDARD_NAME = "mass_concentration_of_pm2p5_ambient_aerosol_particles_in_air"

REASONS = {
    0: "value",
    1: "outside_area",
    2: "never_clear",
    3: "day_unknown",
    4: "outside_applicability",
    5: "outside_images",
}
"""Why a cell has no value: it lies outside of the area that was asked for; no date shows all of its tile without cloud;
neither readings nor clear images tell the day's level; its ground is like none that the model knows; no image covers
it."""

REASON = {name: number for number, name in REASONS.items()}


@dataclass(frozen=True)
class Layer:
    """What a layer holds.

    Attributes:
        long_name: For people.
        units: As UDUNITS writes them.
        dtype: Of the numbers.
        timed: Whether it has a value a time, or one for all.
        fill: Stands for no value: NaN for float32, a number for integers.
        attributes: Further CF attributes.
    """

    long_name: str
    units: str
    dtype: str = "float32"
    timed: bool = True
    fill: float = float("nan")
    attributes: Mapping[str, object] | None = None


_MEAN = {"cell_methods": "time: mean area: mean"}
_ANCILLARY = "ancillary_variables"
_UNITS = "ug m-3"

LAYERS: dict[str, Layer] = {
    "pm25": Layer(
        "PM2.5",
        _UNITS,
        attributes={
            **_MEAN,
            "standard_name": STANDARD_NAME,
            _ANCILLARY: "pm25_lower pm25_upper pm25_sd reason",
        },
    ),
    "pm25_lower": Layer("lower bound of the 90 % prediction interval of PM2.5", _UNITS, attributes=_MEAN),
    "pm25_upper": Layer("upper bound of the 90 % prediction interval of PM2.5", _UNITS, attributes=_MEAN),
    "pm25_sd": Layer(
        "standard deviation of the prediction of PM2.5",
        _UNITS,
        attributes={"standard_name": f"{STANDARD_NAME} standard_error"},
    ),
    "place_effect": Layer(
        "effect of the place on PM2.5 against the mean of the training stations", "percent", timed=False
    ),
    "dissimilarity": Layer("dissimilarity index of the place (Meyer and Pebesma 2021)", "1", timed=False),
    "inside_applicability": Layer(
        "whether the place lies inside of the area of applicability",
        "1",
        dtype="int8",
        timed=False,
        fill=-1,
        attributes={"flag_values": np.array([0, 1], np.int8), "flag_meanings": "outside inside"},
    ),
    "aqi": Layer("air quality sub-index of PM2.5", "1", dtype="int16", fill=-1),
    "hotspot": Layer(
        "local hotspot of PM2.5 (Zheng et al. 2021)",
        "1",
        dtype="int8",
        fill=-1,
        attributes={"flag_values": np.array([0, 1], np.int8), "flag_meanings": "no_hotspot hotspot"},
    ),
    "reason": Layer(
        "why a cell has no value",
        "1",
        dtype="int8",
        fill=-1,
        attributes={
            "standard_name": "status_flag",
            "flag_values": np.array(list(REASONS), np.int8),
            "flag_meanings": " ".join(REASONS.values()),
        },
    ),
}

_TIME = {
    "standard_name": "time",
    "long_name": "local dates",
    "bounds": "time_bnds",
}


def as_dataset(
    grid: MapGrid,
    bounds: NDArray[np.datetime64],
    layers: Mapping[str, NDArray[np.generic]],
    attributes: Mapping[str, object],
) -> xr.Dataset:
    """Puts layers on their grid, with what CF wants beside them.

    Args:
        grid: Of ny x nx cells.
        bounds: First instant and end of each time, T x 2.
        layers: Names of `LAYERS` -> T x ny x nx numbers, or ny x nx for those without times.
        attributes: Of the whole.

    Returns:
        Dimensions time, y, x; coordinates time (the first instant), y, x (middles of the cells, metres), crs;
        `time_bnds`; the layers.
    """
    size = {"time": len(bounds), "y": grid.rows, "x": grid.columns}
    dataset = xr.Dataset(
        coords={
            "time": ("time", bounds[:, 0].astype("datetime64[ns]"), _TIME),
            "y": ("y", grid.y, {"standard_name": "projection_y_coordinate", "units": "m", "axis": "Y"}),
            "x": ("x", grid.x, {"standard_name": "projection_x_coordinate", "units": "m", "axis": "X"}),
            "crs": ((), np.int32(0), {**CRS(grid.crs).to_cf(), "long_name": "projection of the cells"}),
        },
        attrs=dict(attributes),
    )
    dataset["time_bnds"] = (("time", "bounds"), bounds.astype("datetime64[ns]"))
    for name, values in layers.items():
        layer = LAYERS[name]
        dimensions = ("time", "y", "x") if layer.timed else ("y", "x")
        expected = tuple(size[dimension] for dimension in dimensions)
        if values.shape != expected:
            raise ValueError(f"layer {name}: found shape {values.shape}, expected {expected}")
        described: dict[str, object] = {"long_name": layer.long_name, "units": layer.units, "grid_mapping": "crs"}
        described |= layer.attributes or {}
        beside = [other for other in str(described.pop(_ANCILLARY, "")).split() if other in layers]
        if beside:  # CF wants no names of what is not there
            described[_ANCILLARY] = " ".join(beside)
        dataset[name] = (dimensions, values.astype(layer.dtype, copy=False), described)
    return dataset
