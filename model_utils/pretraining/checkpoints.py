"""Checkpoints of pre-training: written whole or not at all, read without trust."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins import TorchCheckpointIO
from pytorch_lightning import callbacks

from model_utils import atomic
from model_utils.errors import InputError

_KEYS = {"epoch", "state_dict", "optimizer_states", "loops", "callbacks"}


class AtomicCheckpointIO(TorchCheckpointIO):
    """Keeps the checkpoint before until the new one is on the disk.

    Lightning's own writer goes through a file in another folder: where that is another file system, a disk that fills
    during the copy leaves neither.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Writes a checkpoint.

        Raises:
            InputError: The disk is full, or the file may not be written; the one before is as it was.
        """
        with atomic.replacing(Path(path)) as temporary:
            torch.save(checkpoint, temporary)


class LastTwoEpochs(callbacks.Checkpoint):
    """Writes a checkpoint after every epoch, and keeps the one before: should the last be damaged, little is lost.

    Lightning's own callback remembers absolute paths, so that it warns in a project that was moved.

    Args:
        folder: Of the checkpoints.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes one, then removes those of earlier epochs. Lightning calls it after all other callbacks."""
        done = trainer.current_epoch + 1
        before, now = (self.folder / f"epoch-{number}.ckpt" for number in (done - 1, done))
        trainer.save_checkpoint(now)
        if trainer.is_global_zero:
            for path in set(self.folder.glob("*.ckpt")) - {before, now}:
                path.unlink()


@dataclass(frozen=True)
class ReadableCheckpoint:
    """One from which training can go on.

    Attributes:
        path: The file.
        epoch: The last that is finished, from 0.
        damaged: What is wrong with others beside it, a line each.
    """

    path: Path
    epoch: int
    damaged: tuple[str, ...]


def newest_readable(folder: Path) -> ReadableCheckpoint | None:
    """The checkpoint of the latest epoch, among those of a run that are whole.

    Args:
        folder: Of the checkpoints.

    Returns:
        None where there is none yet.

    Raises:
        InputError: There are some, and none can be read.
    """
    whole: list[tuple[int, Path]] = []
    damaged: list[str] = []
    for path in sorted(folder.glob("[!.]*.ckpt")):  # what a killed writer left is hidden
        try:
            whole.append((_finished_epoch(path), path))
        except Exception as error:  # of damaged bytes zip, pickle and torch each make their own kinds
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            damaged.append(f"{path.name}: {reason}")
    if whole:
        epoch, path = max(whole)
        return ReadableCheckpoint(path, epoch, tuple(damaged))
    if damaged:
        raise InputError(
            f"--resume: {folder}: none of {len(damaged)} checkpoints can be read ({'; '.join(damaged)}); "
            "--overwrite starts again"
        )
    return None


def _finished_epoch(path: Path) -> int:
    """Reads a whole checkpoint; raises where it is none."""
    if not path.stat().st_size:
        raise ValueError("empty")
    with zipfile.ZipFile(path) as members:
        if name := members.testzip():  # torch looks at no check sum
            raise ValueError(f"{name} is damaged")
    saved = torch.load(path, map_location="cpu", weights_only=True, mmap=True)  # runs nothing that a file names
    if not isinstance(saved, dict) or not saved.keys() >= _KEYS or type(saved["epoch"]) is not int:
        raise ValueError("not a checkpoint of pm25 pretrain")
    return saved["epoch"]
