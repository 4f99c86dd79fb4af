"""Files in folders, and in .zip and .tar packages where they lie: one kind of path for both.

A file in a package has the path that it would have if the package were a folder: `orders/a.zip/PSScene/x.tif`.
"""

from __future__ import annotations

import hashlib
import posixpath
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

from model_utils.errors import InputError

PACKED = (".zip", ".tar")
"""Endings of packages that are read where they lie."""

_MOST_BYTES = 64 * 2**20
_MOST_LINKS = 8


class Readable(Protocol):
    """What can be read, and no more."""

    def read(self, size: int = -1, /) -> bytes:
        """Reads so many bytes, or all that are left."""


@dataclass(frozen=True)
class Member:
    """A file in a package.

    Attributes:
        package: The .zip or .tar file.
        name: Its name there.
    """

    package: Path
    name: str


def member_of(path: Path) -> Member | None:
    """Where a path leads into a package: which one, and to what there; None for any other path."""
    for at, part in enumerate(path.parts[:-1], start=1):
        if part[-4:].lower() in PACKED:
            package = Path(*path.parts[:at])
            if package.is_file():
                return Member(package, PurePosixPath(*path.parts[at:]).as_posix())
    return None


def is_file(path: Path) -> bool:
    """Whether there is such a file, in a folder or in a package that can be listed."""
    member = member_of(path)
    if member is None:
        return path.is_file()
    try:
        place = _size_and_change(member.package)
        zipped = member.package.suffix.lower() == ".zip"
        return member.name in (_zip(member.package, *place).names if zipped else _tar(member.package, *place))
    except (zipfile.BadZipFile, tarfile.TarError, OSError, ValueError, EOFError, NotImplementedError):
        return False


def gdal_name(path: Path) -> str:
    """What GDAL opens."""
    member = member_of(path)
    if member is None:
        return str(path)
    package = member.package.absolute()
    if package.suffix.lower() == ".zip":
        # the braces say where the package's own name ends
        return f"/vsizip/{package if '}' in str(package) else f'{{{package}}}'}/{member.name}"
    # GDAL's own reader of .tar does not know the long names of Python's and POSIX's archives
    place = _tar(package, *_size_and_change(package)).get(member.name, _Place(0, 0))
    return f"/vsisubfile/{place.start}_{place.size},{package}"


def read_bytes(path: Path) -> bytes:
    """The content of a small file beside a scene.

    Raises:
        OSError: It is not readable.
        ValueError: It is longer than any such file.
    """
    with opened(path) as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise ValueError(f"longer than {_MOST_BYTES} bytes")
    return content


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes.

    Raises:
        OSError: It is not readable.
    """
    with opened(path) as file:
        digest = hashlib.sha256()
        while block := file.read(2**20):
            digest.update(block)
        return digest.hexdigest()


def size_and_change(path: Path) -> tuple[int, int]:
    """Bytes of a file, and when it was last changed in nanoseconds; of one in a package, those of the package.

    Raises:
        OSError: It is not there.
    """
    member = member_of(path)
    return _size_and_change(member.package if member else path)


@contextmanager
def opened(path: Path) -> Iterator[Readable]:
    """Opens a file for reading.

    Raises:
        OSError: It is not there, or the package that it is in is damaged.
    """
    member = member_of(path)
    if member is None:
        with path.open("rb") as plain:
            yield plain
        return
    try:
        if member.package.suffix.lower() == ".zip":
            zipped = _zip(member.package, *_size_and_change(member.package))
            with zipped.file.open(zipped.names[member.name]) as file:
                yield file
        else:
            place = _tar(member.package, *_size_and_change(member.package))[member.name]
            with member.package.open("rb") as tarred:
                yield _Part(tarred, place)
    except (zipfile.BadZipFile, tarfile.TarError, KeyError, RuntimeError, EOFError, NotImplementedError) as error:
        raise OSError(0, " ".join(str(error).split()) or type(error).__name__) from None


def members(package: Path) -> tuple[Path, ...]:
    """The files in a .zip or .tar file, in the order of their names, as paths below it.

    Raises:
        InputError: It is damaged, encrypted or compressed as a whole, or a name in it leads out of it.
    """
    try:
        if package.suffix.lower() == ".zip":
            zipped = _zip(package, *_size_and_change(package))
            if zipped.encrypted:
                raise InputError(f"{package}: {zipped.encrypted} in it is encrypted, expected one without a password")
            names = list(zipped.names)
        else:
            names = list(_tar(package, *_size_and_change(package)))
    except InputError:
        raise
    except (zipfile.BadZipFile, tarfile.TarError, OSError, ValueError, EOFError, NotImplementedError) as error:
        words = " ".join(str(error).split())[:120]
        raise InputError(f"{package}: not readable as a {package.suffix.lower()} file ({words})") from None
    found = []
    for name in names:
        inside = PurePosixPath(name)
        if inside.is_absolute() or ".." in inside.parts or "\\" in name or "\0" in name:
            raise InputError(f"{package}: found {name!r:.80} in it, expected names below it")
        if not any(part.startswith((".", "__MACOSX")) for part in inside.parts):
            found.append(package / inside)
    return tuple(sorted(set(found)))


# A package is listed once: opening it for each of its files would take time by the square of their number.


@dataclass(frozen=True)
class _Zip:
    """An opened .zip file, the names in it by how they are written here, and one that is encrypted or ''."""

    file: zipfile.ZipFile
    names: Mapping[str, zipfile.ZipInfo]
    encrypted: str


@dataclass(frozen=True)
class _Place:
    """Where the content of a file in a .tar begins, and its bytes."""

    start: int
    size: int


class _Part:
    """A file in a .tar, read from its beginning on."""

    def __init__(self, tarred: IO[bytes], place: _Place) -> None:
        self._tarred, self._left = tarred, place.size
        tarred.seek(place.start)

    def read(self, size: int = -1) -> bytes:
        """Reads so many bytes, or all that are left."""
        content = self._tarred.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(content)
        return content


@lru_cache(maxsize=16)
def _zip(package: Path, size: int, changed: int) -> _Zip:
    """Opens a .zip file; size and time of change tell one from the next of its name."""
    file = zipfile.ZipFile(package)
    entries = [entry for entry in file.infolist() if not entry.is_dir()]
    encrypted = next((entry.filename for entry in entries if entry.flag_bits & 1), "")
    return _Zip(file, {_plain_name(entry.filename): entry for entry in entries}, encrypted)


@lru_cache(maxsize=64)
def _tar(package: Path, size: int, changed: int) -> dict[str, _Place]:
    """Where the content of each file lies; that of a link is what it leads to."""
    with tarfile.open(package, "r:") as tarred:
        entries = {_plain_name(entry.name): entry for entry in tarred}
    places = {}
    for name, entry in entries.items():
        target: tarfile.TarInfo | None = entry
        for _ in range(_MOST_LINKS):
            if target is None or not (target.islnk() or target.issym()):
                break
            folder = posixpath.dirname(target.name) if target.issym() else ""
            target = entries.get(_plain_name(posixpath.normpath(posixpath.join(folder, target.linkname))))
        if target is not None and target.isfile() and not target.issparse():
            places[name] = _Place(target.offset_data, target.size)
    return places


def _plain_name(name: str) -> str:
    """A name in a package without ./ before it."""
    return name if name.startswith("/") else PurePosixPath(name).as_posix()


def _size_and_change(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns
