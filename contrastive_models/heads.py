"""Projection and prediction heads."""

from __future__ import annotations

from torch import nn


def simclr_projector(features: int, hidden: int, size: int) -> nn.Sequential:
    """Two layers: linear, batch norm, ReLU, linear (Chen et al. 2020, section 2.1)."""
    return nn.Sequential(
        nn.Linear(features, hidden, bias=False),
        nn.BatchNorm1d(hidden),
        nn.ReLU(inplace=True),
        nn.Linear(hidden, size, bias=False),
    )


def simsiam_projector(features: int, hidden: int, size: int) -> nn.Sequential:
    """Three layers, batch norm in each, the last one without scale and shift (Chen and He 2021, section 3)."""
    return nn.Sequential(
        nn.Linear(features, hidden, bias=False),
        nn.BatchNorm1d(hidden),
        nn.ReLU(inplace=True),
        nn.Linear(hidden, hidden, bias=False),
        nn.BatchNorm1d(hidden),
        nn.ReLU(inplace=True),
        nn.Linear(hidden, size, bias=False),
        nn.BatchNorm1d(size, affine=False),
    )


def simsiam_predictor(size: int) -> nn.Sequential:
    """A bottleneck of a quarter of the width: 2048-512-2048 in the paper (Chen and He 2021, section 3)."""
    return nn.Sequential(
        nn.Linear(size, size // 4, bias=False),
        nn.BatchNorm1d(size // 4),
        nn.ReLU(inplace=True),
        nn.Linear(size // 4, size),
    )
