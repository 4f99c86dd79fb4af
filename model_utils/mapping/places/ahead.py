"""Reading ahead: a thread prepares the next items while the caller works on this one."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def read_ahead(items: Iterator[Item], most: int = 2) -> Generator[Item, None, None]:
    """The same items in the same order, made by one thread of their own.

    Whatever the items' iterator opens is opened, used and closed in that thread, as GDAL wants it.

    Args:
        items: Anything that waits for files or for libraries that let other threads run.
        most: Items that are ready and wait, at most; one more is being made.

    Raises:
        BaseException: What the items' iterator raises, where it would have come.
    """
    ready: queue.Queue[tuple[Item] | BaseException | None] = queue.Queue(most)
    stopped = threading.Event()

    def give(item: tuple[Item] | BaseException | None) -> None:
        while not stopped.is_set():
            try:
                ready.put(item, timeout=0.1)
            except queue.Full:
                continue
            break

    def work() -> None:
        try:
            for item in items:
                give((item,))
                if stopped.is_set():
                    break
            give(None)
        except BaseException as error:  # raised again by the caller
            give(error)
        finally:
            if (close := getattr(items, "close", None)) is not None:
                close()

    thread = threading.Thread(target=work, name="read ahead", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item[0]
    finally:
        stopped.set()
        thread.join()
