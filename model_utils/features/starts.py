"""The starts of an encoder by name; light, so that `--help` is quick."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Start = Literal[
    "SimCLR_regular",
    "SimCLR_spatiotemporal",
    "SimSiam_regular",
    "SimSiam_spatiotemporal",
    "randomly_initialized",
    "transfer_learning",
    "weights_2022",
]


@dataclass(frozen=True)
class EncoderSource:
    """Where an encoder comes from; see `SuperviseConfig` for the fields."""

    city: str
    start: Start
    encoder: str
    root: Path
    weights: Path | None = None
    imagenet_weights: Path | None = None
    seed: int = 0
    preset: str = "paper"
