"""A map as one NetCDF-4 file by the CF conventions, and back."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import netCDF4
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from model_utils.atomic import replacing
from model_utils.errors import InputError
from model_utils.mapping.layers import LAYERS

CONVENTIONS = "CF-1.11"
MOST_CELLS_A_SIDE = 512
_SEAL = "content_sha256"
_TIME = {"dtype": "int32", "units": "minutes since 1970-01-01 00:00:00", "calendar": "standard"}
_CLOCK = {"units_metadata": "leap_seconds: none"}
_UNDECODABLE = (OSError, RuntimeError, ValueError, TypeError, KeyError, AttributeError, OverflowError)


class OpenNetcdf:
    """The layers of a map in NetCDF that is being written, a window at a time."""

    def __init__(self, file: netCDF4.Dataset) -> None:
        """Takes an open file.

        Args:
            file: With all its layers, empty.
        """
        self._file = file

    def put(self, name: str, window: tuple[slice | int, ...], values: NDArray[np.generic]) -> None:
        """Writes some numbers of a layer; what is never written has no value."""
        self._file[name][window] = values

    def get(self, name: str, window: tuple[slice | int, ...]) -> NDArray[np.generic]:
        """Reads some numbers of a layer."""
        return np.asarray(self._file[name][window])


def write_netcdf(dataset: xr.Dataset, path: Path) -> None:
    """Writes a map that is in memory, as `writing_netcdf` does.

    Args:
        dataset: As of `as_dataset`.
        path: Replaced whole or not at all.

    Raises:
        ValueError: A time is no whole minute.
    """
    with writing_netcdf(dataset, path) as file:
        for name in LAYERS:
            if name in dataset:
                file.put(name, (slice(None),) * dataset[name].ndim, dataset[name].to_numpy())


@contextmanager
def writing_netcdf(frame: xr.Dataset, path: Path, side: int = MOST_CELLS_A_SIDE) -> Iterator[OpenNetcdf]:
    """Writes a map piece by piece; the same map in the same pieces gives the same bytes.

    The file says nothing of when it was written. One time of one layer is read without the others: no chunk holds two
    times. What is known of title, institution, source, history and references stands in the dataset's attributes and
    is written as it is.

    Args:
        frame: As of `as_dataset`; of its layers only names, shapes and attributes matter.
        path: Replaced whole when the caller has put all layers, or not at all.
        side: Of a chunk, cells: pieces should hold whole chunks.

    Raises:
        ValueError: A time is no whole minute.
    """
    for name in ("time", "time_bnds"):
        if (frame[name].to_numpy().astype("datetime64[m]") != frame[name].to_numpy()).any():
            raise ValueError(f"{name}: found seconds, expected whole minutes")
    # a coordinate without dimensions would be named in each layer's `coordinates`, where CF wants no grid mapping
    variables = frame.drop_encoding().variables
    written = xr.Dataset({name: variables[name] for name in ("time", "y", "x", "crs", "time_bnds")})
    written.attrs = {"Conventions": CONVENTIONS, **frame.attrs, _SEAL: "0" * 64}
    written["time"].attrs.update(_CLOCK)
    encoding: dict[str, dict[str, object]] = {name: {"_FillValue": None} for name in ("x", "y", "crs")}
    encoding |= {name: {**_TIME, "_FillValue": None} for name in ("time", "time_bnds")}
    with replacing(path) as temporary:
        written.to_netcdf(temporary, engine="netcdf4", format="NETCDF4", encoding=encoding)
        with netCDF4.Dataset(temporary, "a") as file:
            for name in LAYERS:
                if name in frame:
                    _create_layer(file, frame[name], side)
            yield OpenNetcdf(file)
        with _opened(temporary) as (found, _):
            content = _content(found)
        with netCDF4.Dataset(temporary, "a") as file:
            file.setncattr(_SEAL, content)


def read_map(path: Path) -> xr.Dataset:
    """Reads what `write_netcdf` wrote: the same dataset, in memory.

    Raises:
        InputError: The file is not such a map, or not as it was written.
    """
    try:
        with _opened(path) as (found, seal):
            dataset = found.load()
        content = _content(dataset)
    except _UNDECODABLE as error:  # the libraries' many ways to say that a file is not what it seems
        raise InputError(f"{path}: not readable as a map in NetCDF ({' '.join(str(error).split())[:200]})") from None
    if seal is None:
        raise InputError(f"{path}: found no attribute {_SEAL}, expected a map that `pm25 map` wrote")
    if seal != content:
        raise InputError(f"{path}: found content that differs from its {_SEAL}, expected the map as it was written")
    return dataset


@contextmanager
def opened_map(path: Path) -> Iterator[xr.Dataset]:
    """A map that this process has just written: the same dataset, whose numbers are read whenever they are used."""
    with _opened(path) as (dataset, _):
        yield dataset


@contextmanager
def _opened(path: Path) -> Iterator[tuple[xr.Dataset, str | None]]:
    """The dataset without what the file has beside it, and its seal."""
    # xarray warns of what it cannot decode: the seal says whether that matters; unmasked integers stay integers
    with warnings.catch_warnings(action="ignore"):
        opened = xr.open_dataset(path, engine="netcdf4", cache=False, mask_and_scale=False)
    with opened:
        dataset = opened.drop_encoding().set_coords("crs")
        seal = dataset.attrs.pop(_SEAL, None)
        dataset.attrs.pop("Conventions", None)
        for variable in dataset.variables.values():
            for name in ("_FillValue", *_CLOCK):
                variable.attrs.pop(name, None)
        yield dataset, seal


def _create_layer(file: netCDF4.Dataset, layer: xr.DataArray, side: int) -> None:
    sides = tuple(1 if name == "time" else min(size, side) for name, size in layer.sizes.items())
    fill = np.asarray(LAYERS[str(layer.name)].fill, layer.dtype)
    variable = file.createVariable(
        str(layer.name),
        layer.dtype,
        tuple(map(str, layer.dims)),
        compression="zlib",
        complevel=4,
        shuffle=True,
        fletcher32=True,
        chunksizes=sides,
        fill_value=fill,
    )
    variable.set_auto_maskandscale(False)
    variable.setncatts(dict(sorted(layer.attrs.items())))


def _content(dataset: xr.Dataset) -> str:
    """SHA-256 of all names, attributes and numbers.

    The format's own checksums cover neither texts nor coordinates.
    """
    digest = hashlib.sha256(_words(dataset.attrs))
    for name in sorted(map(str, dataset.variables)):
        variable = dataset[name].variable
        kind = np.dtype("datetime64[ns]") if variable.dtype.kind == "M" else variable.dtype
        digest.update(_words([name, variable.dims, variable.shape, kind.str, variable.attrs]))
        for part in _parts(variable):
            digest.update(np.asarray(part.values).astype(kind, copy=False).tobytes())
    return digest.hexdigest()


def _parts(variable: xr.Variable) -> Iterator[xr.Variable]:
    """All numbers in their order, some rows of cells at a time."""
    if variable.ndim == 3:
        for part in variable:
            yield from _parts(part)
    elif variable.dims == ("y", "x"):
        for start in range(0, len(variable), MOST_CELLS_A_SIDE):
            yield variable[start : start + MOST_CELLS_A_SIDE]
    else:
        yield variable


def _words(value: object) -> bytes:
    def plain(of_numpy: np.ndarray | np.generic) -> object:
        return of_numpy.tolist()

    return json.dumps(value, sort_keys=True, default=plain).encode()
