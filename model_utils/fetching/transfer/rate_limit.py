"""How often a source may be asked."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable


class RateLimit:
    """At most so many requests in any so many seconds; several such limits at once; safe to share between threads.

    Example:
        >>> limit = RateLimit((60, 60.0), (2000, 3600.0))
        >>> limit.pause()  # none is needed before the first request
        0.0
    """

    def __init__(self, *limits: tuple[int, float], clock: Callable[[], float] = time.monotonic) -> None:
        """Takes pairs of a count and the seconds it holds for, and the clock to go by."""
        self._limits, self._clock = limits, clock
        self._asked: list[deque[float]] = [deque() for _ in limits]
        self._lock = threading.Lock()

    def pause(self, cost: int = 1) -> float:
        """Notes a request and gives the seconds to wait before it is sent.

        Args:
            cost: How many requests it counts as; one that counts as more than the limit waits for an empty window.
        """
        with self._lock:
            now = self._clock()
            at = now
            for (count, seconds), asked in zip(self._limits, self._asked, strict=True):
                while asked and asked[0] <= now - seconds:
                    asked.popleft()
                over = len(asked) + min(cost, count) - count
                if over > 0:
                    at = max(at, asked[over - 1] + seconds)
            for (count, _), asked in zip(self._limits, self._asked, strict=True):
                asked.extend([at] * min(cost, count))
            return at - now
