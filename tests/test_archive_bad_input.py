"""Damaged archives, and tiles and rows that do not fit: what is wrong is said in one line."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from seeded_archive import BANDS, FILES, refusal, tiles_and_rows, visible, write

from model_utils.archive.format import IMAGES, METADATA, SAMPLES, to_table
from model_utils.archive.reader import open_archive
from model_utils.archive.writer import ArchiveWriter
from model_utils.errors import InputError


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
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
