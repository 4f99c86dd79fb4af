"""Progress of a long run, on a terminal and in a log."""

from __future__ import annotations

import io
import sys

import pytest

from model_utils.progress import shown


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_a_bar_on_a_terminal_and_lines_in_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = [[0] * 30, [0] * 30, [0] * 40]
    log, terminal = io.StringIO(), Terminal()
    monkeypatch.setattr(sys, "stderr", log)
    assert list(shown(blocks, 100, "tiles")) == blocks
    assert log.getvalue() == "tiles: 30 of 100\ntiles: 60 of 100\ntiles: 100 of 100\n"
    monkeypatch.setattr(sys, "stderr", terminal)
    assert list(shown(blocks, 100, "tiles")) == blocks
    assert "100/100" in terminal.getvalue()
