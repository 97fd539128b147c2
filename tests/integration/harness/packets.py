"""application/vnd.tidegate.records: written and read as docs/streaming.md says it."""

import json
import struct

TYPE = "application/vnd.tidegate.records"
RECORD, GAP, CAUGHT_UP, HEARTBEAT, EVENT, PAGE_END = range(1, 7)


def packet(kind, body=b""):
    return struct.pack(">IB", 1 + len(body), kind) + body


def record(value, key=None, partition=-1, timestamp=0, headers=None, offset=0):
    text = b"" if headers is None else headers if isinstance(headers, bytes) else json.dumps(headers).encode()
    lengths = struct.pack(">iqqii", partition, offset, timestamp, -1 if key is None else len(key), len(text))
    return packet(RECORD, lengths + (key or b"") + text + value)


def split(data):
    """The whole packets as (type, body) pairs, and what is left."""
    packets = []
    while len(data) >= 4 and len(data) >= (end := 4 + struct.unpack_from(">I", data)[0]):
        packets.append((data[4], data[5:end]))
        data = data[end:]
    return packets, data


def decode(kind, body):
    if kind == RECORD:
        partition, offset, timestamp, key, headers = struct.unpack_from(">iqqii", body)
        text = 28 + max(key, 0)
        return {"partition": partition, "offset": offset, "timestamp": timestamp,
                "key": None if key < 0 else body[28:text],
                "headers": json.loads(body[text:text + headers]) if headers else [], "value": body[text + headers:]}
    if kind == GAP:
        return dict(zip(("partition", "from_offset", "to_offset"), struct.unpack(">iqq", body), strict=True))
    if kind == CAUGHT_UP:
        first, count = struct.unpack_from(">ii", body)
        return {first + i: end for i, end in enumerate(struct.unpack_from(f">{count}q", body, 8))}
    if kind == PAGE_END:
        names = ("partition", "next_offset", "start_offset", "end_offset")
        return dict(zip(names, struct.unpack(">iqqq", body), strict=True))
    return json.loads(body) if kind == EVENT else body


def read(data):
    """All of a body, which must end with a packet, as (type, content) pairs."""
    packets, rest = split(data)
    assert rest == b"", rest
    return [(kind, decode(kind, body)) for kind, body in packets]
