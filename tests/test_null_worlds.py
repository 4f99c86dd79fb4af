"""Worlds without a signal: an image method must find none, and must find it where it is."""

from __future__ import annotations

import pytest

from model_utils.configuration import from_preset
from model_utils.pretraining.config import PretrainConfig
from model_utils.pretraining.run import pretrain
from model_utils.simulation.city import simulate
from model_utils.simulation.config import SimulateConfig
from model_utils.supervision.config import SuperviseConfig
from model_utils.supervision.supervise import run_experiment

pytestmark = pytest.mark.slow


def statistics(root, **couplings):
    """Simulate, pre-train and supervise a small Delhi at smoke scale, seed 0."""
    simulate(
        SimulateConfig(
            city="Delhi", days=360, day_step=3, grid_km=20.0, grid_day_step=10, tile_size=32, root=root, **couplings
        )
    )
    pretrain(from_preset(PretrainConfig, "smoke", city="Delhi", method="SimCLR", pairs="regular", root=root))
    return run_experiment(
        from_preset(
            SuperviseConfig,
            "smoke",
            city="Delhi",
            start="SimCLR_regular",
            estimator="paper",
            epochs=60,
            bootstrap_draws=500,
            root=root,
        )
    )


def test_with_both_signals_the_image_model_has_skill_in_time(tmp_path):
    assert statistics(tmp_path)["temporal_r_ci95"][0] > 0.2


def test_without_haze_coupling_there_is_no_temporal_skill(tmp_path):
    """Skill is an interval above zero; in one world in forty it lies below, and here on some processors."""
    found = statistics(tmp_path, haze_coupling=0.0)
    assert found["temporal_r_ci95"][0] < 0
    assert abs(found["temporal_r"]) < 0.25


def test_without_land_use_coupling_there_is_no_spatial_skill(tmp_path):
    found = statistics(tmp_path, land_use_coupling=0.0)
    place_and_day = found["other_estimators"]["place_and_day_SimCLR_regular"]
    for each in (found, place_and_day):
        assert each["spatial_r_ci95"][0] < 0
