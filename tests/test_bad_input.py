"""Bad input: one line on stderr and exit code 2, from the command line down."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import write_small_archive
from safetensors.torch import save_file

from contrastive_models.encoders import create_encoder
from contrastive_models.weights import EncoderMetadata, save_encoder
from model_utils.cities import load_city
from model_utils.cli.main import main
from model_utils.project import SHIPPED_ROOT

SUPERVISE = "supervise --city Delhi --start SimCLR_regular --preset smoke"
PRETRAIN = "pretrain --city Delhi --method SimCLR --pairs regular --preset smoke"


def weights(root: Path, bands: tuple[str, ...]) -> Path:
    """A weights file for the given bands."""
    path = root / "weights.safetensors"
    metadata = EncoderMetadata(
        encoder="test_resnet",
        bands=bands,
        mean=(0.5,) * len(bands),
        std=(0.2,) * len(bands),
        ground_sample_distance_m=3.0,
        image_size=32,
        method="SimCLR",
        pairs="regular",
        epochs=1,
        archive_sha256="",
        package_version="",
        seed=0,
    )
    save_encoder(path, create_encoder("test_resnet", len(bands), 32), metadata)
    return path


def city_with_every_station_held_out(root: Path) -> None:
    """A city file of the root's own, in which nothing is left to train on."""
    raw = yaml.safe_load((SHIPPED_ROOT / "data" / "cities" / "Delhi.yaml").read_text())
    for station in raw["stations"]:
        station["split"] = "test"
    folder = root / "data" / "cities"
    folder.mkdir(parents=True)
    (folder / "Delhi.yaml").write_text(yaml.safe_dump(raw))


def missing_folder(root: Path) -> str:
    return PRETRAIN


def truncated_images(root: Path) -> str:
    images = write_small_archive(root) / "images.npy"
    images.write_bytes(images.read_bytes()[:-1000])
    return PRETRAIN


def table_without_longitude(root: Path) -> str:
    np.save(root / "chips.npy", np.zeros((2, 8, 8, 3), np.uint8))
    pd.DataFrame({"latitude": [28.6, 28.7], "time_utc": ["2018-01-01T05:00:00Z"] * 2}).to_csv(
        root / "chips.csv", index=False
    )
    return f"prepare --city Delhi --gsd 3 --images {root}/chips.npy --table {root}/chips.csv"


def no_such_city(root: Path) -> str:
    return PRETRAIN.replace("Delhi", "Atlantis")


def weights_for_other_bands(root: Path) -> str:
    write_small_archive(root)
    return f"{SUPERVISE} --weights {weights(root, ('red', 'green', 'blue', 'nir'))}"


def weights_that_are_a_pickle(root: Path) -> str:
    write_small_archive(root)
    (root / "encoder.pkl").write_bytes(b"\x80\x04cos\nsystem\n.")
    return f"{SUPERVISE} --weights {root}/encoder.pkl"


def weights_of_another_encoder_than_asked_for(root: Path) -> str:
    write_small_archive(root)
    path = weights(root, ("red", "green", "blue"))
    return f"supervise --city Delhi --preset smoke --weights {path} --encoder resnet50"


def no_training_station_left(root: Path) -> str:
    write_small_archive(root)
    city_with_every_station_held_out(root)
    return SUPERVISE.replace("SimCLR_regular", "randomly_initialized")


def no_tile_left_to_pretrain(root: Path) -> str:
    write_small_archive(root, cells=0)
    city_with_every_station_held_out(root)
    return PRETRAIN


def anomaly_of_two_stations(root: Path) -> str:
    write_small_archive(root)
    return (
        SUPERVISE.replace("SimCLR_regular", "randomly_initialized") + " --estimator paper --target anomaly --stations 2"
    )


def imagenet_file_missing(root: Path) -> str:
    write_small_archive(root)
    return SUPERVISE.replace("SimCLR_regular", "transfer_learning") + f" --imagenet-weights {root}/none.safetensors"


def imagenet_file_broken(root: Path) -> str:
    write_small_archive(root)
    (root / "broken.safetensors").write_bytes(b"nothing")
    return SUPERVISE.replace("SimCLR_regular", "transfer_learning") + f" --imagenet-weights {root}/broken.safetensors"


def imagenet_file_of_another_model(root: Path) -> str:
    write_small_archive(root)
    save_file(create_encoder("test_convnext", 3, 32).state_dict(), root / "other.safetensors")
    return SUPERVISE.replace("SimCLR_regular", "transfer_learning") + f" --imagenet-weights {root}/other.safetensors"


def flags_lightning_refuses(root: Path) -> str:
    write_small_archive(root)
    return PRETRAIN + " --devices nonsense"


def spawned_processes(root: Path) -> str:
    return PRETRAIN + " --strategy ddp_spawn"


def unknown_flag(root: Path) -> str:
    return PRETRAIN + " --learning-speed 3"


def impossible_share(root: Path) -> str:
    return PRETRAIN + " --crop-scale-min 2"


CASES = {
    missing_folder: ("data/Delhi", "no such folder"),
    truncated_images: ("images.npy", "truncated"),
    table_without_longitude: ("chips.csv", "longitude"),
    no_such_city: ("Atlantis", "Beijing, Delhi"),
    weights_for_other_bands: ("weights.safetensors", "nir", "'red', 'green', 'blue'"),
    weights_of_another_encoder_than_asked_for: ("encoder: found test_resnet", "expected resnet50 as --encoder says"),
    weights_that_are_a_pickle: ("encoder.pkl", "safetensors"),
    no_training_station_left: ("hold-out list of Delhi", "no training station"),
    no_tile_left_to_pretrain: ("hold-out list of Delhi", "no tile"),
    anomaly_of_two_stations: ("--target anomaly", "found 2", "at least 3"),
    imagenet_file_missing: ("none.safetensors", "not found"),
    imagenet_file_broken: ("broken.safetensors", "not a weights file"),
    imagenet_file_of_another_model: ("other.safetensors", "tensors of the encoder are not in it"),
    flags_lightning_refuses: ("--devices", "nonsense"),
    spawned_processes: ("--strategy", "ddp_spawn"),
    unknown_flag: ("--learning-speed",),
    impossible_share: ("--crop-scale-min", "2"),
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_bad_input_is_one_line_and_exit_code_2(case, tmp_path, capsys):
    assert load_city("Delhi", tmp_path)
    words = case(tmp_path).split()
    try:
        code = main([*words, "--root", str(tmp_path)])
    except SystemExit as stopped:  # the parser's own way out
        code = stopped.code
    error = capsys.readouterr().err
    assert code == 2
    assert error.count("\n") == 1, error
    assert error.startswith(f"pm25 {words[0]}: ")
    for part in CASES[case]:
        assert part in error
    assert not (tmp_path / "results").exists()
    assert not list(tmp_path.rglob("*.partial*"))
