"""What a folder holds that was fetched, and from where: one line of JSON a file.

Lines are appended while a run goes on, so that one that is killed loses nothing; at its end they are written anew,
sorted. Neither `pm25 prepare` nor a reader of scenes takes a `.jsonl` file for one of theirs.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Any

from model_utils import atomic
from model_utils.errors import InputError
from model_utils.fetching.transfer.remote_file import RemoteFile

MANIFEST = "manifest.jsonl"


@dataclass(frozen=True)
class Entry:
    """A file that was fetched.

    Attributes:
        path: Relative to the folder, with slashes.
        url: Where it is from.
        bytes: Its size.
        sha256: Of its content.
        etag: The source's name for this version of it, or ''.
        licence: Under which it may be used, or ''.
        attribution: Who is to be named, or ''.
        fetched_at: ISO 8601, UTC.
    """

    path: str
    url: str
    bytes: int
    sha256: str
    etag: str = ""
    licence: str = ""
    attribution: str = ""
    fetched_at: str = ""


@dataclass(frozen=True)
class Begun:
    """A file of which a part may be there.

    Attributes:
        url: Where it is from.
        etag: The version that the part is of, or ''.
        size: Bytes of the whole, or None where the source does not say.
    """

    url: str
    etag: str
    size: int | None


class Manifest:
    """Of one folder; safe to share between threads, and for one process at a time.

    Args:
        folder: Holds the files, or will.
        read_only: Leave undone what a run that was cut off left undone.

    Raises:
        InputError: There is a manifest that is none.
    """

    def __init__(self, folder: Path, read_only: bool = False) -> None:
        self.folder = folder
        self.entries: dict[str, Entry] = {}
        self._begun: dict[str, Begun] = {}
        self._lock = threading.Lock()
        self._cut_off = False
        noted = self._read()
        if self._cut_off and not read_only:
            for entry in noted:
                self._finish(entry)
            self.save()

    def holds(self, file: RemoteFile) -> bool:
        """Whether a file is there as it was fetched, and the source has no other version of it."""
        entry = self.entries.get(file.path)
        if entry is None or entry.url != file.url:
            return False
        if file.etag and entry.etag and plain_etag(file.etag) != plain_etag(entry.etag):
            return False
        if file.size not in (None, entry.bytes):
            return False
        try:
            return (self.folder / file.path).stat().st_size == entry.bytes
        except OSError:
            return False

    def begun(self, file: RemoteFile) -> Begun | None:
        """The version that a part of a file is of."""
        return self._begun.get(file.path)

    def begin(self, file: RemoteFile, etag: str, size: int | None) -> None:
        """Notes which version of a file is coming."""
        with self._lock:
            self._begun[file.path] = begun = Begun(file.url, etag, size)
            self._append({"begun": file.path, **asdict(begun)})

    def add(self, file: RemoteFile, partial: Path, sha256: str, etag: str) -> None:
        """Notes a file that is whole, and puts it in its place."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        size = partial.stat().st_size
        entry = Entry(file.path, file.url, size, sha256, etag, file.licence, file.attribution, now)
        with self._lock:
            self._append(asdict(entry))  # first: who finds the line and not the file finds the file's last step undone
            self.entries[entry.path] = entry
            self._begun.pop(entry.path, None)
        self._place(entry)

    def save(self) -> None:
        """Writes the lines of files that are there, sorted by path, and of those of which a part is."""
        lines: list[Mapping[str, Any]] = [asdict(self.entries[path]) for path in sorted(self.entries)]
        lines += [
            {"begun": path, **asdict(begun)}
            for path, begun in sorted(self._begun.items())
            if partial_path(self.folder / path).exists()
        ]
        atomic.write_text(self.folder / MANIFEST, "".join(_line(line) for line in lines))

    def _read(self) -> list[Entry]:
        """Takes the lines in; gives the files that a run noted which was cut off, maybe before their last step."""
        path = self.folder / MANIFEST
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: not readable ({error}), expected the manifest of an earlier run") from None
        noted: list[Entry] = []
        for number, line in enumerate(lines, start=1):
            try:
                found = json.loads(line)
                if "begun" in found:
                    self._cut_off = True
                    path_begun = str(found.pop("begun"))
                    self._begun[path_begun] = Begun(**found)
                    continue
                entry = Entry(**found)
            except (ValueError, TypeError):
                if number == len(lines):  # a half
                    self._cut_off = True
                    continue
                raise InputError(
                    f"{path}: line {number}: found {line[:60]!r}, expected a file of an earlier run; "
                    "without this manifest all files are fetched again"
                ) from None
            self.entries[entry.path] = entry
            if self._begun.pop(entry.path, None) is not None:
                noted.append(entry)
        return noted

    def _finish(self, entry: Entry) -> None:
        """Puts a file in its place whose line was written last, or forgets the line."""
        for place in (self.folder / entry.path, partial_path(self.folder / entry.path)):
            if place.is_file() and place.stat().st_size == entry.bytes and digest(place, "sha256") == entry.sha256:
                self._place(entry)
                return
        del self.entries[entry.path]

    def _place(self, entry: Entry) -> None:
        target = self.folder / entry.path
        partial = partial_path(target)
        if partial.exists():
            partial.replace(target)
            atomic.sync(target.parent)

    def _append(self, line: Mapping[str, Any]) -> None:
        path = self.folder / MANIFEST
        with atomic.refusals_named(path, path.with_name(f".{MANIFEST}.probe")), path.open("ab", buffering=0) as file:
            before = os.fstat(file.fileno()).st_size
            try:
                write_all(file, _line(line).encode())
            except OSError:
                os.truncate(path, before)  # a full disk may have taken half of it
                raise


def write_all(file: FileIO, data: bytes) -> None:
    """Writes to an unbuffered file; the system may take a part of it before it says that the disk is full."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def partial_path(target: Path) -> Path:
    """Where a file is written until it is whole."""
    return target.with_name(f".{target.name}.partial")


def plain_etag(etag: str) -> str:
    """Without its quotation marks, and without the mark of a weak one: a packing proxy adds that."""
    return etag.removeprefix("W/").strip('"')


def digest(path: Path, kind: str) -> str:
    """The hexadecimal digest of a file: of md5 or sha256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def _line(content: Mapping[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False) + "\n"
