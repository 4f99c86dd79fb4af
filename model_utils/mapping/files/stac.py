"""A map as a STAC item: what it covers, when, and where its files lie."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pystac
import xarray as xr
from pystac.extensions.projection import ProjectionExtension
from rasterio.warp import transform_bounds, transform_geom

from model_utils import atomic
from model_utils.mapping.layers import LAYERS
from model_utils.mapping.places.grid import WGS84

NETCDF = "application/x-netcdf"


def stac_item(dataset: xr.Dataset, files: Mapping[str, Sequence[str]], others: Mapping[str, str]) -> pystac.Item:
    """Describes a map; its days begin at midnight of the place, which STAC counts in UTC.

    Args:
        dataset: As `layers.as_dataset` makes it.
        files: Layer -> hrefs of its GeoTIFFs, relative to the item.
        others: Title -> href of other files.
    """
    x, y, spacing = dataset["x"].to_numpy(), dataset["y"].to_numpy(), float(dataset.attrs["spacing_m"])
    west, east = float(x[0]) - spacing / 2, float(x[-1]) + spacing / 2
    south, north = float(y[-1]) - spacing / 2, float(y[0]) + spacing / 2
    code = f"EPSG:{dataset.attrs['epsg']}"
    outline = {
        "type": "Polygon",
        "coordinates": [[[west, south], [east, south], [east, north], [west, north], [west, south]]],
    }
    bounds, zone = dataset["time_bnds"].to_numpy(), str(dataset.attrs["time_zone"])
    item = pystac.Item(
        id=f"pm25-{dataset.attrs['city']}-{dataset.attrs['period']}".lower(),
        geometry=transform_geom(code, WGS84, outline, precision=7),
        bbox=[round(value, 7) for value in transform_bounds(code, WGS84, west, south, east, north, densify_pts=21)],
        datetime=None,
        start_datetime=_utc(bounds.min(), zone),
        end_datetime=_utc(bounds.max(), zone),
        properties={
            "title": dataset.attrs["title"],
            "pm25:city": dataset.attrs["city"],
            "pm25:period": dataset.attrs["period"],
            "pm25:model_sha256": dataset.attrs["model_sha256"],
            "pm25:interval_level": float(dataset.attrs["interval_level"]),
        },
    )
    projection = ProjectionExtension.ext(item, add_if_missing=True)
    projection.apply(
        code=code,
        shape=[len(y), len(x)],
        transform=[spacing, 0.0, west, 0.0, -spacing, north],
        bbox=[west, south, east, north],
    )
    for name, hrefs in files.items():
        for href in hrefs:
            item.add_asset(
                Path(href).stem,
                pystac.Asset(
                    href=href,
                    title=LAYERS[name].long_name,
                    media_type=pystac.MediaType.COG,
                    roles=["data"],
                    extra_fields={"unit": LAYERS[name].units},
                ),
            )
    kinds = {".nc": NETCDF, ".html": pystac.MediaType.HTML, ".png": pystac.MediaType.PNG, ".pdf": pystac.MediaType.PDF}
    for title, href in others.items():
        media = kinds[Path(href).suffix]
        role = "data" if media == NETCDF else "overview"
        item.add_asset(Path(href).name, pystac.Asset(href=href, title=title, media_type=media, roles=[role]))
    return item


def _utc(midnight: np.datetime64, zone: str) -> datetime:
    """The moment of a local midnight; where clocks skip it, the day begins when they go on."""
    local = pd.Timestamp(midnight).tz_localize(zone, ambiguous=True, nonexistent="shift_forward")
    return local.tz_convert("UTC").to_pydatetime()


def write_item(item: pystac.Item, path: Path) -> None:
    """Writes an item whose links are relative to it."""
    atomic.write_text(path, json.dumps(item.to_dict(include_self_link=False), indent=2))
