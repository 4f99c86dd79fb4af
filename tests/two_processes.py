"""What each of two processes does with half a batch; apart from the tests, whose imports would cost it seconds."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import nn

from contrastive_models.losses import nt_xent_loss


class SmallNetwork(nn.Sequential):
    """No batch norm: SyncBatchNorm runs on GPUs only, and plain batch norm sees half a batch."""

    def __init__(self):
        torch.manual_seed(0)
        super().__init__(nn.Linear(6, 16), nn.LayerNorm(16), nn.GELU(), nn.Linear(16, 8))


def batch_of_pairs():
    x1, x2 = torch.randn(2, 12, 6, generator=torch.Generator().manual_seed(5))
    ids1 = torch.arange(12)
    ids2 = torch.tensor([1, 0, 3, 2, 7, 6, 5, 4, 0, 10, 9, 2])  # neighbours cross the two halves
    return x1, x2, ids1, ids2


def half_batch_gradients(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    network = nn.parallel.DistributedDataParallel(SmallNetwork())
    x1, x2, ids1, ids2 = (part[6 * rank : 6 * rank + 6] for part in batch_of_pairs())
    z1, z2 = network(torch.cat([x1, x2])).chunk(2)
    loss = nt_xent_loss(z1, z2, 0.1, ids1, ids2, gather=True)
    loss.backward()
    unique = nt_xent_loss(z1.detach(), z2.detach(), 0.1, gather=True)
    gradients = [parameter.grad for parameter in network.module.parameters()]
    torch.save((gradients, loss.detach(), unique), f"{folder}/rank{rank}.pt")
    dist.destroy_process_group()
