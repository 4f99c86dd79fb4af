"""A map as one NetCDF-4 file by the CF conventions, and back."""

from __future__ import annotations

import hashlib
import json
import warnings
from pathlib import Path

import numpy as np
import xarray as xr

from model_utils.atomic import replacing
from model_utils.errors import InputError
from model_utils.mapping.layers import LAYERS

CONVENTIONS = "CF-1.11"
MOST_CELLS_A_SIDE = 512
_SEAL = "content_sha256"
_TIME = {"dtype": "int32", "units": "minutes since 1970-01-01 00:00:00", "calendar": "standard"}
_CLOCK = {"units_metadata": "leap_seconds: none"}
_UNDECODABLE = (OSError, RuntimeError, ValueError, TypeError, KeyError, AttributeError, OverflowError)


def write_netcdf(dataset: xr.Dataset, path: Path) -> None:
    """Writes a map; the same map gives the same bytes, since the file says nothing of when it was written.

    One time of one layer is read without the others: no chunk holds two times. What is known of title, institution,
    source, history and references stands in the dataset's attributes and is written as it is.

    Args:
        dataset: As of `as_dataset`.
        path: Replaced whole or not at all.

    Raises:
        ValueError: A time is no whole minute.
    """
    for name in ("time", "time_bnds"):
        if (dataset[name].to_numpy().astype("datetime64[m]") != dataset[name].to_numpy()).any():
            raise ValueError(f"{name}: found seconds, expected whole minutes")
    layers = [name for name in LAYERS if name in dataset]
    # a coordinate without dimensions would be named in each layer's `coordinates`, where CF wants no grid mapping
    variables = dataset.drop_encoding().variables
    written = xr.Dataset({name: variables[name] for name in ("time", "y", "x", "crs", "time_bnds", *layers)})
    written.attrs = {"Conventions": CONVENTIONS, **dataset.attrs, _SEAL: _content(dataset)}
    written["time"].attrs.update(_CLOCK)
    encoding: dict[str, dict[str, object]] = {name: _encoding(written[name]) for name in layers}
    encoding |= {name: {"_FillValue": None} for name in ("x", "y", "crs")}
    encoding |= {name: {**_TIME, "_FillValue": None} for name in ("time", "time_bnds")}
    with replacing(path) as temporary:
        written.to_netcdf(temporary, engine="netcdf4", format="NETCDF4", encoding=encoding)


def read_map(path: Path) -> xr.Dataset:
    """Reads what `write_netcdf` wrote: the same dataset, in memory.

    Raises:
        InputError: The file is not such a map, or not as it was written.
    """
    try:
        # xarray warns of what it cannot decode: the seal says whether that matters; unmasked integers stay integers
        with (
            warnings.catch_warnings(action="ignore"),
            xr.open_dataset(path, engine="netcdf4", cache=False, mask_and_scale=False) as opened,
        ):
            dataset = opened.load().drop_encoding().set_coords("crs")
        seal = dataset.attrs.pop(_SEAL, None)
        dataset.attrs.pop("Conventions", None)
        for variable in dataset.variables.values():
            for name in ("_FillValue", *_CLOCK):
                variable.attrs.pop(name, None)
        content = _content(dataset)
    except _UNDECODABLE as error:  # the libraries' many ways to say that a file is not what it seems
        raise InputError(f"{path}: not readable as a map in NetCDF ({' '.join(str(error).split())[:200]})") from None
    if seal is None:
        raise InputError(f"{path}: found no attribute {_SEAL}, expected a map that `pm25 map` wrote")
    if seal != content:
        raise InputError(f"{path}: found content that differs from its {_SEAL}, expected the map as it was written")
    return dataset


def _encoding(layer: xr.DataArray) -> dict[str, object]:
    sides = tuple(1 if name == "time" else min(size, MOST_CELLS_A_SIDE) for name, size in layer.sizes.items())
    fill = np.asarray(LAYERS[str(layer.name)].fill, layer.dtype)
    return {"zlib": True, "complevel": 4, "shuffle": True, "fletcher32": True, "chunksizes": sides, "_FillValue": fill}


def _content(dataset: xr.Dataset) -> str:
    """SHA-256 of all names, attributes and numbers.

    The format's own checksums cover neither texts nor coordinates.
    """
    digest = hashlib.sha256(_words(dataset.attrs))
    for name in sorted(map(str, dataset.variables)):
        variable = dataset[name].variable
        values = np.asarray(variable.values)
        values = values.astype("datetime64[ns]") if values.dtype.kind == "M" else values
        digest.update(_words([name, variable.dims, values.shape, values.dtype.str, variable.attrs]))
        digest.update(values.tobytes())
    return digest.hexdigest()


def _words(value: object) -> bytes:
    def plain(of_numpy: np.ndarray | np.generic) -> object:
        return of_numpy.tolist()

    return json.dumps(value, sort_keys=True, default=plain).encode()
