"""The contrastive losses."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from contrastive_models.gather import gather_with_gradient


def nt_xent_loss(
    z1: Tensor,
    z2: Tensor,
    temperature: float,
    ids1: Tensor | None = None,
    ids2: Tensor | None = None,
    gather: bool = False,
) -> Tensor:
    """Normalised temperature-scaled cross entropy that knows exact false negatives.

    Row i of `z1` and row i of `z2` are a positive pair. With neighbour pairs a tile of the batch is its own
    anchor and some other tile's positive, so the batch shows it more than once; scoring those entries as
    negatives would push a place away from itself. Given the tiles' ids, every row masks all entries, except its
    positive, that show the anchor's tile or the positive's tile. With ids that are all different this is
    plain NT-Xent.

    Source: Chen et al. 2020, "A Simple Framework for Contrastive Learning of Visual Representations"
    (https://arxiv.org/abs/2002.05709), equation 1; the masking is ours.

    Args:
        z1: Projections of the first views, n x d.
        z2: Projections of the second views, n x d.
        temperature: Divides the cosine similarities; positive.
        ids1: Integer ids of the tiles behind `z1`, n; all different tiles if not given.
        ids2: Integer ids of the tiles behind `z2`, n; equal to `ids1` for two views of one tile.
        gather: Take negatives from all processes of the default group; every process needs the same n.

    Returns:
        The mean over the 2 n rows of this process, a float32 (float64 for float64 input) scalar. Averaged over
        processes, as DistributedDataParallel does, values and gradients are those of one process with all rows.

    Raises:
        ValueError: Shapes differ, only one id tensor is given, or the temperature is not positive.

    Example:
        >>> z = F.normalize(torch.randn(8, 16), dim=1)
        >>> bool(nt_xent_loss(z, z, temperature=0.1) < nt_xent_loss(z, z.roll(1, 0), temperature=0.1))
        True
    """
    if z1.shape != z2.shape or z1.ndim != 2:
        raise ValueError(f"z1 and z2 must both be n x d, found {tuple(z1.shape)} and {tuple(z2.shape)}")
    if (ids1 is None) != (ids2 is None):
        raise ValueError("give both ids1 and ids2, or neither")
    if temperature <= 0:
        raise ValueError(f"temperature must be positive, found {temperature}")
    rows = len(z1)
    if ids1 is None or ids2 is None:
        ids1 = ids2 = torch.arange(rows, device=z1.device)
        if gather:
            ids1 = ids2 = ids1 + rows * torch.distributed.get_rank()
    # bfloat16 has 8 bits: at temperature 0.05 its rounding moves logits by up to 0.08
    with torch.autocast(device_type=z1.device.type, enabled=False):
        z1, z2 = (F.normalize(z if z.dtype == torch.float64 else z.float(), dim=1) for z in (z1, z2))
        all1, all2 = (gather_with_gradient(z) if gather else z for z in (z1, z2))
        anchors, candidates = torch.cat([z1, z2]), torch.cat([all1, all2])
        logits = anchors @ candidates.T / temperature

        own = torch.cat([ids1, ids2])
        partner = torch.cat([ids2, ids1])
        shown = own if not gather else torch.cat([_gather(ids1), _gather(ids2)])
        same_tile = (own[:, None] == shown) | (partner[:, None] == shown)
        first = rows * torch.distributed.get_rank() if gather else 0
        local = torch.arange(first, first + rows, device=z1.device)
        positive = torch.cat([local + len(all1), local])
        mask = same_tile.scatter(1, positive[:, None], False)
        return F.cross_entropy(logits.masked_fill(mask, float("-inf")), positive)


def negative_cosine_similarity(p: Tensor, z: Tensor) -> Tensor:
    """Mean of -cos(p, z) over the rows; the caller stops the gradient of `z`.

    Source: Chen and He 2021, "Exploring Simple Siamese Representation Learning"
    (https://arxiv.org/abs/2011.10566), equation 1.

    Args:
        p: Predictions, n x d.
        z: Targets, n x d, detached by the caller.

    Returns:
        A scalar in [-1, 1].
    """
    with torch.autocast(device_type=p.device.type, enabled=False):
        p, z = (x if x.dtype == torch.float64 else x.float() for x in (p, z))
        return -F.cosine_similarity(p, z, dim=1).mean()


def _gather(ids: Tensor) -> Tensor:
    parts = [torch.empty_like(ids) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(parts, ids.contiguous())
    return torch.cat(parts)
