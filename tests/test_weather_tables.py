"""Tables of weather: units, clocks, and what is refused."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_utils.cities import load_city
from model_utils.errors import InputError
from model_utils.ingest.weather.sources import read_weather
from model_utils.ingest.weather.tables import read_weather_table
from model_utils.project import SHIPPED_ROOT


def write(folder: Path, name: str, text: str, encoding: str = "utf-8") -> Path:
    (folder / name).write_text(text, encoding=encoding)
    return folder / name


def test_tables_of_a_city_and_of_stations(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "Delhi.csv",
        "time,TEMP (F),BP (mmHg),RH [%],note\n2020-01-01 00:00,50,750,80,x\n2020-01-01 05:30,NA,,70,\n",
    )
    table = read_weather_table(path, "Delhi", "Asia/Kolkata")
    assert table.attrs["notes"] == []
    assert table["time_utc"].dt.strftime("%Y-%m-%dT%H:%MZ").tolist() == ["2019-12-31T18:30Z", "2020-01-01T00:00Z"]
    assert table["local_date"].dt.strftime("%Y-%m-%d").tolist() == ["2020-01-01"] * 2
    np.testing.assert_allclose(table["temperature_c"], [10, np.nan])
    np.testing.assert_allclose(table["pressure_hpa"], [750 / 760 * 1013.25, np.nan])
    assert list(table.columns) == ["time_utc", "local_date", "temperature_c", "pressure_hpa", "relative_humidity_pct"]

    folder = tmp_path / "stations"
    folder.mkdir()
    write(folder, "A.csv", "date,temperature_c\n2020-01-01,5\n2020-01-02,6\n")
    write(folder, "B.csv", "\ufeffdate;wind_speed_kmh;T2M (K)\n2020-01-01;36;283,15\n", "utf-8")
    table = read_weather_table(folder, "Delhi", "Asia/Kolkata")
    assert table["station"].tolist() == ["A", "A", "B"]
    assert table["time_utc"].isna().all()
    np.testing.assert_allclose(table["wind_speed_ms"], [np.nan, np.nan, 10])
    np.testing.assert_allclose(table["temperature_c"], [5, 6, 10])


def test_clock_changes_in_tables(tmp_path: Path) -> None:
    text = "time,temperature_c\n2020-11-01 00:30,1\n2020-11-01 01:30,2\n2020-11-01 01:30,3\n2020-11-01 02:30,4\n"
    table = read_weather_table(write(tmp_path, "w.csv", text), "X", "America/Los_Angeles")
    assert table["time_utc"].dt.hour.tolist() == [7, 8, 9, 10]
    notes = table.attrs["notes"]
    assert len(notes) == 1
    assert notes[0].startswith("w.csv: 2 rows lie in an hour")


def test_the_local_day_is_the_citys_whatever_the_tables_clock(tmp_path):
    path = tmp_path / "weather.csv"
    path.write_text("time,temperature_c\n2019-01-04 18:00,10\n2019-01-04 19:00,11\n")
    city = load_city("Delhi", SHIPPED_ROOT)
    table, _, _ = read_weather(path, city, "UTC")
    assert table["local_date"].astype(str).tolist() == ["2019-01-04", "2019-01-05"]  # 23:30 and 00:30 in Delhi
    table, _, _ = read_weather(path, city, None)
    assert table["local_date"].astype(str).tolist() == ["2019-01-04"] * 2
    assert table["time_utc"].dt.hour.tolist() == [12, 13]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("time,foo\n2020-01-01,1\n", "expected weather with its unit"),
        ("temperature_c\n1\n", "expected one of times"),
        ("time,TEMP\n2020-01-01,1\n", r"column 'TEMP' names no unit, expected a header such as 'TEMP \(c\)'"),
        ("time,BP (psi)\n2020-01-01,1\n", "the unit 'psi'"),
        ("time,temperature_c\n2020-01-01,1\nsoon,2\n", "line 3: time is 'soon'"),
        ("time,temperature_c\n2020-01-01,1\n2020-01-02,warm\n", "line 3: temperature is 'warm'"),
        ("time,temperature_c\n2020-01-01,1\n2020-01-02,-999\n", "line 3: temperature is '-999'"),
        ("time,temperature_c,AT (C)\n2020-01-01,1,1\n", "both hold temperature"),
        ("time,temperature_c\n2020-01-01,1,4\n", "line 2: found 3 cells"),
        ("lat,lon,time,temperature_c\n99,7,2020-01-01,1\n", "line 2: latitude is '99'"),
    ],
)
def test_tables_that_are_wrong(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_weather_table(write(tmp_path, "w.csv", text), "X", "Asia/Kolkata")
    assert "w.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.binary(max_size=300))
@settings(max_examples=60, deadline=None)
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "w.csv"
        path.write_bytes(b"time,temperature_c\n" + data)
        said = ""
        try:
            read_weather_table(path, "X", "Asia/Kolkata")
        except InputError as error:
            said = str(error)
        assert "\n" not in said
