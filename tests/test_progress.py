"""Progress of a long run, on a terminal and in a log."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from model_utils import pace as training_pace
from model_utils import progress
from model_utils.archive.reader import open_archive
from model_utils.comparison import outcomes
from model_utils.features.embeddings import cached_embeddings
from model_utils.features.starting_encoder import starting_encoder
from model_utils.features.starts import EncoderSource
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
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    with progress.reported(40, "tiles") as report:
        report(30)
        report(40)
    assert "40/40" in terminal.getvalue()


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


def test_embedding_says_how_far_it_is(small_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = open_archive(small_root / "data" / "Delhi")
    random = EncoderSource("Delhi", "randomly_initialized", "test_resnet", small_root)
    start = starting_encoder(random, archive)
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    cached_embeddings(archive, start, "cpu")
    said = [line.partition(",")[0] for line in log.getvalue().splitlines()]  # a slow machine tells its rate, too
    assert said == ["tiles embedded: 256 of 426", "tiles embedded: 426 of 426"]
    cached_embeddings(archive, start, "cpu")
    assert log.getvalue().count("\n") == 2, "there already"


def test_scoring_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(outcomes, "replicates", lambda *arguments: None)
    monkeypatch.setattr(outcomes, "_over_seeds", lambda scored, outcome: scored)
    entry = SimpleNamespace(refits_dates_in=lambda design: False, is_apart_in_time=lambda design: True)
    row = SimpleNamespace(design="hold_out", runs={}, entry=entry)
    outcomes.score_outcomes([row, row], draws=10, seed=0)
    assert capsys.readouterr().err == "rows scored: 1 of 2\nrows scored: 2 of 2\n"


def test_durations_and_rates_in_words() -> None:
    assert [duration(each) for each in (5, 119, 120, 3599, 5400, 200_000)] == [
        "5 s", "119 s", "2 min", "60 min", "1.5 h", "2.3 days",
    ]  # fmt: skip
    assert pace(50, 100, 0.5) == pace(0, 100, 9) == ""
    assert pace(50, 100, 10) == ", 5 a second, 10 s left"
    assert pace(12_345, 24_690, 10) == ", 1,234 a second, 10 s left"


@pytest.mark.parametrize(("seconds", "said"), [(30.0, "about 4.1 h on this machine"), (3.0, "")])
def test_a_run_of_hours_is_said_after_its_first_steps_and_logged_by_the_minute(monkeypatch, capsys, seconds, said):
    monkeypatch.setattr(training_pace, "time", Clock(step=seconds))
    run = training_pace.Pace("training", "a GPU is faster")
    trainer = SimpleNamespace(is_global_zero=True, num_training_batches=100, max_epochs=5, current_epoch=0)
    run.on_train_start(trainer, None)
    for step in range(20):
        run.on_train_batch_end(trainer, None, None, None, step)
    *lines, last = capsys.readouterr().out.splitlines()
    warnings = [line for line in lines if "this will take" in line]
    assert len(warnings) == bool(said)
    assert all(said in line and "a GPU is faster" in line for line in warnings)
    assert last == (
        "training: epoch 1 of 5, step 19 of 500, 30 s each, 4.0 h left"
        if said
        else "training: epoch 1 of 5, step 20 of 500, 3 s each, 24 min left"
    )
