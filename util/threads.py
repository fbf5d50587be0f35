"""Work spread over threads, for what computes outside Python or waits for the disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

READERS = 8  # threads; reading waits for the disk more than it computes
_AT_ONCE = 4096  # items handed to the threads together: of millions each would wait in memory

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(
    work: Callable[[Item], Result], items: Iterable[Item], threads: int, at_once: int = _AT_ONCE
) -> Iterator[Result]:
    """Yield what `work` makes of every item, in order; when the reader stops, what has not begun is dropped.

    Results of at most `at_once` items wait for the reader.
    """
    left = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        try:
            while group := list(islice(left, at_once)):
                yield from pool.map(work, group)
        finally:
            pool.shutdown(cancel_futures=True)
