"""Independent tasks: in this process, in processes of this machine, or on a Dask cluster that stands.

A task is idempotent: it may be done twice, since a worker that dies in the middle has its tasks done again, and what it
writes is the same then. So neither the number of workers nor their death changes a result.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

Shared = TypeVar("Shared")
Key = TypeVar("Key")
Result = TypeVar("Result")

_LONGEST = 200  # characters of a key in a note


@dataclass(frozen=True)
class Workers:
    """Where tasks are done.

    Attributes:
        processes: On this machine, with one thread of linear algebra each. One is this process itself.
        scheduler: Address of a Dask scheduler that stands, in place of them; its workers see the same files under the
            same names.
        separate: One process, too, is another than this one and has one thread: for sums that must round alike however
            many there are.
    """

    processes: int = 1
    scheduler: str | None = None
    separate: bool = False

    def needed_for(self, count: int) -> int:
        """How many processes so many tasks need; 0 where this one does them."""
        needed = min(self.processes, count)
        return 0 if needed <= 1 and not (self.separate or self.scheduler) else needed


def results_as_completed(
    work: Callable[[Shared, Key], Result], shared: Shared, keys: Sequence[Key], workers: Workers
) -> Generator[tuple[Key, Result], None, None]:
    """Does tasks and gives each key with its result as soon as it is there.

    Args:
        work: Does one: (shared, key) -> result, which is small. A function of a module: processes look it up there.
        shared: What all tasks are given; it is sent to every worker once.
        keys: Of the tasks.
        workers: Who does them.

    Raises:
        InputError: A task says so, workers keep dying, or there is no such scheduler.
    """
    if not keys:
        return
    processes = workers.needed_for(len(keys))
    if not processes:
        yield from ((key, with_note(work, shared, key)) for key in keys)
        return
    from model_utils.parallel.cluster import submitting

    with submitting(work, shared, processes, workers.scheduler) as tasks:
        futures = {tasks.submit(key): key for key in keys}
        for future in tasks.as_completed(list(futures)):
            yield futures.pop(future), tasks.result(future)


def results_in_order(
    work: Callable[[Shared, Key], Result], shared: Shared, keys: Sequence[Key], workers: Workers
) -> Generator[Result, None, None]:
    """Does tasks and gives their results in the order of the keys.

    At most one task more than there are workers is begun and not taken, the result that was given last among them: so
    what tasks lay down in files stays bounded.

    Args:
        work: As for `results_as_completed`.
        shared: As there.
        keys: As there.
        workers: As there.

    Raises:
        InputError: As there.
    """
    if not keys:
        return
    processes = workers.needed_for(len(keys))
    if not processes:
        yield from (with_note(work, shared, key) for key in keys)
        return
    from model_utils.parallel.cluster import submitting

    with submitting(work, shared, processes, workers.scheduler) as tasks:
        waiting: deque[Any] = deque()
        for key in keys:
            while len(waiting) > tasks.threads():
                yield tasks.result(waiting.popleft())
            waiting.append(tasks.submit(key))
        while waiting:
            yield tasks.result(waiting.popleft())


def with_note(work: Callable[[Shared, Key], Result], shared: Shared, key: Key) -> Result:
    """Does one task; a fault says in which it was."""
    try:
        return work(shared, key)
    except Exception as error:
        error.add_note(f"in task {key!r:.{_LONGEST}}")
        raise
