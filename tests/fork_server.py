"""Many runs of the command line at the price of one import: each is a fork of a process that has imported all of it.

Their figures are empty: drawing them takes longer than all else, and how they are drawn is tested elsewhere.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_PROGRESS = ("blocks: ", "cells: ", "scenes: ", "tiles: ", "tiles embedded: ", "rows scored: ")
_SECONDS_TO_DIE = 60.0  # of processes whose parent was killed
_SERVER = """
import fcntl, json, os, resource, sys, threading
import distributed, matplotlib.backends.backend_agg, matplotlib.backends.backend_pdf, torch
import model_utils.comparison.run, model_utils.features.convert_weights, model_utils.ingest.chip_archive
import model_utils.ingest.scene_archive.archive, model_utils.inspection.inspect, model_utils.mapping.points
import model_utils.mapping.run, model_utils.parallel.cluster, model_utils.simulation.city
import model_utils.supervision.supervise
from matplotlib.figure import Figure
from model_utils.cli.main import main

torch.set_num_threads(1)
save = Figure.savefig
Figure.savefig = lambda figure, *where, **how: save(Figure((1, 1)), *where, **how)  # a file of its kind, soon drawn
assert threading.active_count() == 1, "a thread would not live on in a fork"
running = {}
for line in sys.stdin:
    asked = json.loads(line)
    if asked["do"] == "start":
        reading, writing = os.pipe()
        fcntl.fcntl(reading, fcntl.F_SETPIPE_SZ, 2**20)
        child = os.fork()
        if not child:
            os.setsid()
            os.dup2(writing, 2)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            if asked["largest_file"] is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (asked["largest_file"],) * 2)
            sys.argv = ["pm25", *asked["words"]]
            try:
                code = main(asked["words"])
            except SystemExit as error:
                code = error.code
            except BaseException:
                sys.excepthook(*sys.exc_info())
                code = 1
            sys.stderr.flush()
            os._exit(code)
        os.close(writing)
        running[child] = reading
        print(child, flush=True)
    else:
        status = os.waitstatus_to_exitcode(os.waitpid(asked["child"], 0)[1])
        reading = running.pop(asked["child"])
        os.set_blocking(reading, False)
        try:
            said = os.read(reading, 2**20)
        except BlockingIOError:
            said = b""
        os.close(reading)
        print(json.dumps([status, said.decode(errors="replace")]), flush=True)
"""


@dataclass(frozen=True)
class Ended:
    """A run that is over.

    Attributes:
        code: Exit code, or minus the signal that ended it.
        said: What it wrote to stderr.
        seconds: From its start until then.
    """

    code: int
    said: str
    seconds: float

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL

    @property
    def traceback(self) -> bool:
        """Whether one was written to stderr, by a thread or a child perhaps."""
        return "Traceback" in self.said

    @property
    def lines(self) -> list[str]:
        """Lines of stderr but for those of progress."""
        return [line for line in self.said.splitlines() if not line.startswith(_PROGRESS)]


class Run:
    """A process of a server, and of a session of its own."""

    def __init__(self, server: ForkServer, child: int) -> None:
        self._server, self._child, self._began = server, child, time.monotonic()

    def kill(self, group: bool) -> None:
        """Kills it, or all of its processes, if it still runs."""
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self._child, signal.SIGKILL)

    def wait(self) -> Ended:
        """Waits for its end, and for that of the processes that it started."""
        code, said = self._server.ask(do="wait", child=self._child)
        seconds = time.monotonic() - self._began
        deadline = time.monotonic() + _SECONDS_TO_DIE
        while _group_lives(self._child):
            assert time.monotonic() < deadline, "a process outlives the one that started it"
            time.sleep(0.02)
        return Ended(code, said, seconds)


class ForkServer:
    """Starts runs; see `fork_server`."""

    def __init__(self, server: subprocess.Popen[str]) -> None:
        assert server.stdin
        assert server.stdout
        self._in: IO[str] = server.stdin
        self._out: IO[str] = server.stdout

    def ask(self, **question: object) -> object:
        print(json.dumps(question), file=self._in, flush=True)
        line = self._out.readline()
        assert line, "the server is gone"
        return json.loads(line)

    def start(self, words: Sequence[str], largest_file: int | None = None) -> Run:
        """Starts `pm25` with some words.

        Args:
            words: Verb and flags.
            largest_file: Bytes beyond which the system lets no file grow: to a program, a full disk.
        """
        return Run(self, self.ask(do="start", words=list(words), largest_file=largest_file))

    def run(
        self,
        words: Sequence[str],
        kill_after: float | None = None,
        group: bool = True,
        largest_file: int | None = None,
    ) -> Ended:
        """Runs `pm25` to its end, or kills it after some seconds."""
        run = self.start(words, largest_file)
        if kill_after is not None:
            time.sleep(kill_after)
            run.kill(group)
        return run.wait()


@contextmanager
def fork_server() -> Iterator[ForkServer]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "OMP_NUM_THREADS": "1",
        "MPLBACKEND": "agg",
    }
    arguments = [sys.executable, "-c", _SERVER]
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True, bufsize=1
    ) as server:
        yield ForkServer(server)


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
