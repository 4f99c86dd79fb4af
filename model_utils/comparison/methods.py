"""All methods of a comparison: their names, what they use, and how they are built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import pandas as pd

from model_utils.comparison.config import CompareConfig
from model_utils.comparison.ingredients import Ingredients
from model_utils.estimators.added_to_field import AddedToField
from model_utils.estimators.choices import DaySource, Field, PlaceSource
from model_utils.estimators.estimator import Estimator, Method
from model_utils.estimators.finetuned import FineTuned, FineTuneSettings
from model_utils.estimators.forests.cnn_rf import ForestOnFeatures
from model_utils.estimators.forests.joint import JointModel
from model_utils.estimators.forests.rt_rf import fit_rt_rf
from model_utils.estimators.head import HeadSettings
from model_utils.estimators.network import TunedHead
from model_utils.estimators.place_and_day.place_and_day import PlaceAndDay
from model_utils.estimators.references.catalogue import ON_BAND_STATISTICS, REFERENCES
from model_utils.estimators.references.ceilings import ceilings
from model_utils.estimators.ridge import RidgeHead
from model_utils.evaluation.words import FAMILIES
from model_utils.features.starts import EncoderSource, Start

NAMES = {"randomly_initialized": "random_frozen", "transfer_learning": "imagenet"}
"""What a frozen start is called in the tables, where not by its own name."""

SLOW_DESIGNS = ("hold_out", "folds", "temporal")


@dataclass(frozen=True)
class MethodEntry:
    """A row of the tables.

    Attributes:
        name: In every table.
        family: reference, start, field (plus image), place (and day), joint (with weather) or ceiling.
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


def method_entries(config: CompareConfig, samples: pd.DataFrame, ring_km: float | None = None) -> list[MethodEntry]:
    """All methods, in the order of the tables.

    Args:
        config: Which.
        samples: The labelled rows: which hidden truths they carry.
        ring_km: As in `Ingredients`.
    """
    seeded_head = config.head == "network"
    entries = [
        MethodEntry(
            name,
            family,
            _reference(estimator),
            uses_same_day_readings=estimator.uses_same_day_readings,
            uses_images=name == ON_BAND_STATISTICS,
            uses_weather=name.startswith("weather_"),
        )
        for family, references in (("reference", REFERENCES), ("ceiling", ceilings(samples)))
        for name, estimator in references.items()
    ]
    entries.append(MethodEntry("band_statistics", "start", _band_statistics, uses_images=True, seeded=seeded_head))
    if config.trained:
        entries.append(MethodEntry("random_trained", "start", _trained, uses_images=True, cost="trained"))
    for start in config.starts:
        name, seeded = NAMES.get(start, start), seeded_head or start == "randomly_initialized"
        entry = partial(MethodEntry, uses_images=True, start=start)
        reading_entry = partial(entry, uses_same_day_readings=True)
        place = f"place_and_day_{name}"
        entries.append(entry(name, "start", _frozen(start), seeded=seeded))
        entries.append(reading_entry(place, "place", _place_and_day(start)))
        if start not in config.resolved_combined_starts:
            continue
        entries.append(reading_entry(f"{place}_images", "place", _place_and_day(start, "images")))
        if ring_km is not None:
            entries.append(reading_entry(f"{place}_ring", "place", _place_and_day(start, ring_km=ring_km)))
        without = _place_and_day(start, "both", "images")
        entries.append(entry(f"{place}_without_readings", "place", without, uses_weather=True))
        entries += [reading_entry(f"{name}+{field}", "field", _frozen(start, field)) for field in config.fields]
        entries += [
            entry(f"{kind}_{name}", "joint", build, uses_weather=True, cost="slow")
            for kind, build in (("joint", _joint(start)), ("cnn_rf", _cnn_rf(start)))
        ]
    order = list(FAMILIES)
    return sorted(entries, key=lambda entry: order.index(entry.family))


Build = Callable[[Ingredients, int], Method]


def head_estimator(config: CompareConfig, seed: int) -> Estimator:
    """The head that every start gets."""
    if config.head == "ridge":
        return RidgeHead(config.spatial_weight, seed)
    settings = HeadSettings(
        epochs=config.epochs, patience=config.patience, spatial_weight=config.spatial_weight, seed=seed
    )
    return TunedHead(settings, learning_rates=config.learning_rates)


def _reference(estimator: Estimator) -> Build:
    return lambda shared, seed: Method(estimator, shared.bands)


def _frozen(start: str, field: Field | None = None) -> Build:
    def build(shared: Ingredients, seed: int) -> Method:
        head = head_estimator(shared.config, seed)
        return Method(head if field is None else AddedToField(head, field), shared.features(start, seed))

    return build


def _place_and_day(
    start: str, place: PlaceSource = "both", day: DaySource = "both", ring_km: float | None = None
) -> Build:
    def build(shared: Ingredients, seed: int) -> Method:
        estimator = PlaceAndDay(ground=shared.ground(start, seed, ring_km), place=place, day=day, seed=seed)
        return Method(estimator, shared.features(start, seed))

    return build


def _band_statistics(shared: Ingredients, seed: int) -> Method:
    return Method(head_estimator(shared.config, seed), shared.bands)


def _joint(start: str) -> Build:
    return lambda shared, seed: Method(
        JointModel(head_estimator(shared.config, seed), shared.weather_model or fit_rt_rf, seed),
        shared.features(start, seed),
    )


def _cnn_rf(start: str) -> Build:
    return lambda shared, seed: Method(ForestOnFeatures(seed), shared.features(start, seed))


def _trained(shared: Ingredients, seed: int) -> Method:
    config = shared.config
    settings = FineTuneSettings(
        epochs=config.epochs, patience=config.patience, seed=seed, accelerator=config.accelerator
    )
    source = encoder_source(config, "randomly_initialized", seed)
    return Method(FineTuned(source, settings, config.learning_rates), shared.labelled)


def encoder_source(config: CompareConfig, start: Start, seed: int) -> EncoderSource:
    """Where the encoder of a start comes from."""
    imagenet = config.imagenet_weights if start == "transfer_learning" else None
    return EncoderSource(config.city, start, config.encoder, config.root, None, imagenet, seed)
