"""Design `truth`: runs it, and writes its tables and its figure."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from model_utils import atomic
from model_utils.comparison.config import CompareConfig
from model_utils.comparison.hidden_truth.draws import TruthWork, truth_tasks, work_on_truth
from model_utils.comparison.hidden_truth.table import truth_differences, truth_pairs, truth_table
from model_utils.comparison.hidden_truth.worlds import truth_world
from model_utils.comparison.timed_tasks import run_timed_tasks
from model_utils.evaluation.words import interval
from model_utils.figures.comparison.hidden_truth import draw_hidden_truth
from model_utils.figures.saving import save_figure
from model_utils.project import archive_folder

FIGURE = "truth"
"""What the figure's files are called."""


def compare_with_truth(config: CompareConfig, folder: Path) -> tuple[pd.DataFrame, dict[str, float]]:
    """Judges place effects by the hidden truth; what stands is not computed again.

    Args:
        config: Of the comparison.
        folder: Of its results: gets truth.csv, truth_differences.csv, truth.md and figures/truth.*.

    Returns:
        The table, and seconds by method.

    Raises:
        InputError: An archive holds no hidden truth.
    """
    own = archive_folder(config.root, config.city)
    archives = dict.fromkeys(map(Path.resolve, (own, *config.truth_archives)))
    worlds = [truth_world(archive, config) for archive in archives]
    entries = {name: entry for world in worlds for name, entry in world.entries.items()}
    seeds = range(config.seed, config.seed + config.seeds)
    tasks = truth_tasks(worlds, config.truth_counts, seeds)
    work = TruthWork(folder / "truth", worlds, config.truth_draws)
    missing = {key: method for key, method in tasks.items() if not work.stands(key)}
    standing = len(tasks) - len(missing)
    print(f"hidden truth: {len(tasks)} tasks in {len(worlds)} cities, {standing} of them done already", flush=True)
    seconds = run_timed_tasks("hidden truth", missing, work_on_truth, work, config.jobs)

    draws = pd.concat([pd.read_parquet(work.path(key)) for key in tasks], ignore_index=True)
    table = truth_table(draws, entries)
    differences = truth_differences(draws, truth_pairs(entries))
    for name, frame in (("truth.csv", table), ("truth_differences.csv", differences)):
        with atomic.replacing(folder / name) as temporary:
            frame.to_csv(temporary, index=False)
    text = truth_text(table, differences)
    atomic.write_text(folder / "truth.md", text)
    print(text)
    save_figure(draw_hidden_truth(table), folder / "figures", FIGURE)
    return table, seconds


def truth_text(table: pd.DataFrame, differences: pd.DataFrame) -> str:
    """The tables as Markdown: r by number of training sites, then the differences whose interval leaves out 0."""
    counts = sorted(table["stations"].unique())
    over = "cities" if table["cities"].max() > 1 else "draws of training sites"
    lines = ["# Hidden truth", ""]
    for key, title in (
        ("truth_r_seen", "r with the part of the place effect that land use explains: all that an image can show"),
        ("truth_r", "r with the whole place effect"),
        ("truth_rmse", "RMSE of the place effect, log units"),
        ("within_one_sd", "Share of whole place effects within one predicted standard deviation (normal: 68 %)"),
    ):
        lines += [f"## {title}", "", f"Mean [95 % over {over}] by number of training sites.", ""]
        lines += ["| method | " + " | ".join(map(str, counts)) + " |", "| --- |" + " ---: |" * len(counts)]
        for method, rows in table.groupby("method", sort=False):
            by_count = {row["stations"]: row for row in rows.to_dict("records")}
            cells = [
                interval(key, by_count[count][key], by_count[count][f"{key}_low"], by_count[count][f"{key}_high"])
                if count in by_count
                else "-"
                for count in counts
            ]
            if set(cells) != {"-"}:
                lines.append(f"| {method} | " + " | ".join(cells) + " |")
        lines.append("")
    real = differences[(differences["low"] > 0) | (differences["high"] < 0)] if len(differences) else differences
    lines += [f"## Differences whose interval leaves out 0 ({len(real)} of {len(differences)}, not corrected)", ""]
    lines += ["| method | against | score | sites | difference |", "| --- | --- | --- | ---: | ---: |"]
    lines += [
        f"| {row['method']} | {row['against']} | {row['key']} | {row['stations']} | "
        f"{interval(row['key'], row['difference'], row['low'], row['high'], signed=True)} |"
        for row in real.to_dict("records")
    ]
    return "\n".join([*lines, ""])
