"""When a scene was taken: a pattern, the metadata, the tags, the name, in this order; a time of day before a date."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from model_utils.cities import City
from model_utils.errors import InputError

ACQUISITION_TAGS = (
    "ACQUISITIONDATETIME",  # GDAL's IMAGERY domain, UTC
    "ACQUISITION_DATETIME",
    "ACQUISITION_DATE_TIME",
    "ACQUISITION_TIME",
    "ACQUIRED",
    "SENSING_TIME",
    "DATATAKE_SENSING_START",
    "DATATAKE_1_DATATAKE_SENSING_START",  # GDAL's name for it in Sentinel-2 products
    "ACQUISITION_DATE",
    "ACQUISITIONDATE",
    "DATE_ACQUIRED",
)
WRITING_TAG = "TIFFTAG_DATETIME"
"""When the file was written, says the TIFF standard; some providers put the acquisition here."""

_IN_NAME = re.compile(
    r"(?<![0-9A-Za-z])(?P<year>\d{4})(?P<dash>-?)(?P<month>\d\d)(?P=dash)(?P<day>\d\d)"
    r"(?:[T_](?P<hour>\d\d)(?P<colon>[-:]?)(?P<minute>\d\d)(?P=colon)(?P<second>\d\d)(?:\.\d+)?(?P<zone>Z?)|Z)?(?![0-9A-Za-z])"
)
_DIRECTIVES = {
    "Y": r"\d{4}",
    "y": r"\d{2}",
    "m": r"\d{2}",
    "d": r"\d{2}",
    "j": r"\d{3}",
    "b": r"[A-Za-z]{3}",
    "B": r"[A-Za-z]{3,9}",
    "H": r"\d{2}",
    "M": r"\d{2}",
    "S": r"\d{2}",
    "f": r"\d{1,6}",
    "z": r"(?:Z|[+-]\d{2}:?\d{2})",
    "%": "%",
}


@dataclass(frozen=True)
class Stamp:
    """A time as found.

    Attributes:
        value: Aware, in UTC; or a date where nothing finer is known.
        source: Where it was found: 'metadata', 'tag ...', 'name', 'pattern'.
        zoneless: True where UTC was taken because no zone was named.
        utc_day: Of a date: the day is counted in UTC, not by the city's clock.
    """

    value: datetime | date
    source: str
    zoneless: bool = False
    utc_day: bool = False

    @property
    def date_only(self) -> bool:
        """True where the time of day is not known."""
        return not isinstance(self.value, datetime)

    def day(self) -> date:
        """The date, in UTC where the time of day is known."""
        return self.value.date() if isinstance(self.value, datetime) else self.value

    def in_utc(self, city: City) -> datetime:
        """The time; a date is that of the satellite's overpass by the city's clock."""
        if isinstance(self.value, datetime):
            return self.value
        days = (self.value + timedelta(days=off) for off in (0, -1, 1))
        times = [datetime.combine(day, city.overpass_local_time, city.zone).astimezone(UTC) for day in days]
        fitting = [time for time in times if time.date() == self.value] if self.utc_day else []
        return (fitting or times)[0]


def parsed_time(text: str, source: str) -> Stamp | None:
    """A time in ISO 8601 or as TIFF writes it; None where the text is neither, or not from 1970 to 2100."""
    text = re.sub(r"^(\d{4}):(\d\d):(\d\d)", r"\1-\2-\3", text.strip().removesuffix(" UTC"))
    try:
        if re.fullmatch(r"\d{4}-?\d\d-?\d\d", text):
            return plausible(Stamp(date.fromisoformat(text), source))
        return _aware(datetime.fromisoformat(text), source)
    except (ValueError, OverflowError):
        return None


def name_times(text: str) -> list[Stamp]:
    """The different times that stand in a file's name, each set off by something that is no letter and no digit.

    Known are YYYYMMDD and YYYY-MM-DD, and behind either of them, after T or _, HHMMSS, HH-MM-SS or HH:MM:SS. A date
    that stands beside a time of the same day adds nothing.
    """
    stamps = []
    for found in _IN_NAME.finditer(text):
        parts = found.groupdict()
        day = f"{parts['year']}-{parts['month']}-{parts['day']}"
        clock = f"T{parts['hour']}:{parts['minute']}:{parts['second']}{parts['zone']}" if parts["hour"] else ""
        # six digits that are no time of day are some other number: the date stands
        stamps.append((clock and parsed_time(day + clock, "name")) or parsed_time(day, "name"))
    different = list({stamp.value: stamp for stamp in stamps if stamp}.values())
    timed = {stamp.value.date() for stamp in different if isinstance(stamp.value, datetime)}
    return [stamp for stamp in different if not (stamp.date_only and stamp.value in timed)]


class TimePattern:
    """The user's `--time-pattern`: finds a time anywhere in a file's name."""

    def __init__(self, pattern: str) -> None:
        """Reads the pattern.

        Raises:
            InputError: It holds a directive that is not known, or does not name a whole date.
        """
        self.pattern = pattern
        parts = re.split(r"%(.?)", pattern)
        directives = parts[1::2]
        names = set(directives)
        if unknown := sorted(names - set(_DIRECTIVES)):
            raise InputError(f"--time-pattern: found %{unknown[0]} in {pattern!r}, expected %{', %'.join(_DIRECTIVES)}")
        day = "j" in names or ("d" in names and names & {"m", "b", "B"})
        if not (day and names & {"Y", "y"}) or len(directives) != len(names):
            raise InputError(f"--time-pattern: found {pattern!r}, expected year, month and day once, such as %Y%m%d")
        self.date_only = "H" not in names
        texts = [re.escape(part) if at % 2 == 0 else _DIRECTIVES[part] for at, part in enumerate(parts)]
        # digits of a longer number are not a date, unless the pattern itself says what stands beside them
        before, after = ("" if parts[0] else r"(?<!\d)"), ("" if parts[-1] else r"(?!\d)")
        self._search = re.compile(f"(?={before}({''.join(texts)}){after})")

    def find(self, stem: str, path: Path) -> Stamp:
        """The time in a file's name.

        Raises:
            InputError: The pattern does not fit, or fits in several places that mean different times.
        """
        stamps = {stamp.value: stamp for text in self._search.findall(stem) if (stamp := self._parsed(text))}
        if len(stamps) != 1:
            found = f"fits several times ({', '.join(map(str, stamps))})" if stamps else "does not fit the name"
            raise InputError(f"{path}: --time-pattern {self.pattern!r} {found}, expected one time from 1970 to 2100")
        return next(iter(stamps.values()))

    def _parsed(self, text: str) -> Stamp | None:
        try:
            time = datetime.strptime(text, self.pattern)
            return plausible(Stamp(time.date(), "pattern")) if self.date_only else _aware(time, "pattern")
        except (ValueError, OverflowError):
            return None


def acquisition(
    path: Path, pattern: TimePattern | None, metadata: Stamp | None, tags: Mapping[str, str], name: Stamp | None
) -> Stamp:
    """The first time of day that metadata, tags and name give, in this order; else the first date.

    Args:
        path: The scene's file or folder, whose name is searched.
        pattern: The user's own, which goes before all else.
        metadata: The time in the provider's metadata.
        tags: The raster's tags by upper-case name.
        name: The time in a name whose pattern is the provider's own.

    Raises:
        InputError: No time, two different ones in the name, or a date more than a day off the time.
    """
    if pattern:
        return pattern.find(path.stem, path)
    tagged = (parsed_time(tags[tag], f"tag {tag}") for tag in ACQUISITION_TAGS if tag in tags)
    stamps = [stamp for stamp in (metadata, *tagged) if stamp]
    if all(stamp.date_only for stamp in stamps):
        named = [name] if name else name_times(path.stem)
        if len(named) > 1 and not (stamps and all(stamp.date_only for stamp in named)):
            found = " and ".join(stamp.value.isoformat() for stamp in named)
            raise InputError(f"{path}: found {found} in the name, expected one time: --time-pattern says which it is")
        stamps += named
    timed = next((stamp for stamp in stamps if not stamp.date_only), None)
    if timed:
        of_name = [name] if name and name not in stamps else []
        _refuse_other_days(path, [*stamps[: stamps.index(timed)], *of_name], timed)
    if stamps:
        return timed or stamps[0]
    if stamp := parsed_time(tags.get(WRITING_TAG, ""), f"tag {WRITING_TAG}"):
        return stamp
    raise InputError(
        f"{path}: found no acquisition time in metadata, tags or name, expected one such as 20190104_051230 in the "
        "name, --time-pattern for a name that is written otherwise, or --time for a single scene"
    )


def _refuse_other_days(path: Path, dates: Sequence[Stamp], timed: Stamp) -> None:
    """A date is often local and a time in UTC: they may differ by a day, not by more."""
    for stamp in dates:
        if abs((timed.day() - stamp.day()).days) > 1:
            raise InputError(
                f"{path}: found {stamp.value} ({stamp.source}) and {timed.value} ({timed.source}), expected the same "
                "day: --time-pattern takes the one in the name"
            )


def _aware(time: datetime, source: str) -> Stamp | None:
    zoneless = time.tzinfo is None
    return plausible(Stamp(time.replace(tzinfo=UTC) if zoneless else time.astimezone(UTC), source, zoneless))


def plausible(stamp: Stamp) -> Stamp | None:
    """The time, or None where it is not from 1970 to 2100."""
    return stamp if 1970 <= stamp.value.year <= 2100 else None
