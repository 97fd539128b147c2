"""The producer: gathers records into batches, and sends them in the background, in order within each partition."""

from __future__ import annotations

import asyncio
import operator
import threading
import time
from collections import deque
from collections.abc import Iterable

from .batch import FIXED_BYTES, RECORD_LENGTHS_MAX, Batch, content_bytes, record_bytes
from .config import FluvioConfig
from .errors import ErrorKind, FluvioError
from .metadata import fetch_partition_count
from .output import ProduceOutput
from .partitioner import SpecificPartitioner
from .producer_config import TopicProducerConfig
from .sender import Lane, Sender
from .transport import Transport

QUEUE_WAIT_S = 30.0
CLOSE_DEADLINE_MS = 30_000
SENDERS_MAX = 4
REFRESH_S = 5.0  # how often the number of partitions is asked for while records are sent

Bytes = bytes | bytearray | memoryview | str | list[int]


def _to_bytes(data: Bytes) -> bytes:
    if isinstance(data, bytes):
        return data
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, bytearray | memoryview | list):
        return bytes(data)
    # bytes() of a number is as many zeros.
    raise TypeError(f"a record's key and value are bytes or text, not {type(data).__name__}")


class _Partition:
    """Guarded by the producer's lock, but for the lane, which belongs to the sender that has taken the partition."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.open: Batch | None = None
        self.is_due = False  # the open batch is to be sent as soon as nothing is in flight
        self.waiting: deque[Batch] = deque()
        self.in_flight: Batch | None = None
        self.is_ready = False  # in the queue of the senders
        self.error: FluvioError | None = None

    def outstanding(self) -> list[Batch]:
        return [b for b in (self.in_flight, *self.waiting, self.open) if b is not None]


class TopicProducer:
    """Made by Fluvio.topic_producer(). Any thread may use it. Close it, or use it in a with statement: what was not
    flushed when the program ends is lost."""

    def __init__(self, config: FluvioConfig, topic: str, settings: TopicProducerConfig) -> None:
        self.topic = topic
        self._settings = settings
        self._transport = Transport(config)
        self._sender = Sender(self._transport, topic, settings)
        self._surely_small = settings.max_request_size - FIXED_BYTES - RECORD_LENGTHS_MAX
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._room = threading.Condition(self._lock)
        self._ready: deque[_Partition] = deque()
        self._aging: deque[tuple[float, _Partition, Batch]] = deque()  # open batches by the time they are due
        self._is_closed = False
        self._wants_refresh = False
        try:
            count = fetch_partition_count(self._transport, self.topic)
            if isinstance(settings.partitioner, SpecificPartitioner):
                self._check_partition(settings.partitioner.partition(None, b"", count), count)
        except BaseException:
            self._transport.close()
            raise
        self._refreshed_s = time.monotonic()
        self._partitions = [_Partition(Lane(index)) for index in range(count)]
        self._threads = [
            threading.Thread(target=self._run, name=f"tidegate-producer-{topic}-{n}", daemon=True)
            for n in range(min(count, SENDERS_MAX))
        ]
        for thread in self._threads:
            thread.start()

    # ---- metadata ----

    def _refresh(self) -> None:
        try:
            count = fetch_partition_count(self._transport, self.topic)
        except FluvioError:
            return  # sending says what is wrong
        with self._lock:
            self._partitions += [_Partition(Lane(index)) for index in range(len(self._partitions), count)]

    def _check_partition(self, index: int, count: int) -> None:
        if not 0 <= index < count:
            raise FluvioError(
                ErrorKind.PARTITION_NOT_FOUND,
                f"the topic has partitions 0 to {count - 1}",
                topic=self.topic,
                partition=index,
            )

    # ---- sending ----

    def send(
        self, key: Bytes | None, value: Bytes, *, partition: int | None = None, timestamp_ms: int | None = None
    ) -> ProduceOutput:
        """Queues a record and returns at once, unless batch_queue_size batches wait for its partition already. No key:
        None or b"". Raises RecordTooLarge, BatchQueueWaitTimeout, and the error of an earlier batch there."""
        output = self._append(key, value, partition, timestamp_ms, may_wait=True)
        assert isinstance(output, ProduceOutput)
        return output

    def send_string(self, value: str) -> ProduceOutput:
        """A record without a key."""
        return self.send(None, value)

    def send_all(self, records: Iterable[tuple[Bytes | None, Bytes]]) -> list[ProduceOutput]:
        """Sends in order; the first error ends it."""
        return [self.send(key, value) for key, value in records]

    def _append(
        self, raw_key: Bytes | None, raw_value: Bytes, partition: int | None, timestamp_ms: int | None, may_wait: bool
    ) -> ProduceOutput | int:
        """When it would have to wait and may not: the record's partition."""
        key = None if raw_key is None else _to_bytes(raw_key)
        value = _to_bytes(raw_value)
        if timestamp_ms is not None and not 0 <= operator.index(timestamp_ms) < 1 << 63:
            raise FluvioError(ErrorKind.CLIENT_CONFIG, f"timestamp_ms is ms since 1970, not {timestamp_ms}")
        content = content_bytes(key or None, value)
        if content > self._surely_small:
            self._check_size(content)
        with self._lock:
            self._check_open()
            count = len(self._partitions)
            if partition is None:
                partition = self._settings.partitioner.partition(key, value, count)
            self._check_partition(partition, count)
            p = self._partitions[partition]
            key = key or None
            deadline_s: float | None = None
            while True:
                if p.error is not None:
                    raise p.error.again()
                if p.open is not None:
                    now_ms = int(time.time() * 1000)
                    index = p.open.add(key, value, content, timestamp_ms, now_ms, self._settings.batch_size)
                    if index >= 0:
                        break
                    self._shut(p)
                elif len(p.waiting) < self._settings.batch_queue_size:
                    self._open(p)
                elif not may_wait:
                    return partition
                else:
                    deadline_s = deadline_s or time.monotonic() + QUEUE_WAIT_S
                    self._wait_for_room(p, deadline_s)
            batch = p.open
            if batch.bytes >= self._settings.batch_size:
                self._shut(p)
            return ProduceOutput(batch, index)

    def _check_size(self, content: int) -> None:
        least = FIXED_BYTES + record_bytes(content, 0, 0)
        if least > self._settings.max_request_size:
            raise FluvioError(
                ErrorKind.RECORD_TOO_LARGE,
                f"the record takes {least} bytes, and max_request_size is {self._settings.max_request_size}",
                topic=self.topic,
            )

    def _wait_for_room(self, p: _Partition, deadline_s: float) -> None:
        if not self._room.wait(deadline_s - time.monotonic()) and time.monotonic() >= deadline_s:
            raise FluvioError(
                ErrorKind.BATCH_QUEUE_WAIT_TIMEOUT,
                f"{len(p.waiting)} batches have waited for {QUEUE_WAIT_S:.0f} s; the server is slower than this producer",
                topic=self.topic,
                partition=p.lane.partition,
                retryable=True,
            )
        self._check_open()

    def _check_open(self) -> None:
        if self._is_closed:
            raise FluvioError(ErrorKind.PRODUCER_CLOSED, "the producer is closed", topic=self.topic)

    def _open(self, p: _Partition) -> None:
        """A new batch."""
        p.open, p.is_due = Batch(p.lane.partition), False
        self._aging.append((p.open.created_s + self._settings.linger_ms / 1000, p, p.open))
        if p.open.created_s - self._refreshed_s > REFRESH_S and not self._wants_refresh:
            self._wants_refresh, self._refreshed_s = True, p.open.created_s
            self._work.notify()
        elif len(self._aging) == 1 or self._settings.linger_ms == 0:
            self._work.notify()

    def _shut(self, p: _Partition) -> None:
        """The open batch takes no more records."""
        if p.open is None:
            return
        p.waiting.append(p.open)
        p.open = None
        self._offer(p)

    def _offer(self, p: _Partition) -> None:
        if p.in_flight is None and not p.is_ready and p.waiting:
            p.is_ready = True
            self._ready.append(p)
            self._work.notify()

    # ---- flushing ----

    def flush(self, deadline_ms: int | None = None) -> None:
        """Sends what is queued and waits until all of it is stored. Raises when a partition has failed: its error, with
        those of all failed partitions in `errors`."""
        with self._lock:
            batches = self._shut_all()
        end_s = None if deadline_ms is None else time.monotonic() + deadline_ms / 1000
        for batch in batches:
            if not batch.wait(None if end_s is None else max(0.0, end_s - time.monotonic())):
                raise FluvioError(
                    ErrorKind.FLUSH_TIMEOUT,
                    f"not everything was stored within {deadline_ms} ms",
                    topic=self.topic,
                    retryable=True,
                )
        self._raise_errors()

    def _shut_all(self) -> list[Batch]:
        for p in self._partitions:
            self._shut(p)
        return [batch for p in self._partitions for batch in p.outstanding()]

    def _raise_errors(self) -> None:
        with self._lock:
            errors = {p.lane.partition: p.error.again() for p in self._partitions if p.error is not None}
        if errors:
            first = next(iter(errors.values())).again()
            first.errors = errors
            raise first

    def clear_errors(self) -> None:
        """Failed partitions take records again. What failed is gone: send it again."""
        with self._lock:
            for p in self._partitions:
                p.error = None

    def close(self, deadline_ms: int = CLOSE_DEADLINE_MS) -> None:
        """Flushes for at most deadline_ms, then ends. What was not stored by then fails. May be called twice."""
        with self._lock:
            if self._is_closed:
                return
        try:
            self.flush(deadline_ms)
        finally:
            self._end()

    def _end(self) -> None:
        closed = FluvioError(
            ErrorKind.PRODUCER_CLOSED, "the producer was closed before the record was stored", topic=self.topic
        )
        with self._lock:
            self._is_closed = True
            lost = [batch for p in self._partitions for batch in (*p.waiting, p.open) if batch is not None]
            for p in self._partitions:
                p.waiting.clear()
                p.open = None
            self._ready.clear()
            self._work.notify_all()
            self._room.notify_all()
        self._sender.stop()
        self._transport.close()
        for batch in lost:
            batch.settle(-1, closed)
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()

    # ---- the senders ----

    def _run(self) -> None:
        while True:
            with self._lock:
                p = self._next()
            if p is None:
                if self._is_closed:
                    return
                self._refresh()
                continue
            batch = p.in_flight
            assert batch is not None
            base_offset, error = self._sender.send(p.lane, batch)
            with self._lock:
                lost = self._finish(p, error)
            batch.settle(base_offset, error)
            for left in lost:
                left.settle(-1, error)
            self._sender.report(batch, error)

    def _next(self) -> _Partition | None:
        """The next partition with a batch in flight for the caller; None to refresh, or to end."""
        while not self._is_closed:
            if self._wants_refresh:
                self._wants_refresh = False
                return None
            now_s = time.monotonic()
            self._age(now_s)
            if self._ready:
                p = self._ready.popleft()
                p.is_ready = False
                if p.waiting:
                    p.in_flight = p.waiting.popleft()
                    self._room.notify_all()
                    if self._ready or self._aging:
                        self._work.notify()  # another sender has to look after the rest
                    return p
                continue
            self._work.wait(self._aging[0][0] - now_s if self._aging else None)
        return None

    def _age(self, now_s: float) -> None:
        """Shuts open batches that are due; where something is in flight, they may fill until it is answered."""
        while self._aging and (self._aging[0][0] <= now_s or self._aging[0][1].open is not self._aging[0][2]):
            _, p, batch = self._aging.popleft()
            if p.open is not batch:
                continue
            if p.in_flight is None:
                self._shut(p)
            else:
                p.is_due = True

    def _finish(self, p: _Partition, error: FluvioError | None) -> list[Batch]:
        """After the batch in flight. What is lost with it: all that its partition has queued, to keep the order."""
        p.in_flight = None
        lost: list[Batch] = []
        if error is not None:
            p.error = error
            lost = [batch for batch in (*p.waiting, p.open) if batch is not None]
            p.waiting.clear()
            p.open = None
            self._room.notify_all()
        if not p.waiting and p.is_due:
            self._shut(p)
        self._offer(p)
        return lost

    # ---- with asyncio ----

    async def async_send(
        self, key: Bytes | None, value: Bytes, *, partition: int | None = None, timestamp_ms: int | None = None
    ) -> ProduceOutput:
        output = self._append(key, value, partition, timestamp_ms, may_wait=False)
        if isinstance(output, ProduceOutput):
            return output
        return await asyncio.to_thread(self.send, key, value, partition=output, timestamp_ms=timestamp_ms)

    async def async_send_string(self, value: str) -> ProduceOutput:
        return await self.async_send(None, value)

    async def async_send_all(self, records: Iterable[tuple[Bytes | None, Bytes]]) -> list[ProduceOutput]:
        return [await self.async_send(key, value) for key, value in records]

    async def async_flush(self, deadline_ms: int | None = None) -> None:
        await asyncio.to_thread(self.flush, deadline_ms)

    async def async_close(self, deadline_ms: int = CLOSE_DEADLINE_MS) -> None:
        await asyncio.to_thread(self.close, deadline_ms)

    # ---- with statements ----

    def __enter__(self) -> TopicProducer:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            self.close()
        except FluvioError:
            if error is None:
                raise

    async def __aenter__(self) -> TopicProducer:
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        await asyncio.to_thread(self.__exit__, kind, error, trace)
