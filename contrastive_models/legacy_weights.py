"""Encoder weights of the 2022 research code: PyTorch state dicts of ResNets, named as torchvision names them."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from contrastive_models.encoders import create_encoder
from contrastive_models.weights import WeightsError

_BLOCKS: dict[tuple[tuple[int, ...], bool], str] = {
    ((2, 2, 2, 2), False): "resnet18",
    ((3, 4, 6, 3), False): "resnet34",
    ((3, 4, 6, 3), True): "resnet50",
    ((3, 4, 23, 3), True): "resnet101",
}
"""Blocks of the four stages, and whether they are bottlenecks (He et al. 2016, https://arxiv.org/abs/1512.03385)."""

_ENCODER = ("conv1.", "bn1.", "layer1.", "layer2.", "layer3.", "layer4.")
_HEADS = ("fc.", "projection", "projector", "prediction", "predictor")


@dataclass(frozen=True)
class LegacyEncoder:
    """What such a file holds; of bands, normalisation and training it says nothing.

    Attributes:
        name: timm model name.
        channels: Number of input bands.
        module: The encoder in float32, from n x channels x H x W to n x features.
    """

    name: str
    channels: int
    module: nn.Module


def read_legacy_encoder(path: Path) -> LegacyEncoder:
    """Reads a state dict, or a Lightning checkpoint that holds one, without running code that may be in it.

    timm's ResNets and torchvision's (of which lightning-bolts kept a copy) have the same tensor names and compute the
    same, so no tensor is renamed but for a common beginning such as `encoder.`; a classifier or projection is left out.

    Raises:
        WeightsError: The file is missing, broken, asks for code to run, or is no such ResNet.
    """
    state = _encoder_state(_state_dict(path), path)
    name = _architecture(state, path)
    channels = state["conv1.weight"].shape[1]
    module = create_encoder(name, channels, 224)
    counters = {key: value for key, value in module.state_dict().items() if key.endswith("num_batches_tracked")}
    try:
        module.load_state_dict({**counters, **state}, strict=True)
    except RuntimeError as error:
        raise WeightsError(f"{path}: does not fit {name} ({' '.join(str(error).split())[:160]})") from None
    if not all(bool(torch.isfinite(tensor).all()) for tensor in state.values()):
        raise WeightsError(f"{path}: holds numbers that are not finite, expected a trained encoder")
    return LegacyEncoder(name, channels, module)


def _state_dict(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise WeightsError(f"{path}: not found, expected encoder weights")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of how old files store tensors; they are read all the same
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch hands on whatever broken bytes raise, and refuses code as an UnpicklingError
        reason = " ".join(str(error).split()).split("trusted source. ")[-1].split("error: ")[-1]
        refused = isinstance(error, pickle.UnpicklingError)
        what = "refused, for it holds more than tensors or is broken" if refused else "not a PyTorch file"
        expected = "expected safetensors or a state dict"
        raise WeightsError(f"{path}: {what}; nothing of it was run ({reason[:80]}), {expected}") from None
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping):
        raise WeightsError(f"{path}: found {type(content).__name__}, expected tensors by name")
    tensors = {key: value for key, value in content.items() if isinstance(key, str) and isinstance(value, Tensor)}
    if not tensors or len(tensors) != len(content):
        raise WeightsError(f"{path}: {len(tensors)} of {len(content)} entries are tensors, expected only tensors")
    return tensors


def _encoder_state(tensors: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The encoder's tensors without the beginning that their names share."""
    first, inner = "conv1.weight", "layer1.0.conv1.weight"
    beginnings = [key.removesuffix(first) for key in tensors if key.endswith(first)]
    found = [name for name in beginnings if name + inner in tensors and "target" not in name]
    if len(found) != 1:
        some = (
            f"{len(found)} ({', '.join(map(repr, found))})"
            if found
            else f"none (first tensor: {next(iter(tensors))!r})"
        )
        raise WeightsError(f"{path}: expected one ResNet by torchvision's names, found {some}"[:300])
    named = {key.removeprefix(found[0]): value for key, value in tensors.items() if key.startswith(found[0])}
    state = {
        key: value.float() if value.is_floating_point() else value
        for key, value in named.items()
        if key.startswith(_ENCODER)
    }
    unknown = [key for key in named if key not in state and not key.startswith(_HEADS)]
    if unknown:
        raise WeightsError(f"{path}: unknown tensor {found[0] + unknown[0]!r}, expected a ResNet's")
    return state


def _architecture(state: dict[str, Tensor], path: Path) -> str:
    stages = tuple(len({key.split(".")[1] for key in state if key.startswith(f"layer{n}.")}) for n in range(1, 5))
    bottleneck = "layer1.0.conv3.weight" in state
    name = _BLOCKS.get((stages, bottleneck))
    if name is None:
        raise WeightsError(f"{path}: found a ResNet of {stages} blocks, expected resnet18, 34, 50 or 101")
    stem = tuple(state["conv1.weight"].shape)
    if len(stem) != 4 or stem[0] != 64 or stem[2:] != (7, 7):
        shape = " x ".join(map(str, stem))
        raise WeightsError(
            f"{path}: conv1 is {shape}, expected 64 x bands x 7 x 7 (a 3 x 3 one is the stem for very small images, "
            "first_conv=False, which cannot be used here)"
        )
    return name
