"""What the flags of `pm25 prepare` say about scenes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from model_utils.ingest.products.specification import Product, read_product


@dataclass(frozen=True)
class SceneSettings:
    """How a folder of scenes is to be read.

    Attributes:
        bands: Band names (red), band numbers (3), or names with the band they are in the files (red=3, red=B4).
        product: The kind of product to take where the folder holds several, such as planetscope-analytic; or a YAML
            file that describes one that is not known.
        time_pattern: A strptime pattern that finds the acquisition time in a file's name, such as %Y%m%d_%H%M%S.
        time: When the folder's only scene was taken, ISO 8601, in UTC where it names no zone; before all other times.
        full_scale: The value that becomes 255: reflectance for products that hold it, the file's own numbers for
            others (after the scale and offset in its tags, where it has them). None takes the product's own.
        skip_broken: Leave out files whose header cannot be read, and say so, instead of raising.
    """

    bands: tuple[str, ...] = ("red", "green", "blue")
    product: str | None = None
    time_pattern: str | None = None
    time: str | None = None
    full_scale: float | None = None
    skip_broken: bool = False

    @cached_property
    def described(self) -> tuple[Product, ...]:
        """The product that a file of the user's describes, if there is one.

        Raises:
            InputError: The file is not right.
        """
        own = self.product is not None and Path(self.product).suffix.lower() in (".yaml", ".yml")
        return (read_product(Path(self.product or "")),) if own else ()

    @property
    def product_name(self) -> str | None:
        """What the product to take is called."""
        return self.described[0].name if self.described else self.product
