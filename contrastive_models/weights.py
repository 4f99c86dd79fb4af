"""Encoder weights as safetensors, with what one must know to use them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

if TYPE_CHECKING:  # what a file says of itself is read without torch, whose import takes seconds
    from torch import Tensor, nn

_KEY = "pm25_contrastive"

LEGACY_SUFFIXES = (".pkl", ".pickle", ".pt", ".pth", ".ckpt")
"""What weights files of the 2022 code are called; those of this software are .safetensors."""

_LEGACY_BEGINNINGS = (b"PK\x03\x04", b"\x80")
"""What torch writes: a zip file, or, before version 1.6, pickles."""


class WeightsError(ValueError):
    """A weights file cannot be used; the message is one line that says why."""


@dataclass(frozen=True)
class EncoderMetadata:
    """What a weights file says of itself.

    Attributes:
        encoder: timm model name; `timm.create_model(encoder, in_chans=len(bands), num_classes=0)` takes the tensors
            (with `img_size=image_size` for models of one input size).
        bands: Names of the input bands in order.
        mean: Mean of each band in 0..1 that inputs are normalised with.
        std: Standard deviation of each band in 0..1.
        ground_sample_distance_m: Metres per pixel of the tiles it was trained on.
        image_size: Side of the views it was trained on, pixels.
        method: SimCLR or SimSiam.
        pairs: regular or spatiotemporal.
        epochs: Passes over the tiles.
        archive_sha256: Content hash of the tiles' archive.
        package_version: Version of this software.
        seed: Seed of the run.
        machine: What digits depend on besides the seed, such as precision, processor and threads; empty where that is
            not known.
        seen_ground: Which ground its images showed, as whoever trained it writes that; empty where it is not known.
    """

    encoder: str
    bands: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    ground_sample_distance_m: float
    image_size: int
    method: str
    pairs: str
    epochs: int
    archive_sha256: str
    package_version: str
    seed: int
    machine: Mapping[str, Any] = field(default_factory=dict)
    seen_ground: str = field(default="", repr=False)


def save_encoder(path: Path, encoder: nn.Module, metadata: EncoderMetadata) -> None:
    """Writes an encoder's state and metadata to `path` (the caller makes it atomic)."""
    from safetensors.torch import save

    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in encoder.state_dict().items()}
    # `save_file` goes through one more temporary file, which stays where the process is killed
    path.write_bytes(save(tensors, metadata={"format": "pt", _KEY: json.dumps(asdict(metadata))}))


def read_encoder(path: Path) -> tuple[dict[str, Tensor], EncoderMetadata]:
    """Reads tensors and metadata.

    Raises:
        WeightsError: As `read_metadata` says.
    """
    metadata = read_metadata(path)
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: not a safetensors file ({' '.join(str(error).split())})") from None


def read_metadata(path: Path) -> EncoderMetadata:
    """Reads what a weights file says of itself, and no tensor.

    Raises:
        WeightsError: The file is missing, broken, or was not written by `save_encoder`.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: not found, expected encoder weights")
    try:
        with path.open("rb"):  # else all that safetensors says of a file it may not read is that it is none
            pass
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({(error.strerror or str(error)).lower()})") from None
    try:
        with safe_open(path, framework="np") as file:
            described = (file.metadata() or {}).get(_KEY)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: not a safetensors file ({' '.join(str(error).split())})") from None
    if described is None:
        raise WeightsError(f"{path}: has no {_KEY} metadata, expected weights written by pm25 pretrain")
    try:
        raw = json.loads(described)
        if not isinstance(raw, dict):
            raise TypeError("metadata is not a mapping")
        if not isinstance(raw.get("machine", {}), dict):
            raise TypeError("machine is not a mapping")
        known = {item.name for item in fields(EncoderMetadata)} - ({"seen_ground", "machine"} - raw.keys())
        values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()}
        return EncoderMetadata(**{key: values[key] for key in known})
    except (json.JSONDecodeError, TypeError, KeyError) as error:
        raise WeightsError(f"{path}: metadata is incomplete ({error})") from None


def refuse_as_legacy(path: Path) -> None:
    """Looks at a file's first bytes; torch is not imported.

    Raises:
        WeightsError: It is missing, may not be read, or cannot be weights of the 2022 code.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: not found, expected encoder weights")
    try:
        with path.open("rb") as file:
            beginning = file.read(8)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({(error.strerror or str(error)).lower()})") from None
    if not beginning.startswith(_LEGACY_BEGINNINGS):
        raise WeightsError(f"{path}: not a PyTorch file, expected safetensors or a state dict")


def weights_hash(encoder: nn.Module) -> str:
    """SHA-256 of an encoder's state: the same for the same numbers, wherever they came from."""
    digest = hashlib.sha256()
    for name, tensor in sorted(encoder.state_dict().items()):
        array = tensor.detach().cpu().contiguous().numpy()
        digest.update(f"{name}{array.shape}{array.dtype}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
