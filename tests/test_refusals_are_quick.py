"""Mistakes that can be seen without torch are answered without it: in a few times the processor time of `--help`."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import write_small_archive
from processor_time import least_seconds
from test_bad_input import weights

from model_utils import quiet
from model_utils.cli.main import main

MANY_TIMES = 8
"""A refusal takes three to four times as long as `--help`; with torch it is thirty times."""

PRETRAIN = "pretrain --city Delhi --method SimCLR --pairs regular"
SUPERVISE = "supervise --city Delhi --preset smoke"
MISTAKES = {
    f"{PRETRAIN} --epochs none": "--epochs: found none",
    f"{PRETRAIN.replace('Delhi', 'Atlantis')}": "no such city",
    f"{PRETRAIN} --root nowhere": "no such folder, expected a tile archive",
    f"{SUPERVISE} --start simclr": "--start: found simclr",
    f"{SUPERVISE} --start SimCLR_regular": "not found, expected encoder weights: pm25 pretrain",
    f"{SUPERVISE} --start randomly_initialized --folds 52": "--folds: found 52, expected 2 to 51",
    f"{SUPERVISE} --weights none.pkl": "none.pkl: not found",
    f"{SUPERVISE} --weights broken.safetensors": "not a safetensors file",
    f"{SUPERVISE} --weights weights.safetensors": "bands: found ('red', 'nir')",
    f"{SUPERVISE} --weights weights.safetensors --encoder resnet50": "expected resnet50 as --encoder says",
    f"{SUPERVISE} --start transfer_learning --imagenet-weights none": "expected ImageNet weights",
    "compare --city Delhi --folds 99": "--folds: found 99",
    "compare --city Atlantis": "no such city",
    "map --city Delhi --model nowhere": "--model nowhere: holds no model.json",
    "predict --city Atlantis --model x --points p.csv --out o.csv": "no such city",
}
CODE = "import sys; from model_utils.cli.main import main; sys.exit(main(sys.argv[1:]))"
COUNTED = (
    "import sys; from model_utils.cli.main import main\n"
    "code = main(sys.argv[1:])\n"
    "print('torch' in sys.modules); sys.exit(code)"
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with an archive and weights that do not fit it."""
    root = tmp_path_factory.mktemp("root")
    write_small_archive(root)
    weights(root, ("red", "nir"))
    (root / "broken.safetensors").write_bytes(b"nothing")
    return root


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_without_torch(root: Path, mistake: str) -> None:
    words = mistake.split()
    flags = words if "--root" in words else [*words, "--root", str(root)]
    done = subprocess.run(
        [sys.executable, "-c", COUNTED, *flags], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr
    assert MISTAKES[mistake] in done.stderr
    assert done.stdout in ("False\n", "")  # the parser's own mistakes end the process at once


@pytest.mark.parametrize("verb", ["pretrain", "supervise", "compare", "map"])
def test_a_refusal_takes_a_few_times_as_long_as_help(root: Path, verb: str) -> None:
    slowest = {
        "pretrain": f"{PRETRAIN} --root nowhere",
        "supervise": f"{SUPERVISE} --weights weights.safetensors --root {root}",
        "compare": f"compare --city Delhi --folds 99 --root {root}",
        "map": f"map --city Delhi --model nowhere --root {root}",
    }[verb]
    command = [sys.executable, "-c", f"import os; os.chdir({str(root)!r}); {CODE.replace('sys.exit(', '(')}"]
    of_help, _ = least_seconds([*command, verb, "--help"], enough=0.3)
    of_refusal, _ = least_seconds([*command, *slowest.split()], enough=MANY_TIMES * of_help)
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
