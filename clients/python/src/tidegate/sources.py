"""Where records come from: a stream of packets that connects again by itself, or several of them at once.

A source gives lists of records: fetch() waits for the next one, None is the end; abort() ends a fetch() of another
thread; close() lets go of everything.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from typing import Any, Protocol

from . import packets
from .consumer_config import StreamSettings
from .errors import ErrorKind, FluvioError, error_of_code
from .metadata import PartitionBounds, fetch_bounds
from .record import Record
from .transport import LiveResponse, Transport, path_of

SILENCE_S = 45.0  # the server says something every 15 s
FIRST_WAIT_S, WAIT_FACTOR, WAIT_MAX_S = 1.0, 1.1, 30.0


class Source(Protocol):
    def fetch(self) -> list[Record] | None: ...
    def abort(self) -> None: ...
    def close(self) -> None: ...


def tell_gap(settings: StreamSettings, topic: str, partition: int, first: int, beyond: int) -> None:
    """Records of [first, beyond) are gone."""
    if settings.refuses_gaps:
        raise FluvioError(
            ErrorKind.OFFSET_EVICTED,
            f"offset {first} was removed by retention; {beyond} is there",
            topic=topic,
            partition=partition,
            next_available=beyond,
        )
    if settings.on_gap is not None:
        settings.on_gap(topic, partition, first, beyond)


class StreamSource:
    """One connection for all partitions of a topic. After a break it goes on where each partition is.

    starts: the first offset wanted of each partition that is wanted. Unless it is continuous, the stream ends with the
    last record before the ends of `bounds`.
    """

    def __init__(
        self,
        transport: Transport,
        topic: str,
        starts: dict[int, int],
        bounds: Sequence[PartitionBounds],
        settings: StreamSettings,
    ) -> None:
        self._transport = transport
        self._topic = topic
        self._settings = settings
        self._next = dict(starts)
        # Partitions that nobody asked for are on the connection, too, unless it is for one: from their ends on.
        self._beside = {p: b.end for p, b in enumerate(bounds) if p not in starts}
        self._ends = None if settings.is_continuous else {p: bounds[p].end for p in starts}
        self._response: LiveResponse | None = None
        self._rest = b""
        self._stopped = threading.Event()
        self._failures = 0
        self._wait_s = 0.0
        self._failure: FluvioError | None = None  # raised once the records before it are given
        if not self._is_complete():
            self._connect()

    def _is_complete(self) -> bool:
        return self._ends is not None and all(self._next[p] >= end for p, end in self._ends.items())

    # ---- the connection ----

    def _path(self) -> str:
        path = path_of("topics", self._topic, "stream") + "?strict=true"
        if len(self._next) == 1:
            ((partition, offset),) = self._next.items()
            return f"{path}&partition={partition}&offset={offset}"
        both = {**self._beside, **self._next}
        return f"{path}&offset=" + ",".join(str(both[p]) for p in sorted(both))

    def _connect(self) -> None:
        """What retention took since the offsets were looked up is a gap, as it is later."""
        while True:
            try:
                self._response = self._transport.open_stream(self._path(), packets.TYPE, SILENCE_S)
                self._rest = b""
                return
            except FluvioError as error:
                if error.kind is not ErrorKind.OFFSET_EVICTED or error.partition is None or not error.next_available:
                    raise error.about(self._topic) from None
                self._skip(error.partition, 0, error.next_available)

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
                raise FluvioError(
                    ErrorKind.MAX_RETRY_REACHED,
                    f"no connection after {most} attempts; last: {error.message}",
                    topic=self._topic,
                    http_status=error.http_status,
                    server_code=error.server_code,
                )
            self._failures += 1
            if self._stopped.wait(max(self._wait_s, error.retry_after_s or 0)):
                return False
            self._wait_s = min(max(self._wait_s * WAIT_FACTOR, FIRST_WAIT_S), WAIT_MAX_S)
            try:
                self._look_for_new_partitions()
                self._connect()
                return True
            except FluvioError as failure:
                if not failure.retryable:
                    raise
                error = failure

    def _look_for_new_partitions(self) -> None:
        """Who reads all partitions reads those that were added, too."""
        if self._ends is None and not self._beside:
            for p, bounds in enumerate(fetch_bounds(self._transport, self._topic)):
                self._next.setdefault(p, bounds.start)

    # ---- records ----

    def fetch(self) -> list[Record] | None:
        while not self._stopped.is_set():
            if self._failure is not None:
                raise self._failure
            if self._response is None or self._is_complete():
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
            records = self._take(self._rest + data)
            if records:
                return records
        return None

    def _take(self, data: bytes) -> list[Record]:
        """The records of whole packets; what is left of `data` waits for the rest of its packet."""
        records: list[Record] = []
        at = 0
        try:
            while (following := packets.end_of(data, at)) is not None:
                if data[at + 4] == packets.MESSAGE:
                    record = packets.record_of(self._topic, data, at, following)
                    if self._is_wanted(record.partition(), record.offset()):
                        records.append(record)
                else:
                    self._take_other(data[at + 4], data[at + 5 : following])
                at = following
        except FluvioError as error:
            self._failure = error
        self._rest = data[at:]
        self._failures, self._wait_s = 0, 0.0
        return records

    def _go_on(self, partition: int, beyond: int) -> int:
        """Whatever comes before `beyond` is done with; where the partition was. A partition that nobody asked for is
        always there already."""
        positions = self._beside if partition in self._beside else self._next
        position = positions.get(partition, 0)  # 0: made since the offsets were looked up
        if beyond > position:
            positions[partition] = beyond
        return beyond if positions is self._beside else position

    def _is_wanted(self, partition: int, offset: int) -> bool:
        """Not when it was given before."""
        if self._next.get(partition) == offset:  # as nearly always
            self._next[partition] = offset + 1
        elif offset < self._go_on(partition, offset + 1):
            return False
        return self._ends is None or offset < self._ends.get(partition, 0)

    def _take_other(self, kind: int, body: bytes) -> None:
        if kind == packets.GAP:
            self._skip(*packets.gap_of(body))
        elif kind == packets.CAUGHT_UP:
            for partition, end in packets.ends_of(body).items():
                self._go_on(partition, end)
        elif kind == packets.EVENT:
            self._take_event(packets.event_of(body))

    def _skip(self, partition: int, first: int, beyond: int) -> None:
        """[first, beyond) is gone."""
        first = max(first, self._go_on(partition, beyond))
        if first < beyond:
            tell_gap(self._settings, self._topic, partition, first, beyond)

    def _take_event(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "error":
            error = error_of_code(event["code"], event["message"]).about(self._topic)
            if event["code"] not in ("throttled", "unavailable", "not_ready", "shutting_down", "timeout", "no_memory"):
                raise error
        elif kind == "end" and str(event.get("reason", "")).startswith("credential"):
            raise FluvioError(
                ErrorKind.PERMISSION_DENIED,
                f"the server ended the stream: {event['reason']}; use a valid key",
                topic=self._topic,
            )

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
        self._threads = [
            threading.Thread(target=self._read, args=(source,), name="tidegate-merge", daemon=True)
            for source in sources
        ]
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
