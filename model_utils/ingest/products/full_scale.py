"""Which value becomes 255: one for all scenes of an archive, since a stretch of each erases the haze."""

from __future__ import annotations

import math
from collections.abc import Sequence

from model_utils.errors import InputError
from model_utils.ingest.products.bands import Choice
from model_utils.ingest.products.delivery import Delivery

REFLECTANCE_FULL_SCALE = 0.4
"""Reflectance that becomes 255. Haze over bright ground stays below it; clouds are above and are cut."""


class UnknownScaleError(InputError):
    """Nothing says what the scenes' numbers mean."""


def full_scale_of(
    deliveries: Sequence[Delivery], choices: Sequence[Sequence[Choice]], asked: float | None
) -> tuple[float, str]:
    """The physical value that becomes 255, and the sentence that says so.

    Args:
        deliveries: The scenes of one product.
        choices: The chosen bands of each.
        asked: `--full-scale`, or None.

    Raises:
        InputError: The scenes hold different kinds of numbers.
        UnknownScaleError: Nothing says what their numbers mean.
    """
    if asked is not None and not (math.isfinite(asked) and asked > 0):
        raise InputError(f"--full-scale: found {asked}, expected a number above 0")
    first = deliveries[0]
    kinds = [_kind(delivery, chosen) for delivery, chosen in zip(deliveries, choices, strict=True)]
    for delivery, kind in zip(deliveries, kinds, strict=True):
        if kind != kinds[0]:
            missing = first.missing or delivery.missing
            raise InputError(
                f"{delivery.path}: holds {kind}, but {first.path.name} holds {kinds[0]}, expected one kind of numbers"
                + (f" (there is no {missing})" if missing else "")
            )
    kind = kinds[0]
    plain_bytes = kind == "uint8 numbers"
    default = REFLECTANCE_FULL_SCALE if kind == "reflectance" else 255.0 if plain_bytes else None
    full_scale = default if asked is None else asked
    if full_scale is None:
        lacking = f", and no {first.missing}" if first.missing else ""
        raise UnknownScaleError(
            f"{first.path}: found {kind}{lacking}, expected --full-scale, the value that becomes 255 in every scene "
            "(4000 where the numbers are reflectance x 10,000)"
        )
    if plain_bytes and full_scale == 255:
        return full_scale, "the files' uint8 numbers are kept as they are, in every scene alike"
    return full_scale, (
        f"byte = round(255 x value / {full_scale:g}), cut to 0..255, where value is {_meaning(kind)}; "
        "in every scene alike"
    )


def _kind(delivery: Delivery, chosen: Sequence[Choice]) -> str:
    if delivery.reflectance:
        return "reflectance"
    bands = [choice.delivered.band for choice in chosen]
    for band in bands:
        if not (math.isfinite(band.gain) and math.isfinite(band.offset) and band.gain != 0):
            raise InputError(
                f"{band.file}: the tags of band {band.index} give scale {band.gain} and offset {band.offset}, "
                "expected numbers and a scale that is not 0"
            )
    tagged = any((band.gain, band.offset) != (1, 0) for band in bands)
    return f"{delivery.dtype} numbers" + (" with a scale and offset in the tags" if tagged else "")


def _meaning(kind: str) -> str:
    if kind == "reflectance":
        return "reflectance, from the file's number by the product's own gain and offset"
    return "the file's number" + (" x scale + offset as its tags say" if "tags" in kind else "")
