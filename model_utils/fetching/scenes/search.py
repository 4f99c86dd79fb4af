"""What a STAC catalogue has of a city, by overpass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from model_utils.cities import City
from model_utils.errors import IncompleteError, InputError
from model_utils.fetching.scenes.sources import SceneSource
from model_utils.fetching.scenes.tokens import Sign
from model_utils.fetching.transfer.extra import extra_needed
from model_utils.ingest.products.reflectance import Scaling
from model_utils.ingest.products.specification import Product, shipped_products
from model_utils.ingest.products.stac import Item, band_texts, scaling_of

with extra_needed():
    import pystac_client
    from pystac_client.stac_api_io import StacApiIO
    from urllib3 import Retry

ATTEMPTS, SECONDS = 6, 60.0
_TOGETHER = timedelta(minutes=10)
"""Granules of one overpass follow each other by seconds; the next overpass of any satellite comes later."""


@dataclass(frozen=True)
class Granule:
    """One image of a collection.

    Attributes:
        item: Its STAC item.
        time: When it was taken, in UTC.
        platform: The satellite, '' where it is not said.
        files: Addresses of its bands, by colour.
        scalings: Gain and offset of each, by colour.
        mask: Address of its quality mask.
    """

    item: Item
    time: datetime
    platform: str
    files: dict[str, str]
    scalings: dict[str, Scaling]
    mask: str

    @property
    def collection(self) -> str:
        """That of the item."""
        return str(self.item.content.get("collection", ""))


@dataclass(frozen=True)
class Overpass:
    """The granules that a satellite took of a city at one time; in an order that decides where they overlap."""

    granules: tuple[Granule, ...]

    @property
    def time(self) -> datetime:
        """That of the first."""
        return self.granules[0].time

    def masks(self, sign: Sign) -> list[str]:
        """Where the quality masks of its granules are read."""
        return [sign(granule.mask, granule.collection) for granule in self.granules]


def find_overpasses(
    source: SceneSource, city: City, start: date, end: date, bands: Sequence[str], endpoint: str
) -> tuple[list[Overpass], list[str]]:
    """Searches a catalogue.

    Args:
        source: The collections.
        city: Its bounding box, and the clock of its days.
        start: First local date.
        end: Last local date.
        bands: Colours that are wanted.
        endpoint: Of the catalogue.

    Returns:
        The overpasses by time, and a line for each item that cannot be used.

    Raises:
        IncompleteError: The catalogue does not answer, or answers what is none.
    """
    product = shipped_products()[source.product]
    granules, unusable = [], []
    for content in _items(source, city, start, end, endpoint):
        item = Item(Path(str(content.get("id", "item"))), content, {})
        try:
            granules.append(_granule(item, source, product, bands))
        except InputError as error:
            unusable.append(str(error))
    granules.sort(key=lambda granule: (granule.time, granule.item.scene_id))
    overpasses: list[list[Granule]] = []
    for granule in granules:
        last = overpasses[-1][-1] if overpasses else None
        if last and last.platform == granule.platform and granule.time - last.time <= _TOGETHER:
            overpasses[-1].append(granule)
        else:
            overpasses.append([granule])
    return [Overpass(tuple(group)) for group in overpasses], unusable


def _items(source: SceneSource, city: City, start: date, end: date, endpoint: str) -> list[dict[str, Any]]:
    box = city.bounding_box
    begins = datetime.combine(start, time(), city.zone)
    ends = datetime.combine(end + timedelta(days=1), time(), city.zone) - timedelta(seconds=1)
    retry = Retry(
        total=ATTEMPTS,
        backoff_factor=0.5,
        status_forcelist=(429, 500, 502, 503, 504),
        allowed_methods=None,  # a search is a POST, and changes nothing
        respect_retry_after_header=True,
    )
    try:
        client = pystac_client.Client.open(endpoint, stac_io=StacApiIO(max_retries=retry, timeout=SECONDS))
        search = client.search(
            collections=list(source.collections),
            bbox=[box.west, box.south, box.east, box.north],
            datetime=[begins, ends],
        )
        return [dict(item) for item in search.items_as_dicts()]
    except Exception as error:  # what the client raises on a wrong answer is not listed anywhere
        words = " ".join(str(error).split())[:200] or type(error).__name__
        raise IncompleteError(
            f"{endpoint}: no answer to a search of {', '.join(source.collections)} ({words})"
        ) from None


def _granule(item: Item, source: SceneSource, product: Product, bands: Sequence[str]) -> Granule:
    """The files of an item.

    Raises:
        InputError: It lacks one, or says no time.
    """
    stamp = item.time
    if stamp is None or not isinstance(stamp.value, datetime):
        raise InputError(f"{item.scene_id}: its item says no time")
    assets = item.content.get("assets")
    assets = {str(key): asset for key, asset in assets.items()} if isinstance(assets, dict) else {}
    files, scalings = {}, {}
    for key, asset in assets.items():
        texts = band_texts(asset, 1)[0] if isinstance(asset, dict) else {}
        colour = _colour(key, texts, product)
        if colour in bands and colour not in files and _is_image(asset):
            scaling = scaling_of(item, key, texts, product)
            if scaling is None:
                raise InputError(f"{item.scene_id}: its item does not say the scale of {key}")
            files[colour], scalings[colour] = str(asset["href"]), scaling
    masks = [str(asset["href"]) for key, asset in assets.items() if key.lower() == source.mask and _is_image(asset)]
    if missing := [colour for colour in bands if colour not in files] + ([] if masks else [source.mask]):
        raise InputError(f"{item.scene_id}: its item has no {' and no '.join(missing)}")
    platform = str(item.properties.get("platform", ""))
    return Granule(item, stamp.value, platform, files, scalings, masks[0])


def _colour(key: str, texts: dict[str, Any], product: Product) -> str:
    """The colour of an asset, by the item or by the product's names of bands."""
    common = str(texts.get("common_name") or texts.get("eo:common_name") or "").lower()
    names = {band: name for images in product.images for band, name in images.bands.items()}
    return common or names.get(str(texts.get("name") or key).upper(), "")


def _is_image(asset: Any) -> bool:
    """Whether an asset is one band that windows can be read of; a JPEG 2000 file beside it is not."""
    if not isinstance(asset, dict) or not asset.get("href"):
        return False
    listed = asset.get("eo:bands") or asset.get("bands") or []
    return len(listed) <= 1 and not str(asset["href"]).split("?")[0].lower().endswith(".jp2")
