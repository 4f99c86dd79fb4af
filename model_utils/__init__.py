"""All that surrounds the contrastive method: cities, archives, pairs, splits, estimators, statistics, maps.

What a notebook needs comes from here, and is imported when it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from model_utils.estimators.city_model import load_city_model as load_model
    from model_utils.mapping.config import MapConfig, PredictConfig
    from model_utils.mapping.points import predict_at
    from model_utils.mapping.run import predict_map

_FROM = {
    "load_model": "model_utils.estimators.city_model:load_city_model",
    "MapConfig": "model_utils.mapping.config:MapConfig",
    "PredictConfig": "model_utils.mapping.config:PredictConfig",
    "predict_at": "model_utils.mapping.points:predict_at",
    "predict_map": "model_utils.mapping.run:predict_map",
}

__all__ = ["MapConfig", "PredictConfig", "load_model", "predict_at", "predict_map"]


def __getattr__(name: str) -> Any:
    if name not in _FROM:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _FROM[name].split(":")
    return getattr(import_module(module), attribute)
