"""Shards of an archive: each holds the tiles of one scene in a file, cut by a task of its own, until they are taken."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.cities import BoundingBox
from model_utils.errors import InputError
from model_utils.ingest.scenes.cutting import LeftOut, cut_scene
from model_utils.ingest.scenes.grid import TileGrid
from model_utils.ingest.scenes.rasters import footprint
from model_utils.ingest.scenes.scene import Scene
from model_utils.ingest.scenes.sites import grid_sites
from model_utils.parallel.tasks import Workers, results_in_order


@dataclass(frozen=True)
class CutSettings:
    """What holds for every scene of an archive: see PrepareConfig for the fields that are not explained here.

    Attributes:
        grid: The lattice of all tiles.
        stations: Station sites.
        limits: Where grid cells lie; None: all over each scene.
        spacing: Metres between grid cells; 0 for none.
    """

    grid: TileGrid
    stations: pd.DataFrame
    limits: BoundingBox | None
    spacing: float
    min_valid_fraction: float
    max_cloud_fraction: float


@dataclass(frozen=True)
class ShardWork:
    """What all tasks are given.

    Attributes:
        scenes: What to cut; a task is called by the number of its scene.
        settings: How.
        folder: Of the shards, absolute; it exists.
    """

    scenes: Sequence[Scene]
    settings: CutSettings
    folder: Path

    def path(self, number: int) -> Path:
        """A scene's shard."""
        return self.folder / f"{number}.tiles"


@dataclass(frozen=True)
class Shard:
    """The tiles of a scene in a file, and what is known of each.

    Attributes:
        path: Raw uint8, n x S x S x C.
        rows: A row a tile: the columns of the sites, valid_fraction, cloud_fraction.
        left_out: Number of sites without a tile, by reason.
        hashes: A 64-bit hash of each tile's site and pixels; 0 where all pixels are equal.
    """

    path: Path
    rows: pd.DataFrame
    left_out: dict[str, int]
    hashes: NDArray[np.uint64]


def scene_shards(
    scenes: Sequence[Scene], settings: CutSettings, folder: Path, workers: Workers, skip_broken: bool
) -> Generator[tuple[Scene, Shard | InputError], None, None]:
    """Cuts scenes and gives them in their order; a shard is removed when the next one is asked for.

    As many scenes as there are workers are being cut, and the shards of at most one more than that lie in the folder.
    What comes out depends neither on how many workers there are nor on whether some die.

    Args:
        scenes: What to cut.
        settings: How.
        folder: Where the shards go; it exists.
        workers: Who cuts.
        skip_broken: Give a scene's error in its place instead of raising it.

    Raises:
        InputError: A scene cannot be read, workers keep dying, or there is no such scheduler.
    """
    work = ShardWork(scenes, settings, folder.absolute())
    with closing(results_in_order(work_on_shard, work, range(len(scenes)), workers)) as results:
        for number, result in enumerate(results):
            if isinstance(result, InputError) and not skip_broken:
                raise result
            yield scenes[number], result
            work.path(number).unlink(missing_ok=True)


def work_on_shard(work: ShardWork, number: int) -> Shard | InputError:
    """Writes the shard of a scene; one that cannot be read gives its error, which so keeps its place in the order."""
    try:
        return write_shard(work.scenes[number], work.settings, work.path(number))
    except InputError as error:
        return error


def write_shard(scene: Scene, settings: CutSettings, path: Path) -> Shard:
    """Cuts a scene and writes its tiles to a file, whole or not at all.

    Raises:
        InputError: The scene cannot be read.
    """
    sites = settings.stations
    if settings.spacing:
        sites = pd.concat([sites, _cells(scene, settings)], ignore_index=True)
    parts, hashes, left_out = [], [np.zeros(0, np.uint64)], LeftOut()
    names = sites["site_id"].to_numpy()
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}")  # a worker that is taken for dead may still write
    try:
        with temporary.open("wb") as file:
            for cut in cut_scene(scene, sites, settings.grid, settings.min_valid_fraction, settings.max_cloud_fraction):
                file.write(cut.tiles.data)
                hashes.append(tile_hashes(names[cut.positions].tolist(), cut.tiles))
                left_out += cut.left_out
                fractions = {"valid_fraction": cut.valid_fraction, "cloud_fraction": cut.cloud_fraction}
                parts.append(pd.DataFrame({"position": cut.positions, **fractions}))
        temporary.replace(path)
    except OSError as error:  # no InputError, which would say that the scene cannot be read
        error.filename = error.filename or str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)
    cuts = pd.concat(parts, ignore_index=True)
    rows = sites.iloc[cuts["position"]].drop(columns=["east_m", "north_m"]).reset_index(drop=True)
    return Shard(path, rows.assign(**cuts.drop(columns="position")), asdict(left_out), np.concatenate(hashes))


def tile_hashes(site_ids: Sequence[str], tiles: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """A 64-bit hash of site and pixels of each tile; 0 where all pixels are equal, which proves nothing."""
    flat = tiles.reshape(len(tiles), int(np.prod(tiles.shape[1:])))
    plain = (flat == flat[:, :1]).all(axis=1)
    hashes = np.zeros(len(tiles), np.uint64)
    for number in np.flatnonzero(~plain).tolist():
        digest = hashlib.blake2b(flat[number].data, digest_size=8, key=str(site_ids[number]).encode()[:64]).digest()
        hashes[number] = int.from_bytes(digest, "little")
    return hashes


def _cells(scene: Scene, settings: CutSettings) -> pd.DataFrame:
    """The grid cells whose centre lies in the rectangle around a scene and within the limits."""
    boxes = footprint(scene)
    if settings.limits:
        shared = (box.intersection(settings.limits) for box in boxes)
        boxes = tuple(box for box in shared if box is not None)
    return grid_sites(settings.grid, boxes, settings.spacing)
