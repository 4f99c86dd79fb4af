"""Tables of texts as Markdown, LaTeX and plain text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Block:
    """One table.

    Attributes:
        title: What it shows.
        columns: Names of the columns, that of the rows' names first.
        groups: Heading ('' for none) -> texts indexed by the rows' names; empty where there is no row.
        notes: Sentences below it.
    """

    title: str
    columns: Sequence[str]
    groups: Mapping[str, pd.DataFrame]
    notes: Sequence[str]

    def rows(self) -> Iterator[tuple[str, list[list[str]]]]:
        """Each heading with its rows of texts, the rows' names first."""
        for heading, cells in self.groups.items():
            yield heading, [[str(name), *map(str, row)] for name, *row in cells.itertuples(name=None)]


def as_markdown(texts: Sequence[str], blocks: Sequence[Block], skipped: Sequence[str]) -> str:
    """GitHub's Markdown: texts first, a table a block, the skipped methods last."""
    lines = ["# Comparison", "", *(part for text in texts for part in (_markdown(text), ""))]
    for block in blocks:
        lines += [f"## {_markdown(block.title)}", ""]
        if block.groups:
            lines += [_piped(block.columns), "|" + " --- |" + " ---: |" * (len(block.columns) - 1)]
        for heading, rows in block.rows():
            if heading:
                lines.append(_piped([f"*{_markdown(heading)}*"] + [""] * (len(block.columns) - 1), escape=False))
            lines += [_piped(row) for row in rows]
        lines += [*([""] if block.groups else []), *(part for note in block.notes for part in (_markdown(note), ""))]
    if skipped:
        lines += ["## Skipped", "", *(f"- {_markdown(text)}" for text in skipped), ""]
    return "\n".join(lines)


def as_latex(texts: Sequence[str], blocks: Sequence[Block], skipped: Sequence[str]) -> str:
    r"""A fragment to `\input` that needs booktabs; one tabular a block."""
    lines = ["% needs \\usepackage{booktabs}", r"\begingroup\scriptsize\setlength{\tabcolsep}{3pt}"]
    lines += [_paragraph(text) for text in texts]
    for block in blocks:
        lines.append(_paragraph(block.title, bold=True))
        if block.groups:
            width = len(block.columns)
            lines += [rf"\noindent\begin{{tabular}}{{l{'r' * (width - 1)}}}", r"\toprule", _ampersands(block.columns)]
            for heading, rows in block.rows():
                lines.append(r"\midrule")
                if heading:
                    lines.append(rf"\multicolumn{{{width}}}{{l}}{{\emph{{{latex(heading)}}}}} \\")
                lines += [_ampersands(row) for row in rows]
            lines += [r"\bottomrule", r"\end{tabular}\par\medskip"]
        lines += [_paragraph(note) for note in block.notes]
    if skipped:
        lines += [_paragraph("Skipped", bold=True), *(_paragraph(text) for text in skipped)]
    return "\n".join([*lines, r"\endgroup", ""])


def as_text(blocks: Sequence[Block], skipped: Sequence[str]) -> str:
    """Aligned columns for a terminal, without the groups' headings."""
    lines: list[str] = []
    for block in blocks:
        rows = [list(block.columns), *(row for _, group in block.rows() for row in group)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines += [block.title, ""]
        for first, *others in rows:
            cells = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
            lines.append("  ".join(["", first.ljust(widths[0]), *cells]))
        lines += ["", *(part for note in block.notes for part in (note, ""))]
    return "\n".join([*lines, *(f"skipped: {text}" for text in skipped)]).rstrip()


_LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"<": "$<$", ">": "$>$", "|": "$|$", '"': "''", "µ": r"$\mu$", "²": "$^2$", "³": "$^3$", "°": r"$^\circ$"},
    **{"[": "{[}", "]": "{]}", "*": "{*}", "\u2212": "$-$", "\u2013": "--", "\u2014": "---", "…": r"\ldots{}"},
}
r"""Brackets and stars in braces: after `\\` they would be read as its arguments."""


def latex(text: str) -> str:
    """Text that LaTeX prints as it is; a letter outside Latin-1, which common fonts lack, becomes '?'."""
    parts = re.split(r"(?<!\w)-(?=\.?\d)", " ".join(text.split()))  # a minus before a number
    return "$-$".join("".join(_LATEX.get(c, c if ord(c) < 256 else "?") for c in part) for part in parts)


def _paragraph(text: str, bold: bool = False) -> str:
    weight = r"\bfseries" if bold else r"\mdseries"
    return rf"\noindent{{{weight} {latex(text)}}}\par\smallskip"


def _ampersands(cells: Sequence[str]) -> str:
    return " & ".join(map(latex, cells)) + r" \\"


def _piped(cells: Sequence[str], escape: bool = True) -> str:
    return "| " + " | ".join(map(_markdown, cells) if escape else cells) + " |"


def _markdown(text: str) -> str:
    """Text on one line that Markdown prints as it is; an underscore within a word is one already."""
    return re.sub(r"[\\`*|<$]|(?<!\w)_|_(?!\w)", r"\\\g<0>", " ".join(text.split()))
