"""Refuses scenes whose numbers mean something else than is taken: nothing of them would be left in an archive."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from model_utils.cities import City
from model_utils.errors import InputError
from model_utils.ingest.brightness import Brightness
from model_utils.ingest.scenes.scene import Scene
from model_utils.ingest.scenes.survey import fitting_full_scale, survey

_MOST_LOOKED = 3
_TOO_BRIGHT, _TOO_DARK = 5.0, 0.01
"""Times the value that becomes 255: the middle of a scene is never above the one, not of the whitest cloud, nor its
brightest pixels below the other."""


def refuse_other_scales(folder: Path, brightness: Brightness, scenes: Sequence[Scene], city: City) -> None:
    """Looks at the scenes all of whose bytes are 0 or 255.

    Args:
        folder: Of the scenes.
        brightness: The bytes that were counted, by scene.
        scenes: Those that are there.
        city: Where their values are looked at.

    Raises:
        InputError: All bytes of all scenes are 0 or 255, or a scene's values are on another scale than the others'.
    """
    at_the_ends = set(brightness.scenes_at_the_ends())
    odd = [scene for scene in scenes if scene.scene_id in at_the_ends]
    if ends := brightness.ends():
        raise InputError(f"{folder}: {ends}{_advice(odd, city)}")
    for scene in odd:
        spread = _spread(scene, city)
        full = scene.full_scale
        if spread is None or (_TOO_DARK * full <= spread[2] and spread[1] <= _TOO_BRIGHT * full):
            continue
        raise InputError(
            f"{scene.bands[0].file}: its values are {spread[0]:.4g} to {spread[2]:.4g}, all beside 0 to "
            f"{full:g}, which other scenes of {folder} hold, expected scenes of one level and one scale"
        )


def offset_doubts(scenes: Sequence[Scene], city: City) -> list[str]:
    """A warning where reflectance lies below 0: an offset that was applied before may be applied a second time.

    Args:
        scenes: A few of those whose numbers have an offset are looked at.
        city: Where.
    """
    offset = [scene for scene in scenes if any(band.offset < 0 for band in scene.bands)]
    looked = offset[:: max(1, -(-len(offset) // _MOST_LOOKED))]
    below = [scene for scene in looked if (spread := _spread(scene, city)) and spread[0] < 0]
    if not below:
        return []
    return [
        f"warning: values below 0 at the darkest of {below[0].scene_id} ({len(below)} of {len(looked)} scenes that "
        "were looked at): an offset that was applied before may have been applied a second time"
    ]


def _advice(scenes: Sequence[Scene], city: City) -> str:
    """Which values there are, and which of them might become 255."""
    spreads = [(scene, spread) for scene in scenes[:3] if (spread := _spread(scene, city))]
    if not spreads:
        return ", expected --full-scale with the value that becomes 255"
    scene, (low, _, high) = spreads[0]
    return (
        f" where {scene.full_scale:g} becomes 255: the values of {scene.bands[0].file} are {low:.4g} to {high:.4g} "
        f"(2nd and 98th percentile), expected a value that fits, such as --full-scale {fitting_full_scale(high):g}"
    )


def _spread(scene: Scene, city: City) -> tuple[float, float, float] | None:
    """The 2nd, 50th and 98th percentile of a scene's values in the city, over its bands; None where it shows none."""
    found = np.array(survey(scene, city).percentiles)
    if not found.size or not np.isfinite(found).all():
        return None
    return float(found[:, 0].min()), float(np.median(found[:, 1])), float(found[:, 2].max())
