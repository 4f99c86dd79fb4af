"""What digits depend on besides settings and seeds stands beside them, and no name of a machine."""

from __future__ import annotations

import json
import platform
import socket
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import write_small_archive
from safetensors import safe_open
from safetensors.torch import save_file

from contrastive_models.weights import WeightsError, read_encoder, save_encoder
from model_utils import hardware
from model_utils.comparison.config import CompareConfig
from model_utils.comparison.run import _cells_machine
from model_utils.comparison.starts import _machine_notes
from model_utils.configuration import from_preset
from model_utils.hardware import machine, machine_words, resolve_precision
from model_utils.pretraining.config import PretrainConfig
from model_utils.pretraining.run import pretrain
from model_utils.project import weights_path
from model_utils.supervision.config import SuperviseConfig
from model_utils.supervision.supervise import run_experiment

XEON = "processor\t: 0\nmodel name\t: Intel(R)  Xeon(R) 8488C\nflags\t\t: fpu {flag}\n\nmodel name\t: other\n"


@pytest.mark.parametrize(("flag", "native"), [("avx512_bf16", True), ("amx_bf16", True), ("avx2", False)])
def test_a_processor_is_described_as_the_system_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flag: str, native: bool
) -> None:
    (tmp_path / "cpuinfo").write_text(XEON.format(flag=flag))
    monkeypatch.setattr(hardware, "_DESCRIPTION", tmp_path / "cpuinfo")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    precision = resolve_precision("auto", "cpu")
    assert precision == ("bf16-mixed" if native else "32-true")
    found = machine(precision, "cpu")
    assert found == {
        "precision": precision,
        "processor": "Intel(R) Xeon(R) 8488C",
        "bf16_native": native,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    words = f"Xeon(R) 8488C ({'with' if native else 'without'} native bf16), "
    assert words in machine_words(found)


def test_without_a_description_the_kind_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "_DESCRIPTION", tmp_path / "none")
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    assert machine("32-true", "cpu")["processor"] == "arm64"


@pytest.mark.usefixtures("figures_unrendered")
def test_weights_and_statistics_say_it(tmp_path: Path) -> None:
    write_small_archive(tmp_path, days=4)
    config = from_preset(
        PretrainConfig,
        "smoke",
        city="Delhi",
        method="SimCLR",
        pairs="regular",
        root=tmp_path,
        accelerator="cpu",
        epochs=1,
    )
    pretrain(config)
    path = weights_path(tmp_path, "Delhi", "SimCLR", "regular", config.encoder)
    _, metadata = read_encoder(path)
    assert metadata.machine == machine(resolve_precision("auto", "cpu"), "cpu")

    statistics = {}
    for start in ("SimCLR_regular", "randomly_initialized"):
        experiment = from_preset(SuperviseConfig, "smoke", city="Delhi", start=start, root=tmp_path, accelerator="cpu")
        run_experiment(experiment)
        folder = tmp_path / "results" / "Delhi" / experiment.experiment
        statistics[start] = json.loads((folder / "statistics.json").read_text())
        assert statistics[start]["machine"] == machine("32-true", "cpu")
    assert statistics["SimCLR_regular"]["machine_of_pretraining"] == metadata.machine
    assert statistics["randomly_initialized"]["machine_of_pretraining"] == {}
    with safe_open(path, framework="pt") as file:
        written = json.dumps(file.metadata()) + json.dumps(statistics)
    assert socket.gethostname() not in written.replace(str(tmp_path), "")


def test_weights_of_earlier_versions_do_not_say_it(tmp_path: Path) -> None:
    from test_contrastive_models import METADATA

    path, encoder = tmp_path / "w.safetensors", torch.nn.Linear(2, 2)
    save_encoder(path, encoder, replace(METADATA, machine={"precision": "32-true"}))
    assert read_encoder(path)[1].machine == {"precision": "32-true"}
    with safe_open(path, framework="pt") as file:
        described = json.loads(file.metadata()["pm25_contrastive"])
    del described["machine"]
    save_file(dict(encoder.state_dict()), path, metadata={"pm25_contrastive": json.dumps(described)})
    assert read_encoder(path)[1].machine == {}
    described["machine"] = ["precision"]
    save_file(dict(encoder.state_dict()), path, metadata={"pm25_contrastive": json.dumps(described)})
    with pytest.raises(WeightsError, match="machine is not a mapping"):
        read_encoder(path)


def test_a_comparison_says_on_what_its_starts_were_trained() -> None:
    one, other = ({**machine("32-true", "cpu"), "precision": each} for each in ("32-true", "bf16-mixed"))
    assert _machine_notes({}) == []
    assert _machine_notes({"a": one, "b": one}) == [f"Pre-trained in {machine_words(one)}: a, b."]
    notes = _machine_notes({"a": one, "b": other, "c": {}})
    assert notes[1:] == [
        f"Pre-trained in {machine_words(other)}: b.",
        "Weights that do not say how they were trained: c.",
        "They were not all trained by the same arithmetic.",
    ]


@pytest.mark.parametrize("native", [True, False])
def test_a_comparison_says_how_its_cells_compute(monkeypatch: pytest.MonkeyPatch, native: bool) -> None:
    monkeypatch.setattr(hardware, "_processor_has_bf16", lambda: native)
    said = _cells_machine(CompareConfig(city="Delhi", accelerator="cpu"))
    assert said.startswith("32-true (encoders that they train: bf16-mixed) on " if native else "32-true on ")
    assert said.endswith(f", 1 thread, torch {torch.__version__}")
