"""Whether an archive holds what its hash says: looked at on every opening, computed only where a file was touched."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from model_utils import atomic
from model_utils.archive.format import IMAGES, SAMPLES
from model_utils.archive.npy import read_npy_header
from model_utils.errors import InputError
from model_utils.progress import shown

NOTE = ".verified.json"
_BLOCK_BYTES = 2**20
_LONG = 2**31  # bytes that take some seconds to read
_noted: dict[Path, dict[str, Any]] = {}
"""What this process verified in folders that it may not write."""


def content_sha256(folder: Path) -> str:
    """SHA-256 of the image bytes followed by the sample table's file, in O(1) memory."""
    digest = hashlib.sha256()
    total = sum((folder / name).stat().st_size for name in (IMAGES, SAMPLES))
    blocks = _blocks(folder)
    for block in shown(blocks, total, f"{folder}: bytes verified") if total > _LONG else blocks:
        digest.update(block)
    return digest.hexdigest()


def verify(folder: Path, expected: str) -> None:
    """Checks an archive's content against its hash, unless its files are as they were when that was last done.

    Sizes and times of modification tell. A copy, whose times differ, is read once and noted.

    Args:
        folder: Of an archive whose files are of the right shape.
        expected: `content_sha256` as `archive.json` has it.

    Raises:
        InputError: The content is another.
    """
    before = _read_note(folder)
    now = {"content_sha256": expected, **_touched(folder)}
    if now == before:
        return
    if content_sha256(folder) != expected:
        changed = [name for name in (IMAGES, SAMPLES) if before.get(name) != now[name]] or [IMAGES, SAMPLES]
        raise InputError(
            f"{folder}: {' or '.join(changed)} was changed: the SHA-256 is not the one in archive.json; make the "
            "archive again (--overwrite), or take it as it is now: pm25 inspect --accept-changes"
        )
    _write_note(folder, now)


def note_verified(folder: Path, found: str) -> None:
    """Notes that the files as they are now have this hash; where that cannot be written, they are read next time."""
    _write_note(folder, {"content_sha256": found, **_touched(folder)})


def _touched(folder: Path) -> dict[str, list[int]]:
    """Size and time of the last modification, in nanoseconds, of each file."""
    states = {name: (folder / name).stat() for name in (IMAGES, SAMPLES)}
    return {name: [state.st_size, state.st_mtime_ns] for name, state in states.items()}


def _read_note(folder: Path) -> dict[str, Any]:
    try:
        note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        note = None
    return note if isinstance(note, dict) else _noted.get(folder.absolute(), {})


def _write_note(folder: Path, note: dict[str, Any]) -> None:
    _noted[folder.absolute()] = note
    with suppress(OSError, InputError):  # where there is none, the content is read again
        atomic.write_text(folder / NOTE, json.dumps(note))


def _blocks(folder: Path) -> Iterator[bytes]:
    for name in (IMAGES, SAMPLES):
        with (folder / name).open("rb") as file:
            if name == IMAGES:
                read_npy_header(file)
            while block := file.read(_BLOCK_BYTES):
                yield block
