"""What a pre-training run prints and keeps of every epoch."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from contrastive_models.module import ContrastiveModule
from model_utils import atomic
from model_utils.errors import InputError

Measure = Callable[[ContrastiveModule], dict[str, float]]

LOGGED = ("loss", "learning_rate")


class EpochHistory(Callback):
    """Collects the epoch's metrics, writes them as CSV, and prints a plain line where no bar is shown.

    The history is part of the checkpoint, so that a resumed run's file is whole.

    Args:
        path: The CSV file.
        check: Measures the module after every epoch.
        probe: Scores the module, or None.
        probe_every: Epochs between probes; the last epoch is always probed.
    """

    def __init__(self, path: Path, check: Measure, probe: Measure | None, probe_every: int) -> None:
        self.path, self.check, self.probe, self.probe_every = path, check, probe, probe_every
        self.rows: list[dict[str, float]] = []
        self._started = 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts the clock."""
        self._started = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Adds one row."""
        # in every process: they are averaged over all, and each waits for the others
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items() if name in LOGGED}
        if not trainer.is_global_zero:
            return
        assert isinstance(pl_module, ContrastiveModule)
        epoch = trainer.current_epoch + 1
        if not math.isfinite(metrics["loss"]):
            raise InputError(f"loss is {metrics['loss']} in epoch {epoch}: lower --learning-rate")
        metrics |= self.check(pl_module)
        if self.probe and (epoch % self.probe_every == 0 or epoch == trainer.max_epochs):
            metrics |= self.probe(pl_module)
        seconds = time.monotonic() - self._started
        self.rows.append({"epoch": epoch, **metrics, "seconds": round(seconds, 2)})
        with atomic.replacing(self.path) as temporary:
            self.frame().to_csv(temporary, index=False)
        if not sys.stdout.isatty():
            shown = "  ".join(f"{name} {value:.4g}" for name, value in metrics.items())
            print(f"epoch {epoch}/{trainer.max_epochs}  {shown}  {seconds:.1f} s", flush=True)

    def frame(self) -> pd.DataFrame:
        """One row an epoch."""
        return pd.DataFrame(self.rows)

    def state_dict(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """From the checkpoint."""
        self.rows = list(state_dict["rows"])
