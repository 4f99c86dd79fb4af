"""The flags of `pm25 fetch scenes`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from model_utils.errors import flag
from model_utils.fetching.scenes.sources import SourceName
from model_utils.project import SHIPPED_ROOT


@dataclass(frozen=True)
class FetchScenesConfig:
    """Which scenes to fetch.

    Args:
        city: Name of the city; it is defined by data/cities/<city>.yaml.
        start: First local date, such as 2024-01-01.
        end: Last local date.
        source: sentinel2-l2a (10 m), landsat or hls (30 m), all surface reflectance from open catalogues. That serves
            the place part of the model, which averages many dates; single days by images need top of atmosphere.
        bands: Which bands, by colour.
        max_cloud: Leave out a day whose scene has a larger share of the city under cloud, by the quality mask.
        min_cover: Leave out a day whose scene shows a smaller share of the city.
        limit: Fetch at most so many days, those with the least cloud.
        dry_run: List days, cloud and size, and fetch nothing.
        output: Folder for the scenes; by default data/<City>/fetched/scenes under the root.
        endpoint: Address of another STAC catalogue with the same collections, such as a mirror.
        overwrite: Fetch days anew that are there already.
        root: Folder that holds data/.
    """

    city: str
    start: date
    end: date
    source: SourceName = "sentinel2-l2a"
    bands: tuple[str, ...] = ("red", "green", "blue")
    max_cloud: float = 0.2
    min_cover: float = 0.5
    limit: int | None = None
    dry_run: bool = False
    output: Path | None = None
    endpoint: str | None = None
    overwrite: bool = False
    root: Path = SHIPPED_ROOT

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise ValueError(f"--start and --end: found {self.start} and {self.end}, expected the first day first")
        for name in ("max_cloud", "min_cover"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{flag(name)}: found {getattr(self, name)}, expected 0 to 1")
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"--limit: found {self.limit}, expected 1 or more")
        if not self.bands or not all(self.bands) or len(set(self.bands)) != len(self.bands):
            raise ValueError(f"--bands: found {list(self.bands)}, expected different names")
