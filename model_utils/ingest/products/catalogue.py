"""From a folder of scenes to the list of them, before a pixel is read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from model_utils.cities import City
from model_utils.errors import InputError
from model_utils.ingest.products.bands import Choice, choose_bands, parse_bands
from model_utils.ingest.products.folder import Files, list_files
from model_utils.ingest.products.full_scale import full_scale_of
from model_utils.ingest.products.grouping import is_mask
from model_utils.ingest.products.recognition import Candidate, recognise
from model_utils.ingest.products.settings import SceneSettings
from model_utils.ingest.products.source_scene import SourceScene
from model_utils.ingest.products.specification import Product, read_product, shipped_products
from model_utils.ingest.products.times import WRITING_TAG, Stamp, TimePattern, acquisition, parsed_time
from model_utils.ingest.scenes.scene import Scene
from model_utils.ingest.storage import file_hash


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
    shipped = shipped_products()
    products = [own, *(shipped[name] for name in shipped if name != own.name)] if own else [*shipped.values()]
    candidates = _of_one_product(folder, recognise(folder, files, products), own.name if own else settings.product)
    sources, broken = _headers(candidates, settings.skip_broken)
    sources = _each_once(sources)
    choices = [choose_bands(source, wanted) for source in sources]
    names = _common_names(sources, choices)
    full_scale, scaling = full_scale_of(sources, choices, settings.full_scale)
    if own:  # whose description may change: what it says decides what the numbers become
        path = Path(settings.product or "")
        scaling += f"; as {path.name} describes them (sha256 {file_hash(path)[:16]})"
    given = _given_time(settings.time, sources)
    stamps = [
        given or acquisition(source.path, pattern, source.metadata_time, source.tags, source.name_time)
        for source in sources
    ]
    scenes = [
        Scene(
            scene_id=source.scene_id,
            product=source.product,
            bands=tuple(choice.source.band for choice in chosen),
            time_utc=stamp.in_utc(city),
            time_source=stamp.source + (" (date only)" if stamp.date_only else ""),
            mask=source.mask,
            full_scale=full_scale,
            surface_reflectance=source.surface_reflectance,
            sidecars=source.sidecars,
            simulated=source.tags.get("SIMULATED", "").lower() == "yes",
            licence=source.licence,
            attribution=source.attribution,
        )
        for source, chosen, stamp in zip(sources, choices, stamps, strict=True)
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
            *_product_notes(sources, files, masks),
            *_same_ground_notes(scenes),
        ),
    )


def _described(product: str | None) -> Product | None:
    """The product that a file of the user's describes, if it is one that `--product` names."""
    path = Path(product or "")
    return read_product(path) if path.suffix.lower() in (".yaml", ".yml") else None


def _of_one_product(folder: Path, candidates: Sequence[Candidate], product: str | None) -> list[Candidate]:
    counts = Counter(candidate.product for candidate in candidates)
    listed = ", ".join(f"{name} ({count})" for name, count in sorted(counts.items()))
    if not candidates:
        raise InputError(f"{folder}: found quality masks only, expected the scenes they belong to")
    if product is not None and product not in counts:
        raise InputError(f"--product: found {product!r}, expected one of those in {folder}: {listed}")
    if product is None and len(counts) > 1:
        raise InputError(f"{folder}: found {listed}, expected scenes of one product: --product chooses one")
    return [candidate for candidate in candidates if product in (None, candidate.product)]


def _headers(candidates: Sequence[Candidate], skip_broken: bool) -> tuple[list[SourceScene], list[InputError]]:
    """Reads the headers; those that cannot be read are left out if that is asked for and others are left."""
    sources, broken = [], []
    for candidate in candidates:
        try:
            sources.append(candidate.read())
        except InputError as error:
            if not skip_broken:
                raise
            broken.append(error)
    if not sources:
        raise broken[0]
    return sources, broken


def _each_once(sources: Sequence[SourceScene]) -> list[SourceScene]:
    """The scenes, each once: a package may lie beside the folder that came out of it.

    Raises:
        InputError: Two are called alike and are not the same bytes.
    """
    first: dict[str, SourceScene] = {}
    for source in sources:
        other = first.setdefault(source.scene_id, source)
        if other is not source and not _same_bytes(source, other):
            raise InputError(
                f"{source.path}: scene {source.scene_id} is there already as {other.path}, expected each once"
            )
    return list(first.values())


def _same_bytes(source: SourceScene, other: SourceScene) -> bool:
    hashes = [[file_hash(band.band.file) for band in each.bands] for each in (source, other)]
    return hashes[0] == hashes[1]


def _common_names(sources: Sequence[SourceScene], choices: Sequence[Sequence[Choice]]) -> tuple[str, ...]:
    """The archive's band names, which must be the same for every scene."""
    names = tuple(choice.name for choice in choices[0])
    for source, chosen in zip(sources, choices, strict=True):
        found = tuple(choice.name for choice in chosen)
        if found != names:
            raise InputError(
                f"{source.path}: the chosen bands are {', '.join(found)}, but {', '.join(names)} in "
                f"{sources[0].path.name}, expected the same in every scene: --bands red=3,... names them"
            )
    return names


def _given_time(text: str | None, sources: Sequence[SourceScene]) -> Stamp | None:
    """The time that the user says of the only scene."""
    if text is None:
        return None
    stamp = parsed_time(text, "--time")
    if stamp is None:
        raise InputError(f"--time: found {text!r:.60}, expected one such as 2024-01-02T05:12:21Z")
    if len(sources) > 1:
        raise InputError(
            f"--time: found {len(sources)} scenes, such as {sources[0].path} and {sources[1].path}, expected "
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


_GROUND = re.compile(r"(?<![A-Za-z0-9])(?:T?\d\d[C-X][A-Z]{2}|\d{6})(?![A-Za-z0-9])")
"""A tile of Sentinel-2's grid, or path and row of Landsat's, in a scene's name."""


def _same_ground_notes(scenes: Sequence[Scene]) -> list[str]:
    """Scenes of one tile and time under two names are one image that was processed twice."""
    seen: dict[tuple[object, ...], Scene] = {}
    notes = []
    for scene in scenes:
        ground = _GROUND.search(scene.scene_id.rpartition("/")[2])
        other = seen.setdefault((ground and ground[0], scene.time_utc.replace(microsecond=0)), scene)
        if ground and other is not scene:
            notes.append(
                f"warning: {scene.scene_id} and {other.scene_id} are of one tile and time, perhaps one image that was "
                "processed twice: leave one out"
            )
    return [*notes[:3], *([f"warning: and {len(notes) - 3} more such pairs"] if len(notes) > 3 else [])]


def _product_notes(sources: Sequence[SourceScene], files: Files, masks: Collection[Path]) -> list[str]:
    notes = []
    total = len(sources)
    if sources[0].surface_reflectance:
        notes.append(
            f"warning: {sources[0].product} is surface reflectance: its atmospheric correction removes much of the "
            "haze that PM2.5 is read from; a top-of-atmosphere product keeps it"
        )
    for variant, count in Counter(source.variant for source in sources).items():
        if variant and count < total:
            notes.append(f"warning: {count} of {total} scenes are {variant} and the others are not")
    unmasked = sum(source.mask is None for source in sources)
    if unmasked and any(source.masked for source in sources):
        notes.append(f"{unmasked} of {total} scenes came without a quality mask")
    if beside := [path for path in files.others if path.suffix.lower() == ".msk"]:
        notes.append(
            f"warning: {len(beside)} files such as {beside[0].name} are not read: a mask counts inside its scene only "
            "(gdal_translate --config GDAL_TIFF_INTERNAL_MASK YES puts it there)"
        )
    if unused := set(masks) - {source.mask.file for source in sources if source.mask}:
        notes.append(
            f"{len(unused)} quality masks are not used: they belong to no scene that was taken, or a second time"
        )
    return notes
