"""The flags that say how scenes are to be read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class SceneSettings:
    """How a folder of scenes is to be read.

    Args:
        bands: Band names in the order of the tiles' channels, typed as red,green,blue. For scenes that do not name
            their bands: numbers from 1 (3,2,1), or names with the bands they are in the files (red=3, red=B4).
        product: Which kind of scene to take where the folder holds several, such as planetscope-visual; or a YAML
            file that describes one that is not known.
        time_pattern: How to read the acquisition time in a scene's file name, as strptime does (%Y%m%d_%H%M%S).
        time: When the only scene of the folder was taken, such as 2024-01-02T05:12:21Z (UTC where it names no zone),
            where no file says it.
        full_scale: The pixel value (reflectance where the product is known) that becomes 255; the same for all scenes.
        skip_broken: Leave out scenes that cannot be read, and name them, instead of stopping.
    """

    bands: tuple[str, ...] = ("red", "green", "blue")
    product: str | None = None
    time_pattern: str | None = None
    time: str | None = None
    full_scale: float | None = None
    skip_broken: bool = False
