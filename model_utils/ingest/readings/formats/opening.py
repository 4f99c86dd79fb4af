"""From a file to the one table in it that a format is of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from model_utils.errors import InputError
from model_utils.ingest.readings.files import decoded, is_workbook
from model_utils.ingest.readings.formats.functions import ANSWERS
from model_utils.ingest.readings.formats.specification import Format, shown
from model_utils.ingest.readings.text import Decimal, TextTable, open_text
from model_utils.ingest.readings.typed_tables import TypedTable, open_parquet, open_sheets

Table = TextTable | TypedTable
_GUESSED = {"latin-1": "Latin-1", "gb18030": "GB 18030"}


def holds_answers(path: Path) -> bool:
    """Whether a file is JSON, as far as its beginning says.

    Raises:
        InputError: It is not readable.
    """
    typed = path.suffix.casefold() == ".parquet" or is_workbook(path)
    return not typed and decoded(path, head=True)[0].lstrip()[:1] in (b"{", b"[")


def tables_in(path: Path, is_header: Callable[[Sequence[str]], bool] | None = None, head: bool = False) -> list[Table]:
    """The tables of a file: a text or Parquet file is one, an Excel file has one a sheet.

    Args:
        path: The file.
        is_header: As for `open_text`.
        head: Text is read at its beginning only, to see what it is.

    Raises:
        InputError: It is not readable, or has no header.
    """
    if path.suffix.casefold() == ".parquet":
        return [open_parquet(path)]
    if is_workbook(path):
        return [*open_sheets(path, is_header)]
    return [open_text(path, is_header, head)]


def open_table(path: Path, format: Format, decimal: Decimal | None, notes: list[str]) -> Table | None:
    """Opens the table of a format; None where an answer holds no measurement.

    Args:
        path: The file.
        format: The format.
        decimal: What separates decimals, or None for what the delimiter suggests.
        notes: To which is added what a person should know.

    Raises:
        InputError: The file is not readable, or none of its tables is of the format, or several are.
    """
    if format.recognised_by.answers:
        return _answers(path, format.recognised_by.answers, notes)
    tables = tables_in(path, format.matches if format.recognised_by.above else None)
    fitting = [table for table in tables if format.matches(table.names)]
    if not fitting:
        found = ", ".join(tables[0].names)[:120]
        raise InputError(f"{tables[0].path}: expected {_header(format)}, found {found}")
    if len(fitting) > 1:
        both = " and ".join(str(table.path.name).removeprefix(f"{path.name}, ") for table in fitting)
        raise InputError(f"{path}: {both} are of {format.name}, expected one sheet with readings")
    table = fitting[0]
    if isinstance(table, TextTable):
        if table.encoding in _GUESSED:
            notes.append(f"{path.name} is not UTF-8: read as {_GUESSED[table.encoding]}")
        return replace(table, decimal=decimal or table.decimal)
    return table


def _answers(path: Path, by: str, notes: list[str]) -> TypedTable | None:
    """A table of what a JSON file holds."""
    if not holds_answers(path):
        raise InputError(f"{path}: expected JSON, found other text")
    found, more = ANSWERS[by](decoded(path)[0], path)
    notes += more
    if not found:
        return None
    places = [row.pop("") for row in found]
    names = tuple(found[0])
    columns = [pa.chunked_array([pa.array([row[name] for row in found], pa.string())]) for name in names]
    return TypedTable(path, names, (), lambda position: columns[position], lambda row: f"{path}: {places[row]}")


def _header(format: Format) -> str:
    known = format.recognised_by
    columns = ", ".join(map(shown, known.columns))
    begins = f"a header that begins with {','.join(map(shown, known.first))}" if known.first else ""
    behind = "a column for each station" if known.stations else ""
    return " and ".join(filter(None, [begins, f"columns {columns}" if columns else "", behind]))
