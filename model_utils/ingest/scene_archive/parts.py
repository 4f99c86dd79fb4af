"""The parts that scenes give to an archive: those it holds already, and those that are cut now."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Container, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.cities import City
from model_utils.errors import InputError
from model_utils.ingest.chips import tiles_per_block
from model_utils.ingest.scene_archive.previous import SITE_AND_SCENE, Previous
from model_utils.ingest.scene_archive.shards import CutSettings, scene_shards, tile_hashes
from model_utils.ingest.scenes.scene import Scene
from model_utils.parallel.tasks import Workers


@dataclass(frozen=True)
class Part:
    """What one scene gives.

    Attributes:
        scene_id: Its name.
        entry: What `archive.json` keeps of it: time_utc, time_source, content, simulated, tiles, left_out,
            and why it is broken where it is.
        rows: A row a tile, columns `SITE_AND_SCENE`.
        tiles: Gives the tiles of a slice of the rows, uint8, n x S x S x C.
        hashes: As from `tile_hashes`.
    """

    scene_id: str
    entry: dict[str, Any]
    rows: pd.DataFrame
    tiles: Callable[[slice], NDArray[np.uint8]]
    hashes: NDArray[np.uint64]

    @property
    def order(self) -> tuple[str, str]:
        """Parts follow each other by time, then by name."""
        return self.entry["time_utc"], self.scene_id

    def blocks(self) -> Iterator[tuple[slice, NDArray[np.uint8]]]:
        """A few thousand tiles at a time, and which rows they are."""
        if len(self.rows):
            step = tiles_per_block(*self.tiles(slice(0, 1)).shape[2:])
            for start in range(0, len(self.rows), step):
                chosen = slice(start, min(start + step, len(self.rows)))
                yield chosen, self.tiles(chosen)


def content(scene: Scene, sources: Mapping[str, Mapping[str, str]]) -> str:
    """One hash for all files that a scene's tiles depend on, whatever they are called."""
    return hashlib.sha256("".join(sources[str(path)]["sha256"] for path in scene.files).encode()).hexdigest()


def held_parts(previous: Previous, names: Container[str]) -> Iterator[Part]:
    """The parts of the archive that is there, in order: those of the scenes of these names.

    Raises:
        InputError: The archive is damaged.
    """
    previous.verify()
    nothing = np.empty(0, np.intp)
    entries = {name: entry for name, entry in previous.scenes.items() if name in names}
    for scene_id, entry in sorted(entries.items(), key=lambda item: (item[1]["time_utc"], item[0])):
        rows = previous.rows.get(scene_id, nothing)

        def tiles(chosen: slice, rows: NDArray[np.intp] = rows) -> NDArray[np.uint8]:
            return previous.archive.tiles(rows[chosen])

        table = previous.archive.samples.iloc[rows][list(SITE_AND_SCENE)].reset_index(drop=True)
        part = Part(scene_id, entry, table, tiles, np.zeros(0, np.uint64))
        sites = table["site_id"].tolist()
        hashes = [tile_hashes(sites[chosen], block) for chosen, block in part.blocks()]
        yield Part(scene_id, entry, table, tiles, np.concatenate([*hashes, part.hashes]))


def new_parts(
    scenes: Sequence[Scene],
    sources: Mapping[str, Mapping[str, str]],
    city: City,
    settings: CutSettings,
    folder: Path,
    workers: Workers,
    skip_broken: bool,
) -> Generator[Part, None, None]:
    """Cuts scenes.

    Args:
        scenes: In order.
        sources: By file, what `archive.json` will say of it.
        city: Its time zone decides the local date.
        settings: How to cut.
        folder: Where shards lie until they are taken.
        workers: Who cuts.
        skip_broken: Give a scene that cannot be read as a part without tiles instead of raising its error.

    Raises:
        InputError: A scene cannot be read, workers keep dying, or there is no such scheduler.
    """
    size, bands = settings.grid.tile_size, len(scenes[0].bands) if scenes else 0
    for scene, result in scene_shards(scenes, settings, folder, workers, skip_broken):
        entry: dict[str, Any] = {
            "time_utc": scene.time_utc.isoformat(),
            "time_source": scene.time_source,
            "content": content(scene, sources),
            "simulated": scene.simulated,
        }
        if isinstance(result, InputError):
            rows, hashes = pd.DataFrame(columns=list(SITE_AND_SCENE)), np.zeros(0, np.uint64)
            entry |= {"tiles": 0, "left_out": {}, "broken": str(result)}
            yield Part(scene.scene_id, entry, rows, partial(_read, folder, ()), hashes)
            continue
        entry |= {"tiles": len(result.rows), "left_out": result.left_out}
        rows = _rows(scene, result.rows, city)
        yield Part(scene.scene_id, entry, rows, partial(_read, result.path, (size, size, bands)), result.hashes)


def _read(path: Path, shape: tuple[int, ...], chosen: slice) -> NDArray[np.uint8]:
    """Reads some tiles of a file; a memory map of it would count as this process's memory."""
    size = math.prod(shape)
    tiles = np.fromfile(path, np.uint8, (chosen.stop - chosen.start) * size, offset=chosen.start * size)
    return tiles.reshape(-1, *shape)


def _rows(scene: Scene, cut: pd.DataFrame, city: City) -> pd.DataFrame:
    time = pd.Timestamp(scene.time_utc).as_unit("us")
    rows = cut.reset_index(drop=True).assign(
        sample_id=cut["site_id"].to_numpy() + f"_{scene.scene_id}",
        time_utc=time,
        local_date=pd.Timestamp(time.tz_convert(city.zone).date()),
        scene_id=scene.scene_id,
    )
    return rows[list(SITE_AND_SCENE)]
