"""What a fitted model of a city says of itself, before it is loaded: torch is not imported."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
from safetensors import SafetensorError, safe_open

from model_utils.archive.format import ArchiveMetadata
from model_utils.errors import InputError
from model_utils.estimators.saving import ARRAYS, MODEL, read_described


@dataclass(frozen=True)
class ModelHeader:
    """A model's JSON, as far as it can be read without the classes that it is of.

    Attributes:
        folder: Of the model.
        city: Its name.
        kind: Class of what was fitted.
        bands: Names of the bands in order.
        ground_sample_distance_m: Metres per pixel.
        tile_size: Pixels.
        sees_images: Whether it needs the images of a place.
        date_arrays: Names of the arrays that hold its dates.
    """

    folder: Path
    city: str
    kind: str
    bands: tuple[str, ...]
    ground_sample_distance_m: float
    tile_size: int
    sees_images: bool
    date_arrays: tuple[str, ...]

    def refuse_as_map(self, city: str) -> None:
        """Raises InputError unless it is a model of a city's places and days."""
        if self.city != city:
            raise InputError(f"--model {self.folder}: found a model of {self.city}, expected one of {city}")
        if self.kind != "FittedPlaceAndDay":
            raise InputError(
                f"--model {self.folder}: found {self.kind}, which predicts tiles; a map needs place and day "
                "(pm25 supervise --estimator place_and_day)"
            )

    def dates(self) -> pd.DatetimeIndex:
        """Local dates that it knows, by readings or by images, sorted.

        Raises:
            InputError: Its arrays are missing or broken.
        """
        path = self.folder / ARRAYS
        if not path.is_file():
            raise InputError(f"{path}: not found, expected a file of a fitted model")
        try:
            with safe_open(path, framework="np") as file:
                found = [pd.DatetimeIndex(file.get_tensor(name).view("datetime64[ns]")) for name in self.date_arrays]
        except (SafetensorError, OSError, ValueError) as error:
            raise InputError(f"{path}: not the arrays of this model ({' '.join(str(error).split())})") from None
        return pd.DatetimeIndex(sorted({day for dates in found for day in dates}))


def read_header(folder: Path) -> ModelHeader:
    """Reads what a city's model says of itself.

    Raises:
        InputError: `model.json` is missing, broken, or of something else.
    """
    model: Any = read_described(folder)["model"]
    try:
        fitted = model["fitted"]
        ground, readings = fitted.get("ground"), fitted.get("day_from_readings")
        dates = [ground["dates"]["dates"]] if ground else []
        dates += [readings["readings"]["columns"]["local_date"]["dates"]] if readings else []
        return ModelHeader(
            folder=folder,
            city=str(model["city"]),
            kind=str(fitted["kind"]),
            bands=tuple(map(str, model["bands"])),
            ground_sample_distance_m=float(model["ground_sample_distance_m"]),
            tile_size=int(model["tile_size"]),
            sees_images=bool(ground and fitted["process"]["blocks"]),
            date_arrays=tuple(map(str, dates)),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise InputError(f"{folder / MODEL}: no fitted model that can be used: {reason}") from None


class OfImages(Protocol):
    """What is fitted to tiles of one kind."""

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the bands in order."""

    @property
    def ground_sample_distance_m(self) -> float:
        """Metres per pixel."""

    @property
    def tile_size(self) -> int:
        """Pixels."""


def refuse_other_images(model: OfImages, archive: ArchiveMetadata, folder: Path) -> None:
    """Raises InputError unless an archive's tiles are of the kind that a model was fitted to.

    Args:
        model: The model, or its header.
        archive: What the archive says.
        folder: Of the archive.
    """
    found = (tuple(archive.bands), archive.tile_size, archive.ground_sample_distance_m)
    expected = (model.bands, model.tile_size, model.ground_sample_distance_m)
    for what, one, other in zip(("bands", "tile size", "ground sample distance"), found, expected, strict=True):
        if one != other:
            raise InputError(f"{folder}: {what}: found {one}, the model was fitted to {other}")
