"""Files of readings that are not as they should be: one line that names what is wrong, or the right numbers."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model_utils.cities import load_city
from model_utils.errors import InputError
from model_utils.ingest.readings.flags import DEFAULT_DROP, flag_records
from model_utils.ingest.readings.labels import daily_labels
from model_utils.ingest.readings.reading import FORMATS, read_readings
from model_utils.ingest.readings.records import StationRecords
from model_utils.ingest.readings.text import open_text
from model_utils.project import SHIPPED_ROOT

DELHI = load_city("Delhi", SHIPPED_ROOT)
PLAIN = "station,time,value\nA,2020-01-01T00:00Z,1.5\nA,2020-01-01T01:00Z,2.5\n"
CPCB = "Timestamp,PM2.5 (µg/m³),Datetime\n2018-01-01,12.5,2018-01-01\n2018-01-02,,2018-01-02\n"
CCR = (
    "Station,Pusa\nFrom Date,To Date,PM2.5\n01-01-2020 00:00,01-01-2020 01:00,12.5\n"
    "01-01-2020 01:00,01-01-2020 02:00,NA\n"
)
UCI = "No,year,month,day,hour,PM2.5,station\n1,2013,3,1,0,4,X\n2,2013,3,1,1,NA,X\n"
OPENAQ = (
    "location_id,sensors_id,location,datetime,lat,lon,parameter,units,value\n"
    "1,2,X,2020-01-01T01:00:00+05:30,28.5,77.2,pm25,µg/m³,8\n1,2,X,2020-01-01T02:00:00+05:30,28.5,77.2,pm25,µg/m³,9\n"
)
CHINA = "date,hour,type,1001A,1002A\n20200101,0,PM2.5,1,2\n20200101,1,PM2.5,3,\n"
EPA = (
    "State Code,County Code,Site Num,Parameter Code,POC,Latitude,Longitude,Date GMT,Time GMT,Sample Measurement,"
    "Units of Measure\n01,001,0001,88101,1,28.5,77.2,2020-01-01,00:00,7,Micrograms/cubic meter (LC)\n"
)
V2 = {
    "locationId": 1,
    "location": "X",
    "parameter": "pm25",
    "value": 3.5,
    "date": {"utc": "2020-01-01T01:00:00Z", "local": "2020-01-01T06:30:00+05:30"},
    "unit": "µg/m³",
}
V3 = {
    "value": 3.5,
    "parameter": {"name": "pm25", "units": "µg/m³"},
    "period": {"datetimeFrom": V2["date"], "datetimeTo": {"utc": "2020-01-01T02:00:00Z"}},
}


def read(folder: Path, content: str | bytes, name: str = "a.csv", **options: str) -> StationRecords:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_readings(path, DELHI, **options)


def changed(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\n\n  \n", "the file is empty|no header"),
        ("station,time,value\n", "found a header and no rows"),
        ("station,time,value\n,,\n,,\n", "found a header and no rows"),
        ("just text", "no known format.*--readings-format with one of cpcb-daily"),
        (b"PK\x03\x04rest", "Excel file.*save it as CSV"),
        (b"\xd0\xcf\x11\xe0rest", "Excel file.*save it as CSV"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "binary data"),
        (b"\xff\xfe\x00", "UTF-16|the file is empty"),
        (gzip.compress(PLAIN.encode(), mtime=0)[:-12], "not readable"),
        (",".join(["x"] * 10**6), "line 1: found over 20000 cells"),
        (PLAIN + ",".join(["7"] * 10**6), "line 4: found 1000000 cells, expected 3"),
        (PLAIN + "A,2020-01-01T02:00Z\n", "line 4: found 2 cells, expected 3"),
        (PLAIN + "\n\nA,2020-01-01T02:00Z,3,4\n", "line 6: found 4 cells, expected 3"),
        (PLAIN + "A,2020-01-01T02:00Z,12x\n", "line 4: value is '12x', expected a number"),
        (PLAIN + "A,2020-01-01T02:00Z,inf\n", "line 4: value is 'inf', expected a number"),
        (PLAIN + "\nA,2020-13-01T02:00Z,1\n", "line 5: time is '2020-13-01T02:00Z', expected a date or time"),
        (PLAIN + "A,,1\n", "line 4: time is ''"),
        (PLAIN + "A,1.2.2020 02:00Z,1\n", "line 4: time is '1.2.2020 02:00Z'"),
        (PLAIN + "A,2020-01-01T02:00,1\n", "line 4: time is '2020-01-01T02:00', expected a time with its offset"),
        (PLAIN + ",2020-01-01T02:00Z,1\n", "line 4: station is ''"),
        (PLAIN.replace("Z", ""), "names no offset from UTC, expected --timezone"),
        (PLAIN.replace("value", "pm2.5 (ppb)"), "PM2.5 is in 'ppb', expected ug/m3"),
        (PLAIN + 'A,2020-01-01T02:00Z,"1\nA,2020-01-01T03:00Z,"\n', "a quoted cell runs over several lines"),
        ('station,time,value,remark\nA,2020-01-01,1,"x\nA,2020-01-02,2,y"\n', "a quoted cell runs over several lines"),
        (changed(CPCB, ",2018-01-02", ",2018-01-02 13:00"), "line 3: Datetime is '2018-01-02 13:00', expected a day"),
        (changed(CPCB, "µg/m³", "ppb"), "PM2.5 is in 'ppb'"),
        (changed(CCR, "01:00,12.5", "04:00,12.5"), "line 3: To Date is '01-01-2020 04:00', expected at most an hour"),
        (changed(CCR, "01-01-2020 01:00,01", "01/01/2020 01:00,01"), "line 4: From Date is '01/01/2020 01:00'"),
        (changed(CCR, "PM2.5", "PM10"), "column PM2.5 is missing"),
        (CCR + "From Date,To Date,PM10\n1,2,3\n", "line 5: From Date is 'From Date', expected one table a file"),
        (changed(CCR, "01-01-2020 00:00", "01-01-2020 0000"), "line 3: From Date is '01-01-2020 0000'"),
        (changed(UCI, "3,1,1", "2,30,1"), "line 3: day is '30', expected a day of its month"),
        (changed(UCI, "3,1,1", "3,1,24"), "line 3: hour is '24', expected a whole number from 0 to 23"),
        (changed(UCI, "2013", "nan"), "line 2: year is 'nan'"),
        (
            changed(OPENAQ, "02:00:00+05:30", "02:00:00"),
            "line 3: datetime is '2020-01-01T02:00:00', expected a time with",
        ),
        (OPENAQ.replace("pm25", "o3"), "found no measurement of pm25"),
        (OPENAQ.replace("µg/m³", "ppm"), "PM2.5 is in 'ppm'"),
        (changed(CHINA, "1,PM2.5", "24,PM2.5"), "line 3: hour is '24', expected an hour from 0 to 23"),
        (CHINA.replace("PM2.5", "PM2.5_24h"), "no row of type PM2.5, only PM2.5_24h"),
        (changed(CHINA, "1002A", "1001A"), "station is there twice"),
        (changed(EPA, ",00:00", ",25:00"), "line 2: Time GMT is '25:00'"),
        (changed(EPA, "28.5", "38.5"), "no PM2.5 within 0.5 degrees of Delhi"),
        ("{", "not readable as JSON"),
        ("[" * 100_000, "not readable as JSON"),
        ('{"found": 3}', "no list 'results'"),
        (json.dumps({"results": [V2, 3]}), r"results\[1\]: not a measurement"),
        (json.dumps({"results": [V2, {**V2, "value": "much"}]}), r"results\[1\]: not a measurement"),
        (json.dumps({"results": [V2, {**V2, "date": {"utc": "soon", "local": "x"}}]}), "time 'soon', expected"),
        (json.dumps({"results": [V2, V3]}), "versions 2 and 3"),
        (json.dumps({"results": [{**V2, "unit": "ppm"}]}), "PM2.5 is in 'ppm'"),
        (json.dumps({"results": []}), "found no measurement of pm25"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        read(tmp_path, content)
    assert "\n" not in str(raised.value)
    assert "a.csv" in str(raised.value)
    assert len(str(raised.value)) < 500


def test_flags_that_contradict_the_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="rows name their beginning and their end, but --hour-stamp says ending"):
        read(tmp_path, CCR, hour_stamp="ending")
    with pytest.raises(InputError, match="both their ends, but --hour-stamp says ending"):
        read(tmp_path, json.dumps({"results": [V3]}), hour_stamp="ending")
    with pytest.raises(InputError, match=r"PM2.5 is in 'µg/m³', but --unit says 'mg/m3'"):
        read(tmp_path, OPENAQ, unit="mg/m3")
    with pytest.raises(InputError, match="--timezone: found 'Asia/Delhi'"):
        read(tmp_path, UCI, timezone="Asia/Delhi")
    with pytest.raises(InputError, match="--readings-format: found 'csv', expected one of cpcb-daily"):
        read(tmp_path, UCI, format="csv")
    for name in FORMATS:
        if name != "plain":
            with pytest.raises(InputError, match=r"a\.csv"):
                read(tmp_path, PLAIN, format=name)


def test_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not found"):
        read_readings(tmp_path / "none", DELHI)
    (tmp_path / "empty.csv").mkdir()
    with pytest.raises(InputError, match="no file with readings"):
        read_readings(tmp_path / "empty.csv", DELHI)
    (tmp_path / "a.csv").write_text(PLAIN)
    (tmp_path / "b.csv").write_text(UCI)
    with pytest.raises(InputError, match=r"b\.csv: found uci-beijing, but .*a\.csv is plain"):
        read_readings(tmp_path, DELHI)
    (tmp_path / "b.csv").write_text(PLAIN.replace("T00:00Z", "").replace("T01:00Z", ""))
    with pytest.raises(InputError, match="hours beside daily values"):
        read_readings(tmp_path, DELHI)
    (tmp_path / "b.csv").unlink()
    (tmp_path / "stations.csv").write_text("station,lat,lon\nA,28,x\n")
    with pytest.raises(InputError, match=r"stations\.csv: line 2: lon is 'x'"):
        read_readings(tmp_path, DELHI)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_encodings_line_ends_and_delimiters(tmp_path: Path, encoding: str, ends: str, delimiter: str) -> None:
    content = f'station,time,"pm2.5 (µg/m³)",remark\n{PLAIN.split(chr(10), 1)[1]}'.replace(".5\n", '.5,"é"\n')
    content = content.replace("1.5", "1,5") if delimiter == ";" else content
    content = content.replace("A,", f"A{delimiter}").replace("Z,", f"Z{delimiter}").replace(',"', f'{delimiter}"')
    content = content.replace("n,t", f"n{delimiter}t").replace(",remark", f"{delimiter}remark").replace("\n", ends)
    records = read(tmp_path, content.encode(encoding))
    assert records.table["pm25"].tolist() == [1.5, 2.5]
    assert any("Latin-1" in note for note in records.notes) == (encoding == "latin-1")


def test_the_line_of_an_error_counts_blank_and_quoted_lines(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="line 2004"):
        read(tmp_path, PLAIN + "\n" + "A,2020-01-01T05:00Z,5\n,,\n" * 999 + "\nA,2020-01-01T06:00Z,bad\n")


def test_words_for_nothing_and_codes(tmp_path: Path) -> None:
    words = ["", "NA", "None", "---", "nan", "NULL", "-999", "985", "-0.5", "1e2", "7."]
    lines = [f"A,2020-01-01T{hour:02d}:00Z,{word}" for hour, word in enumerate(words)]
    table = read(tmp_path, "station,time,value\n" + "\n".join(lines)).table
    np.testing.assert_array_equal(table["pm25"], [np.nan] * 6 + [-999, 985, -0.5, 100, 7])


def test_duplicates_stay_and_disagreeing_columns_are_said(tmp_path: Path) -> None:
    assert len(read(tmp_path, PLAIN + PLAIN.split("\n", 1)[1]).table) == 4
    twice = CCR.replace("PM2.5\n", "PM2.5,PM2.5\n").replace("12.5\n", "12.5,99\n").replace("NA\n", "NA,7\n")
    records = read(tmp_path, twice)
    assert records.table["pm25"].tolist() == [12.5, 7]
    assert any("differ in 1 rows" in note for note in records.notes)


def test_national_files_of_the_epa_are_cut_to_the_city(tmp_path: Path) -> None:
    rows = EPA.split("\n")[1]
    records = read(tmp_path, EPA + rows.replace("28.5", "40.0") + "\n" + rows.replace("88101", "44201") + "\n")
    assert len(records.table) == 1
    assert any(note.startswith("2 rows of other parameters or over 0.5 degrees") for note in records.notes)


def epa_days(rows: list[str]) -> str:
    header = (
        "State Code,County Code,Site Num,Parameter Code,POC,Latitude,Longitude,Sample Duration,Pollutant Standard,"
        "Date Local,Units of Measure,Event Type,Observation Count,Observation Percent,Arithmetic Mean\n"
    )
    unit = "Micrograms/cubic meter (LC),None"
    cells = [row.split() for row in rows]
    return header + "".join(
        f"1,1,1,88101,{poc},28.5,77.2,{duration.replace('_', ' ')},S,2020-01-0{day},{unit},{count},{percent},{mean}\n"
        for day, poc, duration, count, percent, mean in cells
    )


def test_daily_means_of_few_hours_are_no_labels(tmp_path: Path) -> None:
    """A sample of 24 hours is one observation; a second instrument's whole day precedes the first one's part."""
    days = [
        "1 1 1_HOUR 24 100 10",
        "2 1 1_HOUR 17 71 20",
        "3 1 24_HOUR 1 100 30",
        "4 1 1_HOUR 9 38 40",
        "4 2 1_HOUR 20 83 41",
        "5 1 1_HOUR 17 NA 50",
        "6 1 24-HR_BLK_AVG 1 74 60",
        "7 1 1_HOUR 18 75 70",
    ]
    records = read(tmp_path, epa_days(days))
    assert any(note.startswith("3 daily means rest on under 75 %") for note in records.notes)
    located = pd.DataFrame({"station": ["01-001-0001"], "latitude": [28.5], "longitude": [77.2]})
    for drop in ((), DEFAULT_DROP):
        labels = daily_labels(flag_records(records, located), drop)
        np.testing.assert_array_equal(labels["pm25"], [10, np.nan, 30, 41, np.nan, np.nan, 70])
        assert labels["pm25_unfiltered"].tolist() == [10, 20, 30, 41, 50, 60, 70]
        assert labels["flag_too_few_hours"].tolist() == [False, True, False, False, True, True, False]
        assert labels["quality"].iloc[1] == "too_few_hours"


def test_weather_that_names_no_known_unit_is_left_out_and_said(tmp_path: Path) -> None:
    header, rest = CCR.split("PM2.5\n")
    rest = rest.replace("12.5\n", "12.5,21,740,55,200\n").replace("NA\n", "NA,22,741,56,210\n")
    content = header + "PM2.5,AT,BP (mmH2O),RH [%],WD\n" + rest
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(content.replace("Pusa", name))
    records = read_readings(tmp_path, DELHI)
    assert records.units == {"relative_humidity": "%", "wind_direction": ""}
    assert records.table["relative_humidity"].tolist() == [55, 56, 55, 56]
    said = [note for note in records.notes if note.startswith("left out of a.csv, b.csv: column ")]
    assert [note.split("column ")[1].split(":")[0] for note in said] == ["'AT'", "'BP (mmH2O)'"]
    daily = CPCB.replace("Datetime\n", "AT,Temp (°C),Datetime\n").replace(",2018-01-0", ",7,8,2018-01-0")
    records = read(tmp_path / "..", daily, "daily.csv")
    assert records.table["temperature"].tolist() == [8, 8]
    assert any(note.startswith("left out of daily.csv: column 'AT': ") for note in records.notes)
    odd = OPENAQ.split("\n")[1].replace("pm25,µg/m³", "pressure,mmH2O")
    records = read(tmp_path / "..", OPENAQ + odd + "\n", "openaq.csv")
    assert "pressure" not in records.table
    assert any("left out of openaq.csv: parameter 'pressure': " in note for note in records.notes)


def test_zoned_times_at_midnight_of_the_city_are_days(tmp_path: Path) -> None:
    days = "station,time,value\nA,2019-01-04T00:00:00+05:30,33.5\nA,2019-01-05T00:00:00+05:30,34.5\n"
    utc = "station,time_utc,value\nA,2019-01-03T18:30,33.5\nA,2019-01-04T18:30:00Z,34.5\n".replace("00Z", "00")
    for content in (days, utc):
        records = read(tmp_path, content)
        assert records.period == "day"
        assert records.table["local_date"].dt.strftime("%m-%d").tolist() == ["01-04", "01-05"]
        assert "times without a clock, or at midnight in Asia/Kolkata throughout, are local days" in records.notes
    # midnight elsewhere, or once only, or with other hours, is an hour
    for content in (
        days.replace("+05:30", "Z"),
        "\n".join(days.split("\n")[:2]),
        days + "A,2019-01-05T01:00:00+05:30,35\n",
    ):
        assert read(tmp_path, content).period == "hour"


def test_a_text_that_is_no_table_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "README.txt").write_text("These are readings, kindly given.\nSee the web page.\n")
    with pytest.raises(InputError, match=r"README\.txt: is of no known format"):
        read_readings(tmp_path, DELHI)
    (tmp_path / "a.csv").write_text(PLAIN)
    (tmp_path / "b.txt").write_text(PLAIN)
    for format in (None, "plain"):
        records = read_readings(tmp_path, DELHI, format)
        assert len(records.table) == 4
        assert "README.txt is left out: a text file of no known format" in records.notes
        assert [path.name for path in records.files] == ["a.csv", "b.txt"]
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"notes\.csv: is of no known format"):
        read_readings(tmp_path, DELHI)


def test_two_monitors_of_one_district_stay_two_stations(tmp_path: Path) -> None:
    (tmp_path / "stations.csv").write_text("name,station_id,lat,lon\nPusa,s1,28.64,77.15\nAlipur,s2,28.8,77.1\n")
    for number, name in enumerate(["Pusa, Delhi - IMD", "Pusa, Delhi - DPCC", "Alipur, Delhi - DPCC"]):
        (tmp_path / f"{number}.csv").write_text(CCR.replace("Station,Pusa", f'Station,"{name}"'))
    records = read_readings(tmp_path, DELHI)
    assert sorted(records.stations["station"]) == ["Alipur", "Pusa, Delhi - DPCC", "Pusa, Delhi - IMD"]


def test_stations_that_move_are_said(tmp_path: Path) -> None:
    lines = ["station,time,value,latitude,longitude", "A,2020-01-01T00Z,5,28.6,77.1", "A,2020-01-01T01Z,5,28.7,77.1"]
    records = read(tmp_path, "\n".join([*lines, "B,2020-01-01T00Z,5,28.5,77.2", "B,2020-01-01T01Z,5,,"]))
    assert records.stations[["latitude", "longitude"]].to_numpy().tolist() == [[28.6, 77.1], [28.5, 77.2]]
    assert any("1 stations have coordinates" in note and "(A)" in note for note in records.notes)


def test_mixed_parameters_in_a_plain_table(tmp_path: Path) -> None:
    lines = ["station,time,parameter,value,unit", "A,2020-01-01T00Z,PM2.5,5,ug/m3", "A,2020-01-01T00Z,PM10,50,ug/m3"]
    assert read(tmp_path, "\n".join(lines)).table["pm25"].tolist() == [5]


def outcome(folder: Path, content: bytes) -> StationRecords | str:
    try:
        return read(folder, content)
    except InputError as error:
        return str(error)


SAMPLES = [PLAIN, CPCB, CCR, UCI, OPENAQ, CHINA, EPA, json.dumps({"results": [V2]}), json.dumps({"results": [V3]})]


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sample=st.sampled_from(SAMPLES),
    place=st.floats(0, 1, exclude_max=True),
    cut=st.integers(0, 40),
    put=st.one_of(
        st.binary(max_size=6), st.sampled_from([b'"', b"\x00", b"\n", b";", b",", b"\xff\xfe", b"1e999", b"-", b"{}"])
    ),
)
def test_a_damaged_file_is_read_or_refused(tmp_path: Path, sample: str, place: float, cut: int, put: bytes) -> None:
    """Warnings are errors here, so this also says that pandas and pyarrow stay silent."""
    raw = sample.encode()
    at = int(place * len(raw))
    found = outcome(tmp_path, raw[:at] + put + raw[at + cut :])
    if isinstance(found, str):
        assert "\n" not in found
    else:
        assert len(found.table)
        assert not np.isinf(found.table["pm25"]).any()


numbers = st.floats(-1e6, 1e6, allow_nan=False)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(st.one_of(st.none(), numbers), min_size=1, max_size=30))
def test_numbers_come_back_to_the_last_bit(tmp_path: Path, values: list[float | None]) -> None:
    lines = [f"{number},{'' if value is None else repr(value)}" for number, value in enumerate(values)]
    (tmp_path / "n.csv").write_text("row,value\n" + "\n".join(lines))
    rows = open_text(tmp_path / "n.csv").rows({"row": 0, "value": 1})
    expected = pd.Series(values, dtype="float64")
    np.testing.assert_array_equal(rows.numbers("value"), expected)
