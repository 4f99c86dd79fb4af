"""A map as one CF NetCDF file, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from model_utils import atomic
from model_utils.errors import InputError
from model_utils.mapping.layers import LAYERS

CONVENTIONS = "CF-1.11"
HISTORY = "made by pm25 map"
CHUNK = 256
TIME = {"units": "days since 1970-01-01", "calendar": "standard", "dtype": "float64", "_FillValue": None}


def write_netcdf(dataset: xr.Dataset, path: Path) -> None:
    """Writes a map, whole or not at all; the same map gives the same bytes.

    Args:
        dataset: As `layers.as_dataset` makes it.
        path: Of the file.
    """
    encoding: dict[str, dict[str, Any]] = {"time": TIME, "time_bnds": {**TIME}}
    for name in ("x", "y"):
        encoding[name] = {"_FillValue": None}
    for name, layer in LAYERS.items():
        if name in dataset:
            shape = dataset[name].shape
            chunks = (*(1,) * (len(shape) - 2), *(min(CHUNK, size) for size in shape[-2:]))
            fill = np.dtype(layer.dtype).type(layer.fill)
            encoding[name] = {"zlib": True, "complevel": 4, "chunksizes": chunks, "_FillValue": fill}
    described = dataset.assign_attrs(Conventions=CONVENTIONS, history=HISTORY)
    with atomic.replacing(path) as temporary:
        described.to_netcdf(temporary, format="NETCDF4", engine="netcdf4", encoding=encoding)


def read_map(path: Path) -> xr.Dataset:
    """Reads what `write_netcdf` wrote, into memory; numbers without a value are as the layers have them.

    Raises:
        InputError: It is not readable, or no map.
    """
    try:
        with xr.open_dataset(path, engine="netcdf4", mask_and_scale=False, decode_coords="all") as opened:
            found = opened.load()
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise InputError(f"{path}: not readable as a map ({' '.join(str(error).split())[:200]})") from None
    found = found.reset_coords("time_bnds") if "time_bnds" in found.coords else found
    missing = sorted(set(LAYERS) - set(map(str, found.data_vars)))
    if missing or found.attrs.pop("Conventions", None) != CONVENTIONS:
        raise InputError(f"{path}: no map of this software: {missing[0] if missing else 'its conventions'} is missing")
    del found.attrs["history"]
    found["time"].attrs["bounds"] = found["time"].encoding.pop("bounds", "time_bnds")
    for name in LAYERS:
        found[name].attrs.pop("_FillValue", None)
        found[name].attrs["grid_mapping"] = found[name].encoding.pop("grid_mapping", "crs")
    return found
