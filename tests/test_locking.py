"""One writer at a time: between real processes, through kills and forks, and where the file system has no locks."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import write_small_archive
from seeded_archive import write

from model_utils.archive.reader import open_archive
from model_utils.archive.writer import ArchiveWriter
from model_utils.cli.main import main
from model_utils.comparison.config import CompareConfig
from model_utils.comparison.starts import embed_starts
from model_utils.configuration import from_preset
from model_utils.demo import DemoConfig, demo
from model_utils.locking import InUseError, locked

ROOT = Path(__file__).resolve().parents[1]
HOLDER = """
import os, sys
from pathlib import Path
from model_utils.locking import locked
with locked(*map(Path, sys.argv[1:])):
    if os.environ.get("WITH_CHILD"):
        told, tell = os.pipe()
        if not os.fork():
            os.write(tell, b".")
            sys.stdin.read()  # outlives its parent
            os._exit(0)
        os.read(told, 1)  # it runs, and has let go of the lock
    print("held", flush=True)
    input()
"""


@contextmanager
def holder(*paths: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock of some paths."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, *map(str, paths)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process


def test_the_second_process_is_told_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "results" / "Delhi" / "experiment"
    with holder(path, tmp_path / "weights") as process:
        with pytest.raises(InUseError) as caught, locked(path):
            pass
        with locked(tmp_path / "another"):  # nothing else is kept
            pass
        process.communicate("\n")
    start = f"{path}: another process is writing it (process {process.pid} on {socket.gethostname()} since 20"
    assert str(caught.value).startswith(start)
    assert str(caught.value).endswith(f" UTC: -c {path} {tmp_path / 'weights'})")
    with locked(path):
        pass
    assert list(tmp_path.iterdir()) == []  # neither locks nor the folders made for them


def test_all_or_none_of_several_is_held(tmp_path: Path) -> None:
    with holder(tmp_path / "b") as process:
        with pytest.raises(InUseError), locked(tmp_path / "a", tmp_path / "b"):
            pass
        with locked(tmp_path / "a"):
            pass
        process.communicate("\n")


@pytest.mark.parametrize("environment", [{}, {"WITH_CHILD": "yes"}], ids=["alone", "with a child that lives on"])
def test_a_killed_process_holds_nothing(tmp_path: Path, environment: dict[str, str]) -> None:
    with holder(tmp_path / "experiment", **environment) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        with locked(tmp_path / "experiment"):
            pass
    assert list(tmp_path.iterdir()) == []


def test_never_two_at_once_through_many_turns(tmp_path: Path) -> None:
    """Each of three processes adds to a counter under the lock, which is made and removed all the time."""
    script = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from model_utils.locking import InUseError, locked
        counter, done = Path(sys.argv[1]), 0
        while done < 300:
            try:
                with locked(counter):
                    counter.write_text(str(int(counter.read_text()) + 1))
                    done += 1
            except InUseError:
                pass
        """
    )
    counter = tmp_path / "counter"
    counter.write_text("0")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    processes = [subprocess.Popen([sys.executable, "-c", script, str(counter)], env=environment) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert counter.read_text() == "900"


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL])
def test_a_file_system_without_locks_breaks_no_run(
    tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def flock(file: object, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with locked(tmp_path / "experiment"):
        (tmp_path / "experiment").write_text("written")
    assert write(tmp_path / "archive").samples == 7
    assert not any(capsys.readouterr())


def test_a_folder_that_may_not_be_written_is_no_matter_of_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, *arguments: object, **options: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))  # as root, modes refuse nothing

    monkeypatch.setattr(Path, "open", refuse)
    with locked(tmp_path / "experiment"):
        pass


def test_an_archive_is_written_by_one(tmp_path: Path) -> None:
    with holder(tmp_path / "Delhi") as process:
        with pytest.raises(InUseError, match="another process is writing it"):
            ArchiveWriter(tmp_path / "Delhi", 4, ("red",), overwrite=True)
        process.communicate("\n")
    assert not (tmp_path / "Delhi").exists()


SUPERVISE = "supervise --city Delhi --start randomly_initialized --preset smoke"
WRITES: dict[str, tuple[str, str]] = {
    "simulate": ("simulate --city Delhi --days 5 --day-step 5 --grid-km 25 --tile-size 32 --overwrite", "data/Delhi"),
    "pretrain": (
        "pretrain --city Delhi --method SimCLR --pairs regular --preset smoke",
        "results/Delhi/pretrain_SimCLR_regular_test_resnet",
    ),
    "pretrain, weights": (
        "pretrain --city Delhi --method SimCLR --pairs regular --preset smoke",
        "data/weights/Delhi_SimCLR_regular_test_resnet.safetensors",
    ),
    "supervise": (SUPERVISE, "results/Delhi/place_and_day_randomly_initialized_test_resnet"),
    "compare": ("compare --city Delhi --preset smoke", "results/Delhi/compare_smoke"),
    "inspect": ("inspect --city Delhi", "data/Delhi/inspection"),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root")
    write_small_archive(root)
    return root


def files(folder: Path) -> dict[Path, tuple[int, int]]:
    return {
        path: (path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


@pytest.mark.parametrize("verb", WRITES)
def test_every_verb_that_writes_is_refused_while_another_process_does(
    root: Path, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command, path = WRITES[verb]
    before = files(root)
    with holder(root / path) as process:
        assert main([*command.split(), "--root", str(root)]) == 2
        process.communicate("\n")
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("pm25 ")]
    assert f"{root / path}: another process is writing it (process {process.pid} on" in line
    assert files(root) == before


def test_a_map_and_points_are_refused_while_another_process_writes_them(
    town: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "points.csv").write_text("latitude,longitude\n28.62,77.22\n")
    fixed = ["--city", "Town", "--model", str(town / "model"), "--root", str(town)]
    commands = {
        town / "results/Town/busy": ["map", *fixed, "--name", "busy"],
        tmp_path / "out.csv": [
            *("predict", *fixed),
            *("--points", str(tmp_path / "points.csv"), "--out", str(tmp_path / "out.csv")),
        ],
    }
    for path, words in commands.items():
        with holder(path) as process:
            assert main(words) == 2
            process.communicate("\n")
        assert f"{path}: another process is writing it" in capsys.readouterr().err
        assert not path.exists()


def test_a_comparison_does_not_skip_a_start_that_is_being_trained(root: Path) -> None:
    config = from_preset(CompareConfig, "smoke", city="Delhi", root=root, starts=("SimCLR_regular",))
    archive = open_archive(root / "data" / "Delhi")
    with holder(root / "data/weights/Delhi_SimCLR_regular_test_resnet.safetensors") as process:
        with pytest.raises(InUseError):
            embed_starts(config, archive, archive)
        process.communicate("\n")


def test_a_demo_does_not_begin_anew_what_another_one_works_on(tmp_path: Path) -> None:
    with holder(tmp_path / "data" / "Delhi") as process:
        with pytest.raises(InUseError):
            demo(DemoConfig(preset="smoke", root=tmp_path))
        process.communicate("\n")
