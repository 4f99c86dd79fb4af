"""Where things lie: the folders of a project root."""

from __future__ import annotations

from pathlib import Path

SHIPPED_ROOT = Path(__file__).resolve().parents[1]
"""The checkout this package was installed from; its `data/cities` holds the shipped cities."""


def archive_folder(root: Path, city: str) -> Path:
    """The tile archive of a city."""
    return root / "data" / city


def weights_path(root: Path, city: str, method: str, pairs: str, encoder: str) -> Path:
    """Where `pm25 pretrain` puts an encoder and `pm25 supervise` looks for it."""
    return root / "data" / "weights" / f"{city}_{method}_{pairs}_{encoder}.safetensors"


def results_folder(root: Path, city: str, experiment: str) -> Path:
    """The results of one experiment."""
    return root / "results" / city / experiment


def weather_model_folder(root: Path, city: str) -> Path:
    """The forests on a city's weather."""
    return root / "rt_rf_checkpoint" / city
