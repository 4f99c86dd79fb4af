from __future__ import annotations

import hashlib
import io
import json
import re
import shlex
import shutil
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
import rasterio
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from PIL import Image

from model_utils.archive.reader import TileArchive, open_archive
from model_utils.archive.writer import ArchiveWriter
from model_utils.cli.command import execute
from model_utils.cli.verbs import PREPARE
from model_utils.errors import InputError
from model_utils.ingest import chips as chips_module
from model_utils.ingest.chips import tiles_per_block
from model_utils.ingest.config import PrepareConfig
from model_utils.ingest.prepare import prepare
from model_utils.ingest.progress import shown
from model_utils.ingest.samples import LIMITS

REPOSITORY = Path(__file__).resolve().parents[1]
REAL = Path(__file__).resolve().parents[2] / "shared" / "real"
CITY = """\
name: {name}
bounding_box: {{south: {south}, west: {west}, north: {north}, east: {east}}}
time_zone: {zone}
overpass_local_time: "10:30"
stations: []
"""
ZONE = ZoneInfo("America/Los_Angeles")
GOOD_TABLE = """\
longitude,latitude,acquired_utc,site,pm25
-122.1,37.7,2016-07-23T18:13:17Z,north,12.5
-122.2,37.6,2016-07-23T18:13:17Z,south,
-122.1,37.7,2016-07-24T03:00:00Z,north,30
-122.2,37.6,2016-07-24T03:00:00Z,south,NA
"""


def make_city(root: Path, name: str = "Bay", box: tuple[float, ...] = (30, -130, 45, -110)) -> None:
    folder = root / "data" / "cities"
    folder.mkdir(parents=True, exist_ok=True)
    south, west, north, east = box
    text = CITY.format(name=name, south=south, west=west, north=north, east=east, zone=ZONE.key)
    (folder / f"{name}.yaml").write_text(text)


def random_tiles(count: int, size: int = 5, bands: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, bands), dtype=np.uint8)


def config(root: Path, images: str = "chips.npy", table: str = "chips.csv", **changes: Any) -> PrepareConfig:
    return PrepareConfig(city="Bay", images=root / images, table=root / table, gsd=3.0, root=root, **changes)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with a city, four tiles and their table."""
    make_city(tmp_path)
    np.save(tmp_path / "chips.npy", random_tiles(4))
    (tmp_path / "chips.csv").write_text(GOOD_TABLE)
    return tmp_path


def opened(root: Path) -> TileArchive:
    return open_archive(root / "data" / "Bay")


def refusal(config: PrepareConfig) -> str:
    """The message of the InputError; nothing may be left but an unused lock."""
    with pytest.raises(InputError) as caught:
        prepare(config)
    assert "\n" not in str(caught.value)
    folder = config.root / "data" / "Bay"
    assert not folder.exists() or [path.name for path in folder.iterdir()] == [".lock"]
    return str(caught.value)


def save_images(root: Path, kind: str, tiles: np.ndarray) -> str:
    """Writes tiles as one of the accepted forms and returns the name; folders hold t0.png, t1.png ..."""
    if kind == "npy":
        np.save(root / "chips.npy", tiles)
        return "chips.npy"
    if kind == "npz":
        np.savez(root / "chips.npz", tiles)
        return "chips.npz"
    if kind == "npz, packed, among others":
        np.savez_compressed(root / "chips.npz", labels=np.arange(3), images=tiles)
        return "chips.npz"
    folder = root / "tiles"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for number, tile in enumerate(tiles):
        if kind == "png":
            Image.fromarray(tile).save(folder / f"t{number}.png")
        else:
            profile = {"driver": "GTiff", "dtype": "uint8", "count": tile.shape[2], "compress": "deflate"}
            size = {
                "height": len(tile),
                "width": len(tile),
                "transform": rasterio.Affine(3, 0, 500_000, 0, -3, 4_000_000),
            }
            with rasterio.open(folder / f"t{number}.tif", "w", **profile, **size) as dataset:
                dataset.write(np.moveaxis(tile, -1, 0))
    return "tiles"


KINDS = ("npy", "npz", "npz, packed, among others", "png", "tif")


# what is given arrives


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_images_arrives(root: Path, kind: str) -> None:
    tiles = random_tiles(4, seed=1)
    images = save_images(root, kind, tiles)
    table = pd.read_csv(root / "chips.csv")
    table["path"] = [f"t{number}.{kind}" for number in range(4)]
    table.to_csv(root / "chips.csv", index=False)
    prepare(config(root, images, licence="CC0", attribution="A. Nobody"))
    archive = opened(root)
    np.testing.assert_array_equal(archive.tiles(), tiles)
    metadata = archive.metadata
    assert (metadata.city, metadata.simulated, metadata.ground_sample_distance_m) == ("Bay", "no", 3.0)
    assert (metadata.licence, metadata.attribution, metadata.bands) == ("CC0", "A. Nobody", ("red", "green", "blue"))
    assert metadata.sources[1]["sha256"] == hashlib.sha256((root / "chips.csv").read_bytes()).hexdigest()
    if images != "tiles":
        expected = (root / images).read_bytes()
    else:
        names = table["path"]
        hashes = [hashlib.sha256((root / "tiles" / name).read_bytes()).hexdigest() for name in names]
        expected = "".join(f"{digest}  {name}\n" for digest, name in zip(hashes, names, strict=True)).encode()
    assert metadata.sources[0]["sha256"] == hashlib.sha256(expected).hexdigest()


def test_rows_of_the_small_example(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(config(root))
    samples = opened(root).samples
    assert samples["site_id"].tolist() == samples["site_name"].tolist() == ["north", "south", "north", "south"]
    assert samples["sample_id"].tolist() == [
        "north_20160723T181317Z",
        "south_20160723T181317Z",
        "north_20160724T030000Z",
        "south_20160724T030000Z",
    ]
    np.testing.assert_array_equal(samples["pm25"], np.float32([12.5, np.nan, 30, np.nan]))
    assert samples["local_date"].dt.strftime("%m-%d").tolist() == ["07-23"] * 4  # the evening before, in California
    said = capsys.readouterr().out
    assert "4 tiles, 5 x 5 px of 3 m, bands red, green, blue" in said
    for line in ("2 sites", "2 timestamps on 1 local dates", "2 tiles with a PM2.5 reading", "left out: 0 images"):
        assert line in said
    assert "no zone" not in said


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6).map(str.strip)
ZONES = st.integers(-12 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
TIMES = st.datetimes(datetime(1971, 1, 1), datetime(2099, 1, 1), timezones=ZONES | st.none())
ROW = st.fixed_dictionaries(
    {
        "longitude": st.floats(-130, -110),
        "latitude": st.floats(30, 45),
        "time": TIMES,
        "site": TEXT.filter(bool),
        "scene_id": TEXT,
        "site_name": TEXT,
        "pm25": st.none() | st.floats(0, 2000) | st.integers(0, 900),
        "cloud_fraction": st.none() | st.floats(0, 1),
        "temperature_c": st.none() | st.floats(-50, 50),
        "pressure_hpa": st.none() | st.floats(500, 1100),
        "relative_humidity_pct": st.none() | st.floats(0, 100),
        "elevation_m": st.floats(-400, 8000),
        "pass_number": st.integers(-(10**9), 10**9),
        "operator": TEXT.map(lambda text: "x" + text),
    }
)
OPTIONAL = ("site", "scene_id", "site_name", "pm25", "cloud_fraction", "temperature_c", "pressure_hpa")
QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


@given(
    records=st.lists(ROW, min_size=1, max_size=8),
    without=st.sets(st.sampled_from(OPTIONAL)),
    kind=st.sampled_from(KINDS),
    suffix=st.sampled_from((".csv", ".parquet")),
)
@settings(max_examples=60, deadline=None, suppress_health_check=QUIET)
def test_any_table_arrives(
    root: Path, records: list[dict[str, Any]], without: set[str], kind: str, suffix: str
) -> None:
    table = pd.DataFrame(records).drop(columns=list(without))
    table["time"] = [moment.isoformat() for moment in table["time"].tolist()]
    table["path"] = [f"t{number}.{kind}" for number in range(len(table))]
    tiles = random_tiles(len(table), size=2, seed=len(table))
    images = save_images(root, kind, tiles)
    if suffix == ".csv":
        table.to_csv(root / "table.csv", index=False)
    else:
        table.to_parquet(root / "table.parquet")
    prepare(config(root, images, f"table{suffix}", overwrite=True))
    archive = opened(root)
    samples = archive.samples
    np.testing.assert_array_equal(archive.tiles(), tiles)
    moments = [r["time"] if r["time"].tzinfo else r["time"].replace(tzinfo=UTC) for r in records]
    assert [moment.to_pydatetime() for moment in samples["time_utc"]] == moments
    assert [day.date() for day in samples["local_date"]] == [moment.astimezone(ZONE).date() for moment in moments]
    for name in ("longitude", "latitude", "elevation_m", "pass_number", "operator", "path"):
        assert samples[name].tolist() == table[name].tolist(), name
    for name in ("pm25", "cloud_fraction", "temperature_c", "pressure_hpa", "relative_humidity_pct"):
        values = table[name].astype(float) if name in table else np.full(len(table), np.nan)
        np.testing.assert_array_equal(samples[name], np.asarray(values, np.float32))
    places = [f"{round(r['latitude'], 5) + 0.0:.5f}_{round(r['longitude'], 5) + 0.0:.5f}" for r in records]
    sites = places if "site" in without else [r["site"] for r in records]
    assert samples["site_id"].tolist() == sites
    assert samples["site_name"].tolist() == (sites if "site_name" in without else [r["site_name"] for r in records])
    assert samples["scene_id"].tolist() == (
        [""] * len(records) if "scene_id" in without else table["scene_id"].tolist()
    )
    assert samples["sample_id"].is_unique


def test_column_chip_picks_and_orders(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiles = random_tiles(9)
    np.save(root / "chips.npy", tiles)
    table = pd.read_csv(root / "chips.csv").assign(chip=[7, 0, 8, 3])
    table.to_csv(root / "chips.csv", index=False)
    prepare(config(root))
    archive = opened(root)
    np.testing.assert_array_equal(archive.tiles(), tiles[archive.samples["chip"]])
    by_chip = archive.samples.set_index("chip").loc[table["chip"]]
    assert by_chip["site_id"].tolist() == table["site"].tolist()
    assert "left out: 5 images" in capsys.readouterr().out


def test_blocks_join_without_a_seam(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chips_module, "tiles_per_block", lambda *_: 3)
    tiles = random_tiles(11)
    table = pd.concat([pd.read_csv(root / "chips.csv")] * 2).assign(chip=[10, 1, 0, 5, 9, 2, 3, 6])
    table.to_csv(root / "chips.csv", index=False)
    for kind in KINDS[:3]:
        prepare(config(root, save_images(root, kind, tiles), overwrite=True))
        archive = opened(root)
        np.testing.assert_array_equal(archive.tiles(), tiles[archive.samples["chip"]])
        assert sorted(archive.samples["chip"]) == sorted(table["chip"])


def test_repeated_site_and_time_gets_a_suffix(root: Path) -> None:
    first = GOOD_TABLE.splitlines()[1]
    (root / "chips.csv").write_text(GOOD_TABLE.splitlines()[0] + "\n" + f"{first}\n" * 4)
    prepare(config(root))
    stem = "north_20160723T181317Z"
    assert opened(root).samples["sample_id"].tolist() == [stem, f"{stem}-2", f"{stem}-3", f"{stem}-4"]


def test_sites_without_a_column_are_places_a_metre_wide(root: Path) -> None:
    (root / "chips.csv").write_text(
        "latitude,longitude,time\n"
        "37.123451,-122.5,2016-07-23 18:00\n37.123449,-122.5,2016-07-24 18:00\n"
        "37.12347,-122.5,2016-07-23 18:00\n37.123451,-122.50002,2016-07-23 18:00\n"
    )
    prepare(config(root))
    sites = opened(root).samples["site_id"].tolist()
    assert sites[0] == sites[1] == "37.12345_-122.50000"
    assert len(set(sites)) == 3


def test_what_was_assumed_is_said(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = GOOD_TABLE.replace("2016-07-24T03:00:00Z", "2016-07-24T03:00:00").replace("-122.2", "-100.2")
    (root / "chips.csv").write_text(text)
    prepare(config(root))
    said = capsys.readouterr().out
    assert "2 of 4 times in column 'acquired_utc' name no zone: taken as UTC" in said
    assert "2 tiles lie outside the bounding box of Bay; they are kept" in said


def test_names_with_leading_zeros_stay_names(root: Path) -> None:
    table = pd.read_csv(root / "chips.csv").assign(orbit=["007", "008", "", "010"], site=["001", "NA", "03", "4"])
    table.to_csv(root / "chips.csv", index=False)
    prepare(config(root))
    assert opened(root).samples["orbit"].tolist() == ["007", "008", "", "010"]
    assert opened(root).samples["site_id"].tolist() == ["001", "NA", "03", "4"]


def test_four_named_bands_take_an_alpha_channel(root: Path) -> None:
    tiles = random_tiles(4, bands=4)
    images = save_images(root, "png", tiles)
    table = pd.read_csv(root / "chips.csv").assign(path=[f"t{number}.png" for number in range(4)])
    table.to_csv(root / "chips.csv", index=False)
    assert "t0.png: found an alpha channel behind 3 bands" in refusal(config(root, images))
    prepare(config(root, images, bands=("red", "green", "blue", "mask")))
    np.testing.assert_array_equal(opened(root).tiles(), tiles)


# what is wrong is said, and nothing is written


def text_case(old: str, new: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        assert old in GOOD_TABLE
        (root / "chips.csv").write_text(GOOD_TABLE.replace(old, new))

    return change


def bytes_case(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda root: (root / name).write_bytes(content) and None


def image_case(array: np.ndarray) -> Callable[[Path], None]:
    return lambda root: np.save(root / "chips.npy", array, allow_pickle=True)


def cut(root: Path) -> None:
    (root / "chips.npy").write_bytes((root / "chips.npy").read_bytes()[:-7])


HEADER = "longitude,latitude,acquired_utc,site,pm25"
TROUBLES: dict[str, tuple[Callable[[Path], None], str]] = {
    "no table": (lambda root: (root / "chips.csv").unlink(), "chips.csv: not found, expected a table"),
    "no images": (lambda root: (root / "chips.npy").unlink(), "chips.npy: not found, expected a .npy or .npz"),
    "no longitude": (text_case("longitude", "lon"), "column longitude is missing, found lon, latitude, acquired_utc"),
    "no time": (text_case("acquired_utc", "when"), "column time_utc or acquired_utc or time is missing, found"),
    "semicolons": (text_case(HEADER, HEADER.replace(",", ";")), "row 1: found 5 fields, expected 1"),
    "empty latitude": (text_case("37.6,2016-07-23", ",2016-07-23"), "row 2: latitude is empty"),
    "latitude NaN": (text_case("37.6,2016-07-24", "nan,2016-07-24"), "row 4: latitude is empty"),
    "latitude 376": (text_case("37.6,2016-07-24", "376,2016-07-24"), "row 4: latitude is 376, expected a number"),
    "latitude inf": (text_case("37.6,2016-07-24", "inf,2016-07-24"), "row 4: latitude is inf, expected a number"),
    "latitude word": (text_case("37.6,2016-07-24", "north,2016-07-24"), "row 4: latitude is north, expected a number"),
    "decimal comma": (text_case("37.6,2016-07-24", '"37,6",2016-07-24'), "row 4: latitude is 37,6, expected a number"),
    "no such day": (
        text_case("2016-07-24T03:00:00Z,north", "2016-02-30T03:00:00Z,north"),
        "row 3: acquired_utc is 2016-02-30",
    ),
    "no time of day": (
        text_case("2016-07-24T03:00:00Z,north", "2016-07-24,north"),
        "row 3: acquired_utc is 2016-07-24, exp",
    ),
    "empty time": (text_case("2016-07-24T03:00:00Z,north", ",north"), "row 3: acquired_utc is , expected a date"),
    "seconds since 1970": (
        text_case("2016-07-24T03:00:00Z,north", "1469329200,north"),
        "row 3: acquired_utc is 1469329200",
    ),
    "year 16": (text_case("2016-07-24T03:00:00Z,north", "0016-07-24T03:00:00Z,north"), "row 3: acquired_utc is 0016"),
    "day first": (
        text_case("2016-07-24T03:00:00Z,north", "24/07/2016 03:00,north"),
        "row 3: acquired_utc is 24/07/2016",
    ),
    "word for pm25": (text_case("12.5", "low"), "row 1: pm25 is low, expected a number from 0 to 10000"),
    "code for pm25": (text_case("12.5", "-999"), "row 1: pm25 is -999, expected a number from 0"),
    "empty site": (text_case("Z,south,NA", "Z,,NA"), "row 4: site is empty"),
    "column twice": (text_case("site,pm25", "site,site"), "column 'site' is there twice"),
    "column without a name": (text_case("site,pm25", "site,"), "column 5 has no name"),
    "field too many": (text_case("north,30", "north,30,7"), "row 3: found 6 fields, expected 5"),
    "field too few": (text_case("north,30", "north"), "row 3: found 4 fields, expected 5"),
    "open quote": (text_case("north,30", '"north,30'), "not readable as CSV"),
    "row too few": (text_case(GOOD_TABLE.splitlines()[4], ""), "found 3 rows for 4 images, expected as many"),
    "row too many": (
        lambda root: (root / "chips.csv").write_text(GOOD_TABLE + GOOD_TABLE.splitlines()[1]) and None,
        "found 5 rows for 4 images",
    ),
    "only a header": (bytes_case("chips.csv", HEADER.encode()), "the table has no rows"),
    "nothing": (bytes_case("chips.csv", b""), "the file is empty"),
    "Latin-1": (
        bytes_case("chips.csv", GOOD_TABLE.replace("north", "m\xfcnchen").encode("latin-1")),
        "not UTF-8 at byte",
    ),
    "UTF-16": (bytes_case("chips.csv", GOOD_TABLE.encode("utf-16")), "not UTF-8 at byte 0"),
    "elsewhere": (text_case("37.", "57."), "no row lies in the bounding box of Bay (row 1: latitude 57.7"),
    "cut": (cut, "chips.npy: truncated, found 421 bytes, expected 428"),
    "not an array": (bytes_case("chips.npy", b"hello"), "chips.npy: not a .npy file"),
    "float": (image_case(np.zeros((4, 5, 5, 3))), "found float64 in C order, expected uint8"),
    "uint16": (image_case(np.zeros((4, 5, 5, 3), np.uint16)), "found uint16"),
    "objects": (image_case(np.full((4, 5, 5, 3), None)), "found object in C order, expected uint8"),
    "Fortran": (image_case(np.zeros((4, 5, 5, 3), np.uint8, order="F")), "found uint8 in Fortran order"),
    "not square": (image_case(np.zeros((4, 5, 6, 3), np.uint8)), "found shape (4, 5, 6, 3), expected tiles x size"),
    "bands first": (image_case(np.zeros((4, 3, 5, 5), np.uint8)), "found shape (4, 3, 5, 5)"),
    "four bands": (image_case(np.zeros((4, 5, 5, 4), np.uint8)), "expected tiles x size x size x 3 (red, green, blue)"),
    "grey": (image_case(np.zeros((4, 5, 5), np.uint8)), "found shape (4, 5, 5)"),
    "no tiles": (image_case(np.zeros((0, 5, 5, 3), np.uint8)), "found shape (0, 5, 5, 3)"),
}


@pytest.mark.parametrize("name", TROUBLES)
def test_trouble_is_one_clear_line(root: Path, name: str) -> None:
    change, message = TROUBLES[name]
    change(root)
    assert message in refusal(config(root))


@pytest.mark.parametrize(
    ("chips", "message"),
    [
        ([0, 1, 1, 2], "row 3: chip 1 is there already in row 2"),
        ([0, 1, 2, 4], "row 4: chip is 4, expected a number from 0 to 3"),
        ([0, 1, 2, -1], "row 4: chip is -1, expected a number from 0 to 3"),
        ([0, 1, 2, 2.5], "row 4: chip is 2.5, expected a whole number"),
        ([0, 1, 2, ""], "row 4: chip is , expected a whole number"),
    ],
)
def test_chip_that_is_no_images_number_is_refused(root: Path, chips: list[Any], message: str) -> None:
    pd.read_csv(root / "chips.csv").assign(chip=pd.Series(chips, dtype=object)).to_csv(root / "chips.csv", index=False)
    assert message in refusal(config(root))


def folder_root(root: Path) -> list[str]:
    save_images(root, "png", random_tiles(4))
    return [f"t{number}.png" for number in range(4)]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("t9.png", "t9.png: not found"),
        ("", "row 4: path is '', expected a path inside"),
        ("../chips.png", "row 4: path is '../chips.png', expected a path inside"),
        ("/etc/t3.png", "row 4: path is '/etc/t3.png', expected a path inside"),
        ("t3.jpg", "row 4: path is 't3.jpg', expected a .png, .tif or .tiff file"),
        ("broken.png", "broken.png: not readable"),
        ("cut.png", "cut.png: not readable"),
        ("large.png", "large.png: found 6 x 6 px, expected 5 x 5 as in t0.png"),
        ("wide.png", "wide.png: found uint8 5 x 6 x 3, expected uint8 size x size x 3"),
        ("palette.png", "palette.png: not readable (PNG mode P, expected 8-bit L, RGB or RGBA)"),
        ("grey.png", "grey.png: found uint8 5 x 5 x 1"),
        ("deep.tif", "deep.tif: found uint16 5 x 5 x 3, expected uint8"),
        ("text.tif", "text.tif: not readable"),
    ],
)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_trouble_with_a_folder_is_one_clear_line(root: Path, path: str, message: str) -> None:
    paths = folder_root(root)
    tiles = root / "tiles"
    (tiles / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nrest")
    (tiles / "cut.png").write_bytes((tiles / "t0.png").read_bytes()[:60])
    Image.new("RGB", (6, 6)).save(tiles / "large.png")
    Image.new("RGB", (6, 5)).save(tiles / "wide.png")
    Image.new("P", (5, 5)).save(tiles / "palette.png")
    Image.new("L", (5, 5)).save(tiles / "grey.png")
    (tiles / "text.tif").write_text("not a raster")
    with rasterio.open(tiles / "deep.tif", "w", "GTiff", 5, 5, 3, dtype="uint16") as dataset:
        dataset.write(np.zeros((3, 5, 5), np.uint16))
    table = pd.read_csv(root / "chips.csv").assign(path=[*paths[:3], path])
    table.to_csv(root / "chips.csv", index=False)
    assert message in refusal(config(root, "tiles"))


def test_folder_needs_a_column_path(root: Path) -> None:
    folder_root(root)
    assert "chips.csv: column path is missing, which says where in" in refusal(config(root, "tiles"))


def test_images_of_a_folder_that_no_row_names_are_counted(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = folder_root(root)
    table = pd.read_csv(root / "chips.csv").assign(path=paths).iloc[[2, 0]]
    table.to_csv(root / "chips.csv", index=False)
    prepare(config(root, "tiles"))
    np.testing.assert_array_equal(opened(root).tiles(), random_tiles(4)[[2, 0]])
    assert "left out: 2 images that no row of the table names" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": random_tiles(4), "b": random_tiles(4)}, "found the arrays a, b, expected one or 'images'"),
        ({}, "found the arrays none"),
        ({"images": np.full((4, 5, 5, 3), None)}, "found object in C order"),
    ],
)
def test_npz_that_does_not_fit_is_refused(root: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    np.savez(root / "chips.npz", **arrays)
    assert message in refusal(config(root, "chips.npz"))


def test_array_that_lies_about_its_size_is_refused(root: Path) -> None:
    with zipfile.ZipFile(root / "chips.npz", "w") as archive:
        content = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            content, {"descr": "|u1", "fortran_order": False, "shape": (10**12, 100, 100, 3)}
        )
        archive.writestr("images.npy", content.getvalue() + b"x" * 100)
    assert "chips.npz: truncated" in refusal(config(root, "chips.npz"))


def test_flags_that_do_not_fit_are_one_line(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = {"city": "Bay", "images": root / "chips.npy", "table": root / "chips.csv", "gsd": "3", "root": root}
    cases = [
        ({"gsd": "0"}, "--gsd: found 0.0, expected 0.01 to 10000"),
        ({"bands": "[red, red, blue]"}, "--bands: found ['red', 'red', 'blue'], expected different names"),
        ({"bands": "[red, nir]"}, "expected tiles x size x size x 2 (red, nir)"),
        ({"city": "Atlantis"}, "city 'Atlantis': no such city, expected one of"),
        ({"table": root / "chips.xlsx"}, "chips.xlsx: not found"),
    ]
    for change, message in cases:
        argv = [word for key, value in {**good, **change}.items() for word in (f"--{key}", str(value))]
        assert execute(PREPARE, argv) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    assert execute(PREPARE, [word for key, value in good.items() for word in (f"--{key}", str(value))]) == 0


BYTES_OF = ("chips.npy", "chips.npz", "chips.csv", "tiles/t2.png", "tiles/t2.tif", "chips.parquet")


@given(data=st.data(), name=st.sampled_from(BYTES_OF))
@settings(max_examples=150, deadline=None, suppress_health_check=QUIET)
def test_mutated_input_is_refused_or_arrives_whole(root: Path, data: st.DataObject, name: str) -> None:
    kind = "tif" if name.endswith("tif") else "png"
    for each in ("npy", "npz, packed, among others") if name.startswith("chips.np") else (kind,):
        save_images(root, each, random_tiles(4))
    table = pd.read_csv(io.StringIO(GOOD_TABLE)).assign(path=[f"t{number}.{kind}" for number in range(4)])
    table.to_csv(root / "chips.csv", index=False)
    table.to_parquet(root / "chips.parquet")
    content = bytearray((root / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(content)))
        stop = data.draw(st.integers(start, min(len(content), start + 8)) | st.just(len(content)))
        content[start:stop] = data.draw(st.binary(max_size=8) | st.text(',."\n0Zz-;\t ', max_size=4).map(str.encode))
    (root / name).write_bytes(content)
    images = name if name.startswith("chips.np") else "tiles"
    given_table = name if name.endswith(("csv", "parquet")) else "chips.csv"
    try:
        prepare(config(root, images, given_table, overwrite=True))
    except InputError as error:
        event(f"{name} refused")
        message = str(error)
    else:
        event(f"{name} arrived")
        message = ""
    assert "\n" not in message
    if not (root / "data" / "Bay" / "archive.json").exists():
        assert message
        return
    archive = opened(root)  # this example's, or that of one before: whole in any case
    samples = archive.samples
    assert archive.tiles().shape == (len(archive), 5, 5, 3)
    if name == "chips.npz" and not message:  # a checksum guards it, so either the file or nothing arrives
        np.testing.assert_array_equal(archive.tiles(), random_tiles(4))
    assert samples["sample_id"].is_unique
    assert samples[["latitude", "longitude", "time_utc", "local_date"]].notna().all(axis=None)
    assert samples["latitude"].abs().max() <= 90
    assert not (samples["pm25"] < 0).any()


@pytest.mark.parametrize("trouble", ["broken tile", "Ctrl-C"])
def test_trouble_on_the_way_keeps_the_old_archive(root: Path, trouble: str, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = folder_root(root)
    prepare(config(root))
    before = opened(root).metadata
    table = pd.read_csv(root / "chips.csv").assign(path=paths)
    table.to_csv(root / "chips.csv", index=False)
    monkeypatch.setattr(chips_module, "tiles_per_block", lambda *_: 2)
    if trouble == "broken tile":
        (root / "tiles" / "t3.png").write_bytes(b"")
        expected: type[BaseException] = InputError
    else:
        original = ArchiveWriter.append

        def interrupted(writer: ArchiveWriter, tiles: np.ndarray, rows: pd.DataFrame) -> None:
            original(writer, tiles, rows)
            raise KeyboardInterrupt

        monkeypatch.setattr(ArchiveWriter, "append", interrupted)
        expected = KeyboardInterrupt
    with pytest.raises(expected):
        prepare(config(root, "tiles", overwrite=True))
    assert opened(root).metadata == before
    assert not list((root / "data" / "Bay").glob("*.partial")) + list((root / "data" / "Bay").glob(".*.partial"))
    with pytest.raises(InputError, match="an archive is already there, --overwrite replaces it"):
        prepare(config(root))


def test_memory_does_not_grow_with_the_images(root: Path) -> None:
    count, size = 1000, 200
    np.savez_compressed(root / "chips.npz", np.zeros((count, size, size, 3), np.uint8))
    table = pd.concat([pd.read_csv(root / "chips.csv")] * (count // 4))
    table.to_csv(root / "chips.csv", index=False)
    tracemalloc.start()
    prepare(config(root, "chips.npz"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(opened(root)) == count
    assert peak < 80e6  # of 120 MB of images
    assert tiles_per_block(20, 3) == 4096


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_a_bar_on_a_terminal_and_lines_in_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = [[0] * 30, [0] * 30, [0] * 40]
    log, terminal = io.StringIO(), Terminal()
    monkeypatch.setattr(sys, "stderr", log)
    assert list(shown(blocks, 100, "tiles")) == blocks
    assert log.getvalue() == "tiles: 30 of 100\ntiles: 60 of 100\ntiles: 100 of 100\n"
    monkeypatch.setattr(sys, "stderr", terminal)
    assert list(shown(blocks, 100, "tiles")) == blocks
    assert "100/100" in terminal.getvalue()


# the documents and the real chips


def test_worked_example_of_the_requirements_runs(tmp_path: Path) -> None:
    text = (REPOSITORY / "data" / "requirements.md").read_text(encoding="utf-8")
    city = re.search(r"```yaml\n(name: .*?)```", text, re.DOTALL)
    table = re.search(r"```csv\n(path,.*?)```", text, re.DOTALL)
    command = re.search(r"```sh\npm25 (prepare [^`]*--images .*?)```", text, re.DOTALL)
    assert city
    assert table
    assert command
    name = re.match(r"name: (\w+)", city[1])
    assert name
    (tmp_path / "data" / "cities").mkdir(parents=True)
    (tmp_path / "data" / "cities" / f"{name[1]}.yaml").write_text(city[1], encoding="utf-8")
    (tmp_path / "tiles.csv").write_text(table[1], encoding="utf-8")
    paths = pd.read_csv(tmp_path / "tiles.csv")["path"]
    tiles = random_tiles(len(paths), size=8)
    (tmp_path / "tiles").mkdir()
    for path, tile in zip(paths, tiles, strict=True):
        Image.fromarray(tile).save(tmp_path / "tiles" / path)
    words = shlex.split(command[1].replace("\\\n", " "))[1:]
    located = [str(tmp_path / word) if word in ("tiles", "tiles.csv") else word for word in words]
    assert execute(PREPARE, [*located, "--root", str(tmp_path)]) == 0
    archive = open_archive(tmp_path / "data" / name[1])
    np.testing.assert_array_equal(archive.tiles(), tiles)
    assert 0 < archive.samples["pm25"].notna().sum() < len(archive)
    assert str(archive.metadata.ground_sample_distance_m).rstrip("0").rstrip(".") in words


def test_requirements_name_every_limit() -> None:
    text = (REPOSITORY / "data" / "requirements.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)` \| no \| .*?(\d+) to (\d+)", text, re.MULTILINE)
    expected = {name: limits for name, limits in LIMITS.items() if limits[0] >= 0}
    assert {name: (int(low), int(high)) for name, low, high in listed} == expected


@pytest.mark.real
@pytest.mark.skipif(not REAL.is_dir(), reason="the real data are not here")
def test_real_planetscope_chips_arrive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_city(tmp_path, "California", (32, -125, 42, -114))
    source = REAL / "planetscope_chips"
    prepare(
        PrepareConfig(
            city="California",
            images=source / "chips.npy",
            table=source / "chips.csv",
            gsd=3.0,
            licence="CC BY-SA 4.0",
            attribution="PlanesNet (R. Hammell), contains Planet Open California imagery, Planet Labs",
            root=tmp_path,
        )
    )
    archive = open_archive(tmp_path / "data" / "California")
    chips = np.load(source / "chips.npy", mmap_mode="r", allow_pickle=False)
    table = pd.read_csv(source / "chips.csv", converters={"longitude": float})  # exact, as pandas 2 is not
    assert len(archive) == 32_000
    assert (tmp_path / "data" / "California" / "images.npy").read_bytes()[-chips.nbytes :] == chips.tobytes()
    samples = archive.samples
    assert samples["sample_id"].is_unique
    assert samples["longitude"].tolist() == table["longitude"].tolist()
    assert samples["is_plane"].tolist() == table["is_plane"].tolist()
    assert samples["scene_id"].tolist() == table["scene"].tolist()
    moments = pd.to_datetime(table["acquired_utc"])
    assert (samples["time_utc"] == moments).all()
    assert (samples["local_date"] == moments.dt.tz_convert(ZONE.key).dt.tz_localize(None).dt.normalize()).all()
    assert archive.metadata.licence == "CC BY-SA 4.0"
    assert json.loads((tmp_path / "data" / "California" / "archive.json").read_text())["simulated"] == "no"
    said = capsys.readouterr().out
    assert "32000 tiles, 20 x 20 px of 3 m" in said
    assert "0 tiles with a PM2.5 reading" in said
    assert "left out: 0 images" in said
