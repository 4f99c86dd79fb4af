"""Files of readings: which there are, also inside zip archives, and their bytes as text."""

from __future__ import annotations

import codecs
import gzip
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np

from model_utils.errors import InputError

SUFFIXES = (".csv", ".txt", ".tsv", ".gz", ".json", ".parquet", ".xlsx", ".xls", ".zip")
STATIONS = "stations.csv"

_MOST_BYTES = 2**33
_HEAD_BYTES = 2**18
_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
_UNREADABLE = (OSError, EOFError, zlib.error, zipfile.BadZipFile)
_MOST_UNPACKED_BYTES, _MOST_UNPACKED_SHARE = 2**28, 200  # tables shrink to a tenth or so, and to a hundredth at most


def files_of(path: Path) -> tuple[tuple[Path, ...], Path | None]:
    """The files that may hold readings at a path, and the list of stations that came with them.

    Args:
        path: A file or folder. A table in a zip archive has a path that leads into it: `archive.zip/inner.csv`.

    Raises:
        InputError: There is none, or an archive is not readable.
    """
    if path.is_file():
        files = [path]
    elif path.is_dir():
        files = []
        for folder, folders, names in os.walk(path):
            folders[:] = sorted(name for name in folders if not name.startswith((".", "__")))
            files += [Path(folder) / name for name in names if not name.startswith(".")]
        files = [file for file in files if file.suffix.casefold() in SUFFIXES]
    else:
        raise InputError(f"{path}: not found, expected a file or folder of station readings")
    files = [table for file in sorted(files) for table in (_tables_in(file) if _is_archive(file) else [file])]
    lists = [file for file in files if file.name == STATIONS and file != path]
    files = [file for file in files if file not in lists]
    if not files:
        raise InputError(f"{path}: found no file with readings ({', '.join(SUFFIXES)})")
    beside = [file for file in lists if path in (file.parent, on_disk(file).parent)]
    return tuple(files), beside[0] if beside else None


def on_disk(path: Path) -> Path:
    """The file itself, or the zip archive that it lies in."""
    return path if path.exists() else next((parent for parent in path.parents if parent.is_file()), path)


def is_workbook(path: Path) -> bool:
    """Whether a file is one of a spreadsheet, or else a zip archive, whatever its name says."""
    return _begin(path, identity(path)) in (_ZIP, _OLE)


def identity(path: Path) -> tuple[int, ...]:
    """What changes where a file does: what is known of its beginning is kept, for each format asks for it.

    Raises:
        InputError: There is no such file.
    """
    try:
        status = on_disk(path).stat()
    except OSError as error:
        raise InputError(f"{path}: not readable ({error.strerror})") from None
    return status.st_ino, status.st_size, status.st_mtime_ns


def decoded(path: Path, head: bool = False) -> tuple[bytes, str]:
    """The file's text as UTF-8 with plain line ends, and the encoding it was in.

    Raises:
        InputError: Not readable, an Excel file, binary.
    """
    return _decoded_head(path, identity(path)) if head else _decoded(path, False)


@lru_cache(maxsize=4)
def _decoded_head(path: Path, identity: tuple[int, ...]) -> tuple[bytes, str]:
    return _decoded(path, True)


def _decoded(path: Path, head: bool) -> tuple[bytes, str]:
    raw = raw_bytes(path, head)
    if raw.startswith((_ZIP, _OLE)):
        raise InputError(f"{path}: found a zip or Excel file, expected text: save it as CSV, or unpack it")
    encodings: tuple[str, ...] = ("utf-8", "gb18030", "latin-1")
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings = ("utf-16",)
    elif raw.startswith(codecs.BOM_UTF8):
        raw = raw[len(codecs.BOM_UTF8) :]
    for encoding in encodings:
        try:
            text = codecs.getincrementaldecoder(encoding)().decode(raw, final=not head)  # may end inside a letter
        except UnicodeDecodeError:
            continue
        if encoding != "gb18030" or _reads_as_chinese(text):
            break
    else:
        raise InputError(f"{path}: not readable as UTF-16, which its byte order mark promises")
    data = text.encode("utf-8") if head or encoding != "utf-8" else raw
    if data and np.frombuffer(data, np.uint8).min() < 8:
        raise InputError(f"{path}: found binary data, expected text")
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in data else data, encoding


def raw_bytes(path: Path, head: bool = False) -> bytes:
    """The file's bytes, unpacked where they are gzipped or lie in a zip archive; the beginning only where asked.

    Raises:
        InputError: Not readable, or too many.
    """
    limit = _HEAD_BYTES if head else _MOST_BYTES
    try:
        with _stream(path) as file:
            begin = file.read(2)
            if begin == b"\x1f\x8b":
                file.seek(0)
                with gzip.open(file) as unpacked:
                    data = unpacked.read(limit + 1)
            else:
                data = begin + file.read(limit - 1)
    except _UNREADABLE as error:
        raise InputError(f"{path}: not readable ({' '.join(str(error).split())})") from None
    if len(data) > limit and not head:
        raise InputError(f"{path}: found over {_MOST_BYTES >> 30} GiB of text, expected a smaller file")
    return data[:limit]


def opened_archive(path: Path) -> zipfile.ZipFile:
    """A zip archive, or an Excel file, which is one too.

    Raises:
        InputError: It is damaged or encrypted, or unpacks to more than a table could.
    """
    try:
        return _opened(path, identity(path))
    except InputError:
        raise
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
        why = " ".join(str(error).split())[:120]
        raise InputError(f"{path}: not readable as a zip or Excel file ({why}), save it as CSV") from None


def check_archive(path: Path, archive: zipfile.ZipFile) -> None:
    """Refuses archives that cannot be read, before anything is unpacked.

    Raises:
        InputError: A member is encrypted, or all together unpack to more than tables would.
    """
    if any(member.flag_bits & 1 for member in archive.infolist()):
        raise InputError(f"{path}: is encrypted, expected a zip or Excel file without a password")
    size, packed = (sum(getattr(m, key) for m in archive.infolist()) for key in ("file_size", "compress_size"))
    if size > _MOST_BYTES or (size > _MOST_UNPACKED_BYTES and size > _MOST_UNPACKED_SHARE * packed):
        raise InputError(f"{path}: declares {size} bytes in {packed}, expected tables, which do not shrink that far")


@lru_cache(maxsize=1)
def _opened(path: Path, identity: tuple[int, ...]) -> zipfile.ZipFile:
    """Kept open: an archive may hold thousands of files."""
    archive = zipfile.ZipFile(path)
    check_archive(path, archive)
    return archive


def _is_archive(path: Path) -> bool:
    """Whether a file is a zip archive, and no Excel file."""
    return _begin(path, identity(path)) == _ZIP and "[Content_Types].xml" not in opened_archive(path).namelist()


@lru_cache(maxsize=4)
def _begin(path: Path, identity: tuple[int, ...]) -> bytes:
    """The first four bytes, which name a kind of file."""
    try:
        with _stream(path) as file:
            return file.read(4)
    except _UNREADABLE as error:
        raise InputError(f"{path}: not readable ({' '.join(str(error).split())})") from None


def _tables_in(path: Path) -> list[Path]:
    """The tables of a zip archive.

    Raises:
        InputError: It holds none, or another archive, or a name that leads out of it.
    """
    found = []
    for member in opened_archive(path).infolist():
        name = PurePosixPath(member.filename)
        if member.is_dir() or any(part.startswith((".", "__")) and part != ".." for part in name.parts):
            continue
        if name.is_absolute() or ".." in name.parts:
            raise InputError(f"{path}: holds {member.filename[:80]!r}, expected names that stay inside it")
        if name.suffix.casefold() == ".zip":
            raise InputError(f"{path / name}: a zip archive inside another, expected tables: unpack the outer one")
        if name.suffix.casefold() in SUFFIXES:
            found.append(path / name)
    if not found:
        raise InputError(f"{path}: found no table in it ({', '.join(SUFFIXES[:-1])})")
    return sorted(found)


@contextmanager
def _stream(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file, or of a member of a zip archive."""
    archive = on_disk(path)
    if archive == path:
        with path.open("rb") as file:
            yield file
        return
    name = PurePosixPath(path.relative_to(archive).as_posix())
    member = next(each for each in opened_archive(archive).infolist() if PurePosixPath(each.filename) == name)
    try:
        with opened_archive(archive).open(member) as file:
            yield file
    except (NotImplementedError, RuntimeError) as error:  # a way of packing that Python does not know
        raise InputError(f"{path}: not readable ({' '.join(str(error).split())[:120]})") from None


def _reads_as_chinese(text: str) -> bool:
    """Whether text that was read as GB 18030 is: of Latin-1, a letter with its neighbour makes a sign that is rare."""
    foreign = [sign.encode("gb18030", "replace") for sign in set(text) if ord(sign) > 127]
    usual = sum(len(code) == 4 or code[-1] >= 0xA1 for code in foreign)
    return usual > 0.9 * len(foreign)
