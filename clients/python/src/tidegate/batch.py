"""A batch: records of one partition that travel, are stored and are answered together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from .errors import FluvioError
from .packets import message_head

RECORDS_MAX = 10_000  # of one request to the server
RECORD_LENGTHS_MAX = 16  # what a record takes in a batch beside its content is less
FIXED_BYTES = 61  # Fluvio's header of a batch and the length of its list


def _varint_bytes(value: int) -> int:
    """Of a zigzag varint; value >= 0."""
    if value < 64:
        return 1
    if value < 8_192:
        return 2
    return ((value << 1).bit_length() + 6) // 7


def content_bytes(key: bytes | None, value: bytes) -> int:
    """What of a record's size is the same in every batch: attributes, key, value, the count of headers."""
    size = len(value)
    size += 3 + _varint_bytes(size)
    return size if key is None else size + _varint_bytes(len(key)) + len(key)


def record_bytes(content: int, age_ms: int, index: int) -> int:
    """What the record takes in a batch of Fluvio's, so that batches end where a Fluvio user expects them to."""
    inner = content + _varint_bytes(age_ms) + _varint_bytes(index)
    return _varint_bytes(inner) + inner


class Batch:
    """Filled under the producer's lock, then sent by one thread, then settled once: with the offset of its
    first record or with an error."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.created_ms = int(time.time() * 1000)
        self.created_s = time.monotonic()
        self.bytes = FIXED_BYTES
        self.base_offset = -1
        self.error: FluvioError | None = None
        self._parts: list[bytes] = []
        self._count = 0
        self._lock = threading.Lock()
        self._settled = threading.Event()
        self._callbacks: list[Callable[[], None]] = []

    def __len__(self) -> int:
        return self._count

    def add(
        self, key: bytes | None, value: bytes, content: int, timestamp_ms: int | None, now_ms: int, bytes_max: int
    ) -> int:
        """The record's place in the batch; -1 when it would grow beyond bytes_max, which the first one may."""
        index = self._count
        size = self.bytes + record_bytes(content, max(0, now_ms - self.created_ms), index)
        if index and (size > bytes_max or index == RECORDS_MAX):
            return -1
        head = message_head(self.partition, timestamp_ms or now_ms, key, len(value))
        self._parts += (head, value) if key is None else (head, key, value)
        self.bytes = size
        self._count = index + 1
        return index

    def body(self) -> bytes:
        return b"".join(self._parts)

    # ---- the outcome ----

    def settle(self, base_offset: int, error: FluvioError | None = None) -> None:
        with self._lock:
            self.base_offset, self.error = base_offset, error
            self._parts = []
            self._settled.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    @property
    def is_settled(self) -> bool:
        return self._settled.is_set()

    def wait(self, timeout_s: float | None = None) -> bool:
        return self._settled.wait(timeout_s)

    def when_settled(self, callback: Callable[[], None]) -> None:
        """Now, or on the thread that settles it."""
        with self._lock:
            if not self._settled.is_set():
                self._callbacks.append(callback)
                return
        callback()
