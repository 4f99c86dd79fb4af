"""`pm25 prepare --legacy`: what becomes of the samples of the 2022 code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from legacy_samples import sample, written_to

from model_utils.archive.reader import open_archive
from model_utils.cities import load_city
from model_utils.cli.main import main
from model_utils.project import SHIPPED_ROOT


def prepare(root: Path, content: list[Any], *words: str) -> int:
    path = written_to(root, content)
    return main(["prepare", "--city", "Delhi", "--legacy", str(path), "--gsd", "3", "--root", str(root), *words])


def test_samples_become_the_rows_of_an_archive(tmp_path, capsys) -> None:
    samples = [sample(number) for number in range(5)]
    samples[1]["PM25"], samples[2]["PM25"], samples[3]["PM25"] = -999, 985.0, None
    midnight = samples[4]["Meteo"].copy()
    midnight.name = pd.Timestamp("2019-06-01")
    samples[4]["Meteo"] = midnight
    assert prepare(tmp_path, [samples[:2], samples[2:]]) == 0
    said = capsys.readouterr().out
    archive = open_archive(tmp_path / "data" / "Delhi")
    rows = archive.samples
    np.testing.assert_array_equal(archive.tiles(), np.stack([each["Image"] for each in samples]))
    np.testing.assert_array_equal(rows["pm25"], np.float32([100.5, np.nan, np.nan, np.nan, 104.5]))
    np.testing.assert_array_equal(rows["pm25_unfiltered"], [100.5, -999, 985, np.nan, 104.5])
    assert rows["quality"].tolist() == ["", "missing_code", "saturated", "", ""]
    assert str(rows["time_utc"][0]) == "2019-01-04 05:00:00+00:00"  # 10:30 in Delhi
    assert str(rows["time_utc"][4]) == "2019-06-01 05:00:00+00:00"  # the overpass at 10:30
    assert rows["local_date"].astype(str).tolist()[::4] == ["2019-01-04", "2019-06-01"]
    assert rows["temperature_c"].tolist() == [12.5, 13.5, 14.5, 15.5, 16.5]
    assert rows["pressure_hpa"].tolist() == [990.25] * 5
    assert rows["weather_WS"].isna().all()
    assert rows["latitude"].tolist() == [28.5 + 0.01 * number for number in range(5)]
    assert rows["site_id"].tolist() == list("01234")
    assert rows["sample_id"].is_unique
    for words in ("local time of Asia/Kolkata", "1 samples have a date without a time", "1 missing_code"):
        assert words in said


def test_pressure_in_mmhg_and_impossible_weather(tmp_path, capsys) -> None:
    samples = [sample(number) for number in range(3)]
    for number, each in enumerate(samples):
        each["Meteo"] = each["Meteo"].copy()
        each["Meteo"]["BP"] = 742.0
        each["Meteo"]["RH"] = (50.0, 130.0, -1.0)[number]
    assert prepare(tmp_path, samples) == 0
    said = capsys.readouterr().out
    rows = open_archive(tmp_path / "data" / "Delhi").samples
    np.testing.assert_allclose(rows["pressure_hpa"], 742 * 1013.25 / 760, rtol=1e-6)
    np.testing.assert_array_equal(rows["relative_humidity_pct"], np.float32([50, np.nan, np.nan]))
    assert "taken as mmHg" in said
    assert "2 weather values are impossible" in said


def test_stations_by_the_citys_names_or_from_a_table(tmp_path, capsys) -> None:
    station = load_city("Delhi", SHIPPED_ROOT).stations[3]
    named_so = station.name.replace("_", " ").upper()
    without = [{**sample(number), "Station_index": (named_so, 7)[number]} for number in range(2)]
    for each in without:
        del each["lat"], each["lon"]
    assert prepare(tmp_path, without) == 2
    assert "station 7 has no lat and lon" in capsys.readouterr().err
    table = tmp_path / "stations.csv"
    table.write_text("station,latitude,longitude\n7,28.61,77.21\n")
    assert prepare(tmp_path, without, "--stations", str(table)) == 0
    rows = open_archive(tmp_path / "data" / "Delhi").samples
    assert rows["site_id"].tolist() == [station.name, "7"]
    assert rows["latitude"].tolist() == [station.latitude, 28.61]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"Image": np.zeros((5, 5, 3), np.uint8)}, "sample 2: Image is 5 x 5 x 3, sample 1 has 4 x 4 x 3"),
        ({"Image": np.zeros((4, 5, 3), np.uint8)}, "sample 2: Image is 4 x 5 x 3, expected a square"),
        ({"Image": np.zeros((4, 4, 4), np.uint8)}, "sample 2: Image is 4 x 4 x 4, expected a square of 3 bands"),
        ({"Image": np.zeros((4, 4, 3))}, "sample 2: Image is float64 4 x 4 x 3, expected uint8"),
        ({"Image": "x"}, "sample 2: Image: found str, expected a numpy array"),
        ({"PM25": "high"}, "sample 2: PM25 is 'high', expected a number"),
        ({"PM25": True}, "sample 2: PM25 is True, expected a number"),
        ({"Station_index": 1.5}, "sample 2: Station_index is 1.5"),
        ({"Station_index": 0}, "sample 2: station 0 is at 28.51, 77.2, but since sample 1 at 28.5, 77.2"),
        ({"lat": 95.0}, "sample 2: lat, lon are 95, 77.2"),
        ({"Meteo": None}, "sample 2: Meteo: found NoneType, expected a pandas Series"),
        (
            {"Meteo": pd.Series([1.0], index=pd.Index(["AT"], dtype=object), name="monday")},
            "sample 2: Meteo is named 'monday'",
        ),
        ({"Meteo": pd.Series([1.0], index=pd.Index(["AT"], dtype=object), name="2019-01-01T10:30Z")}, "without a zone"),
    ],
)
def test_wrong_samples_are_named(tmp_path, capsys, changed, words) -> None:
    assert prepare(tmp_path, [sample(0), sample(1, **changed)]) == 2
    said = capsys.readouterr()
    assert words in said.err
    assert said.err.count("\n") == 1
    assert not (tmp_path / "data" / "Delhi" / "archive.json").exists()


def test_wrong_paths(tmp_path, capsys) -> None:
    for path in (tmp_path, tmp_path / "missing.pkl"):
        words = ["prepare", "--city", "Delhi", "--legacy", str(path), "--gsd", "3", "--root", str(tmp_path)]
        assert main(words) == 2
        assert f"{path}: not readable" in capsys.readouterr().err
    assert prepare(tmp_path, []) == 2
    assert "the list is empty" in capsys.readouterr().err
    assert prepare(tmp_path, [sample(0, lat=51.5, lon=-0.1)]) == 2
    assert "no station lies in the bounding box of Delhi" in capsys.readouterr().err
