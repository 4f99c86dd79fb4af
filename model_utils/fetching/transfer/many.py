"""Many files into one folder, several at a time."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from model_utils.errors import IncompleteError, InputError
from model_utils.fetching.transfer.download import download
from model_utils.fetching.transfer.http_source import HttpSource, StoppedError
from model_utils.fetching.transfer.manifest import MANIFEST, Manifest
from model_utils.fetching.transfer.progress import Arrivals, arrivals
from model_utils.fetching.transfer.remote_file import RemoteFile, megabytes
from model_utils.locking import locked

MOST_IN_VAIN = 20
"""Files one after the other that the source did not give; the others are not tried any more."""


@dataclass(frozen=True)
class Plan:
    """What a run would fetch.

    Attributes:
        files: All that belong to what was asked for.
        missing: Those that are not there yet, or of which the source has another version.
    """

    files: tuple[RemoteFile, ...]
    missing: tuple[RemoteFile, ...]

    @property
    def size(self) -> int | None:
        """Bytes of the missing files, or None where that is not known of each."""
        sizes = [file.size for file in self.missing]
        return sum(size for size in sizes if size is not None) if None not in sizes else None

    def line(self) -> str:
        """'1,095 files, 24.1 MB; 1,000 of them are there'."""
        size = "" if self.size is None else f", {megabytes(self.size)}"
        there = len(self.files) - len(self.missing)
        return f"{len(self.missing):,} files to fetch{size}; {there:,} are there"


def plan(files: Sequence[RemoteFile], folder: Path) -> Plan:
    """Looks which files a folder holds already; writes nothing.

    Raises:
        InputError: The folder has a manifest that is none.
    """
    manifest = Manifest(folder, read_only=True)
    return Plan(tuple(files), tuple(file for file in files if not manifest.holds(file)))


def fetch_files(source: HttpSource, files: Sequence[RemoteFile], folder: Path, what: str, connections: int = 8) -> Plan:
    """Fetches what is missing of some files into a folder.

    Each is written beside its place, checked, and renamed; the folder's `manifest.jsonl` says where each is from. What
    cannot be had is printed to stderr by name, when all others are there.

    Args:
        source: Is asked.
        files: What for.
        folder: Made where it is not there.
        what: The first word of lines of progress.
        connections: How many files come at a time.

    Returns:
        What was there and what was fetched.

    Raises:
        IncompleteError: Some could not be had; all others stay.
        InUseError: Another process fetches into the folder.
        UnwritableError: The disk is full, or the folder may not be written.
    """
    with locked(folder / MANIFEST):
        manifest = Manifest(folder)
        planned = Plan(tuple(files), tuple(file for file in files if not manifest.holds(file)))
        failed: dict[str, str] = {}
        if planned.missing:
            try:
                with arrivals(what, len(planned.missing), planned.size) as arrived:
                    failed = _fetch(source, planned.missing, manifest, arrived, connections)
            except BaseException:
                with suppress(InputError):  # what was wrong first is said, such as a full disk
                    manifest.save()
                raise
            manifest.save()
    for path in sorted(failed):
        print(f"missing: {path}: {failed[path]}", file=sys.stderr)
    if failed:
        raise IncompleteError(
            f"{len(failed)} of {len(files)} files could not be fetched; the others are in {folder}, and the same "
            "command fetches what is missing"
        )
    return planned


def _fetch(
    source: HttpSource, files: Sequence[RemoteFile], manifest: Manifest, arrived: Arrivals, connections: int
) -> dict[str, str]:
    """Gives why each file that could not be had is not there."""
    failed: dict[str, str] = {}
    in_vain = 0
    with ThreadPoolExecutor(max_workers=connections) as pool:
        running = {pool.submit(_one, source, file, manifest, arrived): file.path for file in files}
        try:
            for done in as_completed(running):
                try:
                    if not done.cancelled():
                        done.result()
                        in_vain = 0
                except StoppedError:  # by another, which says why
                    continue
                except IncompleteError as error:
                    failed[running[done]] = str(error)
                    in_vain += 1
                    if in_vain == MOST_IN_VAIN:
                        for future, path in running.items():
                            if future.cancel():
                                failed[path] = f"not tried, after {MOST_IN_VAIN} others in vain"
                arrived.file_done()
        except BaseException:  # of this thread, such as Ctrl-C, or of a file for which there is no room
            source.stop()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return failed


def _one(source: HttpSource, file: RemoteFile, manifest: Manifest, arrived: Arrivals) -> None:
    """Fetches a file; what is wrong with more than the file ends the run before this thread takes another."""
    try:
        download(source, file, manifest, arrived.bytes_came)
    except IncompleteError:
        raise
    except BaseException:
        source.stop()
        raise
