"""Where records come from: a bounded read of what is there, or a live stream that connects again by itself.

A source gives lists of records: fetch() waits for the next one, None is the end; abort() ends a fetch() of another
thread; close() lets go of everything.
"""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Sequence
from typing import Any, Protocol

from .consumer_config import StreamSettings
from .errors import ErrorKind, FluvioError, error_of_code
from .record import PartitionBounds, Record, record_of_json
from .transport import LiveResponse, Transport, path_of

PAGE_RECORDS = 10_000
LINES = "application/x-ndjson"
SILENCE_S = 45.0  # the server says something every 15 s
FIRST_WAIT_S, WAIT_FACTOR, WAIT_MAX_S = 1.0, 1.1, 30.0


class Source(Protocol):
    def fetch(self) -> list[Record] | None: ...
    def abort(self) -> None: ...
    def close(self) -> None: ...


def tell_gap(settings: StreamSettings, topic: str, partition: int, first: int, beyond: int) -> None:
    """Records of [first, beyond) are gone."""
    if settings.refuses_gaps:
        raise FluvioError(ErrorKind.OFFSET_EVICTED, f"offset {first} was removed by retention; {beyond} is there",
                          topic=topic, partition=partition, next_available=beyond)
    if settings.on_gap is not None:
        settings.on_gap(topic, partition, first, beyond)


class BoundedSource:
    """The records from `starts` to the ends of `bounds`, a partition after the other."""

    def __init__(self, transport: Transport, topic: str, starts: dict[int, int], bounds: dict[int, PartitionBounds],
                 settings: StreamSettings) -> None:
        self._transport = transport
        self._topic = topic
        self._settings = settings
        self._left = [(p, starts[p], bounds[p].end) for p in sorted(starts) if starts[p] < bounds[p].end]
        self._is_aborted = False

    def fetch(self) -> list[Record] | None:
        while self._left and not self._is_aborted:
            partition, position, end = self._left[0]
            page = self._read(partition, position)
            records = [record_of_json(self._topic, m) for m in page["messages"] if m["offset"] < end]
            following = int(page["next_offset"])
            if following >= end or following <= position:
                self._left.pop(0)
            else:
                self._left[0] = (partition, following, end)
            for gap in page.get("gaps", ()):
                tell_gap(self._settings, self._topic, partition, gap["from_offset"], gap["to_offset"])
            if records:
                return records
        return None

    def _read(self, partition: int, position: int) -> dict[str, Any]:
        body = {"partition": partition, "offset": position, "max_messages": PAGE_RECORDS,
                "max_bytes": self._settings.max_bytes}
        try:
            answer: dict[str, Any] = self._transport.call("POST", path_of("topics", self._topic, "consume"), body)
            return answer
        except FluvioError as error:
            raise error.about(self._topic, partition) from None

    def abort(self) -> None:
        self._is_aborted = True

    def close(self) -> None:
        self.abort()


class LiveSource:
    """One connection for all partitions. After a break it goes on where each partition is."""

    def __init__(self, transport: Transport, topic: str, starts: dict[int, int], bounds: Sequence[PartitionBounds],
                 settings: StreamSettings) -> None:
        self._transport = transport
        self._topic = topic
        self._settings = settings
        self._next = dict(starts)
        # Partitions that nobody asked for are on the connection, too, unless it is for one: from their ends on.
        self._beside = {p: b.end for p, b in enumerate(bounds) if p not in starts}
        self._has_all = not self._beside
        self._response: LiveResponse | None = None
        self._rest = b""
        self._stopped = threading.Event()
        self._failures = 0
        self._wait_s = 0.0
        self._failure: FluvioError | None = None  # raised once the records before it are given
        self._connect()

    # ---- the connection ----

    def _path(self) -> str:
        path = path_of("topics", self._topic, "stream")
        if len(self._next) == 1:
            (partition, offset), = self._next.items()
            return f"{path}?partition={partition}&offset={offset}"
        both = {**self._beside, **self._next}
        return f"{path}?offset=" + ",".join(str(both[p]) for p in sorted(both))

    def _connect(self) -> None:
        try:
            self._response = self._transport.open_stream(self._path(), LINES, SILENCE_S)
        except FluvioError as error:
            raise error.about(self._topic) from None
        self._rest = b""

    def _disconnect(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None

    def _connect_again(self, error: FluvioError) -> bool:
        """False: stopped meanwhile."""
        while True:
            most = self._settings.retry.attempts
            if most is not None and self._failures >= most:
                if most == 0:
                    raise error
                raise FluvioError(ErrorKind.MAX_RETRY_REACHED, f"no connection after {most} attempts; last: {error.message}",
                                  topic=self._topic, http_status=error.http_status, server_code=error.server_code)
            self._failures += 1
            if self._stopped.wait(max(self._wait_s, error.retry_after_s or 0)):
                return False
            self._wait_s = min(max(self._wait_s * WAIT_FACTOR, FIRST_WAIT_S), WAIT_MAX_S)
            try:
                self._connect()
                return True
            except FluvioError as failure:
                if not failure.retryable:
                    raise
                error = failure

    # ---- records ----

    def fetch(self) -> list[Record] | None:
        while not self._stopped.is_set():
            if self._failure is not None:
                raise self._failure
            if self._response is None:
                return None
            try:
                data = self._response.read_some()
                if not data:
                    raise FluvioError(ErrorKind.SOCKET, "the connection ended", topic=self._topic, retryable=True)
            except FluvioError as error:
                self._disconnect()
                if self._stopped.is_set() or not self._connect_again(error):
                    return None
                continue
            records = self._take_lines(data)
            if records:
                return records
        return None

    def _take_lines(self, data: bytes) -> list[Record]:
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        records = []
        for line in lines:
            if not line:
                continue  # a heartbeat
            message = json.loads(line)
            if "event" in message:
                try:
                    self._take_event(message)
                except FluvioError as error:
                    self._failure = error
                    break
                continue
            partition, offset = message["partition"], message["offset"]
            if partition in self._beside:
                self._beside[partition] = offset + 1
            elif offset >= self._next.get(partition, 0):
                self._next[partition] = offset + 1
                records.append(record_of_json(self._topic, message))
        self._failures, self._wait_s = 0, 0.0
        return records

    def _take_event(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "gap":
            partition, beyond = event["partition"], event["to_offset"]
            if partition in self._beside:
                self._beside[partition] = beyond
                return
            first = max(self._next.get(partition, 0), event["from_offset"])
            self._next[partition] = max(beyond, self._next.get(partition, 0))
            tell_gap(self._settings, self._topic, partition, first, beyond)
        elif kind == "error":
            error = error_of_code(event["code"], event["message"]).about(self._topic)
            if event["code"] not in ("throttled", "unavailable", "not_ready", "shutting_down", "timeout", "no_memory"):
                raise error
        elif kind == "end" and str(event.get("reason", "")).startswith("credential"):
            raise FluvioError(ErrorKind.PERMISSION_DENIED, f"the server ended the stream: {event['reason']}; use a valid key",
                              topic=self._topic)

    # ---- the end ----

    def abort(self) -> None:
        self._stopped.set()
        response = self._response
        if response is not None:
            response.abort()

    def close(self) -> None:
        self._stopped.set()
        self._disconnect()


class MergedSource:
    """Several sources at once, each read by a thread; at most two lists of each wait."""

    def __init__(self, sources: list[Source]) -> None:
        self._sources = sources
        self._queue: queue.Queue[list[Record] | FluvioError | None] = queue.Queue(2 * len(sources))
        self._running = len(sources)
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._read, args=(source,), name="tidegate-merge", daemon=True)
                         for source in sources]
        for thread in self._threads:
            thread.start()

    def _put(self, item: list[Record] | FluvioError | None) -> None:
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=0.1)
                return
            except queue.Full:
                continue

    def _read(self, source: Source) -> None:
        try:
            while (records := source.fetch()) is not None:
                self._put(records)
            self._put(None)
        except FluvioError as error:
            self._put(error)
        except Exception as error:
            self._put(FluvioError(ErrorKind.PROTOCOL, f"a stream could not be read: {error!r}"))

    def fetch(self) -> list[Record] | None:
        while self._running > 0 and not self._stopped.is_set():
            item = self._queue.get()
            if item is None:
                self._running -= 1
            elif isinstance(item, FluvioError):
                raise item
            else:
                return item
        return None

    def abort(self) -> None:
        self._stopped.set()
        for source in self._sources:
            source.abort()
        try:
            self._queue.put_nowait(None)  # wakes fetch(); when it is full, fetch() is not asleep
        except queue.Full:
            pass

    def close(self) -> None:
        self.abort()
        for thread in self._threads:
            thread.join()
        for source in self._sources:
            source.close()
