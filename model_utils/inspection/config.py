"""The flags of `pm25 inspect`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from model_utils.errors import flag
from model_utils.ingest.readings.config import ReadingsConfig
from model_utils.project import SHIPPED_ROOT


@dataclass(frozen=True)
class InspectConfig(ReadingsConfig):
    """What to look at: the archive of a city, or with --readings files of which none has been made yet.

    Args:
        city: Name of the city; its archive is data/<city> under the root.
        table: With --readings, a .csv file for the rows as they would be used.
        output: Folder for the text and the figures; by default data/<city>/inspection under the root.
        max_cloud_fraction: Tiles whose known cloud fraction is larger count as cloudy.
        accept_changes: Take an archive whose images or table were changed by hand for what it is now.
        overwrite: With --table, replace a file that is there.
        root: Folder that holds data/.
    """

    city: str
    table: Path | None = None
    output: Path | None = None
    max_cloud_fraction: float = 0.5
    accept_changes: bool = False
    overwrite: bool = False
    root: Path = SHIPPED_ROOT

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.readings is None:
            given = [item.name for item in fields(ReadingsConfig) if getattr(self, item.name) is not None]
            given += ["table"] if self.table is not None else []
            if given:
                raise ValueError(f"{flag(given[0])}: is about --readings, which is missing")
        elif self.accept_changes:
            raise ValueError("--accept-changes: is about an archive, found --readings as well")
        if not 0 <= self.max_cloud_fraction <= 1:
            raise ValueError(f"--max-cloud-fraction: found {self.max_cloud_fraction}, expected 0 to 1")
