"""Numbers that tell whether a representation collapses."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def feature_std(features: Tensor) -> Tensor:
    """Standard deviation of L2-normalised features, averaged over the dimensions.

    Features spread over the sphere give 1/sqrt(d); collapsed ones give 0 (Chen and He 2021, section 4.1).

    Args:
        features: n x d.

    Returns:
        A scalar.
    """
    return F.normalize(features.float(), dim=1).std(dim=0).mean()


def effective_rank(features: Tensor) -> Tensor:
    """Exponential of the entropy of the normalised singular values of the centred features.

    Source: Roy and Vetterli 2007, "The effective rank"; used on embeddings as RankMe by Garrido et al. 2023.

    Args:
        features: n x d.

    Returns:
        A scalar between 1 and min(n - 1, d); 0 if the features do not vary.
    """
    centred = features.double() - features.double().mean(dim=0)
    gram = centred @ centred.T if len(centred) < centred.shape[1] else centred.T @ centred
    values = torch.linalg.eigvalsh(gram).clamp(min=0).sqrt()
    share = values / values.sum().clamp(min=torch.finfo(torch.float64).tiny)
    entropy = -torch.xlogy(share, share).sum()
    return torch.where(values.sum() > 0, entropy.exp(), 0.0).to(torch.float32)
