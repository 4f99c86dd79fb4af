"""Tile archives: what is written comes back, and the document names all of it."""

from __future__ import annotations

import json
import multiprocessing
import pickle
import re
import time
import tracemalloc
from dataclasses import fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from seeded_archive import BANDS, tiles_and_rows, write

from model_utils.archive.format import COLUMNS, IMAGES, METADATA, SAMPLES, ArchiveMetadata, simulated_caveat
from model_utils.archive.reader import TileArchive, open_archive
from model_utils.archive.verification import note_verified


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
    note_verified(folder, metadata["content_sha256"])  # else its 2 GB would be read once
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


def test_requirements_name_every_column_and_key() -> None:
    text = (Path(__file__).resolve().parents[1] / "data" / "requirements.md").read_text(encoding="utf-8")
    archive = text.split("The archive\n")[1].split("\n### ")[0]
    listed = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", archive, re.MULTILINE))
    names = {"double": "float64", "float": "float32", "date32[day]": "date32"}
    columns = {name: names.get(str(kind), str(kind)) for name, kind in COLUMNS.items()}
    assert {name: kind for name, kind in listed.items() if name in columns} == columns
    assert set(listed) - set(columns) == {item.name for item in fields(ArchiveMetadata)}


def test_only_what_rests_on_simulated_data_is_said_to_mean_nothing() -> None:
    assert simulated_caveat("no") == ""
    for simulated in ("all", "haze and readings"):
        assert simulated_caveat(simulated) == f"Simulated: {simulated}. No number says anything about the real city."
    for simulated in ("haze", "surface and haze"):  # references without images are computed from real readings
        assert "No number of a method that sees images says" in simulated_caveat(simulated)
