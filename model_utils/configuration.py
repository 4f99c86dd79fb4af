"""The config of a run, as a file that reproduces it."""

from __future__ import annotations

from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from model_utils import atomic

NOT_THE_EXPERIMENT = ("root", "resume", "overwrite", "workers", "accelerator", "devices", "strategy")
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
