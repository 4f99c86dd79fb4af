"""Every verb that writes, each with a small root in which an earlier result stands: what tests of faults share."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import chips_city
import numpy as np
import pandas as pd
import scene_city
import torch
import torchvision
import xarray as xr
from conftest import write_small_archive
from map_town import write_town
from safetensors.torch import load_file

from model_utils.archive.reader import open_archive

Words = tuple[str, ...]
TURNS = int(os.environ.get("FAULT_TURNS", "1"))
"""Of each verb; FAULT_TURNS=10 make a hundred in all."""
WITHOUT_TIME = "seconds"
"""What a column of a duration is called; two runs differ in it."""


@dataclass(frozen=True)
class Verb:
    """How one verb is disturbed.

    Attributes:
        lay_out: Writes what it reads into an empty root.
        before: Words of runs whose results stand there already.
        words: Of the run that is disturbed.
        numbers: What a finished run leaves, to be compared with `==`.
        remove: Files (globs) of the earlier run that an interrupted one would not have left.
        turns: How often it is disturbed.
    """

    lay_out: Callable[[Path], object]
    before: tuple[str, ...]
    words: str
    numbers: Callable[[Path], Any]
    remove: Words = ()
    turns: int = TURNS


def archive_of(city: str) -> Callable[[Path], Any]:
    def numbers(root: Path) -> Any:
        folder = root / "data" / city
        beside = [pd.read_parquet(path).to_csv() for path in sorted(folder.glob("readings.parquet"))]
        return open_archive(folder).metadata.content_sha256, beside

    return numbers


def tensors(path: str) -> Callable[[Path], Any]:
    return lambda root: {name: each.numpy().tobytes() for name, each in load_file(root / path).items()}


def text(path: str) -> Callable[[Path], str]:
    return lambda root: (root / path).read_text()


def experiment(root: Path) -> Any:
    folder = root / "results/Delhi/place_and_day_randomly_initialized_test_resnet"
    (fitted,) = (load_file(path) for path in folder.glob("model/arrays.safetensors"))
    statistics = json.loads((folder / "statistics.json").read_text())
    statistics = {name: value for name, value in statistics.items() if WITHOUT_TIME not in name}
    figures = sorted(path.name for path in (folder / "figures").iterdir())
    predictions = pd.read_parquet(folder / "predictions.parquet").to_csv()
    return predictions, statistics, figures, {name: each.numpy().tobytes() for name, each in fitted.items()}


def comparison(root: Path) -> Any:
    folder = root / "results/Delhi/compare_smoke"
    table, differences = (pd.read_csv(folder / name) for name in ("comparison.csv", "differences.csv"))
    table = table.drop(columns=[name for name in table if WITHOUT_TIME in name])
    figures = sorted(path.name for path in (folder / "figures").iterdir())
    return table.to_csv(), differences.to_csv(), figures, pd.read_parquet(folder / "predictions.parquet").to_csv()


def map_layers(root: Path) -> Any:
    folder = root / "results/Town/map"
    with xr.open_dataset(folder / "map.nc") as dataset:
        layers = {str(name): dataset[name].to_numpy().tobytes() for name in dataset.data_vars}
    return layers, sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def scenes(root: Path) -> None:
    scene_city.make_root(root)
    for day in range(1, 5):
        scene_city.write_scene(root, scene_city.scene_name(day), scene_city.pixels(day))
    rows = [(name, f"2019-01-{day:02d}", 40.0 + day) for name in scene_city.STATIONS for day in range(1, 5)]
    pd.DataFrame(rows, columns=["station", "date", "pm25"]).to_csv(root / "readings.csv", index=False)


def chips(root: Path) -> None:
    chips_city.make_root(root)
    np.save(root / "others.npy", chips_city.random_tiles(4, seed=1))


def legacy_weights(root: Path) -> None:
    torch.manual_seed(0)
    torch.save(torchvision.models.resnet18(weights=None).state_dict(), root / "old_SimCLR_regular.pkl")


def town(root: Path) -> None:
    write_town(root)
    rows = "\n".join(f"{28.61 + 0.002 * number},77.22" for number in range(20))
    (root / "points.csv").write_text(f"latitude,longitude\n{rows}\n")


def tiles(root: Path) -> None:
    write_small_archive(root, days=4, cells=8)


def tiles_of_few_stations(root: Path) -> None:
    write_small_archive(root, days=3, cells=4, stations=14)


SIMULATE = "simulate --city Delhi --days 4 --grid-km 25 --tile-size 32 --overwrite --root ROOT"
SCENES = "prepare --city Delhi --scenes ROOT/scenes --readings ROOT/readings.csv --gsd 10 --tile-size 16 --root ROOT"
CHIPS = "prepare --city Bay --table ROOT/chips.csv --gsd 3 --overwrite --root ROOT --images"
INSPECT = "inspect --city Delhi --root ROOT"
PRETRAIN = "pretrain --city Delhi --method SimCLR --pairs regular --preset smoke --root ROOT --probe-every 0"
WEIGHTS = "data/weights/Delhi_SimCLR_regular_test_resnet.safetensors"
SUPERVISE = "supervise --city Delhi --start randomly_initialized --preset smoke --overwrite --root ROOT"
COMPARE = (
    "compare --city Delhi --preset smoke --starts randomly_initialized,SimCLR_regular --designs hold_out --jobs 1 "
    "--fields mean --combined-starts randomly_initialized --trained false --root ROOT"
)
MAP = "map --city Town --model ROOT/model --name map --period month --overwrite --workers 2 --root ROOT"
PREDICT = "predict --city Town --model ROOT/model --points ROOT/points.csv --out ROOT/out.csv --overwrite --root ROOT"
CONVERT = "convert-weights --weights ROOT/old_SimCLR_regular.pkl --output ROOT/new.safetensors --overwrite --gsd"

VERBS = {
    "simulate": Verb(tiles, (f"{SIMULATE} --seed 1",), SIMULATE, archive_of("Delhi")),
    "prepare --scenes": Verb(
        scenes, (f"{SCENES} --workers 1",), f"{SCENES} --grid-metres 200 --overwrite --workers 2", archive_of("Delhi")
    ),
    "prepare --images": Verb(chips, (f"{CHIPS} ROOT/others.npy",), f"{CHIPS} ROOT/chips.npy", archive_of("Bay")),
    "inspect": Verb(
        tiles,
        (INSPECT, SIMULATE),  # of the archive that was there before this one
        INSPECT,
        text("data/Delhi/inspection/inspect.txt"),
    ),
    "pretrain": Verb(tiles, (f"{PRETRAIN} --seed 1",), f"{PRETRAIN} --overwrite", tensors(WEIGHTS)),
    "pretrain --resume": Verb(
        tiles, (PRETRAIN,), f"{PRETRAIN} --resume", tensors(WEIGHTS), (WEIGHTS, "results/*/*/checkpoints/epoch-2.ckpt")
    ),
    "supervise": Verb(tiles, (f"{SUPERVISE} --seed 1",), SUPERVISE, experiment),
    "compare": Verb(tiles_of_few_stations, (f"{COMPARE} --seed 1",), COMPARE, comparison, (WEIGHTS,), -(-TURNS // 2)),
    "map": Verb(town, (f"{MAP} --keep-outside",), MAP, map_layers),
    "predict": Verb(town, (f"{PREDICT} --period month",), PREDICT, text("out.csv")),
    "convert-weights": Verb(legacy_weights, (f"{CONVERT} 3",), f"{CONVERT} 10", tensors("new.safetensors")),
}
