"""Mistakes that can be seen without torch are answered without it: in a few times the processor time of `--help`."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from conftest import write_small_archive
from processor_time import least_seconds
from test_bad_input import weights

from model_utils import quiet
from model_utils.archive.reader import open_archive
from model_utils.cli.main import main
from model_utils.pretraining.config import PretrainConfig
from model_utils.pretraining.standing import IDENTITY, RunPlace, identity

MANY_TIMES = 8
"""A refusal takes three to six times as long as `--help`, which is below a second; with torch it is thirty times."""

PRETRAIN = "pretrain --city Delhi --method SimCLR --pairs regular"
SUPERVISE = "supervise --city Delhi --preset smoke"
MISTAKES = {
    "simulate --city Dehli": "city 'Dehli': no such city, expected one of Beijing, Delhi",
    "simulate --city Delhi": "an archive is already there, --overwrite replaces it",
    "simulate --city Delhi --overwrite --surface S2_scene.tif": "--surface S2_scene.tif: not found",
    "inspect --city Beijing": "no such folder, expected a tile archive",
    "inspect --city Beijing --accept-changes": "no such folder, expected a tile archive",
    f"{PRETRAIN} --epochs none": "--epochs: found none",
    f"{PRETRAIN.replace('Delhi', 'Atlantis')}": "no such city",
    f"{PRETRAIN} --root nowhere": "no such folder, expected a tile archive",
    f"{PRETRAIN} --encoder resnet-50": "encoder 'resnet-50': timm has no such model, expected one like resnet50,",
    f"{PRETRAIN} --seed 1": "holds a run with other settings or another archive; --overwrite replaces it",
    f"{PRETRAIN} --encoder resnet18": "holds an unfinished run; --resume goes on with it",
    "pretrain --config typo.yaml": "--config typo.yaml: no such key 'epoch', expected epochs perhaps",
    "pretrain --config nowhere.yaml": "--config nowhere.yaml: not found, expected a YAML file",
    "pretrain --config tab.yaml": "--config tab.yaml: not readable as YAML",
    "pretrain --config list.yaml": "--config list.yaml: found a list, expected keys with values",
    f"{SUPERVISE} --start simclr": "--start: found simclr",
    f"{SUPERVISE} --start SimCLR_regular": "not found, expected encoder weights: pm25 pretrain",
    f"{SUPERVISE} --start randomly_initialized --folds 52": "--folds: found 52, expected 2 to 51",
    f"{SUPERVISE} --start randomly_initialized --encoder resnet-18": "timm has no such model",
    f"{SUPERVISE} --weights none.pkl": "none.pkl: not found",
    f"{SUPERVISE} --weights broken.pth": "broken.pth: not a PyTorch file",
    f"{SUPERVISE} --weights broken.safetensors": "not a safetensors file",
    f"{SUPERVISE} --weights weights.safetensors": "bands: found ('red', 'nir')",
    f"{SUPERVISE} --weights weights.safetensors --encoder resnet50": "expected resnet50 as --encoder says",
    f"{SUPERVISE} --start transfer_learning --imagenet-weights none": "expected ImageNet weights",
    "compare --city Delhi --folds 99": "--folds: found 99",
    "compare --city Atlantis": "no such city",
    "compare --city Delhi --encoder resnet-50": "timm has no such model",
    "map --city Delhi --model nowhere": "--model nowhere: holds no model.json",
    "predict --city Atlantis --model x --points p.csv --out o.csv": "no such city",
    "convert-weights --weights none.pkl --output o.safetensors": "none.pkl: not found",
    "convert-weights --weights broken.pth --output o.safetensors": "broken.pth: not a PyTorch file",
    "convert-weights --weights broken.pth --output weights.safetensors": "is already there, --overwrite replaces it",
}
MAP = "map --city Town --model model"
PREDICT = "predict --city Town --model model"
OF_A_MAP = {
    "map --city Delhi --model model": "found a model of Town, expected one of Delhi",
    f"{MAP} --dates 2030-01-01": "no date with readings or images, which are of 2019-01-01 to 2019-02-03",
    f"{MAP} --area=28.61,77.20,28.66,77.25": "latitude and longitude are exchanged, expected longitude first: 77.2,",
    f"{MAP} --area nowhere.geojson": "--area nowhere.geojson: not found, expected a GeoJSON file or west,south",
    f"{MAP} --spacing-metres 0.3": "cells, expected at most 4,000,000",
    f"{MAP} --scenes nowhere": "nowhere: not found, expected a folder of scenes",
    f"{PREDICT} --points clinics.csv --out readings.csv": "--out readings.csv: exists already",
    f"{PREDICT} --points clinics.csv --out o.csv": "--points clinics.csv: not readable",
    f"{PREDICT} --points readings.csv --out o.csv": "column 'latitude' is missing, found station, date, pm25",
}
CODE = "import sys; from model_utils.cli.main import main; sys.exit(main(sys.argv[1:]))"
ALL_IN_TURN = """
import contextlib, io, json, sys
from model_utils.cli.main import main
answers = []
for words in json.load(sys.stdin):
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        try:
            code = main(words)
        except SystemExit as stop:
            code = stop.code
    answers.append([code, said.getvalue(), "torch" in sys.modules])
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with an archive, weights that do not fit it, runs in the way, and files that are none."""
    root = tmp_path_factory.mktemp("root")
    write_small_archive(root)
    weights(root, ("red", "nir"))
    for name in ("broken.safetensors", "broken.pth"):
        (root / name).write_bytes(b"nothing")
    (root / "typo.yaml").write_text("city: Delhi\nepoch: 10\n")
    (root / "tab.yaml").write_text("city: Delhi\n\tepochs: 10\n")
    (root / "list.yaml").write_text("- city\n")
    metadata = open_archive(root / "data" / "Delhi").metadata
    for encoder, finished in {"resnet50": True, "resnet18": False}.items():
        config = PretrainConfig("Delhi", "SimCLR", "regular", encoder=encoder, root=root)
        place = RunPlace.of(config)
        place.folder.mkdir(parents=True)
        (place.folder / IDENTITY).write_text(identity(config, metadata))
        if finished:
            place.weights.parent.mkdir(parents=True, exist_ok=True)
            place.weights.touch()
    return root


def answers(root: Path, mistakes: Iterable[str]) -> dict[str, tuple[int, str, bool]]:
    """Exit code, what was said, and whether torch was imported by then, of mistakes that one process makes in turn."""
    flags = [[*words, *root_of(words)] for words in map(str.split, mistakes)]
    done = subprocess.run(
        [sys.executable, "-c", ALL_IN_TURN],
        input=json.dumps(flags),
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    return {mistake: tuple(answer) for mistake, answer in zip(mistakes, json.loads(done.stdout), strict=True)}


def root_of(words: Sequence[str]) -> list[str]:
    return [] if "--root" in words or words[0] == "convert-weights" or "--config" in words else ["--root", "."]


@pytest.fixture(scope="module")
def answered(root: Path) -> dict[str, tuple[int, str, bool]]:
    return answers(root, MISTAKES)


@pytest.fixture(scope="module")
def answered_of_a_map(town: Path) -> dict[str, tuple[int, str, bool]]:
    return answers(town, OF_A_MAP)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_without_torch(answered: dict[str, tuple[int, str, bool]], mistake: str) -> None:
    code, said, torch = answered[mistake]
    assert code == 2
    assert said.count("\n") == 1, said
    assert MISTAKES[mistake] in said
    assert not torch


@pytest.mark.parametrize("mistake", OF_A_MAP)
def test_a_mistake_in_a_map_too(answered_of_a_map: dict[str, tuple[int, str, bool]], mistake: str) -> None:
    code, said, torch = answered_of_a_map[mistake]
    assert code == 2
    assert said.count("\n") == 1, said
    assert OF_A_MAP[mistake] in said
    assert not torch


SLOWEST = {
    "simulate": "simulate --city Delhi",
    "prepare": "prepare --city Delhi --scenes . --gsd 3",
    "inspect": "inspect --city Beijing",
    "pretrain": f"{PRETRAIN} --encoder resnet-50",
    "supervise": f"{SUPERVISE} --weights weights.safetensors",
    "compare": "compare --city Delhi --folds 99",
    "map": "map --city Delhi --model nowhere",
    "predict": "predict --city Delhi --model nowhere --points none.csv --out o.csv",
    "convert-weights": "convert-weights --weights broken.pth --output o.safetensors",
}


@pytest.mark.parametrize("verb", SLOWEST)
def test_a_refusal_takes_a_few_times_as_long_as_help(root: Path, verb: str) -> None:
    words = SLOWEST[verb].split()
    code = f"import os; os.chdir({str(root)!r}); {CODE.replace('sys.exit(', '(')}"
    command = [sys.executable, "-c", code]
    of_help, _ = least_seconds([*command, verb, "--help"], enough=0.2)
    of_refusal, _ = least_seconds([*command, *words, *root_of(words)], enough=MANY_TIMES * of_help)
    assert of_refusal < MANY_TIMES * of_help


def test_a_hub_that_does_not_answer_is_asked_once(
    root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its own client would try six times, with pauses that double."""
    from huggingface_hub import constants

    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.settimeout(0.1)
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
        monkeypatch.setattr(quiet, "HUB_SECONDS", 0.3)
        began = time.perf_counter()
        flags = ["--city", "Delhi", "--start", "transfer_learning", "--preset", "paper", "--encoder", "resnet18"]
        assert main(["supervise", *flags, "--root", str(root)]) == 2
        assert time.perf_counter() - began < 20
        error = capsys.readouterr().err
        assert "--imagenet-weights FILE: http://127.0.0.1" in error
        assert error.endswith("does not answer\n")
        server.accept()[0].close()
        with pytest.raises(TimeoutError):
            server.accept()
    assert not constants.HF_HUB_OFFLINE
