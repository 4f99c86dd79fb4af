"""What an earlier run of `pm25 prepare --scenes` left, so that the next one adds only what is new."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.archive.reader import TileArchive, open_archive
from model_utils.errors import InputError

COMMAND = "pm25 prepare --scenes"
GEOMETRY = (
    "gsd",
    "tile_size",
    "bands",
    "full_scale",
    "grid_metres",
    "whole_scenes",
    "min_valid_fraction",
    "max_cloud_fraction",
    "time_pattern",
    "scaling",
    "product",
    "stations_at",
)
"""What decides which tiles a scene gives: with other values every scene would have to be cut again."""

SITE_AND_SCENE = (
    "sample_id",
    "site_id",
    "site_name",
    "site_kind",
    "latitude",
    "longitude",
    "time_utc",
    "local_date",
    "scene_id",
    "cloud_fraction",
    "valid_fraction",
)
"""The columns that cutting gives; labels and weather are joined to them anew in each run."""


@dataclass(frozen=True)
class Previous:
    """An archive of the same settings, and which of its rows came from which scene."""

    archive: TileArchive
    rows: dict[str, NDArray[np.intp]]

    @property
    def record(self) -> dict[str, Any]:
        """How it was made."""
        return self.archive.metadata.created_by

    @property
    def scenes(self) -> dict[str, dict[str, Any]]:
        """What it says of each scene that it took or left out."""
        return dict(self.record["scene_list"])

    def table(self, scene_id: str) -> pd.DataFrame:
        """The columns `SITE_AND_SCENE` of a scene's rows."""
        return self.archive.samples.iloc[self.rows[scene_id]][list(SITE_AND_SCENE)].reset_index(drop=True)


def read_previous(folder: Path, settings: Mapping[str, Any]) -> Previous:
    """Opens the archive that new scenes are to be added to.

    Args:
        folder: Of the archive.
        settings: The keys `GEOMETRY` of this run, as plain values.

    Raises:
        InputError: It was made otherwise; --overwrite is named as the way out.
    """
    archive = open_archive(folder)
    made = archive.metadata.created_by
    if made.get("command") != COMMAND or not isinstance(made.get("scene_list"), dict):
        raise InputError(
            f"{folder}: an archive is already there, made by {made.get('command', 'another program')}; "
            "--overwrite replaces it"
        )
    for key in GEOMETRY:
        if made.get(key) != settings[key]:
            found, expected = (_short(value) for value in (settings[key], made.get(key)))
            raise InputError(
                f"{folder}: its scenes were cut with {key} {expected}, found {found}; --overwrite cuts all scenes again"
            )
    if missing := [name for name in SITE_AND_SCENE if name not in archive.samples]:
        raise InputError(f"{folder}: column {missing[0]!r} is missing; --overwrite replaces the archive")
    groups = archive.samples.groupby("scene_id", sort=False).indices
    return Previous(archive, {str(scene): np.asarray(rows) for scene, rows in groups.items()})


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:50]}... ({len(text)} characters)"
