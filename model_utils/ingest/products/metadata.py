"""The small files beside a scene, JSON, XML or lines of KEY = VALUE, as one table of texts by key."""

from __future__ import annotations

import json
import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from model_utils.errors import InputError
from model_utils.ingest.products.times import Stamp, parsed_time
from model_utils.ingest.storage import read_bytes

_LINE = re.compile(r'\s*(?P<key>[A-Z][A-Z0-9_]*)\s*=\s*(?:"(?P<quoted>[^"]*)"|(?P<plain>.*?))\s*')

_DEEPEST = 16
"""Groups within groups that are looked into: no provider's file has more than a few."""


@dataclass(frozen=True)
class Metadata:
    """What one file says.

    Attributes:
        path: The file.
        texts: By key; keys of groups within groups have dots between them, and of several alike the first counts.
    """

    path: Path
    texts: dict[str, str]

    def text(self, key: str) -> str | None:
        """The text of a key; the outer groups of it may be left out. None where there is none."""
        if key in self.texts:
            return self.texts[key]
        return next((text for name, text in self.texts.items() if name.endswith(f".{key}")), None)

    def number(self, key: str) -> float | None:
        """The number of a key; None where there is no such key.

        Raises:
            InputError: It is no finite number.
        """
        text = self.text(key)
        if text is None:
            return None
        value = finite_number(text)
        if value is None:
            raise InputError(f"{self.path}: {key} is {text!r:.60}, expected a number")
        return value

    def time(self, keys: tuple[str, ...]) -> Stamp | None:
        """The time of the first key that is there; of two with a space between, date and time of day.

        Raises:
            InputError: It is no time.
        """
        for key in keys:
            texts = [self.text(part) for part in key.split()]
            if any(text is not None and text != "" for text in texts):
                written = "T".join(text or "" for text in texts)
                if stamp := parsed_time(written, "metadata"):
                    return stamp
                raise InputError(f"{self.path}: {key} is {written!r:.60}, expected an ISO 8601 time")
        return None


def read_metadata(path: Path) -> Metadata:
    """Reads the metadata of a scene.

    Raises:
        InputError: It is not readable as what its ending says.
    """
    suffix = path.suffix.lower()
    if suffix == ".xml":
        return Metadata(path, _first(_elements(read_xml(path))))
    if suffix == ".json":
        return Metadata(path, _first(_leaves(read_json(path))))
    try:
        lines = read_bytes(path).decode("utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not readable as text ({' '.join(str(error).split())})") from None
    return Metadata(path, _first(_grouped(lines)))


def read_json(path: Path) -> object:
    """The content of a JSON file.

    Raises:
        InputError: It is not readable as JSON.
    """
    try:
        return json.loads(read_bytes(path).decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not readable as JSON ({' '.join(str(error).split())[:200]})") from None


def read_xml(path: Path) -> ElementTree.Element:
    """The root of an XML file.

    Raises:
        InputError: It is not readable as XML.
    """
    try:
        return ElementTree.fromstring(read_bytes(path))
    except (ElementTree.ParseError, OSError, ValueError, LookupError) as error:
        raise InputError(f"{path}: not readable as XML ({' '.join(str(error).split())})") from None


def local_name(element: ElementTree.Element) -> str:
    """An element's name without its namespace."""
    return element.tag.rpartition("}")[2]


def finite_number(text: str) -> float | None:
    """A number, or None where the text is none or not finite."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _first(items: Iterator[tuple[str, str]]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for key, text in items:
        texts.setdefault(key, text)
    return texts


def _leaves(content: object, at: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    if isinstance(content, dict):
        for key, value in content.items() if depth < _DEEPEST else ():
            yield from _leaves(value, f"{at}.{key}" if at else str(key), depth + 1)
    elif content is not None and not isinstance(content, list):
        yield at, str(content)


def _elements(element: ElementTree.Element, at: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    here = f"{at}.{local_name(element)}" if at else local_name(element)
    yield here, (element.text or "").strip()
    for child in element if depth < _DEEPEST else ():
        yield from _elements(child, here, depth + 1)


def _grouped(lines: list[str]) -> Iterator[tuple[str, str]]:
    """GROUP = NAME ... END_GROUP = NAME, as Landsat's text files have it."""
    groups: list[str] = []
    for line in lines:
        if found := _LINE.fullmatch(line):
            key, text = found["key"], found["quoted"] if found["quoted"] is not None else found["plain"]
            if key == "GROUP":
                groups.append(text)
            elif key == "END_GROUP":
                groups = groups[:-1]
            else:
                yield ".".join([*groups, key]), text
