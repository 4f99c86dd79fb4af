"""What tests of fetching share: a server that is asked quickly again, and the command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fetch_server import LoopbackServer, loopback_server, only_loopback

from model_utils.cli.main import main
from model_utils.fetching.transfer import http_source
from model_utils.fetching.transfer.http_source import Patience

QUICK = Patience(total=6, backoff_factor=0.001, backoff_max=0.01)


@contextmanager
def asked_quickly() -> Iterator[LoopbackServer]:
    """A loopback server that is the only one, and clients that wait shortly."""
    with pytest.MonkeyPatch.context() as patch, only_loopback(), loopback_server() as server:
        patch.setattr(http_source, "PATIENCE", QUICK)
        patch.setattr(http_source, "READ_SECONDS", 1.5)  # of a machine that is busy with other tests
        yield server


def run(words: str, root: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of `pm25`."""
    code = main([*words.split(), "--root", str(root)])
    said = capsys.readouterr()
    return code, said.out, said.err


def contents(folder: Path, *, without: str = "") -> dict[str, bytes]:
    """All files of a folder by their paths."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != without
    }
