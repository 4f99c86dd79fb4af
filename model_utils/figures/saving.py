"""Writes a figure to disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from model_utils.atomic import replacing


def save_figure(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Writes `<name>.png` (150 dots per inch) and `<name>.pdf`, each whole or not at all.

    The PDF carries no date, so that the same figure gives the same bytes.

    Returns:
        The two paths.
    """
    paths = []
    options: dict[str, dict[str, Any]] = {".png": {"dpi": 150}, ".pdf": {"metadata": {"CreationDate": None}}}
    for suffix, option in options.items():
        path = folder / f"{name}{suffix}"
        with replacing(path) as temporary:
            figure.savefig(temporary, **option)
        paths.append(path)
    return paths
