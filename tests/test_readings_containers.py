"""Readings in Excel files and zip archives: the same rows, or one line that says what is wrong."""

from __future__ import annotations

import io
import zipfile
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest

from model_utils.cities import load_city
from model_utils.errors import InputError
from model_utils.ingest.readings.reading import detect, read_readings
from model_utils.project import SHIPPED_ROOT

DELHI = load_city("Delhi", SHIPPED_ROOT)
HEADER = ["station", "time_utc", "value"]
PLAIN = "station,time_utc,value\nA,2024-01-31 05:00,1.5\nA,2024-01-31 06:00,2.5\n"
RIGHT = [("A", "2024-01-31 05:00", 1.5), ("A", "2024-01-31 06:00", 2.5)]


def workbook(path: Path, sheets: dict[str, list[list[Any]]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def archive(path: Path, members: dict[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def rows(path: Path, **options: str) -> list[tuple[str, str, float]]:
    table = read_readings(path, DELHI, **options).table
    return list(zip(table["station"], table["time_utc"].dt.strftime("%Y-%m-%d %H:%M"), table["pm25"], strict=True))


@pytest.mark.parametrize(
    "times",
    [
        [datetime(2024, 1, 31, 5), datetime(2024, 1, 31, 6)],
        ["2024-01-31 05:00", "2024-01-31 06:00"],
        ["31/01/2024 05:00", "31/01/2024 06:00"],
        [45322 + 5 / 24, 45322.25],  # days since 1899-12-30, where nobody formatted the cells
        [1706677200, 1706680800],
    ],
    ids=["cells of dates", "ISO", "days first", "numbers", "epoch"],
)
def test_times_in_cells(tmp_path: Path, times: list[Any]) -> None:
    content = [["A", times[0], 1.5], ["A", times[1], 2.5]]
    assert rows(workbook(tmp_path / "a.xlsx", {"Readings": [HEADER, *content]})) == RIGHT


def test_dates_and_clocks_in_cells_of_their_own(tmp_path: Path) -> None:
    spec = "name: own\ntitle: t\ndocumentation: d\nrecognised_by: {columns: [S, D, T, V]}\nstation: {column: S}\n"
    spec += "time: {columns: [D, T], zone: UTC, documented: true}\npm25: {columns: [V], unit: ug/m3}\n"
    (tmp_path / "own.yaml").write_text(spec)
    content = [
        ["S", "D", "T", "V"],
        [7, date(2024, 1, 31), time(5), 1.5],
        [7, datetime(2024, 1, 31), time(6), "2.5"],
        [7, date(2024, 1, 31), timedelta(hours=24), None],
    ]
    path = workbook(tmp_path / "a.xlsx", {"x": content})
    table = read_readings(path, DELHI, format=str(tmp_path / "own.yaml")).table
    assert table["station"].tolist() == ["7", "7", "7"]
    assert table["time_utc"].dt.strftime("%d %H").tolist() == ["31 05", "31 06", "01 00"]
    assert table["pm25"].tolist()[:2] == [1.5, 2.5]


def test_a_number_is_no_date_where_years_begin_in_1904(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
    for row in (HEADER, ["A", datetime(2024, 1, 31, 5), 1.5], ["A", datetime(2024, 1, 31, 6), 2.5]):
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    assert rows(tmp_path / "a.xlsx") == RIGHT
    book.active["B2"], book.active["B3"] = 43860.25, 43860.5
    for cell in ("B2", "B3"):
        book.active[cell].number_format = "General"
    book.save(tmp_path / "a.xlsx")
    with pytest.raises(InputError, match=r"a\.xlsx, sheet Sheet: row 2: time_utc is '43860.25', expected a date"):
        rows(tmp_path / "a.xlsx")


def test_the_sheet_that_fits_is_read(tmp_path: Path) -> None:
    content = [HEADER, ["A", "2024-01-31 05:00", 1.5], [], ["A", "2024-01-31 06:00", 2.5]]
    sheets: dict[str, list[list[Any]]] = {"Notes": [["These are readings."]], "Empty": [], "Hours": [[], *content]}
    path = workbook(tmp_path / "book.xlsx", sheets)
    assert detect(path, DELHI) == "plain"
    assert rows(path) == RIGHT
    path = workbook(tmp_path / "book.xlsx", {**sheets, "More": content})
    with pytest.raises(InputError, match=r"book\.xlsx: sheet Hours and sheet More are of plain, expected one sheet"):
        rows(path)
    content[3][2] = "much"
    path = workbook(tmp_path / "book.xlsx", {**sheets, "Hours": [[], *content]})
    with pytest.raises(InputError, match=r"book\.xlsx, sheet Hours: row 5: value is 'much', expected a number"):
        rows(path)
    with pytest.raises(InputError, match="found no header"):
        rows(workbook(tmp_path / "book.xlsx", {"Empty": []}))
    with pytest.raises(InputError, match="found a header and no rows"):
        rows(workbook(tmp_path / "book.xlsx", {"Hours": [HEADER]}))


def test_lines_above_the_header_of_a_sheet(tmp_path: Path) -> None:
    content = [
        ["CENTRAL POLLUTION CONTROL BOARD"],
        ["Station", "Pusa, Delhi - IMD"],
        ["From Date", "To Date", "PM2.5"],
        ["31-01-2024 10:00", "31-01-2024 11:00", 12.5],
        ["Avg", None, 12.5],
    ]
    assert rows(workbook(tmp_path / "a.xlsx", {"x": content})) == [("Pusa, Delhi - IMD", "2024-01-31 04:30", 12.5)]


def test_tables_in_a_zip_archive_are_read_where_they_lie(tmp_path: Path) -> None:
    first, second = PLAIN.splitlines()[:2], PLAIN.splitlines()[::2]
    book = workbook(tmp_path / "b.xlsx", {"x": [row.split(",") for row in second]}).read_bytes()
    parquet = io.BytesIO()
    pd.DataFrame({"station": ["B"], "time_utc": ["2024-01-31 07:00"], "value": [3.5]}).to_parquet(parquet)
    members: dict[str, str | bytes] = {
        "2024/a.csv": "\n".join(first),
        "2024/b.xlsx": book,
        "c.parquet": parquet.getvalue(),
        "README.txt": "These are readings.",
        "__MACOSX/._a.csv": b"\x00\x05",
        "map.png": b"\x89PNG",
        "stations.csv": "station,lat,lon\nA,28.6,77.1\nB,28.7,77.2\n",
    }
    (tmp_path / "b.xlsx").unlink()
    path = archive(tmp_path / "readings.zip", members)
    for where in (path, tmp_path):
        records = read_readings(where, DELHI)
        assert rows(where) == [*RIGHT, ("B", "2024-01-31 07:00", 3.5)]
        assert records.stations["latitude"].tolist() == [28.6, 28.7]
        assert records.files == (path,)
        assert "README.txt is left out: a text file of no known format" in records.notes
    assert sorted(tmp_path.iterdir()) == [path]
    members["2024/a.csv"] = PLAIN.replace("2.5", "much")
    with pytest.raises(InputError, match=r"readings\.zip/2024/a\.csv: line 3: value is 'much', expected a number"):
        rows(archive(path, members))


def test_what_is_wrong_with_an_archive_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    whole = archive(path, {"a.csv": PLAIN}).read_bytes()
    encrypted = bytearray(whole)
    for at in (whole.index(b"PK\x03\x04") + 6, whole.index(b"PK\x01\x02") + 8):
        encrypted[at] |= 1
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w") as file:
        file.writestr("a.csv", PLAIN)
    wrong: dict[str, bytes] = {
        r"a\.zip: not readable as a zip or Excel file": whole[:-30],
        r"a\.zip: is encrypted, expected": bytes(encrypted),
        r"a\.zip/a\.csv: not readable \(Bad CRC-32": stored.getvalue().replace(b"1.5", b"9.5"),
        r"a\.zip/inner\.zip: a zip archive inside another": archive(path, {"inner.zip": whole}).read_bytes(),
        r"a\.zip: found no table in it": archive(path, {"a.pdf": "x"}).read_bytes(),
        r"a\.zip: holds '\.\./a\.csv', expected names that stay inside": archive(path, {"../a.csv": "x"}).read_bytes(),
        r"a\.zip: declares 300000\d{3} bytes in \d+, expected tables": archive(
            path, {"a.csv": PLAIN + " " * 300_000_000}
        ).read_bytes(),
    }
    for message, content in wrong.items():
        path.write_bytes(content)
        with pytest.raises(InputError, match=message) as raised:
            rows(path)
        assert "\n" not in str(raised.value)


def test_cells_that_lie_too_far_apart_are_refused(tmp_path: Path) -> None:
    """Two cells, and all that are between them would be 17 billion."""
    book = openpyxl.Workbook()
    book.active["A1"], book.active["XFD1048576"] = "station", 1
    book.save(tmp_path / "a.xlsx")
    with pytest.raises(InputError, match=r"a\.xlsx: not readable as .*\(it is damaged, or has too many cells\), save"):
        rows(tmp_path / "a.xlsx")
