"""Tables whose cells have types, sheets of a spreadsheet and Parquet files: their cells as the text of a CSV file."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from model_utils.errors import InputError
from model_utils.ingest.readings import sheets
from model_utils.ingest.readings.files import check_archive, identity, raw_bytes
from model_utils.ingest.readings.text import Rows, without_empty

_BROKEN_ZIP = (OSError, EOFError, KeyError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error)
_EXCEL = "a zip or Excel file"
_ADVICE = ", save it as CSV"


class _Sheet(NamedTuple):
    """A sheet: its name, the number of its first row, counted from 0, and the text of its cells."""

    name: str
    top: int
    rows: list[list[str]]


@dataclass(frozen=True)
class TypedTable:
    """A table whose header has been found, as `TextTable` is one of text.

    Attributes:
        columns: The text of the column at a position of the header.
        where: Says of a row behind the header, counted from 0, what a person calls it.
        serial_dates: See `Rows`.
    """

    path: Path
    names: tuple[str, ...]
    preamble: tuple[tuple[str, ...], ...]
    columns: Callable[[int], Any]
    where: Callable[[int], str]
    serial_dates: bool = False

    def rows(
        self,
        wanted: dict[str, int],
        footer: Callable[[str], bool] | None = None,
        numeric: Sequence[str] = (),
        missing: Sequence[str] = (),
    ) -> Rows:
        """Reads columns, all of them as text; else as `TextTable.rows` does.

        Raises:
            InputError: There are no rows, or the file is damaged.
        """
        columns = {name: self.columns(position) for name, position in wanted.items()}
        return without_empty(Rows(self.path, columns, False, self.where, self.serial_dates))


def open_parquet(path: Path) -> TypedTable:
    """Opens a Parquet file.

    Raises:
        InputError: Not readable as Parquet.
    """
    read: list[Any] = []

    def column(position: int) -> Any:
        with _refusing(path, "Parquet", (OSError, UnicodeError, pa.ArrowException)):
            if not read:
                read.append(pq.read_table(source(), partitioning=None, use_threads=False))
                read[0].validate(full=True)  # a damaged file's texts need not be text
            return pc.fill_null(pc.cast(read[0].column(position), pa.string()), "")

    def source() -> Any:
        return path if path.exists() else io.BytesIO(raw_bytes(path))  # in a zip archive

    with _refusing(path, "Parquet", (OSError, UnicodeError, pa.ArrowException)):
        names = tuple(str(name).strip() for name in pq.read_schema(source()).names)
    return TypedTable(path, names, (), column, lambda row: f"{path}: row {row + 1}")


def open_sheets(path: Path, is_header: Callable[[Sequence[str]], bool] | None = None) -> list[TypedTable]:
    """Opens the sheets of an Excel file that a person sees and that hold anything.

    Args:
        path: .xlsx or .xls, also in a zip archive.
        is_header: Says of a row's cells whether they are the header; by default the first that is not empty is.

    Raises:
        InputError: Not readable, encrypted, or without a header.
    """
    read, serial = _sheets(path, identity(path))
    found = [table for sheet in read if (table := _sheet(path, sheet, is_header, serial)) is not None]
    if not found:
        raise InputError(f"{path}: found no header, expected a sheet with a table of readings")
    return found


def _sheet(
    path: Path, sheet: _Sheet, is_header: Callable[[Sequence[str]], bool] | None, serial_dates: bool
) -> TypedTable | None:
    """The table of a sheet; None where no row is a header."""
    preamble: list[tuple[str, ...]] = []
    for number, row in enumerate(sheet.rows, start=1):  # noqa: B007 - the one that the loop stops at
        cells = list(row)
        while cells and not cells[-1]:
            cells.pop()
        if cells and (is_header is None or is_header(cells)):
            break
        if cells:
            preamble.append(tuple(cells))
    else:
        return None
    below, first = sheet.rows[number:], sheet.top + number + 1
    label = path.with_name(f"{path.name}, sheet {sheet.name.replace('/', ' ')}")

    def column(position: int) -> Any:
        return pa.chunked_array([pa.array([row[position] for row in below], pa.string())])

    return TypedTable(
        label, tuple(cells), tuple(preamble), column, lambda row: f"{label}: row {row + first}", serial_dates
    )


@lru_cache(maxsize=1)
def _sheets(path: Path, identity: tuple[int, ...]) -> tuple[list[_Sheet], bool]:
    """The sheets, and whether numbers can be dates; kept, for a file is opened to recognise it and to read it.

    Raises:
        InputError: Not readable.
    """
    raw = raw_bytes(path)
    serial_dates = True
    if raw.startswith(b"PK"):
        with _refusing(path, _EXCEL, _BROKEN_ZIP), zipfile.ZipFile(io.BytesIO(raw)) as archive:
            check_archive(path, archive)
            serial_dates = not re.search(rb"date1904=.(1|true)", archive.read("xl/workbook.xml"))
    command = [sys.executable, "-P", str(Path(sheets.__file__))]
    done = subprocess.run(command, input=raw, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    found = json.loads(done.stdout) if done.returncode == 0 else "it is damaged, or has too many cells"
    if isinstance(found, str):
        raise InputError(f"{path}: not readable as {_EXCEL} ({found}){_ADVICE}")
    return [_Sheet(*sheet) for sheet in found], serial_dates


@contextmanager
def _refusing(path: Path, what: str, errors: tuple[type[Exception], ...]) -> Iterator[None]:
    """Turns a library's errors into one line."""
    try:
        yield
    except InputError:
        raise
    except errors as error:
        why = " ".join(str(error).split())[:120]
        raise InputError(f"{path}: not readable as {what} ({why}){_ADVICE * (what == _EXCEL)}") from None
