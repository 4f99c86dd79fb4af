"""Fine-tuning an encoder with its head: which epoch is kept, how it starts, and what makes its intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from contrastive_models.embedding import embed
from model_utils.archive.reader import TileArchive, open_archive
from model_utils.configuration import from_preset
from model_utils.estimators.conformal import calibrated_intervals
from model_utils.estimators.estimator import without_sd
from model_utils.estimators.finetuned import FineTuneSettings, finetune
from model_utils.features.starting_encoder import StartingEncoder, starting_encoder
from model_utils.project import results_folder
from model_utils.supervision.config import SuperviseConfig
from model_utils.supervision.supervise import run_experiment


def config(root, **values) -> SuperviseConfig:
    fields = {"city": "Delhi", "start": "randomly_initialized", "estimator": "paper", "epochs": 20}
    return from_preset(SuperviseConfig, "smoke", root=root, **{**fields, **values})


def to_be_tuned(root) -> tuple[TileArchive, np.ndarray, StartingEncoder]:
    """Samples with a reading, which of them validate, and a random encoder."""
    archive = open_archive(root / "data" / "Delhi")
    labelled = archive.subset(archive.samples["pm25"].notna().to_numpy())
    validation = labelled.samples["site_id"].isin(["DTU", "Loni", "ITO"]).to_numpy(copy=True)
    return labelled, validation, starting_encoder(config(root).source, labelled)


@pytest.fixture(autouse=True)
def no_figures_or_references(monkeypatch):
    """They take most of the time of a small experiment."""
    monkeypatch.setattr("model_utils.supervision.supervise.write_figures", lambda *args: [])
    monkeypatch.setattr("model_utils.supervision.scoring.REFERENCES", {})


def test_fine_tuning_calibrates_its_intervals_on_validation_stations(small_root):
    experiment = config(small_root, finetune=True, epochs=2)
    statistics = run_experiment(experiment)
    folder = results_folder(experiment.root, experiment.city, experiment.experiment)
    rows = pd.read_parquet(folder / "predictions.parquet")
    test, kept = rows[rows["split"] == "test"], rows[rows["split"] == "validation"]
    observed, unseen, station = (kept[name].to_numpy() for name in ("observed", "predicted", "site_id"))
    expected = calibrated_intervals(observed, without_sd(unseen), station, without_sd(test["predicted"].to_numpy()))
    np.testing.assert_allclose(test[["lower", "upper"]].to_numpy().T, expected)
    assert statistics["coverage"] is not None
    assert statistics["temporal_r"] is None  # no fine-tuning without a date
    few = run_experiment(config(small_root, finetune=True, epochs=1, stations=9))
    assert few["coverage"] is None  # two validation stations say nothing of how stations differ


def test_fine_tuning_refuses_the_spatial_loss(small_root):
    with pytest.raises(ValueError, match=r"--spatial-weight: found 2 with --finetune"):
        config(small_root, finetune=True, spatial_weight=2.0)


def test_fine_tuning_keeps_its_best_epoch(small_root):
    settings = FineTuneSettings(epochs=6, learning_rate=0.05, encoder_learning_rate=0.05)
    labelled, validation, start = to_be_tuned(small_root)
    pm25 = labelled.samples["pm25"].to_numpy(np.float64)
    fitted = finetune(labelled, pm25, validation, start, settings)
    kept = labelled.subset(validation)
    features = embed(start.encoder, kept.tiles, len(kept), start.mean, start.std)
    error = (fitted.predict(kept.samples, features).mean - pm25[validation]) / float(fitted.state["target_std"])
    assert fitted.best_epoch < 6  # such rates overshoot, or this test says nothing
    assert (error**2).mean() == pytest.approx(fitted.history["validation_loss"].min(), rel=0.05)


def test_fine_tuning_says_how_far_it_is(small_root, monkeypatch, capsys):
    monkeypatch.setattr("model_utils.pace.MOST_SECONDS_SILENT", 0.0)
    labelled, validation, start = to_be_tuned(small_root)
    settings = FineTuneSettings(epochs=2, batch_size=16)
    finetune(labelled, labelled.samples["pm25"].to_numpy(np.float64), validation, start, settings)
    steps = 2 * int(np.ceil((~validation).sum() / 16))
    said = capsys.readouterr().out.splitlines()
    assert said[-1].startswith(f"fine-tuning: epoch 2 of 2, step {steps} of {steps}")


def test_fine_tuning_from_random_numbers_stays_near_the_readings(small_root):
    """A random encoder's features vary little at first: in units of that, they exploded as it trained."""
    settings = FineTuneSettings(epochs=3, learning_rate=1e-3, encoder_learning_rate=1e-3)
    labelled, validation, start = to_be_tuned(small_root)
    pm25 = labelled.samples["pm25"].to_numpy(np.float64)
    fitted = finetune(labelled, pm25, validation, start, settings)
    assert fitted.history["validation_loss"].max() < 3  # variances of the readings; the mean alone scores about 1
