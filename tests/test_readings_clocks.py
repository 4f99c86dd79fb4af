"""Times as people write them, against Python's own clock."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_utils.errors import InputError
from model_utils.ingest.readings.clocks import in_iso
from model_utils.ingest.readings.text import Rows
from model_utils.ingest.readings.times import iso_times

WRITTEN = {
    "%Y-%m-%d %H:%M": "minute",
    "%Y/%m/%d %H:%M:%S": "second",
    "%Y%m%d %H:%M": "minute",
    "%d.%m.%Y %H:%M": "minute",
    "%d/%m/%Y %H:%M:%S": "second",
    "%m/%d/%Y %I:%M %p": "minute",
    "%m/%d/%Y %I:%M:%S %p": "second",
    "%Y-%m-%d %I:%M %p": "minute",
    "%d-%b-%Y %H:%M": "minute",
    "%d-%b-%Y - %H:%M": "minute",
    "%d %B %Y %I:%M %p": "minute",
    "%m-%d-%Y": "day",
}
SETTLED = [datetime(2024, 1, 13, 5), datetime(2023, 12, 31, 0)]
"""A row that says by itself whether days come first."""


def rows_of(*words: str) -> Rows:
    column = pa.chunked_array([pa.array(words, pa.string())])
    return Rows(Path("a.csv"), {"time": column}, False, lambda row: f"a.csv: line {row + 2}")


def read(*words: str, layout: str | None = None) -> list[datetime]:
    rows = in_iso(rows_of(*words), "time", layout)
    return [time.to_pydatetime() for time in iso_times(rows, "time", zoned=False)]


@settings(max_examples=150, deadline=None)
@given(
    times=st.lists(st.datetimes(datetime(1970, 1, 1), datetime(2099, 12, 31)), min_size=1, max_size=6),
    layout=st.sampled_from(sorted(WRITTEN)),
    told=st.booleans(),
)
def test_whatever_the_layout_the_times_come_back(times: list[datetime], layout: str, told: bool) -> None:
    cut = {"day": {"hour": 0, "minute": 0, "second": 0}, "minute": {"second": 0}, "second": {}}[WRITTEN[layout]]
    expected = [time.replace(microsecond=0, **cut) for time in times + SETTLED]
    assert read(*(time.strftime(layout) for time in expected), layout=layout if told else None) == expected


@settings(max_examples=50, deadline=None)
@given(times=st.lists(st.integers(1_000_000_000, 4_000_000_000), min_size=1, max_size=5), milliseconds=st.booleans())
def test_seconds_and_milliseconds_since_1970(times: list[int], milliseconds: bool) -> None:
    words = [str(time * 1000 + 500 if milliseconds else time) for time in times]
    rows = in_iso(rows_of(*words), "time")
    found = [time.timestamp() for time in iso_times(rows, "time", zoned=True)]
    assert found == times


def test_the_ends_of_both_clocks() -> None:
    assert read("2024-01-01 24:00", "2024-12-31 24:00:00") == [datetime(2024, 1, 2), datetime(2025, 1, 1)]
    assert read("2024-01-01 12:00 AM", "2024-01-01 12:30 p.m.", "2024-01-01 1:05 PM") == [
        datetime(2024, 1, 1),
        datetime(2024, 1, 1, 12, 30),
        datetime(2024, 1, 1, 13, 5),
    ]


@pytest.mark.parametrize(
    "wrong", ["2024-01-01 24:30", "2024-01-01 13:00 PM", "2024-02-30 01:00", "soon", "1/2/24 5:00"]
)
def test_what_is_no_time_is_left_for_its_reader_to_refuse(wrong: str) -> None:
    with pytest.raises(InputError, match="line 2: time is"):
        read(wrong, wrong)


def test_no_row_says_whether_days_come_first() -> None:
    with pytest.raises(InputError, match=r"line 2: time is '03/01/2024 10:00', expected --time-format.*no row says"):
        read("03/01/2024 10:00", "02/01/2024 10:00")
    told = read("03/01/2024 10:00", "02/01/2024 10:00", layout="%d/%m/%Y %H:%M")
    assert told == [datetime(2024, 1, 3, 10), datetime(2024, 1, 2, 10)]
    assert read("03/03/2024 10:00") == [datetime(2024, 3, 3, 10)]


def test_rows_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(InputError, match=r"line 3: time is '02/13/2024 10:00', expected a month in the middle"):
        read("13/02/2024 10:00", "02/13/2024 10:00")


def test_a_layout_decides_alone() -> None:
    with pytest.raises(InputError, match=r"line 3: time is '2024-01-02', expected a time such as 31.01.2020"):
        read("01.01.2024", "2024-01-02", layout="%d.%m.%Y")
    with pytest.raises(InputError, match="--time-format: found '%Q'"):
        read("01.01.2024", layout="%Q")


def test_days_in_order_all_year_are_days_in_order() -> None:
    year = [datetime(2023, 1, 1) + timedelta(days=day) for day in range(365)]
    assert read(*(f"{day:%d/%m/%Y}" for day in year)) == year
    assert read(*(f"{day:%m/%d/%Y}" for day in year)) == year


def test_an_hour_of_a_day_in_digits_is_no_second_of_2033() -> None:
    assert read("2023123101", "2023123124") == [datetime(2023, 12, 31, 1), datetime(2024, 1, 1)]
    rows = in_iso(rows_of("2023123124"), "time", order="year")
    assert iso_times(rows, "time", zoned=False)[0] == datetime(2024, 1, 1)
    with pytest.raises(InputError, match="line 4: time is '2023123125'"):
        read("2023123101", "2023123102", "2023123125")
    with pytest.raises(InputError, match="line 2: time is '2023123125'"):
        iso_times(in_iso(rows_of("2023123125"), "time", order="year"), "time", zoned=False)
