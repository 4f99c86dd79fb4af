"""SimSiam."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from contrastive_models.encoders import feature_width
from contrastive_models.heads import simsiam_predictor, simsiam_projector
from contrastive_models.losses import negative_cosine_similarity
from contrastive_models.module import ContrastiveModule, PairBatch, TrainingSettings
from contrastive_models.optimisation import parameter_groups, sgd


class SimSiam(ContrastiveModule):
    """Predicts one view's projection from the other's, without negatives.

    Source: Chen and He 2021 (https://arxiv.org/abs/2011.10566).

    Args:
        encoder: From n x C x H x W to n x features.
        settings: How to train.
        projection_width: Hidden width of the projector.
        projection_size: Size of the space the loss sees.
    """

    def __init__(
        self,
        encoder: nn.Module,
        settings: TrainingSettings,
        projection_width: int = 2048,
        projection_size: int = 2048,
    ) -> None:
        super().__init__(encoder, settings)
        self.projector = simsiam_projector(feature_width(encoder), projection_width, projection_size)
        self.predictor = simsiam_predictor(projection_size)

    def contrast(self, first: Tensor, second: Tensor, batch: PairBatch) -> Tensor:
        """Symmetric negative cosine similarity; each view passes alone, so batch norm sees one view."""
        z1, z2 = self.projector(self.encoder(first)), self.projector(self.encoder(second))
        p1, p2 = self.predictor(z1), self.predictor(z2)
        return 0.5 * (negative_cosine_similarity(p1, z2.detach()) + negative_cosine_similarity(p2, z1.detach()))

    def optimiser(self) -> torch.optim.Optimizer:
        """SGD; the predictor keeps a constant rate."""
        decay = self.settings.weight_decay
        groups = parameter_groups([self.encoder, self.projector], decay)
        groups += parameter_groups([self.predictor], decay, constant_rate=True)
        return sgd(groups, self.settings.learning_rate)
