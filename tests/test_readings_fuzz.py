"""Damaged readings in the layout of every format: the rows that are whole come out right, or one line refuses them."""

from __future__ import annotations

import json
import math
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from format_tables import (
    Readings,
    Written,
    as_answers,
    as_archive,
    as_text,
    as_workbook,
    outcome,
    period_of,
    stations_of,
    times_from,
    with_columns_mixed,
    with_more_columns,
    written,
)
from fuzzing import NASTY, TimedOutError, damaged, damaged_json, damaged_table

from model_utils.ingest.readings.formats.specification import Format, shipped_formats

TABLES = [format for format in shipped_formats().values() if not format.recognised_by.answers]
SECONDS = 10
PER_FORMAT = {True: 100, False: 6}
"""Cases of each of the formats: the slow tests run over 2,000 together."""


def readings_of(format: Format, chance: Random) -> Readings:
    times = times_from(format, "2019-12-30 00:00", 5 if period_of(format) == "day" else 26)
    both = [(station, time) for station in stations_of(format) for time in times]
    return {key: round(chance.uniform(0, 500), 1) if chance.random() > 0.1 else None for key in both}


@contextmanager
def _in_time() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimedOutError(f"over {SECONDS} s")

    previous = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def with_cells_changed(file: Written, chance: Random) -> tuple[Written, set[tuple[str, str]]]:
    """Some cells of some rows are others; and whose and when these rows were."""
    rows, touched = [list(row) for row in file.rows], set()
    for _ in range(chance.choice((1, 1, 2, 5))):
        at = chance.randrange(len(rows))
        rows[at][chance.randrange(len(rows[at]))] = chance.choice([*NASTY, chance.choice(chance.choice(file.rows))])
        touched.add(file.of[at])
    return replace(file, rows=rows), touched


def with_rows_moved(file: Written, chance: Random) -> Written:
    order = list(range(len(file.rows)))
    chance.shuffle(order)
    return replace(file, rows=[file.rows[at] for at in order], of=[file.of[at] for at in order])


def one_case(folder: Path, format: Format, chance: Random) -> None:
    """Writes a file that is damaged in some way, reads it, and judges what comes out."""
    readings = readings_of(format, chance)
    file, *others = written(format, readings)
    mine = {key: value for key, value in readings.items() if not others or key in file.of}
    touched: set[tuple[str, str]] | None = set()  # None: nobody can say what is right
    if chance.random() < 0.3:
        file = with_columns_mixed(format, file, chance)
    if chance.random() < 0.2:
        file = with_rows_moved(file, chance)
    if chance.random() < 0.2 and format.station:
        file = with_more_columns(file)
    kind = chance.choice(("cells", "cells", "table", "bytes", "bytes", "workbook", "archive"))
    suffix = ".csv"
    if kind == "cells":
        file, touched = with_cells_changed(file, chance)
    delimiter, ends = chance.choice(",\t"), chance.choice(("\n", "\r\n"))
    content = as_text(file, delimiter, ends).encode(chance.choice(("utf-8", "utf-8-sig", "utf-16")), "replace")
    if kind == "table":
        content, touched = damaged_table(as_text(file), chance).encode("utf-8", "replace"), None
    elif kind == "bytes":
        content, touched = damaged(content, chance, chance.choice((None, 300))), None
    elif kind == "workbook":
        content, suffix = as_workbook(file), ".xlsx"
    elif kind == "archive":
        content, suffix = as_archive(f"{file.name}.csv", content), ".zip"
    if kind in ("workbook", "archive") and chance.random() < 0.7:
        content, touched = damaged(content, chance, chance.choice((None, 300))), None
    path = folder / f"{file.name}{suffix}"
    path.write_bytes(content)
    try:
        with _in_time():
            found = outcome(path)
    finally:
        path.unlink()
    if isinstance(found, str):
        assert "\n" not in found
        assert len(found) < 1100
        assert touched is None or touched, found  # what is not damaged is not refused
        return
    assert found
    assert all(value is None or math.isfinite(value) for values in found.values() for value in values)
    if touched is not None:
        whole = {key: value for key, value in mine.items() if key not in touched and ("", key[1]) not in touched}
        for key, value in whole.items():
            values = found.get(key, [])
            assert any(value == each or (value and each and abs(value - each) < 1e-6) for each in values), (key, value)


def check(format: Format, folder: Path, cases: int) -> None:
    wrong = []
    for seed in range(cases):
        try:
            one_case(folder, format, Random(f"{format.name} {seed}"))
        except (Exception, TimedOutError) as error:
            wrong.append(f"seed {seed}: {type(error).__name__}: {str(error)[:300]}")
    assert not wrong, f"{len(wrong)} of {cases} cases\n" + "\n".join(wrong[:20])


@pytest.mark.parametrize("format", TABLES, ids=lambda format: format.name)
def test_damaged_tables(tmp_path: Path, format: Format) -> None:
    check(format, tmp_path, PER_FORMAT[False])


@pytest.mark.slow
@pytest.mark.parametrize("format", TABLES, ids=lambda format: format.name)
def test_two_thousand_damaged_tables(tmp_path: Path, format: Format) -> None:
    assert PER_FORMAT[True] * len(TABLES) >= 2000
    check(format, tmp_path, PER_FORMAT[True])


def test_damaged_answers(tmp_path: Path) -> None:
    format = shipped_formats()["openaq-json"]
    for seed in range(60):
        chance = Random(seed)
        hours = {("7", time): 5.0 for time in times_from(format, "2019-12-30 00:00", 5)}
        text = json.dumps(damaged_json(json.loads(as_answers(hours)), chance))
        (tmp_path / "a.json").write_text(text)
        with _in_time():
            found = outcome(tmp_path / "a.json")
        assert "\n" not in found
