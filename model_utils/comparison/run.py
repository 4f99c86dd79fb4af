"""`pm25 compare`: all methods, all designs, one table."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from model_utils.archive.format import simulated_caveat
from model_utils.archive.reader import TileArchive, open_archive
from model_utils.cities import load_city
from model_utils.comparison.alarms import alarms
from model_utils.comparison.cells import Cell, CellWork, stands, work_on_cell
from model_utils.comparison.claims import comparison_differences, pairs
from model_utils.comparison.config import CompareConfig
from model_utils.comparison.hidden_truth.run import compare_with_truth
from model_utils.comparison.ingredients import ingredients
from model_utils.comparison.methods import MethodEntry, method_entries
from model_utils.comparison.outcomes import collect, score_outcomes
from model_utils.comparison.report import write_report
from model_utils.comparison.rows import comparison_table
from model_utils.comparison.starts import EmbeddedStarts, embed_starts
from model_utils.comparison.tables import format_comparison
from model_utils.comparison.timed_tasks import run_timed_tasks
from model_utils.comparison.weather_model import keep_weather_model
from model_utils.estimators.references.weather_inputs import weather_inputs
from model_utils.evaluation.split_half import split_half
from model_utils.features.labelled import clear_archive, with_reading
from model_utils.hardware import machine, machine_words, resolve_precision
from model_utils.locking import locked
from model_utils.project import archive_folder, results_folder
from model_utils.sampling.designs import DesignSettings, held_out_stations, make_runs
from model_utils.sampling.splits import station_table
from model_utils.sampling.tile_ground import tile_side_m


def compare(config: CompareConfig) -> None:
    """Runs a comparison, writes its tables and figures, and prints the table; what stands is not computed again.

    Raises:
        InputError: The city, its archive or the settings are wrong.
        InUseError: Another process writes this comparison, or weights that it lacks.
    """
    folder = results_folder(config.root, config.city, f"compare_{config.preset}")
    with locked(folder):
        if "truth" in config.designs:
            compare_with_truth(config, folder)
        at_stations = tuple(design for design in config.designs if design != "truth")
        if at_stations:
            _compare_at_stations(replace(config, designs=at_stations, truth_archives=()), folder)


def _compare_at_stations(config: CompareConfig, folder: Path) -> None:
    """The designs that readings at stations judge."""
    began = time.perf_counter()
    city = load_city(config.city, config.root)
    archive = open_archive(archive_folder(config.root, config.city))
    clear = clear_archive(archive, config.max_cloud_fraction)
    labelled = with_reading(clear)
    stations = station_table(labelled.samples)
    held_out, where = held_out_stations(stations, city)
    settings = DesignSettings(config.label_counts, config.draws, config.folds, config.temporal_share, config.buffer_km)
    runs = make_runs(labelled.samples, held_out, config.designs, settings)
    print(
        f"{len(labelled)} clear tiles with a reading at {len(stations)} stations, {len(held_out)} of them held out "
        f"({where})",
        flush=True,
    )

    training = ~labelled.samples["site_id"].isin(held_out).to_numpy()
    starts = embed_starts(config, clear, labelled.subset(training))
    joined = "hold_out" in config.designs and config.resolved_combined_starts
    weather_model = keep_weather_model(config, labelled, training) if joined else None
    shared = ingredients(config, clear, labelled, starts.embeddings, weather_model)
    embedded = time.perf_counter()

    entries = method_entries(config, shared.samples, shared.ring_km)
    skipped = {entry.name: reason for entry in entries if (reason := _why_skipped(entry, shared.samples, starts))}
    cells = [
        Cell(run, entry, seed)
        for run in runs
        for entry in entries
        if entry.name not in skipped and entry.runs_in(run.design)
        for seed in range(config.seed, config.seed + (config.seeds if entry.seeded else 1))
    ]
    missing = [cell for cell in cells if not stands(cell, folder / "cells", shared)]
    print(f"{len(cells)} cells, {len(cells) - len(missing)} of them there already", flush=True)
    work = CellWork(folder / "cells", shared, {run.name: run for run in runs})
    seconds = run_timed_tasks("cells", {cell.key: cell.entry.name for cell in missing}, work_on_cell, work, config.jobs)
    computed = time.perf_counter()

    outcomes = collect(cells, folder / "cells", shared.samples)
    scores = score_outcomes(outcomes, config.bootstrap_draws, config.seed)
    table = comparison_table(
        outcomes,
        scores,
        starts.seen_ground,
        tile_side_m(archive.metadata),
        config.interval_level,
        config.bootstrap_draws,
        config.seed,
    )
    differences = comparison_differences(outcomes, scores, pairs(entries))
    heading = [*_heading(config, archive, labelled, where, table), *starts.notes]
    write_report(folder, _with_skipped(table, entries, skipped), differences, outcomes, heading, config, archive)
    print(format_comparison(table))
    for line in heading:
        print(line)
    scored = time.perf_counter()
    for what, value in sorted(seconds.items(), key=lambda item: -item[1])[:8]:
        print(f"  {what}: {value:.0f} s of its cells")
    print(f"starts {embedded - began:.0f} s, cells {computed - embedded:.0f} s, scores {scored - computed:.0f} s")
    print(f"results: {folder}")


def _heading(
    config: CompareConfig, archive: TileArchive, labelled: TileArchive, where: str, table: pd.DataFrame
) -> list[str]:
    """What the data are, the ceiling of real readings, and whatever looks too good."""
    samples = labelled.samples
    lines = [
        f"{config.city}: {len(samples)} tiles, {samples['site_id'].nunique()} stations, "
        f"{samples['local_date'].nunique()} dates; hold-out: {where}.",
        simulated_caveat(archive.metadata.simulated) or "Simulated: nothing.",
        f"Cells: {_cells_machine(config)}.",
    ]
    halves = split_half(samples, config.bootstrap_draws, config.seed)
    if halves["split_half_r"] is not None:
        low, high = halves["split_half_r_ci95"] or (np.nan, np.nan)
        lines.append(
            f"Station anomalies of the first half of the dates correlate at {halves['split_half_r']:.2f} "
            f"[{low:.2f}, {high:.2f}] with those of the second; random halves at {halves['split_half_r_random']:.2f}: "
            f"no static predictor can be expected above {halves['ceiling']:.2f} in spatial r."
        )
    return lines + [f"Too good: {line}" for line in alarms(table, archive.metadata.created_by)]


def _cells_machine(config: CompareConfig) -> str:
    """How the processes that do cells compute."""
    encoders = resolve_precision("auto", config.accelerator)
    precision = "32-true" if encoders == "32-true" else f"32-true (encoders that they train: {encoders})"
    return machine_words({**machine(precision, config.accelerator), "threads": 1})


def _why_skipped(entry: MethodEntry, samples: pd.DataFrame, starts: EmbeddedStarts) -> str | None:
    if entry.start in starts.skipped:
        return starts.skipped[entry.start]
    if (
        entry.family != "place"
        and entry.uses_weather
        and not weather_inputs(samples, np.ones(len(samples), dtype=bool)).names
    ):
        return "the archive holds no temperature, humidity or pressure"
    return None


def _with_skipped(table: pd.DataFrame, entries: list[MethodEntry], skipped: dict[str, str]) -> pd.DataFrame:
    rows = [
        {"design": "hold_out", "method": entry.name, "family": entry.family, "skipped": skipped[entry.name]}
        for entry in entries
        if entry.name in skipped
    ]
    return pd.concat([table.assign(skipped=None), pd.DataFrame(rows)], ignore_index=True) if rows else table
