"""Fitted estimators on disk: read back they predict the same bit for bit, in this and in another process."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from saved_estimators import NAMES, Fits, bits, fine_tuned, predicted, save_fits

from contrastive_models.encoders import create_encoder, feature_width
from contrastive_models.weights import weights_hash
from model_utils.errors import InputError
from model_utils.estimators.city_model import CityModel, load_city_model, save_city_model
from model_utils.estimators.estimator import Constant, FittedEstimator
from model_utils.estimators.ridge import FittedRidge
from model_utils.estimators.saving import ARRAYS, MODEL, read_saved, write_saved


@pytest.fixture(scope="module")
def fits(tmp_path_factory: pytest.TempPathFactory) -> Fits:
    return save_fits(tmp_path_factory.mktemp("saved"))


@pytest.mark.parametrize("name", NAMES)
def test_read_back_it_predicts_the_same_bit_for_bit(fits: Fits, name: str) -> None:
    fitted, found = fits.fitted[name], read_saved(fits.folder / name, FittedEstimator)
    assert type(found) is type(fitted)
    assert (found.trials, found.chosen, found.sees()) == (fitted.trials, fitted.chosen, fitted.sees())
    expected = predicted(name, fitted, fits.archive)
    assert bits(predicted(name, found, fits.archive)) == bits(expected)
    assert np.isfinite(expected.mean).any() == (name != "nothing")
    write_saved(fits.folder / "again", found)
    for file in (MODEL, ARRAYS):
        assert (fits.folder / "again" / file).read_bytes() == (fits.folder / name / file).read_bytes()


ELSEWHERE = """
import sys
from pathlib import Path
import numpy as np, torch
torch.set_num_threads(1)
from model_utils.estimators.estimator import FittedEstimator
from model_utils.estimators.saving import read_saved
read = {name: read_saved(Path(sys.argv[1]) / name, FittedEstimator) for name in sys.argv[2:]}
sys.path.insert(0, str(Path(sys.argv[1]) / "tests"))
from saved_estimators import open_archive, predicted
archive = open_archive(Path(sys.argv[1]) / "data" / "Delhi")
for name, fitted in read.items():
    prediction = predicted(name, fitted, archive)
    np.save(Path(sys.argv[1]) / name / "elsewhere.npy", [prediction.mean, prediction.sd])
"""


@pytest.mark.slow
def test_another_process_predicts_the_same_bit_for_bit(fits: Fits) -> None:
    """It has imported nothing but the interface when it reads."""
    (fits.folder / "tests").symlink_to(Path(__file__).parent)
    command = [sys.executable, "-W", "error", "-c", ELSEWHERE, str(fits.folder), *NAMES]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    for name in NAMES:
        elsewhere = np.load(fits.folder / name / "elsewhere.npy")
        assert elsewhere.tobytes() == bits(predicted(name, fits.fitted[name], fits.archive)), name


def test_a_city_s_model_refuses_an_encoder_of_another_width_and_one_of_other_bands(tmp_path: Path) -> None:
    encoder = create_encoder("test_resnet", 3, 32)
    width, described = feature_width(encoder), ("test_resnet", weights_hash(encoder), (0.5,) * 3, (0.2,) * 3)
    bands = ("red", "green", "blue"), 3.0, 32, 0.5

    def model(fitted: FittedEstimator, **changed: Any) -> CityModel:
        return replace(CityModel("Delhi", fitted, *described, *bands, {"day": 1.6}), **changed)

    save_city_model(tmp_path, model(FittedRidge(np.zeros(width), 80.0)), encoder)
    assert load_city_model(tmp_path).model.fitted.sees() == width
    save_city_model(tmp_path, model(FittedRidge(np.zeros(width - 1), 80.0)), encoder)
    with pytest.raises(InputError, match=f"{MODEL}: sees {width - 1} features, expected the {width} of test_resnet"):
        load_city_model(tmp_path)
    tuned = fine_tuned(12)
    assert model(tuned).fitted.sees() == "tiles"
    for changed in (
        {"bands": ("red",)},
        {"std": (0.2, 0.2, 0.0)},
        {"tile_size": 0},
        {"bands": (), "mean": (), "std": ()},
    ):
        with pytest.raises(ValueError, match="city model: found"):
            model(Constant(1.0), **changed)
    with pytest.raises(ValueError, match="city model: found an encoder of 3 bands and 32 px"):
        model(tuned, tile_size=64)
