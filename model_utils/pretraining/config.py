"""The flags of `pm25 pretrain`, and its presets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from model_utils.project import SHIPPED_ROOT


@dataclass(frozen=True)
class PretrainConfig:
    """One pre-training experiment.

    Args:
        city: Name of the city; its archive is data/<city> under the root.
        method: SimCLR (contrast against other tiles) or SimSiam (no negatives).
        pairs: regular (two views of a tile) or spatiotemporal (SCL: the nearest other site at the same time).
        preset: paper (Jiang et al. 2022), demo (minutes on 2 cores) or smoke (seconds, no science).
        encoder: Any timm model name.
        crop_size: Side of the square views, pixels.
        crop_scale_min: Smallest share of a tile's area that a view shows.
        epochs: Passes over the tiles.
        batch_size: Tiles a step over all devices; for spatiotemporal pairs the most tiles of one timestamp.
        min_tiles: A timestamp with fewer tiles that have a neighbour is left out (spatiotemporal pairs).
        max_km: Largest distance of a neighbour, km (spatiotemporal pairs).
        temperature: Temperature of NT-Xent (SimCLR).
        learning_rate: Per 256 tiles a step; scaled linearly with the batch size.
        weight_decay: Not applied to norm layers and biases.
        warmup_share: Share of all steps with a linearly rising learning rate, before the cosine.
        projection_width: Hidden width of the projector.
        projection_size: Size of the space the loss sees.
        transductive: Also use images of test stations, as the paper did; the statistics will say so.
        seed: Keys every random draw.
        workers: Processes that read tiles; 0 reads in the training process.
        precision: auto (bf16 where the processor has it), or a Lightning precision such as 32-true.
        accelerator: Passed to the Lightning Trainer.
        devices: Passed to the Lightning Trainer.
        strategy: Passed to the Lightning Trainer.
        probe_every: Epochs between probes of the embeddings; 0 never.
        resume: Go on from the last checkpoint of the same experiment.
        overwrite: Replace the weights and the run of an earlier experiment of this name.
        root: Folder that holds data/ and results/.
    """

    city: str
    method: Literal["SimCLR", "SimSiam"]
    pairs: Literal["regular", "spatiotemporal"]
    preset: Literal["paper", "demo", "smoke"] = "paper"
    encoder: str = "resnet50"
    crop_size: int = 100
    crop_scale_min: float = 0.2
    epochs: int = 250
    batch_size: int | None = None
    min_tiles: int = 8
    max_km: float = 10.0
    temperature: float = 0.1
    learning_rate: float | None = None
    weight_decay: float | None = None
    warmup_share: float = 0.04
    projection_width: int = 2048
    projection_size: int | None = None
    transductive: bool = False
    seed: int = 0
    workers: int = 0
    precision: str = "auto"
    accelerator: str = "auto"
    devices: str = "auto"
    strategy: str = "auto"
    probe_every: int = 10
    resume: bool = False
    overwrite: bool = False
    root: Path = SHIPPED_ROOT

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {},
        "demo": {
            "encoder": "resnet18",
            "crop_size": 64,
            "epochs": 10,
            "batch_size": 128,
            "projection_width": 512,
            "probe_every": 1,
        },
        "smoke": {
            "encoder": "test_resnet",
            "crop_size": 32,
            "epochs": 2,
            "batch_size": 32,
            "projection_width": 64,
            "probe_every": 1,
        },
    }
