"""Streams of records: iterators, and their twins for asyncio."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator

from .errors import ErrorKind, FluvioError
from .positions import Positions
from .record import Record
from .sources import Source

_log = logging.getLogger("tidegate")


class RecordStream(Iterator[Record]):
    """For one thread at a time; close() may be called from any. Ends with StopIteration."""

    def __init__(self, source: Source, positions: Positions | None) -> None:
        self._source = source
        self._positions = positions
        self._ready: list[Record] = []  # the next one last
        self._is_closed = False

    def __iter__(self) -> RecordStream:
        return self

    def __next__(self) -> Record:
        if not self._ready and not self.fill():
            raise StopIteration
        return self.take()

    def has_ready(self) -> bool:
        return bool(self._ready)

    def fill(self) -> bool:
        """Waits for records; False at the end."""
        records = None if self._is_closed else self._source.fetch()
        if records is None:
            self.close()
            return False
        self._ready = records[::-1]
        return True

    def take(self) -> Record:
        record = self._ready.pop()
        if self._positions is not None:
            self._positions.hand_out(record.partition(), record.offset())
        return record

    def offset_commit(self) -> None:
        """Marks what was handed out so far as seen."""
        self._require().commit()

    def offset_flush(self) -> None:
        """Stores what is marked, and waits for the server."""
        self._require().flush()

    def _require(self) -> Positions:
        if self._positions is None:
            raise FluvioError(
                ErrorKind.OFFSET_MANAGEMENT_DISABLED, "only streams of consumer_with_config() store positions"
            )
        return self._positions

    def abort(self) -> None:
        """Ends a next() of another thread."""
        self._source.abort()

    def close(self) -> None:
        """With the strategy AUTO positions are stored a last time. May be called twice."""
        if self._is_closed:
            return
        self._is_closed = True
        self._source.close()
        if self._positions is not None:
            self._positions.close()

    def __enter__(self) -> RecordStream:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.close()

    def __del__(self) -> None:
        try:
            self.close()
        except Exception as error:
            _log.warning("closing a forgotten stream failed: %s", error)


class AsyncRecordStream(AsyncIterator[Record]):
    """A RecordStream for asyncio: what has arrived is given at once, waiting happens on a thread of its own."""

    def __init__(self, stream: RecordStream) -> None:
        self._stream = stream
        self._filling: asyncio.Future[bool] | None = None

    def __aiter__(self) -> AsyncRecordStream:
        return self

    async def __anext__(self) -> Record:
        while not self._stream.has_ready():
            if not await self._fill():
                raise StopAsyncIteration
        return self._stream.take()

    async def _fill(self) -> bool:
        """A cancelled caller leaves the filling to the next one."""
        if self._filling is None:
            self._filling = _on_thread(self._stream.fill)
        filling = self._filling
        try:
            return await asyncio.shield(filling)
        finally:
            if filling.done() and self._filling is filling:
                self._filling = None

    async def async_offset_commit(self) -> None:
        self._stream.offset_commit()

    def offset_commit(self) -> None:
        self._stream.offset_commit()

    async def async_offset_flush(self) -> None:
        await asyncio.to_thread(self._stream.offset_flush)

    async def aclose(self) -> None:
        self._stream.abort()
        filling, self._filling = self._filling, None
        if filling is not None:
            await asyncio.wait([filling])
            filling.exception()  # nobody else may look at it
        await asyncio.to_thread(self._stream.close)

    async def __aenter__(self) -> AsyncRecordStream:
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        await self.aclose()


def _on_thread(wait: Callable[[], bool]) -> asyncio.Future[bool]:
    """A daemon thread, unlike those of an executor: one that waits for ever does not keep the program from ending."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[bool] = loop.create_future()

    def settle(result: bool, error: BaseException | None) -> None:
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)

    def run() -> None:
        result, error = False, None
        try:
            result = wait()
        except BaseException as failure:
            error = failure
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:
            pass  # the loop has ended

    threading.Thread(target=run, name="tidegate-stream", daemon=True).start()
    return future
