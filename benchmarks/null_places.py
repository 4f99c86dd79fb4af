"""In worlds where places differ by nothing that images show, does place and day find anything?

    python benchmarks/null_places.py [--seeds 40] [--workers 2]

Each seed is a simulated Delhi whose land use says nothing of its air, an encoder that is pre-trained on it (preset
smoke, regular pairs), and the paper's hold-out: the 95 % interval of `spatial_r` of place and day should contain 0 in
19 of 20 worlds. What is peculiar to a station varies smoothly in part, so coordinates do tell something: the place is
told by images alone, and then by both. An interval above 0 is false skill, one below 0 the opposite.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from model_utils.archive.reader import open_archive
from model_utils.cities import load_city
from model_utils.configuration import from_preset
from model_utils.estimators.estimator import Method
from model_utils.estimators.place_and_day.ground import describe_ground
from model_utils.evaluation.statistics import evaluate
from model_utils.features.embeddings import cached_embeddings
from model_utils.features.labelled import clear_archive, with_reading
from model_utils.features.starting_encoder import starting_encoder
from model_utils.pretraining.config import PretrainConfig
from model_utils.pretraining.run import pretrain
from model_utils.project import archive_folder
from model_utils.sampling.designs import held_out_stations, hold_out
from model_utils.sampling.splits import station_table
from model_utils.simulation.city import simulate
from model_utils.simulation.config import SimulateConfig
from model_utils.supervision.config import SuperviseConfig
from model_utils.supervision.estimators import place_and_day_estimator
from model_utils.supervision.scoring import predict_run

PLACES = ("images", "both", "coordinates")


def world(seed: int) -> dict[str, tuple[float, float, float]]:
    """What tells the place -> spatial_r and its interval."""
    quiet = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
    with tempfile.TemporaryDirectory() as folder, quiet[0], quiet[1]:
        root = Path(folder)
        simulate(
            SimulateConfig(
                city="Delhi", days=540, day_step=9, grid_km=12.0, grid_day_step=6, tile_size=32,
                land_use_coupling=0.0, seed=seed, root=root,
            )
        )  # fmt: skip
        common = {"city": "Delhi", "seed": seed, "root": root}
        pretrain(from_preset(PretrainConfig, "smoke", method="SimCLR", pairs="regular", **common))
        clear = clear_archive(open_archive(archive_folder(root, "Delhi")), 0.5)
        labelled = with_reading(clear)
        held_out, _ = held_out_stations(station_table(labelled.samples), load_city("Delhi", root))
        (run,) = hold_out(labelled.samples, held_out)
        found = {}
        for place in PLACES:
            config = from_preset(
                SuperviseConfig, "smoke", start="SimCLR_regular", estimator="place_and_day", place=place, **common
            )
            start = starting_encoder(config.source, labelled.subset(~run.folds[0].test))
            embeddings = cached_embeddings(clear, start, "cpu")
            ground = describe_ground(clear.samples, embeddings, config.components, config.ring_km)
            method = Method(place_and_day_estimator(config, ground), embeddings[np.isin(clear.rows, labelled.rows)])
            predictions, _ = predict_run(method, labelled.samples, run, config, intervals=False)
            scores = evaluate(predictions[predictions["split"] == "test"], 1000, seed, ("spatial_r",))
            found[place] = (scores["spatial_r"], *scores["spatial_r_ci95"])
    return found


def main() -> None:
    """Prints a line a world, and the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--workers", type=int, default=2)
    flags = parser.parse_args()
    worlds = []
    with ProcessPoolExecutor(flags.workers, get_context("spawn")) as pool:
        for seed, found in enumerate(pool.map(world, range(flags.seeds))):
            worlds.append(found)
            said = "   ".join(f"{name} {r:5.2f} [{low:5.2f}, {high:5.2f}]" for name, (r, low, high) in found.items())
            print(f"{seed:3}   {said}", flush=True)
    for name in PLACES:
        low, high = np.array([found[name][1:] for found in worlds]).T
        print(
            f"{name}: the interval contains 0 in {((low <= 0) & (high >= 0)).sum()} of {len(worlds)} worlds, "
            f"lies above 0 in {(low > 0).sum()}, below in {(high < 0).sum()}"
        )


if __name__ == "__main__":
    main()
