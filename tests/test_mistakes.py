"""Mistakes in the flags: one line in the words of who typed them, whatever the parser says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import fields
from typing import get_type_hints

import pytest
from conftest import write_small_archive

from model_utils import atomic
from model_utils.cli import command
from model_utils.cli.main import main
from model_utils.cli.mistakes import expected
from model_utils.cli.verbs import VERBS
from model_utils.project import SHIPPED_ROOT

SCENES = ["prepare", "--city", "Delhi", "--scenes", "x"]
PRETRAIN = ["pretrain", "--city", "Delhi", "--method", "SimCLR", "--pairs", "regular"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([*SCENES, "--gsd", "3m"], "pm25 prepare: --gsd: found 3m, expected a number"),
        ([*SCENES, "--gsd=three metres"], "pm25 prepare: --gsd: found three metres, expected a number"),
        ([*SCENES, "--tile-size", "1.5"], "pm25 prepare: --tile-size: found 1.5, expected a whole number"),
        (
            ["supervise", "--city", "Delhi", "--start", "simclr"],
            "pm25 supervise: --start: found simclr, expected one of",
        ),
        (["map", "--city", "Delhi"], "pm25 map: missing: --model"),
        (["simulate", "--bands", "3", "--city", "Delhi"], "--bands: found 3, expected some of red, green, blue, nir"),
        ([*PRETRAIN, "--epochs"], "pm25 pretrain: --epochs: found no value, expected a whole number"),
        ([*PRETRAIN, "--epohcs", "3"], "pm25 pretrain: --epohcs: no such flag, expected --epochs perhaps (see --help)"),
        ([*PRETRAIN, "--qqqq"], "pm25 pretrain: --qqqq: no such flag (see --help)"),
        ([*PRETRAIN, "12"], "pm25 pretrain: found '12', expected flags such as --city (see --help)"),
        ([*PRETRAIN, "--resume", "--epochs", "true"], "pm25 pretrain: --epochs: found True, expected a whole number"),
    ],
)
def test_a_mistake_is_one_line_of_what_was_found_and_expected(words, line, capsys):
    try:
        code = main(words)
    except SystemExit as stop:
        code = stop.code
    (said,) = capsys.readouterr().err.splitlines()
    assert code == 2
    assert line in said
    assert "Parser" not in said
    assert "class" not in said


@pytest.mark.parametrize("verb", VERBS)
def test_every_flag_says_what_it_expects(verb):
    """Of types that no words are known for nothing could be said."""
    config = command.load(VERBS[verb].config)
    kinds = get_type_hints(config)
    assert not [item.name for item in fields(config) if "another value" in expected(kinds[item.name])]


def test_version(capsys):
    assert main(["--version"]) == 0
    assert re.fullmatch(r"pm25 \d+\.\d+.*\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (OSError(28, "No space left on device", "/data/a.npy"), 2, "/data/a.npy: the disk is full"),
        (PermissionError(13, "Permission denied", "/data/a.npy"), 2, "/data/a.npy: permission denied"),
        (OSError(30, "Read-only file system", "/data/a.npy"), 2, "/data/a.npy: read-only file system"),
        (KeyboardInterrupt(), 130, "interrupted; nothing is half-written, and --resume goes on"),
    ],
)
def test_what_the_system_refuses_is_one_line_at_one_place_for_all_verbs(
    error, code, line, monkeypatch, capsys, tmp_path
):
    write_small_archive(tmp_path, days=2, cells=2)

    def refused(config):
        raise error

    monkeypatch.setattr("model_utils.pretraining.run.pretrain", refused)
    assert main([*PRETRAIN, "--root", str(tmp_path)]) == code
    assert capsys.readouterr().err == f"pm25 pretrain: {line}\n"


def test_output_that_nobody_reads_any_more_ends_a_run_without_a_word(tmp_path):
    """As `| head` does."""
    (tmp_path / "chatty.py").write_text("def talk(config):\n    for number in range(100_000):\n        print(number)\n")
    code = (
        "import sys; from dataclasses import replace; from model_utils.cli.command import execute\n"
        "from model_utils.cli.verbs import INSPECT; verb = replace(INSPECT, function='chatty:talk', check='')\n"
        "sys.exit(execute(verb, ['--city', 'Delhi']))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(SHIPPED_ROOT)])}
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stdout.readline() == b"0\n"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_a_fault_of_ours_stays_one(monkeypatch, tmp_path):
    write_small_archive(tmp_path, days=2, cells=2)

    def wrong(config):
        raise FileNotFoundError(2, "No such file or directory", "/data/a.npy")

    monkeypatch.setattr("model_utils.pretraining.run.pretrain", wrong)
    with pytest.raises(FileNotFoundError):
        main([*PRETRAIN, "--root", str(tmp_path)])
    assert atomic.refusal(OSError("of a library, without a number")) is None
