"""Image encoders from timm."""

from __future__ import annotations

import pickle
from pathlib import Path

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.models import adapt_input_conv, get_pretrained_cfg
from torch import Tensor, nn


def has_fixed_size(name: str) -> bool:
    """True for models that take inputs of one size only, such as plain vision transformers."""
    configuration = get_pretrained_cfg(name)
    return bool(configuration is not None and configuration.fixed_input_size)


def create_encoder(name: str, bands: int, image_size: int, pretrained: bool = False) -> nn.Module:
    """Creates an encoder without a classification head.

    Args:
        name: Any timm model name.
        bands: Number of input bands; pretrained three-band weights are adapted by timm.
        image_size: Side of its inputs, pixels; used only by models that are built for one size.
        pretrained: Load the weights timm knows for this name (ImageNet) from its hub.

    Returns:
        A module from n x bands x H x W to n x feature_width(module).

    Raises:
        ValueError: timm has no model of that name, or it cannot take these bands.
    """
    if not timm.is_model(name):
        close = ", ".join(timm.list_models(f"*{name[:6]}*")[:5]) or "resnet50"
        raise ValueError(f"encoder {name!r}: timm has no such model, expected one like {close}")
    settings = {"img_size": image_size} if has_fixed_size(name) else {}
    try:
        encoder: nn.Module = timm.create_model(name, pretrained=pretrained, in_chans=bands, num_classes=0, **settings)
    except AssertionError as error:  # an input size that the model cannot be built for
        raise ValueError(f"encoder {name!r} of {image_size} px: {error}") from None
    return encoder


def load_weights_file(encoder: nn.Module, path: Path) -> None:
    """Loads a local file of ImageNet weights, its classifier left out and its first layer adapted to the bands.

    Args:
        encoder: From `create_encoder`.
        path: safetensors, or a PyTorch state dict (read with `weights_only=True`, so that it cannot run code).

    Raises:
        ValueError: The file is neither, or does not hold every tensor of the encoder.
    """
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(f"{path}: not a weights file ({' '.join(str(error).split())[:120]})") from None
    if not isinstance(state, dict) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise ValueError(f"{path}: found no state dict, expected tensors by name")
    described = encoder.pretrained_cfg
    first = described.get("first_conv")  # type: ignore[union-attr, operator]
    if isinstance(first, str) and f"{first}.weight" in state:
        bands = encoder.state_dict()[f"{first}.weight"].shape[1]
        state[f"{first}.weight"] = adapt_input_conv(bands, state[f"{first}.weight"])
    try:
        missing, _ = encoder.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise ValueError(f"{path}: other shapes than the encoder's ({' '.join(str(error).split())[:120]})") from None
    if missing:
        raise ValueError(f"{path}: {len(missing)} tensors of the encoder are not in it, such as {missing[0]}")


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
