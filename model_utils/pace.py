"""How long a training will take, said early, and how far it is, said at least every minute of a log."""

from __future__ import annotations

import sys
import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from model_utils.progress import MOST_SECONDS_SILENT, duration, pace

WARM_UP, TIMED = 2, 10
"""Steps: the first ones are slower than the others, and so many tell how long one takes."""

LONG_SECONDS = 3600.0


class Pace(Callback):
    """Times the first steps, warns of a run of more than an hour, and prints a line a minute where no bar is shown."""

    def __init__(self, what: str, advice: str) -> None:
        """Takes the first word of a line of the log, and what helps where a run is long."""
        self._what, self._advice = what, advice
        self._steps = 0
        self._began = self._said = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts the clock of the log."""
        self._said = time.monotonic()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Counts a step."""
        if not trainer.is_global_zero:
            return
        now = time.monotonic()
        self._steps += 1
        if self._steps == WARM_UP:
            self._began = now
        timed = self._steps - WARM_UP
        if timed <= 0:
            return
        batches, epochs = int(trainer.num_training_batches), int(trainer.max_epochs or 1)
        done = trainer.current_epoch * batches + batch_idx + 1
        left = batches * epochs - done
        if timed == TIMED:
            self._say_if_long((now - self._began) / timed * left)
        if not sys.stdout.isatty() and now - self._said >= MOST_SECONDS_SILENT:
            self._said = now
            told = pace(timed, timed + left, now - self._began)
            epoch = f"{self._what}: epoch {trainer.current_epoch + 1} of {epochs}"
            print(f"{epoch}, step {done} of {done + left}{told}", flush=True)

    def _say_if_long(self, seconds: float) -> None:
        if seconds > LONG_SECONDS:
            print(
                f"{self._what}: this will take about {duration(seconds)} on this machine, by the time of its first "
                f"steps: {self._advice}",
                flush=True,
            )
