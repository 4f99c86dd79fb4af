"""An archive, and any single file, is there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from seeded_archive import BANDS, FILES, tiles_and_rows, visible, write

from model_utils import atomic
from model_utils.archive.reader import TileArchive, open_archive
from model_utils.archive.writer import ArchiveWriter
from model_utils.errors import InputError


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
        with pytest.raises(InputError, match=r"another process is writing it \(process \d+ on .* since .* UTC: .+\)"):
            ArchiveWriter(tmp_path, 4, BANDS)
        writer.commit("Delhi", 3.0)
    assert len(open_archive(tmp_path)) == 3
    write(tmp_path, overwrite=True)  # and the lock is free again


WRITERS = textwrap.dedent(
    """
    import os, sys
    from itertools import count
    from pathlib import Path
    from tests.seeded_archive import write
    folder = Path(sys.argv[1])
    for line in sys.stdin:
        child = os.fork()
        if not child:
            print(os.getpid(), flush=True)
            for seed in count(int(line)):
                write(folder, count=3 + seed % 40, size=16, seed=seed, overwrite=True)
                os.write(1, b"%d\\n" % seed)  # whole or not at all, wherever the kill finds it
        print("killed by", os.waitpid(child, 0)[1], flush=True)
    """
)


def test_a_killed_writer_leaves_the_old_archive_or_the_new_one(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    generator = np.random.default_rng(0)
    folder = tmp_path / "archive"
    mid_write = 0
    arguments = [sys.executable, "-c", WRITERS, str(folder)]  # imports once; each writer is a process of its own
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True, bufsize=1
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        for first in range(0, 15_000, 1000):
            print(first, file=server.stdin)
            writer = int(server.stdout.readline())
            assert server.stdout.readline() == f"{first}\n"  # it wrote over what the last one left
            time.sleep(generator.uniform(0, 0.05))
            os.kill(writer, signal.SIGKILL)
            last = first
            while (line := server.stdout.readline()) != f"killed by {signal.SIGKILL:d}\n":
                last = int(line)
            mid_write += any(path.name.endswith(".partial") for path in folder.iterdir())
            archive = open_archive(folder)  # the old one or the new one, whatever the moment
            assert any(matches(archive, seed) for seed in (last, last + 1))
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
