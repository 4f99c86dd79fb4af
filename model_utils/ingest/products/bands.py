"""Which band of a scene is the one that was asked for. An order that is not known is asked for, never guessed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from model_utils.errors import InputError
from model_utils.ingest.products.source_scene import SourceBand, SourceScene, plain_name

_COLOURS = (
    "red",
    "green",
    "blue",
    "nir",
    "coastal",
    "rededge",
)  # of GDAL's colour interpretations, those that are bands


_EXAMPLE = "red=3,green=2,blue=1"


@dataclass(frozen=True)
class Wanted:
    """One item of `--bands`.

    Attributes:
        name: The band's name in the archive; None where the file is to name it.
        key: The band's number in the file, or its name there.
    """

    name: str | None
    key: int | str


@dataclass(frozen=True)
class Choice:
    """The band that answers an item of `--bands`: its name in the archive, and how it was found or named."""

    name: str
    source: SourceBand
    by: str


def parse_bands(texts: Sequence[str]) -> tuple[Wanted, ...]:
    """Reads `--bands`: names (red), numbers (3), or names with the band in the file (red=3, red=B4).

    Raises:
        InputError: An item is empty, a number is below 1, or one comes twice.
    """
    wanted = []
    for text in texts:
        name, equals, key = (part.strip().lower() for part in str(text).rpartition("="))
        if not key or (equals and not name):
            raise InputError(f"--bands: found {text!r}, expected a name (red), a number (3) or both (red=3)")
        if re.fullmatch(r"[0-9]{1,9}", key):
            if int(key) < 1:
                raise InputError(f"--bands: found {text!r}, expected band numbers from 1")
            wanted.append(Wanted(name or None, int(key)))
        else:
            wanted.append(Wanted(name or key, plain_name(key)))
    keys, names = [item.key for item in wanted], [item.name for item in wanted if item.name]
    if not wanted or len(set(keys)) < len(keys) or len(set(names)) < len(names):
        raise InputError(f"--bands: found {', '.join(map(str, texts)) or 'nothing'}, expected different bands")
    return tuple(wanted)


def choose_bands(source: SourceScene, wanted: Sequence[Wanted]) -> tuple[Choice, ...]:
    """Finds the bands by the product's order, else by their descriptions; by their colours where none is described.

    Raises:
        InputError: A band is not there or cannot be told; names the file and what it holds.
    """
    choices = tuple(_choice(source, item) for item in wanted)
    if len({choice.source.grid for choice in choices}) > 1:
        listed = ", ".join(choice.source.description for choice in choices)
        raise InputError(f"{source.path}: the bands {listed} do not cover the same pixels, expected one grid")
    names = [choice.name for choice in choices]
    if len(set(names)) < len(names):
        raise InputError(
            f"{source.path}: the chosen bands would be called {', '.join(names)}, expected different names: "
            "--bands red=3,... names them"
        )
    return choices


def _choice(source: SourceScene, wanted: Wanted) -> Choice:
    found, by = _numbered(source, wanted.key) if isinstance(wanted.key, int) else _named(source, wanted.key)
    if found.colour == "palette":
        raise InputError(
            f"{source.path}: band {found.number} holds numbers of a colour table, expected brightness "
            "(gdal_translate -expand rgb makes it)"
        )
    name = wanted.name or _own_name(found)
    named_by_colour = not wanted.name and not found.name and not found.description and name == found.colour
    return Choice(name, found, "colour" if named_by_colour else by)


def _numbered(source: SourceScene, number: int) -> tuple[SourceBand, str]:
    for band in source.bands:
        if band.number == number:
            return band, "number"
    raise _refusal(source, f"has no band number {number}")


def _named(source: SourceScene, key: str) -> tuple[SourceBand, str]:
    # writers of GeoTIFF mark the first of 3 or 4 bytes red by default: descriptions are what a person has stated
    described = any(band.description for band in source.bands)
    ways = {
        "product": [band for band in source.bands if band.name == key],
        "description": [band for band in source.bands if plain_name(band.description) == key],
        "colour": [band for band in source.bands if band.colour == key in _COLOURS and not described],
    }
    for by, fits in ways.items():
        if len(fits) > 1:
            raise _refusal(source, f"has {len(fits)} bands {key!r}")
        if fits:
            if by == "product" and ways["description"] not in ([], fits):
                raise _refusal(source, f"describes another band as {key!r} than the {source.product} order does")
            return fits[0], by
    raise _refusal(source, f"does not say which band is {key!r}")


def _example(source: SourceScene) -> str:
    """How the bands might be said, by names that are there: Sentinel-2's order if it can be."""
    order = [_as_sentinel(source).get(name) for name in ("b4", "b3", "b2")]
    if not all(order):
        return "red=NAME with one of them for NAME"
    return ",".join(f"{colour}={name}" for colour, name in zip(("red", "green", "blue"), order, strict=True))


def _as_sentinel(source: SourceScene) -> dict[str, str]:
    """What the bands are called in the files, by how Sentinel-2 and Landsat number them."""
    names = [band.description or band.name for band in source.bands]
    return {plain_name(name).removeprefix("sr_"): name for name in names}


def _own_name(band: SourceBand) -> str:
    described = re.sub(r"[^a-z0-9]+", "_", band.description.lower()).strip("_")
    colour = band.colour if band.colour in _COLOURS else ""
    return band.name or described or colour or f"band_{band.number}"


def _refusal(source: SourceScene, fault: str) -> InputError:
    listed = [
        f"{band.number or band.band.file.name} ({band.name or band.description or band.colour})"
        for band in source.bands
    ]
    more = f" and {len(listed) - 12} more" if len(listed) > 12 else ""
    numbered = source.bands[0].number is not None
    told = numbered and not all(map(_as_sentinel(source).get, ("b4", "b3", "b2")))
    way = f"band numbers, such as {_EXAMPLE}" if told else f"names, such as {_example(source)}"
    return InputError(f"{source.path}: {fault}: found the bands {', '.join(listed[:12])}{more}; --bands takes {way}")
