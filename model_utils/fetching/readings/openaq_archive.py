"""History from OpenAQ's open archive: https://docs.openaq.org/aws/about.

It is a bucket that anybody may list and read, a file a location and day. Listed by plain HTTP: an S3 client would bring
25 MB of packages for one question, and its own ways with proxies and certificates.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from urllib.parse import quote, unquote_plus
from xml.etree import ElementTree

import requests

from model_utils.errors import IncompleteError
from model_utils.fetching.readings.openaq_locations import Location
from model_utils.fetching.transfer.http_source import DamagedAnswerError, HttpSource
from model_utils.fetching.transfer.remote_file import RemoteFile

ARCHIVE = "https://openaq-data-archive.s3.amazonaws.com"
ARCHIVE_VARIABLE = "PM25_OPENAQ_ARCHIVE_ENDPOINT"
_FOLDER = "records/csv.gz"
_XML = "{*}"
_DAY = timedelta(days=1)


def archived_files(source: HttpSource, archive: str, location: Location, first: date, last: date) -> list[RemoteFile]:
    """The archive's files of a location, and one more day on both sides.

    Files are cut by days that need not be local ones, and an hour's time is its ending: a local day's last hour may be
    in the file of the day behind it.

    Args:
        source: Is asked.
        archive: Address of the bucket.
        location: Whose files.
        first: First local day.
        last: Last local day.

    Raises:
        IncompleteError: The archive does not answer, or not as it is documented.
    """
    # Names sort by year, month and day: one list that begins right before the first day needs few questions.
    before, behind = (_key(location.id, day) for day in (first - _DAY, last + _DAY))
    files = []
    for key, size, etag in _listed(source, archive, f"{_FOLDER}/locationid={location.id}/", before[: -len(".csv.gz")]):
        if key > behind:
            break
        if key.endswith(".csv.gz"):
            files.append(
                RemoteFile(
                    url=f"{archive}/{quote(key, safe='/=')}",
                    path=key,
                    size=size,
                    etag=etag,
                    etag_is_md5=True,
                    licence=location.licence,
                    attribution=location.attribution,
                )
            )
    return files


def _key(location: int, day: date) -> str:
    return (
        f"{_FOLDER}/locationid={location}/year={day.year}/month={day.month:02d}/location-{location}-{day:%Y%m%d}.csv.gz"
    )


def _listed(source: HttpSource, archive: str, prefix: str, after: str) -> Iterator[tuple[str, int, str]]:
    """Key, bytes and ETag of objects, sorted by key, as S3's ListObjectsV2 gives them, a thousand an answer."""
    asked: dict[str, str | int | float] = {
        "list-type": "2",
        "prefix": prefix,
        "start-after": after,
        "encoding-type": "url",  # or a strange name could be no XML
    }
    while True:
        page = source.ask(f"{archive}/", _page, parameters=asked)
        try:
            for item in page.iterfind(f"{_XML}Contents"):
                texts = [item.findtext(f"{_XML}{name}") for name in ("Key", "Size", "ETag")]
                yield unquote_plus(texts[0] or ""), int(texts[1] or ""), texts[2] or ""
        except ValueError:
            raise IncompleteError(
                f"{source.name}: found an object without its size, expected a list of a bucket"
            ) from None
        token = page.findtext(f"{_XML}NextContinuationToken")
        if page.findtext(f"{_XML}IsTruncated") != "true" or not token:
            return
        asked["continuation-token"] = token


def _page(response: requests.Response) -> ElementTree.Element:
    try:
        page = ElementTree.fromstring(response.content)
    except ElementTree.ParseError as error:
        raise DamagedAnswerError(f"found no list of a bucket ({error})") from None
    if not page.tag.endswith("ListBucketResult"):
        raise DamagedAnswerError(f"found {page.tag[-40:]}, expected ListBucketResult")
    return page
