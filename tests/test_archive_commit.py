"""A writer that is killed at any step of putting a new archive in place of an old one."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from itertools import count
from pathlib import Path

from seeded_archive import FILES, visible, write

from model_utils.archive.commit import has_archive
from model_utils.archive.format import METADATA
from model_utils.archive.reader import open_archive
from model_utils.locking import locked

BESIDE = "beside.txt"
KILLED = textwrap.dedent(
    """
    import os, signal, sys
    from pathlib import Path
    from model_utils.archive.writer import ArchiveWriter
    from tests.seeded_archive import BANDS, tiles_and_rows
    for line in sys.stdin:
        child = os.fork()
        if not child:
            left = int(line)
            def killed_at_last(step):
                def done(*arguments, **options):
                    global left
                    left -= 1
                    if left < 0:
                        os.kill(os.getpid(), signal.SIGKILL)
                    return step(*arguments, **options)
                return done
            for name in ("replace", "unlink"):
                setattr(Path, name, killed_at_last(getattr(Path, name)))
            with ArchiveWriter(Path(sys.argv[1]), 4, BANDS, overwrite=True) as writer:
                writer.append(*tiles_and_rows(5, seed=1))
                with writer.beside("beside.txt") as path:
                    path.write_text("new")
                writer.commit(city="Delhi", ground_sample_distance_m=3.0)
            os._exit(0)
        print(os.waitpid(child, 0)[1], flush=True)
    """
)


def test_a_writer_killed_at_any_step_leaves_the_old_archive_or_the_new_one(tmp_path: Path) -> None:
    folder, kept = tmp_path / "archive", tmp_path / "kept"
    write(folder, seed=0)
    (folder / BESIDE).write_text("old")
    shutil.copytree(folder, kept)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    found, without_metadata = [], 0
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
        bufsize=1,
    ) as server:
        assert server.stdin
        assert server.stdout
        for steps in count():
            shutil.rmtree(folder)
            shutil.copytree(kept, folder)
            print(steps, file=server.stdin)
            status = int(server.stdout.readline())
            if not status:
                break
            assert status == signal.SIGKILL
            without_metadata += not (folder / METADATA).exists()
            found.append((len(open_archive(folder)), (folder / BESIDE).read_text()))
            write(folder, seed=2, overwrite=True)
            assert visible(folder) == {*FILES, BESIDE}
    assert set(found) == {(7, "old"), (5, "new")}
    assert found == sorted(found, key=lambda each: -each[0])  # never the old one again
    assert without_metadata >= 3


def test_an_archive_that_is_being_put_in_place_is_left_to_its_writer(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / METADATA).rename(tmp_path / f".{METADATA}.ready")
    with locked(tmp_path):
        assert not has_archive(tmp_path)
    assert has_archive(tmp_path)
    assert visible(tmp_path) == FILES
