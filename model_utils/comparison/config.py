"""The flags of `pm25 compare`, and its presets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from model_utils.errors import flag
from model_utils.estimators.choices import Field
from model_utils.project import SHIPPED_ROOT

Design = Literal["hold_out", "label_efficiency", "folds", "temporal", "leave_one_out", "truth"]
ComparedStart = Literal[
    "SimCLR_spatiotemporal",
    "SimCLR_regular",
    "SimSiam_spatiotemporal",
    "SimSiam_regular",
    "randomly_initialized",
    "transfer_learning",
]


@dataclass(frozen=True)
class CompareConfig:
    """One comparison of all methods on one city.

    Args:
        city: Name of the city; its archive is data/<city> under the root.
        preset: paper (ResNet-50, the paper's head), demo (minutes on 2 cores) or smoke (seconds, no science).
        encoder: Any timm model name; weights of other encoders are not looked at.
        starts: Encoders to compare. Weights that data/weights lacks are trained first, with this preset, without
            any tile of a station.
        combined_starts: Of these, the ones that are also added to same-day fields and joined with weather; by default
            SimCLR_spatiotemporal and randomly_initialized.
        fields: Same-day fields that the images of the combined starts are added to.
        trained: Also train encoder and head together from random numbers, in the hold-out only: it is slow.
        head: ridge (principal components and ridge, in closed form) or network (the paper's 512-512-1); every start
            gets the same.
        spatial_weight: Weight of the spatial loss, the mean squared error of same-day anomalies, in the head.
        designs: Ways to split: hold_out (the city's list), label_efficiency (random subsets of its training stations),
            folds (contiguous), temporal (held-out stations on the last dates), leave_one_out (with a buffer); in
            simulated cities also truth (place effects from any few sites of the archive, judged by the hidden truth at
            all others).
        label_counts: Numbers of training stations in label_efficiency, beside all.
        draws: Random subsets for each number.
        seeds: Seeds of each method whose numbers depend on one.
        folds: Number of contiguous folds.
        temporal_share: Share of the dates, the last ones, that temporal predicts.
        truth_archives: With truth: folders of further simulated archives, <root>/data/<city> each, with the encoders of
            their own roots. Intervals are then over cities.
        truth_counts: With truth: numbers of training sites.
        truth_draws: With truth: random sets of training sites for each number.
        buffer_km: leave_one_out also leaves out the stations within this distance.
        interval_level: Of the prediction intervals.
        bootstrap_draws: Resamplings behind each interval of a score; a tenth in label_efficiency, which has many runs.
        max_cloud_fraction: Leave out tiles whose known cloud fraction is larger.
        epochs: Most passes of what is trained by gradients.
        patience: Epochs without a better validation loss before stopping.
        learning_rates: Tried on the validation stations by what is trained by gradients.
        imagenet_weights: A local file for transfer_learning in place of timm's download.
        seed: Keys every random draw.
        jobs: Processes; the numbers do not depend on it.
        accelerator: Lightning's name of the device: auto, cpu, gpu.
        root: Folder that holds data/ and results/.
    """

    city: str
    preset: Literal["paper", "demo", "smoke"] = "paper"
    encoder: str = "resnet50"
    starts: tuple[ComparedStart, ...] = get_args(ComparedStart)
    combined_starts: tuple[ComparedStart, ...] | None = None
    fields: tuple[Field, ...] = ("mean", "inverse_distance", "kriging")
    trained: bool = True
    head: Literal["ridge", "network"] = "network"
    spatial_weight: float = 0.0
    designs: tuple[Design, ...] = ("hold_out", "label_efficiency", "folds", "temporal", "leave_one_out")
    label_counts: tuple[int, ...] = (1, 5, 10, 15, 20)
    draws: int = 20
    seeds: int = 3
    folds: int = 5
    temporal_share: float = 0.2
    buffer_km: float = 2.0
    truth_archives: tuple[Path, ...] = ()
    truth_counts: tuple[int, ...] = (5, 12, 24, 48, 200)
    truth_draws: int = 40
    interval_level: float = 0.9
    bootstrap_draws: int = 10_000
    max_cloud_fraction: float = 0.5
    epochs: int = 500
    patience: int = 50
    learning_rates: tuple[float, ...] = (3e-4, 1e-3, 3e-3)
    imagenet_weights: Path | None = None
    seed: int = 0
    jobs: int = 2
    accelerator: str = "auto"
    root: Path = SHIPPED_ROOT

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {},
        "demo": {
            "encoder": "resnet18",
            "head": "ridge",
            "designs": ("hold_out", "label_efficiency", "folds", "temporal"),
            "seeds": 2,
            "epochs": 12,
            "patience": 4,
        },
        "smoke": {
            "encoder": "test_resnet",
            "head": "ridge",
            "label_counts": (5,),
            "draws": 2,
            "seeds": 1,
            "folds": 3,
            "truth_counts": (5, 12),
            "truth_draws": 2,
            "epochs": 2,
            "learning_rates": (1e-3,),
            "bootstrap_draws": 200,
        },
    }

    def __post_init__(self) -> None:
        for name in ("draws", "truth_draws", "seeds", "bootstrap_draws", "epochs", "patience", "jobs"):
            if getattr(self, name) < 1:
                raise ValueError(f"{flag(name)}: found {getattr(self, name)}, expected at least 1")
        for name in ("temporal_share", "interval_level"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{flag(name)}: found {getattr(self, name)}, expected a share in (0, 1)")
        if self.folds < 2:
            raise ValueError(f"--folds: found {self.folds}, expected at least 2")
        if not self.buffer_km >= 0:
            raise ValueError(f"--buffer-km: found {self.buffer_km}, expected 0 or more")
        if not self.spatial_weight >= 0:
            raise ValueError(f"--spatial-weight: found {self.spatial_weight}, expected 0 or more")
        if self.seed < 0:
            raise ValueError(f"--seed: found {self.seed}, expected 0 or more")
        if not self.designs:
            raise ValueError("--designs: found none, expected at least one")
        for count in self.label_counts:
            if count < 1:
                raise ValueError(f"--label-counts: found {count}, expected 1 or more")
        for count in self.truth_counts:
            if count < 1:
                raise ValueError(f"--truth-counts: found {count}, expected 1 or more")
        if self.truth_archives and "truth" not in self.designs:
            raise ValueError("--truth-archives: found without truth among --designs")
        for rate in self.learning_rates or (0.0,):
            if not rate > 0:
                raise ValueError(f"--learning-rates: found {rate}, expected positive numbers")
        for name in ("starts", "combined_starts", "fields", "designs", "label_counts", "truth_counts"):
            values = getattr(self, name) or ()
            if len(set(values)) != len(values):
                raise ValueError(f"{flag(name)}: found {', '.join(map(str, values))}, expected each once")
        if missing := set(self.combined_starts or ()) - set(self.starts):
            raise ValueError(f"--combined-starts: found {', '.join(sorted(missing))}, expected some of --starts")
        if self.imagenet_weights is not None and "transfer_learning" not in self.starts:
            raise ValueError("--imagenet-weights: found without transfer_learning among --starts")

    @property
    def resolved_combined_starts(self) -> tuple[ComparedStart, ...]:
        """What combined_starts says, or its default among the starts."""
        if self.combined_starts is not None:
            return self.combined_starts
        return tuple(start for start in self.starts if start in ("SimCLR_spatiotemporal", "randomly_initialized"))
