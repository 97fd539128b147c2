"""The way in."""

from __future__ import annotations

import asyncio

from .admin import ConsumerOffset, FluvioAdmin
from .config import FluvioConfig
from .consumer import MultiplePartitionConsumer, PartitionConsumer, open_named
from .consumer_config import ConsumerConfigExt
from .errors import ErrorKind, FluvioError
from .metadata import fetch_partition_count, fetch_topic
from .producer import TopicProducer
from .producer_config import TopicProducerConfig
from .stream import AsyncRecordStream, RecordStream
from .transport import Transport


class Fluvio:
    """A server, and what can be made of it. Any thread may use it.

    with Fluvio.connect() as fluvio, fluvio.topic_producer("orders") as producer:
        producer.send("key", "value")
    """

    def __init__(self, config: FluvioConfig) -> None:
        self._config = config
        self._transport = Transport(config)

    @classmethod
    def connect(cls) -> Fluvio:
        """To the server of FluvioConfig.load()."""
        return cls.connect_with_config(FluvioConfig.load())

    @classmethod
    def connect_with_profile(cls, profile: str) -> Fluvio:
        return cls.connect_with_config(FluvioConfig.load(profile))

    @classmethod
    def connect_with_config(cls, config: FluvioConfig) -> Fluvio:
        """Fails when nobody answers, or not a Tidegate server that speaks the streaming dialect."""
        made = cls(config)
        try:
            welcome = made._transport.call("GET", "/")
            if "streaming" not in [dialect["name"] for dialect in welcome["dialects"]]:
                raise FluvioError(
                    ErrorKind.CLIENT_CONFIG,
                    f"{config.endpoint} does not speak the streaming dialect; use a port that serves it",
                )
        except (KeyError, TypeError):
            made.close()
            raise FluvioError(ErrorKind.PROTOCOL, f"{config.endpoint} is no Tidegate server") from None
        except BaseException:
            made.close()
            raise
        return made

    # ---- producing ----

    def topic_producer(self, topic: str) -> TopicProducer:
        """Fails when there is no such topic; it is never made on the way."""
        return TopicProducer(self._config, topic, TopicProducerConfig())

    def topic_producer_with_config(self, topic: str, config: TopicProducerConfig) -> TopicProducer:
        return TopicProducer(self._config, topic, config)

    # ---- consuming ----

    def partition_consumer(self, topic: str, partition: int) -> PartitionConsumer:
        self._check_partition(topic, partition)
        return PartitionConsumer(self._transport, topic, partition)

    def multi_partition_consumer(self, topic: str) -> MultiplePartitionConsumer:
        """All partitions of a topic."""
        fetch_topic(self._transport, topic)
        return MultiplePartitionConsumer(self._transport, {topic: []})

    def multi_topic_partition_consumer(self, selections: list[tuple[str, int]]) -> MultiplePartitionConsumer:
        """These partitions, as (topic, partition)."""
        if not selections:
            raise FluvioError(ErrorKind.CONSUMER_CONFIG, "name at least one (topic, partition)")
        chosen: dict[str, list[int]] = {}
        for topic, partition in selections:
            chosen.setdefault(topic, []).append(partition)
        for topic, partitions in chosen.items():
            self._check_partition(topic, *partitions)
        return MultiplePartitionConsumer(self._transport, chosen)

    def _check_partition(self, topic: str, *partitions: int) -> None:
        count = fetch_partition_count(self._transport, topic)
        for partition in partitions:
            if not 0 <= partition < count:
                raise FluvioError(
                    ErrorKind.PARTITION_NOT_FOUND,
                    f"the topic has partitions 0 to {count - 1}",
                    topic=topic,
                    partition=partition,
                )

    def consumer_with_config(self, config: ConsumerConfigExt) -> RecordStream:
        """A stream with stored positions, if the configuration names a consumer."""
        return open_named(self._transport, config)

    async def async_consumer_with_config(self, config: ConsumerConfigExt) -> AsyncRecordStream:
        return AsyncRecordStream(await asyncio.to_thread(self.consumer_with_config, config))

    # ---- stored positions ----

    def consumer_offsets(self) -> list[ConsumerOffset]:
        """Of all named consumers: the last offset each has seen."""
        with self.admin() as admin:
            return admin.consumer_offsets()

    def set_consumer_offset(
        self, consumer: str, topic: str, partition: int, offset: int, *, force: bool = False
    ) -> int:
        """As if the consumer had seen `offset` last. It never goes back, unless it is forced to. Where it is then."""
        with self.admin() as admin:
            return admin.set_consumer_offset(consumer, topic, partition, offset, force=force)

    def delete_consumer_offset(self, consumer: str, topic: str, partition: int) -> None:
        with self.admin() as admin:
            admin.delete_consumer_offset(consumer, topic, partition)

    # ---- the rest ----

    def admin(self) -> FluvioAdmin:
        return FluvioAdmin(self._config)

    def close(self) -> None:
        """Producers and streams that were made of it are closed by themselves."""
        self._transport.close()

    def __enter__(self) -> Fluvio:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.close()

    async def __aenter__(self) -> Fluvio:
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.close()
