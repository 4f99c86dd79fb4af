"""The config of a run, as a file that reproduces it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import yaml

from model_utils import atomic

Config = TypeVar("Config")

NOT_THE_EXPERIMENT = (
    *("root", "resume", "overwrite"),
    *("workers", "scheduler", "jobs", "accelerator", "devices", "strategy"),
)
"""Fields that say where and how a run happens, not what it computes."""


def record(config: Any) -> dict[str, Any]:
    """The fields that define the experiment, as plain values."""
    return {
        key: str(value) if isinstance(value, Path) else value
        for key, value in asdict(config).items()
        if key not in NOT_THE_EXPERIMENT
    }


def save_config(path: Path, config: Any) -> None:
    """Writes the experiment's fields as YAML that `--config` takes."""
    atomic.write_text(path, yaml.safe_dump(record(config), sort_keys=False))


def package_version() -> str:
    """Version of this software."""
    return version("pm25-contrastive")


def library_versions() -> dict[str, str]:
    """Versions of the libraries that numbers depend on."""
    names = ("torch", "pytorch-lightning", "timm", "numpy", "pandas", "scikit-learn")
    return {"pm25-contrastive": package_version()} | {name: version(name) for name in names}


def from_preset(config_class: type[Config], preset: str, **values: Any) -> Config:
    """A config with a preset's values and then the given ones, as the command line would build it."""
    presets: Mapping[str, Mapping[str, Any]] = config_class.PRESETS  # type: ignore[attr-defined]
    return config_class(**{**presets[preset], "preset": preset, **values})
