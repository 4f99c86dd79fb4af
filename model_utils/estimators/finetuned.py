"""Training encoder and head together (`--finetune`)."""

from __future__ import annotations

import copy
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pytorch_lightning.callbacks import EarlyStopping
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from contrastive_models.embedding import embed
from contrastive_models.encoders import normalise
from contrastive_models.views import ViewSettings, random_views
from model_utils.archive.reader import TileArchive
from model_utils.errors import InputError
from model_utils.estimators.head import FittedHead, RegressionHead
from model_utils.features.starting_encoder import StartingEncoder
from model_utils.hardware import resolve_precision
from model_utils.quiet import quiet_lightning
from model_utils.sampling.batches import PairBatchSampler
from model_utils.supervision.config import SuperviseConfig


class LabelledTiles(Dataset[tuple[Tensor, Tensor]]):
    """Whole batches of tiles and targets.

    Args:
        archive: n tiles.
        target: ug/m3, n.
    """

    def __init__(self, archive: TileArchive, target: NDArray[np.float64]) -> None:
        self.archive, self.target = archive, torch.from_numpy(target).float()

    def __getitem__(self, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(self.archive.tiles(rows)), self.target[rows]


class FineTuning(pl.LightningModule):
    """Mean squared error of encoder and head; keeps its best state.

    The tiles are turned and flipped at random, which says nothing about haze; they are not cropped.

    Args:
        start: The encoder; it is trained in place.
        head: Its target is standardised and its features scaled on the training rows.
        tile_size: Pixels.
        config: Rates and seed.
    """

    def __init__(self, start: StartingEncoder, head: RegressionHead, tile_size: int, config: SuperviseConfig) -> None:
        super().__init__()
        self.encoder, self.head, self.config = start.encoder, head, config
        self.symmetries = ViewSettings(size=tile_size, scale=(1.0, 1.0), ratio=(1.0, 1.0))
        self.register_buffer("mean", torch.tensor(start.mean), persistent=False)
        self.register_buffer("std", torch.tensor(start.std), persistent=False)
        self.mean: Tensor
        self.std: Tensor
        self.history: list[tuple[int, float, float]] = []
        self.best_state = copy.deepcopy(self.state_dict())
        self.best_epoch = 0

    def _loss(self, images: Tensor, target: Tensor) -> Tensor:
        features = self.encoder(normalise(images, self.mean, self.std)).float()
        output = self.head(self.head.standardised(features)).squeeze(1)
        return F.mse_loss(output.float(), (target - self.head.target_mean) / self.head.target_std)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        """One step on turned and flipped tiles."""
        tiles, target = batch
        key = np.random.SeedSequence((self.config.seed, self.global_step)).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(key[0]))
        loss = self._loss(random_views(tiles, self.symmetries, generator), target)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(tiles))
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        """Loss on tiles as they are."""
        tiles, target = batch
        self.log("validation_loss", self._loss(tiles.permute(0, 3, 1, 2), target), batch_size=len(tiles))

    def on_train_epoch_end(self) -> None:
        """Keeps the history, and the state if it is the best so far."""
        metrics = {name: float(value) for name, value in self.trainer.callback_metrics.items()}
        validation = metrics["validation_loss"]
        if not self.history or validation < min(row[2] for row in self.history):
            self.best_state, self.best_epoch = copy.deepcopy(self.state_dict()), self.current_epoch + 1
        self.history.append((self.current_epoch + 1, metrics["train_loss"], validation))

    def configure_optimizers(self) -> Any:
        """AdamW with a smaller rate for the encoder."""
        groups = [
            {"params": self.encoder.parameters(), "lr": self.config.encoder_learning_rate},
            {"params": self.head.parameters(), "lr": self.config.learning_rate},
        ]
        return torch.optim.AdamW(groups, weight_decay=self.config.weight_decay)


def finetune(
    archive: TileArchive,
    target: NDArray[np.float64],
    validation: NDArray[np.bool_],
    start: StartingEncoder,
    config: SuperviseConfig,
) -> FittedHead:
    """Trains `start.encoder` in place, and a head on it.

    Args:
        archive: n tiles of training stations.
        target: ug/m3, n.
        validation: Rows kept for early stopping.
        start: The encoder.
        config: How to train.

    Returns:
        The head that belongs to the trained encoder, at the best epoch.

    Raises:
        InputError: A spatial loss is asked for.
    """
    if config.spatial_weight > 0:
        raise InputError(
            f"--spatial_weight: found {config.spatial_weight:g} with --finetune, expected 0 (it needs a frozen encoder)"
        )
    torch.manual_seed(config.seed)
    training = archive.subset(~validation)
    first = embed(start.encoder, training.tiles, len(training), start.mean, start.std)
    head = RegressionHead(first.shape[1], config.dropout)
    head.standardise_target(torch.from_numpy(target[~validation]).float())
    # one scale for all: in units of how little each of a random encoder's features varies at first, they would explode
    # as soon as the encoder trains
    head.feature_std.fill_(max(float(np.sqrt((first**2).mean())), 1e-8))
    module = FineTuning(start, head, archive.metadata.tile_size, config)
    fitted, kept = np.flatnonzero(~validation), np.flatnonzero(validation)
    shuffled = PairBatchSampler(len(fitted), None, config.batch_size, config.seed)
    in_order = np.array_split(np.arange(len(kept)), -(-len(kept) // config.batch_size))
    loaders = [
        DataLoader(LabelledTiles(archive.subset(rows), target[rows]), sampler=sampler, batch_size=None)
        for rows, sampler in ((fitted, shuffled), (kept, in_order))
    ]
    with quiet_lightning():
        trainer = pl.Trainer(
            max_epochs=config.epochs,
            accelerator=config.accelerator,
            devices=1,
            precision=resolve_precision(config.precision, config.accelerator),  # type: ignore[arg-type]
            callbacks=[EarlyStopping("validation_loss", patience=config.patience)],
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=sys.stdout.isatty(),
            num_sanity_val_steps=0,
            log_every_n_steps=1,
        )
        try:
            trainer.fit(module, loaders[0], loaders[1])
        except SystemExit:  # Lightning's way out of Ctrl-C
            raise KeyboardInterrupt from None
    module.load_state_dict(module.best_state)
    module.cpu().eval()
    history = pd.DataFrame(module.history, columns=["epoch", "train_loss", "validation_loss"])
    return FittedHead(module.head, history, module.best_epoch)
