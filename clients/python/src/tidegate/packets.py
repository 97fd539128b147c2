"""application/vnd.tidegate.records: messages as bytes with lengths before them, to the server and from it.

A packet: how many bytes follow (u32), its type (u8), then what its type says. Numbers are big-endian. Types that are not
named here are passed over, heartbeats among them.
"""

from __future__ import annotations

import json
import struct
from typing import Any

from .errors import ErrorKind, FluvioError
from .record import Record

TYPE = "application/vnd.tidegate.records"

MESSAGE = 1
GAP = 2
CAUGHT_UP = 3
EVENT = 5

BYTES_MAX = 64 << 20  # a longer packet is no packet

_LENGTH = struct.Struct(">I")
# Of a message: the length, the type, partition, offset, timestamp, bytes of the key or -1, bytes of the headers. Then these
# two follow, and the value to the end of the packet.
_MESSAGE_HEAD = struct.Struct(">IBiqqii")
_GAP = struct.Struct(">iqq")


def message_head(partition: int, timestamp_ms: int, key: bytes | None, value_bytes: int) -> bytes:
    """What comes before the key and the value of a message without headers that is to be stored."""
    if key is None:
        return _MESSAGE_HEAD.pack(29 + value_bytes, MESSAGE, partition, 0, timestamp_ms, -1, 0)
    return _MESSAGE_HEAD.pack(29 + len(key) + value_bytes, MESSAGE, partition, 0, timestamp_ms, len(key), 0)


def end_of(data: bytes, at: int) -> int | None:
    """Where the packet that begins there ends; None when it is not there as a whole."""
    if len(data) < at + 5:
        return None
    (length,) = _LENGTH.unpack_from(data, at)
    if not 1 <= length <= BYTES_MAX:
        raise FluvioError(ErrorKind.PROTOCOL, f"a packet of {length} bytes came; is it a Tidegate server?")
    end: int = at + 4 + length
    return end if end <= len(data) else None


def record_of(topic: str, data: bytes, at: int, end: int) -> Record:
    """The whole packet that begins there, a message."""
    _, _, partition, offset, timestamp, key_bytes, headers_bytes = _MESSAGE_HEAD.unpack_from(data, at)
    text = at + 33 + key_bytes if key_bytes > 0 else at + 33
    value = text + headers_bytes
    return Record(
        topic,
        partition,
        offset,
        None if key_bytes < 0 else data[at + 33 : text],
        data[value:end],
        timestamp if timestamp > 0 else -1,
        _headers_of(data[text:value]) if headers_bytes else [],
    )


def gap_of(body: bytes) -> tuple[int, int, int]:
    """Partition, the first offset lost, the first one after the gap."""
    return _GAP.unpack(body)


def ends_of(body: bytes) -> dict[int, int]:
    """Of a packet CAUGHT_UP: partition -> the offset up to which everything was sent."""
    first, count = struct.unpack_from(">ii", body)
    return dict(enumerate(struct.unpack_from(f">{count}q", body, 8), first))


def event_of(body: bytes) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(body)
    return event


def _headers_of(text: bytes) -> list[tuple[str, str]]:
    return [(name, value) for name, value in json.loads(text)]
