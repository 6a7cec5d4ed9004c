"""Ways to damage a file."""

import numpy as np

Rng = np.random.Generator

_EXTREMES = (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x00\x00\x00\x00", b"\x80\x00\x00\x00")


def mutated(data: bytes, other: bytes, rng: Rng) -> bytes:
    """Return a damaged copy of `data`; `other` is a file to take parts of."""
    if not data:
        return data
    ways = (_truncated, _flipped, _flipped_at_the_head, _extreme, _repeated, _cut_out, _spliced)
    way = ways[rng.integers(len(ways))]
    return way(data, other, rng)


def _truncated(data: bytes, _other: bytes, rng: Rng) -> bytes:
    return data[: rng.integers(len(data))]


def _flipped(data: bytes, _other: bytes, rng: Rng) -> bytes:
    return _with_flips(data, rng, len(data))


def _flipped_at_the_head(data: bytes, _other: bytes, rng: Rng) -> bytes:
    return _with_flips(data, rng, min(len(data), 256))


def _with_flips(data: bytes, rng: Rng, end: int) -> bytes:
    damaged = bytearray(data)
    for at in rng.integers(0, end, 1 + rng.integers(32)):
        damaged[at] ^= 1 << rng.integers(8)
    return bytes(damaged)


def _extreme(data: bytes, _other: bytes, rng: Rng) -> bytes:
    """Write a very large number, zero or a negative one over four bytes."""
    at = rng.integers(min(len(data), 4096))
    return data[:at] + _EXTREMES[rng.integers(len(_EXTREMES))] + data[at + 4 :]


def _repeated(data: bytes, _other: bytes, rng: Rng) -> bytes:
    start, end = sorted(rng.integers(0, len(data), 2))
    return data[:end] + data[start:end] * 3 + data[end:]


def _cut_out(data: bytes, _other: bytes, rng: Rng) -> bytes:
    start, end = sorted(rng.integers(0, len(data), 2))
    return data[:start] + data[end:]


def _spliced(data: bytes, other: bytes, rng: Rng) -> bytes:
    return data[: rng.integers(len(data))] + other[rng.integers(len(other) + 1) :]
