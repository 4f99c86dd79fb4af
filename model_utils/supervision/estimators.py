"""The estimators of a supervised experiment, from its flags."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from model_utils.estimators.added_to_field import AddedToField
from model_utils.estimators.estimator import Estimator
from model_utils.estimators.finetuned import FineTuned, FineTuneSettings
from model_utils.estimators.head import HeadSettings
from model_utils.estimators.network import PaperHead
from model_utils.estimators.place_and_day.ground import Ground
from model_utils.estimators.place_and_day.place_and_day import PlaceAndDay
from model_utils.supervision.config import SuperviseConfig


def paper_estimator(config: SuperviseConfig) -> Estimator:
    """The paper's head on a frozen encoder, alone or added to a same-day field; or trained with its encoder."""
    if config.finetune:
        return FineTuned(config.source, FineTuneSettings(**_settings(config, FineTuneSettings)))
    head = PaperHead(HeadSettings(**_settings(config, HeadSettings)), config.validation_share)
    return AddedToField(head, config.field) if config.target == "anomaly" else head


def place_and_day_estimator(config: SuperviseConfig, ground: Ground) -> PlaceAndDay:
    """Place and day, on what is known of the ground."""
    return PlaceAndDay(ground=ground, place=config.place, day=config.day, seed=config.seed)


def _settings(config: SuperviseConfig, settings: type[Any]) -> dict[str, Any]:
    return {item.name: getattr(config, item.name) for item in fields(settings)}
