"""Encoder weights of the 2022 code: the same encoder comes out, and nothing else is let in."""

from __future__ import annotations

import io
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torchvision
from conftest import write_small_archive
from torch import Tensor, nn

from contrastive_models.legacy_weights import read_legacy_encoder
from contrastive_models.weights import WeightsError, read_encoder, weights_hash
from model_utils.archive.reader import open_archive
from model_utils.cli.main import main
from model_utils.features.convert_weights import named_training
from model_utils.features.starting_encoder import described_by_weights, starting_encoder
from model_utils.features.starts import EncoderSource
from model_utils.pretraining.data import band_statistics

State = dict[str, Tensor]


def resnet(name: str = "resnet18", seed: int = 0) -> nn.Module:
    """A torchvision ResNet whose batch norms are not those of a new one."""
    torch.manual_seed(seed)
    model: nn.Module = getattr(torchvision.models, name)()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            module.running_mean.normal_(0, 0.1)
    return model.eval()


def saved(folder: Path, content: object, name: str = "encoder_params_resnet18_Delhi_SimCLR.pkl", **how: Any) -> Path:
    path = folder / name
    torch.save(content, path, **how)
    return path


STATE: State = resnet().state_dict()


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50", "resnet101"])
def test_computes_what_torchvision_computes(tmp_path, name) -> None:
    model = resnet(name)
    legacy = read_legacy_encoder(saved(tmp_path, model.state_dict()))
    assert (legacy.name, legacy.channels) == (name, 3)
    model.fc = nn.Identity()
    tiles = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(legacy.module.eval()(tiles), model(tiles), rtol=0, atol=1e-6)


FORMS: dict[str, Callable[[State], object]] = {
    "without the classifier": lambda state: {key: state[key] for key in state if not key.startswith("fc.")},
    "encoder.": lambda state: {f"encoder.{key}": state[key] for key in state},
    "module.": lambda state: {f"module.{key}": state[key] for key in state},
    "module.encoder.": lambda state: {f"module.encoder.{key}": state[key] for key in state},
    "SimSiam": lambda state: {
        **{f"online_network.encoder.{key}": state[key] for key in state},
        **{f"target_network.encoder.{key}": state[key] * 0 for key in state},
        "online_network.projector.model.0.weight": torch.ones(2, 2),
        "predictor.model.0.weight": torch.ones(2, 2),
    },
    "Lightning": lambda state: {
        "epoch": 3,
        "pytorch-lightning_version": "1.5.0",
        "state_dict": {
            **{f"encoder.{key}": state[key] for key in state},
            "projection.model.0.weight": torch.ones(2, 2),
        },
    },
    "without counters": lambda state: {key: state[key] for key in state if "num_batches" not in key},
    "with a projection beside": lambda state: {**state, "projection.model.0.weight": torch.ones(2, 2)},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("zipped", [True, False])
def test_names_and_containers_of_the_time(tmp_path, form, zipped) -> None:
    path = saved(tmp_path, FORMS[form](STATE), _use_new_zipfile_serialization=zipped)
    read = read_legacy_encoder(path).module.state_dict()
    for key, tensor in STATE.items():
        if not key.startswith("fc.") and "num_batches" not in key:
            torch.testing.assert_close(read[key], tensor, rtol=0, atol=0)
    assert not any(key.startswith("fc.") for key in read)


def test_half_precision_becomes_float32(tmp_path) -> None:
    half = {key: tensor.half() if tensor.is_floating_point() else tensor for key, tensor in STATE.items()}
    read = read_legacy_encoder(saved(tmp_path, half)).module.state_dict()
    assert torch.equal(read["conv1.weight"], STATE["conv1.weight"].half().float())


class Gadget:
    """Unpickles as a command."""

    def __reduce__(self) -> Any:
        return os.system, ("touch sentinel",)


def legacy_storage(command: object) -> bytes:
    """A file whose tensor's storage is a pickle of its own, as `torch.storage._load_from_bytes` would load it."""
    return (
        b"\x80\x02ctorch.storage\n_load_from_bytes\nB"
        + len(pickle.dumps(command)).to_bytes(4, "little")
        + pickle.dumps(command)
        + b"\x85R."
    )


def torch_bytes(content: object) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def changed(**tensors: Tensor | None) -> bytes:
    """The state with some tensors replaced, or left out where None; two underscores stand for a dot."""
    state = {**STATE, **{key.replace("__", "."): tensor for key, tensor in tensors.items()}}
    return torch_bytes({key: tensor for key, tensor in state.items() if tensor is not None})


WRONG: dict[str, tuple[Callable[[], bytes], str]] = {
    "gadget": (lambda: torch_bytes({"conv1.weight": Gadget()}), "refused.*posix.system"),
    "gadget beside tensors": (lambda: torch_bytes({**STATE, "x": Gadget()}), "refused.*posix.system"),
    "gadget as a pickle": (lambda: pickle.dumps(Gadget(), protocol=2), "refused.*nothing of it was run"),
    "gadget in a storage": (lambda: legacy_storage(Gadget()), "refused.*nothing of it was run"),
    "a model": (lambda: torch_bytes(resnet()), "refused.*torchvision.models.resnet.ResNet"),
    "no PyTorch file": (lambda: b"station,latitude\n", "refused|not a PyTorch file"),
    "empty": (lambda: b"", "not a PyTorch file"),
    "truncated": (lambda: torch_bytes(STATE)[:-5000], "refused|not a PyTorch file"),
    "a list": (lambda: torch_bytes([1, 2]), "found list, expected tensors by name"),
    "numbers": (lambda: torch_bytes({**STATE, "epoch": 3}), r"of \d+ entries are tensors"),
    "no ResNet": (
        lambda: torch_bytes(torchvision.models.squeezenet1_1().state_dict()),
        "expected one ResNet.*found none",
    ),
    "two ResNets": (
        lambda: torch_bytes({f"{name}.{key}": tensor for name in "ab" for key, tensor in STATE.items()}),
        r"found 2 \('a.', 'b.'\)",
    ),
    "small stem": (lambda: changed(conv1__weight=torch.ones(64, 3, 3, 3)), "conv1 is 64 x 3 x 3 x 3.*first_conv=False"),
    "other width": (lambda: changed(layer1__0__conv1__weight=torch.ones(32, 64, 3, 3)), "does not fit resnet18"),
    "other depth": (lambda: changed(layer5__0__conv1__weight=torch.ones(1)), "unknown tensor 'layer5.0.conv1.weight'"),
    "missing": (lambda: changed(layer4__1__bn2__bias=None), "does not fit resnet18.*layer4.1.bn2.bias"),
    "a block less": (
        lambda: torch_bytes({key: tensor for key, tensor in STATE.items() if not key.startswith("layer4.1.")}),
        r"a ResNet of \(2, 2, 2, 1\) blocks",
    ),
    "not finite": (lambda: changed(bn1__bias=torch.full((64,), torch.nan)), "not finite"),
}


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("name", WRONG)
def test_wrong_files_take_one_line_and_run_nothing(tmp_path, monkeypatch, name) -> None:
    monkeypatch.chdir(tmp_path)
    content, words = WRONG[name]
    path = tmp_path / "encoder.pkl"
    path.write_bytes(content())
    with pytest.raises(WeightsError, match=words) as refused:
        read_legacy_encoder(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < len(str(path)) + 320
    assert [file.name for file in tmp_path.iterdir()] == ["encoder.pkl"]


@pytest.mark.parametrize(
    ("name", "training"),
    [
        ("encoder_params_resnet50_Delhi_SimCLR.pkl", ("SimCLR", "")),
        ("encoder_params_resnet50_Beijing_SimSiam_spatiotemporal.pkl", ("SimSiam", "spatiotemporal")),
        ("encoder-params-simclr-regular.pkl", ("SimCLR", "regular")),
        ("resnet50_SCL.pkl", ("", "spatiotemporal")),
        ("SimCLR_or_SimSiam_irregular.pkl", ("", "")),
    ],
)
def test_what_a_files_name_says(name, training) -> None:
    assert named_training(Path(name)) == training


# In an experiment


def supervise(root: Path, *words: str) -> int:
    flags = ["--city", "Delhi", "--root", str(root), "--epochs", "2", "--bootstrap-draws", "100"]
    return main(["supervise", *flags, *words])


def results(root: Path, experiment: str) -> tuple[dict[str, Any], pd.DataFrame]:
    folder = root / "results" / "Delhi" / experiment
    return json.loads((folder / "statistics.json").read_text()), pd.read_parquet(folder / "predictions.parquet")


@pytest.mark.usefixtures("figures_unrendered")
def test_supervise_takes_the_file_and_its_conversion_alike(tmp_path, capsys) -> None:
    write_small_archive(tmp_path, days=3, cells=0)
    path = saved(tmp_path, STATE)
    converted = tmp_path / "converted.safetensors"
    assert main(["convert-weights", "--weights", str(path), "--output", str(converted)]) == 0
    said = capsys.readouterr().out
    assert "method SimCLR, pairs not known" in said
    assert "statistics of the training stations' tiles" in said

    assert supervise(tmp_path, "--weights", str(path)) == 0
    said = capsys.readouterr().out
    assert "has no band means" in said
    assert "does not say which ground it saw" in said
    assert supervise(tmp_path, "--weights", str(converted)) == 0
    experiments = (
        "place_and_day_weights_2022_encoder_params_resnet18_Delhi_SimCLR",
        "place_and_day_weights_2022_converted",
    )
    (one, predicted), (other, again) = (results(tmp_path, experiment) for experiment in experiments)
    assert one["weights_sha256"] == other["weights_sha256"]
    pd.testing.assert_frame_equal(predicted, again)


def test_inputs_are_normalised_on_the_training_stations(small_root) -> None:
    weights = saved(small_root, STATE, "SimCLR_regular.pt")
    assert described_by_weights(weights) == ("SimCLR_regular", "resnet18")
    source = EncoderSource("Delhi", *described_by_weights(weights), small_root, weights)
    training = open_archive(small_root / "data" / "Delhi").subset(np.arange(50))
    start = starting_encoder(source, training)
    assert (start.mean, start.std) == band_statistics(training, source.seed)
    assert start.seen_ground is None
    assert start.sha256 == weights_hash(start.encoder)


def test_conversion_keeps_what_the_user_knows(small_root, capsys) -> None:
    path, output = saved(small_root, STATE), small_root / "out.safetensors"
    known = [
        "--method",
        "SimSiam",
        "--pairs",
        "regular",
        "--mean",
        "0.4,0.41,0.3",
        "--std",
        "0.1,0.2,0.3",
        "--gsd",
        "3",
    ]
    words = ["convert-weights", "--weights", str(path), "--output", str(output), *known]
    assert main(words) == 0
    tensors, metadata = read_encoder(output)
    assert (metadata.encoder, metadata.method, metadata.pairs) == ("resnet18", "SimSiam", "regular")
    assert (metadata.mean, metadata.std) == ((0.4, 0.41, 0.3), (0.1, 0.2, 0.3))
    assert metadata.ground_sample_distance_m == 3
    for key, tensor in tensors.items():
        assert torch.equal(tensor, STATE[key])
    said = described_by_weights(output)
    assert said[0] == "SimSiam_regular"
    start = starting_encoder(
        EncoderSource("Delhi", *said, small_root, output), open_archive(small_root / "data" / "Delhi")
    )
    assert start.mean == metadata.mean

    before = output.read_bytes()
    assert main(words) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert output.read_bytes() == before
    assert main([*words, "--overwrite"]) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--bands", "red,green"], "takes 3 bands, --bands names 2"),
        (["--mean", "0.4,0.4,0.4"], "--mean, --std: found 3 and 0 numbers"),
        (["--mean", "100,100,100", "--std", "1,1,1"], "numbers from 0 to 1"),
        (["--bands", "red,red,red"], "expected different names"),
        (["--gsd=-1"], "--gsd: found -1"),
    ],
)
def test_wrong_flags_of_a_conversion(tmp_path, capsys, words, said) -> None:
    output = tmp_path / "out.safetensors"
    path = saved(tmp_path, STATE)
    assert main(["convert-weights", "--weights", str(path), "--output", str(output), *words]) == 2
    assert said in capsys.readouterr().err
    assert not output.exists()


def test_wrong_weights_and_starts(tmp_path, capsys) -> None:
    write_small_archive(tmp_path, bands=("red", "green", "blue", "nir"))
    path = saved(tmp_path, STATE)
    for words, said in (
        (["--weights", str(path)], "takes 3 bands, the archive has 4"),
        (["--weights", str(path), "--start", "SimCLR_regular"], "encoder: found resnet18, expected resnet50"),
        (["--start", "weights_2022"], "--weights: is missing"),
        (["--weights", str(tmp_path / "missing.pkl")], "missing.pkl: not found"),
        (["--weights", str(tmp_path / "missing.pkl"), "--start", "SimCLR_regular"], "missing.pkl: not found"),
    ):
        assert supervise(tmp_path, *words) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
    assert not (tmp_path / "results").exists()
    assert main(["convert-weights", "--weights", str(path), "--output", str(path)]) == 2
    assert "expected a name that ends with .safetensors" in capsys.readouterr().err
