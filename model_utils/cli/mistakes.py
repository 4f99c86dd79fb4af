"""What the parser says of a mistake in the flags, in the words of who typed them."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import fields
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from model_utils.errors import flag

_OF_A_KEY = re.compile(r'(?:Parser key|Configuration key|Key) "([a-z0-9_]+)"')
_VALUE = re.compile(r"(?:Given value|Got value): (.*)$")
_WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    Path: "a path",
    date: "a date such as 2019-11-01",
}


def reworded(message: str, config_class: type[Any]) -> str:
    """The parser's message with the flag as it is typed, what was found and what is expected.

    A message of a kind that is not known here is given back as it is.

    Args:
        message: Of jsonargparse or argparse.
        config_class: The dataclass whose fields are the flags.
    """
    line = " ".join(message.split())
    known = [item.name for item in fields(config_class)]
    key, value = _OF_A_KEY.search(line), _VALUE.search(line)
    if key and value and key[1] in known and ("Expected a" in line or "Does not validate" in line):
        return f"{flag(key[1])}: found {value[1]}, expected {expected(get_type_hints(config_class)[key[1]])}"
    if missing := re.search(r"following arguments are required: (.*)$", line):
        names = [name.strip().lstrip("-") for name in missing[1].split(",")]
        return "missing: " + ", ".join(flag(name) for name in names)
    if unknown := re.search(r"unrecognized arguments: (.*)$", line):
        return _unknown(unknown[1].split(), known)
    if alone := re.search(r"argument --([a-z0-9_]+): expected one argument", line):
        wanted = f", expected {expected(get_type_hints(config_class)[alone[1]])}" if alone[1] in known else ""
        return f"{flag(alone[1])}: found no value{wanted}"
    return line


def expected(kind: Any) -> str:
    """What a type takes, in words."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        words = [str(each) for each in arguments]
        return words[0] if len(words) == 1 else f"one of {', '.join(words)}"
    if origin in (Union, UnionType):
        return " or ".join(expected(each) for each in arguments if each is not NoneType)
    if origin is tuple:
        each = expected(arguments[0])
        return f"some of {each.removeprefix('one of ')}" if "one of" in each else f"{each}, or some, by commas"
    return _WORDS.get(kind, "another value")


def _unknown(words: list[str], known: Collection[str]) -> str:
    word = words[0]
    name = word.partition("=")[0].lstrip("-")
    if not word.startswith("--"):
        return f"found {word!r}, expected flags such as {flag(next(iter(known)))} (see --help)"
    close = get_close_matches(name, known, 1)
    hint = f", expected {flag(close[0])} perhaps" if close else ""
    return f"{flag(name)}: no such flag{hint} (see --help)"
