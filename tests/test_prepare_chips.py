"""`pm25 prepare --images`: the tiles and the table that are given arrive as the documents say."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import tracemalloc
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from chips_city import (
    GOOD_TABLE,
    KINDS,
    QUIET,
    ZONE,
    config,
    folder_root,
    make_city,
    make_root,
    opened,
    random_tiles,
    refusal,
    save_images,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from model_utils.archive.reader import open_archive
from model_utils.cli.command import execute
from model_utils.cli.verbs import PREPARE
from model_utils.ingest import chips as chips_module
from model_utils.ingest.chips import tiles_per_block
from model_utils.ingest.config import PrepareConfig
from model_utils.ingest.prepare import prepare
from model_utils.ingest.samples import LIMITS

REPOSITORY = Path(__file__).resolve().parents[1]
REAL = Path(__file__).resolve().parents[2] / "shared" / "real"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_root(tmp_path)


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


@given(
    records=st.lists(ROW, min_size=1, max_size=8),
    without=st.sets(st.sampled_from(OPTIONAL)),
    kind=st.sampled_from(KINDS),
    suffix=st.sampled_from((".csv", ".parquet")),
)
@settings(max_examples=30, deadline=None, suppress_health_check=QUIET)
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


def test_images_of_a_folder_that_no_row_names_are_counted(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = folder_root(root)
    table = pd.read_csv(root / "chips.csv").assign(path=paths).iloc[[2, 0]]
    table.to_csv(root / "chips.csv", index=False)
    prepare(config(root, "tiles"))
    np.testing.assert_array_equal(opened(root).tiles(), random_tiles(4)[[2, 0]])
    assert "left out: 2 images that no row of the table names" in capsys.readouterr().out


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


def test_memory_does_not_grow_with_the_images(root: Path) -> None:
    count, size = 1000, 200
    np.savez_compressed(root / "chips.npz", np.full((count, size, size, 3), 7, np.uint8))
    table = pd.concat([pd.read_csv(root / "chips.csv")] * (count // 4))
    table.to_csv(root / "chips.csv", index=False)
    tracemalloc.start()
    prepare(config(root, "chips.npz"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(opened(root)) == count
    assert peak < 80e6  # of 120 MB of images
    assert tiles_per_block(20, 3) == 4096


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
