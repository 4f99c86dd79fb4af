"""The flags of `pm25 pretrain`, and its presets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from model_utils.errors import flag
from model_utils.project import SHIPPED_ROOT

PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed")


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
        batch_size: Tiles a step over all devices; by default 32 for regular pairs, and for spatiotemporal pairs
            the tiles of one timestamp up to 256.
        min_tiles: A timestamp with fewer tiles that have a neighbour is left out (spatiotemporal pairs).
        max_km: Largest distance of a neighbour, km (spatiotemporal pairs).
        max_cloud_fraction: Leave out tiles whose known cloud fraction is larger.
        temperature: Temperature of NT-Xent (SimCLR).
        learning_rate: Peak rate; by default 0.075 sqrt(b) for SimCLR (LARS) and 0.05 b / 256 for SimSiam (SGD), for
            b tiles in a batch on average.
        weight_decay: Not applied to norm layers and biases; by default 1e-6 for SimCLR and 1e-4 for SimSiam.
        warmup_share: Share of all steps with a linearly rising learning rate, before the cosine.
        projection_width: Hidden width of the projector.
        projection_size: Size of the space the loss sees; by default 128 for SimCLR, the width for SimSiam.
        exclude_stations: Leave out the tiles of all stations, not only of the held-out ones, so that the weights are
            inductive for every split of the stations; the grid's tiles remain. In a city without a hold-out list
            that is so in any case.
        transductive: Also use images of test stations, as the paper did; the statistics will say so.
        seed: Keys every random draw.
        workers: Processes that read tiles; 0 reads in the training process.
        precision: auto (bf16 where the processor has it), 32-true, bf16-mixed or 16-mixed.
        accelerator: Passed to the Lightning Trainer.
        devices: Passed to the Lightning Trainer.
        strategy: Passed to the Lightning Trainer.
        probe_every: Epochs between probes of the embeddings; 0 never.
        resume: Go on from the last checkpoint of the same experiment.
        overwrite: Replace the weights and the run of an earlier experiment of this name; they stay until this one is
            finished.
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
    max_cloud_fraction: float = 0.5
    temperature: float = 0.1
    learning_rate: float | None = None
    weight_decay: float | None = None
    warmup_share: float = 0.04
    projection_width: int = 2048
    projection_size: int | None = None
    exclude_stations: bool = False
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

    @property
    def resolved_batch_size(self) -> int:
        """The paper's batch of 32 for regular pairs; up to 256 tiles of one timestamp for spatiotemporal."""
        return self.batch_size or (32 if self.pairs == "regular" else 256)

    def resolved_learning_rate(self, batch: float) -> float:
        """0.075 sqrt(batch) with LARS, better than the linear rule for small batches and short runs.

        Source: Chen et al. 2020, appendix B.1; for SGD 0.05 batch / 256, Chen and He 2021, section 4.

        Args:
            batch: Tiles in a batch on average.
        """
        if self.learning_rate is not None:
            return self.learning_rate
        return 0.075 * math.sqrt(batch) if self.method == "SimCLR" else 0.05 * batch / 256

    @property
    def resolved_weight_decay(self) -> float:
        """1e-6 with LARS (Chen et al. 2020), 1e-4 with SGD (Chen and He 2021)."""
        if self.weight_decay is not None:
            return self.weight_decay
        return 1e-6 if self.method == "SimCLR" else 1e-4

    @property
    def resolved_projection_size(self) -> int:
        """128 for SimCLR; the projector's width for SimSiam."""
        return self.projection_size or (128 if self.method == "SimCLR" else self.projection_width)

    def __post_init__(self) -> None:
        if self.exclude_stations and self.transductive:
            raise ValueError("--exclude-stations: found with --transductive, expected one of them")
        if self.crop_size < 8:
            raise ValueError(f"--crop-size: found {self.crop_size}, expected at least 8")
        if self.projection_width < 4:
            raise ValueError(f"--projection-width: found {self.projection_width}, expected at least 4")
        if not 0 <= self.warmup_share < 1:
            raise ValueError(f"--warmup-share: found {self.warmup_share}, expected a share in [0, 1)")
        if self.weight_decay is not None and self.weight_decay < 0:
            raise ValueError(f"--weight-decay: found {self.weight_decay}, expected 0 or more")
        if self.precision not in PRECISIONS:
            raise ValueError(f"--precision: found {self.precision!r}, expected one of {', '.join(PRECISIONS)}")
        if "spawn" in self.strategy or "fork" in self.strategy:
            raise ValueError(f"--strategy: found {self.strategy!r}, expected ddp or another that starts anew")
        for name in ("crop_size", "epochs", "min_tiles", "projection_width"):
            if getattr(self, name) < 1:
                raise ValueError(f"{flag(name)}: found {getattr(self, name)}, expected at least 1")
        for name in ("temperature", "max_km"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{flag(name)}: found {getattr(self, name)}, expected a positive number")
        if self.learning_rate is not None and not self.learning_rate > 0:
            raise ValueError(f"--learning-rate: found {self.learning_rate}, expected a positive number")
        for name in ("batch_size", "projection_size"):
            if getattr(self, name) is not None and getattr(self, name) < 4:
                raise ValueError(f"{flag(name)}: found {getattr(self, name)}, expected at least 4")
        for name in ("seed", "workers", "probe_every"):
            if getattr(self, name) < 0:
                raise ValueError(f"{flag(name)}: found {getattr(self, name)}, expected 0 or more")
        if not 0 < self.crop_scale_min <= 1:
            raise ValueError(f"--crop-scale-min: found {self.crop_scale_min}, expected a share in (0, 1]")

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {},
        "demo": {
            "encoder": "resnet18",
            "crop_size": 32,
            "epochs": 2,
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
