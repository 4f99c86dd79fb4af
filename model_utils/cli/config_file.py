"""The file behind `--config`: read once before the parser reads it, so that what is wrong is said with its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from model_utils.errors import InputError


def config_files(argv: Sequence[str]) -> list[Path]:
    """The files that flags name, in their order."""
    following = [*argv[1:], ""]
    words = [
        following[number] if word == "--config" else word.partition("=")[2]
        for number, word in enumerate(argv)
        if word == "--config" or word.startswith("--config=")
    ]
    return [Path(word) for word in words if word]


def read_config_file(path: Path, config_class: type[Any]) -> Mapping[str, Any]:
    """The keys of a file and their values.

    Args:
        path: Of a YAML file.
        config_class: The dataclass whose fields are the keys.

    Raises:
        InputError: It cannot be read, is no mapping, or has a key that the verb does not know.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = "not found" if isinstance(error, FileNotFoundError) else (error.strerror or str(error)).lower()
        raise InputError(f"--config {path}: {reason}, expected a YAML file") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).replace('in "<unicode string>", ', "in ").split())[:300]
        raise InputError(f"--config {path}: not readable as YAML ({reason})") from None
    if not isinstance(content, dict):
        raise InputError(f"--config {path}: found {_kind(content)}, expected keys with values, such as 'city: Delhi'")
    known = [item.name for item in fields(config_class)]
    for key in map(str, content):
        if key not in known:
            close = get_close_matches(key, known, 1)
            expected = f"expected {close[0]} perhaps" if close else f"expected some of {', '.join(known)}"
            raise InputError(f"--config {path}: no such key {key!r}, {expected}")
    return content


def _kind(content: object) -> str:
    return "nothing" if content is None else "a list" if isinstance(content, list) else "a text or a number"
