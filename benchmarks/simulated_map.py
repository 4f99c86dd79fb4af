"""How a map of simulated Delhi compares with the hidden truth at all of its cells, and how often its intervals hold it.

    python benchmarks/simulated_map.py --root FOLDER [--seeds 5]

Each seed is a city of its own under FOLDER (`pm25 simulate`, a tile every 4 km on each of 60 dates), an encoder that is
pre-trained on it without the stations' ground (an epoch of the preset demo), place and day fitted to all stations
(5 folds calibrate it), and its maps of 12 dates, spread over the dates, and of the 3 months of most dates. What stands
is kept. Nothing is tuned here. The truth has no instrument's bias; the intervals allow for one.

*Place effect*: r with the whole hidden effect, and with the part that land use explains, which alone images can show.
*Dates* and *months*: r over cells at one time, mean over times; the pooled r has the times' levels in it. *Coverage* is
of the 90 % interval, inside and outside of the area of applicability.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from model_utils.archive.reader import open_archive
from model_utils.configuration import from_preset
from model_utils.mapping.config import MapConfig
from model_utils.mapping.job import MapJob, map_job
from model_utils.mapping.run import predict_map
from model_utils.pretraining.config import PretrainConfig
from model_utils.pretraining.run import pretrain
from model_utils.project import archive_folder, results_folder
from model_utils.simulation.city import simulate
from model_utils.simulation.config import SimulateConfig
from model_utils.supervision.config import SuperviseConfig
from model_utils.supervision.supervise import run_experiment

CITY = "Delhi"
DATES, MONTHS = 12, 3

Floats = NDArray[np.float64]


def city(root: Path, seed: int, pairs: Literal["spatiotemporal", "regular"]) -> Path:
    """Simulates, pre-trains and fits what does not stand; the folder of the results."""
    if not archive_folder(root, CITY).is_dir():
        simulate(SimulateConfig(city=CITY, days=540, day_step=9, grid_km=4.0, tile_size=64, seed=seed, root=root))
    common: dict[str, Any] = {"city": CITY, "seed": seed, "root": root}
    if not (root / "data" / "weights" / f"{CITY}_SimCLR_{pairs}_resnet18.safetensors").is_file():
        pretrain(
            from_preset(
                PretrainConfig, "demo", method="SimCLR", pairs=pairs, epochs=1, exclude_stations=True, probe_every=0,
                **common,
            )
        )  # fmt: skip
    statistics = run_experiment(from_preset(SuperviseConfig, "demo", start=f"SimCLR_{pairs}", folds=5, **common))
    return results_folder(root, CITY, statistics["experiment"])


def mapped(
    root: Path, model: Path, dates: pd.DatetimeIndex, period: Literal["day", "month"]
) -> tuple[xr.Dataset, MapJob, Floats]:
    """A map, what it was made of, and the hidden PM2.5 of its cells, times x y x x."""
    config = MapConfig(
        city=CITY, model=model, dates=",".join(f"{day:%Y-%m-%d}" for day in dates), period=period, keep_outside=True,
        root=root,
    )  # fmt: skip
    dataset = predict_map(config)
    job = map_job(config)
    grid = grid_samples(root)
    grid = grid[grid["local_date"].isin(job.times.days)]
    time = job.times.period[job.times.days.get_indexer(pd.DatetimeIndex(grid["local_date"]))]
    hidden = grid.groupby([grid["site_id"], time])["true_pm25"].mean().unstack()
    return dataset, job, on_cells(job, hidden)


def on_cells(job: MapJob, of_sites: pd.DataFrame) -> Floats:
    """Values of the archive's sites (sites x k) where the map shows them, k x y x x."""
    assert job.source is not None
    grid = job.cells.grid
    found = np.full((of_sites.shape[1], grid.rows, grid.columns), np.nan)
    for cells in job.blocks:
        sites = job.source.named(cells)["site_id"]
        found[:, cells["row"], cells["column"]] = of_sites.reindex(sites).to_numpy().T
    return found


def grid_samples(root: Path) -> pd.DataFrame:
    """The rows of the archive that no station has."""
    samples = open_archive(archive_folder(root, CITY)).samples
    return samples[samples["site_kind"] == "grid"]


def of_places(root: Path, dataset: xr.Dataset, job: MapJob) -> dict[str, float]:
    """How many cells there are, and how their place effects correlate with the hidden ones."""
    effects = grid_samples(root).groupby("site_id")[["true_increment", "true_land_use_increment"]].first()
    predicted, inside = dataset["place_effect"].to_numpy(), dataset["inside_applicability"].to_numpy()
    hidden = on_cells(job, effects)
    known = np.isfinite(predicted) & np.isfinite(hidden).all(axis=0)
    names = "place effect, r", "place effect, r with land use's part"
    return {
        "cells": int(known.sum()),
        "share inside": float((inside[known] == 1).mean()),
        **{name: correlation(predicted[known], true[known]) for name, true in zip(names, hidden, strict=True)},
    }


def correlation(a: Floats, b: Floats) -> float:
    """Pearson's."""
    return float(np.corrcoef(a, b)[0, 1])


def scores(dataset: xr.Dataset, truth: Floats, name: str) -> dict[str, float]:
    """Correlation and coverage of one map."""
    level, lower, upper = (dataset[layer].to_numpy() for layer in ("pm25", "pm25_lower", "pm25_upper"))
    inside = np.broadcast_to(dataset["inside_applicability"].to_numpy() == 1, truth.shape)
    known = np.isfinite(level) & np.isfinite(truth)
    held = (truth >= lower) & (truth <= upper)
    each = [correlation(level[time][known[time]], truth[time][known[time]]) for time in range(len(truth))]
    return {
        f"{name}, r": float(np.mean(each)),
        f"{name}, pooled r": correlation(level[known], truth[known]),
        f"{name}, covered inside": float(held[known & inside].mean()),
        f"{name}, covered outside": float(held[known & ~inside].mean()),
    }


def row(root: Path, seed: int, pairs: Literal["spatiotemporal", "regular"]) -> dict[str, float]:
    """All that one city tells."""
    model = city(root, seed, pairs)
    days = pd.DatetimeIndex(np.sort(grid_samples(root)["local_date"].unique()))
    spread = days[np.linspace(0, len(days) - 1, DATES).round().astype(int)]
    month = days.to_period("M")
    most = month.value_counts(sort=False).sort_values(ascending=False, kind="stable").index[:MONTHS]
    daily, job, truth = mapped(root, model, spread, "day")
    found = of_places(root, daily, job) | scores(daily, truth, "dates")
    monthly, _, truth = mapped(root, model, days[month.isin(most)], "month")
    return found | scores(monthly, truth, "months")


def main() -> None:
    """Prints a column a city, and their means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--pairs", choices=("spatiotemporal", "regular"), default="spatiotemporal")
    flags = parser.parse_args()
    rows = {}
    for seed in range(flags.seeds):
        rows[f"seed {seed}"] = row(flags.root / str(seed), seed, flags.pairs)
        print(pd.DataFrame(rows).round(3).to_string(), flush=True)
    table = pd.DataFrame(rows)
    print(table.assign(mean=table.mean(axis=1)).round(3).to_string())


if __name__ == "__main__":
    main()
