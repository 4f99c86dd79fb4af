"""Formats of readings that are data: what they read, how they are known, and what a wrong one is told."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from model_utils.cities import BoundingBox, City, load_city
from model_utils.cli.main import main
from model_utils.errors import InputError
from model_utils.ingest.readings.flags import flag_records
from model_utils.ingest.readings.formats.specification import read_format, shipped_formats
from model_utils.ingest.readings.formats.table import portal_name
from model_utils.ingest.readings.reading import detect, read_readings
from model_utils.ingest.readings.records import StationRecords
from model_utils.project import SHIPPED_ROOT

EXPECTED = Path(__file__).resolve().parents[2] / "shared" / "formats" / "expected.json"
CASES: dict[str, Any] = json.loads(EXPECTED.read_text(encoding="utf-8"))["cases"] if EXPECTED.is_file() else {}
DELHI = load_city("Delhi", SHIPPED_ROOT)
FRESNO_FILE = (
    "name: Fresno\nbounding_box: {south: 36.5, west: -120.1, north: 37.0, east: -119.5}\n"
    "time_zone: America/Los_Angeles\noverpass_local_time: '10:30'\nstations: []\n"
)
FRESNO = replace(
    DELHI, bounding_box=BoundingBox(36.5, -120.1, 37.0, -119.5), time_zone="America/Los_Angeles", stations=()
)


def kept(records: StationRecords) -> list[tuple[str, str, float]]:
    """Station, beginning of the hour (UTC) or local day, and reading of the rows that would be used."""
    flagged = flag_records(records, records.stations)
    table = flagged[~flagged["flag_missing"] & ~flagged["flag_missing_code"]]
    when = table["time_utc"].dt.strftime("%Y-%m-%dT%H:%M")
    when = when if records.period == "hour" else table["local_date"].dt.strftime("%Y-%m-%d")
    return sorted(zip(table["station"], when, table["pm25"], strict=True))


@pytest.mark.real
@pytest.mark.skipif(not EXPECTED.is_file(), reason="the examples of formats are not here")
@pytest.mark.parametrize("name", [name for name in CASES if not name.startswith("scenes/")])
def test_examples_of_providers_are_read_as_they_should_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    case, out = CASES[name], tmp_path / "rows.csv"
    city = case["city"] if case["city"] in ("Delhi", "Beijing") else "Fresno"
    (tmp_path / "data" / "cities").mkdir(parents=True)
    (tmp_path / "data" / "cities" / "Fresno.yaml").write_text(FRESNO_FILE)
    words = ["--city", city, "--readings", str(EXPECTED.parent / "readings" / name), "--table", str(out)]
    code = main(["inspect", *words, "--root", str(tmp_path), *shlex.split(case["flags"])])
    said = capsys.readouterr()
    if isinstance(case["right"], str):
        assert code == 2
        line = r"pm25 inspect: .*a\.csv: line 2: time is '03/01/2024 10:00', .*--time-format.*\n"
        assert re.fullmatch(line, said.err)
        return
    assert code == 0
    rows = pd.read_csv(out, dtype={"station": "str"}, keep_default_na=False)
    used = rows[~rows["flags"].str.contains("missing")]
    when = used.iloc[:, 1].str.removesuffix(":00Z")
    found = sorted([*row] for row in zip(used["station"], when, used["pm25"].astype(float), strict=True))
    assert found == sorted(case["right"])
    if "beginning assumed" in case["why"]:
        assert "beginning is assumed" in said.out
    if "low-cost" in case["why"]:
        assert used["flags"].str.contains("low_cost").all()


def test_a_look_at_readings_needs_no_archive_and_no_places(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.csv").write_text("station,time,value\nNowhere,2024-01-01T00:00Z,-999\nNowhere,2024-01-01T01:00Z,7\n")
    words = ["inspect", "--city", "Delhi", "--root", str(tmp_path), "--readings", str(tmp_path / "a.csv")]
    assert main([*words, "--table", str(tmp_path / "rows.csv")]) == 0
    said = capsys.readouterr().out
    assert "2 hours of 1 station, 2024-01-01 to 2024-01-01 in Asia/Kolkata" in said
    assert "no station of the readings has usable coordinates in Delhi" in said
    assert (tmp_path / "rows.csv").read_text() == (
        "station,time_utc,pm25,flags\nNowhere,2024-01-01T00:00:00Z,-999.0,missing_code|coordinates\n"
        "Nowhere,2024-01-01T01:00:00Z,7.0,coordinates\n"
    )
    assert main([*words, "--table", str(tmp_path / "rows.csv")]) == 2
    assert "rows.csv: is there already, --overwrite replaces it" in capsys.readouterr().err
    for flags, message in (
        (["--unit", "mg/m3"], "--unit: is about --readings"),
        (["--table", "x.csv"], "--table: is about --readings"),
        (["--readings", "a.csv", "--accept-changes", "true"], "--accept-changes: is about an archive"),
        (["--readings", "none.csv"], "none.csv: not found"),
    ):
        assert main(["inspect", "--city", "Delhi", "--root", str(tmp_path), *flags]) == 2
        assert message in capsys.readouterr().err


FILES: dict[str, tuple[str, str, City, list[tuple[str, str, float]]]] = {
    "india-station-hour": (
        "station_hour.csv",
        "StationId,Datetime,PM2.5,PM10,AQI,AQI_Bucket\nDL001,2019-01-01 01:00:00,310.5,1,2,Severe\n",
        DELHI,
        [("DL001", "2018-12-31T19:30", 310.5)],
    ),
    "india-station-day": (
        "station_day.csv",
        "StationId,Date,PM2.5,PM10,AQI,AQI_Bucket\nDL001,2019-01-01,310.5,1,2,Severe\n",
        DELHI,
        [("DL001", "2019-01-01", 310.5)],
    ),
    "cpcb-portal": (
        "Raw_data_1Hr_2023_site_122_Mandir_Marg_Delhi_DPCC_1Hr.csv",
        "Timestamp,PM2.5 (µg/m³),AT (°C),BP (mmHg)\n2023-01-01 00:00:00,100,12,745\n2023-01-01 01:00:00,NA,12,745\n",
        DELHI,
        [("Mandir Marg, Delhi - DPCC", "2022-12-31T18:30", 100.0)],
    ),
    "airnow-embassy": (
        "NewDelhi_PM2.5_2019_01_MTD.csv",
        "Site,Parameter,Date (LT),Year,Month,Day,Hour,NowCast Conc.,AQI,AQI Category,Raw Conc.,Conc. Unit,Duration,"
        "QC Name\nNew Delhi,PM2.5 - Principal,2019-01-01 01:00 AM,2019,1,1,1,250.1,300,V,251,UG/M3,1 Hr,Valid\n"
        "New Delhi,PM2.5 - Principal,2019-01-01 02:00 AM,2019,1,1,2,250.1,300,V,99,UG/M3,1 Hr,Invalid\n",
        DELHI,
        [("New Delhi", "2018-12-31T19:30", 251.0)],
    ),
    "state-department": (
        "Beijing_2014_HourlyPM25.csv",
        "Please refer to the notice of use\n\n"
        "Site,Parameter,Date (LST),Year,Month,Day,Hour,Value,Unit,Duration,QC Name\n"
        "Beijing,PM2.5,1/1/2014 0:00,2014,1,1,0,55,µg/m³,1 Hr,Valid\n"
        "Beijing,PM2.5,1/1/2014 1:00,2014,1,1,1,-999,µg/m³,1 Hr,Missing\n",
        load_city("Beijing", SHIPPED_ROOT),
        [("Beijing", "2013-12-31T16:00", 55.0)],
    ),
    "china-city": (
        "beijing_all_20240101.csv",
        "date,hour,type,东四,天坛\n20240101,0,PM2.5,35,42\n20240101,0,PM2.5_24h,30,40\n20240101,23,PM2.5,,41\n",
        load_city("Beijing", SHIPPED_ROOT),
        [("东四", "2023-12-31T15:00", 35.0), ("天坛", "2023-12-31T15:00", 42.0), ("天坛", "2024-01-01T14:00", 41.0)],
    ),
    "epa-daily-download": (
        "ad_viz_plotval_data.csv",
        "Date,Source,Site ID,POC,Daily Mean PM2.5 Concentration,Units,Local Site Name,Site Latitude,Site Longitude\n"
        "01/02/2024,AQS,060190011,3,20.4,ug/m3 LC,Fresno - Garland,36.78538,-119.77321\n"
        "01/02/2024,AQS,060190011,1,21.4,ug/m3 LC,Fresno - Garland,36.78538,-119.77321\n"
        "01/02/2024,AQS,060371103,1,9,ug/m3 LC,Los Angeles,34.07,-118.23\n",
        FRESNO,
        [("060190011", "2024-01-02", 21.4)],
    ),
    "purpleair-download": (
        "12345 2024-01-01 2024-01-31 60-Minute Average.csv",
        "time_stamp,humidity,temperature,pm2.5_atm,pm2.5_cf_1\n2024-01-01T00:00:00Z,40,70,12.1,14.2\n",
        DELHI,
        [("12345", "2024-01-01T00:00", 12.1)],
    ),
    "sensor-community": (
        "2024-01-01_sds011_sensor_141.csv",
        "sensor_id;sensor_type;location;lat;lon;timestamp;P1;durP1;ratioP1;P2;durP2;ratioP2\n"
        "141;SDS011;61;28.6;77.2;2024-01-01T00:00:10;20.5;;;10.5;;\n"
        "141;SDS011;61;28.6;77.2;2024-01-01T00:02:40;21.5;;;11.5;;\n",
        DELHI,
        [("141", "2023-12-31T23:30", 11.0)],  # an hour of the local clock
    ),
    "airkorea": (
        "2023년 1월.csv",
        "지역,망,측정소코드,측정소명,측정일시,SO2,CO,O3,NO2,PM10,PM25,주소\n"
        "서울 중구,도시대기,111121,중구,2023010101,0.003,0.5,0.01,0.03,30,17,서울 중구 덕수궁길 15\n"
        "서울 중구,도시대기,111121,중구,2023010124,0.003,0.5,0.01,0.03,30,-999,서울 중구 덕수궁길 15\n"
        "서울 중구,도시대기,111121,중구,2023010201,0.003,0.5,0.01,0.03,30,19,서울 중구 덕수궁길 15\n",
        DELHI,
        [("111121", "2022-12-31T15:00", 17.0), ("111121", "2023-01-01T15:00", 19.0)],
    ),
    "eea-e1a": (
        "FR_6001_12345_2019_timeseries.csv",
        "Countrycode,Namespace,AirQualityNetwork,AirQualityStation,AirQualityStationEoICode,SamplingPoint,"
        "SamplingProcess,Sample,AirPollutant,AirPollutantCode,AveragingTime,Concentration,UnitOfMeasurement,"
        "DatetimeBegin,DatetimeEnd,Validity,Verification\n"
        + "".join(
            f"FR,N,NET,STA,FR04055,SPO,SPP,SAM,PM2.5,http://x/6001,hour,{value},µg/m3,2019-01-01 {hour:02d}:00:00 "
            f"+01:00,2019-01-01 {hour + 1:02d}:00:00 +01:00,{valid},1\n"
            for hour, value, valid in ((0, 12.5, 1), (1, 99, -1), (2, 3.5, 2))
        ),
        FRESNO,
        [("FR04055", "2018-12-31T23:00", 12.5), ("FR04055", "2019-01-01T01:00", 3.5)],
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_each_format_is_known_and_read(tmp_path: Path, name: str) -> None:
    file, content, city, right = FILES[name]
    (tmp_path / file).write_text(content, encoding="utf-8")
    assert detect(tmp_path / file, city) == name
    records = read_readings(tmp_path / file, city)
    assert kept(records) == right
    for other in shipped_formats().keys() - {name}:
        with pytest.raises(InputError):
            read_readings(tmp_path / file, city, format=other)


def test_series_of_the_european_download_service(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "Samplingpoint": "DE/SPO.DE_DEBB021",
            "Pollutant": [6001, 6001, 5],
            "Start": pd.to_datetime(["2024-01-01 00:00", "2024-01-01 01:00", "2024-01-01 00:00"]),
            "End": pd.to_datetime(["2024-01-01 01:00", "2024-01-01 02:00", "2024-01-01 01:00"]),
            "Value": [12.5, 13.5, 50],
            "Unit": "ug.m-3",
            "AggType": "hour",
            "Validity": [1, -1, 1],
            "Verification": 1,
        }
    )
    table.to_parquet(tmp_path / "SPO.parquet")
    records = read_readings(tmp_path / "SPO.parquet", DELHI)
    assert records.format == "eea-parquet"
    assert kept(records) == [("DE/SPO.DE_DEBB021", "2023-12-31T23:00", 12.5)]
    assert {"1 rows left out: of other pollutants", "1 rows left out: Validity is not 1 to 3"} <= set(records.notes)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("Mandir_Marg_Delhi_DPCC", "Mandir Marg, Delhi - DPCC"),
        ("Alipur_Delhi_DPCC", "Alipur, Delhi - DPCC"),
        ("Sector_125_Noida_UPPCB", "Sector 125 Noida - UPPCB"),
        ("Somewhere", "Somewhere"),
    ],
)
def test_names_of_the_indian_portal(written: str, name: str) -> None:
    assert portal_name(written, "Delhi") == name


def test_weather_in_other_units_than_in_files_before_is_refused(tmp_path: Path) -> None:
    file, content, city, _ = FILES["cpcb-portal"]
    (tmp_path / file).write_text(content, encoding="utf-8")
    (tmp_path / file.replace("122", "123")).write_text(content.replace("mmHg", "hPa"), encoding="utf-8")
    with pytest.raises(InputError, match="pressure is in 'hPa', but in 'mmHg' in files before it"):
        read_readings(tmp_path, city)


OWN = """
name: my-network
title: A network of my own
documentation: https://example.org
recognised_by: {columns: [Sensor, Tag, Uhr, Staub]}
station: {column: Sensor}
time: {columns: [Tag, Uhr], zone: Europe/Berlin, stamp: ending, documented: true}
pm25: {columns: [Staub], unit: mg/m3}
"""


def test_a_format_of_the_users_own(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(OWN)
    (tmp_path / "a.csv").write_text("Sensor;Tag;Uhr;Staub\nX;31.12.2023;24:00;0,0125\nX;1.1.2024;2:00;0,02\n")
    records = read_readings(tmp_path / "a.csv", DELHI, format=str(tmp_path / "mine.yaml"))
    assert kept(records) == [("X", "2023-12-31T22:00", 12.5), ("X", "2024-01-01T00:00", 20.0)]
    assert records.format == "my-network"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("name: my-network\n", "", "name: missing"),
        ("title:", "titel:", "titel: unknown key, expected some of name, title"),
        ("{column: Sensor}", "{colum: Sensor}", "station.colum: unknown key"),
        ("{column: Sensor}", "{}", "station: expected a column or a file_name"),
        ("{column: Sensor}", "{file_name: '('}", "station.file_name: no pattern"),
        ("{column: Sensor}", "{file_name: '.*'}", r"station.file_name: expected a group \(\?P<station>"),
        ("[Tag, Uhr]", "Tag", "time.columns: found 'Tag', expected a list"),
        ("[Tag, Uhr]", "[]", "time: expected columns, or the parts"),
        ("Europe/Berlin", "Europe/Bonn", "time.zone: found 'Europe/Bonn'"),
        ("stamp: ending", "stamp: end", "time.stamp: found 'end', expected one of 'beginning', 'ending'"),
        ("documented: true", "documented: 1", "time.documented: found 1, expected true or false"),
        ("unit: mg/m3", "unit: ppm", "pm25.unit: found 'ppm'"),
        ("pm25: {columns: [Staub], unit: mg/m3}\n", "", "station, pm25: expected both, or neither"),
        ("recognised_by: {columns: [Sensor, Tag, Uhr, Staub]}", "recognised_by: {}", "recognised_by: expected columns"),
        ("pm25:", "weather: 3\npm25:", "weather: found 3, expected a mapping"),
        ("pm25:", "weather: {T: [heat, K]}\npm25:", r"weather\[T\]: found \['heat', 'K'\]"),
        ("pm25:", "weather: {T: [temperature, furlong]}\npm25:", r"weather\[T\]"),
        ("pm25:", "nationwide: true\npm25:", "nationwide: expected station.latitude"),
        ("name:", "- name:", "not readable as YAML"),
    ],
)
def test_what_is_wrong_with_a_format_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = tmp_path / "mine.yaml"
    assert old in OWN
    path.write_text(OWN.replace(old, new, 1))
    with pytest.raises(InputError, match=said) as raised:
        read_format(path)
    assert "\n" not in str(raised.value)
    assert str(path) in str(raised.value)
