"""Image encoders from timm."""

from __future__ import annotations

from pathlib import Path

import timm
import torch
from timm.models import get_pretrained_cfg
from torch import Tensor, nn


def create_encoder(
    name: str, bands: int, image_size: int, pretrained: bool = False, file: Path | None = None
) -> nn.Module:
    """Creates an encoder without a classification head.

    Args:
        name: Any timm model name.
        bands: Number of input bands; pretrained three-band weights are adapted by timm.
        image_size: Side of its inputs, pixels; used only by models that are built for one size.
        pretrained: Load the weights timm knows for this name (ImageNet), from `file` or the hub.
        file: A local weights file in place of the hub.

    Returns:
        A module from n x bands x H x W to n x feature_width(module).

    Raises:
        ValueError: timm has no model of that name, or it cannot take these bands.
    """
    if not timm.is_model(name):
        close = ", ".join(timm.list_models(f"*{name[:6]}*")[:5]) or "resnet50"
        raise ValueError(f"encoder {name!r}: timm has no such model, expected one like {close}")
    settings: dict[str, object] = {}
    configuration = get_pretrained_cfg(name)
    if configuration is not None and configuration.fixed_input_size:
        settings["img_size"] = image_size
    if file is not None:
        settings["pretrained_cfg_overlay"] = {"file": str(file), "hf_hub_id": None, "url": ""}
    encoder: nn.Module = timm.create_model(name, pretrained=pretrained, in_chans=bands, num_classes=0, **settings)
    return encoder


def feature_width(encoder: nn.Module) -> int:
    """Width of the features an encoder gives, read from the model."""
    width = getattr(encoder, "head_hidden_size", None) or encoder.num_features
    return int(width)  # type: ignore[arg-type]


def normalise(tiles: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Scales 0..255 images to the encoder's input, channels last in memory.

    Args:
        tiles: n x C x H x W, 0..255, any type.
        mean: Mean of each band, C, in 0..1.
        std: Standard deviation of each band, C, in 0..1.

    Returns:
        float32, n x C x H x W with zero mean and unit variance by band.
    """
    scale = 1 / (255 * std)
    scaled = tiles.to(torch.float32) * scale[:, None, None] - (mean / std)[:, None, None]
    return scaled.contiguous(memory_format=torch.channels_last)
