"""One file: fetched, gone on with where it was cut off, checked, put in its place."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import requests

from model_utils import atomic
from model_utils.errors import UnwritableError
from model_utils.fetching.transfer.http_source import DamagedAnswerError, HttpSource, UnreachableError
from model_utils.fetching.transfer.manifest import Begun, Manifest, digest, partial_path, plain_etag, write_all
from model_utils.fetching.transfer.remote_file import RemoteFile

_CHUNK = 2**16
WORTH_ANOTHER_ROUND = 2**20
"""Bytes: a connection that is lost again and again, but brings so many each time, is not given up."""

_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")
_MD5 = re.compile(r"[0-9a-f]{32}")


def download(source: HttpSource, file: RemoteFile, manifest: Manifest, came: Callable[[int], None]) -> None:
    """Fetches a file into the manifest's folder.

    What has come stays beside the place until the next run where the source gives up, and goes where the disk does.

    Args:
        source: Is asked.
        file: What for.
        manifest: Of the folder; has a line for the file in the end.
        came: Gets the number of bytes that came, a negative one where they have to come again.

    Raises:
        RefusedError: See `HttpSource.ask`, as for the others.
        UnreachableError: After bytes that do not add up to the file as well.
        UnwritableError: The disk is full, or the folder may not be written.
    """
    coming = _Coming(file, manifest, came, source.refuse_stopped)
    furthest = coming.size
    try:
        while not coming.is_whole:
            try:
                url = file.address() if file.address else file.url
                source.ask(url, coming.take, headers=coming.headers, cost=file.cost)
            except UnreachableError:
                if coming.size < furthest + WORTH_ANOTHER_ROUND:
                    raise
                furthest = coming.size
        coming.finish()
    except UnwritableError:
        coming.forget()
        raise


class _Coming:
    """A file of which a part may be there."""

    def __init__(
        self, file: RemoteFile, manifest: Manifest, came: Callable[[int], None], go_on: Callable[[], None]
    ) -> None:
        self._file, self._manifest, self._came, self._go_on = file, manifest, came, go_on
        self._target = manifest.folder / file.path
        self._partial = partial_path(self._target)
        self._sha256: str | None = None
        self._begun = manifest.begun(file)
        came(self.size)
        if not self._is_of_this_version:
            self.forget()
        elif self._begun and self.size == self._begun.size:  # the run ended before it looked at the bytes
            with suppress(DamagedAnswerError):
                self._verify(self._begun.etag)

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return self._partial.stat().st_size if self._partial.exists() else 0

    @property
    def is_whole(self) -> bool:
        """Whether all have come and are right."""
        return self._sha256 is not None

    @property
    def _is_of_this_version(self) -> bool:
        """Whether the part that is there can become the file."""
        begun, etag = self._begun, self._file.etag
        if begun is None or begun.url != self._file.url or not self.size:
            return False
        if etag and begun.etag and plain_etag(etag) != plain_etag(begun.etag):
            return False
        return bool(begun.etag) or self.size == begun.size

    def headers(self) -> Mapping[str, str]:
        """Asks for the bytes as they are stored, and only for what is missing of the version that is there."""
        asked = {"Accept-Encoding": "identity"}
        if self._begun is not None and self.size:
            asked |= {"Range": f"bytes={self.size}-", "If-Range": self._begun.etag}
        return asked

    def take(self, response: requests.Response) -> None:
        """Writes the bytes of an answer."""
        if response.status_code == 416:
            self.forget()
            raise DamagedAnswerError("found fewer bytes than there were before")
        version = response.headers.get("ETag", "")
        if response.status_code == 206:
            self._refuse_other_part(response, version)
            total = self._begun.size if self._begun else None
        else:
            self.forget()
            packed = response.headers.get("Content-Encoding", "identity") != "identity"
            length = response.headers.get("Content-Length")
            total = int(length) if length and length.isdigit() and not packed else None
            self._begun = Begun(self._file.url, "" if version.startswith("W/") else version, total)
            self._manifest.begin(self._file, self._begun.etag, total)
        self._append(response)
        if total is not None and self.size != total:
            raise DamagedAnswerError(f"{self.size} of {total} bytes came")
        self._verify(version)

    def finish(self) -> None:
        """Puts the file in its place."""
        assert self._sha256 is not None
        with atomic.refusals_named(self._target, self._probe):
            atomic.sync(self._partial)
        self._manifest.add(self._file, self._partial, self._sha256, self._begun.etag if self._begun else "")

    @property
    def _probe(self) -> Path:
        """A file by which the disk is asked, in place of the part that is there."""
        return self._partial.with_name(f".{self._target.name}.probe")

    def _refuse_other_part(self, response: requests.Response, version: str) -> None:
        """Some servers overlook If-Range."""
        found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        begun = self._begun
        fits = found and begun and int(found[1]) == self.size and begun.size in (None, int(found[2]))
        if not fits or not begun or (version and plain_etag(version) != plain_etag(begun.etag)):
            self.forget()
            raise DamagedAnswerError("it has changed since a part of it came")

    def _append(self, response: requests.Response) -> None:
        unpack = not self._file.path.endswith(".gz")  # a packed file may be said to be packed on its way
        with atomic.refusals_named(self._target, self._probe):
            self._target.parent.mkdir(parents=True, exist_ok=True)
            part = self._partial.open("ab", buffering=0)
        with part:
            for chunk in response.raw.stream(_CHUNK, decode_content=unpack):
                self._go_on()
                with atomic.refusals_named(self._target, self._probe):
                    write_all(part, chunk)
                self._came(len(chunk))

    def _verify(self, version: str) -> None:
        """Looks at the bytes; what is wrong is removed.

        Raises:
            DamagedAnswerError: Says what.
        """
        try:
            problem = self._problem(version)
        except (OSError, EOFError, zlib.error) as error:
            problem = f"cannot be unpacked ({error})"
        except ValueError as error:
            problem = str(error)
        if problem:
            self.forget()
            raise DamagedAnswerError(problem)
        self._sha256 = digest(self._partial, "sha256")

    def _problem(self, version: str) -> str:
        file = self._file
        listed = not (file.etag and version) or plain_etag(file.etag) == plain_etag(version)
        if listed and file.size not in (None, self.size):  # else it has changed since it was listed
            return f"{self.size} bytes came, the source's list says {file.size}"
        if listed and file.checksum:
            kind, _, expected = file.checksum.partition(":")
            if (found := digest(self._partial, kind)) != expected:
                return f"wrong checksum: {kind} {found}, expected {expected}"
        expected = plain_etag(version) if file.etag_is_md5 else ""
        if _MD5.fullmatch(expected) and (found := digest(self._partial, "md5")) != expected:
            return f"wrong checksum: md5 {found}, expected {expected}"
        if file.path.endswith(".gz"):
            with gzip.open(self._partial) as unpacked:
                while unpacked.read(_CHUNK):
                    pass
        if file.check:
            file.check(self._partial)
        return ""

    def forget(self) -> None:
        """Lets all come again."""
        self._came(-self.size)
        self._partial.unlink(missing_ok=True)
        self._begun = None
