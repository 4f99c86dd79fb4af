"""All methods of a comparison: their names, what they use, and how they are built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.archive.reader import TileArchive
from model_utils.comparison.config import CompareConfig
from model_utils.comparison.weather_model import KeptWeatherModel
from model_utils.estimators.anomaly import FrozenEncoder
from model_utils.estimators.estimator import Method
from model_utils.estimators.forests.cnn_rf import ForestOnFeatures
from model_utils.estimators.forests.joint import JointModel
from model_utils.estimators.forests.rt_rf import fit_rt_rf
from model_utils.estimators.head import HeadSettings
from model_utils.estimators.network import NetworkHead
from model_utils.estimators.references.catalogue import REFERENCES
from model_utils.estimators.references.ceilings import ceilings
from model_utils.estimators.references.methods import reference_method
from model_utils.estimators.ridge import RidgeHead
from model_utils.estimators.trained_encoder import TrainedEncoder
from model_utils.estimators.tuned import TunedHead
from model_utils.evaluation.words import FAMILIES
from model_utils.features.band_statistics import band_feature_names
from model_utils.supervision.config import Field, SuperviseConfig

NAMES = {"randomly_initialized": "random_frozen", "transfer_learning": "imagenet"}
"""What a frozen start is called in the tables, where not by its own name."""

SLOW_DESIGNS = ("hold_out", "folds", "temporal")


@dataclass(frozen=True)
class Ingredients:
    """What all cells share; it travels to every process, so images and features travel as paths.

    Attributes:
        config: The comparison's.
        labelled: Clear tiles with a reading.
        samples: Their n rows, with `band_*` columns.
        embeddings: (start, seed) -> NPY file of the start's features, n x d; a start that is not here is skipped.
        sha256: Hash of the code, the libraries' versions, the archive and the rows.
        weather_model: The hold-out's; None where the archive has no weather.
    """

    config: CompareConfig
    labelled: TileArchive
    samples: pd.DataFrame
    embeddings: Mapping[tuple[str, int], Path]
    sha256: str
    weather_model: KeptWeatherModel | None

    def embedding(self, start: str, seed: int) -> Path:
        """A start's file; starts without a seed of their own have that of `config.seed`."""
        return self.embeddings.get((start, seed), self.embeddings[start, self.config.seed])

    def features(self, start: str, seed: int) -> NDArray[np.float32]:
        """A start's features, memory-mapped."""
        mapped: NDArray[np.float32] = np.load(self.embedding(start, seed), mmap_mode="r")
        return mapped


@dataclass(frozen=True)
class MethodEntry:
    """A row of the tables.

    Attributes:
        name: In every table.
        family: reference, start, field (plus image), joint (with weather) or ceiling.
        build: Makes the method for a seed.
        uses_same_day_readings: Whether it reads training stations on the day it predicts.
        uses_images: Whether it sees images.
        uses_weather: Whether it sees weather.
        start: The encoder it stands on, or ''.
        seeded: Whether it is run with each seed: a start whose numbers depend on one.
        cost: cheap; slow, where a fit takes seconds: only in `SLOW_DESIGNS`, and not refitted for other dates in folds;
            trained, where it takes minutes: only in the hold-out, and not refitted at all.
    """

    name: str
    family: str
    build: Callable[[Ingredients, int], Method]
    uses_same_day_readings: bool = False
    uses_images: bool = False
    uses_weather: bool = False
    start: str = ""
    seeded: bool = False
    cost: Literal["cheap", "slow", "trained"] = "cheap"

    def runs_in(self, design: str) -> bool:
        """Whether a design is worth its cost."""
        return self.cost == "cheap" or design in (SLOW_DESIGNS if self.cost == "slow" else ("hold_out",))

    def refits_dates_in(self, design: str) -> bool:
        """Whether it is refitted to parts of the dates, for predictions of dates it has not seen."""
        designs = {"cheap": ("hold_out", "folds"), "slow": ("hold_out",), "trained": ()}
        return design in designs[self.cost] and not self.uses_same_day_readings

    def is_apart_in_time(self, design: str) -> bool:
        """Whether its skill in time means something: it trained on no date it predicts, or has the day's readings."""
        return design == "temporal" or self.uses_same_day_readings or self.refits_dates_in(design)

    def has_intervals_in(self, design: str) -> bool:
        """Whether it is refitted to parts of the stations, which calibrates prediction intervals."""
        return design == "hold_out" and self.cost != "trained"


def method_entries(config: CompareConfig, samples: pd.DataFrame) -> list[MethodEntry]:
    """All methods, in the order of the tables."""
    seeded_head = config.head == "network"
    entries = [
        MethodEntry(
            reference.name,
            family,
            _fixed(reference_method(reference)),
            uses_same_day_readings=reference.uses_same_day_readings,
            uses_images=reference.name.startswith("band_"),
            uses_weather=reference.name.startswith("weather_"),
        )
        for family, references in (("reference", REFERENCES), ("ceiling", ceilings(samples)))
        for reference in references
    ]
    entries.append(MethodEntry("band_statistics", "start", _band_statistics, uses_images=True, seeded=seeded_head))
    if config.trained:
        entries.append(MethodEntry("random_trained", "start", _trained, uses_images=True, cost="trained"))
    for start in config.starts:
        name, seeded = NAMES.get(start, start), seeded_head or start == "randomly_initialized"
        entries.append(
            MethodEntry(name, "start", _frozen(start), uses_images=True, start=start, seeded=seeded),
        )
        if start not in config.resolved_combined_starts:
            continue
        entries += [
            MethodEntry(
                f"{name}+{field}",
                "field",
                _frozen(start, field),
                uses_same_day_readings=True,
                uses_images=True,
                start=start,
            )
            for field in config.fields
        ]
        entries += [
            MethodEntry(f"{kind}_{name}", "joint", build, uses_images=True, uses_weather=True, start=start, cost="slow")
            for kind, build in (("joint", _joint(start)), ("cnn_rf", _cnn_rf(start)))
        ]
    order = list(FAMILIES)
    return sorted(entries, key=lambda entry: order.index(entry.family))


def _head(config: CompareConfig) -> TunedHead:
    if config.head == "ridge":
        return RidgeHead(config.spatial_weight)
    settings = HeadSettings(epochs=config.epochs, patience=config.patience, spatial_weight=config.spatial_weight)
    return NetworkHead(settings, learning_rates=config.learning_rates)


def _fixed(method: Method) -> Callable[[Ingredients, int], Method]:
    return lambda shared, seed: method


def _frozen(start: str, field: Field | None = None) -> Callable[[Ingredients, int], Method]:
    def build(shared: Ingredients, seed: int) -> Method:
        target = "absolute" if field is None else "anomaly"
        return FrozenEncoder(shared.features(start, seed), _head(shared.config), target, field or "mean")

    return build


def _band_statistics(shared: Ingredients, seed: int) -> Method:
    columns = band_feature_names(shared.labelled.metadata.bands)
    return FrozenEncoder(shared.samples[columns].to_numpy(np.float32), _head(shared.config))


def _joint(start: str) -> Callable[[Ingredients, int], Method]:
    return lambda shared, seed: JointModel(
        shared.features(start, seed), _head(shared.config), shared.weather_model or fit_rt_rf
    )


def _cnn_rf(start: str) -> Callable[[Ingredients, int], Method]:
    return lambda shared, seed: ForestOnFeatures(shared.features(start, seed))


def _trained(shared: Ingredients, seed: int) -> Method:
    return TrainedEncoder(
        shared.labelled, supervise_config(shared.config, "randomly_initialized", seed), shared.config.learning_rates
    )


def supervise_config(config: CompareConfig, start: str, seed: int) -> SuperviseConfig:
    """The settings of one start, as `pm25 supervise` has them."""
    shared = {item.name for item in fields(SuperviseConfig)} & {item.name for item in fields(CompareConfig)}
    elsewhere = {"seed", "folds", "imagenet_weights", "spatial_weight"}
    values = {name: getattr(config, name) for name in shared - elsewhere}
    imagenet = config.imagenet_weights if start == "transfer_learning" else None
    return SuperviseConfig(start=start, seed=seed, imagenet_weights=imagenet, **values)  # type: ignore[arg-type]
