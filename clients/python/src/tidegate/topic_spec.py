"""What a new topic shall be like."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, replace
from typing import Any

from .errors import ErrorKind, FluvioError

RETENTION_MIN_MS = 10_000
SEGMENT_MIN_BYTES = 1_024
PARTITION_MIN_BYTES = 2_048

_TIME_MS = {"ms": 1, "s": 1_000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_BYTES = {"": 1, "b": 1, **{u: 1000 ** n for n, us in enumerate(("k kb", "m mb", "g gb", "t tb"), 1) for u in us.split()},
          **{u: 1024 ** n for n, us in enumerate(("ki kib", "mi mib", "gi gib", "ti tib"), 1) for u in us.split()}}


class CompressionType(enum.Enum):
    """The server takes any compression of any topic; only ANY can be asked for."""

    ANY = "any"
    NONE = "none"
    GZIP = "gzip"
    SNAPPY = "snappy"
    LZ4 = "lz4"
    ZSTD = "zstd"


def _refuse(message: str) -> FluvioError:
    return FluvioError(ErrorKind.TOPIC_INVALID_CONFIGURATION, message)


def _parse(text: str, units: dict[str, int], what: str) -> int:
    parts = re.findall(r"(\d+)\s*([A-Za-z]*)", text)
    if not parts or re.sub(r"(\d+)\s*([A-Za-z]*)|\s", "", text) or any(u.lower() not in units for _, u in parts):
        raise _refuse(f"{text!r} is no {what}")
    return sum(int(number) * units[unit.lower()] for number, unit in parts)


def parse_time_ms(value: str | float) -> int:
    """Seconds, or text such as "1h", "7d", "1h 30m"."""
    return _parse(value, _TIME_MS, "time, such as 1h or 7d") if isinstance(value, str) else int(value * 1000)


def parse_bytes(value: str | int) -> int:
    """Bytes, or text: "10M" is decimal, "10MiB" binary."""
    return _parse(value, _BYTES, "size, such as 10M or 10MiB") if isinstance(value, str) else value


@dataclass(frozen=True)
class TopicSpec:
    """Each with_… returns a new one. What is not set is as the server has it: kept for ever, without a limit."""

    partitions: int = 1
    replications: int = 1
    retention_ms: int = 0
    segment_size: int | None = None
    max_partition_size: int = 0
    compression: CompressionType = CompressionType.ANY
    ignore_rack: bool = True

    @classmethod
    def create(cls) -> TopicSpec:
        return cls()

    @classmethod
    def new_computed(cls, partitions: int, replications: int = 1, ignore_rack: bool = True) -> TopicSpec:
        return cls(partitions, replications, ignore_rack=ignore_rack)

    def with_partitions(self, partitions: int) -> TopicSpec:
        return replace(self, partitions=partitions)

    def with_replications(self, replications: int) -> TopicSpec:
        """Stored and shown; Postgres replicates."""
        return replace(self, replications=replications)

    def with_retention_time(self, retention: str | float) -> TopicSpec:
        """Seconds or text; at least 10 s."""
        return replace(self, retention_ms=parse_time_ms(retention))

    def with_segment_size(self, size: str | int) -> TopicSpec:
        """Checked, then without effect: Tidegate has no segments."""
        return replace(self, segment_size=parse_bytes(size))

    def with_max_partition_size(self, size: str | int) -> TopicSpec:
        """The oldest records of a partition that is larger are removed."""
        return replace(self, max_partition_size=parse_bytes(size))

    def with_compression(self, compression: CompressionType) -> TopicSpec:
        return replace(self, compression=compression)

    def with_ignore_rack(self, ignore_rack: bool = True) -> TopicSpec:
        """Without effect: there are no racks."""
        return replace(self, ignore_rack=ignore_rack)

    def build(self) -> TopicSpec:
        """Checks."""
        if self.retention_ms and self.retention_ms < RETENTION_MIN_MS:
            raise _refuse("the retention time must be at least 10 s")
        if self.segment_size is not None and self.segment_size < SEGMENT_MIN_BYTES:
            raise _refuse(f"the segment size must be at least {SEGMENT_MIN_BYTES} bytes")
        least = max(PARTITION_MIN_BYTES, self.segment_size or 0)
        if self.max_partition_size and self.max_partition_size < least:
            raise _refuse(f"the maximum partition size must be at least {least} bytes")
        return self

    def to_json(self) -> dict[str, Any]:
        """As POST /topics takes it."""
        self.build()
        if self.compression is not CompressionType.ANY:
            raise _refuse("the server takes every compression of every topic and cannot restrict one: leave the topic at "
                          "CompressionType.ANY and set the producer's compression")
        config: dict[str, Any] = {}
        if self.retention_ms:
            config["ttl_ms"] = self.retention_ms
        if self.max_partition_size:
            config["cap_bytes"] = self.max_partition_size
        shape: dict[str, Any] = {"partitions": self.partitions, "replication_factor": self.replications}
        return {**shape, "config": config} if config else shape
