"""Encoder and head trained together: what labels alone can teach, or add to an encoder."""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pytorch_lightning.callbacks import EarlyStopping
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from contrastive_models.embedding import embed
from contrastive_models.encoders import create_encoder, feature_width, normalise
from contrastive_models.views import ViewSettings, random_views
from model_utils.archive.reader import TileArchive
from model_utils.estimators.estimator import Features, FittedEstimator, Prediction
from model_utils.estimators.head import FittedHead, RegressionHead, fitted_head
from model_utils.features.starting_encoder import StartingEncoder, starting_encoder
from model_utils.features.starts import EncoderSource
from model_utils.hardware import resolve_precision
from model_utils.pace import Pace
from model_utils.quiet import quiet_lightning
from model_utils.sampling.batches import PairBatchSampler
from model_utils.sampling.splits import validation_rows

_IF_LONG = "it may stop early; --epochs makes it shorter, a GPU faster"
LARGEST_TILE = 4096
"""Pixels; a file that says more is wrong."""


@dataclass(frozen=True)
class FineTuneSettings:
    """How encoder and head train; see `SuperviseConfig` for the fields."""

    epochs: int = 500
    batch_size: int = 256
    learning_rate: float = 1e-3
    encoder_learning_rate: float = 1e-4
    weight_decay: float = 1e-4
    dropout: float = 0.2
    patience: int = 50
    validation_share: float = 0.2
    seed: int = 0
    precision: str = "auto"
    accelerator: str = "auto"


@dataclass(frozen=True)
class FineTuned:
    """Trains encoder and head from a start, once for each rate; the best on the validation stations is kept.

    Its features are the tiles.

    Attributes:
        source: The start.
        settings: How to train.
        learning_rates: Tried for encoder and head alike; with none the settings' own rates are taken.
    """

    source: EncoderSource
    settings: FineTuneSettings
    learning_rates: tuple[float, ...] = ()

    @property
    def uses_same_day_readings(self) -> bool:
        """Never."""
        return False

    def fit(self, samples: pd.DataFrame, features: Features, training: NDArray[np.bool_]) -> FittedEstimator:
        """Trains on the training rows that have a reading.

        Raises:
            InputError: They are a single date of a few stations, so nothing can be kept apart; or the start is wrong.
        """
        assert isinstance(features, TileArchive)
        pm25 = samples["pm25"].to_numpy(np.float64)
        rows = np.flatnonzero(training & np.isfinite(pm25))
        tiles, site = features.subset(rows), samples["site_id"].to_numpy(str)[rows]
        validation = validation_rows(samples.iloc[rows], self.settings.validation_share, self.settings.seed)
        tried = [replace(self.settings, learning_rate=rate, encoder_learning_rate=rate) for rate in self.learning_rates]
        best, kept = np.inf, None
        for settings in tried or [self.settings]:
            start = starting_encoder(self.source, tiles)
            head = finetune(tiles, pm25[rows], validation, start, settings)
            loss = float(np.nan_to_num(head.history["validation_loss"].min(), nan=np.inf))
            if kept is None or loss < best:
                chosen = {"learning_rate": settings.learning_rate, "epochs": float(head.best_epoch)}
                best, kept = (
                    loss,
                    FittedFineTuned(
                        start.name,
                        features.metadata.tile_size,
                        {name: tensor.numpy().copy() for name, tensor in start.encoder.state_dict().items()},
                        start.mean,
                        start.std,
                        head,
                        tuple(sorted(set(site[validation]) - set(site[~validation]))),
                        trials=len(tried),
                        chosen=chosen if tried else {},
                    ),
                )
        assert kept is not None
        return kept


@dataclass(frozen=True)
class FittedFineTuned(FittedEstimator):
    """A trained encoder and its head.

    Attributes:
        encoder: timm model name.
        tile_size: Pixels.
        state: Of the encoder.
        mean: Mean of each band, 0..1.
        std: Standard deviation of each band, 0..1.
        head: On its features.
        unseen_sites: Training stations that gave no gradient; they chose the epoch.
    """

    encoder: str
    tile_size: int
    state: Mapping[str, NDArray[np.generic]]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    head: FittedHead
    unseen_sites: tuple[str, ...]

    def __post_init__(self) -> None:
        if not (
            1 <= self.tile_size <= LARGEST_TILE
            and len(self.mean) == len(self.std)
            and all(each > 0 for each in self.std)
        ):
            raise ValueError(
                f"encoder: found tiles of {self.tile_size} px, means {self.mean} and deviations {self.std}"
            )
        try:
            width = feature_width(self.module())
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"encoder: {' '.join(str(error).split())[:200]}") from None
        if self.head.sees() != width:
            raise ValueError(f"head: sees {self.head.sees()} features, expected the {width} of {self.encoder}")

    def sees(self) -> Literal["tiles"]:
        """The tiles, with an encoder of its own."""
        return "tiles"

    def module(self) -> nn.Module:
        """The encoder, in evaluation mode."""
        encoder = create_encoder(self.encoder, len(self.mean), self.tile_size)
        encoder.load_state_dict({name: torch.tensor(array) for name, array in self.state.items()})
        return encoder.to(memory_format=torch.channels_last).eval()

    def predict(self, samples: pd.DataFrame, features: Features) -> Prediction:
        """Predicts from the rows' tiles."""
        assert isinstance(features, TileArchive)
        embedded = embed(self.module(), features.tiles, len(features), self.mean, self.std)
        return self.head.predict(samples, embedded)


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
        settings: Rates and seed.
    """

    def __init__(
        self, start: StartingEncoder, head: RegressionHead, tile_size: int, settings: FineTuneSettings
    ) -> None:
        super().__init__()
        self.encoder, self.head, self.settings = start.encoder, head, settings
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
        output = self.head.layers(self.head.standardised(features))
        return F.mse_loss(output.float(), (target - self.head.target_mean) / self.head.target_std)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        """One step on turned and flipped tiles."""
        tiles, target = batch
        key = np.random.SeedSequence((self.settings.seed, self.global_step)).generate_state(1, np.uint64)
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
            {"params": self.encoder.parameters(), "lr": self.settings.encoder_learning_rate},
            {"params": self.head.parameters(), "lr": self.settings.learning_rate},
        ]
        return torch.optim.AdamW(groups, weight_decay=self.settings.weight_decay)


def finetune(
    archive: TileArchive,
    target: NDArray[np.float64],
    validation: NDArray[np.bool_],
    start: StartingEncoder,
    settings: FineTuneSettings,
) -> FittedHead:
    """Trains `start.encoder` in place, and a head on it.

    Args:
        archive: n tiles of training stations.
        target: ug/m3, n.
        validation: Rows kept for early stopping.
        start: The encoder.
        settings: How to train.

    Returns:
        The head that belongs to the trained encoder, at the best epoch.
    """
    torch.manual_seed(settings.seed)
    training = archive.subset(~validation)
    first = embed(start.encoder, training.tiles, len(training), start.mean, start.std)
    head = RegressionHead(first.shape[1], settings.dropout)
    head.standardise_target(torch.from_numpy(target[~validation]).float())
    # one scale for all: in units of how little each of a random encoder's features varies at first, they would explode
    # as soon as the encoder trains
    head.feature_std.fill_(max(float(np.sqrt((first**2).mean())), 1e-8))
    module = FineTuning(start, head, archive.metadata.tile_size, settings)
    fitted, kept = np.flatnonzero(~validation), np.flatnonzero(validation)
    shuffled = PairBatchSampler(len(fitted), None, settings.batch_size, settings.seed)
    in_order = np.array_split(np.arange(len(kept)), -(-len(kept) // settings.batch_size))
    loaders = [
        DataLoader(LabelledTiles(archive.subset(rows), target[rows]), sampler=sampler, batch_size=None)
        for rows, sampler in ((fitted, shuffled), (kept, in_order))
    ]
    with quiet_lightning():
        trainer = pl.Trainer(
            max_epochs=settings.epochs,
            accelerator=settings.accelerator,
            devices=1,
            precision=resolve_precision(settings.precision, settings.accelerator),  # type: ignore[arg-type]
            callbacks=[EarlyStopping("validation_loss", patience=settings.patience), Pace("fine-tuning", _IF_LONG)],
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
    return fitted_head(module.head, module.history, module.best_epoch)
