"""The flags of `pm25 supervise`, and its presets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from model_utils.errors import flag
from model_utils.estimators.choices import DaySource, Field, PlaceSource
from model_utils.features.starts import EncoderSource, Start
from model_utils.project import SHIPPED_ROOT

PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed")


@dataclass(frozen=True)
class SuperviseConfig:
    """One supervised experiment.

    Args:
        city: Name of the city; its archive is data/<city> under the root.
        start: Where the encoder comes from; a pre-trained one is looked up in data/weights, transfer_learning is
            ImageNet, weights_2022 a file of the 2022 code that says no more. By default what --weights says.
        weights: A weights file of pm25 pretrain, or of the 2022 code (.pkl), to use in place of the one looked up.
        imagenet_weights: A local file for transfer_learning in place of timm's download.
        preset: paper (Jiang et al. 2022), demo (minutes on 2 cores) or smoke (seconds, no science).
        encoder: Any timm model name; by default resnet50, resnet18 (demo) or test_resnet (smoke), and with --weights
            and no --start what the file says.
        estimator: place_and_day (ln PM2.5 = place + day, on embeddings averaged over a place's dates) or paper (the
            512-512-1 head on single tiles, Jiang et al. 2022). The table has the other one as a second row.
        place: With place_and_day: what tells places apart, coordinates, images or both.
        day: With place_and_day: what tells days, the other stations' readings of the day, images (and weather), or
            both, weighted by how sure each is.
        components: With place_and_day: principal components of the places' mean embeddings.
        ring_km: With place_and_day: average a place's embeddings with those of all places within this distance; needs
            a grid of tiles. By default the place alone.
        finetune: Train the encoder too; by default it is frozen, as in the paper.
        target: absolute (the reading) or anomaly (the reading minus a same-day field of the other training stations).
        field: With --target anomaly: the same-day mean, inverse distance, or ordinary kriging (kriging).
        spatial_weight: Weight of the spatial loss of Zheng et al. 2021, the mean squared error of same-day anomalies
            among the rows of a date, beside that of the values themselves.
        stations: Use a random subset of this many training stations; by default all.
        draw: Which random subset.
        folds: Predict every station from the other ones of this many contiguous folds, in place of the hold-out.
        max_cloud_fraction: Leave out tiles whose known cloud fraction is larger.
        epochs: Most passes over the training rows.
        batch_size: Rows a step.
        learning_rate: Of AdamW, for the head.
        encoder_learning_rate: Of AdamW, for the encoder with --finetune.
        weight_decay: Of AdamW.
        dropout: In the head.
        patience: Epochs without a better validation loss before stopping.
        validation_share: Share of the training stations (of their dates where stations are few) that early
            stopping looks at.
        bootstrap_draws: Resamplings behind each interval.
        seed: Keys every random draw.
        precision: With --finetune: auto, 32-true, bf16-mixed or 16-mixed.
        accelerator: Lightning's name of the device: auto, cpu, gpu.
        overwrite: Replace the results of an earlier experiment of this name.
        root: Folder that holds data/ and results/.
    """

    city: str
    start: Start | None = None
    weights: Path | None = None
    imagenet_weights: Path | None = None
    preset: Literal["paper", "demo", "smoke"] = "paper"
    encoder: str | None = None
    estimator: Literal["place_and_day", "paper"] = "place_and_day"
    place: PlaceSource = "both"
    day: DaySource = "both"
    components: int = 16
    ring_km: float | None = None
    finetune: bool = False
    target: Literal["absolute", "anomaly"] = "absolute"
    field: Field = "mean"
    spatial_weight: float = 0.0
    stations: int | None = None
    draw: int = 0
    folds: int | None = None
    max_cloud_fraction: float = 0.5
    epochs: int = 500
    batch_size: int = 256
    learning_rate: float = 1e-3
    encoder_learning_rate: float = 1e-4
    weight_decay: float = 1e-4
    dropout: float = 0.2
    patience: int = 50
    validation_share: float = 0.2
    bootstrap_draws: int = 1000
    seed: int = 0
    precision: str = "auto"
    accelerator: str = "auto"
    overwrite: bool = False
    root: Path = SHIPPED_ROOT

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {},
        "demo": {"epochs": 100, "patience": 20},
        "smoke": {"epochs": 3, "bootstrap_draws": 100},
    }
    ENCODERS: ClassVar[Mapping[str, str]] = {"paper": "resnet50", "demo": "resnet18", "smoke": "test_resnet"}

    def __post_init__(self) -> None:
        if self.encoder is None and not (self.start is None and self.weights is not None):
            object.__setattr__(self, "encoder", self.ENCODERS[self.preset])
        for name in ("epochs", "batch_size", "patience", "bootstrap_draws", "components"):
            if getattr(self, name) < 1:
                raise ValueError(f"{flag(name)}: found {getattr(self, name)}, expected at least 1")
        for name in ("learning_rate", "encoder_learning_rate"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{flag(name)}: found {getattr(self, name)}, expected a positive number")
        if not 0 < self.validation_share < 1:
            raise ValueError(f"--validation-share: found {self.validation_share}, expected a share in (0, 1)")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"--dropout: found {self.dropout}, expected a share in [0, 1)")
        if self.seed < 0 or self.draw < 0:
            raise ValueError("--seed, --draw: expected 0 or more")
        if self.start is None and self.weights is None:
            raise ValueError(f"--start: is missing, expected --weights or one of {', '.join(get_args(Start))}")
        if self.weight_decay < 0:
            raise ValueError(f"--weight-decay: found {self.weight_decay}, expected 0 or more")
        if self.ring_km is not None and not self.ring_km > 0:
            raise ValueError(f"--ring-km: found {self.ring_km}, expected a positive number")
        if self.estimator == "place_and_day":
            for name, default in (("finetune", False), ("target", "absolute"), ("spatial_weight", 0.0)):
                if getattr(self, name) != default:
                    raise ValueError(f"{flag(name)}: found with --estimator place_and_day, expected --estimator paper")
        if self.field != "mean" and self.target != "anomaly":
            raise ValueError(f"--field: found {self.field} with --target {self.target}, expected --target anomaly")
        if not 0 <= self.spatial_weight < float("inf"):
            raise ValueError(f"--spatial-weight: found {self.spatial_weight}, expected 0 or more")
        if self.finetune and self.spatial_weight > 0:
            found = f"--spatial-weight: found {self.spatial_weight:g} with --finetune"
            raise ValueError(f"{found}, expected 0 (it needs a frozen encoder)")
        if self.finetune and self.batch_size < 2:
            raise ValueError(f"--batch-size: found {self.batch_size}, expected at least 2 with --finetune")
        if self.precision not in PRECISIONS:
            raise ValueError(f"--precision: found {self.precision!r}, expected one of {', '.join(PRECISIONS)}")
        if self.weights is not None and self.start in ("randomly_initialized", "transfer_learning"):
            raise ValueError(f"--weights: found with --start {self.start}, expected with a pre-trained start")
        if self.weights is None and self.start == "weights_2022":
            raise ValueError("--weights: is missing, expected a weights file for --start weights_2022")
        if self.imagenet_weights is not None and self.start != "transfer_learning":
            raise ValueError(f"--imagenet-weights: found with --start {self.start}, expected transfer_learning")

    @property
    def source(self) -> EncoderSource:
        """Where the encoder comes from."""
        if self.start is None or self.encoder is None:
            raise ValueError("start: is missing, expected that of the weights")
        return EncoderSource(
            self.city, self.start, self.encoder, self.root, self.weights, self.imagenet_weights, self.seed, self.preset
        )

    @property
    def experiment(self) -> str:
        """Name of the results folder: start, encoder, and the settings that a sweep varies."""
        file = self.weights.stem if self.weights is not None and self.start == "weights_2022" else self.encoder
        kind = "supervised" if self.estimator == "paper" else "place_and_day"
        parts = [f"{kind}_{self.start}_{file}"]
        if self.estimator == "place_and_day":
            parts += [f"place_{self.place}"] if self.place != "both" else []
            parts += [f"day_{self.day}"] if self.day != "both" else []
            parts += [f"components{self.components}"] if self.components != 16 else []
            parts += [f"ring{self.ring_km:g}km"] if self.ring_km is not None else []
        parts += ["finetuned"] if self.finetune else []
        parts += ["anomaly"] if self.target == "anomaly" else []
        parts += [self.field] if self.field != "mean" else []
        parts += [f"spatial{self.spatial_weight:g}"] if self.spatial_weight else []
        parts += [f"stations{self.stations}_draw{self.draw}"] if self.stations else []
        parts += [f"folds{self.folds}"] if self.folds is not None else []
        parts += [f"seed{self.seed}"] if self.seed else []
        return "_".join(parts)
