"""One monitor under many names, and one name over many places, are found and said wherever an archive is looked at."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from chips_city import config, make_city, opened, random_tiles, refusal

from model_utils.archive.site_doubts import site_doubts
from model_utils.ingest.prepare import prepare
from model_utils.inspection.config import InspectConfig
from model_utils.inspection.inspect import inspect

MONITORS, TILES, DAYS = 6, 8, 10


def city_of_chips(root, names) -> pd.DataFrame:
    """Tiles around monitors, each with a place of its own and the monitor's reading."""
    make_city(root)
    generator = np.random.default_rng(1)
    monitor, tile, day = (axis.ravel() for axis in np.indices((MONITORS, TILES, DAYS)))
    readings = generator.uniform(5, 80, (MONITORS, DAYS)).round(1)
    shift = generator.uniform(-0.002, 0.002, (MONITORS, TILES))
    table = pd.DataFrame(
        {
            "time_utc": [f"2016-07-{date + 1:02d}T18:00:00Z" for date in day],
            "latitude": 37 + monitor / 10 + shift[monitor, tile],
            "longitude": -122.0,
            "pm25": readings[monitor, day],
        }
    )
    named = {
        "monitor": [f"m{each}" for each in monitor],
        "tile": [f"t{a}-{b}" for a, b in zip(monitor, tile, strict=True)],
    }
    for column, what in names.items():
        table[column] = named[what]
    table.to_csv(root / "chips.csv", index=False)
    np.save(root / "chips.npy", random_tiles(len(table)))
    return table


@pytest.mark.parametrize("column", ["site_id", "site", "station", "monitor"])
def test_the_monitor_is_the_site_whatever_its_column_is_called(tmp_path, capsys, column) -> None:
    city_of_chips(tmp_path, {column: "monitor"})
    prepare(config(tmp_path))
    assert opened(tmp_path).samples["site_id"].nunique() == MONITORS
    assert column == "site_id" or column not in opened(tmp_path).samples
    assert "warning" not in capsys.readouterr().out


@pytest.mark.parametrize("names", [{}, {"station_number": "monitor"}, {"site": "tile"}])
def test_many_sites_with_a_monitors_readings_are_said(tmp_path, capsys, names) -> None:
    city_of_chips(tmp_path, names)
    prepare(config(tmp_path))
    said = capsys.readouterr().out
    assert "readings are the same to the last digit as another site's on the same day (8 sites have" in said
    assert "column 'station'" in said
    inspect(InspectConfig("Bay", root=tmp_path))
    assert "the same to the last digit" in capsys.readouterr().out
    assert "the same to the last digit" in (tmp_path / "data" / "Bay" / "inspection" / "inspect.txt").read_text()


def test_two_columns_that_mean_other_sites_are_refused_by_name(tmp_path) -> None:
    city_of_chips(tmp_path, {"site": "tile", "station": "monitor"})
    line = refusal(config(tmp_path))
    assert "'site' (48 values)" in line
    assert "'station' (6 values)" in line


def test_two_columns_that_mean_the_same_sites_are_one_and_its_names(tmp_path) -> None:
    table = city_of_chips(tmp_path, {"site_id": "monitor"})
    table["station"] = "Station " + table["site_id"]
    table.to_csv(tmp_path / "chips.csv", index=False)
    prepare(config(tmp_path))
    assert set(opened(tmp_path).samples["station"]) == {f"Station m{number}" for number in range(MONITORS)}


def test_a_site_that_is_a_whole_city_is_said(tmp_path, capsys) -> None:
    table = city_of_chips(tmp_path, {})
    table["station"] = "Bay"
    table.to_csv(tmp_path / "chips.csv", index=False)
    prepare(config(tmp_path))
    assert "1 of 1 sites have tiles kilometres apart (such as Bay: 5" in capsys.readouterr().out


def rows_of(readings: np.ndarray) -> pd.DataFrame:
    """Sites x days of readings."""
    site, day = np.indices(readings.shape)
    return pd.DataFrame(
        {
            "site_id": [f"s{number}" for number in site.ravel()],
            "local_date": pd.Timestamp("2020-01-01") + pd.to_timedelta(day.ravel(), unit="D"),
            "latitude": 30.0 + site.ravel() / 100,
            "longitude": 179.999 * (-1) ** day.ravel(),  # a place on the antimeridian is one
            "pm25": readings.ravel(),
        }
    )


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("digits", ["whole", "mostly whole", "tenths", "limits"])
def test_coarse_readings_that_agree_by_chance_are_no_doubt_and_copies_are(seed, digits) -> None:
    generator = np.random.default_rng(seed)
    independent = generator.gamma(4, 15, 60)[None] * generator.lognormal(0, 0.3, (35, 60))
    readings = independent.round(1 if digits == "tenths" else 0)
    if digits == "mostly whole":
        readings[generator.random(readings.shape) < 0.05] += 0.5
    if digits == "limits":
        readings = readings.clip(20, None)
    assert site_doubts(rows_of(readings)) == []
    copied = np.repeat(readings, 4, axis=0)
    (line,) = site_doubts(rows_of(copied))
    assert "to the last digit" in line


def test_one_day_of_many_tiles_is_enough() -> None:
    readings = np.repeat(np.random.default_rng(0).uniform(5, 90, (19, 1)), 20, axis=0)
    assert "380" not in site_doubts(rows_of(readings))[0]  # the lowest and the highest are not counted
    assert "(20 sites have" in site_doubts(rows_of(readings))[0]
