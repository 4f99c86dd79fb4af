"""Progress of a long run, on a terminal and in a log."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import pytest

from model_utils import progress
from model_utils.pretraining import pace as pretraining_pace
from model_utils.progress import duration, pace, shown


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


class Clock:
    """Time that passes by so much a reading."""

    def __init__(self, step: float) -> None:
        self.now, self.step = 0.0, step

    def monotonic(self) -> float:
        self.now += self.step
        return self.now


def test_a_log_has_a_line_a_minute_with_done_total_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    monkeypatch.setattr(progress, "time", Clock(step=20.0))
    list(shown([[0]] * 1000, 1000, "tiles"))
    lines = log.getvalue().splitlines()
    assert len(lines) >= 333
    assert lines[0] == "tiles: 3 of 1000, 20 s each, 5.5 h left"
    assert lines[-1].startswith("tiles: 1000 of 1000, 20 s each, 0 s left")


def test_durations_and_rates_in_words() -> None:
    assert [duration(each) for each in (5, 119, 120, 3599, 5400, 200_000)] == [
        "5 s", "119 s", "2 min", "60 min", "1.5 h", "2.3 days",
    ]  # fmt: skip
    assert pace(50, 100, 0.5) == pace(0, 100, 9) == ""
    assert pace(50, 100, 10) == ", 5 a second, 10 s left"


@pytest.mark.parametrize(("seconds", "said"), [(30.0, "about 4.1 h on this machine"), (3.0, "")])
def test_a_run_of_hours_is_said_after_its_first_steps_and_logged_by_the_minute(monkeypatch, capsys, seconds, said):
    monkeypatch.setattr(pretraining_pace, "time", Clock(step=seconds))
    run = pretraining_pace.Pace()
    trainer = SimpleNamespace(is_global_zero=True, num_training_batches=100, max_epochs=5, current_epoch=0)
    run.on_train_start(trainer, None)
    for step in range(20):
        run.on_train_batch_end(trainer, None, None, None, step)
    *lines, last = capsys.readouterr().out.splitlines()
    warnings = [line for line in lines if line.startswith("this will take")]
    assert len(warnings) == bool(said)
    assert all(said in line and "--preset demo" in line for line in warnings)
    assert last == (
        "epoch 1/5  step 19 of 500, 30 s each, 4.0 h left"
        if said
        else "epoch 1/5  step 20 of 500, 3 s each, 24 min left"
    )
