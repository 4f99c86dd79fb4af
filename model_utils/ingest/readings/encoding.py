"""From a file's bytes to text: compression, byte order marks, encodings, and files that are no text."""

from __future__ import annotations

import codecs
import gzip
import zlib
from pathlib import Path

from model_utils.errors import InputError

_MOST_BYTES = 2**33
_HEAD_BYTES = 2**18


def decoded(path: Path, head: bool = False) -> tuple[bytes, str]:
    """The file's text as UTF-8 with plain line ends, and the encoding it was in.

    Raises:
        InputError: Not readable, an Excel file, binary.
    """
    raw = _raw(path, head)
    if raw.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise InputError(f"{path}: found a zip or Excel file, expected text: save it as CSV, or unpack it")
    encoding = "utf-8"
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif raw.startswith(codecs.BOM_UTF8):
        raw = raw[len(codecs.BOM_UTF8) :]
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(raw, final=not head)  # a head may end inside a letter
    except UnicodeDecodeError:
        if encoding == "utf-16":
            raise InputError(f"{path}: not readable as UTF-16, which its byte order mark promises") from None
        encoding, text = "latin-1", raw.decode("latin-1")
    if any(sign in text for sign in map(chr, range(8))):
        raise InputError(f"{path}: found binary data, expected text")
    data = text.encode("utf-8") if head or encoding != "utf-8" else raw
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in data else data, encoding


def _raw(path: Path, head: bool) -> bytes:
    limit = _HEAD_BYTES if head else _MOST_BYTES
    try:
        with path.open("rb") as file:
            if file.read(2) == b"\x1f\x8b":
                file.seek(0)
                with gzip.open(file) as unpacked:
                    data = unpacked.read(limit + 1)
            else:
                file.seek(0)
                data = file.read(limit + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: not readable ({' '.join(str(error).split())})") from None
    if len(data) > limit and not head:
        raise InputError(f"{path}: found over {_MOST_BYTES >> 30} GiB of text, expected a smaller file")
    return data[:limit]
