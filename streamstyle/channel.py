"""A bounded queue between two stages: one thread puts items, another gets them."""

import threading
from collections import deque
from collections.abc import Iterator
from enum import Enum
from typing import Generic, TypeVar

T = TypeVar("T")


class Policy(Enum):
    """How a full channel treats a new item."""

    WAIT = "wait"
    """The putting thread waits, so no item is lost. For files."""
    NEWEST = "newest"
    """The oldest item is dropped and counted, so no item gets old. For cameras."""


class Cancelled(Exception):
    """The channel was canceled, and its items are gone."""


class Channel(Generic[T]):
    """A queue of at most `depth` items; `policy` decides what happens when it is full."""

    def __init__(self, depth: int, policy: Policy) -> None:
        self.dropped = 0
        """Number of items dropped so far."""
        self._depth = depth
        self._policy = policy
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._cancelled = False

    def put(self, item: T) -> None:
        """Put in an item by the policy. Raises Cancelled if the channel is canceled."""
        with self._changed:
            if self._policy is Policy.NEWEST and len(self._items) == self._depth:
                self._items.popleft()
                self.dropped += 1
            self._changed.wait_for(lambda: len(self._items) < self._depth or self._cancelled)
            if self._cancelled:
                raise Cancelled
            self._items.append(item)
            self._changed.notify_all()

    def close(self) -> None:
        """Declare that no more items will be put; the items inside can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def cancel(self) -> None:
        """Drop all items and raise Cancelled in every thread that puts or gets, now or later."""
        with self._changed:
            self._cancelled = True
            self._items.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        """Yield items as they come, until the channel is closed and empty.

        Raises Cancelled if the channel is canceled.
        """
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._items or self._closed or self._cancelled)
                if self._cancelled:
                    raise Cancelled
                if not self._items:
                    return
                item = self._items.popleft()
                self._changed.notify_all()
            yield item
