"""An archive that was changed after it was written is found, said and never met by an old cache."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import write_small_archive
from seeded_archive import BANDS, refusal, tiles_and_rows, write

from model_utils.archive import verification
from model_utils.archive.acceptance import accept_changes
from model_utils.archive.format import IMAGES, METADATA, SAMPLES
from model_utils.archive.reader import open_archive
from model_utils.archive.verification import NOTE, content_sha256
from model_utils.archive.writer import ArchiveWriter
from model_utils.cli.main import main
from model_utils.errors import InputError
from model_utils.features.embeddings import embeddings_file
from model_utils.features.starting_encoder import starting_encoder
from model_utils.features.starts import EncoderSource


def inverted_pixels(folder: Path) -> None:
    images = np.load(folder / IMAGES, mmap_mode="r+")
    images[:] = 255 - images
    images.flush()
    later(folder / IMAGES)


def doubled_readings(folder: Path) -> None:
    table = pd.read_parquet(folder / SAMPLES)
    table.assign(pm25=2 * table["pm25"]).to_parquet(folder / SAMPLES)
    later(folder / SAMPLES)


def later(path: Path) -> None:
    """As if some seconds had passed, whatever the clock of the file system counts in."""
    state = path.stat()
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 10**10))


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The archives whose content is read for its hash; what this process remembers is forgotten."""
    folders: list[Path] = []
    whole = verification.content_sha256

    def counted(folder: Path) -> str:
        folders.append(folder)
        return whole(folder)

    monkeypatch.setattr(verification, "content_sha256", counted)
    monkeypatch.setattr(verification, "_noted", {})
    return folders


@pytest.mark.parametrize(("change", "name"), [(inverted_pixels, IMAGES), (doubled_readings, SAMPLES)])
def test_a_changed_file_is_named_on_opening(tmp_path: Path, change: Callable[[Path], None], name: str) -> None:
    write(tmp_path)
    change(tmp_path)
    for _ in range(2):  # saying it once does not make it right
        assert refusal(tmp_path) == (
            f"{tmp_path}: {name} was changed: the SHA-256 is not the one in archive.json; make the archive again "
            "(--overwrite), or take it as it is now: pm25 inspect --accept-changes"
        )
    (tmp_path / NOTE).unlink()  # as in an archive of an earlier version
    verification._noted.clear()
    assert f"{IMAGES} or {SAMPLES} was changed" in refusal(tmp_path)


def test_what_nobody_touched_is_not_read_again(tmp_path: Path, read: list[Path]) -> None:
    write(tmp_path)
    for _ in range(3):
        open_archive(tmp_path)
    assert read == []


@pytest.mark.parametrize("damage", ["no note", "no JSON", "a list", "another archive's"])
def test_where_the_note_does_not_hold_the_content_is_read_once(tmp_path: Path, read: list[Path], damage: str) -> None:
    folder = tmp_path / "archive"
    write(folder)
    read.clear()
    verification._noted.clear()
    if damage == "no note":
        (folder / NOTE).unlink()
    elif damage == "another archive's":
        write(tmp_path / "other", seed=1)
        shutil.copy(tmp_path / "other" / NOTE, folder / NOTE)
    else:
        (folder / NOTE).write_text({"no JSON": "{", "a list": "[]"}[damage])
    for _ in range(3):
        verification._noted.clear()  # as in other processes
        open_archive(folder)
    assert read == [folder]


def test_a_copy_passes_and_is_noted(tmp_path: Path, read: list[Path]) -> None:
    write(tmp_path / "archive")
    shutil.copytree(tmp_path / "archive", tmp_path / "copy", copy_function=shutil.copy)
    for name in (IMAGES, SAMPLES):
        later(tmp_path / "copy" / name)
    for _ in range(3):
        verification._noted.clear()
        open_archive(tmp_path / "copy")
    assert read == [tmp_path / "copy"]


def test_a_copy_that_may_not_be_written_passes_too_and_is_read_once_a_process(
    tmp_path: Path, read: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path)
    (tmp_path / NOTE).unlink()

    def refuse(self: Path, text: str, encoding: str) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self))

    verification._noted.clear()
    monkeypatch.setattr(Path, "write_text", refuse)
    for _ in range(3):
        open_archive(tmp_path)
    assert read == [tmp_path]
    assert not (tmp_path / NOTE).exists()


def test_the_hash_equals_that_of_the_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import hashlib

    metadata = write(tmp_path, count=40)
    monkeypatch.setattr(verification, "_BLOCK_BYTES", 100)
    monkeypatch.setattr(verification, "_LONG", 10)  # a bar is shown
    expected = hashlib.sha256(np.load(tmp_path / IMAGES).tobytes() + (tmp_path / SAMPLES).read_bytes()).hexdigest()
    assert content_sha256(tmp_path) == expected == metadata.content_sha256


def test_reading_it_all_takes_constant_memory(tmp_path: Path) -> None:
    write(tmp_path, count=800, size=64)
    (tmp_path / NOTE).unlink()
    verification._noted.clear()
    tracemalloc.start()
    open_archive(tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (tmp_path / IMAGES).stat().st_size > 9e6
    assert peak < 4e6


def test_accepted_changes_are_the_archive_from_then_on_and_are_recorded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_small_archive(tmp_path)
    first, before = open_archive(folder).metadata, open_archive(folder).samples["pm25"]
    assert accept_changes(folder) is False
    assert open_archive(folder).metadata == first
    doubled_readings(folder)
    words = ["inspect", "--city", "Delhi", "--root", str(tmp_path)]
    assert main(words) == 2
    assert "--accept-changes" in capsys.readouterr().err
    assert main([*words, "--accept-changes"]) == 0
    assert f"{folder}: its hash is that of the files as they are now" in capsys.readouterr().out
    accepted = open_archive(folder)
    pd.testing.assert_series_equal(accepted.samples["pm25"], 2 * before)
    assert accepted.metadata.content_sha256 == content_sha256(folder) != first.content_sha256
    assert accepted.metadata.created_by == {**first.created_by, "changed_by_hand": [first.content_sha256]}


def test_files_that_do_not_fit_are_not_accepted(tmp_path: Path) -> None:
    write(tmp_path)
    pq.write_table(pq.read_table(tmp_path / SAMPLES).slice(1), tmp_path / SAMPLES)
    with pytest.raises(InputError, match="found 6 rows"):
        accept_changes(tmp_path)


def test_a_cache_never_meets_other_pixels(tmp_path: Path) -> None:
    folder = write_small_archive(tmp_path, days=2, cells=2)
    archive = open_archive(folder)
    start = starting_encoder(
        EncoderSource("Delhi", "randomly_initialized", "test_resnet", tmp_path, None, None, 0), archive
    )
    old = embeddings_file(archive, start, "cpu")
    assert embeddings_file(open_archive(folder), start, "cpu") == old
    inverted_pixels(folder)
    accept_changes(folder)
    new = embeddings_file(open_archive(folder), start, "cpu")
    assert new != old
    assert not np.allclose(np.load(new), np.load(old))


@pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view()], ids=str)
def test_texts_of_every_kind_are_read(tmp_path: Path, kind: pa.DataType, read: list[Path]) -> None:
    """Current pandas writes `large_string` where the archive's own writer has `string`."""
    write(tmp_path)
    expected = open_archive(tmp_path).samples
    table = pq.read_table(tmp_path / SAMPLES)
    schema = pa.schema([field.with_type(kind) if pa.types.is_string(field.type) else field for field in table.schema])
    pq.write_table(table.cast(schema), tmp_path / SAMPLES)
    assert pq.read_schema(tmp_path / SAMPLES).field("site_id").type == kind
    assert accept_changes(tmp_path)
    pd.testing.assert_frame_equal(open_archive(tmp_path).samples, expected)


def test_an_archive_that_is_written_anew_is_noted_anew(tmp_path: Path, read: list[Path]) -> None:
    for seed in range(2):
        tiles, rows = tiles_and_rows(5, seed=seed)
        with ArchiveWriter(tmp_path, 4, BANDS, overwrite=True) as writer:
            writer.append(tiles, rows)
            metadata = writer.commit("Delhi", 3.0)
        assert json.loads((tmp_path / NOTE).read_text())["content_sha256"] == metadata.content_sha256
        assert open_archive(tmp_path).metadata == metadata
    assert read == []
    assert json.loads((tmp_path / METADATA).read_text())["content_sha256"] == metadata.content_sha256
