"""The numbers of `pm25 inspect` equal plain pandas on the whole table."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from messy_archive import DELHI, HELD_OUT, TRAINING, YEARS, messy_rows, write

from model_utils.archive.quality import quality_counts
from model_utils.archive.reader import TileArchive, open_archive
from model_utils.figures.archive.calendar import CLOUDY, NO_IMAGE, NO_READING, READING, draw_calendar
from model_utils.inspection.coverage import choose_tiles, coverage
from model_utils.inspection.samples import read_samples, station_rows
from model_utils.inspection.summary import by_site, summarise


@pytest.fixture
def messy(tmp_path: Path) -> TileArchive:
    return open_archive(write(tmp_path, messy_rows()))


def test_counts_equal_plain_pandas_on_the_whole_table(messy: TileArchive) -> None:
    rows = pd.read_parquet(messy.folder / "samples.parquet")
    samples = read_samples(messy)
    found = summarise(samples, station_rows(samples, DELHI), 0.5)
    read = rows.dropna(subset="pm25")
    pm25 = read["pm25"].astype(float)
    assert found.pop("pm25") == pytest.approx(
        {"mean": pm25.mean(), "std": pm25.std(), "min": pm25.min(), "max": pm25.max()}
    )
    valid = rows["valid_fraction"].astype(float)
    assert found.pop("valid") == pytest.approx({"mean": valid.mean(), "min": valid.min(), "known": len(rows)})
    flags = ("saturated", "spike", "few_hours", "stuck")
    assert found.pop("flags") == {
        flag: (int(rows[f"flag_{flag}"].sum()), int(read[f"flag_{flag}"].sum())) for flag in flags
    }
    assert found.pop("weather") == {
        "temperature_c": int(rows["temperature_c"].notna().sum()),
        "relative_humidity_pct": 0,
        "pressure_hpa": 0,
    }
    assert found == {
        "doubts": [],
        "tiles": len(rows),
        "scenes": rows.loc[rows["scene_id"] != "", "scene_id"].nunique(),
        "timestamps": rows["time_utc"].nunique(),
        "dates": rows["local_date"].nunique(),
        "first": pd.Timestamp(rows["local_date"].min()),
        "last": pd.Timestamp(rows["local_date"].max()),
        "sites": 9,
        "stations": 4,
        "labelled": len(read),
        "labelled_stations": 3,
        "labelled_dates": read["local_date"].nunique(),
        "set_aside": int((rows["pm25_unfiltered"].notna() & rows["pm25"].isna()).sum()),
        "cloudy": int((rows["cloud_fraction"] > 0.5).sum()),
        "cloud_known": int(rows["cloud_fraction"].notna().sum()),
    }


def test_only_the_columns_that_are_needed_are_read(messy: TileArchive) -> None:
    assert not {"extra", "sample_id"} & set(read_samples(messy).columns)


def test_a_station_counts_its_days_once_however_many_images_they_have(messy: TileArchive) -> None:
    rows = pd.read_parquet(messy.folder / "samples.parquet").astype({"pm25": float})
    table = by_site(read_samples(messy), 0.5).set_index("site_id")
    assert list(table.index) == sorted(rows["site_id"].unique())
    for site, own in rows.groupby("site_id"):
        days = own.dropna(subset="pm25").groupby("local_date")["pm25"].mean()
        found = table.loc[str(site)]
        assert (found["tiles"], found["days"], found["labelled_days"]) == (
            len(own),
            own.local_date.nunique(),
            len(days),
        )
        assert found["cloudy"] == (own["cloud_fraction"] > 0.5).sum()
        assert (found["mean"], found["std"]) == pytest.approx((days.mean(), days.std()), nan_ok=True)
        counted = {flag: own["quality"].str.split("|").map(lambda f, flag=flag: flag in f).sum() for flag in
                   ("few_hours", "saturated", "spike")}  # fmt: skip
        assert found["flags"] == ", ".join(f"{flag} {n}" for flag, n in counted.items() if n)


def test_quality_counts_take_flags_apart() -> None:
    column = pd.Series(["", "low|spike", "spike", None, "spike|low", "low|low"])
    assert quality_counts(column) == {"low": 3, "spike": 3}
    assert quality_counts(column.astype("category").iloc[:2]) == {"low": 1, "spike": 1}
    assert quality_counts(column.iloc[:0]) == {}


def test_without_site_kind_a_station_has_a_reading_or_a_listed_name(tmp_path: Path) -> None:
    rows = pd.DataFrame(
        {
            "site_id": ["a", "a", HELD_OUT, "b", "c"],
            "site_name": ["x", "x", "y", TRAINING, "z"],
            "pm25": [np.nan, 5.0, np.nan, np.nan, np.nan],
        }
    )
    samples = read_samples(open_archive(write(tmp_path, rows)))
    assert station_rows(samples, DELHI).tolist() == [True, True, True, True, False]
    kinds = rows.assign(site_kind=["", "", "grid", "grid", "station"])
    samples = read_samples(open_archive(write(tmp_path, kinds)))
    assert station_rows(samples, DELHI).tolist() == [True, True, False, False, True]


def test_coverage_says_the_best_of_each_day(messy: TileArchive) -> None:
    rows = pd.read_parquet(messy.folder / "samples.parquet")
    table = coverage(read_samples(messy), 0.5)
    assert list(table.columns) == list(pd.date_range("2018-01-02", "2018-02-10"))
    days = pd.to_datetime(rows["local_date"])
    for site in table.index:
        for day in table.columns:
            own = rows[(rows["site_id"] == site) & (days == day)]
            clear = own[~(own["cloud_fraction"] > 0.5)]
            state = READING if clear["pm25"].notna().any() else NO_READING if len(clear) else CLOUDY
            assert table.loc[site, day] == (state if len(own) else NO_IMAGE)


def test_coverage_of_a_few_dates_in_many_years_shows_these_dates(tmp_path: Path) -> None:
    write(tmp_path, pd.DataFrame({"site_id": ["a"] * 3, "time_utc": YEARS}))
    table = coverage(read_samples(open_archive(tmp_path / "data" / "Delhi")), 0.5)
    assert list(table.columns) == list(YEARS.tz_localize(None).normalize())
    axes = draw_calendar(table, ["a"], "t").axes[0]
    assert axes.get_xlabel() == "dates with an image; the days between them are left out"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["2009-07-01", "2012-07-01", "2020-07-01"]


def test_chosen_tiles_are_of_their_place_and_day_and_clear_where_they_can_be(messy: TileArchive) -> None:
    samples = read_samples(messy)
    sites = [HELD_OUT, "cell3", TRAINING]
    number, dates = choose_tiles(samples, sites, 6, 0.5)
    assert number.shape == (3, len(dates)) == (3, 6)
    assert dates == sorted(dates)
    for (row, column), tile in np.ndenumerate(number):
        own = samples[(samples["site_id"] == sites[row]) & (samples["local_date"] == dates[column])]
        if tile < 0:
            assert own.empty
            continue
        assert tile in own.index
        clear = own[~(own["cloud_fraction"] > 0.5)]
        assert clear.empty or tile in clear.index
        if clear["pm25"].notna().any():
            assert not math.isnan(samples.loc[tile, "pm25"])
