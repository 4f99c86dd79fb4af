"""The layers of a map as cloud-optimised GeoTIFFs, one a layer and time."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import rasterio
import xarray as xr
from rasterio import Affine
from rasterio.io import MemoryFile

from model_utils import atomic
from model_utils.mapping.layers import LAYERS

TILE = 512
CACHE_BYTES = 128 * 2**20
"""For GDAL, which otherwise takes a twentieth of the machine's memory as layers grow."""


def write_geotiffs(dataset: xr.Dataset, folder: Path) -> dict[str, list[Path]]:
    """Writes every layer; averages as overviews of concentrations, nearest cells of classes.

    Args:
        dataset: As `layers.as_dataset` makes it.
        folder: Gets `<layer>.tif`, and `<layer>_<time>.tif` of what has times (see `time_label`).

    Returns:
        Layer -> its files, by time.
    """
    x, y = dataset["x"].to_numpy(), dataset["y"].to_numpy()
    spacing = float(dataset.attrs["spacing_m"])
    transform = Affine(spacing, 0.0, float(x[0]) - spacing / 2, 0.0, -spacing, float(y[0]) + spacing / 2)
    crs = rasterio.CRS.from_wkt(dataset["crs"].attrs["crs_wkt"])
    files: dict[str, list[Path]] = {}
    for name, layer in LAYERS.items():
        bands = list(dataset[name]) if layer.timed else [dataset[name]]
        labels = [f"{name}_{time_label(dataset, number)}" for number in range(len(bands))] if layer.timed else [name]
        tags = {"AREA_OR_POINT": "Area", "title": dataset.attrs["title"], "long_name": layer.long_name}
        for label, band in zip(labels, bands, strict=True):
            path = folder / f"{label}.tif"
            # in memory first: GDAL may not say that a disk is full, and leaves files of its own beside
            with rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES), MemoryFile() as memory:
                with memory.open(
                    driver="COG",
                    height=len(y),
                    width=len(x),
                    count=1,
                    dtype=layer.dtype,
                    crs=crs,
                    transform=transform,
                    nodata=layer.fill,
                    compress="DEFLATE",
                    predictor="STANDARD" if layer.dtype != "float32" else "FLOATING_POINT",
                    blocksize=TILE,
                    overview_resampling="AVERAGE" if layer.dtype == "float32" else "NEAREST",
                ) as file:
                    file.write(band.to_numpy().astype(layer.dtype, copy=False), 1)
                    file.set_band_description(1, name)
                    file.units = (layer.units,)
                    file.scales, file.offsets = (1.0,), (0.0,)
                    file.update_tags(**tags, time=label.removeprefix(f"{name}_") if layer.timed else "all")
                atomic.write_bytes(path, memory.getbuffer())
            files.setdefault(name, []).append(path)
    return files


def time_label(dataset: xr.Dataset, number: int) -> str:
    """A time as files are called after it: 2019-11-01, 2019-11, 2019-12_DJF, 2019."""
    first = pd.Timestamp(dataset["time_bnds"].to_numpy()[number, 0])
    season = "".join("JFMAMJJASOND"[(first.month - 1 + step) % 12] for step in range(3))
    labels = {
        "day": f"{first:%Y-%m-%d}",
        "month": f"{first:%Y-%m}",
        "season": f"{first:%Y-%m}_{season}",
        "year": f"{first:%Y}",
    }
    return labels[str(dataset.attrs["period"])]
