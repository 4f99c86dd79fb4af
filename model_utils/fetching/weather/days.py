"""From local days to the hours of UTC that they are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class Span:
    """Hours of UTC, both included.

    Attributes:
        begin: The first full hour.
        end: The last one.
    """

    begin: datetime
    end: datetime

    @property
    def days(self) -> list[date]:
        """The days of UTC that hold them."""
        first, last = self.begin.date(), self.end.date()
        return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def span_of(first: date, last: date, zone: ZoneInfo) -> Span:
    """The hours of local days, and the one behind them: sums are given at the end of their hour."""
    begin, end = (datetime.combine(day, time(), zone).astimezone(UTC) for day in (first, last + timedelta(days=1)))
    hour = begin.replace(minute=0)
    return Span(hour, end if end.minute == 0 else end.replace(minute=0) + timedelta(hours=1))
