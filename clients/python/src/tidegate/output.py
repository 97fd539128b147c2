"""What a send gives back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, TypeAlias

from .batch import Batch
from .errors import ErrorKind, FluvioError


@dataclass(frozen=True)
class RecordMetadata:
    """Where a record was stored."""

    _offset: int
    _partition: int

    def offset(self) -> int:
        return self._offset

    def partition_id(self) -> int:
        return self._partition


NoneLater: TypeAlias = Any
"""None, the second time. Any, so that those who wait once need not look."""


class ProduceOutput:
    """For one use. Waiting does not send: a lone record waits for linger, or for flush()."""

    __slots__ = ("_batch", "_index", "_is_used")

    def __init__(self, batch: Batch, index: int) -> None:
        self._batch = batch
        self._index = index
        self._is_used = False

    def _take(self) -> RecordMetadata:
        self._is_used = True
        if self._batch.error is not None:
            raise self._batch.error.again()
        return RecordMetadata(self._batch.base_offset + self._index, self._batch.partition)

    def wait(self, timeout_ms: int | None = None) -> RecordMetadata | NoneLater:
        """Until the record is stored; None the second time. A timeout raises and may be waited for again."""
        if self._is_used:
            return None
        if not self._batch.wait(None if timeout_ms is None else timeout_ms / 1000):
            raise FluvioError(
                ErrorKind.GET_RECORD_METADATA,
                f"the record was not answered within {timeout_ms} ms",
                partition=self._batch.partition,
                retryable=True,
            )
        return self._take()

    async def async_wait(self) -> RecordMetadata | NoneLater:
        if self._is_used:
            return None
        loop = asyncio.get_running_loop()
        settled = loop.create_future()

        def tell() -> None:
            if not settled.done():
                settled.set_result(None)

        def tell_loop() -> None:
            try:
                loop.call_soon_threadsafe(tell)
            except RuntimeError:
                pass  # the loop has ended; nobody waits

        self._batch.when_settled(tell_loop)
        await settled
        return self._take()

    @property
    def is_settled(self) -> bool:
        return self._batch.is_settled
