"""All that surrounds the contrastive method: cities, archives, pairs, splits, estimators, statistics, maps.

What a notebook needs comes from here, and is imported when it is asked for: every verb of the command line as a
function of its typed config (`pretrain(PretrainConfig(city="Delhi", ...))`; with a preset's values by `from_preset`),
and a fitted model and its predictions as objects of xarray and pandas.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from model_utils.comparison.config import CompareConfig
    from model_utils.comparison.run import compare
    from model_utils.configuration import from_preset
    from model_utils.estimators.city_model import load_city_model as load_model
    from model_utils.features.convert_config import ConvertWeightsConfig
    from model_utils.features.convert_weights import convert_weights
    from model_utils.fetching.city import make_city
    from model_utils.fetching.config import CityConfig, FetchReadingsConfig, FetchScenesConfig, FetchWeatherConfig
    from model_utils.fetching.readings.openaq import fetch_readings
    from model_utils.fetching.scenes.fetch import fetch_scenes
    from model_utils.fetching.weather.weather import fetch_weather
    from model_utils.ingest.config import PrepareConfig
    from model_utils.ingest.prepare import prepare
    from model_utils.inspection.config import InspectConfig
    from model_utils.inspection.inspect import inspect
    from model_utils.mapping.config import MapConfig, PredictConfig
    from model_utils.mapping.points import predict, predict_at
    from model_utils.mapping.run import make_map, predict_map
    from model_utils.pretraining.config import PretrainConfig
    from model_utils.pretraining.run import pretrain
    from model_utils.simulation.city import simulate
    from model_utils.simulation.config import SimulateConfig
    from model_utils.supervision.config import SuperviseConfig
    from model_utils.supervision.supervise import supervise

__all__ = [
    "CityConfig",
    "CompareConfig",
    "ConvertWeightsConfig",
    "FetchReadingsConfig",
    "FetchScenesConfig",
    "FetchWeatherConfig",
    "InspectConfig",
    "MapConfig",
    "PredictConfig",
    "PrepareConfig",
    "PretrainConfig",
    "SimulateConfig",
    "SuperviseConfig",
    "compare",
    "convert_weights",
    "fetch_readings",
    "fetch_scenes",
    "fetch_weather",
    "from_preset",
    "inspect",
    "load_model",
    "make_city",
    "make_map",
    "predict",
    "predict_at",
    "predict_map",
    "prepare",
    "pretrain",
    "simulate",
    "supervise",
]

_FROM = {
    "CityConfig": "model_utils.fetching.config",
    "CompareConfig": "model_utils.comparison.config",
    "ConvertWeightsConfig": "model_utils.features.convert_config",
    "FetchReadingsConfig": "model_utils.fetching.config",
    "FetchScenesConfig": "model_utils.fetching.config",
    "FetchWeatherConfig": "model_utils.fetching.config",
    "InspectConfig": "model_utils.inspection.config",
    "MapConfig": "model_utils.mapping.config",
    "PredictConfig": "model_utils.mapping.config",
    "PrepareConfig": "model_utils.ingest.config",
    "PretrainConfig": "model_utils.pretraining.config",
    "SimulateConfig": "model_utils.simulation.config",
    "SuperviseConfig": "model_utils.supervision.config",
    "compare": "model_utils.comparison.run",
    "convert_weights": "model_utils.features.convert_weights",
    "fetch_readings": "model_utils.fetching.readings.openaq",
    "fetch_scenes": "model_utils.fetching.scenes.fetch",
    "fetch_weather": "model_utils.fetching.weather.weather",
    "from_preset": "model_utils.configuration",
    "inspect": "model_utils.inspection.inspect",
    "load_model": "model_utils.estimators.city_model:load_city_model",
    "make_city": "model_utils.fetching.city",
    "make_map": "model_utils.mapping.run",
    "predict": "model_utils.mapping.points",
    "predict_at": "model_utils.mapping.points",
    "predict_map": "model_utils.mapping.run",
    "prepare": "model_utils.ingest.prepare",
    "pretrain": "model_utils.pretraining.run",
    "simulate": "model_utils.simulation.city",
    "supervise": "model_utils.supervision.supervise",
}


def __getattr__(name: str) -> Any:
    if name not in _FROM:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, other_name = _FROM[name].partition(":")
    return getattr(import_module(module), other_name or name)
