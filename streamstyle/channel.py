"""What joins two stages: a bounded queue between one thread that puts and one that gets."""

import threading
from collections import deque
from collections.abc import Iterator
from enum import Enum
from typing import Generic, TypeVar

T = TypeVar("T")


class Policy(Enum):
    """What happens to an item that finds the channel full."""

    WAIT = "wait"
    """The putter waits: nothing is lost. For files."""
    NEWEST = "newest"
    """The oldest item is dropped and counted: nothing gets old. For cameras."""


class Cancelled(Exception):
    """The channel was given up; what was in it is gone."""


class Channel(Generic[T]):
    def __init__(self, depth: int, policy: Policy) -> None:
        self.dropped = 0
        self._depth = depth
        self._policy = policy
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._cancelled = False

    def put(self, item: T) -> None:
        """Put `item` in, by the policy. Raises Cancelled."""
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
        """Nothing more will be put; what is in it can still be got."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def cancel(self) -> None:
        """Give up: whoever puts or gets, now or later, sees Cancelled."""
        with self._changed:
            self._cancelled = True
            self._items.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        """Items as they come, until the channel is closed and empty. Raises Cancelled."""
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
