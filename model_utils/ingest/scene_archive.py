"""Scenes and readings become the archive of a city, or are added to it."""

from __future__ import annotations

import heapq
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from model_utils import atomic
from model_utils.archive.format import METADATA
from model_utils.archive.writer import ArchiveWriter
from model_utils.cities import City
from model_utils.configuration import package_version, record
from model_utils.errors import InputError
from model_utils.ingest.config import PrepareConfig
from model_utils.ingest.labelling import Labels, read_labels
from model_utils.ingest.progress import shown
from model_utils.ingest.scenes.assembly import content, held_parts, new_parts
from model_utils.ingest.scenes.catalogue import Catalogue, find_scenes
from model_utils.ingest.scenes.duplicates import without_byte_copies
from model_utils.ingest.scenes.fingerprints import source
from model_utils.ingest.scenes.grid import city_grid
from model_utils.ingest.scenes.previous import COMMAND, Previous, read_previous
from model_utils.ingest.scenes.scene import Scene
from model_utils.ingest.scenes.settings import SceneSettings
from model_utils.ingest.scenes.sites import station_sites
from model_utils.ingest.scenes.spool import CutSettings
from model_utils.ingest.scenes.tally import Tally
from model_utils.project import archive_folder

READINGS, FINDINGS = "readings.parquet", "weather_findings.csv"
_SPOOL = ".spool-"
_MOST_WORKERS = 8


def prepare_scenes(config: PrepareConfig, city: City, folder: Path, gsd: float) -> None:
    """Writes the archive of a city from scenes, or adds the scenes that it does not hold yet, and says what it holds.

    The rows are in the order of the scenes' times, and an archive that grew equals one that was made at once. Beside
    it, `readings.parquet` keeps the labels of all days with their flags, whether a scene shows them or not, and
    `weather_findings.csv` what was found against the weather.

    Args:
        config: All settings.
        city: The city.
        folder: Holds the scenes.
        gsd: Metres per pixel.

    Raises:
        InputError: Naming the file, row or key that is wrong; the archive is as it was then.
    """
    settings = SceneSettings(config.bands, config.product, config.time_pattern, config.full_scale, config.skip_broken)
    catalogue = find_scenes(folder, settings, city)
    labels = read_labels(config, city)
    made = _how_made(config, catalogue, labels)
    target = archive_folder(config.root, city.name)
    there = (target / METADATA).exists()
    with ArchiveWriter(target, config.tile_size, catalogue.bands, overwrite=True) as writer:
        for leftover in target.glob(f"{_SPOOL}*"):
            shutil.rmtree(leftover, ignore_errors=True)  # of a killed run: the writer holds the folder's lock
        previous = read_previous(target, made) if there and not config.overwrite else None
        known = previous.archive.metadata.sources if previous else []
        files = _scene_sources(catalogue.scenes, known)
        scenes, copies = without_byte_copies(catalogue.scenes, {path: item["sha256"] for path, item in files.items()})
        new = _new_scenes(scenes, files, previous)
        label_files = [source(path, known, role="labels") for path in labels.files]
        if previous and not new and _same_run(previous, made, label_files):
            print(f"{target}: nothing to do, all {len(scenes)} scenes are in the archive")
            return
        table = labels.table(_times(scenes, previous))
        tally = Tally(copies)
        with tempfile.TemporaryDirectory(prefix=_SPOOL, dir=target) as spool:
            workers = config.workers or min(os.cpu_count() or 1, _MOST_WORKERS)
            cut = _cut_settings(config, city, gsd, labels)
            held = held_parts(previous) if previous else iter(())
            cutting = new_parts(new, files, city, cut, Path(spool), workers, config.skip_broken)
            total = len(new) + (len(previous.scenes) if previous else 0)
            parts = heapq.merge(held, cutting, key=lambda part: part.order)
            for (part,) in shown(([part] for part in parts), total, "scenes"):
                if tally.takes(part):
                    for chosen, tiles in part.blocks():
                        rows = labels.attached(part.rows.iloc[chosen].reset_index(drop=True), table)
                        tally.count(rows)
                        writer.append(tiles, rows)
        if not tally.tiles:
            raise InputError(f"{folder}: {tally.why_empty()}")
        gone = [item for item in known if item.get("role") == "scene" and item["path"] not in files]
        report = [*tally.lines(), f"values: {catalogue.scaling}", *catalogue.notes, *labels.report]
        writer.commit(
            city=city.name,
            ground_sample_distance_m=gsd,
            created_by={**made, "scene_list": tally.entries, "report": report},
            sources=[*gone, *files.values(), *label_files],
            simulated="haze" if tally.simulated else "no",
            licence=config.licence,
            attribution=config.attribution,
        )
        _keep_readings(target, labels, table)
    size = f"{config.tile_size} x {config.tile_size} px of {gsd:g} m"
    print(f"{target}: {tally.tiles} tiles, {size}, bands {', '.join(catalogue.bands)}")
    added = [f"{len(new)} scenes were cut, {len(previous.scenes)} were there already"] if previous else []
    kept = (
        [f"{len(gone)} files of the archive's scenes are no longer in {folder}; their tiles are kept"] if gone else []
    )
    for line in [*added, *kept, *report]:
        print(f"  {line}")


def _keep_readings(target: Path, labels: Labels, table: pd.DataFrame | None) -> None:
    """Writes what was read and found beside the archive: labels of all days, and all findings about the weather."""
    if table is None or labels.readings is None:
        return
    with atomic.replacing(target / READINGS) as temporary:
        table.to_parquet(temporary)
    with atomic.replacing(target / FINDINGS) as temporary:
        labels.readings.weather_findings.to_csv(temporary, index=False)


def _how_made(config: PrepareConfig, catalogue: Catalogue, labels: Labels) -> dict[str, Any]:
    """What `archive.json` says of how it was made, as JSON would give it back."""
    places = zip(*(labels.stations[name] for name in ("station", "latitude", "longitude")), strict=True)
    settings = {key: list(value) if isinstance(value, tuple) else value for key, value in record(config).items()}
    return {
        "command": COMMAND,
        "version": package_version(),
        **settings,
        "scaling": catalogue.scaling,
        "stations_at": {
            str(name): [round(float(latitude), 7), round(float(longitude), 7)] for name, latitude, longitude in places
        },
    }


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


def _scene_sources(scenes: Sequence[Scene], known: Sequence[Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """By file, what `archive.json` says of it."""
    return {str(path): source(path, known, role="scene") for scene in scenes for path in scene.files}


def _new_scenes(
    scenes: Sequence[Scene], files: Mapping[str, Mapping[str, str]], previous: Previous | None
) -> list[Scene]:
    """The scenes that the archive does not hold.

    Raises:
        InputError: A scene that it holds has changed.
    """
    held = previous.scenes if previous else {}
    for scene in scenes:
        if scene.scene_id in held and held[scene.scene_id]["content"] != content(scene, files):
            raise InputError(
                f"{scene.bands[0].file}: scene {scene.scene_id} is not the one that is in the archive under this name; "
                "--overwrite cuts all scenes again"
            )
    return [scene for scene in scenes if scene.scene_id not in held]


def _same_run(previous: Previous, made: Mapping[str, Any], label_files: Sequence[Mapping[str, str]]) -> bool:
    before = [item["sha256"] for item in previous.archive.metadata.sources if item.get("role") == "labels"]
    same_settings = all(previous.record.get(key) == value for key, value in made.items())
    return same_settings and before == [item["sha256"] for item in label_files]


def _times(scenes: Sequence[Scene], previous: Previous | None) -> pd.DatetimeIndex:
    times = {pd.Timestamp(scene.time_utc) for scene in scenes}
    if previous:
        times |= set(previous.archive.samples["time_utc"])
    return pd.DatetimeIndex(sorted(times))
