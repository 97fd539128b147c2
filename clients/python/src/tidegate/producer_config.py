"""How a producer behaves: Fluvio's settings with Fluvio's defaults."""

from __future__ import annotations

import enum
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .compression import Compression
from .errors import ErrorKind, FluvioError
from .partitioner import Partitioner, SiphashRoundRobinPartitioner, SpecificPartitioner


class Isolation(enum.Enum):
    """Tidegate answers after the commit and shows only what is committed: both mean the same here."""

    ReadUncommitted = "read_uncommitted"
    ReadCommitted = "read_committed"

    @classmethod
    def parse(cls, text: str) -> Isolation:
        squeezed = text.replace("_", "").lower()
        if squeezed not in ("readuncommitted", "readcommitted"):
            raise FluvioError(ErrorKind.CLIENT_CONFIG, f"isolation is read_uncommitted or read_committed, not {text!r}")
        return cls.ReadCommitted if squeezed == "readcommitted" else cls.ReadUncommitted


class DeliverySemantic(enum.Enum):
    AtLeastOnce = "at_least_once"
    AtMostOnce = "at_most_once"

    @classmethod
    def parse(cls, text: str) -> DeliverySemantic:
        squeezed = text.replace("_", "").replace("-", "").lower()
        if squeezed not in ("atleastonce", "atmostonce"):
            raise FluvioError(ErrorKind.CLIENT_CONFIG, f"delivery is at_least_once or at_most_once, not {text!r}")
        return cls.AtMostOnce if squeezed == "atmostonce" else cls.AtLeastOnce


class RetryStrategy(enum.Enum):
    FIXED = "fixed"
    EXPONENTIAL = "exponential"
    FIBONACCI = "fibonacci"


@dataclass(frozen=True)
class RetryPolicy:
    """When a batch is sent again under at-least-once.

    The exponential delay is multiplied by the initial delay in ms each time, as Fluvio's is: 20 ms, 400 ms, 8 s, 160 s.
    timeout_ms is for all attempts together. jitter: each delay is a random one between its half and itself.
    """

    max_retries: int = 4
    initial_delay_ms: int = 20
    max_delay_ms: int = 200_000
    timeout_ms: int = 300_000
    strategy: RetryStrategy = RetryStrategy.EXPONENTIAL
    jitter: bool = False

    def delays_ms(self) -> Iterator[float]:
        now, then = self.initial_delay_ms, self.initial_delay_ms
        for _ in range(self.max_retries):
            delay: float = min(now, self.max_delay_ms)
            yield delay * (0.5 + random.random() / 2) if self.jitter else delay
            if self.strategy is RetryStrategy.EXPONENTIAL:
                now = min(now * self.initial_delay_ms, self.max_delay_ms)
            elif self.strategy is RetryStrategy.FIBONACCI:
                now, then = then, min(now + then, self.max_delay_ms)


@dataclass(frozen=True)
class ProducerBatchEvent:
    """What a producer's callback is told after each batch that was answered."""

    created_at_ms: int
    elapsed_ms: float
    partition: int
    records: int
    bytes: int
    error: FluvioError | None


@dataclass(frozen=True)
class TopicProducerConfig:
    batch_size: int = 16_384
    max_request_size: int = 1_048_576
    batch_queue_size: int = 100
    linger_ms: int = 100
    compression: Compression = Compression.None_
    partitioner: Partitioner = field(default_factory=SiphashRoundRobinPartitioner)
    timeout_ms: int = 1_500
    isolation: Isolation = Isolation.ReadUncommitted
    delivery_semantic: DeliverySemantic = DeliverySemantic.AtLeastOnce
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    callback: Callable[[ProducerBatchEvent], None] | None = None

    def __post_init__(self) -> None:
        for name, least in (
            ("batch_size", 1),
            ("max_request_size", 1),
            ("batch_queue_size", 1),
            ("linger_ms", 0),
            ("timeout_ms", 1),
        ):
            if getattr(self, name) < least:
                raise FluvioError(ErrorKind.CLIENT_CONFIG, f"{name} must be at least {least}")
        if self.batch_size > self.max_request_size:
            raise FluvioError(
                ErrorKind.CLIENT_CONFIG,
                f"batch_size ({self.batch_size}) must not be larger than max_request_size ({self.max_request_size})",
            )


class TopicProducerConfigBuilder:
    """Setters return the builder; build() checks and gives the configuration."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}

    def _set(self, name: str, value: object) -> TopicProducerConfigBuilder:
        self._values[name] = value
        return self

    def batch_size(self, batch_size: int) -> TopicProducerConfigBuilder:
        """Bytes, uncompressed, at which a batch is closed."""
        return self._set("batch_size", batch_size)

    def max_request_size(self, max_request_size: int) -> TopicProducerConfigBuilder:
        """Bytes, uncompressed, that one record may take. The server takes values of up to 1 MiB."""
        return self._set("max_request_size", max_request_size)

    def batch_queue_size(self, batch_queue_size: int) -> TopicProducerConfigBuilder:
        """Batches that may wait for each partition; with so many, send() waits up to 30 s."""
        return self._set("batch_queue_size", batch_queue_size)

    def linger(self, linger_ms: int) -> TopicProducerConfigBuilder:
        """Age in ms at which a batch that is not full is sent."""
        return self._set("linger_ms", linger_ms)

    def compression(self, compression: Compression) -> TopicProducerConfigBuilder:
        return self._set("compression", compression)

    def partitioner(self, partitioner: Partitioner) -> TopicProducerConfigBuilder:
        """One of your own, or SiphashRoundRobinPartitioner(hash_empty_key=True). It is for one producer."""
        return self._set("partitioner", partitioner)

    def set_specific_partitioner(self, partition: int) -> TopicProducerConfigBuilder:
        """Everything goes to this partition."""
        return self._set("partitioner", SpecificPartitioner(partition))

    def timeout(self, timeout_ms: int) -> TopicProducerConfigBuilder:
        """How long the server may take to store a batch; the network is given 10 s on top."""
        return self._set("timeout_ms", timeout_ms)

    def isolation(self, isolation: Isolation) -> TopicProducerConfigBuilder:
        return self._set("isolation", isolation)

    def delivery_semantic(
        self, delivery_semantic: DeliverySemantic, retry_policy: RetryPolicy | None = None
    ) -> TopicProducerConfigBuilder:
        if retry_policy is not None:
            self._set("retry_policy", retry_policy)
        return self._set("delivery_semantic", delivery_semantic)

    def retry_policy(self, retry_policy: RetryPolicy) -> TopicProducerConfigBuilder:
        return self._set("retry_policy", retry_policy)

    def callback(self, callback: Callable[[ProducerBatchEvent], None]) -> TopicProducerConfigBuilder:
        """Called after each batch, on the thread that sent it."""
        return self._set("callback", callback)

    def build(self) -> TopicProducerConfig:
        return TopicProducerConfig(**self._values)
