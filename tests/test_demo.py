"""The demo: the whole job, twice, and after an interruption."""

from __future__ import annotations

import json

import pytest

from model_utils.demo import ROWS, DemoConfig, _kept_or_anew, demo
from model_utils.errors import InputError, UnwritableError


@pytest.mark.parametrize(("error", "runs"), [(InputError("made anew"), 2), (UnwritableError("the disk is full"), 1)])
def test_a_full_disk_is_no_reason_to_begin_anew(error, runs):
    tried = []

    def run(config):
        tried.append(config)
        if config == "kept":
            raise error
        return config

    if runs == 1:
        with pytest.raises(UnwritableError):
            _kept_or_anew(run, "kept", "anew")
    else:
        assert _kept_or_anew(run, "kept", "anew") == "anew"
    assert len(tried) == runs


@pytest.mark.slow
def test_the_demo_says_what_it_promises_and_reuses_what_stands(tmp_path, capsys):
    demo(DemoConfig(preset="smoke", root=tmp_path))
    first = capsys.readouterr().out
    table = first[first.index("The city is SIMULATED") :]
    for row in (*ROWS, "same_day_mean", "ordinary_kriging"):
        assert f"\n{row} " in table
    assert all(column in table for column in ("RMSE", "NRMSE", "spatial_r", "[95 %]", "temporal_r"))
    assert first.rstrip().endswith("demo_map.png")
    for name in ("demo_summary", "demo_map"):
        assert (tmp_path / "figures" / f"{name}.png").stat().st_size > 20_000

    demo(DemoConfig(preset="smoke", root=tmp_path))
    second = capsys.readouterr().out
    assert "already simulated" in second
    assert second.count("already trained") == 2
    assert "already made with these settings" in second
    assert second[second.index("The city is SIMULATED") :] == table

    # another version of the demo left other settings behind, and weights are missing: it repairs itself
    run = tmp_path / "results" / "Delhi" / "pretrain_SimCLR_regular_test_resnet" / "experiment.json"
    run.write_text(json.dumps({"config": "other"}))
    next((tmp_path / "data" / "weights").glob("*spatiotemporal*")).unlink()
    demo(DemoConfig(preset="smoke", root=tmp_path))
    third = capsys.readouterr().out
    assert third[third.index("The city is SIMULATED") :] == table
