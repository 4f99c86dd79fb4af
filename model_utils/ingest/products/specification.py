"""What a provider's product of scenes looks like, as a YAML file says it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache, cached_property
from pathlib import Path
from string import Formatter
from typing import Literal

from model_utils.ingest.scenes.masks import MASKS, Codes, MaskLayout
from model_utils.ingest.specification import read_specification

SCENE, BAND, TIME, VARIANT = "scene", "band", "time", "variant"
SHARED_BY_ALL = (BAND, TIME, VARIANT)
"""Groups of a pattern that say something of one file, and do not tell which files belong together."""


@dataclass(frozen=True)
class Images:
    """Rasters that hold the bands of a scene.

    Attributes:
        file: Pattern of the end of the file's path; `{scene}` stands for `Product.scene`. Where each band is a file of
            its own, the group `band` is the provider's name of it. A group `variant` names a processing that scenes of
            one archive should share. All other groups are those of the files beside it.
        bands: The bands' names by the provider's: the group `band`, or the description in the file.
        orders: In place of it, the bands' names in the order of the file, for each number of bands that it may have;
            '' is none.
        dtype: Type of the numbers; '' for any.
        described: Pattern that the description of one of its bands has to fit, where names do not tell products apart.
        item: Pattern of what a STAC item of them says of itself: its id, collection and platform with spaces between.
    """

    file: str
    bands: Mapping[str, str] = field(default_factory=dict)
    orders: tuple[tuple[str, ...], ...] = ()
    dtype: str = ""
    described: str = ""
    item: str = ""

    def __post_init__(self) -> None:
        if bool(self.bands) == bool(self.orders):
            raise ValueError("images: expected bands or orders")
        _ = compiled(self.described), compiled(self.item)


@dataclass(frozen=True)
class MaskFile:
    """The quality mask of a scene.

    Attributes:
        file: Pattern of the end of its path, or
        band: the description of the band of the image that it is.
        kind: One of `MASKS`; or what it means:
        empty: Its numbers for pixels without data.
        cloud: Its numbers for cloud.
        count: Bands that the file has.
        dtype: Type of its numbers.
        not_filled: First and last date, such as 2022-01-25, of a time when the provider left it empty.
    """

    file: str = ""
    band: str = ""
    kind: str = ""
    empty: tuple[Codes, ...] = ()
    cloud: tuple[Codes, ...] = ()
    count: int = 1
    dtype: str = "uint8"
    not_filled: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if bool(self.file) == bool(self.band):
            raise ValueError("masks: expected a file or a band")
        if self.kind and self.kind not in MASKS:
            raise ValueError(f"masks.kind: found {self.kind!r}, expected one of {', '.join(MASKS)}")
        if bool(self.kind) == bool(self.empty or self.cloud):
            raise ValueError("masks: expected a kind, or what its numbers mean")
        if len(self.not_filled) not in (0, 2):
            raise ValueError(f"masks.not_filled: found {list(self.not_filled)}, expected two dates")
        _ = self.layout, [date.fromisoformat(text) for text in self.not_filled]

    def is_filled(self, day: date | None) -> bool:
        """Whether the provider filled it on a date; on one that is not known it is taken for filled."""
        first, last = (date.fromisoformat(text) for text in self.not_filled or ("9999-01-01", "9999-01-01"))
        return day is None or not first <= day <= last

    @cached_property
    def layout(self) -> MaskLayout:
        """What its numbers mean."""
        if self.kind:
            return MASKS[self.kind]
        return MaskLayout("own", self.empty, self.cloud, self.count, self.dtype)


@dataclass(frozen=True)
class Reflectance:
    """How numbers become reflectance: gain x number + offset.

    Attributes:
        gain: Of all bands.
        offset: Of all bands.
        gain_key: Key of the metadata with a band's gain; `{band}` is the number in the provider's name of the band.
        offset_key: The same for the offset.
        sun_elevation_key: Key with the sun's elevation, degrees, by whose sine both are divided.
        by: The function of `reflectance.FUNCTIONS` that knows what else there is to know.
        dtype: Type of the numbers that these hold for; '' for any.
        needs: What has to be there where the metadata is not; its groups are those of the image's pattern.
    """

    gain: float | None = None
    offset: float = 0.0
    gain_key: str = ""
    offset_key: str = ""
    sun_elevation_key: str = ""
    by: Literal["", "planet_coefficients", "sentinel2_offsets"] = ""
    dtype: str = ""
    needs: str = ""

    def __post_init__(self) -> None:
        if not (self.gain is not None or self.gain_key or self.by):
            raise ValueError("reflectance: expected gain, gain_key or by")
        if not all(map(math.isfinite, (self.gain or 1.0, self.offset))) or (self.gain is not None and self.gain <= 0):
            raise ValueError(f"reflectance: found gain {self.gain} and offset {self.offset}, expected a gain above 0")


@dataclass(frozen=True)
class SceneTime:
    """When a scene was taken, in UTC.

    Attributes:
        keys: Of the metadata, the first that is there; two with a space between are a date and a time of day.
        name: How the group `time` of the image's pattern is written, as strptime has it.
        days: Whose days are meant where the name has a date alone.
    """

    keys: tuple[str, ...] = ()
    name: str = ""
    days: Literal["utc", "local"] = "utc"

    def __post_init__(self) -> None:
        try:
            datetime.strptime(datetime(2024, 1, 2).strftime(self.name), self.name)
        except ValueError:
            raise ValueError(f"time.name: found {self.name!r}, expected codes such as %Y%m%dT%H%M%S") from None


@dataclass(frozen=True)
class Product:
    """A product.

    Attributes:
        name: As --product takes it.
        title: What it is, in a line.
        documentation: Where the provider describes it.
        scene: Pattern of a scene's name.
        images: The files with its bands.
        level: Whether reflectance is that above the atmosphere or at the surface; '' where files may hold either.
        reflectance: How numbers become reflectance; None where they are what they are.
        metadata: Patterns of the files that say more; of several that fit one, the first counts.
        masks: The quality masks, the best first.
        time: When.
        collections: STAC collections that hold this product.
        aside: Pattern of further rasters that come with a scene and are not read; '' for none.
    """

    name: str
    title: str
    documentation: str
    scene: str
    images: tuple[Images, ...]
    level: Literal["", "top of atmosphere", "surface"] = ""
    reflectance: Reflectance | None = None
    metadata: tuple[str, ...] = ()
    masks: tuple[MaskFile, ...] = ()
    time: SceneTime = SceneTime()
    collections: tuple[str, ...] = ()
    aside: str = ""

    def __post_init__(self) -> None:
        for image in self.images:
            groups = self.pattern(image.file).groupindex
            if SCENE not in groups:
                raise ValueError("images.file: expected {scene}, or a group (?P<scene>...)")
            if BAND in groups and image.orders:
                raise ValueError("images.orders: expected bands, since each band is a file of its own")
            needs = self.reflectance.needs if self.reflectance else ""
            if unknown := {name for _, name, _, _ in Formatter().parse(needs) if name} - set(groups):
                raise ValueError(f"reflectance.needs: found {{{min(unknown)}}}, expected groups of images.file")
        for text in (*self.metadata, *(mask.file for mask in self.masks if mask.file)):
            if SCENE not in self.pattern(text).groupindex:
                raise ValueError(f"{text!r:.80}: expected {{scene}} in it, which tells whose file it is")
        self.pattern(self.aside)
        if not self.images:
            raise ValueError("images: expected a file")

    def pattern(self, text: str) -> re.Pattern[str]:
        """A pattern of paths, whatever comes before the part that it describes.

        Raises:
            ValueError: It is none.
        """
        return compiled(f"(?:.*/)?(?:{text.replace('{scene}', f'(?P<{SCENE}>{self.scene})')})")


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern of names, whatever their case.

    Raises:
        ValueError: It is none.
    """
    try:
        return re.compile(pattern, re.IGNORECASE)
    except re.error as error:
        raise ValueError(f"{pattern!r:.80}: no pattern ({error})") from None


def read_product(path: Path) -> Product:
    """Reads and checks a product.

    Raises:
        InputError: Naming the file, and the key that is wrong.
    """
    return read_specification(path, Product)


@cache
def shipped_products() -> dict[str, Product]:
    """The products that come with the software, by name; those that look into a file are asked before others."""
    found = [read_product(path) for path in Path(__file__).parent.glob("*.yaml")]
    found.sort(key=lambda product: (not any(images.described for images in product.images), product.name))
    return {product.name: product for product in found}
