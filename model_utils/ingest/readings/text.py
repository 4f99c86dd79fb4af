"""Delimited text as agencies write it: encodings, delimiters, ragged rows, and numbers that are none."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from numpy.typing import NDArray

from model_utils.errors import InputError
from model_utils.ingest.readings.files import decoded

SPREADSHEET_ERRORS = ("#n/a", "#na", "#ref!", "#value!", "#div/0!", "#num!", "#name?", "#null!")
"""What a spreadsheet leaves in a cell whose formula failed, in small letters."""

MISSING = ("", "na", "n/a", "nan", "null", "none", "-", "--", "---", "no data", "nodata", "n.d.", *SPREADSHEET_ERRORS)
"""What agencies write where there is no number, in small letters."""

_BELOW_DETECTION = r"^<\s*=?\s*[0-9]+(?:[.,][0-9]+)?$|^(?i:bdl|<\s*lod|<\s*dl)$"

Decimal = Literal[",", "."]

_MOST_COLUMNS = 20_000
_BLOCK_BYTES = 2**24


@dataclass(frozen=True)
class Rows:
    """Some columns of a table, as text.

    Attributes:
        path: The file, for messages.
        columns: A column each of the file's that were asked for, by name; text without surrounding spaces.
        decimal_comma: Whether numbers are written 12,5.
        where: Says of a row, counted from 0, which file and line holds it.
        serial_dates: Whether a time can be the number of days since 1899-12-30, as spreadsheets keep it.
    """

    path: Path
    columns: dict[str, Any]
    decimal_comma: bool
    where: Callable[[int], str]
    serial_dates: bool = False
    _known: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def texts(self, name: str) -> pd.Series:
        """A column as text."""
        words, codes = self.distinct(name)
        return pd.Series(words.array.take(codes))

    def distinct(self, name: str) -> tuple[pd.Series, NDArray[np.int_]]:
        """The different words of a column in the order in which they come, and the place of each row's word in them."""
        if name not in self._known:
            encoded = pc.dictionary_encode(self.columns[name].combine_chunks())
            words = pd.Series(encoded.dictionary.to_pandas(), dtype="str")
            self._known[name] = words, np.asarray(encoded.indices)
        known: tuple[pd.Series, NDArray[np.int_]] = self._known[name]
        return known

    def numbers(self, name: str) -> NDArray[np.float64]:
        """A column as numbers, NaN where a word says that there is none.

        Raises:
            InputError: Naming line, column and value of the first that is neither.
        """
        numbers = self._bare_numbers(name)
        return self._numbers_among_words(name) if numbers is None else np.asarray(numbers, dtype=np.float64)

    def _bare_numbers(self, name: str) -> Any:
        """The column's numbers, NaN where cells are empty; None where there are words among them."""
        if (name, float) not in self._known:
            words, numbers = self.columns[name], None
            empty = pc.equal(words, "")
            count = pc.sum(empty).as_py() or 0
            with suppress(pa.ArrowInvalid):
                numbers = pc.cast(pc.if_else(empty, None, words) if count else words, pa.float64()).to_numpy()
                if np.isfinite(numbers).sum() + count != len(numbers):  # nan and inf are words here
                    numbers = None
            self._known[name, float] = numbers
        return self._known[name, float]

    def _numbers_among_words(self, name: str) -> NDArray[np.float64]:
        words = self.columns[name]
        known = pc.invert(pc.is_in(pc.utf8_lower(words), value_set=pa.array(MISSING)))
        words = pc.if_else(known, words, None)
        if self.decimal_comma:
            words = pc.replace_substring(words, ",", ".")
        try:
            numbers = pc.cast(words, pa.float64())
        except pa.ArrowInvalid:
            words = self._plain_numbers(pc.if_else(known, self.columns[name], None))
            numeric = r"^-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$"
            self.refuse(name, pc.invert(pc.fill_null(pc.match_substring_regex(words, numeric), True)), "a number")
            numbers = pc.cast(pc.utf8_trim(words, "."), pa.float64())
        self.refuse(name, pc.invert(pc.fill_null(pc.is_finite(numbers), True)), "a number")
        return np.asarray(numbers.to_numpy(), dtype=np.float64)

    def _plain_numbers(self, words: Any) -> Any:
        """Numbers without the marks between thousands; below the limit of detection there is none."""
        words = pc.if_else(pc.match_substring_regex(words, _BELOW_DETECTION), None, words)
        # 1.034 with a decimal comma is as likely a number of three decimals: only 1.034,5 is a thousand
        mark, rest = (".", ",[0-9]+") if self.decimal_comma else (",", r"(?:\.[0-9]*)?")
        grouped = pc.match_substring_regex(words, rf"^-?[0-9]{{1,3}}(?:[{mark}][0-9]{{3}})+{rest}$")
        words = pc.if_else(grouped, pc.replace_substring(words, mark, ""), words)
        return pc.replace_substring(words, ",", ".") if self.decimal_comma else words

    def missing_by_kind(self, name: str, usual: Sequence[str] = ()) -> dict[str, int]:
        """How many cells hold a word in place of a number, by kind; empty cells and usual words are none."""
        if self._bare_numbers(name) is not None:
            return {}
        small = pc.utf8_lower(self.columns[name])
        unusual = {*MISSING} - {"", *SPREADSHEET_ERRORS} - {word.casefold() for word in usual}
        errors = pc.is_in(small, value_set=pa.array(SPREADSHEET_ERRORS))
        words = pc.is_in(small, value_set=pa.array(sorted(unusual), pa.string()))
        below = pc.match_substring_regex(self.columns[name], _BELOW_DETECTION)
        kinds = {"words such as NA or --": words, "spreadsheet errors": errors, "below the limit of detection": below}
        counts = {kind: int(pc.sum(found).as_py() or 0) for kind, found in kinds.items()}
        return {kind: count for kind, count in counts.items() if count}

    def taken(self, positions: NDArray[np.intp]) -> Rows:
        """Some of the rows, which still know their lines."""
        columns = {name: words.take(pa.array(positions)) for name, words in self.columns.items()}
        return replace(self, columns=columns, where=lambda row: self.where(int(positions[row])), _known={})

    def having(self, name: str, words: Any) -> Rows:
        """These rows with a column of text more, or another one of that name."""
        known = {key: value for key, value in self._known.items() if key != name and name not in tuple(key)}
        return replace(self, columns={**self.columns, name: words}, _known=known)

    def refuse(self, name: str, wrong: Any, expected: str) -> None:
        """Raises an InputError for the first row where `wrong` (N booleans) is true."""
        rows = np.flatnonzero(np.asarray(wrong))
        if rows.size:
            found = str(self.columns[name][int(rows[0])])
            raise InputError(f"{self.where(int(rows[0]))}: {name} is {found[:60]!r}, expected {expected}")


def without_empty(rows: Rows) -> Rows:
    """The rows without spaces around cells, and without those of empty cells only, as spreadsheets leave behind.

    Raises:
        InputError: No row is left.
    """
    trimmed = replace(rows, columns={name: pc.utf8_trim_whitespace(words) for name, words in rows.columns.items()})
    empty = np.ones(len(rows), dtype=bool)
    for words in trimmed.columns.values():
        empty &= np.asarray(pc.equal(words, ""))
        if len(rows) and not empty.any():
            return trimmed
    if empty.all():
        raise InputError(f"{rows.path}: found a header and no rows")
    return trimmed.taken(np.flatnonzero(~empty)) if empty.any() else trimmed


def joined(parts: Sequence[Rows]) -> Rows:
    """The rows of several files with the same columns, as one."""
    starts = np.cumsum([0, *map(len, parts)])
    columns = {
        name: pa.chunked_array([chunk for part in parts for chunk in part.columns[name].chunks], pa.string())
        for name in parts[0].columns
    }

    def where(row: int) -> str:
        part = int(np.searchsorted(starts, row, side="right")) - 1
        return parts[part].where(row - int(starts[part]))

    return replace(parts[0], columns=columns, where=where, _known={})


@dataclass(frozen=True)
class TextTable:
    """A delimited text file whose header has been found.

    Attributes:
        path: The file.
        names: The header's cells without surrounding spaces; one may be there twice.
        preamble: The cells of the lines above the header.
        delimiter: What stands between cells.
        encoding: How the bytes were read; 'latin-1' and 'gb18030' are guesses that the caller states.
        decimal: What separates decimals: a comma where cells are separated by semicolons.
    """

    path: Path
    names: tuple[str, ...]
    preamble: tuple[tuple[str, ...], ...]
    delimiter: str
    encoding: str
    decimal: Decimal
    _body: bytes
    _first_line: int

    def rows(self, wanted: dict[str, int], footer: Callable[[str], bool] | None = None) -> Rows:
        """Reads columns.

        Args:
            wanted: Position of a column in the header, by the name it shall have.
            footer: Says of a row's text whether it may be left out although its cells are too few or too many.

        Raises:
            InputError: Naming the first line that has more or fewer cells than the header, or an empty table.
        """
        ragged: list[str] = []
        skipped = 0

        def keep(row: Any) -> Literal["skip"]:
            nonlocal skipped
            skipped += 1
            if not ragged and not (footer and footer(str(row.text))):
                ragged.append(f"found {row.actual_columns} cells, expected {row.expected_columns} as in the header")
            return "skip"

        numbers = [str(position) for position in range(len(self.names))]
        needed = [numbers[position] for position in dict.fromkeys(wanted.values())]
        try:
            table = pa.csv.read_csv(
                pa.BufferReader(self._body),
                pa.csv.ReadOptions(
                    use_threads=False, block_size=min(_BLOCK_BYTES, len(self._body) + 1), column_names=numbers
                ),
                pa.csv.ParseOptions(delimiter=self.delimiter, invalid_row_handler=keep),
                pa.csv.ConvertOptions(column_types=dict.fromkeys(needed, pa.string()), include_columns=needed),
            )
        except pa.ArrowException as error:
            if self._body.strip():
                raise InputError(f"{self.path}: not readable as CSV ({' '.join(str(error).split())[:120]})") from None
            raise InputError(f"{self.path}: found a header and no rows") from None
        if not ragged and b'"' in self._body and table.num_rows + skipped < _count_lines(self._body):
            raise InputError(f"{self.path}: a quoted cell runs over several lines, expected it to end on its line")
        if ragged:
            at_line = next((at for at, cells in self._lines() if cells != len(self.names)), self._first_line)
            raise InputError(f"{self.path}: line {at_line}: {ragged[0]}")

        def where(row: int) -> str:
            whole = (at for at, cells in self._lines() if cells == len(self.names))
            return f"{self.path}: line {next((at for number, at in enumerate(whole) if number == row), 0)}"

        columns = {name: table[str(position)] for name, position in wanted.items()}
        return without_empty(Rows(self.path, columns, self.decimal == ",", where))

    def _lines(self) -> Iterator[tuple[int, int]]:
        """Line and number of cells of each row that is not empty; slow, for messages only."""
        reader = csv.reader(io.StringIO(self._body.decode("utf-8")), delimiter=self.delimiter)
        csv.field_size_limit(2**31 - 1)
        for cells in reader:
            if cells:
                yield self._first_line + reader.line_num - 1, len(cells)


def open_text(path: Path, is_header: Callable[[Sequence[str]], bool] | None = None, head: bool = False) -> TextTable:
    """Opens a text file and finds its header.

    Args:
        path: UTF-8, UTF-16 with a byte order mark, or else GB 18030 or Latin-1; gzip or plain; cells between , ; or
            tabs.
        is_header: Says of a line's cells whether they are the header; by default the first line that is not blank is.
        head: Read the beginning only, to see what the file is.

    Raises:
        InputError: Not readable, binary, empty, or without a header.
    """
    data, encoding = decoded(path, head)
    start = 0
    preamble: list[tuple[str, ...]] = []
    for number, line in enumerate(_split(data, 200 if is_header else 2000), start=1):
        start += len(line)
        text = line.decode("utf-8")
        if not text.strip():
            continue
        delimiter = max(",;\t", key=text.count)
        if text.count(delimiter) >= _MOST_COLUMNS:
            raise InputError(f"{path}: line {number}: found over {_MOST_COLUMNS} cells, expected a header")
        cells = tuple(cell.strip() for cell in next(csv.reader([text], delimiter=delimiter)))
        if is_header is None or is_header(cells):
            decimal: Decimal = "," if delimiter == ";" else "."
            return TextTable(path, cells, tuple(preamble), delimiter, encoding, decimal, data[start:], number + 1)
        preamble.append(cells)
    raise InputError(
        f"{path}: {'found no header' if data.strip() else 'the file is empty'}, expected a table of readings"
    )


def _count_lines(data: bytes) -> int:
    """Lines that are not empty."""
    blank = sum(len(run.group()) - 1 for run in re.finditer(rb"\n{2,}", data)) + data.startswith(b"\n")
    return data.count(b"\n") - blank + (not data.endswith(b"\n"))


def _split(data: bytes, lines: int) -> Iterator[bytes]:
    """The first lines, with their line ends."""
    start = 0
    for _ in range(lines):
        if start >= len(data):
            return
        end = data.find(b"\n", start) + 1 or len(data)
        yield data[start:end]
        start = end
