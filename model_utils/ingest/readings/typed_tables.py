"""Tables whose cells have types, sheets of a spreadsheet and Parquet files: their cells as the text of a CSV file."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from python_calamine import CalamineError, CalamineWorkbook, PasswordError, SheetTypeEnum, SheetVisibleEnum

from model_utils.errors import InputError
from model_utils.ingest.readings.files import check_archive, identity, raw_bytes
from model_utils.ingest.readings.text import Rows, without_empty

_MOST_CELLS = 50_000_000
_MILLISECOND = timedelta(milliseconds=1)
_BROKEN = (OSError, EOFError, KeyError, ValueError, RuntimeError)
_BROKEN_ZIP = (*_BROKEN, zipfile.BadZipFile, zlib.error)
_EXCEL = "a zip or Excel file"
_ADVICE = ", save it as CSV"


class _Sheet(NamedTuple):
    """A sheet: its name, the number of its first row, counted from 0, and its cells."""

    name: str
    top: int
    rows: list[list[Any]]


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

    def rows(self, wanted: dict[str, int], footer: Callable[[str], bool] | None = None) -> Rows:
        """Reads columns, as `TextTable.rows` does; rows have as many cells as the header.

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
    sheets, serial = _sheets(path, identity(path))
    found = [table for sheet in sheets if (table := _sheet(path, sheet, is_header, serial)) is not None]
    if not found:
        raise InputError(f"{path}: found no header, expected a sheet with a table of readings")
    return found


def _sheet(
    path: Path, sheet: _Sheet, is_header: Callable[[Sequence[str]], bool] | None, serial_dates: bool
) -> TypedTable | None:
    """The table of a sheet; None where no row is a header."""
    preamble: list[tuple[str, ...]] = []
    for number, row in enumerate(sheet.rows, start=1):  # noqa: B007 - the one that the loop stops at
        cells = [_text(cell) for cell in row]
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
        return pa.chunked_array([pa.array([_text(row[position]) for row in below], pa.string())])

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
            _refuse_far_cells(path, archive)
    found = []
    with _refusing(path, _EXCEL, (*_BROKEN, CalamineError)), CalamineWorkbook.from_filelike(io.BytesIO(raw)) as book:
        for sheet in book.sheets_metadata:
            if sheet.typ == SheetTypeEnum.WorkSheet and sheet.visible == SheetVisibleEnum.Visible:
                read = book.get_sheet_by_name(sheet.name)
                found.append(_Sheet(sheet.name, (read.start or (0, 0))[0], read.to_python()))
    return found, serial_dates


def _refuse_far_cells(path: Path, archive: zipfile.ZipFile) -> None:
    """Refuses a sheet whose cells lie so far apart that all between them would not fit in memory.

    Raises:
        InputError: Naming how many there would be.
    """
    for name in archive.namelist():
        if name.startswith("xl/worksheets/") and name.endswith(".xml"):
            content = archive.read(name)
            rows = max(map(int, re.findall(rb"<(?:\w+:)?row\b[^>]*?\sr=.([0-9]{1,9})", content)), default=1)
            beyond_z = re.findall(rb"\sr=.([A-Z]{2,4})[0-9]", content)
            last = max(beyond_z, key=lambda letters: (len(letters), letters), default=b"Z")
            columns = sum(26**place * (letter - 64) for place, letter in enumerate(reversed(last)))
            if rows * columns > _MOST_CELLS:
                raise InputError(f"{path}: found {rows} rows and {columns} columns in a sheet, expected fewer")


def _text(cell: Any) -> str:
    """A cell as a CSV file holds it; a date and time at midnight is a date."""
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
    if isinstance(cell, datetime):
        near = datetime.min + (cell - datetime.min + _MILLISECOND / 2) // _MILLISECOND * _MILLISECOND
        return near.isoformat(sep=" ").removesuffix(" 00:00:00")
    if isinstance(cell, timedelta):
        minutes, seconds = divmod(round(cell.total_seconds()), 60)
        return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"
    return str(cell).strip() if isinstance(cell, str) else str(cell)  # a clock, a date, a number, true or false


@contextmanager
def _refusing(path: Path, what: str, errors: tuple[type[Exception], ...]) -> Iterator[None]:
    """Turns a library's errors into one line."""
    try:
        yield
    except InputError:
        raise
    except PasswordError:
        raise InputError(f"{path}: is encrypted, expected a file without a password") from None
    except errors as error:
        why = " ".join(str(error).split())[:120]
        raise InputError(f"{path}: not readable as {what} ({why}){_ADVICE * (what == _EXCEL)}") from None
    except BaseException as error:  # how a fault in a library that is written in Rust arrives
        if type(error).__name__ != "PanicException":
            raise
        raise InputError(f"{path}: not readable as {what} (it is damaged){_ADVICE}") from None
