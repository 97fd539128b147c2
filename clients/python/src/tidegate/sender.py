"""Sending one batch: retries, and the numbers by which the server recognises what it has stored already."""

from __future__ import annotations

import logging
import threading
import time
import uuid

from . import packets
from .batch import Batch
from .compression import compressor
from .errors import ErrorKind, FluvioError
from .producer_config import DeliverySemantic, ProducerBatchEvent, TopicProducerConfig
from .transport import Transport, path_of

NETWORK_S = 10.0  # on top of the time that the server may take
_log = logging.getLogger("tidegate")

# After these the batch may have been stored nevertheless.
_DOUBTFUL = frozenset(
    (
        ErrorKind.SOCKET,
        ErrorKind.OUTCOME_UNKNOWN,
        ErrorKind.REQUEST_TIMED_OUT,
        ErrorKind.UNAVAILABLE,
        ErrorKind.STORAGE_ERROR,
        ErrorKind.PROTOCOL,
    )
)


class Lane:
    """The numbers of one partition: the server keeps them per producer id, and each partition has its own."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.epoch = 0
        self.sequence = 0

    def begin_epoch(self) -> None:
        """What was sent before and arrives late is refused from now on."""
        self.epoch += 1
        self.sequence = 0


class Sender:
    def __init__(self, transport: Transport, topic: str, settings: TopicProducerConfig) -> None:
        self._transport = transport
        self._topic = topic
        self._settings = settings
        self._compress = compressor(settings.compression)
        self._is_idempotent = settings.delivery_semantic is DeliverySemantic.AtLeastOnce
        self._producer_id = uuid.uuid4().hex
        self._path = path_of("topics", topic, "produce")
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Ends waiting for a retry."""
        self._stopped.set()

    def send(self, lane: Lane, batch: Batch) -> tuple[int, FluvioError | None]:
        """The offset of the first record, or the error, which also stops the partition."""
        try:
            return self._send_until_stored(lane, self._encode(batch), len(batch)), None
        except FluvioError as error:
            return -1, error.about(self._topic, lane.partition)
        except Exception as error:  # a defect, or no memory: nobody may wait for ever
            return -1, FluvioError(
                ErrorKind.GET_RECORD_METADATA,
                f"the batch could not be sent: {error!r}",
                topic=self._topic,
                partition=lane.partition,
            )

    def _encode(self, batch: Batch) -> bytes:
        body = batch.body()
        return self._compress(body) if self._compress is not None else body

    def _headers(self, lane: Lane) -> dict[str, str]:
        headers = {"Content-Type": packets.TYPE, "Prefer": "return=minimal"}
        if self._compress is not None:
            headers["Content-Encoding"] = self._settings.compression.value
        if self._is_idempotent:
            headers["Producer-Id"] = f"{self._producer_id}-{lane.partition}"
            headers["Producer-Epoch"] = str(lane.epoch)
            headers["Producer-Seq"] = str(lane.sequence)
        return headers

    def _send_once(self, lane: Lane, body: bytes, count: int) -> int:
        timeout_s = self._settings.timeout_ms / 1000 + NETWORK_S
        _, answer = self._transport.request(
            "POST", self._path, body=body, headers=self._headers(lane), timeout_s=timeout_s
        )
        try:
            (stored,) = answer["partitions"]
            if (stored["partition"], stored["count"]) != (lane.partition, count):
                raise ValueError
            return int(stored["offset"])
        except (KeyError, TypeError, ValueError):
            raise FluvioError(
                ErrorKind.PROTOCOL,
                f"the answer to {count} records does not say where they are; is it a Tidegate server?",
            ) from None

    def _send_until_stored(self, lane: Lane, body: bytes, count: int) -> int:
        policy = self._settings.retry_policy
        delays_ms = policy.delays_ms() if self._is_idempotent else iter(())
        end_s = time.monotonic() + policy.timeout_ms / 1000
        is_doubtful = False
        has_begun_anew = False
        while True:
            try:
                base_offset = self._send_once(lane, body, count)
                lane.sequence += 1
                return base_offset
            except FluvioError as error:
                is_doubtful = is_doubtful or error.kind in _DOUBTFUL
                if error.kind is ErrorKind.PRODUCER_SEQUENCE_GAP and not has_begun_anew:
                    # The server has forgotten this producer, so it has not stored this batch either.
                    lane.begin_epoch()
                    has_begun_anew = True
                    continue
                failure = self._wait_to_retry(error, next(delays_ms, None), end_s)
                if failure is not None:
                    if is_doubtful:
                        lane.begin_epoch()
                    raise failure from None

    def _wait_to_retry(self, error: FluvioError, delay_ms: float | None, end_s: float) -> FluvioError | None:
        """None: it is time for another attempt. Else what to fail with."""
        if not error.retryable or delay_ms is None:
            return error
        delay_s = max(delay_ms / 1000, error.retry_after_s or 0)
        if time.monotonic() + delay_s > end_s:
            return FluvioError(
                ErrorKind.PRODUCE_REQUEST_RETRY_TIMEOUT,
                f"the batch was not stored within {self._settings.retry_policy.timeout_ms} ms; last: {error.message}",
                http_status=error.http_status,
                server_code=error.server_code,
            )
        return error if self._stopped.wait(delay_s) else None

    def report(self, batch: Batch, error: FluvioError | None) -> None:
        """To the callback of the settings."""
        if self._settings.callback is None:
            return
        event = ProducerBatchEvent(
            batch.created_ms,
            (time.monotonic() - batch.created_s) * 1000,
            batch.partition,
            len(batch),
            batch.bytes,
            error,
        )
        try:
            self._settings.callback(event)
        except Exception:
            _log.exception("a producer's callback failed")
