"""SimCLR."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from contrastive_models.encoders import feature_width
from contrastive_models.heads import simclr_projector
from contrastive_models.losses import nt_xent_loss
from contrastive_models.module import ContrastiveModule, PairBatch, TrainingSettings
from contrastive_models.optimisation import lars, parameter_groups


class SimCLR(ContrastiveModule):
    """Contrasts every pair against the rest of the batch.

    Source: Chen et al. 2020 (https://arxiv.org/abs/2002.05709). With neighbour pairs it is the spatiotemporal
    contrastive learning of Jiang et al. 2022 (https://doi.org/10.1016/j.srs.2022.100052).

    Args:
        encoder: From n x C x H x W to n x features.
        settings: How to train.
        temperature: Of NT-Xent.
        projection_width: Hidden width of the projector.
        projection_size: Size of the space the loss sees.
    """

    def __init__(
        self,
        encoder: nn.Module,
        settings: TrainingSettings,
        temperature: float = 0.1,
        projection_width: int = 2048,
        projection_size: int = 128,
    ) -> None:
        super().__init__(encoder, settings)
        self.temperature = temperature
        self.projector = simclr_projector(feature_width(encoder), projection_width, projection_size)

    def contrast(self, first: Tensor, second: Tensor, batch: PairBatch) -> Tensor:
        """NT-Xent over all processes, exact false negatives masked."""
        z1, z2 = self.projector(self.encoder(torch.cat([first, second]))).chunk(2)
        gather = self.trainer.world_size > 1
        return nt_xent_loss(z1, z2, self.temperature, batch.tile_ids, batch.positive_ids, gather)

    def optimiser(self) -> torch.optim.Optimizer:
        """LARS."""
        groups = parameter_groups([self.encoder, self.projector], self.settings.weight_decay)
        return lars(groups, self.settings.learning_rate)
