"""The flags of `pm25 inspect`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from model_utils.errors import flag
from model_utils.ingest.products.settings import SceneSettings
from model_utils.ingest.readings.config import ReadingsConfig
from model_utils.project import SHIPPED_ROOT


@dataclass(frozen=True)
class InspectConfig(ReadingsConfig, SceneSettings):
    """What to look at: the archive of a city, or files of which none has been made yet.

    Args:
        city: Name of the city; its archive is data/<city> under the root.
        scenes: Folder of satellite scenes as delivered.
        table: With --readings, a .csv file for the rows as they would be used; with --scenes, one for a row a scene.
        output: Folder for the text and the figures; by default data/<city>/inspection under the root.
        max_cloud_fraction: Tiles whose known cloud fraction is larger count as cloudy.
        accept_changes: Take an archive whose images or table were changed by hand for what it is now.
        overwrite: With --table, replace a file that is there.
        root: Folder that holds data/.
    """

    city: str
    scenes: Path | None = None
    table: Path | None = None
    output: Path | None = None
    max_cloud_fraction: float = 0.5
    accept_changes: bool = False
    overwrite: bool = False
    root: Path = SHIPPED_ROOT

    def __post_init__(self) -> None:
        super().__post_init__()
        for kind, source in ((ReadingsConfig, "readings"), (SceneSettings, "scenes")):
            given = [item.name for item in fields(kind) if getattr(self, item.name) != item.default]
            if given and getattr(self, source) is None:
                raise ValueError(f"{flag(given[0])}: is about {flag(source)}, which is missing")
        sources = [name for name in ("readings", "scenes") if getattr(self, name) is not None]
        if self.table is not None and len(sources) != 1:
            if sources:
                raise ValueError("--table: goes with one of --readings and --scenes, found both")
            raise ValueError("--table: is about --readings or --scenes, one of which is missing")
        if sources and self.accept_changes:
            raise ValueError(f"--accept-changes: is about an archive, found {flag(sources[0])} as well")
        if not 0 <= self.max_cloud_fraction <= 1:
            raise ValueError(f"--max-cloud-fraction: found {self.max_cloud_fraction}, expected 0 to 1")
