"""The tables of a comparison: for machines, for people, for a paper."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from model_utils import atomic
from model_utils.comparison.layout import Block, as_latex, as_markdown, as_text
from model_utils.evaluation.words import DESIGNS, FAMILIES, SCORES, SIGNIFICANT, interval, methods_shown, number

Row = Mapping[Hashable, Any]

LEGEND = (
    "spatial r: correlation of station anomalies from the same-day mean; it does not see the size of what is "
    "predicted, spatial RMSE does. temporal r: median correlation within a station, of fits that saw no reading of the "
    "date. RMSE: on dates that other stations were learnt from, which a method can recognise; RMSE, new dates: of fits "
    "that saw no reading of the date. Errors and widths in µg/m³; [95 %] intervals, for one pre-training: another seed "
    "of it would give another encoder; '-' where a score is not defined. Same-day: reads training stations on the day "
    "it predicts. Settings: how many were tried on validation stations. n: test stations / samples / runs."
)


def write_tables(folder: Path, table: pd.DataFrame, differences: pd.DataFrame, heading: Sequence[str]) -> list[Path]:
    r"""Writes `comparison.csv`, `differences.csv` (every column), `comparison.md` and `comparison.tex`.

    The LaTeX file is a fragment to `\input`; it needs the package booktabs only.

    Args:
        folder: Where they go.
        table: One row per (design, stations, method), as `pm25 compare` makes it; a skipped method's row has only
            design, method, family and the reason (`skipped`).
        differences: One row per (design, stations, method, against, key): difference (method - against), low, high,
            p, p_adjusted (Holm 1979, within a design and score), runs; may be empty.
        heading: What the data are, a line each, printed first.

    Returns:
        The four files.
    """
    texts = [*heading, LEGEND]
    blocks = [*(_block(table, design) for design in _designs(table)), *_real_differences(differences)]
    skipped = _skipped(table)
    paths = [folder / name for name in ("comparison.csv", "differences.csv", "comparison.md", "comparison.tex")]
    for path, frame in zip(paths[:2], (table, differences), strict=True):
        with atomic.replacing(path) as temporary:
            frame.to_csv(temporary, index=False)
    atomic.write_text(paths[2], as_markdown(texts, blocks, skipped))
    atomic.write_text(paths[3], as_latex(texts, blocks, skipped))
    return paths


def format_comparison(table: pd.DataFrame) -> str:
    """The few columns that fit a terminal, a block a design, and what was skipped.

    Args:
        table: As for `write_tables`.
    """
    return as_text([_block(table, design, compact=True) for design in _designs(table)], _skipped(table))


def _score(key: str) -> Callable[[Row], str]:
    return lambda row: number(key, row.get(key))


def _scored(row: Row, key: str) -> str:
    return interval(key, row.get(key), row.get(f"{key}_low"), row.get(f"{key}_high"))


def _count(value: Any) -> str:
    return "-" if pd.isna(value) else f"{int(value):,}"


def _yes_no(value: Any) -> str:
    return "-" if pd.isna(value) else "yes" if value else "no"


_COLUMNS: Mapping[str, Callable[[Row], str]] = {
    "training stations": lambda row: _count(row.get("stations")),
    "spatial r [95 %]": lambda row: _scored(row, "spatial_r"),
    "spatial RMSE": _score("spatial_rmse"),
    "RMSE": _score("rmse"),
    "RMSE, new dates": _score("rmse_new_dates"),
    "NRMSE": _score("nrmse"),
    "RMSE, months": _score("period_rmse_month"),
    "r, months": _score("period_r_month"),
    "RMSE, seasons": _score("period_rmse_season"),
    "r, seasons": _score("period_r_season"),
    "temporal r": _score("temporal_r"),
    "interval coverage": _score("coverage"),
    "interval width": _score("mean_width"),
    "n": lambda row: " / ".join(_count(row.get(name)) for name in ("n_stations", "n_samples", "runs")),
    "same-day": lambda row: _yes_no(row.get("uses_same_day_readings")),
    "settings": lambda row: _count(row.get("trials")),
}
_NOT_COMPACT = (
    *("training stations", "spatial RMSE", "RMSE, months", "r, months", "RMSE, seasons", "r, seasons"),
    *("interval coverage", "interval width", "n"),
)
_WHERE_PRESENT = ("RMSE, new dates", "interval coverage", "interval width")


def _designs(table: pd.DataFrame) -> list[str]:
    """Designs with anything to show, in the order of `DESIGNS`, then any other."""
    there = [design for design in table["design"].dropna().unique() if len(methods_shown(table, design))]
    return [design for design in DESIGNS if design in there] + [design for design in there if design not in DESIGNS]


def _block(table: pd.DataFrame, design: str, compact: bool = False) -> Block:
    """The rows of one design; a matrix of methods and numbers of stations for label efficiency."""
    rows = methods_shown(table, design)
    cells = _matrix(rows, compact) if design == "label_efficiency" else _cells(rows, compact)
    groups = {
        FAMILIES.get(family, str(family)): cells.loc[rows["method"][rows["family"] == family].unique()]
        for family in rows["family"].unique()
    }
    notes = [
        f"{words}: {', '.join(methods)}."
        for words, told in (
            ("Pre-trained with images of test stations (transductive)", True),
            ("Weights that do not say whether they were pre-trained with images of test stations", None),
        )
        if (methods := _transductive(rows, told))
    ]
    return Block(DESIGNS.get(design, design.replace("_", " ")), ["method", *cells.columns], groups, notes)


def _cells(rows: pd.DataFrame, compact: bool) -> pd.DataFrame:
    """One row a method, or a method and number of training stations; indexed by method."""
    records = rows.to_dict("records")
    cells = pd.DataFrame(
        {
            name: [cell(row) for row in records]
            for name, cell in _COLUMNS.items()
            if not (compact and name in _NOT_COMPACT)
        },
        index=rows["method"].to_numpy(),
    )
    return cells.drop(columns=[name for name in _WHERE_PRESENT if name in cells and cells[name].eq("-").all()])


def _transductive(rows: pd.DataFrame, told: bool | None) -> list[str]:
    """Methods on images that saw those of test stations, or (None) do not say so."""
    if not {"transductive", "uses_images"} <= set(rows):
        return []
    said = rows["transductive"].isna() if told is None else rows["transductive"].eq(told).fillna(False)
    return list(rows["method"][said.astype(bool) & rows["uses_images"].eq(True).fillna(False)].unique())


def _matrix(rows: pd.DataFrame, compact: bool) -> pd.DataFrame:
    """Method x number of training stations; the most are all there are."""
    counts = sorted(rows["stations"].dropna().astype(int).unique())
    names = {count: f"{count}{' (all)' if count == counts[-1] else ''}" for count in counts}
    cells = pd.DataFrame("-", index=rows["method"].unique(), columns=list(names.values()), dtype=object)
    same_day = {}
    for row in rows.to_dict("records"):
        same_day[row["method"]] = _yes_no(row.get("uses_same_day_readings"))
        if not pd.isna(row["stations"]):
            text = number("spatial_r", row.get("spatial_r")) if compact else _scored(row, "spatial_r")
            cells.loc[row["method"], names[int(row["stations"])]] = text
    return cells.assign(**{"same-day": pd.Series(same_day)})


def _real_differences(differences: pd.DataFrame) -> list[Block]:
    """A block a design with a real difference, by score; the last block says how many were tested."""
    tested = differences.dropna(subset="p_adjusted") if len(differences) else differences
    real = tested[tested["p_adjusted"] < SIGNIFICANT] if len(tested) else tested
    said = "No difference between methods was tested."
    if len(tested):
        said = (
            f"Differences tested (method - against): {len(tested):,}, of which {len(real):,} real at 95 % after Holm's "
            "correction within each design, number of stations and score; differences.csv has all, real or not."
        )
    if untested := len(differences) - len(tested):
        said += f" {untested:,} could not be tested."
    blocks = []
    for design in real["design"].unique() if len(real) else []:
        found = real[real["design"] == design]
        groups = {SCORES.get(key, key): _difference_cells(found[found["key"] == key]) for key in found["key"].unique()}
        title = f"Real at 95 % after Holm's correction: {DESIGNS.get(design, design)}"
        blocks.append(Block(title, ["method", *next(iter(groups.values())).columns], groups, []))
    return [*blocks, Block("Differences tested", [], {}, [said])]


def _difference_cells(rows: pd.DataFrame) -> pd.DataFrame:
    cells = [
        {
            "against": row["against"],
            "training stations": _count(row["stations"]),
            "difference [95 %]": interval(row["key"], row["difference"], row["low"], row["high"], signed=True),
            "p": _probability(row["p"]),
            "p (Holm)": _probability(row["p_adjusted"]),
            "runs": _count(row["runs"]),
        }
        for row in rows.to_dict("records")
    ]
    return pd.DataFrame(cells, index=rows["method"].to_numpy())


def _probability(value: Any) -> str:
    return "-" if pd.isna(value) else "<0.001" if value < 0.001 else f"{value:.3f}"


def _skipped(table: pd.DataFrame) -> list[str]:
    """'method (designs): reason', once for each method and reason."""
    if "skipped" not in table:
        return []
    reasons: dict[tuple[str, str], list[str]] = {}
    for row in table.dropna(subset="skipped").to_dict("records"):
        reasons.setdefault((row["method"], row["skipped"]), []).append(row["design"].replace("_", " "))
    return [f"{method} ({', '.join(designs)}): {reason}" for (method, reason), designs in reasons.items()]
