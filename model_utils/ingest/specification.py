"""Descriptions of formats and products in YAML: a mapping becomes a dataclass, and what is wrong is named by key."""

from __future__ import annotations

from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import yaml

from model_utils.errors import InputError

Described = TypeVar("Described")


def read_specification(path: Path, kind: type[Described]) -> Described:
    """Reads a dataclass of texts, numbers, lists, mappings and other such dataclasses from a YAML file.

    Args:
        path: The file.
        kind: The dataclass; its `__post_init__` may raise ValueError for what types do not say.

    Raises:
        InputError: Naming the file, and the key that is wrong.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise InputError(f"{path}: not readable as YAML ({' '.join(str(error).split())[:200]})") from None
    try:
        described: Described = _built(kind, raw, "")
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None
    return described


def _built(kind: type[Any], raw: object, where: str) -> Any:
    """A dataclass from a mapping.

    Raises:
        ValueError: Naming the key.
    """
    if not isinstance(raw, dict):
        raise ValueError(f"{where or 'the file'} is {raw!r:.60}, expected a mapping of {_names(kind)}")
    types = get_type_hints(kind)
    if unknown := [key for key in raw if key not in types]:
        raise ValueError(f"{where}{unknown[0]}: unknown key, expected some of {_names(kind)}")
    for item in fields(kind):
        if item.name not in raw and item.default is MISSING and item.default_factory is MISSING:
            raise ValueError(f"{where}{item.name}: missing")
    return kind(**{key: _value(types[key], value, f"{where}{key}") for key, value in raw.items()})


def _value(kind: Any, raw: object, where: str) -> Any:
    """A value of a field's type."""
    some = [choice for choice in get_args(kind) if choice is not type(None)]
    text = str(kind)
    if text.startswith("typing.Literal"):
        if raw not in some:
            raise ValueError(f"{where}: found {raw!r}, expected one of {', '.join(map(repr, some))}")
        return raw
    for scalar, called in ((str, "a text"), (bool, "true or false"), (int, "a whole number"), (float, "a number")):
        if kind is scalar or some == [scalar]:
            right = isinstance(raw, (int, float) if scalar is float else scalar)
            if not right or (isinstance(raw, bool) and scalar is not bool):
                raise ValueError(f"{where}: found {raw!r:.60}, expected {called}")
            return raw
    if text.startswith("tuple["):
        if not isinstance(raw, list):
            raise ValueError(f"{where}: found {raw!r:.60}, expected a list")
        return tuple(_value(some[0], item, f"{where}[{at}]") for at, item in enumerate(raw))
    if "Mapping" in text:
        if not isinstance(raw, dict):
            raise ValueError(f"{where}: found {raw!r:.60}, expected a mapping")
        return {_value(some[0], key, where): _value(some[1], value, f"{where}[{key}]") for key, value in raw.items()}
    return _built(some[0] if some else kind, raw, f"{where}.")


def _names(kind: type[Any]) -> str:
    return ", ".join(item.name for item in fields(kind))
