"""Files in folders, and in .zip and .tar packages where they lie: one kind of path for both.

A file in a package has the path that it would have if the package were a folder: `orders/a.zip/PSScene/x.tif`.
"""

from __future__ import annotations

import hashlib
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import IO

from model_utils.errors import InputError

PACKED = (".zip", ".tar")
"""Endings of packages that are read where they lie."""

_MOST_BYTES = 64 * 2**20


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
    """Whether there is such a file; one in a package is taken for there, since listing it has shown it."""
    return path.is_file() or member_of(path) is not None


def gdal_name(path: Path) -> str:
    """What GDAL opens."""
    member = member_of(path)
    if member is None:
        return str(path)
    package = member.package.resolve()
    if package.suffix.lower() == ".zip":
        return f"/vsizip/{{{package}}}/{member.name}"  # the braces say where the package's own name ends
    # GDAL's own reader of .tar does not know the long names of Python's and POSIX's archives
    status = package.stat()
    start, size = _places_in_tar(package, status.st_size, status.st_mtime_ns).get(member.name, (0, 0))
    return f"/vsisubfile/{start}_{size},{package}"


@lru_cache(maxsize=64)
def _places_in_tar(package: Path, size: int, changed: int) -> dict[str, tuple[int, int]]:
    """Where the content of each file begins, and its bytes; size and time of change tell one .tar from the next."""
    with tarfile.open(package, "r:") as tarred:
        files = [entry for entry in tarred if entry.isfile() and not entry.issparse()]
    return {PurePosixPath(entry.name).as_posix(): (entry.offset_data, entry.size) for entry in files}


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
    status = (member.package if member else path).stat()
    return status.st_size, status.st_mtime_ns


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
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
            with zipfile.ZipFile(member.package) as zipped, zipped.open(member.name) as file:
                yield file
        else:
            with tarfile.open(member.package, "r:") as tarred:
                found = tarred.extractfile(member.name)
                if found is None:
                    raise OSError(0, f"{member.name} is no file there")
                with found:
                    yield found
    except (zipfile.BadZipFile, tarfile.TarError, KeyError, RuntimeError, EOFError, NotImplementedError) as error:
        raise OSError(0, " ".join(str(error).split()) or type(error).__name__) from None


def members(package: Path) -> tuple[Path, ...]:
    """The files in a .zip or .tar file, in the order of their names, as paths below it.

    Raises:
        InputError: It is damaged, encrypted or compressed as a whole, or a name in it leads out of it.
    """
    try:
        if package.suffix.lower() == ".zip":
            with zipfile.ZipFile(package) as zipped:
                entries = [entry for entry in zipped.infolist() if not entry.is_dir()]
                if locked := [entry.filename for entry in entries if entry.flag_bits & 1]:
                    raise InputError(f"{package}: {locked[0]} in it is encrypted, expected a .zip without a password")
                names = [entry.filename for entry in entries]
        else:
            with tarfile.open(package, "r:") as tarred:
                names = [entry.name for entry in tarred if entry.isfile()]
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
