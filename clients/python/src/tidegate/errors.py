"""The one error type: what went wrong, in a kind for programs and a sentence for people."""

from __future__ import annotations

import enum
import http.client
import json
from collections.abc import Mapping
from typing import Any


class ErrorKind(enum.Enum):
    """What happened. Each has Fluvio's number where Fluvio has one, else 0."""

    # found by the client
    CLIENT_CONFIG = "ClientConfig"
    CONSUMER_CONFIG = "ConsumerConfig"
    NEGATIVE_OFFSET = "NegativeOffset"
    SOCKET = "Socket"
    TLS = "Tls"
    RECORD_TOO_LARGE = "RecordTooLarge"
    BATCH_QUEUE_WAIT_TIMEOUT = "BatchQueueWaitTimeout"
    PRODUCE_REQUEST_RETRY_TIMEOUT = "ProduceRequestRetryTimeout"
    GET_RECORD_METADATA = "GetRecordMetadata"
    PRODUCER_CLOSED = "ProducerClosed"
    FLUSH_TIMEOUT = "FlushTimeout"
    PARTITION_NOT_FOUND = "PartitionNotFound"
    UNSUPPORTED = "Unsupported"
    # said by the server
    OFFSET_OUT_OF_RANGE = "OffsetOutOfRange"
    REQUEST_TIMED_OUT = "RequestTimedOut"
    MESSAGE_TOO_LARGE = "MessageTooLarge"
    PERMISSION_DENIED = "PermissionDenied"
    STORAGE_ERROR = "StorageError"
    OFFSET_EVICTED = "OffsetEvicted"
    PARTITION_FULL = "PartitionFull"
    TOPIC_NOT_FOUND = "TopicNotFound"
    TOPIC_ALREADY_EXISTS = "TopicAlreadyExists"
    TOPIC_INVALID_CONFIGURATION = "TopicInvalidConfiguration"
    OFFSET_FLUSH_REQUEST = "OffsetFlushRequestError"
    OFFSET_MANAGEMENT_DISABLED = "OffsetManagementDisabled"
    MAX_RETRY_REACHED = "MaxRetryReached"
    COMPRESSION = "CompressionError"
    GROUP_NOT_FOUND = "GroupNotFound"
    PRODUCER_FENCED = "ProducerFenced"
    PRODUCER_SEQUENCE_GAP = "ProducerSequenceGap"
    THROTTLED = "Throttled"
    UNAVAILABLE = "Unavailable"
    OUTCOME_UNKNOWN = "OutcomeUnknown"
    INVALID_REQUEST = "InvalidRequest"
    PROTOCOL = "Protocol"

    @property
    def code(self) -> int:
        return _NUMBERS.get(self, 0)


_NUMBERS = {
    ErrorKind.OFFSET_OUT_OF_RANGE: 1,
    ErrorKind.REQUEST_TIMED_OUT: 7,
    ErrorKind.MESSAGE_TOO_LARGE: 10,
    ErrorKind.PERMISSION_DENIED: 13,
    ErrorKind.STORAGE_ERROR: 56,
    ErrorKind.OFFSET_EVICTED: 71,
    ErrorKind.PARTITION_FULL: 72,
    ErrorKind.TOPIC_NOT_FOUND: 2001,
    ErrorKind.TOPIC_ALREADY_EXISTS: 2002,
    ErrorKind.TOPIC_INVALID_CONFIGURATION: 2004,
    ErrorKind.OFFSET_FLUSH_REQUEST: 3003,
    ErrorKind.OFFSET_MANAGEMENT_DISABLED: 3004,
    ErrorKind.MAX_RETRY_REACHED: 3005,
    ErrorKind.COMPRESSION: 9000,
}

_KINDS = {
    "topic_not_found": ErrorKind.TOPIC_NOT_FOUND,
    "topic_exists_incompatible": ErrorKind.TOPIC_ALREADY_EXISTS,
    "group_not_found": ErrorKind.GROUP_NOT_FOUND,
    "record_too_large": ErrorKind.MESSAGE_TOO_LARGE,
    "batch_too_large": ErrorKind.MESSAGE_TOO_LARGE,
    "payload_too_large": ErrorKind.MESSAGE_TOO_LARGE,
    "offset_evicted": ErrorKind.OFFSET_EVICTED,
    "offset_out_of_range": ErrorKind.OFFSET_OUT_OF_RANGE,
    "unsupported_media_type": ErrorKind.COMPRESSION,  # of all our requests only the coding can be refused
    "unauthorized": ErrorKind.PERMISSION_DENIED,
    "forbidden": ErrorKind.PERMISSION_DENIED,
    "topic_full": ErrorKind.PARTITION_FULL,
    "producer_fenced": ErrorKind.PRODUCER_FENCED,
    "producer_sequence_gap": ErrorKind.PRODUCER_SEQUENCE_GAP,
    "throttled": ErrorKind.THROTTLED,
    "outcome_unknown": ErrorKind.OUTCOME_UNKNOWN,
    "timeout": ErrorKind.REQUEST_TIMED_OUT,
    "request_timeout": ErrorKind.REQUEST_TIMED_OUT,
    "internal": ErrorKind.STORAGE_ERROR,
}

_RETRYABLE_STATUS = frozenset((408, 425, 429, 502, 503, 504))


class FluvioError(Exception):
    """Raised by every call of this library.

    kind         an ErrorKind
    code         Fluvio's error number, 0 where it has none
    http_status  of the server's answer, 0 when there was none
    server_code  the stable code of the server's answer, such as "topic_not_found"; "" without an answer
    topic, partition   what it is about, None when unknown
    retryable    the same call may succeed later
    retry_after_s  how long the server asks to wait, None when it does not say
    next_available  of OFFSET_EVICTED: the first offset that is still there
    start_offset, end_offset  of OFFSET_OUT_OF_RANGE: the first offset that is there, and the next one to be given out
    errors       of a flush: the error of each failed partition
    """

    def __init__(
        self,
        kind: ErrorKind,
        message: str,
        *,
        http_status: int = 0,
        server_code: str = "",
        topic: str | None = None,
        partition: int | None = None,
        retryable: bool = False,
        retry_after_s: float | None = None,
        next_available: int | None = None,
        start_offset: int | None = None,
        end_offset: int | None = None,
        errors: Mapping[int, FluvioError] | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.code = kind.code
        self.message = message
        self.http_status = http_status
        self.server_code = server_code
        self.topic = topic
        self.partition = partition
        self.retryable = retryable
        self.retry_after_s = retry_after_s
        self.next_available = next_available
        self.start_offset = start_offset
        self.end_offset = end_offset
        self.errors: dict[int, FluvioError] = dict(errors or {})

    def __str__(self) -> str:
        where = ""
        if self.topic is not None:
            where = f" (topic {self.topic}" + (f", partition {self.partition})" if self.partition is not None else ")")
        return f"{self.kind.value}: {self.message}{where}"

    def about(self, topic: str, partition: int | None = None) -> FluvioError:
        """The same error with what it is about, where that was not known yet."""
        self.topic = self.topic or topic
        self.partition = self.partition if self.partition is not None else partition
        return self

    def again(self) -> FluvioError:
        """A copy to raise once more: an exception that is raised twice collects the tracebacks of both."""
        copy = FluvioError(self.kind, self.message)
        copy.__dict__.update(self.__dict__)
        return copy


#: Fluvio's Python client exports its error under this misspelt name.
FluviorError = FluvioError


def error_of_code(
    server_code: str, message: str, *, status: int = 0, retry_after_s: float | None = None
) -> FluvioError:
    """What the server said, as our error."""
    retryable = status in _RETRYABLE_STATUS
    kind = _KINDS.get(server_code)
    if kind is None:
        kind = ErrorKind.UNAVAILABLE if retryable else ErrorKind.INVALID_REQUEST
    return FluvioError(
        kind, message, http_status=status, server_code=server_code, retryable=retryable, retry_after_s=retry_after_s
    )


def error_of_reply(status: int, headers: http.client.HTTPMessage, body: bytes) -> FluvioError:
    """The error of an answer with a status of 400 or more; something between us and the server may have written it."""
    code, message, detail = "", f"the server answered with status {status}", {}
    try:
        parsed: Any = json.loads(body)["error"]
        code, message, detail = str(parsed["code"]), str(parsed["message"]), dict(parsed.get("detail") or {})
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    after = headers.get("Retry-After", "")
    error = error_of_code(code, message, status=status, retry_after_s=float(after) if after.isdigit() else None)
    if not code and status in (401, 403):
        error = FluvioError(ErrorKind.PERMISSION_DENIED, message, http_status=status)
    for name in ("partition", "next_available", "start_offset", "end_offset"):
        if isinstance(detail.get(name), int):
            setattr(error, name, detail[name])
    return error
