"""The queue between two stages of the pipeline."""

import threading
import time

import pytest

from streamstyle.channel import Cancelled, Channel, Policy


def test_waiting_channel_loses_nothing_and_keeps_the_order() -> None:
    channel: Channel[int] = Channel(2, Policy.WAIT)

    def put_all() -> None:
        for number in range(100):
            channel.put(number)
        channel.close()

    thread = threading.Thread(target=put_all)
    thread.start()
    assert list(channel) == list(range(100))
    thread.join()
    assert channel.dropped == 0


def test_putting_into_a_full_channel_waits() -> None:
    channel: Channel[int] = Channel(1, Policy.WAIT)
    channel.put(0)
    done = threading.Event()
    thread = threading.Thread(target=lambda: (channel.put(1), done.set()))
    thread.start()
    assert not done.wait(0.1)
    assert next(iter(channel)) == 0
    assert done.wait(5)
    thread.join()


def test_newest_wins_and_drops_are_counted() -> None:
    channel: Channel[int] = Channel(2, Policy.NEWEST)
    for number in range(10):
        channel.put(number)
    channel.close()
    assert list(channel) == [8, 9]
    assert channel.dropped == 8


def test_cancelling_wakes_both_sides() -> None:
    full: Channel[int] = Channel(1, Policy.WAIT)
    empty: Channel[int] = Channel(1, Policy.WAIT)
    full.put(0)
    seen = []

    def wait_to_put() -> None:
        with pytest.raises(Cancelled):
            full.put(1)
        seen.append("put")

    def wait_to_get() -> None:
        with pytest.raises(Cancelled):
            next(iter(empty))
        seen.append("get")

    threads = [threading.Thread(target=wait_to_put), threading.Thread(target=wait_to_get)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)  # both are waiting now
    full.cancel()
    empty.cancel()
    for thread in threads:
        thread.join(5)
    assert sorted(seen) == ["get", "put"]


def test_what_is_in_a_closed_channel_can_still_be_got() -> None:
    channel: Channel[int] = Channel(3, Policy.WAIT)
    channel.put(1)
    channel.put(2)
    channel.close()
    assert list(channel) == [1, 2]
