"""What the page's script reads: the layers of a map, its stations and its colours."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import matplotlib
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.colors import to_hex

from model_utils.cities import BoundingBox
from model_utils.errors import InputError
from model_utils.mapping.layers import REASONS
from model_utils.mapping.places.grid import MapGrid
from model_utils.mapping.report.geometry import box_outline, degrees_lattice, graticules, in_cells
from model_utils.mapping.report.packing import Packed, pack_flags, pack_numbers

Scale = Sequence[tuple[float, str, str, float]]
"""Categories of the sub-index, rising: upper bound, name, colour as #rrggbb, and the bound in ug/m3.

The last one's bounds may be infinite.
"""

MOST_VALUES = 8_000_000
"""Cells times dates of a page: its 40 MB are as much as a browser on a phone opens."""

_STEPS = {"pm25": 0.1, "pm25_lower": 0.1, "pm25_upper": 0.1, "place_effect": 0.1, "dissimilarity": 0.01, "aqi": 1.0}
_FLAGS = ("inside_applicability", "hotspot", "reason")
_WORDS = {
    "outside_area": "the cell lies outside of the area that was asked for",
    "never_clear": "no date shows the cell without cloud",
    "day_unknown": "neither readings nor clear images tell the level of this date",
    "outside_applicability": "the ground is like none that the model knows",
    "outside_images": "no image covers the cell",
}
_SCALES = {"us": "US EPA 2024", "india": "India, CPCB 2014", "china": "China, HJ 633"}
# Each of the three reads the same with any colour blindness: two sequences and a diverging one.
_COLOURS = {"level": "viridis", "width": "cividis", "effect": "PuOr_r"}


@dataclass(frozen=True)
class BaseImage:
    """A picture of the ground to draw below the map.

    Attributes:
        webp: The bytes of a WebP file, in the zone of the map, north up.
        left: Easting of its western edge, metres.
        bottom: Northing of its southern edge.
        right: Easting of its eastern edge.
        top: Northing of its northern edge.
    """

    webp: bytes
    left: float
    bottom: float
    right: float
    top: float

    def __post_init__(self) -> None:
        if self.webp[:4] + self.webp[8:12] != b"RIFFWEBP":
            raise ValueError("base image: expected the bytes of a WebP file")
        if not (self.left < self.right and self.bottom < self.top):
            raise ValueError("base image: expected left < right and bottom < top")


def page_contents(
    dataset: xr.Dataset,
    grid: MapGrid,
    stations: pd.DataFrame | None,
    scale: Scale,
    base_image: BaseImage | None,
    box: BoundingBox | None,
) -> dict[str, object]:
    """Everything that the page draws, ready for JSON; the arguments are those of `write_report`."""
    values = grid.columns * grid.rows * dataset.sizes["time"]
    if values > MOST_VALUES:
        raise InputError(f"page of the map: found {values:,} cells x dates, expected at most {MOST_VALUES:,}")
    return {
        "rows": grid.rows,
        "columns": grid.columns,
        "spacing": grid.spacing,
        "degrees": degrees_lattice(grid),
        "graticules": graticules(grid),
        "box": box_outline(grid, box) if box else None,
        "image": _image(grid, base_image) if base_image else None,
        "dates": date_labels(dataset),
        "layers": _layers(dataset),
        "reasons": {str(code): _WORDS.get(word, word.replace("_", " ")) for code, word in REASONS.items() if code},
        "outsideArea": next(code for code, word in REASONS.items() if word == "outside_area"),
        "stations": _stations(grid, stations, dataset.sizes["time"]),
        "scale": _categories(scale),
        "scaleName": _SCALES.get(str(dataset.attrs.get("aqi_scale", "")), ""),
        "interval": f"{100 * float(dataset.attrs.get('interval_level', 0.9)):g} %",
        "colours": {
            name: [to_hex(colour) for colour in matplotlib.colormaps[colours](np.linspace(0, 1, 64))]
            for name, colours in _COLOURS.items()
        },
    }


def date_labels(dataset: xr.Dataset) -> list[str]:
    """A day as 2019-11-01; a longer period as its first and last day."""
    labels = []
    for first, end in pd.DataFrame(dataset["time_bnds"].to_numpy()).itertuples(index=False):
        last = end - pd.Timedelta(1, "ns")
        days = [f"{moment:%Y-%m-%d}" for moment in (first, last)]
        labels.append(days[0] if days[0] == days[1] else " to ".join(days))
    return labels


def _layers(dataset: xr.Dataset) -> dict[str, Packed]:
    packed = {}
    for name, step in _STEPS.items():
        if name in dataset:
            values = dataset[name].to_numpy()
            packed[name] = pack_numbers(
                np.where(values < 0, np.float32(np.nan), values) if name == "aqi" else values, step
            )
    packed |= {name: pack_flags(dataset[name].to_numpy()) for name in _FLAGS if name in dataset}
    return packed


def _image(grid: MapGrid, image: BaseImage) -> dict[str, object]:
    return {
        "uri": "data:image/webp;base64," + base64.b64encode(image.webp).decode("ascii"),
        "left": (image.left - grid.left) / grid.spacing,
        "top": (grid.top - image.top) / grid.spacing,
        "width": (image.right - image.left) / grid.spacing,
        "height": (image.top - image.bottom) / grid.spacing,
    }


def _stations(grid: MapGrid, stations: pd.DataFrame | None, times: int) -> list[dict[str, object]]:
    if stations is None:
        return []
    found = []
    for site_id, rows in stations.groupby("site_id", sort=True):
        place = rows.iloc[0]
        column, row = in_cells(grid, float(place["latitude"]), float(place["longitude"]))
        values: list[list[float | None] | None] = [None] * times
        for time, observed, predicted in rows[["time", "observed", "predicted"]].itertuples(index=False):
            values[int(time)] = [_tenths(observed), _tenths(predicted)]
        name = str(place["site_name"]) or str(site_id)
        found.append({"name": name, "column": round(float(column), 3), "row": round(float(row), 3), "values": values})
    return found


def _tenths(value: float) -> float | None:
    return round(float(value), 1) if np.isfinite(value) else None


def _categories(scale: Scale) -> list[dict[str, object]]:
    for bounds in ([each[0] for each in scale], [each[3] for each in scale]):
        if any(low >= high for low, high in pairwise(bounds)):
            raise ValueError(f"scale: found upper bounds {bounds}, expected them to rise")
    for _, name, colour, _ in scale:
        if not re.fullmatch(r"#[0-9a-fA-F]{6}", colour):
            raise ValueError(f"scale, {name}: found colour {colour!r}, expected #rrggbb")
    return [
        {"upTo": _finite(bound), "name": name, "colour": colour, "pm25UpTo": _finite(concentration)}
        for bound, name, colour, concentration in scale
    ]


def _finite(bound: float) -> float | None:
    return float(bound) if np.isfinite(bound) else None
