"""What SimCLR and SimSiam share: views, seeds, the schedule, and what is logged."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from contrastive_models.encoders import normalise
from contrastive_models.optimisation import with_warmup_cosine
from contrastive_models.views import ViewSettings, random_views


class PairBatch(NamedTuple):
    """A batch of positive pairs.

    Attributes:
        tiles: uint8, n x H x W x C.
        positives: uint8, n x H x W x C, or None where the positive of a tile is another view of itself.
        tile_ids: int64, n.
        positive_ids: int64, n.
    """

    tiles: Tensor
    positives: Tensor | None
    tile_ids: Tensor
    positive_ids: Tensor


@dataclass(frozen=True)
class TrainingSettings:
    """How a contrastive module trains.

    Attributes:
        views: What a random view is.
        mean: Mean of each band, 0..1.
        std: Standard deviation of each band, 0..1.
        learning_rate: Peak rate, already scaled to the batch size.
        weight_decay: For all but norm layers and biases.
        warmup_share: Share of the steps with a rising rate.
        seed: Keys the views of every step.
    """

    views: ViewSettings
    mean: tuple[float, ...]
    std: tuple[float, ...]
    learning_rate: float
    weight_decay: float
    warmup_share: float
    seed: int


class ContrastiveModule(pl.LightningModule):
    """Draws two views of every pair and minimises the subclass's loss.

    Every step's randomness is keyed by the seed, the step and the rank, so that a resumed run continues exactly
    as an uninterrupted one: Lightning does not restore random state.
    """

    def __init__(self, encoder: nn.Module, settings: TrainingSettings) -> None:
        super().__init__()
        self.encoder = encoder.to(memory_format=torch.channels_last)
        self.settings = settings
        self.register_buffer("mean", torch.tensor(settings.mean), persistent=False)
        self.register_buffer("std", torch.tensor(settings.std), persistent=False)
        self.mean: Tensor
        self.std: Tensor

    @abstractmethod
    def contrast(self, first: Tensor, second: Tensor, batch: PairBatch) -> Tensor:
        """Scores two normalised views, n x C x size x size each.

        Returns:
            The loss.
        """

    @abstractmethod
    def optimiser(self) -> torch.optim.Optimizer:
        """The method's optimiser, its groups marked by `parameter_groups`."""

    def training_step(self, batch: PairBatch, batch_index: int) -> Tensor:
        """One step: two views and their loss."""
        generator = torch.Generator().manual_seed(self._step_seed())
        positives = batch.tiles if batch.positives is None else batch.positives
        first, second = (
            normalise(random_views(tiles, self.settings.views, generator), self.mean, self.std)
            for tiles in (batch.tiles, positives)
        )
        loss = self.contrast(first, second, batch)
        count = len(batch.tiles)
        rate = self.trainer.optimizers[0].param_groups[0]["lr"]
        self.log("loss", loss.detach(), on_step=False, on_epoch=True, prog_bar=True, sync_dist=True, batch_size=count)
        self.log("learning_rate", rate, on_step=False, on_epoch=True, sync_dist=True, batch_size=count)
        return loss

    def on_train_batch_start(self, batch: Any, batch_index: int) -> None:
        """Keys the global generator too, which stochastic depth and dropout draw from."""
        torch.manual_seed(self._step_seed())

    def configure_optimizers(self) -> Any:
        """Warm-up and cosine over the trainer's true number of steps."""
        total = int(self.trainer.estimated_stepping_batches)
        return with_warmup_cosine(self.optimiser(), total, round(self.settings.warmup_share * total))

    def _step_seed(self) -> int:
        key = (self.settings.seed, self.global_step, self.global_rank)
        return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0])
