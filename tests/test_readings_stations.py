"""Where stations are: files of stations, and what happens to coordinates that cannot be."""

from datetime import time

import numpy as np
import pandas as pd
import pytest

from model_utils.cities import BoundingBox, City, Station
from model_utils.errors import InputError
from model_utils.ingest.readings.records import StationRecords
from model_utils.ingest.readings.stations import locate_stations, matched, read_stations

CITY = City(
    "Delhi",
    BoundingBox(28.2, 76.85, 29.1, 77.65),
    "Asia/Kolkata",
    time(10, 30),
    (Station("Anand_Vihar", 28.647, 77.316), Station("R_K_Puram", 28.5633, 77.1869, "test")),
)


def records(*stations):
    """Records of stations given as (station, station_name, latitude, longitude)."""
    table = pd.DataFrame({"station": [station[0] for station in stations], "pm25": 50.0})
    places = pd.DataFrame(list(stations), columns=["station", "station_name", "latitude", "longitude"])
    return StationRecords(table, places, "day", "test", {}, (), ())


def stations_file(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "stations.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    "text",
    [
        "station,lat,lon\nAlipur,28.8153,77.153\nBurari,28.7256,77.2011\n",
        "lon,Name,LATITUDE\n77.153,Alipur,28.8153\n77.2011,Burari,28.7256\n",
        "\ufeffsite;latitude;lng\r\nAlipur;28,8153;77,153\r\n\r\nBurari;28,7256;77,2011\r\n",
        'station\tlat\tlongitude\theight\n"Alipur"\t28.8153\t77.153\t210\nBurari\t28.7256\t77.2011\t\n',
    ],
)
def test_stations_files_of_several_makes(tmp_path, text):
    found = read_stations(stations_file(tmp_path, text))
    assert found["station"].tolist() == ["Alipur", "Burari"]
    assert found["latitude"].tolist() == [28.8153, 28.7256]
    assert found["longitude"].tolist() == [77.153, 77.2011]
    assert found["aliases"].tolist() == [(), ()]


def test_names_agree_in_any_script_and_by_alias(tmp_path):
    text = (
        "station,kdd_id,openaq_name,cpcb_site,agency,lat,lon\n"
        '东四,dongsi_aq,"Dongsi, Beijing - DPCC",301.0,DPCC,28.6,77.1\n'
        "Östra-Gatan,,,5024.0,DPCC,28.7,77.2\n"
    )
    given = read_stations(stations_file(tmp_path, text))
    known = records(
        *(
            ("东四", "", np.nan, np.nan),
            ("DONGSI_AQ", "", np.nan, np.nan),
            ("x1", "dongsi beijing, DPCC", np.nan, np.nan),
            ("301", "", np.nan, np.nan),
            ("östra gatan", "", np.nan, np.nan),
            ("5024", "", np.nan, np.nan),
            ("DPCC", "", np.nan, np.nan),
        )
    )
    located, notes = locate_stations(known, given, CITY)
    assert located["station"].tolist() == ["东四", "DONGSI_AQ", "x1", "301", "östra gatan", "5024"]
    assert located["latitude"].tolist() == [28.6, 28.6, 28.6, 28.6, 28.7, 28.7]
    assert notes == ("station DPCC: no coordinates: left out",)


def test_a_name_of_two_stations_is_taken_for_neither(tmp_path):
    given = read_stations(
        stations_file(tmp_path, "station,city_name,lat,lon\nAlipur,Delhi,28.8,77.1\nBurari,Delhi,28.7,77.2\n")
    )
    located, notes = locate_stations(
        records(("Delhi", "", np.nan, np.nan), ("Burari", "", np.nan, np.nan)), given, CITY
    )
    assert located["station"].tolist() == ["Burari"]
    assert notes == ("station Delhi: no coordinates: left out",)


def test_a_name_precedes_an_alias(tmp_path):
    text = "station,old_name,lat,lon\nAlipur,Burari,28.8,77.1\nBurari,Alipur,28.7,77.2\n"
    given = read_stations(stations_file(tmp_path, text))
    located, _ = locate_stations(records(("Burari", "", np.nan, np.nan)), given, CITY)
    assert located["latitude"].tolist() == [28.7]


def test_the_file_precedes_the_readings_and_the_readings_the_citys_list(tmp_path):
    given = read_stations(stations_file(tmp_path, "station,lat,lon\nA,28.5188,77.1\nAnand Vihar,28.6,77.3\n"))
    known = records(
        ("A", "A", 28.52, 77.1),
        ("anand vihar", "Anand Vihar", np.nan, np.nan),
        ("RK Puram", "RK Puram", 28.5639, 77.1869),
    )
    located, notes = locate_stations(known, given, CITY)
    assert located.columns.tolist() == ["station", "station_name", "latitude", "longitude"]
    assert located["latitude"].tolist() == [28.5188, 28.6, 28.5639]
    away = "station {}: coordinates in {} are {} km from those in {}, which are used"
    assert notes == (
        away.format("A", "the readings", 0.13, "the stations file"),
        away.format("anand vihar", "the list of Delhi", 5.45, "the stations file"),
    )


def test_long_names_of_portals_are_found_in_the_file_and_in_the_citys_list(tmp_path):
    known = records(
        ("Anand Vihar, Delhi - DPCC", "", np.nan, np.nan),
        ("8118", "R K Puram, New Delhi - DPCC", np.nan, np.nan),
        ("Pusa - IMD", "", np.nan, np.nan),
        ("Lodhi Road, Delhi - IMD", "", np.nan, np.nan),
        ("Lodhi Road, Delhi - IITM", "", np.nan, np.nan),
    )
    text = "station,lat,lon\nPusa,28.64,77.15\nLodhi_Road,28.59,77.22\n"
    located, notes = locate_stations(known, read_stations(stations_file(tmp_path, text)), CITY)
    assert located["station"].tolist() == ["Anand Vihar, Delhi - DPCC", "8118", "Pusa - IMD"]
    assert located["latitude"].tolist() == [28.647, 28.5633, 28.64]
    assert notes == tuple(f"station Lodhi Road, Delhi - {name}: no coordinates: left out" for name in ("IMD", "IITM"))


def test_a_short_name_precedes_a_shortened_one(tmp_path):
    listed = read_stations(stations_file(tmp_path, "station,lat,lon\nPusa,28.64,77.15\nAlipur,28.8,77.1\n"))
    assert matched({"Pusa, Delhi - IMD": "", "pusa": ""}, listed) == {"pusa": 0}
    # one station that is named in two ways of writing
    assert matched({"Pusa, Delhi - IMD": "", "Pusa,  Delhi-IMD": ""}, listed) == {
        "Pusa, Delhi - IMD": 0,
        "Pusa,  Delhi-IMD": 0,
    }
    assert matched({", Delhi": "", "Delhi": ""}, listed) == {}


def test_lists_with_codes_and_names(tmp_path):
    found = read_stations(
        stations_file(tmp_path, "监测点编码,监测点名称,城市,经度,纬度\n1001A,万寿西宫,北京,116.37,39.87\n")
    )
    assert found["station"].tolist() == ["1001A"]
    assert found["station_name"].tolist() == ["万寿西宫"]
    assert matched({"x": "万寿西宫", "1001A": ""}, found) == {"x": 0, "1001A": 0}


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ((0.0, 0.0), "0, 0 in the readings are no place"),
        ((77.316, 28.647), "77.316, 28.647 in the readings seem swapped"),
        ((116.4, 39.9), "116.4, 39.9 in the readings are outside the city's box"),
        ((29.201, 77.2), "29.201, 77.2 in the readings are outside the city's box"),
    ],
)
def test_impossible_coordinates_are_left_out_unless_another_source_knows_better(place, why):
    located, notes = locate_stations(records(("B", "B", *place), ("C", "C", 29.19, 77.74)), None, CITY)
    assert located["station"].tolist() == ["C"]
    assert notes == (f"station B: {why}: left out",)
    located, notes = locate_stations(records(("Anand Vihar", "", *place)), None, CITY)
    assert located[["latitude", "longitude"]].to_numpy().tolist() == [[28.647, 77.316]]
    assert notes == (f"station Anand Vihar: {why}; those in the list of Delhi are used",)


def test_a_file_of_a_whole_country_makes_few_notes():
    abroad = [(f"s{number}", "", 39.9, 116.4) for number in range(500)]
    located, notes = locate_stations(records(("Anand Vihar", "", np.nan, np.nan), *abroad), None, CITY)
    assert len(located) == 1
    assert len(notes) == 21
    assert notes[-1] == "480 more stations without usable coordinates in Delhi: left out"


def test_no_station_with_coordinates_asks_for_the_flag():
    with pytest.raises(
        InputError, match=r"^--stations: no station .* \(station B: no coordinates\), expected a CSV file"
    ):
        locate_stations(records(("B", "B", np.nan, np.nan), ("C", "C", 0.0, 0.0)), None, CITY)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("station,lat\nA,28\n", "no column longitude or lon or lng or long or 经度, found station, lat"),
        ("lat,lon\n28,77\n", "no column station or name"),
        ("station,lat,lon,lat\nA,28,77,28\n", "column 'lat' is there 2 times"),
        ("station,lat,lon\n", "header and no rows"),
        ("station,lat,lon\nA,28,77\nB,north,77\n", "line 3: lat is 'north'"),
        ("station,lat,lon\nA,28,77\n\nB,2860,77\n", "line 4: lat is '2860', expected decimal degrees"),
        ("station,lat,lon\nA,28,77\nB,28,inf\n", "line 3: lon is 'inf'"),
        ("station,lat,lon\nA,28,77\n ,28,77\n", "line 3: station is ''"),
        ("station,lat,lon\nA,28,77\nB,28,77\nA,28,77\n", "line 4: station is 'A', expected each station once"),
        ("station,lat,lon\nA,28,77\nB,28\n", "line 3: found 2 cells, expected 3"),
        ("\0\1\2\3" * 200, "stations.csv: "),
        ("a," * 100_000, "stations.csv: "),
    ],
)
def test_bad_stations_files_are_refused_in_one_line(tmp_path, text, message):
    with pytest.raises(InputError) as caught:
        read_stations(stations_file(tmp_path, text))
    assert message in str(caught.value)
    assert "stations.csv" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_file_that_is_not_utf8_is_refused(tmp_path):
    with pytest.raises(InputError, match="not UTF-8"):
        read_stations(stations_file(tmp_path, "station,lat,lon\nÖstra,28,77\n", "latin-1"))
    utf16 = read_stations(stations_file(tmp_path, "station,lat,lon\nÖstra,28,77\n", "utf-16"))
    assert utf16["station"].tolist() == ["Östra"]


def test_a_folder_or_no_file_is_refused(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    for name in ("folder.csv", "absent.csv"):
        with pytest.raises(InputError, match=name):
            read_stations(tmp_path / name)


def test_a_box_whose_stations_all_lie_in_it_exchanged_is_named_before_the_stations() -> None:
    """Only the box can be wrong where every station is, or the whole file of stations: the line names both."""
    far = BoundingBox(76.85, 28.2, 77.65, 29.1)
    city = City("Delhi", far, "Asia/Kolkata", time(10, 30), ())
    with pytest.raises(InputError, match=r"^bounding_box of Delhi: all 2 stations lie in it if latitude and longitude"):
        locate_stations(records(("A", "", 28.6, 77.2), ("B", "", 28.7, 77.3)), None, city)
    with pytest.raises(InputError, match=r"^--stations"):  # one of them lies elsewhere: it is no exchange
        locate_stations(records(("A", "", 28.6, 77.2), ("B", "", 50, 8)), None, city)
