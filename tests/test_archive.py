from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import pickle
import re
import signal
import subprocess
import sys
import textwrap
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model_utils import atomic
from model_utils.archive.format import COLUMNS, IMAGES, METADATA, SAMPLES, ArchiveMetadata, to_table
from model_utils.archive.reader import TileArchive, open_archive
from model_utils.archive.writer import ArchiveWriter
from model_utils.errors import InputError

BANDS = ("red", "green", "blue")
FILES = {IMAGES, SAMPLES, METADATA}


def tiles_and_rows(count: int, size: int = 4, seed: int = 0) -> tuple[np.ndarray, pd.DataFrame]:
    generator = np.random.default_rng(seed)
    tiles = generator.integers(0, 256, (count, size, size, len(BANDS)), dtype=np.uint8)
    times = pd.Timestamp("2020-01-01T05:00:00Z") + pd.to_timedelta(np.arange(count), "D")
    rows = pd.DataFrame(
        {
            "sample_id": [f"s{number}" for number in range(count)],
            "site_id": [f"site{number % 3}" for number in range(count)],
            "latitude": 28.0 + np.arange(count) / 1000,
            "longitude": 77.0 + np.arange(count) / 1000,
            "time_utc": times,
            "local_date": times.tz_convert("Asia/Kolkata").tz_localize(None).normalize(),
            "pm25": np.where(np.arange(count) % 2, np.nan, 50.0 + np.arange(count)),
            "elevation_m": generator.normal(size=count),
        }
    )
    return tiles, rows


def write(folder: Path, count: int = 7, size: int = 4, seed: int = 0, overwrite: bool = False) -> ArchiveMetadata:
    tiles, rows = tiles_and_rows(count, size, seed)
    with ArchiveWriter(folder, size, BANDS, overwrite) as writer:
        for start in range(0, count, 3):
            writer.append(tiles[start : start + 3], rows.iloc[start : start + 3])
        return writer.commit(city="Delhi", ground_sample_distance_m=3.0, licence="CC0")


def refusal(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        open_archive(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def visible(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.name != ".lock"}


# what is written comes back


def test_roundtrip(tmp_path: Path) -> None:
    tiles, rows = tiles_and_rows(7)
    metadata = write(tmp_path)
    archive = open_archive(tmp_path)
    assert archive.metadata == metadata
    assert (metadata.samples, metadata.tile_size, metadata.bands, metadata.licence) == (7, 4, BANDS, "CC0")
    np.testing.assert_array_equal(archive.tiles(), tiles)
    np.testing.assert_array_equal(np.load(tmp_path / IMAGES, allow_pickle=False), tiles)
    for name in ("sample_id", "site_id", "latitude", "longitude", "elevation_m"):
        assert archive.samples[name].tolist() == rows[name].tolist()
    np.testing.assert_array_equal(archive.samples["pm25"], rows["pm25"].astype(np.float32))
    assert (archive.samples["time_utc"] == rows["time_utc"]).all()
    assert (archive.samples["local_date"] == rows["local_date"]).all()
    assert archive.samples["temperature_c"].isna().all()
    assert (archive.samples["quality"] == "").all()
    table = pq.read_table(tmp_path / SAMPLES)
    assert all(table.schema.field(name).type == kind for name, kind in COLUMNS.items())
    assert table.column("pm25").null_count == 0  # unknown is NaN, not null


def test_content_hash_follows_the_content(tmp_path: Path) -> None:
    first = write(tmp_path / "a").content_sha256
    assert write(tmp_path / "b").content_sha256 == first
    assert write(tmp_path / "c", seed=1).content_sha256 != first


@pytest.mark.parametrize("count", [1, 9, 10, 99, 100, 1001])
def test_header_keeps_its_length_whatever_the_count(tmp_path: Path, count: int) -> None:
    write(tmp_path, count, size=1)
    assert len(open_archive(tmp_path)) == count
    assert (tmp_path / IMAGES).stat().st_size == 128 + count * 3


def test_subset_reads_no_image_and_reorders(tmp_path: Path) -> None:
    tiles, _ = tiles_and_rows(7)
    write(tmp_path)
    archive = open_archive(tmp_path)
    chosen = archive.subset(np.array([5, 0, 3])).subset(np.array([True, False, True]))
    np.testing.assert_array_equal(chosen.tiles(), tiles[[5, 3]])
    np.testing.assert_array_equal(chosen.tiles(slice(1, 2)), tiles[[3]])
    assert chosen.samples["sample_id"].tolist() == ["s5", "s3"]
    assert chosen.samples.index.tolist() == [0, 1]
    with pytest.raises(ValueError, match="mask has 3 entries for 7 rows"):
        archive.subset(np.array([True, False, True]))


def sparse_archive(folder: Path, count: int) -> int:
    """An archive of `count` tiles of 100 x 100 px whose image file has holes; returns the bytes of its images."""
    write(folder, count=3, size=100)
    table = pq.read_table(folder / SAMPLES).take(pa.array(np.zeros(count, dtype=int)))
    pq.write_table(table, folder / SAMPLES)
    shape = (count, 100, 100, 3)
    with (folder / IMAGES).open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        file.truncate(file.tell() + int(np.prod(shape)))
    metadata = json.loads((folder / METADATA).read_text())
    (folder / METADATA).write_text(json.dumps({**metadata, "samples": count}))
    return int(np.prod(shape))


def test_opening_takes_constant_memory(tmp_path: Path) -> None:
    size = sparse_archive(tmp_path, 70_000)
    assert size > 2e9
    tracemalloc.start()
    start = time.perf_counter()
    archive = open_archive(tmp_path)
    seconds = time.perf_counter() - start
    tile = archive.subset(np.array([69_999])).tiles()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert tile.shape == (1, 100, 100, 3)
    assert peak < 4e6  # row numbers (0.6 MB) and the Parquet footer, not 2.1 GB of images
    assert seconds < 1


def digest(archive: TileArchive) -> tuple[int, int]:
    return len(archive), int(archive.tiles().sum())


def test_archive_pickles_by_path_into_another_process(tmp_path: Path) -> None:
    write(tmp_path, count=200, size=16)
    archive = open_archive(tmp_path).subset(np.arange(0, 200, 2))
    expected = digest(archive)  # maps the images and reads the samples before pickling
    assert len(archive.samples) == 100
    assert len(pickle.dumps(archive)) < 3000
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(digest, (archive,)) == expected


# what is wrong is said


def damage_truncated(folder: Path) -> None:
    with (folder / IMAGES).open("r+b") as file:
        file.truncate((folder / IMAGES).stat().st_size - 1)


def damage_too_long(folder: Path) -> None:
    with (folder / IMAGES).open("ab") as file:
        file.write(b"x")


def damage_table(change: Callable[[pa.Table], pa.Table]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        pq.write_table(change(pq.read_table(folder / SAMPLES)), folder / SAMPLES)

    return damage


def damage_metadata(**change: Any) -> Callable[[Path], None]:
    """Sets keys of archive.json; None removes one."""

    def damage(folder: Path) -> None:
        content = {**json.loads((folder / METADATA).read_text()), **change}
        (folder / METADATA).write_text(json.dumps({key: value for key, value in content.items() if value is not None}))

    return damage


def damage_image(array: np.ndarray) -> Callable[[Path], None]:
    return lambda folder: np.save(folder / IMAGES, array, allow_pickle=True)


GOOD_SHAPE = (7, 4, 4, 3)
DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "truncated": (damage_truncated, "images.npy: truncated, found 463 bytes, expected 464"),
    "too long": (damage_too_long, "images.npy: too long, found 465 bytes, expected 464"),
    "float": (damage_image(np.zeros(GOOD_SHAPE)), "found float64 in C order, expected uint8"),
    "int8": (damage_image(np.zeros(GOOD_SHAPE, np.int8)), "found int8"),
    "Fortran": (damage_image(np.zeros(GOOD_SHAPE, np.uint8, order="F")), "uint8 in Fortran order"),
    "object": (damage_image(np.full(GOOD_SHAPE, None)), "found object"),
    "three axes": (damage_image(np.zeros((7, 4, 12), np.uint8)), "found shape (7, 4, 12), archive.json expects"),
    "fewer tiles": (damage_image(np.zeros((6, 4, 4, 3), np.uint8)), "found shape (6, 4, 4, 3)"),
    "no images": (lambda folder: (folder / IMAGES).unlink(), "images.npy: not found"),
    "empty images": (lambda folder: (folder / IMAGES).write_bytes(b""), "images.npy: not an NPY file"),
    "text for images": (lambda folder: (folder / IMAGES).write_text("x" * 464), "images.npy: not an NPY file"),
    "no table": (lambda folder: (folder / SAMPLES).unlink(), "samples.parquet: not found"),
    "text for a table": (lambda folder: (folder / SAMPLES).write_text("a,b"), "samples.parquet: not a Parquet file"),
    "fewer rows": (damage_table(lambda table: table.slice(1)), "found 6 rows, archive.json expects 7"),
    "no column": (damage_table(lambda table: table.drop_columns("pm25")), "column 'pm25' is missing"),
    "double": (
        damage_table(lambda t: t.set_column(t.schema.get_field_index("pm25"), "pm25", t["pm25"].cast(pa.float64()))),
        "column 'pm25' holds double, expected float",
    ),
    "no metadata": (lambda folder: (folder / METADATA).unlink(), "archive.json: not found"),
    "broken metadata": (lambda folder: (folder / METADATA).write_text("{"), "archive.json: not readable as JSON"),
    "deep metadata": (lambda folder: (folder / METADATA).write_text("[" * 10**5), "archive.json: not readable"),
    "long number": (lambda folder: (folder / METADATA).write_text("1" * 5000), "archive.json: not readable"),
    "list for metadata": (lambda folder: (folder / METADATA).write_text("[]"), "key 'schema_version' is missing"),
    "next schema": (damage_metadata(schema_version=2), "schema_version is 2, this software reads 1"),
    "unknown key": (damage_metadata(colour="blue"), "unknown key 'colour'"),
    "no city": (damage_metadata(city=None), "key 'city' is missing"),
    "no count": (damage_metadata(samples=None), "key 'samples' is missing"),
    "boolean count": (damage_metadata(samples=True), "samples is True, expected a whole number"),
    "negative size": (damage_metadata(tile_size=-4), "tile_size is -4, expected a whole number"),
    "bands as text": (damage_metadata(bands="rgb"), "bands is 'rgb', expected a list of names"),
    "distance": (damage_metadata(ground_sample_distance_m="3 m"), "ground_sample_distance_m is '3 m'"),
    "city as number": (damage_metadata(city=3), "city is 3, expected text"),
    "sources": (damage_metadata(sources="x"), "sources is 'x', expected a list"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_archive_is_refused_with_the_reason(tmp_path: Path, name: str) -> None:
    write(tmp_path)
    damage, message = DAMAGES[name]
    damage(tmp_path)
    assert message in refusal(tmp_path)


def test_folder_that_is_not_there_says_how_to_make_one(tmp_path: Path) -> None:
    assert "no such folder, expected a tile archive (pm25 simulate" in refusal(tmp_path / "Delhi")


@given(data=st.data(), name=st.sampled_from(sorted(FILES)))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_flipped_bytes_are_refused_or_harmless(tmp_path: Path, data: st.DataObject, name: str) -> None:
    folder = tmp_path / "archive"
    write(folder, overwrite=True)
    content = bytearray((folder / name).read_bytes())
    ends = st.integers(0, min(127, len(content) - 1)) | st.integers(-min(400, len(content)), -1)
    for position in data.draw(st.lists(ends, min_size=1, max_size=4)):
        content[position] = data.draw(st.integers(0, 255))
    (folder / name).write_bytes(content)
    with contextlib.suppress(InputError):
        archive = open_archive(folder)
        assert archive.tiles().shape == (7, 4, 4, 3)
        assert len(archive.samples) == 7


BAD_ROWS: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], str]] = {
    "no column": (lambda rows: rows.drop(columns="latitude"), "column 'latitude' is missing"),
    "empty site": (lambda rows: rows.assign(site_id=["a", None, "b"]), "row 1: column 'site_id' is empty"),
    "north of the pole": (lambda rows: rows.assign(latitude=[0.0, 91.0, 0.0]), "row 1: 91.0, 77.001 are not WGS84"),
    "infinite": (lambda rows: rows.assign(longitude=np.inf), "row 0: 28.0, inf are not WGS84"),
    "text for pm25": (lambda rows: rows.assign(pm25=["1", "two", "3"]), "column 'pm25' does not hold numbers"),
    "text for time": (lambda rows: rows.assign(time_utc="noon"), "column 'time_utc' does not hold timestamp"),
    "mixed extra": (lambda rows: rows.assign(extra=[1, "a", {}]), "column 'extra' cannot be kept"),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_rows_that_do_not_fit_are_refused(name: str) -> None:
    change, message = BAD_ROWS[name]
    with pytest.raises(InputError) as caught:
        to_table(change(tiles_and_rows(3)[1]))
    assert message in str(caught.value)


def append_all(folder: Path, *blocks: tuple[np.ndarray, pd.DataFrame]) -> None:
    with ArchiveWriter(folder, 4, BANDS) as writer:
        for tiles, rows in blocks:
            writer.append(tiles, rows)
        writer.commit("Delhi", 3.0)


def test_writer_refuses_what_does_not_fit(tmp_path: Path) -> None:
    tiles, rows = tiles_and_rows(3)
    cases = [
        ([(tiles.astype(np.uint16), rows)], "found uint16 4x4x3, expected uint8 4x4x3"),
        ([(tiles[:, :3], rows)], "found uint8 3x4x3"),
        ([(tiles[:2], rows)], "2 tiles came with 3 rows"),
        ([(tiles, rows), (tiles, rows.drop(columns="elevation_m"))], "columns differ"),
        ([(tiles, rows), (tiles, rows)], "'s0' came twice"),
        ([], "no tiles to write"),
    ]
    for blocks, message in cases:
        with pytest.raises(InputError, match=message):
            append_all(tmp_path, *blocks)
    assert visible(tmp_path) == set()


# an archive is there whole or not at all


def test_an_archive_is_replaced_only_on_request(tmp_path: Path) -> None:
    first = write(tmp_path)
    with pytest.raises(InputError, match="an archive is already there, --overwrite replaces it"):
        write(tmp_path, seed=1)
    assert open_archive(tmp_path).metadata == first
    assert write(tmp_path, seed=1, overwrite=True) == open_archive(tmp_path).metadata != first
    assert visible(tmp_path) == FILES


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
@pytest.mark.parametrize("before", [True, False], ids=["over an old one", "first"])
def test_exception_leaves_what_was_there(tmp_path: Path, error: type[BaseException], before: bool) -> None:
    old = write(tmp_path) if before else None
    (tmp_path / "embeddings.npy").write_text("a cache that is not ours")
    with contextlib.suppress(error), ArchiveWriter(tmp_path, 4, BANDS, overwrite=True) as writer:
        writer.append(*tiles_and_rows(3, seed=1))
        raise error
    assert visible(tmp_path) == {"embeddings.npy"} | (FILES if before else set())
    if old:
        assert open_archive(tmp_path).metadata == old


def test_second_writer_is_refused_while_the_first_writes(tmp_path: Path) -> None:
    with ArchiveWriter(tmp_path, 4, BANDS) as writer:
        writer.append(*tiles_and_rows(3))
        with pytest.raises(InputError, match="another process is writing this archive"):
            ArchiveWriter(tmp_path, 4, BANDS)
        writer.commit("Delhi", 3.0)
    assert len(open_archive(tmp_path)) == 3
    write(tmp_path, overwrite=True)  # and the lock is free again


WRITER = textwrap.dedent(
    """
    import sys
    from itertools import count
    from pathlib import Path
    import numpy as np
    from tests.test_archive import write
    folder = Path(sys.argv[1])
    for seed in count(int(sys.argv[2])):
        write(folder, count=3 + seed % 40, size=16, seed=seed, overwrite=True)
        print(seed, flush=True)
    """
)


@pytest.mark.slow
def test_killed_writer_leaves_a_whole_archive_or_none(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    generator = np.random.default_rng(0)
    folder = tmp_path / "archive"
    whole = mid_write = 0
    for attempt in range(15):
        arguments = [sys.executable, "-c", WRITER, str(folder), str(1000 * attempt)]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, env=environment, text=True) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == f"{1000 * attempt}\n"  # it wrote over what the last one left
            time.sleep(generator.uniform(0, 0.05))
            writer.send_signal(signal.SIGKILL)
        mid_write += any(path.name.endswith(".partial") for path in folder.iterdir())
        if not (folder / METADATA).exists():
            assert "archive.json: not found" in refusal(folder)
            continue
        archive = open_archive(folder)
        assert any(matches(archive, seed) for seed in range(1000 * attempt, 1000 * (attempt + 1)))
        whole += 1
    assert whole
    assert mid_write  # at least one kill came while files were being written
    write(folder, overwrite=True)
    assert visible(folder) == FILES


def matches(archive: TileArchive, seed: int) -> bool:
    """Whether images and rows both are those that `write` makes of a seed."""
    if len(archive) != 3 + seed % 40:
        return False
    tiles, rows = tiles_and_rows(len(archive), 16, seed)
    same_tiles = np.array_equal(archive.tiles(), tiles)
    same_rows = np.array_equal(archive.samples["elevation_m"], rows["elevation_m"])
    assert same_tiles == same_rows, "images of one writing, rows of another"
    return same_tiles


# single files


def test_replacing_keeps_the_old_file_on_an_exception(tmp_path: Path) -> None:
    path = tmp_path / "room" / "file.txt"
    atomic.write_text(path, "old")
    with contextlib.suppress(KeyboardInterrupt), atomic.replacing(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    with atomic.replacing(path) as temporary:
        assert temporary.suffix == ".txt"  # savers that look at the suffix work
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


# the document


def test_requirements_name_every_column_and_key() -> None:
    text = (Path(__file__).resolve().parents[1] / "data" / "requirements.md").read_text(encoding="utf-8")
    archive = text.split("The archive\n")[1].split("\n### ")[0]
    listed = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", archive, re.MULTILINE))
    names = {"double": "float64", "float": "float32", "date32[day]": "date32"}
    columns = {name: names.get(str(kind), str(kind)) for name, kind in COLUMNS.items()}
    assert {name: kind for name, kind in listed.items() if name in columns} == columns
    assert set(listed) - set(columns) == {item.name for item in fields(ArchiveMetadata)}
