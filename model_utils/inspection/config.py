"""The flags of `pm25 inspect`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from model_utils.project import SHIPPED_ROOT


@dataclass(frozen=True)
class InspectConfig:
    """Which archive to look at.

    Args:
        city: Name of the city; its archive is data/<city> under the root.
        output: Folder for the text and the figures; by default data/<city>/inspection under the root.
        max_cloud_fraction: Tiles whose known cloud fraction is larger count as cloudy.
        accept_changes: Take an archive whose images or table were changed by hand for what it is now.
        root: Folder that holds data/.
    """

    city: str
    output: Path | None = None
    max_cloud_fraction: float = 0.5
    accept_changes: bool = False
    root: Path = SHIPPED_ROOT

    def __post_init__(self) -> None:
        if not 0 <= self.max_cloud_fraction <= 1:
            raise ValueError(f"--max-cloud-fraction: found {self.max_cloud_fraction}, expected 0 to 1")
