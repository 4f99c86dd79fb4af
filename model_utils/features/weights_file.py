"""Whether a weights file is what an experiment asks for, as its header says; torch is not imported."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

from contrastive_models.weights import LEGACY_SUFFIXES, EncoderMetadata, WeightsError, read_metadata
from model_utils.errors import InputError, flag
from model_utils.features.starts import EncoderSource
from model_utils.project import weights_path


def is_legacy(path: Path) -> bool:
    """Whether a file is called as those of the 2022 code are."""
    return path.suffix.lower() in LEGACY_SUFFIXES


def checked_metadata(source: EncoderSource, bands: tuple[str, ...]) -> tuple[Path, EncoderMetadata]:
    """The weights file of a pre-trained start, and what it says of itself.

    Args:
        source: Names the start.
        bands: Of the archive.

    Raises:
        InputError: It is missing, broken, or for another encoder, other bands, or another start.
    """
    method, pairs = ("", "") if source.start == "weights_2022" else str(source.start).split("_")
    path = source.weights or weights_path(source.root, source.city, method, pairs, source.encoder)
    try:
        metadata = read_metadata(path)
    except WeightsError as error:
        named = source.weights is not None
        raise InputError(f"{error}{'' if named or path.exists() else _how_made(source, method, pairs)}") from None
    for what, found, expected in (
        ("encoder", metadata.encoder, source.encoder),
        ("bands", metadata.bands, bands),
        ("method", metadata.method, method),
        ("pairs", metadata.pairs, pairs),
    ):
        if found and expected and found != expected:  # weights of 2022 may not say their method or pairs
            raise InputError(f"{path}: {what}: found {found}, expected {expected}")
    return path, metadata


def _how_made(source: EncoderSource, method: str, pairs: str) -> str:
    """The command that makes just the file that is missing."""
    settings = {
        "city": source.city,
        "method": method,
        "pairs": pairs,
        "preset": source.preset,
        "encoder": source.encoder,
        "root": str(source.root),
    }
    flags = " ".join(f"{flag(name)} {quote(value)}" for name, value in settings.items())
    return f": pm25 pretrain {flags} makes them"
