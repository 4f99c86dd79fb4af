"""What an earlier run of `pm25 prepare --scenes` left, so that the next one adds only what is new."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_utils.archive.format import IMAGES, METADATA, SAMPLES, ArchiveMetadata
from model_utils.archive.reader import TileArchive, open_archive
from model_utils.archive.verification import content_sha256
from model_utils.errors import InputError
from model_utils.ingest.scenes.cutting import LeftOut

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
    "product_found",
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

_KEPT: dict[str, type] = {"time_utc": str, "time_source": str, "content": str, "tiles": int, "left_out": dict}
_REASONS = tuple(item.name for item in fields(LeftOut))


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

    def verify(self) -> None:
        """Reads the whole archive, which the next one is made of.

        Raises:
            InputError: It is not what was written.
        """
        folder = self.archive.folder
        if content_sha256(folder) != self.archive.metadata.content_sha256:
            raise InputError(
                f"{folder}: {IMAGES} or {SAMPLES} is damaged: its SHA-256 is not the one in archive.json; "
                "--overwrite cuts all scenes again"
            )


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
            found, expected = (_short(value) for value in _different(settings[key], made.get(key)))
            raise InputError(
                f"{folder}: its scenes were cut with {key} {expected}, found {found}; --overwrite cuts all scenes again"
            )
    if missing := [name for name in SITE_AND_SCENE if name not in archive.samples]:
        raise InputError(f"{folder}: column {missing[0]!r} is missing; --overwrite replaces the archive")
    groups = archive.samples.groupby("scene_id", sort=False).indices
    rows = {str(scene): np.asarray(numbers) for scene, numbers in groups.items()}
    seen = archive.samples.drop_duplicates("scene_id")
    times = {str(name): time.isoformat() for name, time in zip(seen["scene_id"], seen["time_utc"], strict=True)}
    if fault := _fault(made["scene_list"], rows, times, archive.metadata.sources):
        raise InputError(f"{folder / METADATA}: {fault}; --overwrite replaces the archive")
    return Previous(archive, rows)


def scenes_of(folder: Path) -> set[str]:
    """Names of the scenes whose tiles an archive holds; none where it is broken or not of scenes."""
    try:
        scenes = ArchiveMetadata.read(folder / METADATA).created_by.get("scene_list", {})
    except InputError:
        return set()
    return {str(name) for name in scenes} if isinstance(scenes, dict) else set()


def _different(found: Any, expected: Any) -> tuple[Any, Any]:
    """Of two mappings what differs, of others the values themselves."""
    if isinstance(found, dict) and isinstance(expected, dict):
        keys = [key for key in {**expected, **found} if expected.get(key) != found.get(key)]
        return tuple({key: each.get(key) for key in keys} for each in (found, expected))  # type: ignore[return-value]
    return found, expected


def _fault(
    scenes: dict[str, Any], rows: Mapping[str, NDArray[np.intp]], times: Mapping[str, str], sources: list[Any]
) -> str:
    """What `archive.json` says of its scenes and files otherwise than we write it, or ''."""
    for name, entry in scenes.items():
        if not isinstance(entry, dict) or not all(isinstance(entry.get(key), kind) for key, kind in _KEPT.items()):
            return f"scene_list says of {_short(name)} {_short(entry)}, expected {', '.join(_KEPT)}"
        if entry["tiles"] != len(rows.get(name, ())):
            return f"scene_list gives {_short(name)} {entry['tiles']} tiles, found {len(rows.get(name, ()))}"
        if entry["time_utc"] != times.get(name, entry["time_utc"]):
            return f"scene_list gives {_short(name)} the time {_short(entry['time_utc'])}, found {times[name]}"
        if not all(key in _REASONS and type(count) is int for key, count in entry["left_out"].items()):
            return (
                f"left_out of scene {_short(name)} is {_short(entry['left_out'])}, expected numbers of tiles by reason"
            )
        if "copy_of" in entry and str(entry["copy_of"]) not in scenes:
            return f"scene {_short(name)} is a copy of {_short(entry['copy_of'])}, which is not in scene_list"
    if strange := set(rows) - set(scenes):
        return f"scene {_short(min(strange))} has tiles and is not in scene_list"
    for number, source in enumerate(sources):
        if not isinstance(source, dict) or not all(isinstance(source.get(key), str) for key in ("path", "sha256")):
            return f"sources[{number}] is {_short(source)}, expected path and sha256"
    return ""


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:50]}... ({len(text)} characters)"
