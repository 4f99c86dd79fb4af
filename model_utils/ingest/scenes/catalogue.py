"""From a folder of scenes to the list of them, before a pixel is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from model_utils.cities import City
from model_utils.errors import InputError
from model_utils.ingest.scenes import geotiff, planet, sentinel
from model_utils.ingest.scenes.bands import Choice, choose_bands, parse_bands
from model_utils.ingest.scenes.delivery import Delivery
from model_utils.ingest.scenes.folder import Files, list_files
from model_utils.ingest.scenes.full_scale import full_scale_of
from model_utils.ingest.scenes.scene import Scene
from model_utils.ingest.scenes.settings import SceneSettings
from model_utils.ingest.scenes.times import WRITING_TAG, Stamp, TimePattern, acquisition


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
        folder: GeoTIFFs, Planet orders, Sentinel-2 .SAFE folders, in any arrangement.
        settings: The flags.
        city: Gives the time of day to scenes of which the date alone is known.

    Raises:
        InputError: Naming the file, what was found in it, and the flag or the conversion that helps.
    """
    wanted = parse_bands(settings.bands)
    pattern = TimePattern(settings.time_pattern) if settings.time_pattern is not None else None
    files = list_files(folder)
    finds = _of_one_product(folder, _identified(folder, files), settings.product)
    deliveries, broken = _headers(finds, settings.skip_broken)
    _refuse_twice(deliveries)
    choices = [choose_bands(delivery, wanted) for delivery in deliveries]
    names = _common_names(deliveries, choices)
    full_scale, scaling = full_scale_of(deliveries, choices, settings.full_scale)
    stamps = [
        acquisition(delivery.path, pattern, delivery.metadata_time, delivery.tags, delivery.name_time)
        for delivery in deliveries
    ]
    scenes = [
        Scene(
            scene_id=delivery.scene_id,
            product=delivery.product,
            bands=tuple(choice.delivered.band for choice in chosen),
            time_utc=stamp.in_utc(city),
            time_source=stamp.source + (" (date only)" if stamp.date_only else ""),
            mask_kind=delivery.mask_kind,
            mask_file=delivery.mask_file,
            full_scale=full_scale,
            surface_reflectance=delivery.surface_reflectance,
            sidecars=delivery.sidecars,
            simulated=delivery.tags.get("SIMULATED", "").lower() == "yes",
        )
        for delivery, chosen, stamp in zip(deliveries, choices, stamps, strict=True)
    ]
    return Catalogue(
        scenes=tuple(sorted(scenes, key=lambda scene: (scene.time_utc, scene.scene_id))),
        bands=names,
        scaling=scaling,
        notes=(
            *(f"warning: a scene was left out: {error}" for error in broken),
            *_time_notes(stamps, city),
            *_band_notes(choices),
            *_product_notes(deliveries, files),
        ),
    )


def _identified(folder: Path, files: Files) -> list[_Find]:
    """Says of each raster and SAFE folder what it is, by its name."""
    beside = planet.companions(files.rasters, files.others)
    finds = [
        _Find(path, sentinel.product_of(path), partial(sentinel.read_sentinel, path)) for path in files.safe_folders
    ]
    for path in files.rasters:
        if planet.is_mask(path):
            continue
        if product := planet.product_of(path):
            finds.append(_Find(path, product, partial(planet.read_planet, path, beside)))
        elif (product := geotiff.product_of(path)) == geotiff.NAIP:
            finds.append(_Find(path, product, partial(geotiff.read_naip, path)))
        else:
            finds.append(_Find(path, product, partial(geotiff.read_geotiff, path, folder)))
    return finds


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


def _product_notes(deliveries: Sequence[Delivery], files: Files) -> list[str]:
    notes = []
    total = len(deliveries)
    if deliveries[0].surface_reflectance:
        notes.append(
            f"warning: {deliveries[0].product} is surface reflectance: its atmospheric correction removes much of the "
            "haze that PM2.5 is read from; a top-of-atmosphere product keeps it"
        )
    harmonized = sum(planet.is_harmonized(delivery.path) for delivery in deliveries)
    if 0 < harmonized < total:
        notes.append(f"warning: {harmonized} of {total} scenes are harmonized to Sentinel-2 and the others are not")
    unmasked = sum(delivery.mask_file is None for delivery in deliveries)
    if unmasked and deliveries[0].product not in (geotiff.NAIP, geotiff.GEOTIFF):
        notes.append(f"{unmasked} of {total} scenes came without a quality mask")
    if beside := [path for path in files.others if path.suffix.lower() == ".msk"]:
        notes.append(
            f"warning: {len(beside)} files such as {beside[0].name} are not read: a mask counts inside its scene only "
            "(gdal_translate --config GDAL_TIFF_INTERNAL_MASK YES puts it there)"
        )
    masks = {path for path in files.rasters if planet.is_mask(path)}
    if unused := masks - {delivery.mask_file for delivery in deliveries}:
        notes.append(
            f"{len(unused)} quality masks are not used: they belong to no scene that was taken, or a second time"
        )
    return notes
