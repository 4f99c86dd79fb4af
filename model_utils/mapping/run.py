"""`pm25 map`: from a fitted model to the map of a city."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import xarray as xr

from model_utils import atomic
from model_utils.archive.commit import has_archive
from model_utils.archive.format import METADATA, ArchiveMetadata
from model_utils.configuration import package_version
from model_utils.errors import InputError
from model_utils.estimators.conformal import INTERVAL_LEVEL
from model_utils.locking import locked
from model_utils.mapping.assembly import assemble
from model_utils.mapping.blocks import (
    AIR,
    BlockWork,
    blocks_folder,
    read_block,
    stands,
    work_on_air,
    work_on_block,
)
from model_utils.mapping.config import MapConfig
from model_utils.mapping.files.netcdf import opened_map, read_map
from model_utils.mapping.job import MapJob, opened
from model_utils.mapping.layers import REASON, REASONS
from model_utils.mapping.writing import NETCDF, write_map
from model_utils.parallel.tasks import Workers, results_as_completed
from model_utils.progress import counted
from model_utils.project import archive_folder, results_folder

IDENTITY = "map.json"


def make_map(config: MapConfig) -> None:
    """Writes the map of a city, and says what it holds; a finished one of the same settings is kept as it is.

    Raises:
        InputError: As `predict_map` says, or a map of other settings or anything else is in the way.
        InUseError: Another process writes this map.
    """
    job = opened(config)
    folder = map_folder(job)
    with locked(folder):
        atomic.clear_leftovers(folder)
        _kept_or_made(job, folder)


def _kept_or_made(job: MapJob, folder: Path) -> None:
    """Leaves the map that stands in the folder, or puts one there."""
    config = job.config
    identity = job.identity()
    if folder.exists() and not (folder / IDENTITY).is_file():  # perhaps the results that hold the model itself
        raise InputError(f"{folder}: found something else, expected a map or nothing; --name names another folder")
    if (folder / IDENTITY).is_file() and not config.overwrite:
        if (folder / IDENTITY).read_text(encoding="utf-8") == identity:
            print(f"{folder}: already made with these settings; nothing to do")
            return
        raise InputError(f"{folder}: holds a map of other settings, model or images; --overwrite replaces it")
    job.refuse_unseen()
    work = BlockWork(config, blocks_folder(folder, identity))
    _work_out(job, work)
    with atomic.replacing_folder(folder) as partial:
        _put_together(job, work, partial / NETCDF)
        with opened_map(partial / NETCDF) as dataset:
            write_map(dataset, job, partial)
            lines = list(described(dataset))
        atomic.write_text(partial / IDENTITY, identity)
    shutil.rmtree(work.folder, ignore_errors=True)
    print(*lines, *job.notes, sep="\n")
    print(f"map: {folder}")


def predict_map(config: MapConfig) -> xr.Dataset:
    """The map of a city in memory: its layers as `layers.LAYERS` has them.

    Raises:
        InputError: The model, the images, the area or the dates are not what they should be.
        InUseError: Another process works on this map.
    """
    job = opened(config)
    job.refuse_unseen()
    folder = map_folder(job)
    with locked(folder):
        work = BlockWork(config, blocks_folder(folder, job.identity()))
        try:
            _work_out(job, work)
            _put_together(job, work, work.folder / NETCDF)
            return read_map(work.folder / NETCDF)
        finally:
            shutil.rmtree(work.folder, ignore_errors=True)


def map_folder(job: MapJob) -> Path:
    """Of the results."""
    experiment = job.folder.parent.name if job.folder.name == "model" else job.folder.name
    return results_folder(job.config.root, job.city.name, job.config.name or f"map_{experiment}")


def described(dataset: xr.Dataset) -> Iterator[str]:
    """What a map holds, in a few lines."""
    counts = np.zeros(len(REASONS), np.int64)
    for reason in dataset["reason"]:
        counts += np.bincount(reason.to_numpy().ravel(), minlength=len(REASONS))
    asked = int(np.delete(counts, REASON["outside_area"]).sum())
    times = dataset.sizes["time"]
    yield (
        f"{asked // times} cells of {dataset.attrs['spacing_m']:g} m, {times} times; "
        f"{100 * counts[REASON['value']] / asked:.0f} % of the values are known"
    )
    for number, name in REASONS.items():
        if number > 1 and counts[number]:
            yield f"  {name.replace('_', ' ')}: {100 * counts[number] / asked:.1f} %"


def _work_out(job: MapJob, work: BlockWork) -> None:
    """Predicts the blocks that are not done yet."""
    config = job.config
    if not stands(work.path(AIR)):
        work_on_air(work)
    missing = [number for number in range(len(job.blocks)) if not stands(work.path(number))]
    written = results_as_completed(work_on_block, work, missing, Workers(config.workers, config.scheduler))
    for _ in counted(written, len(missing), "blocks"):
        pass


def _put_together(job: MapJob, work: BlockWork, path: Path) -> None:
    """Writes the NetCDF."""
    assemble(
        path,
        job.blocks,
        job.times,
        lambda number: read_block(work.path(number)),
        float(job.fitted.process.applicability().threshold),
        job.scale,
        job.config.keep_outside,
        _attributes(job),
    )


def _attributes(job: MapJob) -> dict[str, object]:
    """What a map says of itself."""
    counts = np.bincount(job.times.period, minlength=len(job.times.bounds))
    model = job.loaded.model
    return {
        "title": f"PM2.5 of {job.city.name}",
        "city": job.city.name,
        "period": job.config.period,
        "time_zone": job.city.time_zone,
        "spacing_m": job.cells.grid.spacing,
        "epsg": int(job.cells.grid.crs.removeprefix("EPSG:")),
        **_resolution(job),
        "aqi_scale": job.scale,
        "interval_level": INTERVAL_LEVEL,
        "days_in_mean": " ".join(map(str, counts.tolist())),
        "model_sha256": model.encoder_sha256,
        "applicability_threshold": float(job.fitted.process.applicability().threshold),
        "simulated": _simulated(job),
        "source": f"pm25-contrastive {package_version()}, {model.encoder}, place and day ({job.fitted.place})",
        "institution": "unknown",
        "history": "made by pm25 map",
        "references": "https://doi.org/10.1016/j.srs.2022.100052",
        "comment": "A mean over a period is one over its days with readings or clear images; clear-sky days may differ "
        "from the others.",
    }


def _resolution(job: MapJob) -> dict[str, float]:
    """What bounds the detail of a map: the tile, the ring of tiles about it, and how far places and days are alike.

    Both ranges are distances at which 5 % of the correlation is left.
    """
    model, fitted = job.loaded.model, job.fitted
    found = {"tile_size_m": float(model.tile_size * model.ground_sample_distance_m)}
    if fitted.ground is not None and fitted.process.blocks:
        found["context_km"] = fitted.ground.ring_km
    if fitted.process.field_variance:
        found["place_range_km"] = float(-np.log(0.05)) * fitted.process.range_km
    if fitted.day_from_readings is not None and fitted.day_from_readings.variogram.partial_sill:
        found["day_range_km"] = fitted.day_from_readings.variogram.range_km
    return found


def _simulated(job: MapJob) -> str:
    """What is simulated, as the archive of the model says it; its scenes are of the same kind."""
    folder = archive_folder(job.config.root, job.city.name)
    return ArchiveMetadata.read(folder / METADATA).simulated if has_archive(folder) else "no"
