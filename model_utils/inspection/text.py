"""What an archive holds, in words."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from model_utils.archive.format import ArchiveMetadata, simulated_words

MOST_STATIONS, MOST_SOURCES = 60, 5


def inspection_text(
    metadata: ArchiveMetadata, summary: Mapping[str, Any], stations: pd.DataFrame, max_cloud_fraction: float
) -> str:
    """The table of counts, the report of the preparation where there is one, and a line a station.

    Args:
        metadata: What `archive.json` says.
        summary: What `summarise` says.
        stations: What `by_site` says of the stations, with a column `split`.
        max_cloud_fraction: What the counts of cloudy tiles go by.
    """
    lines = [f"{metadata.city}: what the archive holds", ""]
    pairs = [*_contents(metadata, summary, max_cloud_fraction), *_flags(summary), *_origin(metadata)]
    width = max(len(name) for name, _ in pairs)
    lines += [f"  {name:<{width}}  {value}".rstrip() for name, value in pairs]
    report = metadata.created_by.get("report")
    if report:
        lines += ["", "what the preparation said", ""]
        lines += [f"  {_line(line)}" for line in (report if isinstance(report, list) else [report])]
    if len(stations):
        lines += ["", *_stations(stations)]
    return "\n".join(lines) + "\n"


def counted(number: int, word: str) -> str:
    """'1 station', '1,234 stations'."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _contents(metadata: ArchiveMetadata, summary: Mapping[str, Any], most: float) -> list[tuple[str, str]]:
    size, distance, tiles = metadata.tile_size, metadata.ground_sample_distance_m, summary["tiles"]
    first, last = ("unknown" if pd.isna(summary[key]) else f"{summary[key]:%Y-%m-%d}" for key in ("first", "last"))
    pm25, valid, stations = summary["pm25"], summary["valid"], summary["stations"]
    sites = counted(stations, "station") + ", " + counted(summary["sites"] - stations, "other place")
    clouds = f"{_share(summary['cloudy'], tiles)} with more than {most:.0%} under cloud"
    if unknown := tiles - summary["cloud_known"]:
        clouds += f"; not known of {unknown:,}"
    fractions = f"mean {valid['mean']:.3f}, least {valid['min']:.3f}"
    weather = ", ".join(f"{name} {_share(known, tiles)}" for name, known in summary["weather"].items() if known)
    spread = "" if math.isnan(pm25["std"]) else f"SD {pm25['std']:.1f}, "
    range_ = f"mean {pm25['mean']:.1f}, {spread}{pm25['min']:.1f} to {pm25['max']:.1f} ug/m3"
    where = f", at {counted(summary['labelled_stations'], 'station')} on {counted(summary['labelled_dates'], 'date')}"
    return [
        ("tiles", f"{tiles:,} of {size} x {size} px, {distance:g} m a pixel ({size * distance:g} m a side)"),
        ("bands", ", ".join(metadata.bands)),
        ("scenes", f"{summary['scenes']:,}" if summary["scenes"] else "not named"),
        ("timestamps", f"{summary['timestamps']:,} on {counted(summary['dates'], 'local date')}"),
        ("local dates", f"{first} to {last}"),
        ("sites", f"{summary['sites']:,}: {sites}"),
        ("tiles with a reading", _share(summary["labelled"], tiles) + (where if summary["labelled"] else "")),
        *([("readings set aside", f"{summary['set_aside']:,}")] if summary["set_aside"] else []),
        *([("PM2.5", range_)] if summary["labelled"] else []),
        ("cloudy", clouds if summary["cloud_known"] else "not known"),
        ("valid fraction", fractions if valid["known"] else "not known"),
        ("weather", weather or "none"),
        *_listed("doubts", summary["doubts"]),
    ]


def _flags(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    flags = [
        f"{flag}: {_share(rows, summary['tiles'])}" + (f", {labelled:,} of them with a reading" if rows else "")
        for flag, (rows, labelled) in summary["flags"].items()
    ]
    return _listed("quality flags", flags or ["none"])


def _origin(metadata: ArchiveMetadata) -> list[tuple[str, str]]:
    sources = [
        f"{source.get('path', '?')} (sha256 {str(source.get('sha256', '?'))[:12]})"
        if isinstance(source, dict)
        else str(source)
        for source in metadata.sources[:MOST_SOURCES]
    ]
    left_out = len(metadata.sources) - len(sources)
    sources += [f"and {left_out:,} more, see archive.json"] if left_out else []
    made_by = [str(metadata.created_by.get(key, "")) for key in ("command", "version")]
    scaling = metadata.created_by.get("scaling")
    return [
        ("simulated", simulated_words(metadata.simulated) or "no"),
        ("made by", _line(" ".join(made_by)) or "not known"),
        ("scaling to 8 bits", _line(scaling) if scaling else "not stated"),
        *_listed("sources", [_line(source) for source in sources] or ["none named"]),
        ("licence", _line(metadata.licence) or "none stated"),
        ("attribution", _line(metadata.attribution) or "none stated"),
    ]


def _stations(stations: pd.DataFrame) -> list[str]:
    """A line a station, those with the most labelled days where there are too many."""
    most = stations.sort_values(["labelled_days", "tiles"], ascending=False, kind="stable").index[:MOST_STATIONS]
    shown = stations.loc[most].sort_values("site_name", kind="stable")
    header = ("station", "split", "tiles", "cloudy", "days", "with reading", "mean", "SD", "flags")
    rows = [
        (
            _line(row["site_name"] or row["site_id"]),
            row["split"],
            *(f"{row[name]:,}" for name in ("tiles", "cloudy", "days", "labelled_days")),
            *("-" if math.isnan(row[name]) else f"{row[name]:.1f}" for name in ("mean", "std")),
            row["flags"],
        )
        for row in shown.to_dict("records")
    ]
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if column in (0, 1, 8) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (header, *rows)
    ]
    count = counted(len(stations), "station")
    if len(shown) < len(stations):
        count = f"{len(shown)} of {count}, those with the most readings"
    return [f"{count}; PM2.5 in ug/m3 over the days with a reading", "", *(f"  {line}" for line in lines)]


def _listed(name: str, lines: list[str]) -> list[tuple[str, str]]:
    return [(name if number == 0 else "", line) for number, line in enumerate(lines)]


def _share(part: int, whole: int) -> str:
    return f"{part:,} ({part / whole:.1%})"


def _line(value: Any) -> str:
    """Any JSON value on one line."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return " ".join(text.split())
