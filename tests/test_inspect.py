"""`pm25 inspect`: its numbers equal plain pandas on the whole table, and any archive can be looked at."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import write_small_archive
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from model_utils.archive.quality import quality_counts
from model_utils.archive.reader import TileArchive, open_archive
from model_utils.archive.writer import ArchiveWriter
from model_utils.cities import load_city
from model_utils.cli.main import main
from model_utils.figures.calendar import CLOUDY, NO_IMAGE, NO_READING, READING, STATES, draw_calendar
from model_utils.figures.site_map import KM_PER_DEGREE, draw_site_map
from model_utils.figures.tiles_by_date import draw_tiles_by_date
from model_utils.inspection.coverage import choose_tiles, coverage
from model_utils.inspection.inspect import _as_shown
from model_utils.inspection.samples import read_samples, station_rows
from model_utils.inspection.summary import by_site, summarise
from model_utils.project import SHIPPED_ROOT

FILES = ("inspect.txt", *(f"{name}.{kind}" for name in ("calendar", "contact_sheet", "map") for kind in ("pdf", "png")))
DELHI = load_city("Delhi", SHIPPED_ROOT)
TRAINING = next(station.name for station in DELHI.stations if station.split == "train")
HELD_OUT = next(station.name for station in DELHI.stations if station.split == "test")


def write(
    root: Path,
    rows: pd.DataFrame,
    tiles: np.ndarray[Any, Any] | None = None,
    bands: tuple[str, ...] = ("red", "green", "blue"),
    **commit: Any,
) -> Path:
    """Writes an archive of Delhi with the given rows; what identifies a row is made up where it is missing."""
    count = len(rows)
    given = {
        "sample_id": [f"r{number}" for number in range(count)],
        "site_name": rows["site_id"],
        "time_utc": pd.Timestamp("2018-01-01 05:00", tz="UTC"),
        "latitude": 28.6,
        "longitude": 77.2,
    }
    rows = rows.assign(**{name: value for name, value in given.items() if name not in rows})
    if "local_date" not in rows:
        rows["local_date"] = rows["time_utc"].dt.tz_localize(None).dt.normalize()
    if tiles is None:
        tiles = np.random.default_rng(0).integers(0, 256, (count, 8, 8, len(bands)), dtype=np.uint8)
    folder = root / "data" / "Delhi"
    with ArchiveWriter(folder, tiles.shape[1], bands, overwrite=True) as writer:
        writer.append(tiles, rows)
        writer.commit(city="Delhi", ground_sample_distance_m=3.0, **commit)
    return folder


def messy_rows() -> pd.DataFrame:
    """Stations, one without a reading, grid cells; gaps, clouds, flags, two images on one day, two cities' nights."""
    random = np.random.default_rng(3)
    sites = [TRAINING, HELD_OUT, "new_station", "silent"] + [f"cell{number}" for number in range(5)]
    kind = ["station"] * 4 + ["grid"] * 5
    frames = []
    for day in range(40):
        for overpass in range(1 + (day % 5 == 0)):
            time = pd.Timestamp("2018-01-01 19:00", tz="UTC") + pd.Timedelta(days=day, minutes=overpass)
            frames.append(
                pd.DataFrame(
                    {
                        "site_id": sites,
                        "site_kind": kind,
                        "latitude": 28.4 + 0.05 * np.arange(9),
                        "longitude": 77.0 + 0.03 * np.arange(9),
                        "time_utc": time,
                        "local_date": time.tz_convert(DELHI.zone).tz_localize(None).normalize(),
                        "scene_id": f"scene{day}_{overpass}" if day else "",
                        "unfiltered": [*random.lognormal(4, 0.5, 3), *[np.nan] * 6],
                    }
                )
            )
    rows = pd.concat(frames, ignore_index=True)
    rows = rows[random.random(len(rows)) < 0.8].reset_index(drop=True)
    count = len(rows)
    saturated = random.random(count) < 0.05
    spike, few = random.random(count) < 0.1, random.random(count) < 0.07
    flags = pd.DataFrame({"saturated": saturated, "spike": spike, "few_hours": few})
    return rows.drop(columns="unfiltered").assign(
        pm25_unfiltered=rows["unfiltered"],
        pm25=rows["unfiltered"].where(~saturated & (random.random(count) < 0.9)),
        quality=["|".join(flags.columns[row]) for row in flags.to_numpy()],
        flag_saturated=saturated,
        flag_spike=spike,
        flag_few_hours=few,
        flag_stuck=False,
        cloud_fraction=np.where(random.random(count) < 0.2, np.nan, random.random(count)),
        valid_fraction=random.uniform(0.8, 1, count).astype(np.float32),
        temperature_c=np.where(random.random(count) < 0.3, np.nan, 20.0),
        extra=np.arange(count),
    )


@pytest.fixture
def messy(tmp_path: Path) -> TileArchive:
    return open_archive(write(tmp_path, messy_rows()))


def inspected(root: Path, capsys: pytest.CaptureFixture[str], *flags: str) -> str:
    """Runs the verb on Delhi; all files are there, and the text is what was printed."""
    assert main(["inspect", "--city", "Delhi", "--root", str(root), *flags]) == 0
    said = capsys.readouterr().out
    folder = Path(flags[flags.index("--output") + 1]) if "--output" in flags else root / "data" / "Delhi" / "inspection"
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    text = (folder / "inspect.txt").read_text(encoding="utf-8")
    assert said.startswith(text)
    assert [Path(line).name for line in said[len(text) :].split()] == [
        "inspect.txt",
        "contact_sheet.png",
        "calendar.png",
        "map.png",
    ]
    return text


def value(text: str, name: str) -> str:
    """What the table of counts says beside a name, the lines that belong to it joined by ' / '."""
    block = re.search(rf"^  {re.escape(name)}  +(.*(?:\n {{12,}}.*)*)", text, re.MULTILINE)
    assert block, f"{name!r} is not in\n{text}"
    return " / ".join(line.strip() for line in block[1].split("\n"))


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


def test_the_text_says_it_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(
        tmp_path,
        messy_rows(),
        created_by={
            "command": "pm25 prepare",
            "version": "9.9",
            "scaling": {"product": "naip", "full_scale": 255},
            "report": ["left out: scene_7 (as scene_6)", "28 hours\nset aside"],
        },
        sources=[{"path": f"scene{number}.tif", "sha256": f"{number:064d}"} for number in range(7)],
        simulated="haze",
        licence="CC BY 4.0",
        attribution="Example Imaging",
    )
    rows = messy_rows()
    text = inspected(tmp_path, capsys)
    read = rows.dropna(subset="pm25")
    labelled = f"{len(read)} ({len(read) / len(rows):.1%}), at 3 stations on {read['local_date'].nunique()} dates"
    assert value(text, "tiles") == f"{len(rows)} of 8 x 8 px, 3 m a pixel (24 m a side)"
    assert value(text, "tiles with a reading") == labelled
    assert value(text, "local dates") == "2018-01-02 to 2018-02-10"  # 00:30 in India is the next day
    assert value(text, "sites") == "9: 4 stations, 5 other places"
    assert value(text, "simulated") == "simulated haze over a real surface; real readings"
    assert value(text, "made by") == "pm25 prepare 9.9"
    assert value(text, "scaling to 8 bits") == '{"product": "naip", "full_scale": 255}'
    assert value(text, "licence") == "CC BY 4.0"
    assert value(text, "sources").startswith("scene0.tif (sha256 000000000000) / scene1.tif")
    assert value(text, "sources").endswith(" / and 2 more, see archive.json")
    assert "stuck: 0 (0.0%)" in value(text, "quality flags")
    assert "  left out: scene_7 (as scene_6)\n  28 hours set aside\n" in text
    lines = {words[0]: words for line in text.split("4 stations; PM2.5")[1].split("\n") if (words := line.split())}
    site = by_site(read_samples(open_archive(tmp_path / "data" / "Delhi")), 0.5).set_index("site_id")
    for name, split in ((TRAINING, "train"), (HELD_OUT, "test"), ("new_station", "train")):
        row = site.loc[name]
        expected = [name, split, *(str(row[key]) for key in ("tiles", "cloudy", "days", "labelled_days"))]
        assert lines[name][:8] == [*expected, f"{row['mean']:.1f}", f"{row['std']:.1f}"]
    assert lines["silent"][5:8] == ["0", "-", "-"]


def test_output_goes_where_it_is_asked_for(
    small_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inspected(small_root, capsys, "--output", str(tmp_path / "elsewhere" / "deep"))
    assert not (small_root / "data" / "Delhi" / "inspection").exists()


def test_the_archive_stays_as_it_is_and_can_be_written_again(
    small_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = small_root / "data" / "Delhi"
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    inspected(small_root, capsys)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before
    write(small_root, messy_rows())
    assert sorted(path.name for path in (folder / "inspection").iterdir()) == sorted(FILES)


SINGLE = pd.DataFrame({"site_id": ["only"]})
YEARS = pd.to_datetime(["2009-07-01 17:00", "2012-07-01 17:00", "2020-07-01 17:00"], utc=True)
ARCHIVES: dict[str, dict[str, Any]] = {
    "one tile without anything": {"rows": SINGLE},
    "one tile with a reading": {"rows": SINGLE.assign(pm25=12.5)},
    "stations only": {"rows": pd.DataFrame({"site_id": ["a", "b"], "pm25": [3.0, 5.0]})},
    "no labels": {"rows": messy_rows().assign(pm25=np.nan, pm25_unfiltered=np.nan)},
    "no stations": {"rows": pd.DataFrame({"site_id": [f"c{n}" for n in range(70)]})},
    "one band": {"rows": messy_rows(), "bands": ("panchromatic",)},
    "two bands": {"rows": messy_rows(), "bands": ("red", "nir")},
    "eight bands": {"rows": messy_rows(), "bands": ("coastal", "b", "g1", "$g$", "y", "r", "re", "nir")},
    "ten years with three dates": {"rows": pd.DataFrame({"site_id": ["a"] * 3, "time_utc": YEARS, "pm25": 9.0})},
    "all cloudy": {"rows": messy_rows().assign(cloud_fraction=1.0)},
    "black tiles": {"rows": SINGLE, "tiles": np.zeros((1, 4, 4, 3), np.uint8)},
    "odd names": {
        "rows": pd.DataFrame({"site_id": ["s$_{1", "s2"], "site_name": ["\u4e07\u5bff $_{$", ""], "pm25": 1.0})
    },
    "columns of other kinds": {
        "rows": messy_rows().assign(site_kind=7, valid_fraction="full", flag_spike="no", pm25_unfiltered="x")
    },
    "metadata of other kinds": {
        "rows": SINGLE,
        "created_by": {"command": 3, "report": {"a": [1]}, "scaling": [None]},
        "simulated": "half of $x$",
        "sources": [{"name": "x"}],
    },
    "at the pole": {"rows": SINGLE.assign(latitude=90.0, longitude=-180.0)},
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_any_archive_can_be_looked_at(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, **ARCHIVES[name])
    text = inspected(tmp_path, capsys)
    assert value(text, "tiles").startswith(f"{len(ARCHIVES[name]['rows'])} of ")
    assert not re.search(r"\b1 (stations|dates|other places|local dates)", text)
    assert value(text, "simulated") == ("no" if name != "metadata of other kinds" else "simulated: half of $x$")


def test_many_sites_read_only_the_tiles_that_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)
    count = 32_000
    time = pd.Timestamp("2018-01-01 05:00", tz="UTC") + pd.to_timedelta(random.integers(0, 300, count), "D")
    rows = pd.DataFrame(
        {
            "site_id": [f"p{number}" for number in range(count)],
            "time_utc": time,
            "latitude": random.uniform(28.2, 28.9, count),
            "longitude": random.uniform(76.9, 77.6, count),
            "pm25": np.where(np.arange(count) < 20_000, 50.0, np.nan),
        }
    )
    write(tmp_path, rows, np.zeros((count, 4, 4, 3), np.uint8))
    asked = []
    tiles = TileArchive.tiles
    monkeypatch.setattr(TileArchive, "tiles", lambda self, rows: asked.append(len(rows)) or tiles(self, rows))
    text = inspected(tmp_path, capsys)
    assert value(text, "sites") == "32,000: 20,000 stations, 12,000 other places"
    assert "60 of 20,000 stations" in text
    assert len(text.split("\n")) < 100
    assert sum(asked) <= 64


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


def test_calendar_paints_each_state_at_its_day() -> None:
    days = pd.date_range("2019-01-01", periods=3)
    table = pd.DataFrame([[NO_IMAGE, CLOUDY, NO_READING], [READING, READING, NO_IMAGE]], columns=days)
    axes = draw_calendar(table, ["first", "second"], "t").axes[0]
    painted = axes.images[0].get_array()
    for (row, column), state in np.ndenumerate(table.to_numpy()):
        assert tuple(painted[row, column]) == to_rgb(STATES[state][1])
    assert axes.images[0].get_extent() == [0, 3, 2, 0]
    assert axes.get_xlabel() == "local date"
    grey = [np.dot(to_rgb(colour), (0.2126, 0.7152, 0.0722)) for _, colour in STATES.values()]
    assert np.abs(np.subtract.outer(grey, grey))[~np.eye(4, dtype=bool)].min() > 0.1, "told apart without colour"


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


def test_contact_sheet_shows_each_tile_in_its_cell() -> None:
    tiles = np.random.default_rng(0).integers(0, 255, (3, 4, 4, 3), dtype=np.uint8)
    number = np.array([[0, -1], [1, 2]])
    figure = draw_tiles_by_date(tiles, number, ["a", "b"], ["d1", "d2"], ["10", "20", "30"], "h", "haze")
    axes = np.reshape(np.array(figure.axes, dtype=object), (2, 2))
    for (row, column), tile in np.ndenumerate(number):
        assert len(axes[row, column].images) == (tile >= 0)
        if tile >= 0:
            assert np.array_equal(axes[row, column].images[0].get_array(), tiles[tile])
    assert [panel.get_title() for panel in axes.ravel()] == ["d1\n10", "d2\n", "20", "30"]
    assert [panel.texts[0].get_text() for panel in axes[:, 0]] == ["a", "b"]


def test_tiles_are_shown_in_true_colour_and_brightened_by_one_factor() -> None:
    tiles = np.random.default_rng(0).integers(150, 255, (2, 4, 4, 4), dtype=np.uint8)
    shown, words = _as_shown(tiles, ("blue", "green", "red", "nir"))
    assert np.array_equal(shown, tiles[..., [2, 1, 0]])
    assert words == "true colour"
    dark = np.stack([np.full((4, 4, 3), 20, np.uint8), np.full((4, 4, 3), 40, np.uint8)])
    shown, words = _as_shown(dark, ("swir1", "nir", "red"))
    assert (shown[0] == 100).all()
    assert (shown[1] == 200).all()
    assert words == "swir1, nir, red shown as red, green, blue, all tiles 5.0 times as bright as they are"
    assert _as_shown(tiles[..., :2], ("red", "nir"))[0].shape == (2, 4, 4, 1)


def scale_bar(figure: Figure) -> tuple[float, float]:
    """Length that the bar of a map says, and the length that it has, in kilometres."""
    (line,) = figure.axes[0].lines
    (start, end), (latitude, _) = line.get_xdata(), line.get_ydata()
    said = next(text.get_text() for text in figure.axes[0].texts if text.get_text().endswith(" km"))
    return float(said.removesuffix(" km")), (end - start) * KM_PER_DEGREE * math.cos(math.radians(latitude))


@pytest.mark.parametrize("size", [0.0, 0.01, 0.5, 4.0])
def test_map_places_stations_with_their_means_and_a_true_scale(size: float) -> None:
    stations = pd.DataFrame(
        {
            "latitude": [28.5, 28.5 + size, 28.5],
            "longitude": [77.0, 77.0, 77.0 + size],
            "mean": [50.0, 150.0, np.nan],
            "split": ["train", "test", "train"],
        }
    )
    others = pd.DataFrame({"latitude": [28.5], "longitude": [77.0 + size / 2]})
    figure = draw_site_map(stations, others, "t")
    axes = figure.axes[0]
    by_label = {collection.get_label(): collection for collection in axes.collections}
    assert set(by_label) == {"other place", "station without a reading", "training station", "held-out station"}
    assert np.asarray(by_label["training station"].get_offsets()).tolist() == [[77.0, 28.5]]
    assert np.asarray(by_label["held-out station"].get_array()).tolist() == [150.0]
    assert by_label["training station"].get_clim() == by_label["held-out station"].get_clim() == (50.0, 150.0)
    assert axes.get_aspect() == pytest.approx(1 / math.cos(math.radians(28.5 + size / 2)))
    said, long = scale_bar(figure)
    assert long == pytest.approx(said, rel=0.05)  # the bar lies a little south of the middle
    assert f"{said:e}"[0] in "125"
    west, east = axes.get_xlim()
    assert 0.05 < long / ((east - west) * KM_PER_DEGREE * math.cos(math.radians(28.5 + size / 2))) < 0.3


def broken_images(root: Path) -> list[str]:
    images = write_small_archive(root, days=1) / "images.npy"
    images.write_bytes(images.read_bytes()[:-5])
    return ["images.npy", "truncated"]


def broken_table(root: Path) -> list[str]:
    path = write_small_archive(root, days=1) / "samples.parquet"
    content = bytearray(path.read_bytes())
    content[4:3000] = bytes(2996)  # the pages; the footer stands
    path.write_bytes(content)
    return ["samples.parquet", "broken"]


def broken_metadata(root: Path) -> list[str]:
    (write_small_archive(root, days=1) / "archive.json").write_text("{", encoding="utf-8")
    return ["archive.json", "JSON"]


def no_archive(root: Path) -> list[str]:
    return ["data/Delhi", "no such folder"]


def output_is_a_file(root: Path) -> list[str]:
    write_small_archive(root, days=1)
    (root / "taken").write_text("mine", encoding="utf-8")
    return ["--output", "taken"]


def cloud_beyond_all(root: Path) -> list[str]:
    return ["--max_cloud_fraction", "found 3"]


@pytest.mark.parametrize(
    "case", [broken_images, broken_table, broken_metadata, no_archive, output_is_a_file, cloud_beyond_all]
)
def test_what_is_wrong_is_one_line_and_exit_code_2(
    case: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = case(tmp_path)
    flags = ["--output", str(tmp_path / "taken")] if case is output_is_a_file else []
    flags += ["--max-cloud-fraction", "3"] if case is cloud_beyond_all else []
    assert main(["inspect", "--city", "Delhi", "--root", str(tmp_path), *flags]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("pm25 inspect: ")
    assert all(word in said for word in expected), said
    assert not list(tmp_path.rglob("*.partial*"))
    if case is output_is_a_file:
        assert (tmp_path / "taken").read_text(encoding="utf-8") == "mine"
