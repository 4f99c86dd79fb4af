"""Whether timm has a model of a name, without importing it, which takes seconds."""

from __future__ import annotations

import re
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path

_DEFINED = re.compile(r"^def ([a-z0-9_]+)\(pretrained", re.MULTILINE)


def refuse_unknown(name: str) -> None:
    """Looks a name up in timm's source.

    Raises:
        ValueError: It does not occur there at all, so that no model can have it; names models like it.
    """
    found = find_spec("timm")
    folders = (found and found.submodule_search_locations) or []
    text = "\n".join(
        file.read_text(encoding="utf-8") for folder in folders for file in sorted(Path(folder).glob("models/*.py"))
    )
    if text and not re.search(rf"\b{re.escape(name.partition('.')[0])}\b", text):
        close = ", ".join(get_close_matches(name.lower(), _DEFINED.findall(text), 3)) or "resnet50"
        raise ValueError(f"encoder {name!r}: timm has no such model, expected one like {close}")
