"""Scenes and readings become the archive of a city, or are added to it."""

from __future__ import annotations

import heapq
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd

from model_utils.archive.acceptance import CHANGED
from model_utils.archive.commit import has_archive
from model_utils.archive.writer import ArchiveWriter
from model_utils.cities import City
from model_utils.configuration import package_version, record
from model_utils.errors import InputError
from model_utils.ingest.brightness import Brightness
from model_utils.ingest.config import PrepareConfig
from model_utils.ingest.labelling import Labels, read_labels
from model_utils.ingest.products.catalogue import Catalogue, find_scenes
from model_utils.ingest.readings.files import STATIONS
from model_utils.ingest.readings.stations import stated_rights
from model_utils.ingest.scene_archive.duplicates import without_byte_copies
from model_utils.ingest.scene_archive.fingerprints import Known, known_hashes, source
from model_utils.ingest.scene_archive.parts import content, held_parts, new_parts
from model_utils.ingest.scene_archive.previous import COMMAND, Previous, read_previous, scenes_of
from model_utils.ingest.scene_archive.shards import CutSettings
from model_utils.ingest.scene_archive.summary import ArchiveSummary
from model_utils.ingest.scene_archive.value_range import offset_doubts, refuse_other_scales
from model_utils.ingest.scenes.grid import city_grid
from model_utils.ingest.scenes.scene import Scene
from model_utils.ingest.scenes.sites import nearly_one_place, station_sites
from model_utils.ingest.side_files import forget_readings, has_readings, keep_readings
from model_utils.parallel.tasks import Workers
from model_utils.progress import counted
from model_utils.project import archive_folder

_SHARDS = ".shards-"
_HOW = ("scenes", "readings", "stations", "meteorology", "skip_broken")  # where files lie; what they hold is compared
_MOST_WORKERS = 8


def prepare_scenes(config: PrepareConfig, city: City, folder: Path, gsd: float) -> None:
    """Writes the archive of a city from scenes, or adds the scenes that it does not hold yet, and says what it holds.

    The rows are in the order of the scenes' times, and an archive that grew equals one that was made at once. Beside
    it, `readings.parquet` keeps all labels with their flags, those of days that no scene shows as well, and
    `weather_findings.csv` what was found against the weather.

    Args:
        config: All settings.
        city: The city.
        folder: Holds the scenes.
        gsd: Metres per pixel.

    Raises:
        InputError: Naming the file, row or key that is wrong; the archive is as it was then.
    """
    catalogue = find_scenes(folder, config, city)
    labels = read_labels(config, city)
    made = _how_made(config, catalogue, labels)
    target = archive_folder(config.root, city.name)
    there = has_archive(target)
    replaced = scenes_of(target) if there and config.overwrite else set()
    with ArchiveWriter(target, config.tile_size, catalogue.bands, overwrite=True) as writer:
        for leftover in target.glob(f"{_SHARDS}*"):
            shutil.rmtree(leftover, ignore_errors=True)  # of a killed run: the writer holds the folder's lock
        previous = read_previous(target, made) if there and not config.overwrite else None
        earlier = previous.archive.metadata.sources if previous else []
        known = known_hashes(earlier)
        files = _scene_sources(catalogue.scenes, known)
        scenes, copies = without_byte_copies(catalogue.scenes, {path: item["sha256"] for path, item in files.items()})
        new, held = _new_and_held(scenes, files, previous)
        label_files = [source(path, known, role="labels") for path in labels.files]
        if previous and not new and _same_run(previous, made, label_files, labels.readings is not None):
            print(f"{target}: nothing to do, all {len(scenes)} scenes are in the archive")
            return
        table = labels.table(_times(scenes, previous))
        summary, brightness = ArchiveSummary(copies), Brightness()
        cut = _cut_settings(config, city, gsd, labels)
        workers = Workers(config.workers or min(os.cpu_count() or 1, _MOST_WORKERS), config.scheduler)
        with (
            tempfile.TemporaryDirectory(prefix=_SHARDS, dir=target) as shards,
            closing(new_parts(new, files, city, cut, Path(shards), workers, config.skip_broken)) as cutting,
        ):
            kept = held_parts(previous, held) if previous else iter(())
            parts = heapq.merge(kept, cutting, key=lambda part: part.order)
            for part in counted(parts, len(new) + len(held), "scenes"):
                if summary.takes(part):
                    for chosen, tiles in part.blocks():
                        rows = labels.attached(part.rows.iloc[chosen].reset_index(drop=True), table)
                        summary.count(rows)
                        brightness.count(tiles, part.scene_id)
                        writer.append(tiles, rows)
        if not summary.tiles:
            raise InputError(f"{folder}: {summary.why_empty()}")
        refuse_other_scales(folder, brightness, catalogue.scenes, city)
        here = {scene.scene_id for scene in catalogue.scenes}
        gone = [item for item in earlier if item.get("scene") in held and item["scene"] not in here]
        close = nearly_one_place(cut.stations, config.tile_size * gsd / 2)
        values = [f"values: {catalogue.scaling}", *brightness.lines("--full-scale says which value becomes 255")]
        values += offset_doubts(new, city)
        report = [*summary.lines(), *close, *values, *catalogue.notes, *labels.report]
        if table is not None and labels.readings is not None:
            keep_readings(writer, table, labels.readings.weather_findings)
        writer.commit(
            city=city.name,
            ground_sample_distance_m=gsd,
            created_by={**made, **_by_hand(previous), "scene_list": summary.entries, "report": report},
            sources=[*gone, *files.values(), *label_files],
            simulated="haze" if summary.simulated else "no",
            **_rights(config, previous, scenes, labels.files),
        )
        if table is None or labels.readings is None:
            forget_readings(target)
    size = f"{config.tile_size} x {config.tile_size} px of {gsd:g} m"
    print(f"{target}: {summary.tiles} tiles, {size}, bands {', '.join(catalogue.bands)}")
    added = [f"{len(new)} scenes were cut, {len(held)} were there already"] if previous else []
    if vanished := {item["scene"] for item in gone}:
        added.append(f"{len(vanished)} of the archive's scenes are no longer in {folder}; their tiles are kept")
    if lost := replaced - here:
        added.append(f"warning: {len(lost)} scenes of the replaced archive are not in {folder}, such as {min(lost)}")
    for line in [*added, *report]:
        print(f"  {line}")


def _how_made(config: PrepareConfig, catalogue: Catalogue, labels: Labels) -> dict[str, Any]:
    """What `archive.json` says of how it was made, as JSON would give it back."""
    places = zip(*(labels.stations[name] for name in ("station", "latitude", "longitude")), strict=True)
    settings = {key: list(value) if isinstance(value, tuple) else value for key, value in record(config).items()}
    return {
        "command": COMMAND,
        "version": package_version(),
        **settings,
        "product_found": catalogue.scenes[0].product,
        "scaling": catalogue.scaling,
        "stations_at": {
            str(name): [round(float(latitude), 7), round(float(longitude), 7)] for name, latitude, longitude in places
        },
    }


def _rights(
    config: PrepareConfig, previous: Previous | None, scenes: Sequence[Scene], label_files: Sequence[Path]
) -> dict[str, str]:
    """Licence and attribution: those of the flags, else what the archive that is there, scenes and readings state."""
    held = previous.archive.metadata if previous else None
    lists = [stated_rights(path) for path in label_files if path.name == STATIONS and path.is_file()]
    rights = {}
    for key in ("licence", "attribution"):
        before = getattr(held, key).split("; ") if held else []
        of_readings = [text for each in lists for text in each[key]]
        stated = dict.fromkeys([*before, *(getattr(scene, key) for scene in scenes), *of_readings])
        rights[key] = getattr(config, key) or "; ".join(filter(None, stated))
    return rights


def _by_hand(previous: Previous | None) -> dict[str, Any]:
    """That the archive whose tiles are kept was changed by hand, which a growing one does not forget."""
    return {key: value for key, value in (previous.record if previous else {}).items() if key == CHANGED}


def _cut_settings(config: PrepareConfig, city: City, gsd: float, labels: Labels) -> CutSettings:
    grid = city_grid(city, gsd, config.tile_size)
    box = city.bounding_box
    return CutSettings(
        grid=grid,
        stations=station_sites(grid, labels.stations),
        limits=None if config.whole_scenes else box,
        spacing=config.grid_metres,
        min_valid_fraction=config.min_valid_fraction,
        max_cloud_fraction=config.max_cloud_fraction,
    )


def _scene_sources(scenes: Sequence[Scene], known: Known) -> dict[str, dict[str, str]]:
    """By file, what `archive.json` says of it."""
    return {
        str(path): source(path, known, role="scene", scene=scene.scene_id) for scene in scenes for path in scene.files
    }


def _new_and_held(
    scenes: Sequence[Scene], files: Mapping[str, Mapping[str, str]], previous: Previous | None
) -> tuple[list[Scene], set[str]]:
    """The scenes to cut, and the names of those whose tiles the archive gives.

    Raises:
        InputError: A scene that it holds has changed.
    """
    held = previous.scenes if previous else {}
    mended = set()
    for scene in scenes:
        if scene.scene_id not in held or held[scene.scene_id]["content"] == content(scene, files):
            continue
        if "broken" not in held[scene.scene_id]:
            raise InputError(
                f"{scene.bands[0].file}: scene {scene.scene_id} is not the one that is in the archive under this name; "
                "--overwrite cuts all scenes again"
            )
        mended.add(scene.scene_id)
    names = set(held) - mended
    return [scene for scene in scenes if scene.scene_id not in names], names


def _same_run(
    previous: Previous, made: Mapping[str, Any], label_files: Sequence[Mapping[str, str]], readings: bool
) -> bool:
    """Whether the archive and the files beside it are what this run would write; a folder may be called otherwise."""
    before = [item["sha256"] for item in previous.archive.metadata.sources if item.get("role") == "labels"]
    same_settings = all(previous.record.get(key) == value for key, value in made.items() if key not in _HOW)
    same_files = before == [item["sha256"] for item in label_files]
    return same_settings and same_files and has_readings(previous.archive.folder) == readings


def _times(scenes: Sequence[Scene], previous: Previous | None) -> pd.DatetimeIndex:
    times = {pd.Timestamp(scene.time_utc) for scene in scenes}
    if previous:
        times |= set(previous.archive.samples["time_utc"])
    return pd.DatetimeIndex(sorted(times))
