"""The benchmarks run, and their arithmetic holds; nothing here depends on time."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
ONE_THREAD = ("--threads", "1")
NUMBER = r"([0-9.]+(?:e[+-]?[0-9]+)?)"


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs a script as `python benchmarks/NAME FLAGS` does, but in this process; returns what it prints."""

    def run_script(name, *flags):
        monkeypatch.syspath_prepend(BENCHMARKS)
        monkeypatch.setattr(sys, "argv", [name, *flags])
        runpy.run_path(str(BENCHMARKS / name), run_name="__main__")
        return capsys.readouterr().out

    return run_script


def run_alone(name, *flags):
    """What a script prints that measures the memory of its process; torch as quiet as the suite is."""
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / name), *flags],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def medians(label, text):
    """The medians of all rows that start with a label."""
    return [float(value) for value in re.findall(rf"^ *{re.escape(label)} +{NUMBER} \(", text, re.MULTILINE)]


def test_the_supervised_ratio_follows_from_its_parts(run):
    flags = ["--encoder", "test_resnet", "--tiles", "40", "--subset", "8", "--tile-size", "32", "--turns", "1"]
    text = run("supervised_stage.py", *ONE_THREAD, "--epochs", "100", "--batch", "3", *flags)
    assert "20 training + 20 test tiles of 32 px" in text
    (paper,), (once,), (head,) = (
        medians(label, text) for label in ("2022 way, one epoch", "ours, embedding once", "ours, one epoch")
    )
    assert medians("ratio of one epoch", text)[0] == pytest.approx(paper / head, rel=0.01)
    (ratio,) = medians("ratio of all 100 epochs", text)
    assert ratio == pytest.approx(100 * paper / (once + 100 * head), rel=0.01)


def test_a_pretraining_step_runs_for_every_rival(run):
    text = run(
        "pretrain_step.py",
        *ONE_THREAD,
        "--encoder",
        "test_resnet",
        "--size",
        "32",
        "--tile-size",
        "40",
        "--batch",
        "4",
        "--turns",
        "1",
    )
    rates = {name: medians(name, text) for name in ("plain float32", "lightly", "ours", "ours with views")}
    assert all(len(values) == 1 and values[0] > 0 for values in rates.values())
    ratio = re.search(rf"^ *plain float32 .*ratio ours : this {NUMBER}", text, re.MULTILINE)
    assert ratio is not None
    assert float(ratio[1]) == pytest.approx(rates["ours"][0] / rates["plain float32"][0], rel=0.01)
    if "torchgeo: not installed" not in text:
        assert medians("torchgeo", text)


def test_views_are_as_close_to_torchvision_as_promised(run):
    text = run("views.py", *ONE_THREAD, "--sizes", "40:20", "24:24", "--batch", "6", "--turns", "2")
    assert len(medians("ratio ours : torchvision", text)) == 2
    largest = [float(value) for value in re.findall(rf"resize: largest {NUMBER}, mean", text)]
    assert len(largest) == 4  # float32 and uint8 for both sizes
    assert max(largest) <= 2  # grey levels


def test_cutting_scenes_gives_the_ratio_of_its_rates_and_its_memory():
    text = run_alone("prepare.py", *ONE_THREAD, "--scenes", "2", "--size", "200", "--sample", "5", "--turns", "1")
    assert re.search(r"^2 scene\(s\), 200 x 200 px; [1-9][0-9]+ tiles of 30 px$", text, re.MULTILINE)
    (plain,), (ours,) = medians("one open a tile", text), medians("ours", text)
    assert medians("ratio ours : one open a tile", text)[0] == pytest.approx(ours / plain, rel=0.01)
    (memory,) = re.findall(rf"peak memory {NUMBER} MB", text)
    assert 20 < float(memory) < 600


@pytest.mark.usefixtures("figures_unrendered")
def test_a_map_does_the_loops_work_and_its_ratios_follow_from_its_rates(run):
    flags = ["--encoders", "test_resnet", "--precision", "32-true", "--scenes", "2", "--size", "300", "--turns", "1"]
    text = run("map.py", *ONE_THREAD, *flags, "--sample", "4")
    assert re.search(r"^test_resnet, 32-true: [1-9][0-9]+ cells of 300 m, 2 dates$", text, re.MULTILINE)
    (plain,), (ours,) = medians("loop", text), medians("ours", text)
    assert medians("ratio ours : loop", text)[0] == pytest.approx(ours / plain, rel=0.01)
    (embedding,), (bare,) = medians("ours, embedding", text), medians("bare forward", text)
    assert medians("ratio of embedding : bare forward", text)[0] == pytest.approx(embedding / bare, rel=0.01)
    parts = [medians(f"share of {name}", text)[0] for name in ("embedding", "predicting", "writing")]
    assert all(part > 0 for part in parts)
    assert sum(parts) < 100


def test_coverage_counts_worlds_and_tells_the_intervals_apart(run):
    text = run("interval_coverage.py", "--worlds", "5")
    share = rf"{NUMBER} \+- {NUMBER}(?: \(([0-9]+)\.\.([0-9]+)\))?"
    found = re.findall(rf"^  (.+?) +([0-9]+) +{share} +{share}$", text, re.MULTILINE)
    assert len(found) == text.count("\n") - 4 == 12, "four headings, and a line a setting"
    lines = {}
    for setting, worlds, *both in found:
        assert int(worlds) == (20 if both[2] else 5), "four kinds of places, or one of anything else"
        lines[setting] = [float(both[0]), float(both[4])]
        for percent, error, low, high in (both[:4], both[4:]):
            p = float(percent) / 100
            assert float(error) == pytest.approx(100 * (p * (1 - p) / int(worlds)) ** 0.5, abs=0.06)
            assert not low or int(low) <= 100 * p <= int(high)
    for stations in (10, 15, 27):
        ours, plain = lines[f"{stations} stations, 60 days"]
        assert ours >= plain >= 70, "an expanded interval holds the plain one"
        assert lines[f"{stations} stations, 30 of 60 days"][0] >= 80
    assert all(lines[f"8 + 6 stations, {days} days"][0] >= 60 for days in (60, 120))
    ours, stations_alone = lines["27 stations, 60 days, errors by day"]
    assert ours < stations_alone


def test_reading_is_timed_against_pandas_in_three_layouts(run):
    text = run("readings.py", "--rows", "5000", "--turns", "1")
    plainly, ours, ratio = (medians(label, text) for label in ("pandas.read_csv", "ours", "speed, ours : pandas"))
    assert len(ratio) == 3
    for fast, slow, share in zip(plainly, ours, ratio, strict=True):
        assert share == pytest.approx(fast / slow, rel=0.01)
