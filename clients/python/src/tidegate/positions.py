"""Stored positions of a named consumer: marked while records are handed out, flushed to the server."""

from __future__ import annotations

import logging
import threading

from .consumer_config import OffsetManagementStrategy
from .errors import ErrorKind, FluvioError
from .transport import Transport, path_of

_log = logging.getLogger("tidegate")


class Positions:
    """Of one topic. With AUTO a thread flushes: at the first record, then every period; close() flushes once more."""

    def __init__(self, transport: Transport, topic: str, consumer_id: str | None, strategy: OffsetManagementStrategy,
                 flush_ms: int) -> None:
        self._transport = transport
        self._topic = topic
        self._consumer_id = consumer_id
        self._strategy = strategy
        self._flush_s = flush_ms / 1000
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._handed: dict[int, int] = {}  # partition -> next offset
        self._marked: dict[int, int] = {}
        self._stored: dict[int, int] = {}
        self._first = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_auto = strategy is OffsetManagementStrategy.AUTO
        if self._is_auto:
            self._thread = threading.Thread(target=self._run, name=f"tidegate-positions-{topic}", daemon=True)
            self._thread.start()

    def load(self) -> dict[int, int]:
        """Partition -> next offset, as stored; {} without a name or for a new one."""
        if self._consumer_id is None:
            return {}
        try:
            group = self._transport.call("GET", path_of("topics", self._topic, "groups", self._consumer_id))
        except FluvioError as error:
            if error.kind is ErrorKind.GROUP_NOT_FOUND:
                return {}
            raise error.about(self._topic) from None
        return {p["partition"]: p["committed_offset"] for p in group["partitions"] if p["committed_offset"] is not None}

    def hand_out(self, partition: int, offset: int) -> None:
        if self._strategy is OffsetManagementStrategy.NONE:
            return
        with self._lock:
            self._handed[partition] = max(offset + 1, self._handed.get(partition, 0))
            if self._is_auto:
                self._marked[partition] = self._handed[partition]
        if self._is_auto and not self._first.is_set():
            self._first.set()

    def _check_enabled(self) -> None:
        if self._strategy is OffsetManagementStrategy.NONE:
            raise FluvioError(ErrorKind.OFFSET_MANAGEMENT_DISABLED,
                              "this stream stores no positions: set offset_consumer and offset_strategy", topic=self._topic)

    def commit(self) -> None:
        """Marks what was handed out."""
        self._check_enabled()
        with self._lock:
            self._marked.update(self._handed)

    def flush(self) -> None:
        """Stores what is marked; nothing new: nothing to do."""
        self._check_enabled()
        with self._flushing:
            with self._lock:
                news = {p: o for p, o in self._marked.items() if o > self._stored.get(p, -1)}
            if not news:
                return
            offsets = [{"partition": p, "offset": o} for p, o in sorted(news.items())]
            body = {"group_id": self._consumer_id, "offsets": offsets}
            try:
                self._transport.call("POST", path_of("topics", self._topic, "commit"), body)
            except FluvioError as error:
                raise error.about(self._topic) from None
            with self._lock:
                self._stored.update(news)

    def _run(self) -> None:
        self._first.wait()
        while not self._stopped.is_set():
            try:
                self.flush()
            except FluvioError as error:
                _log.warning("positions of %s were not stored, another attempt follows: %s", self._consumer_id, error)
            self._stopped.wait(self._flush_s)

    def close(self) -> None:
        self._stopped.set()
        self._first.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
            self._thread = None
            self.flush()
