"""The regression head on frozen embeddings, trained in memory."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from model_utils.estimators.estimator import Features, FittedEstimator, Prediction, without_sd

HIDDEN = 512
"""Units of each hidden layer."""
HISTORY = ("epoch", "train_loss", "validation_loss")


@dataclass(frozen=True)
class HeadSettings:
    """How a head trains; see `SuperviseConfig` for the fields, and `head_loss` for `spatial_weight`."""

    epochs: int = 500
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    dropout: float = 0.2
    patience: int = 50
    seed: int = 0
    spatial_weight: float = 0.0


class RegressionHead(nn.Sequential):
    """Embedding -> 512 -> 512 -> 1 with ReLU and dropout (Jiang et al. 2022, section 2.4).

    Standardisation of the inputs and of the target is part of the module, as buffers, so that its state says
    all: called, it takes embeddings as the encoder gives them, n x d, and returns ug/m3, n.

    Args:
        features: Width of the embedding.
        dropout: Share of hidden units dropped.
    """

    def __init__(self, features: int, dropout: float = 0.2) -> None:
        super().__init__(
            nn.Linear(features, HIDDEN),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(HIDDEN, 1),
        )
        self.register_buffer("feature_mean", torch.zeros(features))
        self.register_buffer("feature_std", torch.ones(features))
        self.register_buffer("target_mean", torch.zeros(()))
        self.register_buffer("target_std", torch.ones(()))
        self.feature_mean: Tensor
        self.feature_std: Tensor
        self.target_mean: Tensor
        self.target_std: Tensor

    def standardise_features(self, features: Tensor) -> None:
        """Takes their means and standard deviations from training rows."""
        self.feature_mean.copy_(features.mean(dim=0))
        # a dead unit has no spread: dividing by one keeps it at zero
        std = features.std(dim=0, correction=0)
        self.feature_std.copy_(torch.where(std > 1e-8, std, 1.0))

    def standardise_target(self, target: Tensor) -> None:
        """Takes its mean and standard deviation from training rows."""
        self.target_mean.copy_(target.mean())
        spread = target.std(correction=0)
        self.target_std.copy_(torch.where(spread > 1e-8, spread, 1.0))

    def standardised(self, features: Tensor) -> Tensor:
        """Embeddings in standard deviations of the training rows."""
        return (features - self.feature_mean) / self.feature_std

    def layers(self, standardised: Tensor) -> Tensor:
        """The network between the two standardisations: what training works on, n x d to n."""
        output: Tensor = super().forward(standardised)  # type: ignore[no-untyped-call]
        return output.squeeze(1)

    def forward(self, features: Tensor) -> Tensor:
        """Predicts PM2.5, ug/m3, n."""
        return self.layers(self.standardised(features)) * self.target_std + self.target_mean


@dataclass(frozen=True)
class FittedHead(FittedEstimator):
    """A head at its best epoch.

    Attributes:
        state: Of a `RegressionHead`.
        history: `HISTORY`; losses are `head_loss`, in variances of the target.
        best_epoch: Epoch with the lowest validation loss.
    """

    state: Mapping[str, NDArray[np.float32]]
    history: pd.DataFrame
    best_epoch: int

    def __post_init__(self) -> None:
        shapes = {name: array.shape for name, array in self.state.items()}
        first = shapes.get("0.weight", ())
        if len(first) != 2 or first[0] != HIDDEN:  # before anything of that width is made
            raise ValueError(f"head: found {first} first weights, expected {HIDDEN} x the features")
        if shapes != {name: tuple(tensor.shape) for name, tensor in RegressionHead(first[1]).state_dict().items()}:
            raise ValueError(f"head: found {shapes}, expected the layers of a head on {first[1]} features")
        if tuple(self.history) != HISTORY or not all(kind.kind in "if" for kind in self.history.dtypes):
            raise ValueError(f"history: found {', '.join(map(repr, self.history))}, expected numbers of {HISTORY}")

    def sees(self) -> int:
        """All its features."""
        return int(self.state["0.weight"].shape[1])

    def head(self) -> RegressionHead:
        """The module, in evaluation mode."""
        head = RegressionHead(self.sees())
        head.load_state_dict({name: torch.tensor(array) for name, array in self.state.items()})
        return head.eval()

    def predict(self, samples: pd.DataFrame, features: Features) -> Prediction:
        """Predicts from n x d embeddings."""
        assert isinstance(features, np.ndarray)
        head = self.head()
        with torch.inference_mode():  # torch takes no read-only memory map
            return without_sd(head(torch.from_numpy(np.array(features))).double().numpy())


def fitted_head(head: RegressionHead, history: list[tuple[int, float, float]], best_epoch: int) -> FittedHead:
    """What is kept of a trained head."""
    state = {name: tensor.numpy().copy() for name, tensor in head.state_dict().items()}
    return FittedHead(state, pd.DataFrame(history, columns=list(HISTORY)), best_epoch)


def head_loss(output: Tensor, target: Tensor, day: Tensor | None = None, spatial_weight: float = 0.0) -> Tensor:
    """Mean squared error + lambda x mean squared error of same-day anomalies, the spatial loss of Zheng et al. 2021.

    Nearly all variance of daily PM2.5 is shared by a city's stations; the second term makes the rest count.

    Args:
        output: n.
        target: n, in the same units.
        day: Number of each row's date, from 0; None is the mean squared error alone.
        spatial_weight: lambda.
    """
    if day is None:
        return F.mse_loss(output, target)
    error = output - target
    rows = torch.bincount(day)
    same_day = error.new_zeros(len(rows)).index_add(0, day, error) / rows.clamp(min=1)
    return error.square().mean() + spatial_weight * (error - same_day[day]).square().mean()


def shuffled_batches(count: int, day: Tensor | None, batch_size: int, generator: torch.Generator) -> Sequence[Tensor]:
    """Deals rows into batches: one by one, or by whole dates where `day` numbers them from 0 (without gaps)."""
    if day is None:
        return torch.split(torch.randperm(count, generator=generator), batch_size)
    days = int(day.max()) + 1
    a_batch = max(1, round(batch_size * days / count))
    batch = (torch.randperm(days, generator=generator) // a_batch)[day]
    return [torch.nonzero(batch == number).squeeze(1) for number in range(-(-days // a_batch))]


def fit_head(
    features: NDArray[np.float32],
    target: NDArray[np.float64],
    validation: NDArray[np.bool_],
    settings: HeadSettings,
    dates: NDArray[Any] | None = None,
) -> FittedHead:
    """Trains a head with AdamW and stops early on the validation rows.

    Rows lie in memory and are shuffled by one permutation an epoch: a data loader would cost more than the
    network. With a spatial loss dates are shuffled instead, and a batch holds the rows of as many whole dates as make
    about `batch_size` rows: anomalies are complete, and steps are as long as without it.

    Args:
        features: Embeddings, n x d.
        target: ug/m3, n.
        validation: Rows kept for early stopping; standardisation and gradients use the others only.
        settings: How to train.
        dates: Date of each row, n; needed for a spatial loss only.

    Returns:
        The head of the epoch with the lowest validation loss.

    Raises:
        ValueError: A spatial loss without dates.
    """
    if settings.spatial_weight > 0 and dates is None:
        raise ValueError(f"spatial_weight {settings.spatial_weight:g}: dates are missing, expected one for each row")
    torch.manual_seed(settings.seed)
    generator = torch.Generator().manual_seed(settings.seed)
    x, y = torch.from_numpy(features), torch.from_numpy(target).float()
    kept = torch.from_numpy(validation)
    head = RegressionHead(features.shape[1], settings.dropout)
    head.standardise_features(x[~kept])
    head.standardise_target(y[~kept])
    x, y = head.standardised(x), (y - head.target_mean) / head.target_std
    x_train, y_train, x_validation, y_validation = x[~kept], y[~kept], x[kept], y[kept]
    day, day_validation = None, None
    if dates is not None and settings.spatial_weight > 0:
        day, day_validation = (
            torch.from_numpy(np.unique(dates[rows], return_inverse=True)[1]) for rows in (~validation, validation)
        )
    optimiser = torch.optim.AdamW(
        head.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    history: list[tuple[int, float, float]] = []
    best, best_epoch, best_state = float("inf"), 0, copy.deepcopy(head.state_dict())
    for epoch in range(1, settings.epochs + 1):
        head.train()
        total = 0.0
        for rows in shuffled_batches(len(x_train), day, settings.batch_size, generator):
            days = None if day is None else day[rows]
            loss = head_loss(head.layers(x_train[rows]), y_train[rows], days, settings.spatial_weight)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            total += loss.item() * len(rows)
        head.eval()
        with torch.inference_mode():
            output = head.layers(x_validation)
            validation_loss = head_loss(output, y_validation, day_validation, settings.spatial_weight).item()
        history.append((epoch, total / len(x_train), validation_loss))
        if validation_loss < best:
            best, best_epoch, best_state = validation_loss, epoch, copy.deepcopy(head.state_dict())
        elif epoch - best_epoch >= settings.patience:
            break
    head.load_state_dict(best_state)
    head.eval()
    return fitted_head(head, history, best_epoch)
