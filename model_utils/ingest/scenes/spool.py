"""Cuts scenes one after the other or several at a time, and lays their tiles down in files until they are taken."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from multiprocessing import get_context
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
class SpooledScene:
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


def tile_hashes(site_ids: Sequence[str], tiles: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """A 64-bit hash of site and pixels of each tile; 0 where all pixels are equal, which proves nothing."""
    flat = tiles.reshape(len(tiles), int(np.prod(tiles.shape[1:])))
    plain = (flat == flat[:, :1]).all(axis=1)
    hashes = np.zeros(len(tiles), np.uint64)
    for number in np.flatnonzero(~plain).tolist():
        digest = hashlib.blake2b(flat[number].data, digest_size=8, key=str(site_ids[number]).encode()[:64]).digest()
        hashes[number] = int.from_bytes(digest, "little")
    return hashes


def spool_scene(scene: Scene, settings: CutSettings, path: Path) -> SpooledScene:
    """Cuts a scene and writes its tiles to a file.

    Raises:
        InputError: The scene cannot be read.
    """
    sites = settings.stations
    if settings.spacing:
        sites = pd.concat([sites, _cells(scene, settings)], ignore_index=True)
    parts, hashes, left_out = [], [np.zeros(0, np.uint64)], LeftOut()
    names = sites["site_id"].to_numpy()
    with path.open("wb") as file:
        for cut in cut_scene(scene, sites, settings.grid, settings.min_valid_fraction, settings.max_cloud_fraction):
            file.write(cut.tiles.data)
            hashes.append(tile_hashes(names[cut.positions].tolist(), cut.tiles))
            left_out += cut.left_out
            fractions = {"valid_fraction": cut.valid_fraction, "cloud_fraction": cut.cloud_fraction}
            parts.append(pd.DataFrame({"position": cut.positions, **fractions}))
    cuts = pd.concat(parts, ignore_index=True)
    rows = sites.iloc[cuts["position"]].drop(columns=["east_m", "north_m"]).reset_index(drop=True)
    return SpooledScene(path, rows.assign(**cuts.drop(columns="position")), asdict(left_out), np.concatenate(hashes))


def _cells(scene: Scene, settings: CutSettings) -> pd.DataFrame:
    """The grid cells whose centre lies in the rectangle around a scene and within the limits."""
    boxes = footprint(scene)
    if settings.limits:
        shared = (box.intersection(settings.limits) for box in boxes)
        boxes = tuple(box for box in shared if box is not None)
    return grid_sites(settings.grid, boxes, settings.spacing)


def spooled(
    scenes: Sequence[Scene], settings: CutSettings, folder: Path, workers: int, skip_broken: bool
) -> Iterator[tuple[Scene, SpooledScene | InputError]]:
    """Cuts scenes and gives them in their order; a file is removed when the next one is asked for.

    At most `workers` scenes are being cut, and the tiles of one more than that lie in files. What comes out does not
    depend on `workers`.

    Args:
        scenes: What to cut.
        settings: How.
        folder: Where the files go; it exists.
        workers: Number of processes; 1 cuts in this one.
        skip_broken: Give a scene's error in its place instead of raising it.

    Raises:
        InputError: A scene cannot be read.
    """
    paths = [folder / f"{number}.tiles" for number in range(len(scenes))]
    if workers == 1 or len(scenes) <= 1:
        results = (_attempt(scene, settings, path) for scene, path in zip(scenes, paths, strict=True))
        yield from _taken(scenes, results, paths, skip_broken)
        return
    with ProcessPoolExecutor(min(workers, len(scenes)), mp_context=get_context("spawn")) as pool:
        try:
            yield from _taken(scenes, _ahead(pool, scenes, settings, paths, workers + 1), paths, skip_broken)
        except BrokenProcessPool:
            raise InputError("a worker process died, perhaps for lack of memory; --workers 1 needs the least") from None
        finally:
            pool.shutdown(cancel_futures=True)


def _ahead(
    pool: ProcessPoolExecutor, scenes: Sequence[Scene], settings: CutSettings, paths: Sequence[Path], most: int
) -> Iterator[SpooledScene | InputError]:
    """Results in order, with at most so many asked for ahead."""
    waiting: deque[Future[SpooledScene | InputError]] = deque()
    for scene, path in zip(scenes, paths, strict=True):
        waiting.append(pool.submit(_attempt, scene, settings, path))
        if len(waiting) == most:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _taken(
    scenes: Sequence[Scene], results: Iterator[SpooledScene | InputError], paths: Sequence[Path], skip_broken: bool
) -> Iterator[tuple[Scene, SpooledScene | InputError]]:
    for scene, path in zip(scenes, paths, strict=True):
        result = next(results)
        if isinstance(result, InputError) and not skip_broken:
            raise result
        yield scene, result
        path.unlink(missing_ok=True)


def _attempt(scene: Scene, settings: CutSettings, path: Path) -> SpooledScene | InputError:
    """An error is handed over, not raised: so it keeps its place in the order."""
    try:
        return spool_scene(scene, settings, path)
    except InputError as error:
        return error
