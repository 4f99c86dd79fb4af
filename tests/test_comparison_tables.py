"""The tables of a comparison say what its frames hold."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from model_utils.comparison.layout import latex
from model_utils.comparison.tables import format_comparison, write_tables
from model_utils.evaluation.words import interval, number

HEADING = ["Delhi: simulated city, 100% made up", "seed_0 & 1"]
ODD = "50%_of & $x$ | {a} #1 \\b ~c ^d <e> *f* `g`"
"""A name that means something to LaTeX and to Markdown, letter by letter."""


def row(design: str, method: str, family: str, stations: int | None, **values: Any) -> dict[str, Any]:
    r = values.get("spatial_r")
    return {
        "design": design,
        "stations": stations,
        "method": method,
        "family": family,
        "uses_same_day_readings": family == "field",
        "uses_images": family != "reference",
        "transductive": False,
        "trials": 0 if family == "reference" else 12,
        "runs": 60,
        "n_stations": 11,
        "n_samples": 1234,
        "spatial_r_low": None if r is None else r - 0.2,
        "spatial_r_high": None if r is None else r + 0.2,
        **values,
    }


def comparison() -> pd.DataFrame:
    scores = {"spatial_rmse": 9.87, "rmse": 41.26, "nrmse": 0.3849, "temporal_r": 0.871}
    rows = [
        row("hold_out", "ceiling_true_land_use", "ceiling", 24, spatial_r=0.714, **scores),
        row("hold_out", "latitude_longitude", "reference", 24, spatial_r=-0.123, **scores | {"temporal_r": None}),
        row("hold_out", "SimCLR_regular", "start", 24, spatial_r=0.456, transductive=True, **scores),
        row("hold_out", "SimCLR_regular+mean", "field", 24, spatial_r=0.5, coverage=0.904, mean_width=123.45, **scores),
        row("hold_out", ODD, "start", 24, spatial_r=0.3, transductive=None, **scores),
        row("folds", "SimCLR_regular", "start", None, spatial_r=0.2, **scores),
        *(
            row("label_efficiency", "SimCLR_regular", "start", stations, spatial_r=stations / 100)
            for stations in (24, 1, 5)
        ),
        row("label_efficiency", "latitude_longitude", "reference", 24, spatial_r=0.11),
        row("label_efficiency", "same_day_mean", "reference", 24, spatial_r=None),
        {"design": "hold_out", "method": "imagenet", "family": "start", "skipped": "no file & no_network"},
        {"design": "folds", "method": "imagenet", "family": "start", "skipped": "no file & no_network"},
    ]
    return pd.DataFrame(rows).astype({"stations": "Int64"})


def differences() -> pd.DataFrame:
    columns = ["design", "stations", "method", "against", "key", "difference", "low", "high", "p", "p_adjusted", "runs"]
    rows = [
        ("hold_out", 24, ODD, "random_frozen", "spatial_r", 0.204, 0.1, 0.3, 0.0002, 0.0008, 60),
        ("hold_out", 24, "SimCLR_regular", "random_frozen", "rmse", -3.26, -5.0, -1.0, 0.01, 0.049, 60),
        ("hold_out", 24, "SimCLR_regular", "latitude_longitude", "spatial_r", 0.01, -0.2, 0.2, 0.9, 1.0, 60),
        ("folds", 24, "SimCLR_regular", "random_frozen", "spatial_r", 0.1, -0.01, 0.2, 0.05, 0.05, 60),
        ("folds", 24, "SimCLR_regular", "same_day_mean", "spatial_r", np.nan, np.nan, np.nan, np.nan, np.nan, 60),
    ]
    return pd.DataFrame(rows, columns=columns)


def written(folder: Path, table: pd.DataFrame, found: pd.DataFrame) -> tuple[str, str]:
    paths = write_tables(folder, table, found, HEADING)
    names = ["comparison.csv", "comparison.md", "comparison.tex", "differences.csv"]
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in paths) == names
    return (folder / "comparison.md").read_text("utf-8"), (folder / "comparison.tex").read_text("utf-8")


def markdown_tables(text: str) -> list[list[list[str]]]:
    """Tables -> rows -> cells as a Markdown reader shows them."""
    tables: list[list[list[str]]] = []
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type == "table_open":
            tables.append([])
        elif token.type == "tr_open":
            tables[-1].append([])
        elif token.type == "inline" and tables and tables[-1] and token.level > 3:
            tables[-1][-1].append("".join(child.content for child in token.children or []))
    return tables


_PRINTED = {
    **{r"\%": "%", r"\&": "&", r"\$": "$", r"\#": "#", r"\_": "_", r"\{": "{", r"\}": "}"},
    **{r"\textbackslash": "\\", r"\textasciitilde": "~", r"\textasciicircum": "^", r"\mu": "µ"},
    **{r"\emph": "", r"\bfseries ": "", r"\mdseries ": "", r"\noindent": "", r"\par": "", r"\smallskip": ""},
}


def printed(source: str) -> str:
    """What LaTeX prints of simple text; raises where it would stop: unknown command, open brace, stray & or $."""
    out, depth, formula, position = "", 0, False, 0
    while position < len(source):
        command = re.match(r"\\([a-zA-Z]+ ?|.)", source[position:], re.DOTALL)
        character = source[position]
        if command:
            name = command.group().rstrip() if command.group().rstrip() in _PRINTED else command.group()
            out += _PRINTED[name]
            position += len(command.group())
            continue
        if character in "&#_~^%" and not (formula and character in "^_"):
            raise ValueError(f"stray {character} in {source!r}")
        depth += {"{": 1, "}": -1}.get(character, 0)
        formula ^= character == "$"
        assert depth >= 0, f"brace too many in {source!r}"
        assert character.isascii() or ord(character) < 256
        if character == "^":
            position += 1
            out += {"2": "²", "3": "³"}[source[position]]
        elif character not in "{}$":
            out += character
        position += 1
    assert depth == 0
    assert not formula
    return out


def latex_tables(text: str) -> list[list[list[str]]]:
    """Tables -> rows -> cells as LaTeX prints them; checks the grammar of a booktabs tabular on the way."""
    tables = []
    environments = re.findall(r"\\begin\{tabular\}\{(l*r*)\}\n(.*?)\n\\end\{tabular\}", text, re.DOTALL)
    assert text.count(r"\begin{") == text.count(r"\end{") == len(environments)
    for columns, body in environments:
        lines = body.split("\n")
        assert (lines[0], lines[-1]) == (r"\toprule", r"\bottomrule")
        rows = []
        for line in lines[1:-1]:
            if line == r"\midrule":
                continue
            assert line.endswith(r" \\")
            assert not line.lstrip().startswith(("[", "*")), "would be an argument of the row's end before it"
            line = line.removesuffix(r" \\")
            if heading := re.fullmatch(r"\\multicolumn\{(\d+)\}\{l\}\{(.*)\}", line):
                assert int(heading[1]) == len(columns)
                rows.append([printed(heading[2])])
                continue
            rows.append([printed(cell).strip() for cell in re.split(r"(?<!\\)&", line)])
            assert len(rows[-1]) == len(columns)
        tables.append(rows)
    return tables


def test_csv_files_hold_every_column_in_full(tmp_path: Path) -> None:
    table, found = comparison(), differences()
    written(tmp_path, table, found)
    back = pd.read_csv(tmp_path / "comparison.csv")
    assert list(back) == list(table)
    for name in ("spatial_r", "spatial_r_low", "rmse", "stations", "mean_width"):
        assert back[name].to_numpy(float) == pytest.approx(table[name].to_numpy(float, na_value=np.nan), nan_ok=True)
    assert list(back["method"]) == list(table["method"])
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "differences.csv"), found, check_dtype=False)


def test_markdown_and_latex_say_the_same_and_agree_with_the_frame(tmp_path: Path) -> None:
    markdown, tex = written(tmp_path, comparison(), differences())
    tables = markdown_tables(markdown)
    printed_tables = latex_tables(tex)
    assert len(tables) == 4
    filled = [[[cell for cell in cells if cell] if cells[1:] == [""] * (len(cells) - 1) else cells for cells in rows]
              for rows in tables]  # fmt: skip
    assert filled == printed_tables
    hold_out = tables[0]
    assert [cells[0] for cells in hold_out] == [
        "method",
        *("references", "latitude_longitude"),
        *("image encoders", "SimCLR_regular", ODD),
        *("same-day field plus image", "SimCLR_regular+mean"),
        *("ceilings", "ceiling_true_land_use"),
    ]
    columns = ["training stations", "spatial r [95 %]", "spatial RMSE", "RMSE", "NRMSE"]
    columns += ["RMSE, months", "r, months", "RMSE, seasons", "r, seasons", "temporal r"]
    columns += ["interval coverage", "interval width", "n", "same-day", "settings"]
    assert hold_out[0][1:] == columns
    rows = {cells[0]: dict(zip(columns, cells[1:], strict=True)) for cells in hold_out}
    assert rows["latitude_longitude"] == {
        "training stations": "24",
        "spatial r [95 %]": "-0.12 [-0.32, 0.08]",
        "spatial RMSE": "9.9",
        "RMSE": "41.3",
        "NRMSE": "38.5%",
        **dict.fromkeys(("RMSE, months", "r, months", "RMSE, seasons", "r, seasons"), "-"),
        "temporal r": "-",
        "interval coverage": "-",
        "interval width": "-",
        "n": "11 / 1,234 / 60",
        "same-day": "no",
        "settings": "0",
    }
    field = rows["SimCLR_regular+mean"]
    assert (field["interval coverage"], field["interval width"], field["same-day"]) == ("90.4%", "123.5", "yes")
    folds = tables[2]
    assert "interval coverage" not in folds[0], "no method of this design has intervals"
    assert folds[2][1] == "-"


def test_label_efficiency_is_a_matrix_in_the_order_of_the_counts(tmp_path: Path) -> None:
    markdown, _ = written(tmp_path, comparison(), differences())
    matrix = markdown_tables(markdown)[1]
    assert matrix[0] == ["method", "1", "5", "24 (all)", "same-day"]
    rows = {cells[0]: cells[1:] for cells in matrix}
    assert rows["SimCLR_regular"] == ["0.01 [-0.19, 0.21]", "0.05 [-0.15, 0.25]", "0.24 [0.04, 0.44]", "no"]
    assert rows["latitude_longitude"] == ["-", "-", "0.11 [-0.09, 0.31]", "no"]
    assert rows["same_day_mean"][:3] == ["-", "-", "-"]


def test_what_the_data_are_comes_first_and_what_was_skipped_last(tmp_path: Path) -> None:
    markdown, tex = written(tmp_path, comparison(), differences())
    lines = [line for line in markdown.splitlines() if line]
    assert lines[1:3] == HEADING
    assert lines[-2:] == ["## Skipped", "- imagenet (hold out, folds): no file & no_network"]
    texts = [printed(line) for line in tex.splitlines() if line.startswith(r"\noindent{")]
    assert texts[:2] == HEADING
    assert texts[-2:] == ["Skipped", "imagenet (hold out, folds): no file & no_network"]
    assert "Pre-trained with images of test stations (transductive): SimCLR_regular." in texts
    (unsaid,) = {text for text in texts if text.startswith("Weights that do not say")}
    assert unsaid.endswith(f": {ODD}.")


def test_real_differences_are_listed_and_all_are_counted(tmp_path: Path) -> None:
    markdown, _ = written(tmp_path, comparison(), differences())
    (real,) = [table for table in markdown_tables(markdown) if "difference [95 %]" in table[0]]
    assert real[1:] == [
        ["spatial r", *[""] * 6],
        [ODD, "random_frozen", "24", "+0.20 [+0.10, +0.30]", "<0.001", "<0.001", "60"],
        ["RMSE (µg/m³)", *[""] * 6],
        ["SimCLR_regular", "random_frozen", "24", "-3.3 [-5.0, -1.0]", "0.010", "0.049", "60"],
    ]
    assert "Differences tested (method - against): 4, of which 2 real at 95 % after Holm's correction" in markdown
    assert "1 could not be tested." in markdown


@pytest.mark.parametrize(
    ("table", "found"),
    [
        (comparison(), pd.DataFrame()),
        (comparison(), differences().iloc[:0]),
        (comparison().iloc[:1], differences().iloc[:1]),
        (comparison()[comparison()["skipped"].notna()], differences().iloc[2:]),
        (comparison().drop(columns="skipped").iloc[5:6], differences().iloc[4:]),
        (comparison().assign(spatial_r=np.nan, rmse=pd.NA, trials=np.nan, uses_same_day_readings=None), differences()),
    ],
    ids=["no frame", "no difference", "one row", "all skipped", "one design", "all undefined"],
)
def test_whatever_there_is_is_written(table: pd.DataFrame, found: pd.DataFrame, tmp_path: Path) -> None:
    markdown, tex = written(tmp_path, table, found)
    assert len(markdown_tables(markdown)) == len(latex_tables(tex))
    assert re.search(r"\b(nan|None)\b", markdown + tex + format_comparison(table)) is None
    assert "<NA>" not in markdown + tex + format_comparison(table)
    if not len(found):
        assert "No difference between methods was tested." in markdown


def test_terminal_lines_are_aligned_and_name_every_method() -> None:
    text = format_comparison(comparison())
    blocks = text.split("\n\n")
    rows = [line for line in blocks[1].splitlines() if line]
    assert len({len(line) for line in rows}) == 1
    assert rows[1].split() == ["latitude_longitude", "-0.12", "[-0.32,", "0.08]", "41.3", "38.5%", "-", "no", "0"]
    assert all(method in text for method in comparison()["method"])
    assert "skipped: imagenet (hold out, folds): no file & no_network" in text
    matrix = next(block for block in blocks if "24 (all)" in block).splitlines()
    assert matrix[-1].split() == ["SimCLR_regular", "0.01", "0.05", "0.24", "no"]


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30))
def test_any_text_is_printed_by_latex_as_it_is(text: str) -> None:
    expected = " ".join(text.split()).replace('"', "''")
    assert printed(latex(text)) == expected


def test_latex_knows_the_letters_of_units_and_none_that_fonts_lack() -> None:
    assert latex("-0.5 µg/m³, SimCLR-2 [-.1]") == r"$-$0.5 $\mu$g/m$^3$, SimCLR-2 {[}$-$.1{]}"
    assert latex("万 é") == "? é"


def test_numbers_have_one_format_a_score() -> None:
    assert [number(key, 0.12345) for key in ("spatial_r", "nrmse", "rmse")] == ["0.12", "12.3%", "0.1"]
    assert [number("spatial_r", value) for value in (None, np.nan, pd.NA, -0.001, -0.006)] == [*"---", "0.00", "-0.01"]
    assert interval("rmse", 1.0, -2.0, 4.0, signed=True) == "+1.0 [-2.0, +4.0]"
    assert interval("rmse", 1.0, np.nan, 4.0) == "1.0"


def test_a_failed_write_leaves_the_old_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, comparison(), differences())
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def broken(*_: Any, **__: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(pd.DataFrame, "to_csv", broken)
    with pytest.raises(OSError, match="disk full"):
        write_tables(tmp_path, comparison().iloc[:1], differences(), [])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
