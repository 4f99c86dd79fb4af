"""A root in which runs of one verb are disturbed, each from the same state, and what they leave is looked at."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

from fault_verbs import Verb
from fork_server import Ended, ForkServer, Run
from whole_files import damaged_files, visible_files

from model_utils.archive.verification import NOTE

KILLED = "killed in time"
_PAGE = 4096


class DisturbedRoot:
    """Of one verb.

    Args:
        folder: Where the root and what it is put back from lie.
        verb: What is run there.
        server: Runs it.

    Attributes:
        root: Where runs work.
        seconds: Of a run that nothing disturbs.
        largest_file: Bytes of the largest file that such a run writes.
        written: Bytes of all of them, on a disk of pages.
        told: What has happened: kind of outcome -> number of runs.
    """

    def __init__(self, folder: Path, verb: Verb, server: ForkServer) -> None:
        self.verb, self._server = verb, server
        self.root, self._kept = folder / "root", folder / "kept"
        self.root.mkdir(parents=True, exist_ok=True)
        verb.lay_out(self.root)
        for words in verb.before:
            assert server.run(self._typed(words)).code == 0
        for pattern in verb.remove:
            for path in self.root.glob(pattern):
                path.unlink()
        shutil.copytree(self.root, self._kept)
        self._before = {path.relative_to(self.root): path.read_bytes() for path in visible_files(self.root)}
        ended = self.run()
        assert ended.code == 0, ended
        self.seconds = ended.seconds
        self._numbers = verb.numbers(self.root)
        new = [path for path in visible_files(self.root) if not self._stood_before(path)]
        sizes = [path.stat().st_size for path in new]
        self.largest_file = max(sizes)
        self.written = sum(-(-size // _PAGE) * _PAGE for size in sizes)
        self.told: Counter[str] = Counter()

    def restore(self) -> None:
        """Puts everything back to where only the earlier result stands."""
        for path in self.root.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(self._kept, self.root, dirs_exist_ok=True)

    def start(self) -> Run:
        """Starts a run."""
        return self._server.start(self._typed(self.verb.words))

    def run(self, **disturbed: Any) -> Ended:
        """One run; see `ForkServer.run`."""
        return self._server.run(self._typed(self.verb.words), **disturbed)

    def faults(self) -> list[str]:
        """What is wrong after a disturbed run: files that are gone, or of which there is a part."""
        gone = [f"{path}: gone" for path in self._before if not (self.root / path).is_file()]
        return [*gone, *damaged_files(self.root)]

    def faults_in_the_end(self) -> list[str]:
        """What is wrong after a run that is done: damage, leftovers, other numbers than those of an undisturbed run."""
        left = [f"{path.relative_to(self.root)}: left over" for path in self.root.rglob(".*") if path.name != NOTE]
        same = self.verb.numbers(self.root) == self._numbers
        return [*damaged_files(self.root), *left, *([] if same else ["other numbers than those of an undisturbed run"])]

    def faults_of_next_run(self) -> list[str]:
        """Runs it once more, as a user would; what is wrong then."""
        ended = self.run()
        if ended.code or ended.traceback:
            return [f"next run: {ended}"]
        self.told["next run fine"] += 1
        return self.faults_in_the_end()

    def refused_in_a_line(self, ended: Ended, because: str) -> bool:
        """Whether a run said with exit code 2 and one line which of the root's files could not be written, and why."""
        return ended.code == 2 and len(ended.lines) == 1 and f"{self.root}/" in ended.said and because in ended.said

    def tell(self, ended: Ended) -> None:
        """Counts how a run ended."""
        what = {0: "finished with 0", 2: "refused with 2"}.get(ended.code, f"ended with {ended.code}")
        self.told[KILLED if ended.killed else what] += 1
        self.told["tracebacks"] += ended.traceback

    def moments(self, seed: int) -> random.Random:
        """Random numbers of its own."""
        return random.Random(f"{seed} {self.verb.words}")

    def _stood_before(self, path: Path) -> bool:
        return self._before.get(path.relative_to(self.root)) == path.read_bytes()

    def _typed(self, words: str) -> list[str]:
        return words.replace("ROOT", str(self.root)).split()
