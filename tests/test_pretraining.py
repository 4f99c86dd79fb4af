"""The pre-training stage: resuming, leaving test stations out, precision, two processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from conftest import write_small_archive

from contrastive_models.weights import read_encoder
from model_utils.archive.reader import open_archive
from model_utils.archive.writer import ArchiveWriter
from model_utils.cities import load_city
from model_utils.cli.main import main
from model_utils.configuration import from_preset
from model_utils.errors import InputError
from model_utils.hardware import resolve_precision
from model_utils.pretraining.config import PretrainConfig
from model_utils.pretraining.data import band_statistics, spatiotemporal_pairs
from model_utils.pretraining.probe import probe_correlations
from model_utils.pretraining.run import pretrain, training_tiles
from model_utils.project import SHIPPED_ROOT, weights_path
from model_utils.sampling.tile_ground import TileGround, tile_side_m

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


def config(root: Path, **values) -> PretrainConfig:
    fields = {"city": "Delhi", "method": "SimCLR", "pairs": "spatiotemporal", "max_km": 30.0}
    return from_preset(PretrainConfig, "smoke", root=root, **{**fields, **values})


def weights_of(root: Path, experiment: PretrainConfig):
    return read_encoder(weights_path(root, experiment.city, experiment.method, experiment.pairs, experiment.encoder))


def sites_shown(archive, metadata) -> set[str]:
    """Sites of which an encoder has seen some ground."""
    latitude, longitude = archive.samples[["latitude", "longitude"]].to_numpy(float).T
    shown = TileGround.from_text(metadata.seen_ground).shown_in(latitude, longitude, tile_side_m(archive.metadata))
    return set(archive.samples.loc[shown, "site_id"])


def words(root: Path, *flags: str) -> list[str]:
    fixed = "--city Delhi --method SimCLR --pairs spatiotemporal --preset smoke --max-km 30 --epochs 4"
    return ["pretrain", *fixed.split(), "--root", str(root), *flags]


RUNS_KILLED_AT_STEP_9 = """
import itertools, os, signal, sys
import model_utils.pretraining.run
from contrastive_models.module import ContrastiveModule
from model_utils.cli.main import main
step, steps = ContrastiveModule.training_step, itertools.count(1)
def training_step(*arguments):
    if next(steps) == 9:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(*arguments)
ContrastiveModule.training_step = training_step
for log in sys.argv[1:3]:
    child = os.fork()
    if not child:
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT), 1)
        os._exit(main(sys.argv[3:]))
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
"""


@pytest.mark.slow
@pytest.mark.usefixtures("figures_unrendered")
def test_a_killed_and_resumed_run_ends_bit_for_bit_as_an_uninterrupted_one(tmp_path, capsys):
    for name in ("whole", "killed"):
        write_small_archive(tmp_path / name, days=3, cells=10)
    assert main(words(tmp_path / "whole")) == 0

    logs = [tmp_path / "first.txt", tmp_path / "second.txt"]  # each ends in the middle of its second epoch of six steps
    flags = words(tmp_path / "killed", "--resume", "--workers", "1")
    subprocess.run([sys.executable, "-c", RUNS_KILLED_AT_STEP_9, *logs, *flags], env=ENVIRONMENT, check=True)
    lines = [[line[:7] for line in log.read_text().splitlines() if line.startswith("epoch ")] for log in logs]
    assert lines == [["epoch 1"], ["epoch 2"]]
    assert not list((tmp_path / "killed" / "data" / "weights").glob("*.safetensors"))
    capsys.readouterr()
    assert main(words(tmp_path / "killed", "--resume")) == 0
    said = capsys.readouterr().out
    assert "resuming from" in said
    assert "epoch 2/" not in said

    expected, metadata = weights_of(tmp_path / "whole", config(tmp_path))
    found, again = weights_of(tmp_path / "killed", config(tmp_path))
    assert metadata == again
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    histories = [
        pd.read_csv(next((tmp_path / name / "results" / "Delhi").glob("pretrain_*/metrics.csv"))).drop(
            columns="seconds"
        )
        for name in ("whole", "killed")
    ]
    pd.testing.assert_frame_equal(*histories, check_exact=True)
    assert histories[0]["epoch"].tolist() == [1, 2, 3, 4]


def test_a_finished_run_is_kept_and_another_one_is_not_overwritten(small_root, capsys):
    pretrain(config(small_root))
    path = weights_path(small_root, "Delhi", "SimCLR", "spatiotemporal", "test_resnet")
    written = path.stat().st_mtime_ns
    pretrain(config(small_root))
    assert "already trained" in capsys.readouterr().out
    assert path.stat().st_mtime_ns == written
    with pytest.raises(InputError, match="--overwrite"):
        pretrain(config(small_root, temperature=0.2))
    pretrain(config(small_root, temperature=0.2, overwrite=True))
    assert path.stat().st_mtime_ns != written
    run = small_root / "results" / "Delhi" / "pretrain_SimCLR_spatiotemporal_test_resnet"
    assert yaml.safe_load((run / "config.yaml").read_text())["temperature"] == 0.2
    assert (run / "figures" / "pretraining_curves.png").stat().st_size > 5000
    assert {"loss", "feature_std", "effective_rank", "probe_ridge_r", "probe_knn_r"} <= set(
        pd.read_csv(run / "metrics.csv").columns
    )
    _, metadata = read_encoder(path)
    archive = open_archive(small_root / "data" / "Delhi")
    assert metadata.archive_sha256 == archive.metadata.content_sha256
    assert len(TileGround.from_text(metadata.seen_ground).latitude) == 24 + 20


@pytest.mark.usefixtures("figures_unrendered")
def test_the_loss_falls_and_nothing_collapses(tmp_path):
    write_small_archive(tmp_path, days=6, cells=20)
    pretrain(config(tmp_path, epochs=8, pairs="regular"))
    metrics = pd.read_csv(next((tmp_path / "results").glob("*/*/metrics.csv")))
    assert metrics["loss"].iloc[-1] < 0.9 * metrics["loss"].iloc[0]
    assert metrics["feature_std"].iloc[-1] > 0.5 / np.sqrt(96)


@pytest.mark.usefixtures("figures_unrendered")
def test_no_image_of_a_test_station_is_used_unless_asked(small_root):
    archive = open_archive(small_root / "data" / "Delhi")
    city = load_city("Delhi", SHIPPED_ROOT)
    held = {station.name for station in city.stations if station.split == "test"}
    used = training_tiles(archive, city)
    assert not held & set(used.samples["site_id"])
    assert {station.name for station in city.stations} - held < set(used.samples["site_id"])
    for transductive in (False, True):
        pretrain(config(small_root, transductive=transductive, overwrite=True, epochs=1))
        _, metadata = weights_of(small_root, config(small_root))
        seen = sites_shown(archive, metadata)
        assert bool(held & seen) == transductive


@pytest.mark.usefixtures("figures_unrendered")
def test_neither_ground_of_a_test_station_nor_cloud_is_used(tmp_path):
    folder = write_small_archive(tmp_path, cells=3)
    archive = open_archive(folder)
    samples, tiles = archive.samples, archive.tiles()
    ito = samples[samples["site_id"] == "ITO"].iloc[0]
    # 32 pixels of 3 m: a cell 50 m away shows half of the station's ground
    samples.loc[samples["site_id"] == "cell00", ["latitude", "longitude"]] = ito["latitude"] + 0.00045, ito["longitude"]
    samples["cloud_fraction"] = np.where(samples["site_id"] == "cell01", 0.9, 0.1)
    with ArchiveWriter(folder, 32, ("red", "green", "blue"), overwrite=True) as writer:
        writer.append(tiles, samples)
        writer.commit(city="Delhi", ground_sample_distance_m=3.0)
    pretrain(config(tmp_path, pairs="regular", epochs=1))
    _, metadata = weights_of(tmp_path, config(tmp_path, pairs="regular"))
    seen = sites_shown(open_archive(folder), metadata)
    assert "cell02" in seen
    assert not {"ITO", "cell00", "cell01"} & seen


def test_a_test_station_without_readings_is_held_out_too(tmp_path):
    folder = write_small_archive(tmp_path)
    archive = open_archive(folder)
    samples, tiles = archive.samples.assign(pm25=np.nan), archive.tiles()
    with ArchiveWriter(folder, 32, ("red", "green", "blue"), overwrite=True) as writer:
        writer.append(tiles, samples)
        writer.commit(city="Delhi", ground_sample_distance_m=3.0)
    used = training_tiles(open_archive(folder), load_city("Delhi", SHIPPED_ROOT))
    assert used.samples["site_id"].nunique() == 24 + 20


def test_divergence_is_one_line(small_root):
    with pytest.raises(InputError, match=r"loss is .* lower --learning-rate"):
        pretrain(config(small_root, learning_rate=1e30, epochs=4, precision="32-true"))


def test_pairs_of_the_run_meet_only_training_tiles(small_root):
    archive = open_archive(small_root / "data" / "Delhi")
    used = training_tiles(archive, load_city("Delhi", SHIPPED_ROOT))
    pairs = spatiotemporal_pairs(used, 30.0, 8)
    batch = next(iter(pairs.loader(16, seed=0)))
    ids = used.samples["sample_id"].to_numpy()
    assert batch.positives is not None
    for tiles, positions in ((batch.tiles, batch.tile_ids), (batch.positives, batch.positive_ids)):
        assert np.array_equal(tiles.numpy(), used.tiles(positions.numpy()))
        assert not any(name.startswith("ITO") for name in ids[positions.numpy()])


def test_band_statistics_equal_numpy(small_root):
    archive = open_archive(small_root / "data" / "Delhi")
    mean, std = band_statistics(archive, seed=0)
    tiles = archive.tiles() / 255.0
    np.testing.assert_allclose(mean, tiles.mean(axis=(0, 1, 2)))
    np.testing.assert_allclose(std, tiles.std(axis=(0, 1, 2)))


def test_probe_finds_a_signal_and_only_a_signal():
    generator = np.random.default_rng(0)
    features = generator.normal(size=(400, 8)).astype(np.float32)
    validation = np.arange(400) >= 300
    signal_ = features[:, 0].astype(np.float64)
    scores = probe_correlations(features, signal_, validation)
    assert scores["probe_ridge_r"] > 0.99
    assert scores["probe_knn_r"] > 0.6
    noise = probe_correlations(features, generator.normal(size=400), validation)
    assert abs(noise["probe_ridge_r"]) < 0.3


@pytest.mark.usefixtures("figures_unrendered")
def test_bf16_step_agrees_with_float32(tmp_path):
    write_small_archive(tmp_path, days=2)
    losses = []
    for precision in ("32-true", "bf16-mixed"):
        pretrain(config(tmp_path, precision=precision, epochs=2, learning_rate=1e-3, overwrite=True))
        losses.append(pd.read_csv(next((tmp_path / "results").glob("*/*/metrics.csv")))["loss"].to_numpy())
    # a small rate keeps the weights together, so that this compares arithmetic and not two trajectories
    np.testing.assert_allclose(losses[1], losses[0], rtol=0.01)


def test_precision_is_passed_through_or_resolved():
    assert resolve_precision("16-mixed", "gpu") == "16-mixed"
    assert resolve_precision("auto", "cpu") in ("bf16-mixed", "32-true")
    assert resolve_precision("auto", "mps") == "32-true"


@pytest.mark.slow
@pytest.mark.usefixtures("figures_unrendered")
def test_two_processes_train_together(tmp_path):
    write_small_archive(tmp_path, days=4, cells=40)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "model_utils.cli.main",
            *words(
                tmp_path,
                "--accelerator",
                "cpu",
                "--devices",
                "2",
                "--strategy",
                "ddp",
                "--probe-every",
                "0",
                "--epochs",
                "3",
            ),
        ],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("weights: ") == 1
    metrics = pd.read_csv(next((tmp_path / "results").glob("*/*/metrics.csv")))
    write_small_archive(tmp_path / "alone", days=4, cells=40)
    pretrain(config(tmp_path / "alone", epochs=3, probe_every=0))
    alone = pd.read_csv(next((tmp_path / "alone" / "results").glob("*/*/metrics.csv")))
    # batch norm sees half a batch each on CPUs, so near and not equal
    np.testing.assert_allclose(metrics["loss"], alone["loss"], rtol=0.05)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"city": "Atlantis"}, "Atlantis"),
        ({"encoder": "resnet51"}, "--encoder"),
        ({"max_km": 0.001}, "--max-km"),
        ({"city": "Beijing"}, "Beijing"),
    ],
)
def test_wrong_settings_are_named(small_root, values, message):
    with pytest.raises(InputError, match=message):
        pretrain(config(small_root, **values))
    assert not (small_root / "results").exists()
