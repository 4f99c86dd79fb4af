"""A map from scenes: `pm25 map` as a user runs it, against a windowed read and a forward pass a cell and date.

The script makes a city: smooth scenes on the lattice of the tiles (three bands, deflate), stations with readings, and a
fitted place and day on an encoder of random weights. Both make the mean embedding of each cell over its dates; the loop
ends there, ours goes on to PM2.5 and all files of the map. The loop opens each scene once and needs no warping; it is
timed on an even sample of the cells. Its embeddings are compared with ours, so that both do the same work.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import rasterio
import torch
from numpy.typing import NDArray
from rasterio.warp import transform
from rasterio.windows import Window
from timing import setting, spread, take_turns

from contrastive_models.embedding import EmbeddingPrecision
from contrastive_models.encoders import create_encoder, normalise
from contrastive_models.weights import weights_hash
from model_utils.archive.reader import open_archive
from model_utils.cli.main import main as pm25
from model_utils.estimators.city_model import LoadedCityModel, city_model, save_city_model
from model_utils.estimators.place_and_day.ground import describe_ground
from model_utils.estimators.place_and_day.place_and_day import FittedPlaceAndDay, PlaceAndDay
from model_utils.estimators.refitting import predict_fold
from model_utils.features.embeddings import cached_embeddings
from model_utils.features.labelled import clear_archive, with_reading
from model_utils.features.starting_encoder import StartingEncoder
from model_utils.mapping import job as jobs
from model_utils.mapping import run
from model_utils.mapping.config import MapConfig
from model_utils.mapping.places.seen import BATCH, mean_embeddings
from model_utils.mapping.places.sources import SceneTiles
from model_utils.sampling.designs import Fold

ZONE, GSD, TILE, MIDDLE = "EPSG:32643", 10.0, 64, (28.63, 77.22)
STATIONS = 12
MEAN, STD = (0.4,) * 3, (0.2,) * 3
BATCHES = 4
"""A turn of the embedding alone."""


def main() -> None:
    """Prints a table an encoder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoders", nargs="+", default=["resnet18", "resnet50"])
    parser.add_argument("--precision", default="auto", choices=["auto", "32-true", "bf16-mixed"])
    parser.add_argument("--scenes", type=int, default=6)
    parser.add_argument("--size", type=int, default=1200, help="height and width of a scene, pixels of 10 m")
    parser.add_argument("--spacing-metres", type=float, default=300.0)
    parser.add_argument("--sample", type=int, default=25, help="cells a turn for the loop")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    flags = parser.parse_args()
    torch.set_num_threads(flags.threads)
    print(setting(flags.turns))
    for encoder in flags.encoders:
        with tempfile.TemporaryDirectory() as folder:
            compare(Path(folder), encoder, flags)


def compare(root: Path, encoder: str, flags: argparse.Namespace) -> None:
    """Times the whole, then its parts, for one encoder."""
    paths = made_city(root, encoder, flags.scenes, flags.size)
    config = MapConfig(
        city="Town", model=root / "model", scenes=root / "scenes", spacing_metres=flags.spacing_metres,
        area=inner_area(flags.size), period="month", precision=flags.precision, overwrite=True, root=root,
    )  # fmt: skip
    job = jobs.opened(config)
    source = job.source
    assert isinstance(source, SceneTiles)
    cells = pd.concat(job.blocks, ignore_index=True)
    sample = cells.iloc[:: max(1, len(cells) // flags.sample)].reset_index(drop=True)
    plain = create_encoder(encoder, 3, TILE).eval()
    plain.load_state_dict(job.loaded.encoder.state_dict())
    ours = mean_embeddings(job.loaded, source, sample, "32-true")
    np.testing.assert_allclose(loop(paths, sample, plain), ours, rtol=1e-3, atol=1e-4 * np.abs(ours).max())
    print(f"\n{encoder}, {job.precision}: {len(cells)} cells of {flags.spacing_metres:g} m, {len(paths)} dates")

    batch = next(source.clear_tiles(cells)).tiles[:BATCH]
    small = sample.iloc[:: max(1, len(sample) // 5)].reset_index(drop=True)
    shares: list[dict[str, float]] = []
    rivals: dict[str, tuple[int, Callable[[], object]]] = {
        "loop": (len(sample), lambda: loop(paths, sample, plain)),
        "ours": (len(cells), lambda: shares.append(timed_map(config))),
        "loop, reading": (len(cells), lambda: list(windows(paths, cells))),
        "ours, reading": (len(cells), lambda: list(source.clear_tiles(cells))),
        "loop, forward": (len(small), lambda: forward_one_by_one(plain, len(small) * len(paths))),
        "ours, embedding": (BATCHES * len(batch), lambda: embedded(job.loaded, batch, job.precision)),
        "bare forward": (BATCHES * len(batch), bare_forward(job.loaded, batch, job.precision)),
    }
    seconds = take_turns({name: work for name, (_, work) in rivals.items()}, flags.turns)
    of_tiles = ("ours, embedding", "bare forward")
    dates = {name: 1 if name in of_tiles else len(paths) for name in rivals}
    rates = {name: rivals[name][0] * dates[name] / values for name, values in seconds.items()}
    for name, values in rates.items():
        print(f"  {name:20}{spread(values)} cells x dates/s")
    print(f"  ratio ours : loop {spread(rates['ours'] / rates['loop'])}")
    print(f"  ratio of reading alone {spread(rates['ours, reading'] / rates['loop, reading'])}")
    print(f"  ratio of embedding : loop's forward {spread(rates['ours, embedding'] / rates['loop, forward'])}")
    print(f"  ratio of embedding : bare forward {spread(rates['ours, embedding'] / rates['bare forward'])}")
    counted = pd.DataFrame(shares[1:])
    whole = counted.pop("whole")
    for name in map(str, counted):
        print(f"  share of {name:24}{spread((100 * counted[name] / whole).to_numpy())} %")


def loop(paths: list[Path], cells: pd.DataFrame, encoder: torch.nn.Module) -> NDArray[np.float64]:
    """The plain way: for each date and cell read the window, embed it; the mean over dates."""
    mean, std = torch.tensor(MEAN)[:, None, None], torch.tensor(STD)[:, None, None]
    total: dict[int, NDArray[np.float64]] = {}
    with torch.inference_mode():
        for number, tile in windows(paths, cells):
            inputs = (torch.from_numpy(tile) / 255 - mean) / std
            found = encoder(inputs[None])[0].numpy()
            total[number] = total.get(number, 0.0) + found / len(paths)
    return np.stack([total[number] for number in range(len(cells))])


def windows(paths: list[Path], cells: pd.DataFrame) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Each cell's number and window, bands first, of one date after the other."""
    for path in paths:
        with rasterio.open(path) as scene:
            for number, (east, north) in enumerate(zip(cells["east_m"], cells["north_m"], strict=True)):
                row, column = scene.index(east, north, op=round)
                yield number, scene.read(window=Window(column - TILE // 2, row - TILE // 2, TILE, TILE))


def forward_one_by_one(encoder: torch.nn.Module, count: int) -> None:
    """The loop's forward passes without its reading."""
    tile = torch.zeros((1, 3, TILE, TILE))
    with torch.inference_mode():
        for _ in range(count):
            encoder(tile)


def embedded(model: LoadedCityModel, tiles: NDArray[np.uint8], precision: EmbeddingPrecision) -> None:
    """From bytes to features, as the map does it."""
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
        for _ in range(BATCHES):
            model.embedded(tiles, precision)


def bare_forward(model: LoadedCityModel, tiles: NDArray[np.uint8], precision: str) -> Callable[[], object]:
    """The encoder alone on a batch that is normalised already, channels last, in the same arithmetic."""
    inputs = normalise(torch.from_numpy(tiles).permute(0, 3, 1, 2), torch.tensor(MEAN), torch.tensor(STD))

    def work() -> object:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
            return [model.encoder(inputs) for _ in range(BATCHES)]

    return work


def timed_map(config: MapConfig) -> dict[str, float]:
    """Makes the map; seconds by what was done, of which reading has a thread of its own."""
    spent = dict.fromkeys(("reading, in its thread", "embedding", "predicting", "writing"), 0.0)

    def clocked(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*given: Any, **more: Any) -> Any:
            begin = time.perf_counter()
            try:
                return work(*given, **more)
            finally:
                spent[name] += time.perf_counter() - begin

        return timed

    read = SceneTiles.clear_tiles

    def clear_tiles(self: SceneTiles, cells: pd.DataFrame) -> Iterator[Any]:
        parts = read(self, cells)
        following = clocked("reading, in its thread", lambda: next(parts, None))
        while (part := following()) is not None:
            yield part

    with ExitStack() as stack:
        for owner, attribute, name in (
            (LoadedCityModel, "embedded", "embedding"),
            (jobs, "predict_places", "predicting"),
            (FittedPlaceAndDay, "dissimilarity", "predicting"),
            (run, "_put_together", "writing"),
            (run, "write_map", "writing"),
        ):
            stack.enter_context(patch.object(owner, attribute, clocked(name, getattr(owner, attribute))))
        stack.enter_context(patch.object(SceneTiles, "clear_tiles", clear_tiles))
        stack.enter_context(redirect_stdout(StringIO()))
        stack.enter_context(redirect_stderr(StringIO()))
        begin = time.perf_counter()
        run.make_map(config)
        whole = time.perf_counter() - begin
    return {**spent, "whole": whole}


def made_city(root: Path, encoder: str, scenes: int, size: int) -> list[Path]:
    """Writes city, scenes, readings, archive and model; the scenes' files by date."""
    random = np.random.default_rng(0)
    left, top = corner(size)
    easts, norths = (at + GSD * size * random.uniform(0.2, 0.8, STATIONS) for at in (left, top - GSD * size))
    longitudes, latitudes = transform(ZONE, "EPSG:4326", easts, norths)
    places = list(zip(latitudes, longitudes, strict=True))
    (root / "data" / "cities").mkdir(parents=True)
    (root / "data" / "cities" / "Town.yaml").write_text(
        "name: Town\nbounding_box: {south: 28.3, west: 76.9, north: 28.9, east: 77.6}\ntime_zone: Asia/Kolkata\n"
        'overpass_local_time: "10:30"\nstations:'
        + "".join(
            f"\n  - {{name: s{number}, latitude: {at[0]}, longitude: {at[1]}}}" for number, at in enumerate(places)
        )
    )
    days = pd.date_range("2019-01-01", periods=scenes, freq="2D")
    level = 80 * np.exp(0.4 * random.normal(size=scenes))
    coarse = random.uniform(40, 160, (3, size // 8 + 1, size // 8 + 1)).repeat(8, axis=1).repeat(8, axis=2)
    (root / "scenes").mkdir()
    paths = []
    for day, haze in zip(days, level, strict=True):
        pixels = (coarse[:, :size, :size] + 0.3 * haze + random.normal(0, 4, (3, size, size))).clip(1, 255)
        paths.append(root / "scenes" / f"scene_{day:%Y%m%d}T051200.tif")
        with rasterio.open(
            paths[-1], "w", driver="GTiff", count=3, height=size, width=size, dtype="uint8", crs=ZONE, tiled=True,
            compress="deflate", photometric="RGB", transform=rasterio.Affine(GSD, 0, left, 0, -GSD, top),
        ) as raster:  # fmt: skip
            raster.write(pixels.astype(np.uint8))
    rows = [
        (f"s{number}", f"{day:%Y-%m-%d}", haze * np.exp(random.normal(0, 0.2)))
        for number in range(STATIONS)
        for day, haze in zip(days, level, strict=True)
    ]
    pd.DataFrame(rows, columns=["station", "date", "pm25"]).to_csv(root / "readings.csv", index=False)
    words = ["--city", "Town", "--root", root, "--gsd", f"{GSD:g}", "--tile-size", TILE, "--workers", 1]
    words += ["--scenes", root / "scenes", "--readings", root / "readings.csv"]
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        assert pm25(["prepare", *map(str, words)]) == 0
    write_model(root, encoder)
    return paths


def write_model(root: Path, name: str) -> None:
    """Fits place and day, on an encoder of random weights, to all stations."""
    archive = open_archive(root / "data" / "Town")
    clear = clear_archive(archive, 0.5)
    labelled = with_reading(clear)
    torch.manual_seed(0)
    encoder = create_encoder(name, 3, TILE).eval()
    start = StartingEncoder(name, encoder, MEAN, STD, weights_hash(encoder), None)
    embeddings = cached_embeddings(clear, start, "cpu")
    everyone = np.ones(len(labelled), bool)
    fold = Fold(everyone, everyone, ~everyone)
    estimator = PlaceAndDay(ground=describe_ground(clear.samples, embeddings))
    features = embeddings[np.isin(clear.rows, labelled.rows)]
    said = predict_fold(estimator, labelled.samples, features, fold, other_dates=False)
    fitted = city_model("Town", said.fitted, start, archive.metadata, 0.5, said.reach)
    save_city_model(root / "model", fitted, encoder)
    shutil.rmtree(archive.folder / "embeddings")


def corner(size: int) -> tuple[float, float]:
    """Easting and northing of the scenes' upper left corner, on the lattice."""
    (x,), (y,) = transform("EPSG:4326", ZONE, [MIDDLE[1]], [MIDDLE[0]])
    return (round(x / GSD) - size // 2) * GSD, (round(y / GSD) + size // 2) * GSD


def inner_area(size: int) -> str:
    """West, south, east and north of where the scenes hold whole tiles."""
    left, top = corner(size)
    edge, side = GSD * TILE, GSD * size
    (west, east), (south, north) = transform(
        ZONE, "EPSG:4326", [left + edge, left + side - edge], [top - side + edge, top - edge]
    )
    return f"{west},{south},{east},{north}"


if __name__ == "__main__":
    main()
