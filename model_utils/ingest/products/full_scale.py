"""Which value becomes 255: one for all scenes of an archive, since a stretch of each erases the haze."""

from __future__ import annotations

import math
from collections.abc import Sequence

from model_utils.errors import InputError
from model_utils.ingest.products.bands import Choice
from model_utils.ingest.products.source_scene import SourceScene

REFLECTANCE_FULL_SCALE = 0.4
"""Reflectance that becomes 255. Haze over bright ground stays below it; clouds are above and are cut."""


class UnknownScaleError(InputError):
    """Nothing says what the scenes' numbers mean."""


_WHOLE = ("uint16 numbers", "int16 numbers")


def full_scale_of(
    sources: Sequence[SourceScene], choices: Sequence[Sequence[Choice]], asked: float | None
) -> tuple[float, str]:
    """The physical value that becomes 255, and the sentence that says so.

    Args:
        sources: The scenes of one product.
        choices: The chosen bands of each.
        asked: `--full-scale`, or None.

    Raises:
        InputError: The scenes hold different kinds of numbers.
        UnknownScaleError: Nothing says what their numbers mean.
    """
    if asked is not None and not (math.isfinite(asked) and asked > 0):
        raise InputError(f"--full-scale: found {asked}, expected a number above 0")
    first = sources[0]
    kinds = [_kind(source, chosen) for source, chosen in zip(sources, choices, strict=True)]
    for source, kind in zip(sources, kinds, strict=True):
        if kind != kinds[0]:
            missing = first.missing or source.missing
            raise InputError(
                f"{source.path}: holds {kind}, but {first.path.name} holds {kinds[0]}, expected one kind of numbers"
                + (f" (there is no {missing})" if missing else "")
            )
    kind = kinds[0]
    plain_bytes = kind == "uint8 numbers"
    default = REFLECTANCE_FULL_SCALE if kind == "reflectance" else 255.0 if plain_bytes else None
    full_scale = default if asked is None else asked
    if full_scale is None:
        lacking = f", and no {first.missing}" if first.missing else ""
        hint = " (4000 where the numbers are reflectance x 10,000)" if kind in _WHOLE and not lacking else ""
        raise UnknownScaleError(
            f"{first.path}: found {kind}{lacking}, expected --full-scale, the value that becomes 255 in every scene"
            + hint
        )
    if plain_bytes and full_scale == 255:
        return full_scale, "the files' uint8 numbers are kept as they are, in every scene alike"
    return full_scale, (
        f"byte = round(255 x value / {full_scale:g}), cut to 0..255, where value is {_meaning(kind)}; "
        "in every scene alike"
    )


def _kind(source: SourceScene, chosen: Sequence[Choice]) -> str:
    if source.reflectance:
        return "reflectance"
    bands = [choice.source.band for choice in chosen]
    for band in bands:
        if not (math.isfinite(band.gain) and math.isfinite(band.offset) and band.gain != 0):
            raise InputError(
                f"{band.file}: the tags of band {band.index} give scale {band.gain} and offset {band.offset}, "
                "expected numbers and a scale that is not 0"
            )
    tagged = any((band.gain, band.offset) != (1, 0) for band in bands)
    return f"{source.dtype} numbers" + (" with a scale and offset in the tags" if tagged else "")


def _meaning(kind: str) -> str:
    if kind == "reflectance":
        return "reflectance, from the file's number by the product's own gain and offset"
    return "the file's number" + (" x scale + offset as its tags say" if "tags" in kind else "")
