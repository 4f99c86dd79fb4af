"""Parameter groups and schedules."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import timm.optim
from torch import nn
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LambdaLR


def parameter_groups(
    modules: Iterable[nn.Module], weight_decay: float, constant_rate: bool = False
) -> list[dict[str, Any]]:
    """Splits parameters into those with weight decay and those without.

    Norm layers' parameters (by module type) and biases and scales (by ndim <= 1) get no decay, and therefore no
    LARS adaptation; names play no part.

    Args:
        modules: Modules whose parameters to take.
        weight_decay: For the first group.
        constant_rate: Marks the groups for `with_warmup_cosine` to leave their rate alone.

    Returns:
        Groups for a torch optimiser; empty ones are left out.
    """
    norm_types = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.LocalResponseNorm)
    decayed: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    for module in modules:
        for part in module.modules():
            for parameter in part.parameters(recurse=False):
                exempt = isinstance(part, norm_types) or parameter.ndim <= 1
                (plain if exempt else decayed).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": weight_decay, "constant_rate": constant_rate},
        {"params": plain, "weight_decay": 0.0, "constant_rate": constant_rate},
    ]
    return [group for group in groups if group["params"]]


def lars(groups: list[dict[str, Any]], learning_rate: float) -> Optimizer:
    """LARS with momentum 0.9 (You et al. 2017), which leaves groups without weight decay to plain SGD."""
    optimiser: Optimizer = timm.optim.Lars(groups, lr=learning_rate, momentum=0.9)
    return optimiser


def sgd(groups: list[dict[str, Any]], learning_rate: float) -> Optimizer:
    """SGD with momentum 0.9."""
    return SGD(groups, lr=learning_rate, momentum=0.9)


def warmup_cosine(step: int, total_steps: int, warmup_steps: int) -> float:
    """Factor of the learning rate at a step: linear from near 0 to 1, then half a cosine to 0.

    Args:
        step: Steps taken so far, 0..total_steps.
        total_steps: Steps of the whole run.
        warmup_steps: Steps of the linear part.

    Returns:
        A factor in (0, 1], 0 at the very end.
    """
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def with_warmup_cosine(optimiser: Optimizer, total_steps: int, warmup_steps: int) -> dict[str, Any]:
    """Lightning's optimiser-and-scheduler description, stepped once a batch.

    Groups marked `constant_rate` keep their learning rate: the SimSiam predictor (Chen and He 2021, section 4.2).
    """

    def scheduled(step: int) -> float:
        return warmup_cosine(step, total_steps, warmup_steps)

    def constant(step: int) -> float:
        return 1.0

    factors: list[Callable[[int], float]] = [
        constant if group["constant_rate"] else scheduled for group in optimiser.param_groups
    ]
    return {
        "optimizer": optimiser,
        "lr_scheduler": {"scheduler": LambdaLR(optimiser, factors), "interval": "step"},
    }
