"""Which partition a record goes to: SipHash-2-4 of its key as Fluvio computes it, or by turns without one."""

from __future__ import annotations

import functools
from typing import Protocol

_MASK = 0xFFFFFFFFFFFFFFFF


def siphash24(message: bytes) -> int:
    """SipHash-2-4 with a key of zeros."""
    v0, v1, v2, v3 = 0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573
    tail = len(message) & 7
    whole = len(message) - tail
    last = int.from_bytes(message[whole:], "little") | (len(message) & 0xFF) << 56
    words = [int.from_bytes(message[at : at + 8], "little") for at in range(0, whole, 8)]
    words.append(last)
    for word in (*words, None):
        if word is None:
            v2 ^= 0xFF
        else:
            v3 ^= word
        for _ in range(2 if word is not None else 4):
            v0 = (v0 + v1) & _MASK
            v1 = ((v1 << 13 | v1 >> 51) & _MASK) ^ v0
            v0 = (v0 << 32 | v0 >> 32) & _MASK
            v2 = (v2 + v3) & _MASK
            v3 = ((v3 << 16 | v3 >> 48) & _MASK) ^ v2
            v0 = (v0 + v3) & _MASK
            v3 = ((v3 << 21 | v3 >> 43) & _MASK) ^ v0
            v2 = (v2 + v1) & _MASK
            v1 = ((v1 << 17 | v1 >> 47) & _MASK) ^ v2
            v2 = (v2 << 32 | v2 >> 32) & _MASK
        if word is not None:
            v0 ^= word
    return v0 ^ v1 ^ v2 ^ v3


@functools.lru_cache(maxsize=8192)
def _hash_of_short_key(key: bytes) -> int:
    return siphash24(len(key).to_bytes(8, "little") + key)


def partition_for_key(key: bytes, partition_count: int) -> int:
    """The hash covers the key's length as 8 bytes, then the key; the remainder is unsigned."""
    if len(key) <= 64:  # keys come again: remember the short ones
        return _hash_of_short_key(key) % partition_count
    return siphash24(len(key).to_bytes(8, "little") + key) % partition_count


class Partitioner(Protocol):
    """A partitioner of one's own: called under the producer's lock, so it needs none and must not block."""

    def partition(self, key: bytes | None, value: bytes, partition_count: int) -> int:
        """A number from 0 to partition_count - 1."""
        ...


class SiphashRoundRobinPartitioner:
    """Fluvio's. None and an empty key take turns; with hash_empty_key an empty one is hashed like any other."""

    def __init__(self, hash_empty_key: bool = False) -> None:
        self._hash_empty_key = hash_empty_key
        self._counter = 0

    def partition(self, key: bytes | None, value: bytes, partition_count: int) -> int:
        if key or (key is not None and self._hash_empty_key):
            return partition_for_key(key, partition_count)
        turn = self._counter
        self._counter = (turn + 1) & 0xFFFFFFFF
        return turn % partition_count


class SpecificPartitioner:
    """Always the same partition."""

    def __init__(self, partition: int) -> None:
        self._partition = partition

    def partition(self, key: bytes | None, value: bytes, partition_count: int) -> int:
        return self._partition
