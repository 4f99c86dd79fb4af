"""Checkpoints of pre-training under full disks, kills and damage: a run goes on from the newest that is whole."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import write_small_archive
from full_disk import no_file_above

from contrastive_models.weights import read_encoder
from model_utils.cli.main import main
from model_utils.errors import InputError
from model_utils.pretraining.checkpoints import AtomicCheckpointIO, newest_readable
from model_utils.project import results_folder, weights_path

EPOCHS = 3
BEFORE, LAST = "epoch-2.ckpt", "epoch-3.ckpt"


def words(root: Path, *flags: str) -> list[str]:
    fixed = "--city Delhi --method SimCLR --pairs regular --preset smoke --probe-every 0"
    return ["pretrain", *fixed.split(), "--epochs", str(EPOCHS), "--root", str(root), *flags]


def checkpoints(root: Path) -> Path:
    return results_folder(root, "Delhi", "pretrain_SimCLR_regular_test_resnet") / "checkpoints"


def weights(root: Path) -> Path:
    return weights_path(root, "Delhi", "SimCLR", "regular", "test_resnet")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that ended; its loss does not fall in the last epoch, whose checkpoint is kept all the same."""
    root = tmp_path_factory.mktemp("finished")
    write_small_archive(root, days=2, cells=6)
    assert main(words(root)) == 0
    return root


@pytest.fixture
def interrupted(finished: Path, tmp_path: Path) -> Path:
    """The same run without its weights, in another place; it goes on from a checkpoint."""
    root = tmp_path / "root"
    shutil.copytree(finished, root)
    weights(root).unlink()
    return root


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def shortened(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


def without_its_end(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def no_zip(path: Path) -> None:
    path.write_text("no checkpoint")


def zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def one_bit_flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1  # in the middle of the tensors
    path.write_bytes(content)


def another_content(path: Path) -> None:
    torch.save({"epoch": 0}, path)


class Intruder:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch intruded",)


def hostile(path: Path) -> None:
    torch.save({**torch.load(path, weights_only=True), "callbacks": Intruder()}, path)


def hostile_plain_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(Intruder()))


DAMAGES = (emptied, shortened, without_its_end, no_zip, zeros, one_bit_flipped, another_content)
HOSTILE = (hostile, hostile_plain_pickle)


@pytest.mark.parametrize("damage", [*DAMAGES, *HOSTILE])
def test_the_one_before_is_taken_for_a_damaged_last_one(
    finished: Path, tmp_path: Path, damage: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "checkpoints"
    shutil.copytree(checkpoints(finished), folder)
    found = newest_readable(folder)
    assert found is not None
    assert (found.path.name, found.epoch, found.damaged) == (LAST, EPOCHS - 1, ())
    damage(folder / LAST)
    found = newest_readable(folder)
    assert found is not None
    assert (found.path.name, found.epoch, len(found.damaged)) == (BEFORE, EPOCHS - 2, 1)
    assert "\n" not in found.damaged[0]
    damage(folder / BEFORE)
    with pytest.raises(
        InputError, match=r"--resume: .*none of 2 checkpoints can be read \(epoch-2.ckpt: .*epoch-3.ckpt: "
    ):
        newest_readable(folder)
    assert not (tmp_path / "intruded").exists()


@pytest.mark.usefixtures("figures_unrendered")
def test_a_resumed_run_says_what_it_passed_over_and_ends_alike(
    finished: Path, interrupted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    emptied(checkpoints(interrupted) / LAST)
    (checkpoints(interrupted) / ".epoch-3.1.partial.ckpt").write_bytes(b"half")  # of a killed process
    assert main(words(interrupted, "--resume")) == 0
    said = capsys.readouterr().out
    assert f"damaged checkpoint passed over: {LAST}: empty\nresuming from" in said
    assert f"{BEFORE}, after epoch 2\nepoch 3/3" in said
    (found, _), (expected, _) = read_encoder(weights(interrupted)), read_encoder(weights(finished))
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert {path.name for path in checkpoints(interrupted).iterdir()} == {BEFORE, LAST}


def test_where_none_is_whole_resume_is_refused_in_a_line(interrupted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in checkpoints(interrupted).iterdir():
        shortened(path)
    assert main(words(interrupted, "--resume")) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "none of 2 checkpoints can be read" in line
    assert line.endswith("--overwrite starts again")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_disk_that_fills_keeps_the_checkpoint_that_was_there(finished: Path, tmp_path: Path, share: float) -> None:
    path = tmp_path / LAST
    shutil.copy(checkpoints(finished) / LAST, path)
    before = path.read_bytes()
    checkpoint = torch.load(path, weights_only=True)
    with (
        pytest.raises(InputError, match=r"epoch-3.ckpt: cannot be written: file too large"),
        no_file_above(int(share * len(before))),
    ):
        AtomicCheckpointIO().save_checkpoint(checkpoint, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_training_writes_through_it(interrupted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lightning's writer would not say in one line that the disk is full."""
    written = []
    save = AtomicCheckpointIO.save_checkpoint

    def spied(self: AtomicCheckpointIO, checkpoint: dict, path: Path, storage_options: object = None) -> None:
        written.append(Path(path).name)
        save(self, checkpoint, path, storage_options)
        assert newest_readable(Path(path).parent) is not None

    monkeypatch.setattr(AtomicCheckpointIO, "save_checkpoint", spied)
    assert main(words(interrupted, "--overwrite", "--epochs", "1")) == 0
    assert written == ["epoch-1.ckpt"]


@pytest.mark.usefixtures("figures_unrendered")
def test_a_finished_run_stays_until_another_one_takes_its_place(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "root"
    shutil.copytree(finished, root)
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    unfinished = checkpoints(root).parent.with_suffix(".unfinished")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("model_utils.pretraining.run.save_figure", interrupted)  # the last step but the weights
        assert main(words(root, "--seed", "1", "--overwrite")) == 130
    assert all(path.read_bytes() == content for path, content in before.items())
    assert {path.name for path in (unfinished / "checkpoints").iterdir()} == {BEFORE, LAST}
    capsys.readouterr()
    assert main(words(root, "--seed", "1")) == 2
    assert f"{unfinished}: holds an unfinished run; --resume goes on with it" in capsys.readouterr().err
    assert main(words(root)) == 2  # nor is the other one taken for what the weights are of
    assert f"{unfinished}: holds a run with other settings" in capsys.readouterr().err

    assert main(words(root, "--seed", "1", "--resume")) == 0
    assert not unfinished.exists()
    write_small_archive(tmp_path / "new", days=2, cells=6)
    assert main(words(tmp_path / "new", "--seed", "1")) == 0
    (found, _), (expected, _) = read_encoder(weights(root)), read_encoder(weights(tmp_path / "new"))
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert files(root) == files(tmp_path / "new")


def files(root: Path) -> set[Path]:
    return {path.relative_to(root) for path in root.rglob("*") if path.is_file()}
