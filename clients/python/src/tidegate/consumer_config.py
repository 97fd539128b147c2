"""How a stream behaves."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from .errors import ErrorKind, FluvioError
from .producer_config import Isolation
from .record import Offset

OnGap = Callable[[str, int, int, int], None]
"""Called as on_gap(topic, partition, from_offset, to_offset): the records from from_offset up to, not including,
to_offset were removed by retention before this stream could read them."""


class OffsetManagementStrategy(enum.Enum):
    NONE = "none"
    MANUAL = "manual"
    AUTO = "auto"


@dataclass(frozen=True)
class RetryMode:
    """How often a continuous stream connects again before it fails with MaxRetryReached."""

    attempts: int | None

    @classmethod
    def disabled(cls) -> RetryMode:
        return cls(0)

    @classmethod
    def try_until(cls, attempts: int) -> RetryMode:
        return cls(attempts)

    @classmethod
    def try_forever(cls) -> RetryMode:
        return cls(None)


@dataclass(frozen=True)
class StreamSettings:
    """What the parts of a stream need to know."""

    is_continuous: bool = True
    retry: RetryMode = field(default_factory=lambda: RetryMode.try_until(100))
    on_gap: OnGap | None = None
    refuses_gaps: bool = False  # what is gone is an error, not passed over


class ConsumerConfig:
    """Of the streams of partition consumers. Setters return the configuration."""

    def __init__(self) -> None:
        self._settings = StreamSettings(refuses_gaps=True)

    def disable_continuous(self, val: bool = True) -> ConsumerConfig:
        """The stream ends with the last record that was there when it began."""
        self._settings = replace(self._settings, is_continuous=not val)
        return self

    def max_bytes(self, max_bytes: int) -> ConsumerConfig:
        """Without effect: the server sends pieces of at most 64 KiB, or one record, and waits until they are taken."""
        return self

    def smartmodule(self, *_: object, **__: object) -> ConsumerConfig:
        raise FluvioError(ErrorKind.UNSUPPORTED, "Tidegate runs no SmartModules; filter the records of the stream")

    def settings(self) -> StreamSettings:
        return self._settings


@dataclass(frozen=True)
class ConsumerConfigExt:
    """Made by ConsumerConfigExtBuilder."""

    topic: str
    partitions: tuple[int, ...] = ()  # none: all
    offset_start: Offset = field(default_factory=Offset.beginning)
    consumer_id: str | None = None
    strategy: OffsetManagementStrategy = OffsetManagementStrategy.NONE
    flush_ms: int = 10_000
    isolation: Isolation = Isolation.ReadUncommitted
    settings: StreamSettings = field(default_factory=StreamSettings)


class ConsumerConfigExtBuilder:
    """Setters return the builder; build() checks."""

    def __init__(self, topic: str) -> None:
        self._config = ConsumerConfigExt(topic)

    def _set(self, **values: Any) -> ConsumerConfigExtBuilder:
        self._config = replace(self._config, **values)
        return self

    def _set_stream(self, **values: Any) -> ConsumerConfigExtBuilder:
        return self._set(settings=replace(self._config.settings, **values))

    def topic(self, topic: str) -> ConsumerConfigExtBuilder:
        return self._set(topic=topic)

    def partition(self, partition: int) -> ConsumerConfigExtBuilder:
        """May be called for several; never called: all."""
        return self._set(partitions=(*self._config.partitions, partition))

    def offset_start(self, offset: Offset) -> ConsumerConfigExtBuilder:
        return self._set(offset_start=offset)

    def offset_consumer(self, consumer_id: str) -> ConsumerConfigExtBuilder:
        """A name under which positions are stored. Readers of one name share the positions, not the work."""
        return self._set(consumer_id=consumer_id)

    def offset_strategy(
        self, strategy: OffsetManagementStrategy = OffsetManagementStrategy.AUTO
    ) -> ConsumerConfigExtBuilder:
        return self._set(strategy=strategy)

    def offset_flush(self, period_ms: int) -> ConsumerConfigExtBuilder:
        """How often AUTO stores positions."""
        return self._set(flush_ms=period_ms)

    def disable_continuous(self, val: bool = True) -> ConsumerConfigExtBuilder:
        return self._set_stream(is_continuous=not val)

    def max_bytes(self, max_bytes: int) -> ConsumerConfigExtBuilder:
        """Without effect, as in ConsumerConfig."""
        return self

    def isolation(self, isolation: Isolation) -> ConsumerConfigExtBuilder:
        return self._set(isolation=isolation)

    def retry_mode(self, retry: RetryMode) -> ConsumerConfigExtBuilder:
        return self._set_stream(retry=retry)

    def on_gap(self, on_gap: OnGap) -> ConsumerConfigExtBuilder:
        return self._set_stream(on_gap=on_gap)

    def smartmodule(self, *_: object, **__: object) -> ConsumerConfigExtBuilder:
        raise FluvioError(ErrorKind.UNSUPPORTED, "Tidegate runs no SmartModules; filter the records of the stream")

    def build(self) -> ConsumerConfigExt:
        config = self._config
        if config.strategy is not OffsetManagementStrategy.NONE and not config.consumer_id:
            raise FluvioError(
                ErrorKind.CONSUMER_CONFIG, "an offset strategy stores positions under a name: set offset_consumer"
            )
        if config.flush_ms < 1:
            raise FluvioError(ErrorKind.CONSUMER_CONFIG, "offset_flush must be at least 1 ms")
        if config.settings.retry.attempts == 0:
            # Without retries nothing is passed over in silence either.
            config = replace(config, settings=replace(config.settings, refuses_gaps=True))
        return config
