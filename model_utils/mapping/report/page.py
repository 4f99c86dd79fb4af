"""Writes the page of a map: templates, tables and packed layers in one file."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from urllib.parse import quote, urlsplit

import pandas as pd
import xarray as xr

from model_utils.archive.format import simulated_words
from model_utils.atomic import write_text
from model_utils.cities import BoundingBox
from model_utils.mapping.report.contents import BaseImage, Scale, date_labels, page_contents
from model_utils.mapping.report.geometry import grid_of

_SHORT = 20  # letters: a number and its interval stay on one line, sentences do not


def write_report(
    dataset: xr.Dataset,
    path: Path,
    stations: pd.DataFrame | None,
    statistics: Sequence[Mapping[str, str]],
    made: Mapping[str, str],
    downloads: Mapping[str, str],
    scale: Scale,
    base_image: BaseImage | None = None,
    box: BoundingBox | None = None,
    notes: Sequence[str] = (),
) -> None:
    """Writes one HTML file that shows a map without a network.

    Args:
        dataset: The map, as `as_dataset` makes it; layers that it lacks are left out of the page.
        path: Of the page.
        stations: site_id, site_name, latitude, longitude, time (index into the map's times), observed, predicted.
        statistics: Rows of a table: column -> text. Columns stand in the order in which they first occur.
        made: How the map was made: what -> text.
        downloads: Label -> path relative to the page's folder.
        scale: Categories of the PM2.5 sub-index.
        base_image: Drawn below the map.
        box: The city's box, drawn as an outline.
        notes: Sentences shown beside the statistics: what the numbers do and do not say.

    Raises:
        InputError: The map has too many cells and dates for a page.
        ValueError: A download is not a relative path, or the scale is none.
    """
    grid = grid_of(dataset)
    contents = page_contents(dataset, grid, stations, scale, base_image, box)
    style, script = _template("page.css"), _template("page.js")
    dates = date_labels(dataset)
    about = [
        str(dataset.attrs.get("city", "")),
        f"{len(dates)} dates from {dates[0]} to {dates[-1]}" if len(dates) > 1 else dates[0],
        _days_in_mean(dataset),
        f"cells of {grid.spacing:g} m",
        simulated_words(str(dataset.attrs.get("simulated", "no"))),
    ]
    parts = {
        "policy": _policy(style, script),
        "title": html.escape(str(dataset.attrs.get("title", "Map of PM2.5"))),
        "about": html.escape(" · ".join(part for part in about if part)),
        "style": style,
        "script": script,
        "data": _json_in_script(contents),
        "statistics": _table(statistics) or "<p>This map came without statistics.</p>",
        "notes": "".join(f"<p>{html.escape(note)}</p>" for note in notes),
        "made": "".join(
            f"<div><dt>{html.escape(what)}</dt><dd>{html.escape(text)}</dd></div>" for what, text in made.items()
        ),
        "downloads": "".join(
            f'<li><a href="{_relative(label, href)}">{html.escape(label)}</a></li>' for label, href in downloads.items()
        )
        or "<li>No files came with this page.</li>",
    }
    # One pass: text that was put in is never read as a template.
    write_text(path, re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _template("page.html")))


def _days_in_mean(dataset: xr.Dataset) -> str:
    """Of how many days the means of a map's periods are, in words; nothing for a map of days."""
    counts = [int(count) for count in str(dataset.attrs.get("days_in_mean", "")).split()]
    if not counts or dataset.attrs.get("period") == "day":
        return ""
    least, most = min(counts), max(counts)
    days = f"{least}" if least == most else f"{least} to {most}"
    return f"mean{'s' * (len(counts) > 1)} of {days} day{'s' * (most > 1)}"


def _template(name: str) -> str:
    return resources.files("model_utils.mapping.report").joinpath(name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Lets the browser run these two texts and nothing else, and ask for nothing."""
    allowed = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)]
    return (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src 'sha256-{allowed[0]}'; script-src 'sha256-{allowed[1]}'"
    )


def _json_in_script(contents: Mapping[str, object]) -> str:
    """JSON that cannot end the element it stands in."""
    text = json.dumps(contents, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def _table(rows: Sequence[Mapping[str, str]]) -> str:
    if not rows:
        return ""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    head = "".join(f'<th scope="col">{html.escape(column)}</th>' for column in columns)
    body = ""
    for row in rows:
        first, *others = (html.escape(str(row.get(column, ""))) for column in columns)
        cells = "".join(f"<td{' class=short' if len(cell) <= _SHORT else ''}>{cell}</td>" for cell in others)
        body += f'<tr><th scope="row">{first}</th>{cells}</tr>'
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _relative(label: str, href: str) -> str:
    parts = urlsplit(href)
    if parts.scheme or parts.netloc or href.startswith(("/", "\\")):
        raise ValueError(f"download {label}: found {href!r}, expected a path relative to the page")
    return html.escape(quote(href))
