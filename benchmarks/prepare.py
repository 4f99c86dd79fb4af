"""Cutting tiles out of scenes: ours, a scene at a time, against one rasterio.open and one WarpedVRT read a tile.

The scenes are a few GeoTIFFs that the script makes (three bands, deflate, in another UTM zone than the tiles), or one
that you give; the tiles lie on a grid without gaps. The rival is timed on an even sample of the tiles, since it would
take minutes for all. Both take turns in one process. The last line gives the peak memory of a process of its own that
cuts everything and does nothing else: resident pages, with all imports.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import rasterio
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from model_utils.cities import BoundingBox
from model_utils.ingest.scenes.cutting import cut_scene
from model_utils.ingest.scenes.grid import TileGrid
from model_utils.ingest.scenes.rasters import footprint
from model_utils.ingest.scenes.scene import Band, Scene
from model_utils.ingest.scenes.sites import grid_sites


def main() -> None:
    """Prints the rates, their ratio and the memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--surface", type=Path, nargs="+", help="GeoTIFFs with three bands, instead of made scenes")
    parser.add_argument("--scenes", type=int, default=3, help="how many are made")
    parser.add_argument("--size", type=int, default=3000, help="their height and width, pixels of 10 m")
    parser.add_argument("--gsd", type=float, default=10.0)
    parser.add_argument("--tile-size", type=int, default=30)
    parser.add_argument("--sample", type=int, default=300, help="tiles a turn for the rival")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)  # be that process
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = flags.surface or made_scenes(Path(folder), flags.scenes, flags.size)
        if flags.memory:
            cut_all(paths, *grid_and_sites(paths, flags.gsd, flags.tile_size))
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6)
        else:
            compare(paths, flags)


def compare(paths: list[Path], flags: argparse.Namespace) -> None:
    """Measures memory, then times both."""
    memory = peak_memory(paths, flags)  # first: a process begins with the peak of the one that starts it
    import torch
    from timing import setting, spread, take_turns

    torch.set_num_threads(flags.threads)
    print(setting(flags.turns))
    grid, sites = grid_and_sites(paths, flags.gsd, flags.tile_size)
    total = cut_all(paths, grid, sites)
    sample = sites.iloc[:: max(1, len(sites) // flags.sample)]
    with rasterio.open(paths[0]) as source:
        print(f"\n{len(paths)} scene(s), {source.width} x {source.height} px; {total} tiles of {grid.tile_size} px")
    seconds = take_turns(
        {
            "one open a tile": lambda: one_open_a_tile(paths, grid, sample),
            "ours": lambda: cut_all(paths, grid, sites),
        },
        flags.turns,
    )
    tiles = {"one open a tile": len(sample) * len(paths), "ours": total}
    rates = {name: tiles[name] / values for name, values in seconds.items()}
    for name, values in rates.items():
        print(f"  {name:24}{spread(values)} tiles/s")
    print(f"  ratio ours : one open a tile {spread(rates['ours'] / rates['one open a tile'])}")
    print(f"  peak memory {memory:.4g} MB")


def made_scenes(folder: Path, count: int, size: int) -> list[Path]:
    """Writes scenes of smooth noise over one place in EPSG:32644."""
    paths = [folder / f"scene{number}.tif" for number in range(count)]
    for number, path in enumerate(paths):
        coarse = np.random.default_rng(number).integers(1, 255, (3, size // 4 + 1, size // 4 + 1), dtype=np.uint8)
        pixels = coarse.repeat(4, axis=1).repeat(4, axis=2)[:, :size, :size]
        with rasterio.open(
            path, "w", driver="GTiff", count=3, height=size, width=size, dtype="uint8", crs="EPSG:32644", tiled=True,
            compress="deflate", transform=rasterio.Affine(10, 0, 120_000, 0, -10, 3_200_000),
        ) as raster:  # fmt: skip
            raster.write(pixels)
    return paths


def scene_of(path: Path) -> Scene:
    """Three bands that are bytes already."""
    bands = tuple(Band(path, index) for index in (1, 2, 3))
    return Scene(path.stem, "", bands, datetime(2020, 1, 1, tzinfo=UTC), "", None, 255.0, False)


def grid_and_sites(paths: list[Path], gsd: float, tile_size: int) -> tuple[TileGrid, pd.DataFrame]:
    """Tiles side by side over the first scene, in the UTM zone of 77 degrees east."""
    boxes: tuple[BoundingBox, ...] = footprint(scene_of(paths[0]))
    grid = TileGrid("EPSG:32643", gsd, tile_size)
    return grid, grid_sites(grid, boxes, gsd * tile_size)


def cut_all(paths: list[Path], grid: TileGrid, sites: pd.DataFrame) -> int:
    """Our way; how many tiles there were."""
    cuts = itertools.chain.from_iterable(cut_scene(scene_of(path), sites, grid, 0.5, 1.0) for path in paths)
    return sum(len(cut.positions) for cut in cuts)


def one_open_a_tile(paths: list[Path], grid: TileGrid, sites: pd.DataFrame) -> None:
    """The plain way: for each tile open the file, warp the window, read it with its mask."""
    left, top = grid.corners(sites["east_m"], sites["north_m"])
    for path, (column, row) in itertools.product(paths, zip(left.tolist(), top.tolist(), strict=True)):
        place = rasterio.Affine(grid.gsd, 0, column * grid.gsd, 0, -grid.gsd, -row * grid.gsd)
        with (
            rasterio.open(path) as source,
            WarpedVRT(
                source, crs=grid.crs, transform=place, width=grid.tile_size, height=grid.tile_size,
                resampling=Resampling.bilinear, add_alpha=True,
            ) as window,
        ):  # fmt: skip
            window.read()


def peak_memory(paths: list[Path], flags: argparse.Namespace) -> float:
    """Megabytes that a fresh process held at most."""
    sizes = ["--gsd", flags.gsd, "--tile-size", flags.tile_size]
    command = [sys.executable, __file__, "--memory", "--surface", *paths, *sizes]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


if __name__ == "__main__":
    main()
