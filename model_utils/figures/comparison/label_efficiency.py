"""How many stations a method needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from model_utils.evaluation.words import FAMILIES, LOWER_IS_BETTER, SCORES, methods_shown
from model_utils.figures.methods import method_colour, method_marker, method_name, numbers
from model_utils.figures.style import QUIET, label, mark_simulated, new_figure

_NOT_LEARNT = ("reference", "ceiling")
_SHARED: dict[str, dict[str, Any]] = {
    "untrained encoder": {"color": "#222222", "linewidth": 1.0, "zorder": 2},
    "best reference with same-day readings": {"linestyle": "--", "linewidth": 1.1, "zorder": 2},
    "best reference without same-day readings": {"linewidth": 1.1, "zorder": 2},
    "best ceiling": {"linewidth": 2.2, "alpha": 0.5, "zorder": 1.5},
}
"""What every panel shows and the legend names; without a colour here they have the method's."""

_FAINT: dict[str, Any] = {"color": "#d0d0d0", "linewidth": 0.7, "zorder": 1}
_MOST_COLUMNS, _PANEL, _NARROW, _WIDE = 6, 2.7, 5.0, 8.0  # panels; inches of a panel and of the figure
_SIZE = 7.5  # points: the figure is read 8 inches wide
_CAPTION = (
    "Each panel: one learnt method with its 95 % interval; hollow markers: it uses same-day readings. "
    "Every panel repeats the lines below, the best chosen with all stations."
)


def draw_label_efficiency(table: pd.DataFrame, key: str = "spatial_r", simulated: str = "no") -> Figure:
    """Draws a score over the number of training stations, a panel for each learnt method, by family.

    A panel has its method's curve, with hollow markers where it uses same-day readings, and its 95 % interval as a
    band. All panels have the untrained encoder (dark), the best reference with same-day readings (dashed) and without,
    and the best ceiling, by the score with the most stations; the other references and ceilings are faint.

    Args:
        table: Rows of the design `label_efficiency`: stations, method, family, uses_same_day_readings, `<key>`,
            `<key>_low`, `<key>_high`; other designs and skipped methods are left out.
        key: The score.
        simulated: Which part of the data is simulated, as `archive.json` says it.
    """
    rows = methods_shown(table, "label_efficiency").dropna(subset="stations")
    family_of = rows.drop_duplicates("method").set_index("method")["family"]
    learnt = family_of[~family_of.isin(_NOT_LEARNT)]
    families = {str(family): list(learnt.index[learnt == family]) for family in learnt.unique()}
    figure, panels = _empty_panels(families or {"no learnt method": [""]}, SCORES.get(key, key))
    curves = {str(method): curve.sort_values("stations") for method, curve in rows.groupby("method", sort=False)}
    curves = {method: curve for method, curve in curves.items() if np.isfinite(numbers(curve, key)).any()}
    shared = _shared(rows, key)
    looks = {method: {"color": method_colour(method)} | _SHARED[role] for method, role in shared.items()}
    looks |= {method: _FAINT for method in curves if method not in learnt and method not in shared}
    for panel, axes in panels.items():
        for method, look in looks.items():
            if method != panel:
                axes.plot(numbers(curves[method], "stations"), numbers(curves[method], key), label=method, **look)
        if panel in curves:
            _draw_learnt(axes, curves[panel], key)
        elif panel:
            axes.set_title(f"{axes.get_title(loc='left')}:\nnot defined", fontsize=_SIZE, loc="left")
    first = next(iter(panels.values()))
    counts = sorted(rows["stations"].astype(int).unique())
    first.set_xticks(counts, count_names(counts))
    first.locator_params(axis="y", nbins=6)
    if first.get_ylim()[0] < 0 < first.get_ylim()[1]:
        for axes in panels.values():
            axes.axhline(0, color=QUIET, linewidth=0.5, zorder=0)
    absent = [method_name(method) for method in family_of.index if method not in curves and method not in learnt]
    _add_legend(figure, shared, looks, f"{_CAPTION} Not defined: {', '.join(absent)}." if absent else _CAPTION)
    mark_simulated(figure, simulated)
    return figure


def columns_of_panels(sizes: Sequence[int]) -> int:
    """The fewest columns that break families of these sizes into the fewest lines."""
    return min(range(1, _MOST_COLUMNS + 1), key=lambda columns: sum(-(-size // columns) for size in sizes))


def count_names(counts: Sequence[int]) -> list[str]:
    """Labels of ascending numbers of stations: the last says that it is all; '' where the next label is too near."""
    names: list[str] = []
    next_named = np.inf
    for count in reversed(counts):
        has_room = next_named - count > 0.14 * (counts[-1] - counts[0])
        names.append("" if not has_room else f"{count}" if names else f"{count}\n(all)")
        next_named = count if has_room else next_named
    return names[::-1]


def _empty_panels(families: Mapping[str, Sequence[str]], score: str) -> tuple[Figure, dict[str, Axes]]:
    """Lays out a titled panel for each method, on common axes, under its family's heading."""
    columns = columns_of_panels([len(methods) for methods in families.values()])
    lines = [-(-len(methods) // columns) for methods in families.values()]
    width = min(max(columns * _PANEL, _NARROW), _WIDE)
    heights = [0.55 + count * max(1.7, 0.6 * width / columns) for count in lines]
    figure = new_figure(width, sum(heights) + (1.3 if width == _WIDE else 2.0))
    parts: Any = figure.subfigures(len(families), 1, squeeze=False, height_ratios=heights)[:, 0]
    panels: dict[str, Axes] = {}
    for part, count, (family, methods) in zip(parts, lines, families.items(), strict=True):
        part.suptitle(FAMILIES.get(family, family), x=0.01, ha="left", fontsize=9, fontweight="bold")
        for number, axes in enumerate(part.subplots(count, columns, squeeze=False).flat):
            if panels:
                axes.sharex(next(iter(panels.values())))
                axes.sharey(next(iter(panels.values())))
            label(axes, "")
            lowest, leftmost = number + columns >= len(methods), number % columns == 0
            axes.tick_params(labelsize=_SIZE, labelbottom=lowest, labelleft=leftmost)
            if number >= len(methods):  # unseen, it keeps the columns as wide as in the other families
                axes.tick_params(color="none", labelcolor="none")
                axes.spines[:].set_color("none")
                continue
            axes.set_xlabel("training stations" if lowest else "", fontsize=_SIZE)
            axes.set_ylabel(fill(score, 20) if leftmost else "", fontsize=_SIZE)
            name = method_name(methods[number]).replace("+ ", "+\N{NO-BREAK SPACE}")
            axes.set_title(fill(name, int(14 * width / columns)), fontsize=_SIZE, loc="left")
            panels[methods[number]] = axes
    return figure, panels


def _shared(rows: pd.DataFrame, key: str) -> dict[str, str]:
    """Method -> which of `_SHARED` it is."""
    last = rows[rows["stations"] == rows["stations"].max()]
    last = last.assign(value=numbers(last, key)).dropna(subset="value")
    last = last.sort_values("value", ascending=key in LOWER_IS_BETTER, kind="stable")
    reference, same_day = last["family"] == "reference", numbers(last, "uses_same_day_readings") == 1
    ranked = (
        last["method"] == "random_frozen",
        reference & same_day,
        reference & ~same_day,
        last["family"] == "ceiling",
    )
    return {best: role for role, of in zip(_SHARED, ranked, strict=True) for best in last["method"][of].head(1)}


def _draw_learnt(axes: Axes, curve: pd.DataFrame, key: str) -> None:
    method = curve["method"].iloc[0]
    x, y, low, high = (numbers(curve, name) for name in ("stations", key, f"{key}_low", f"{key}_high"))
    colour, marker = method_colour(method), method_marker(method)
    face = "white" if (numbers(curve, "uses_same_day_readings") == 1).any() else colour
    axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0, zorder=0.5)
    axes.plot(x, y, color=colour, marker=marker, markersize=4, markerfacecolor=face, linewidth=1.7, label=method)


def _add_legend(figure: Figure, shared: Mapping[str, str], looks: Mapping[str, dict[str, Any]], caption: str) -> None:
    """Names above the panels what all of them show."""
    entries = {f"{method_name(method)}: {role}": looks[method] for method, role in shared.items()}
    others = [method_name(method).replace(" ", "\N{NO-BREAK SPACE}") for method in looks if method not in shared]
    entries |= {fill(f"others: {', '.join(others)}", 64): _FAINT} if others else {}
    lines, width = [Line2D([], [], **look) for look in entries.values()], figure.get_size_inches()[0]
    title: Any = {"title": fill(caption, int(17 * width)), "title_fontsize": _SIZE, "alignment": "left"}
    columns = 2 if width == _WIDE else 1
    figure.legend(lines, list(entries), loc="outside upper left", ncols=columns, fontsize=_SIZE, frameon=False, **title)
