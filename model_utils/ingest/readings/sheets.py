"""Run as a process of its own: reads an Excel file on standard input, and writes its sheets to standard output.

A damaged file can make the library ask for all the memory there is, or end the process that it runs in.
"""

from __future__ import annotations

import io
import json
import resource
import sys
from datetime import datetime, timedelta

from python_calamine import CalamineError, CalamineWorkbook, PasswordError, SheetTypeEnum, SheetVisibleEnum

MOST_BYTES, MOST_SECONDS = 2**32, 300
MILLISECOND = timedelta(milliseconds=1)


def main() -> None:
    """Writes as JSON the sheets that a person sees, as name, first row from 0, and rows of text; or what is wrong."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    found: list[tuple[str, int, list[list[str]]]] | str
    try:
        with CalamineWorkbook.from_filelike(io.BytesIO(sys.stdin.buffer.read())) as book:
            found = [
                (sheet.name, (read.start or (0, 0))[0], [[text_of(cell) for cell in row] for row in read.to_python()])
                for sheet in book.sheets_metadata
                if sheet.typ == SheetTypeEnum.WorkSheet and sheet.visible == SheetVisibleEnum.Visible
                for read in [book.get_sheet_by_name(sheet.name)]
            ]
    except PasswordError:
        found = "it is encrypted"
    except (CalamineError, ValueError, OSError) as error:
        found = " ".join(str(error).split())[:120]
    sys.stdout.buffer.write(json.dumps(found).encode())


def text_of(cell: object) -> str:
    """A cell as a CSV file holds it; a date and time at midnight is a date."""
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
    if isinstance(cell, datetime):
        near = datetime.min + (cell - datetime.min + MILLISECOND / 2) // MILLISECOND * MILLISECOND
        return near.isoformat(sep=" ").removesuffix(" 00:00:00")
    if isinstance(cell, timedelta):
        minutes, seconds = divmod(round(cell.total_seconds()), 60)
        return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"
    return str(cell).strip() if isinstance(cell, str) else str(cell)  # a clock, a date, a number, true or false


if __name__ == "__main__":
    main()
