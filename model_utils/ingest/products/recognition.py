"""What each file of a folder belongs to: a known product, a STAC item, a scene of files of one band, one by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from model_utils.errors import InputError
from model_utils.ingest.products.folder import Files
from model_utils.ingest.products.geotiff import BAND_FILES, GEOTIFF, band_files, read_band_files, read_geotiff
from model_utils.ingest.products.grouping import is_aside, is_mask, named_scenes
from model_utils.ingest.products.named import read_named
from model_utils.ingest.products.source_scene import SourceScene
from model_utils.ingest.products.specification import Product
from model_utils.ingest.products.stac import ITEM, Item, product_of, read_item, read_items


@dataclass(frozen=True)
class Candidate:
    """A scene that is known by name only, and what reads its headers."""

    path: Path
    product: str
    read: Callable[[], SourceScene]


def recognise(folder: Path, files: Files, products: Sequence[Product]) -> list[Candidate]:
    """Says what each file belongs to: a product by its name, a STAC item, a band of its own, or a scene of its own.

    Raises:
        InputError: A folder of a Sentinel product is none, or a JPEG 2000 file belongs to nothing.
    """
    named = named_scenes(products, files.rasters, files.others)
    claimed = {path for scene in named for path in (*scene.files.values(), *scene.twice)}
    folders = {folder for path in claimed for folder in path.parents}
    for safe in files.safe_folders:
        if safe not in folders:
            raise InputError(
                f"{safe}: found no 10 m band in it, expected a Sentinel-2 product of level 1C or 2A as a whole, with "
                "its GRANULE folder"
            )
    read = {path for scene in named for path in scene.metadata}
    items = read_items([path for path in files.others if path not in read], files.rasters)
    of_named = {path: item for item in items for path in item.files.values() if path in claimed}
    candidates = []
    for scene in named:
        item = next((of_named[path] for path in scene.files.values() if path in of_named), None)
        candidates.append(Candidate(scene.path, scene.product.name, partial(read_named, scene, item)))
    beside = {path for path in files.rasters if is_mask(products, path) or is_aside(products, path)}
    for item in _once([item for item in items if _is_new(set(item.files.values()), claimed, beside)]):
        product = product_of(item, products)
        name = product.name if product else ITEM
        candidates.append(Candidate(item.path, name, partial(read_item, item, product)))
        claimed.update(item.files.values())
    safes = set(files.safe_folders)
    taken = claimed | beside
    free = [path for path in files.rasters if not (path in taken or safes.intersection(path.parents))]
    for bands in band_files(free):
        candidates.append(Candidate(bands.path, BAND_FILES, partial(read_band_files, bands, folder)))
        claimed.update(bands.files.values())
    free = [path for path in free if path not in claimed]
    if loose := [path for path in free if path.suffix.lower() == ".jp2"]:
        raise InputError(
            f"{loose[0]}: a JPEG 2000 file by itself, expected the whole Sentinel-2 product folder, its STAC item "
            "beside it, or a GeoTIFF (gdal_translate makes one)"
        )
    return candidates + [Candidate(path, GEOTIFF, partial(read_geotiff, path, folder)) for path in free]


def _is_new(described: Set[Path], claimed: Set[Path], beside: Set[Path]) -> bool:
    """Whether an item describes a scene: not one that is known by its name, and not its side files alone."""
    return not (described & claimed or described <= beside)


def _once(items: Sequence[Item]) -> list[Item]:
    """The items, each once: one of its own file rather than one among the answers of a search.

    Raises:
        InputError: Two different items name the same file.
    """
    owners: dict[Path, Item] = {}
    kept: dict[str, Item] = {}
    for item in sorted(items, key=lambda item: not item.alone):
        for path in item.files.values():
            owner = owners.setdefault(path, item)
            if owner.scene_id != item.scene_id:
                raise InputError(
                    f"{path}: the items {owner.scene_id} and {item.scene_id} both name it, expected the files of each "
                    "scene in a folder of its own"
                )
        if not any(owners[path] is not item for path in item.files.values()):
            kept[f"{item.scene_id} {item.path}"] = item
    return list(kept.values())
