"""`pm25 demo`: the whole job on a small simulated Delhi, in minutes on two cores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from model_utils.errors import InputError, UnwritableError
from model_utils.locking import InUseError
from model_utils.project import SHIPPED_ROOT, archive_folder, results_folder

Config = TypeVar("Config")
Result = TypeVar("Result")

ROWS: dict[str, tuple[str, str]] = {
    "place and day, spatiotemporal": ("place_and_day", "SimCLR_spatiotemporal"),
    "place and day, regular": ("place_and_day", "SimCLR_regular"),
    "place and day, random encoder": ("place_and_day", "randomly_initialized"),
    "paper's head, spatiotemporal": ("paper", "SimCLR_spatiotemporal"),
}
"""Row of the table -> estimator and start."""

REFERENCES = (
    *("same_day_mean", "ordinary_kriging", "gaussian_process", "latitude_longitude", "band_statistics_ridge"),
    *("weather_forest", "ceiling_true_both"),
)
"""The references that the demo shows; `statistics.csv` has all."""

PRECISIONS = ("auto", "32-true", "bf16-mixed")


@dataclass(frozen=True)
class DemoConfig:
    """The demo.

    Args:
        preset: demo, or smoke for a check that takes seconds.
        seed: Keys the city and every experiment.
        precision: Of pre-training: auto (bf16 where the processor has it), 32-true or bf16-mixed.
        root: Folder that gets data/, results/ and the figures; not that of your own city, so that neither can
            replace the other.
    """

    preset: Literal["demo", "smoke"] = "demo"
    seed: int = 0
    precision: str = "auto"
    root: Path = SHIPPED_ROOT / "results" / "demo"

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ValueError(f"--precision: found {self.precision!r}, expected one of {', '.join(PRECISIONS)}")

    SIMULATIONS: ClassVar[dict[str, dict[str, Any]]] = {
        # every ninth day of eighteen months, the grid on every fifth of them: all seasons, and few enough tiles
        "demo": {"days": 540, "day_step": 9, "grid_km": 5.0, "grid_day_step": 5, "tile_size": 64},
        "smoke": {"days": 60, "day_step": 5, "grid_km": 25.0, "tile_size": 32},
    }


def demo(config: DemoConfig) -> None:
    """Simulates, pre-trains, supervises, prints one table and draws the summary; reuses what stands."""
    import json

    from model_utils.archive.commit import has_archive
    from model_utils.archive.format import METADATA, ArchiveMetadata
    from model_utils.configuration import from_preset, record
    from model_utils.evaluation.table import format_table
    from model_utils.pretraining.config import PretrainConfig
    from model_utils.pretraining.run import pretrain
    from model_utils.simulation.city import simulate
    from model_utils.simulation.config import SimulateConfig
    from model_utils.supervision.config import SuperviseConfig
    from model_utils.supervision.supervise import run_experiment

    common: dict[str, Any] = {"city": "Delhi", "seed": config.seed, "root": config.root}
    simulation = SimulateConfig(**common, overwrite=True, **config.SIMULATIONS[config.preset])
    folder = archive_folder(config.root, "Delhi")
    made = ArchiveMetadata.read(folder / METADATA).created_by if has_archive(folder) else {}
    print(f"1/4  a small Delhi, simulated, in {folder}", flush=True)
    if json.loads(json.dumps(record(simulation))).items() <= made.items():
        print("already simulated; nothing to do")
    else:
        simulate(simulation)

    print("2/4  pre-training", flush=True)
    for pairs in ("spatiotemporal", "regular"):
        settings = from_preset(
            PretrainConfig,
            config.preset,
            method="SimCLR",
            pairs=pairs,
            resume=True,
            precision=config.precision,
            probe_every=0,
            **common,
        )
        _kept_or_anew(pretrain, settings, replace(settings, resume=False, overwrite=True))

    print("3/4  PM2.5 from the training stations, statistics at the test stations", flush=True)
    statistics = {}
    for name, (estimator, start) in ROWS.items():
        experiment = from_preset(SuperviseConfig, config.preset, estimator=estimator, start=start, **common)
        statistics[name] = _kept_or_anew(run_experiment, experiment, replace(experiment, overwrite=True))
    references = next(iter(statistics.values()))["references"]
    rows = {**statistics, **{name: references[name] for name in REFERENCES if name in references}}
    files = _draw(config.root, results_folder(config.root, "Delhi", ""), rows, statistics)
    print("4/4  the map between the stations", flush=True)
    picture = _map(config.root, results_folder(config.root, "Delhi", next(iter(statistics.values()))["experiment"]))
    print("\nTest stations of the paper's hold-out. The city is SIMULATED: no number says anything about Delhi.\n")
    print(format_table(rows))
    print(f"\nfigures: {config.root / 'results' / 'Delhi'}/*/figures")
    print(f"summary: {files[0]}")
    print(f"map:     {picture}")


def _map(root: Path, experiment: Path) -> Path:
    """Maps the years over the days that show the grid, and draws the one of most days beside the hidden truth."""
    import numpy as np

    from model_utils.archive.reader import open_archive
    from model_utils.figures.city_map import draw_city_map
    from model_utils.figures.saving import save_figure
    from model_utils.mapping.config import MapConfig
    from model_utils.mapping.files.netcdf import read_map
    from model_utils.mapping.job import map_job
    from model_utils.mapping.layers import REASON
    from model_utils.mapping.run import make_map, map_folder
    from model_utils.mapping.stations import station_readings

    samples = open_archive(archive_folder(root, "Delhi")).samples
    grid = samples[samples["site_kind"] == "grid"]
    days = ",".join(sorted({f"{day:%Y-%m-%d}" for day in grid["local_date"]}))
    config = MapConfig(city="Delhi", model=experiment, dates=days, period="year", keep_outside=True, root=root)
    _kept_or_anew(make_map, config, replace(config, overwrite=True))
    job = map_job(config)
    dataset = read_map(map_folder(job) / "map.nc")
    number = int(np.bincount(job.times.period).argmax())
    year = job.times.days[job.times.period == number]
    hidden = grid[grid["local_date"].isin(year)].groupby("site_id")["true_pm25"].mean()
    truth = np.full(dataset["pm25"].shape[1:], np.nan)
    for cells in job.blocks:
        sites = cells if job.source is None else job.source.named(cells)
        truth[cells["row"], cells["column"]] = hidden.reindex(sites["site_id"]).to_numpy()
    stations = station_readings(experiment, job.times, job.cells.grid.crs)
    shown = None if stations is None else stations[stations["time"] == number]
    return save_figure(draw_city_map(dataset, REASON, shown, number, truth, "all"), root / "figures", "demo_map")[0]


def _kept_or_anew(run: Callable[[Config], Result], config: Config, anew: Config) -> Result:
    """Keeps or goes on with what stands; replaces it where an earlier version or city of the demo left it."""
    try:
        return run(config)
    except (InUseError, UnwritableError):
        raise
    except InputError:
        return run(anew)


def _draw(root: Path, results: Path, rows: dict[str, Any], statistics: dict[str, Any]) -> list[Path]:
    """One place under rising haze, the station map of the first method, and every method's spatial r."""
    import numpy as np
    import pandas as pd

    from model_utils.archive.reader import open_archive
    from model_utils.figures.demo_summary import draw_demo_summary
    from model_utils.figures.saving import save_figure

    archive = open_archive(archive_folder(root, "Delhi"))
    first = next(iter(statistics.values()))
    predictions = pd.read_parquet(results / first["experiment"] / "predictions.parquet")
    test = predictions["split"] == "test"
    samples = archive.samples
    clear = (samples["site_id"] == "ITO") & (samples["cloud_fraction"] == 0)
    ranked = samples[clear].sort_values("pm25")
    chosen = ranked.iloc[np.linspace(0, len(ranked) - 1, min(6, len(ranked))).round().astype(int)]
    figure = draw_demo_summary(
        "Delhi",
        archive.tiles(chosen.index.to_numpy()),
        chosen["pm25"].tolist(),
        predictions[test],
        predictions[~test],
        rows,
    )
    return save_figure(figure, root / "figures", "demo_summary")
