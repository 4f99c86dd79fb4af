"""The same readings in the layout of every format, as files arrive: which format fits, and what comes out."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pandas as pd
import pytest
from format_tables import (
    DELHI,
    Readings,
    Written,
    as_answers,
    as_archive,
    as_text,
    as_workbook,
    outcome,
    period_of,
    read_back,
    stations_of,
    times_from,
    with_columns_mixed,
    with_more_columns,
    written,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model_utils.errors import InputError
from model_utils.ingest.readings.files import files_of
from model_utils.ingest.readings.formats.specification import Format, shipped_formats
from model_utils.ingest.readings.reading import FORMATS, detect, read_readings

TABLES = [format for format in shipped_formats().values() if not format.recognised_by.answers]


def readings_of(format: Format) -> Readings:
    """Two days of two stations, with a gap; all readings are different."""
    times = times_from(format, "2019-12-30 00:00", 6 if period_of(format) == "day" else 48)
    both = [(station, time) for station in stations_of(format) for time in times]
    values: list[float | None] = [10.5 + at for at in range(len(both))]
    values[3] = None
    return dict(zip(both, values, strict=True))


def put(folder: Path, files: list[Written], suffix: str, encode: Callable[[Written], bytes]) -> Path:
    """The files in a folder of their own; the path of one alone is its own."""
    folder.mkdir(parents=True)
    for file in files:
        (folder / f"{file.name}{suffix}").write_bytes(encode(file))
    return folder if len(files) > 1 else folder / f"{files[0].name}{suffix}"


def assert_read(path: Path, format: Format, readings: Readings) -> None:
    for file in files_of(path)[0]:
        assert detect(file, DELHI) == format.name
    records = read_readings(path, DELHI)
    assert records.format == format.name
    assert records.period == period_of(format)
    found = read_back(records)
    assert found.keys() == readings.keys()
    for key, value in readings.items():
        assert found[key] == [value if value is None else pytest.approx(value, rel=1e-6)], key


@pytest.mark.parametrize("format", shipped_formats().values(), ids=lambda format: format.name)
def test_exactly_one_format_fits(tmp_path: Path, format: Format) -> None:
    """Every file is known, comes out with the readings that went in, and is refused by all other formats."""
    if format.recognised_by.answers:
        hours = {("7", time): value for (_, time), value in list(readings_of(format).items())[:48]}
        path, right = tmp_path / "a.json", hours
        path.write_text(as_answers(hours))
    else:
        right = readings_of(format)
        path = put(tmp_path / "files", written(format, right), ".csv", lambda file: as_text(file).encode())
    assert_read(path, format, right)
    for other in FORMATS:
        if other not in (format.name, "wide"):  # somebody who says wide says that all columns are stations
            with pytest.raises(InputError) as raised:
                read_readings(path, DELHI, format=other, timezone="UTC")
            assert "\n" not in str(raised.value)


ARRIVALS: dict[str, tuple[str, Callable[[Written], bytes]]] = {
    "crlf": (".csv", lambda file: as_text(file, ends="\r\n").encode()),
    "bom": (".csv", lambda file: as_text(file).encode("utf-8-sig")),
    "utf-16": (".txt", lambda file: as_text(file, "\t").encode("utf-16")),
    "gb18030": (".csv", lambda file: as_text(file).encode("gb18030")),
    "gzip": (".csv.gz", lambda file: gzip.compress(as_text(file).encode(), mtime=0)),
    "zip": (".zip", lambda file: as_archive(f"{file.name}.csv", as_text(file).encode())),
    "xlsx": (".xlsx", as_workbook),
    "xlsx in zip": (".zip", lambda file: as_archive(f"2019/{file.name}.xlsx", as_workbook(file))),
    "semicolons": (".csv", lambda file: as_text(_with_decimal_commas(file), ";").encode()),
}


def _with_decimal_commas(file: Written) -> Written:
    def changed(cell: str) -> str:
        try:
            return str(float(cell)).replace(".", ",") if "." in cell else cell
        except ValueError:
            return cell

    return replace(file, rows=[[changed(cell) for cell in row] for row in file.rows])


@pytest.mark.parametrize("arrival", ARRIVALS)
@pytest.mark.parametrize("format", TABLES, ids=lambda format: format.name)
def test_the_same_readings_however_they_arrive(tmp_path: Path, format: Format, arrival: str) -> None:
    suffix, encode = ARRIVALS[arrival]
    readings = readings_of(format)
    files = written(format, readings)
    if arrival == "gb18030" and "东" not in as_text(files[0]):
        if format.station is None:
            pytest.skip("a column more is a station more")
        files = [
            replace(file, header=[*file.header, "监测点"], rows=[[*row, "北京"] for row in file.rows]) for file in files
        ]
    assert_read(put(tmp_path / "files", files, suffix, encode), format, readings)


@pytest.mark.parametrize("format", TABLES, ids=lambda format: format.name)
def test_columns_in_another_order_and_more_of_them(tmp_path: Path, format: Format) -> None:
    readings = readings_of(format)
    chance = Random(format.name)
    mixed = [with_columns_mixed(format, file, chance) for file in written(format, readings)]
    assert_read(put(tmp_path / "mixed", mixed, ".csv", lambda file: as_text(file).encode()), format, readings)
    more = [with_more_columns(file) for file in mixed]
    path = put(tmp_path / "more", more, ".csv", lambda file: as_text(file).encode())
    if format.station or format.name == "china-national":
        assert_read(path, format, readings)
    else:  # any column could be a station
        with pytest.raises(InputError, match=r"no known format|remark is 'a, b', expected a number"):
            read_readings(path, DELHI)


@pytest.mark.parametrize("format", TABLES, ids=lambda format: format.name)
def test_a_file_that_is_cut_in_the_middle(tmp_path: Path, format: Format) -> None:
    """Its whole lines come out right, or one line says what is wrong; the last line may end within a number."""
    readings = readings_of(format)
    file = written(format, readings)[0]
    text = as_text(file)
    refused = 0
    for cut in range(len(text) // 2, len(text) // 2 + 40):
        path = tmp_path / f"{cut}" / f"{file.name}.csv"
        path.parent.mkdir()
        path.write_text(text[:cut])
        whole = text[:cut].count("\n") - len(file.preamble) - 1
        _, last = file.of[min(whole, len(file.of) - 1)]
        found = outcome(path)
        if isinstance(found, str):
            refused += 1
            assert "\n" not in found
            assert f"{file.name}.csv" in found
            continue
        assert {time for _, time in found} <= {time for _, time in readings}
        for key, values in found.items():
            if key[1] != last:
                assert values == [pytest.approx(readings[key]) if readings[key] is not None else None]
    assert refused > 0


VALUES = st.one_of(st.none(), st.floats(0, 900, allow_nan=False).map(lambda value: round(value, 2)))


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    format=st.sampled_from(TABLES),
    values=st.lists(VALUES, min_size=4, max_size=40),
    start=st.datetimes(pd.Timestamp("1990-01-01"), pd.Timestamp("2060-01-01")),
    delimiter=st.sampled_from(",;\t"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    ends=st.sampled_from(["\n", "\r\n", "\r"]),
    seed=st.integers(0, 99),
)
def test_readings_in_any_layout_come_back(
    tmp_path_factory: pytest.TempPathFactory,
    format: Format,
    values: list[float | None],
    start: pd.Timestamp,
    delimiter: str,
    encoding: str,
    ends: str,
    seed: int,
) -> None:
    stations, times = stations_of(format), times_from(format, str(start), len(values))
    readings: Readings = {(stations[at % 2], times[at // 2]): value for at, value in enumerate(values)}
    if all(value is None for (station, _), value in readings.items() if station == stations[0]):
        readings[stations[0], min(time for _, time in readings)] = 5.0
    files = [with_columns_mixed(format, file, Random(seed)) for file in written(format, readings)]
    files = [_with_decimal_commas(file) if delimiter == ";" else file for file in files]
    path = put(
        tmp_path_factory.mktemp("layout") / "files",
        files,
        ".csv",
        lambda file: as_text(file, delimiter, ends).encode(encoding),
    )
    found = read_back(read_readings(path, DELHI))
    right = dict(readings)
    if format.station is None and len(values) % 2:
        right[stations[1], max(time for _, time in readings)] = None
    assert found == {key: [value if value is None else pytest.approx(value, abs=1e-9)] for key, value in right.items()}
