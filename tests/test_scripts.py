"""The per-city experiment scripts, all of them, at smoke scale."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest
import torch
from conftest import write_small_archive
from processor_time import least_seconds

from contrastive_models.encoders import create_encoder
from model_utils.project import SHIPPED_ROOT

PRETRAIN = sorted((SHIPPED_ROOT / "contrastive_learning").glob("*/*.py"))
SUPERVISE = sorted((SHIPPED_ROOT / "supervised_learning").glob("*/*.py"))


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Archives of both cities, and weights that stand in for ImageNet's."""
    root = tmp_path_factory.mktemp("scripts")
    for city in ("Delhi", "Beijing"):
        write_small_archive(root, city)
    torch.save(create_encoder("test_resnet", 3, 32).state_dict(), root / "imagenet.pth")
    return root


def run_in_process(script: Path, monkeypatch, *flags: str) -> int:
    monkeypatch.setattr(sys, "argv", [str(script), *flags])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(str(script), run_name="__main__")
    return int(stopped.value.code or 0)


def test_there_are_eight_and_twelve():
    methods = [f"{method}_{pairs}" for method in ("SimCLR", "SimSiam") for pairs in ("regular", "spatiotemporal")]
    starts = [*methods, "randomly_initialized", "transfer_learning"]
    for city in ("Delhi", "Beijing"):
        assert {path.stem for path in PRETRAIN if path.parent.name == city} == {
            f"{city}_pretrain_{method}" for method in methods
        }
        assert {path.stem for path in SUPERVISE if path.parent.name == city} == {
            f"{city}_supervised_{start}" for start in starts
        }


@pytest.mark.usefixtures("figures_unrendered")
@pytest.mark.parametrize("script", PRETRAIN + SUPERVISE, ids=lambda path: path.stem)
def test_script_runs_with_the_smoke_preset(script, root, monkeypatch, capsys):
    flags = ["--preset", "smoke", "--root", str(root)]
    if script.stem.endswith("transfer_learning"):
        flags += ["--imagenet-weights", str(root / "imagenet.pth")]
    assert run_in_process(script, monkeypatch, *flags) == 0
    output = capsys.readouterr().out
    city, stage, experiment = script.stem.split("_", 2)
    if stage == "pretrain":
        assert (root / "data" / "weights" / f"{city}_{experiment}_test_resnet.safetensors").is_file()
        assert f"pm25 supervise --city {city} --start {experiment}" in output
    else:
        assert (root / "results" / city / f"supervised_{experiment}_test_resnet" / "statistics.json").is_file()
        assert "spatial_r" in output


@pytest.mark.parametrize("script", PRETRAIN + SUPERVISE, ids=lambda path: path.stem)
def test_help_is_quick(script):
    seconds, printed = least_seconds([sys.executable, script, "--help"], enough=0.5)
    assert "--preset" in printed
    assert 0 < seconds < 0.5


def test_a_script_is_its_experiment_and_no_other(root, monkeypatch, capsys):
    assert run_in_process(PRETRAIN[0], monkeypatch, "--city", "Delhi", "--root", str(root)) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "Beijing" in error
