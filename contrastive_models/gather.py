"""Gathering across processes without losing the gradient."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


class _Gather(torch.autograd.Function):
    """All-gather whose backward sums what every process says of this process's rows."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        ctx.count = len(rows)
        parts = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        first = ctx.count * dist.get_rank()
        return total[first : first + ctx.count]


def gather_with_gradient(rows: Tensor) -> Tensor:
    """Concatenates the rows of all processes in rank order, differentiably.

    Args:
        rows: n x d, the same shape in every process.

    Returns:
        (n * world size) x d.
    """
    gathered: Tensor = _Gather.apply(rows)
    return gathered
