"""What the server says of a topic: how many partitions it has, where each begins and ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .errors import FluvioError
from .transport import Transport, path_of


@dataclass(frozen=True)
class PartitionBounds:
    """S and E of a partition: its first kept offset, and the next one to be given out."""

    start: int
    end: int


def fetch_topic(transport: Transport, topic: str) -> dict[str, Any]:
    """What has not changed since the last time is not sent again."""
    try:
        info: dict[str, Any] = transport.get(path_of("topics", topic))
        return info
    except FluvioError as error:
        raise error.about(topic) from None


def fetch_partition_count(transport: Transport, topic: str) -> int:
    return int(fetch_topic(transport, topic)["partitions"])


def fetch_bounds(transport: Transport, topic: str) -> list[PartitionBounds]:
    """Of each partition, in order."""
    return [
        PartitionBounds(p["start_offset"], p["end_offset"]) for p in fetch_topic(transport, topic)["partition_info"]
    ]
