"""What a stream gives, and where it can begin."""

from __future__ import annotations

import enum
import operator
from dataclasses import dataclass

from .errors import ErrorKind, FluvioError
from .metadata import PartitionBounds


class Record:
    """One record of a stream."""

    __slots__ = ("_headers", "_key", "_offset", "_partition", "_timestamp", "_topic", "_value")

    def __init__(
        self,
        topic: str,
        partition: int,
        offset: int,
        key: bytes | None,
        value: bytes,
        timestamp: int,
        headers: list[tuple[str, str]],
    ) -> None:
        self._topic = topic
        self._partition = partition
        self._offset = offset
        self._key = key
        self._value = value
        self._timestamp = timestamp
        self._headers = headers

    def offset(self) -> int:
        return self._offset

    def partition(self) -> int:
        return self._partition

    def topic(self) -> str:
        return self._topic

    def value(self) -> bytes:
        return self._value

    def value_string(self) -> str:
        """As UTF-8; UnicodeDecodeError when it is not."""
        return self._value.decode()

    def key(self) -> bytes | None:
        """None when it has none."""
        return self._key

    def key_string(self) -> str:
        """As UTF-8; "" when it has none."""
        return (self._key or b"").decode()

    def timestamp(self) -> int:
        """ms since 1970, set by the producer when it was sent; -1 when there is none."""
        return self._timestamp

    def headers(self) -> list[tuple[str, str]]:
        """Of records that other clients have produced."""
        return self._headers

    def __repr__(self) -> str:
        return f"Record({self._topic!r}, partition={self._partition}, offset={self._offset})"


class _From(enum.Enum):
    ABSOLUTE = "absolute"
    BEGINNING = "from_beginning"
    END = "from_end"
    TIMESTAMP = "timestamp"


@dataclass(frozen=True)
class Offset:
    """Where a stream begins, in each of its partitions."""

    _origin: _From
    _number: int

    @classmethod
    def _of(cls, origin: _From, number: int) -> Offset:
        if operator.index(number) < 0:
            raise FluvioError(ErrorKind.NEGATIVE_OFFSET, f"an offset must not be negative, as {number} is")
        return cls(origin, number)

    @classmethod
    def absolute(cls, offset: int) -> Offset:
        """This very offset, whatever a consumer has stored."""
        return cls._of(_From.ABSOLUTE, offset)

    @classmethod
    def beginning(cls) -> Offset:
        return cls._of(_From.BEGINNING, 0)

    @classmethod
    def from_beginning(cls, count: int) -> Offset:
        return cls._of(_From.BEGINNING, count)

    @classmethod
    def end(cls) -> Offset:
        """Only what is stored from now on."""
        return cls._of(_From.END, 0)

    @classmethod
    def from_end(cls, count: int) -> Offset:
        return cls._of(_From.END, count)

    @classmethod
    def timestamp(cls, timestamp_ms: int) -> Offset:
        """The first record stored at that time or later."""
        return cls._of(_From.TIMESTAMP, timestamp_ms)

    @property
    def is_absolute(self) -> bool:
        return self._origin is _From.ABSOLUTE

    @property
    def timestamp_ms(self) -> int | None:
        return self._number if self._origin is _From.TIMESTAMP else None

    def resolve(self, bounds: PartitionBounds, stored: int | None, at_time: int | None = None) -> int:
        """The first offset to read. `stored`: where a named consumer goes on; `at_time`: what the server found for
        timestamp(). Only absolute() is not clamped."""
        if self._origin is _From.ABSOLUTE:
            return self._number
        if self._origin is _From.BEGINNING:
            wanted = (bounds.start if stored is None else stored) + self._number
        elif self._origin is _From.END:
            wanted = (bounds.end if stored is None else stored) - self._number
        else:
            wanted = stored if stored is not None else at_time if at_time is not None else bounds.end
        return max(bounds.start, min(wanted, bounds.end))
