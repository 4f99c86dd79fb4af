"""A file that is to be fetched, and what is known of it before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from model_utils.errors import IncompleteError


@dataclass(frozen=True)
class RemoteFile:
    """One item of a plan.

    Attributes:
        url: Its address, and what the manifest calls it: a file with the same path and another `url` is fetched anew.
        path: Where it goes, relative to the folder, with slashes.
        size: Bytes, where the source's list says so.
        etag: As the source's list has it, in its quotation marks.
        checksum: `md5:` or `sha256:` and hexadecimal digits, where the source says so.
        etag_is_md5: The ETag of an answer is the MD5 of the content, as of a bucket's object that was put there whole.
        licence: Under which it may be used.
        attribution: Who is to be named.
        cost: How many requests it counts as for the source's limit.
        address: Gives the address to fetch it from, where that is made for a while only (signed, or ordered first).
        check: Raises `ValueError` with what is wrong where the content is not what it should be.
    """

    url: str
    path: str
    size: int | None = None
    etag: str | None = None
    checksum: str | None = None
    etag_is_md5: bool = False
    licence: str = ""
    attribution: str = ""
    cost: int = 1
    address: Callable[[], str] | None = None
    check: Callable[[Path], None] | None = None

    def __post_init__(self) -> None:
        path = PurePosixPath(self.path)
        if path.is_absolute() or not path.parts or any(part[0] == "." for part in path.parts) or "\0" in self.path:
            raise IncompleteError(f"{self.url}: would be written to {self.path!r}, expected a path inside the folder")


def megabytes(size: int) -> str:
    """'12.3 MB'; smaller ones in kB."""
    return f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"
