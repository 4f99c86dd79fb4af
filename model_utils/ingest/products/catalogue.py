"""From a folder of scenes to the list of them, before a pixel is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from model_utils.cities import City
from model_utils.errors import InputError
from model_utils.ingest.products.bands import Choice, choose_bands, parse_bands
from model_utils.ingest.products.delivery import Delivery
from model_utils.ingest.products.folder import Files, list_files
from model_utils.ingest.products.full_scale import full_scale_of
from model_utils.ingest.products.geotiff import BAND_FILES, GEOTIFF, band_files, read_band_files, read_geotiff
from model_utils.ingest.products.grouping import is_aside, is_mask, named_scenes
from model_utils.ingest.products.named import read_named
from model_utils.ingest.products.settings import SceneSettings
from model_utils.ingest.products.specification import Product, read_product, shipped_products
from model_utils.ingest.products.stac import ITEM, product_of, read_item, read_items
from model_utils.ingest.products.times import WRITING_TAG, Stamp, TimePattern, acquisition, parsed_time
from model_utils.ingest.scenes.scene import Scene


@dataclass(frozen=True)
class Catalogue:
    """The scenes of a folder.

    Attributes:
        scenes: By time, then id; all of one product.
        bands: Names of the bands in the archive.
        scaling: How numbers become bytes, in a sentence.
        notes: What a person should know about how this came about.
    """

    scenes: tuple[Scene, ...]
    bands: tuple[str, ...]
    scaling: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Find:
    """A scene that is known by name only, and what reads its headers."""

    path: Path
    product: str
    read: Callable[[], Delivery]


def find_scenes(folder: Path, settings: SceneSettings, city: City) -> Catalogue:
    """Lists the scenes of one product in a folder and all below it, from names, headers and sidecars.

    Args:
        folder: Scenes as they were delivered, in any arrangement.
        settings: The flags.
        city: Gives the time of day to scenes of which the date alone is known.

    Raises:
        InputError: Naming the file, what was found in it, and the flag or the conversion that helps.
    """
    wanted = parse_bands(settings.bands)
    pattern = TimePattern(settings.time_pattern) if settings.time_pattern is not None else None
    files = list_files(folder)
    own = _described(settings.product)
    products = [*([own] if own else []), *shipped_products().values()]
    finds = _of_one_product(folder, _identified(folder, files, products), own.name if own else settings.product)
    deliveries, broken = _headers(finds, settings.skip_broken)
    _refuse_twice(deliveries)
    choices = [choose_bands(delivery, wanted) for delivery in deliveries]
    names = _common_names(deliveries, choices)
    full_scale, scaling = full_scale_of(deliveries, choices, settings.full_scale)
    given = _given_time(settings.time, deliveries)
    stamps = [
        given or acquisition(delivery.path, pattern, delivery.metadata_time, delivery.tags, delivery.name_time)
        for delivery in deliveries
    ]
    scenes = [
        Scene(
            scene_id=delivery.scene_id,
            product=delivery.product,
            bands=tuple(choice.delivered.band for choice in chosen),
            time_utc=stamp.in_utc(city),
            time_source=stamp.source + (" (date only)" if stamp.date_only else ""),
            mask=delivery.mask,
            full_scale=full_scale,
            surface_reflectance=delivery.surface_reflectance,
            sidecars=delivery.sidecars,
            simulated=delivery.tags.get("SIMULATED", "").lower() == "yes",
        )
        for delivery, chosen, stamp in zip(deliveries, choices, stamps, strict=True)
    ]
    masks = {path for path in files.rasters if is_mask(products, path)}
    return Catalogue(
        scenes=tuple(sorted(scenes, key=lambda scene: (scene.time_utc, scene.scene_id))),
        bands=names,
        scaling=scaling,
        notes=(
            *(f"warning: a scene was left out: {error}" for error in broken),
            *_time_notes(stamps, city),
            *_band_notes(choices),
            *_product_notes(deliveries, files, masks),
        ),
    )


def _described(product: str | None) -> Product | None:
    """The product that a file of the user's describes, if it is one that `--product` names."""
    path = Path(product or "")
    return read_product(path) if path.suffix.lower() in (".yaml", ".yml") else None


def _identified(folder: Path, files: Files, products: Sequence[Product]) -> list[_Find]:
    """Says what each file belongs to: a product by its name, a STAC item, a band of its own, or a scene of its own.

    Raises:
        InputError: A folder of a Sentinel product is none, or a JPEG 2000 file belongs to nothing.
    """
    named = named_scenes(products, files.rasters, files.others)
    taken = {path for scene in named for path in (*scene.files.values(), *scene.twice)}
    for safe in files.safe_folders:
        if not any(safe in path.parents for path in taken):
            raise InputError(
                f"{safe}: found no 10 m band in it, expected a Sentinel-2 product of level 1C or 2A as a whole, with "
                "its GRANULE folder"
            )
    inside = {path for path in files.rasters if set(path.parents) & set(files.safe_folders)}
    aside = {path for path in files.rasters if is_mask(products, path) or is_aside(products, path)}
    free = [path for path in files.rasters if path not in taken | inside | aside]
    read = {path for scene in named for path in scene.metadata}
    items = read_items([path for path in files.others if path not in read], files.rasters)
    of_named = {path: item for item in items for path in item.files.values() if path in taken}
    finds = []
    for named_scene in named:
        item = next((of_named[path] for path in named_scene.files.values() if path in of_named), None)
        finds.append(_Find(named_scene.path, named_scene.product.name, partial(read_named, named_scene, item)))
    for item in items:
        if not taken.intersection(item.files.values()):
            product = product_of(item, products)
            finds.append(_Find(item.path, product.name if product else ITEM, partial(read_item, item, product)))
            free = [path for path in free if path not in set(item.files.values())]
    for scene in band_files(free):
        finds.append(_Find(scene.path, BAND_FILES, partial(read_band_files, scene, folder)))
        free = [path for path in free if path not in set(scene.files.values())]
    if loose := [path for path in free if path.suffix.lower() == ".jp2"]:
        raise InputError(
            f"{loose[0]}: a JPEG 2000 file by itself, expected the whole Sentinel-2 product folder, its STAC item "
            "beside it, or a GeoTIFF (gdal_translate makes one)"
        )
    return finds + [_Find(path, GEOTIFF, partial(read_geotiff, path, folder)) for path in free]


def _of_one_product(folder: Path, finds: Sequence[_Find], product: str | None) -> list[_Find]:
    counts = Counter(find.product for find in finds)
    listed = ", ".join(f"{name} ({count})" for name, count in sorted(counts.items()))
    if not finds:
        raise InputError(f"{folder}: found quality masks only, expected the scenes they belong to")
    if product is not None and product not in counts:
        raise InputError(f"--product: found {product!r}, expected one of those in {folder}: {listed}")
    if product is None and len(counts) > 1:
        raise InputError(f"{folder}: found {listed}, expected scenes of one product: --product chooses one")
    return [find for find in finds if product in (None, find.product)]


def _headers(finds: Sequence[_Find], skip_broken: bool) -> tuple[list[Delivery], list[InputError]]:
    """Reads the headers; those that cannot be read are left out if that is asked for and others are left."""
    deliveries, broken = [], []
    for find in finds:
        try:
            deliveries.append(find.read())
        except InputError as error:
            if not skip_broken:
                raise
            broken.append(error)
    if not deliveries:
        raise broken[0]
    return deliveries, broken


def _refuse_twice(deliveries: Sequence[Delivery]) -> None:
    first: dict[str, Delivery] = {}
    for delivery in deliveries:
        other = first.setdefault(delivery.scene_id, delivery)
        if other is not delivery:
            raise InputError(
                f"{delivery.path}: scene {delivery.scene_id} is there already as {other.path}, expected each once"
            )


def _common_names(deliveries: Sequence[Delivery], choices: Sequence[Sequence[Choice]]) -> tuple[str, ...]:
    """The archive's band names, which must be the same for every scene."""
    names = tuple(choice.name for choice in choices[0])
    for delivery, chosen in zip(deliveries, choices, strict=True):
        found = tuple(choice.name for choice in chosen)
        if found != names:
            raise InputError(
                f"{delivery.path}: the chosen bands are {', '.join(found)}, but {', '.join(names)} in "
                f"{deliveries[0].path.name}, expected the same in every scene: --bands red=3,... names them"
            )
    return names


def _given_time(text: str | None, deliveries: Sequence[Delivery]) -> Stamp | None:
    """The time that the user says of the only scene."""
    if text is None:
        return None
    stamp = parsed_time(text, "--time")
    if stamp is None:
        raise InputError(f"--time: found {text!r:.60}, expected one such as 2024-01-02T05:12:21Z")
    if len(deliveries) > 1:
        raise InputError(
            f"--time: found {len(deliveries)} scenes, such as {deliveries[0].path} and {deliveries[1].path}, expected "
            "one: --time-pattern finds the time of each in its name"
        )
    return stamp


def _time_notes(stamps: Sequence[Stamp], city: City) -> list[str]:
    notes = []
    total = len(stamps)
    if count := sum(stamp.date_only for stamp in stamps):
        notes.append(
            f"{count} of {total} scenes have a date without a time of day: taken as that local date at "
            f"{city.overpass_local_time:%H:%M} ({city.time_zone})"
        )
    if count := sum(stamp.zoneless for stamp in stamps):
        notes.append(f"{count} of {total} scenes have a time that names no zone: taken as UTC")
    if count := sum(stamp.source == f"tag {WRITING_TAG}" for stamp in stamps):
        notes.append(
            f"{count} of {total} scenes have no other time than the tag {WRITING_TAG}, which often is the time of "
            "processing: check it, or give --time-pattern"
        )
    return notes


def _band_notes(choices: Sequence[Sequence[Choice]]) -> list[str]:
    count = sum(any(choice.by == "colour" for choice in chosen) for chosen in choices)
    if not count:
        return []
    names = dict.fromkeys(choice.name for chosen in choices for choice in chosen if choice.by == "colour")
    return [
        f"warning: {', '.join(names)} of {count} of {len(choices)} scenes are taken from the colours the file states "
        "(GeoTIFF writers set them by default); --bands red=1,... states the order"
    ]


def _product_notes(deliveries: Sequence[Delivery], files: Files, masks: Collection[Path]) -> list[str]:
    notes = []
    total = len(deliveries)
    if deliveries[0].surface_reflectance:
        notes.append(
            f"warning: {deliveries[0].product} is surface reflectance: its atmospheric correction removes much of the "
            "haze that PM2.5 is read from; a top-of-atmosphere product keeps it"
        )
    for variant, count in Counter(delivery.variant for delivery in deliveries).items():
        if variant and count < total:
            notes.append(f"warning: {count} of {total} scenes are {variant} and the others are not")
    unmasked = sum(delivery.mask is None for delivery in deliveries)
    if unmasked and any(delivery.masked for delivery in deliveries):
        notes.append(f"{unmasked} of {total} scenes came without a quality mask")
    if beside := [path for path in files.others if path.suffix.lower() == ".msk"]:
        notes.append(
            f"warning: {len(beside)} files such as {beside[0].name} are not read: a mask counts inside its scene only "
            "(gdal_translate --config GDAL_TIFF_INTERNAL_MASK YES puts it there)"
        )
    if unused := set(masks) - {delivery.mask.file for delivery in deliveries if delivery.mask}:
        notes.append(
            f"{len(unused)} quality masks are not used: they belong to no scene that was taken, or a second time"
        )
    return notes
