"""What the flags of `pm25 prepare` say about scenes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SceneSettings:
    """How a folder of scenes is to be read.

    Attributes:
        bands: Band names (red), band numbers (3), or names with the band they are in the files (red=3, red=B4).
        product: The kind of product to take where the folder holds several, such as planetscope-analytic.
        time_pattern: A strptime pattern that finds the acquisition time in a file's name, such as %Y%m%d_%H%M%S.
        full_scale: The value that becomes 255: reflectance for products that hold it, the file's own numbers for
            others (after the scale and offset in its tags, where it has them). None takes the product's own.
        skip_broken: Leave out files whose header cannot be read, and say so, instead of raising.
    """

    bands: tuple[str, ...] = ("red", "green", "blue")
    product: str | None = None
    time_pattern: str | None = None
    full_scale: float | None = None
    skip_broken: bool = False
