"""Consumers: they find out where each partition begins and ends, and open streams there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from .consumer_config import ConsumerConfig, ConsumerConfigExt, StreamSettings
from .errors import ErrorKind, FluvioError
from .metadata import PartitionBounds, fetch_bounds
from .positions import Positions
from .record import Offset
from .sources import MergedSource, Source, StreamSource, tell_gap
from .stream import AsyncRecordStream, RecordStream
from .transport import Transport, path_of


def _find_starts(
    transport: Transport,
    topic: str,
    partitions: Sequence[int],
    bounds: Sequence[PartitionBounds],
    offset: Offset,
    stored: dict[int, int],
    settings: StreamSettings,
) -> dict[int, int]:
    at_time: dict[int, int] = {}
    if offset.timestamp_ms is not None:
        answer = transport.call("GET", path_of("topics", topic, "offsets") + f"?timestamp={offset.timestamp_ms}")
        at_time = {o["partition"]: o["offset"] for o in answer["offsets"]}
    starts = {}
    for p in partitions:
        start = offset.resolve(bounds[p], stored.get(p), at_time.get(p))
        if start > bounds[p].end:
            raise FluvioError(
                ErrorKind.OFFSET_OUT_OF_RANGE,
                f"offset {start} is beyond the end; begin at {bounds[p].end}, the end, or before it",
                topic=topic,
                partition=p,
                start_offset=bounds[p].start,
                end_offset=bounds[p].end,
            )
        if start < bounds[p].start:
            tell_gap(settings, topic, p, start, bounds[p].start)
            start = bounds[p].start
        elif not offset.is_absolute and stored.get(p, start) < bounds[p].start and settings.on_gap is not None:
            settings.on_gap(topic, p, stored[p], bounds[p].start)
        starts[p] = start
    return starts


def open_source(
    transport: Transport,
    topic: str,
    partitions: Iterable[int],
    offset: Offset,
    stored: dict[int, int],
    settings: StreamSettings,
) -> Source:
    """No partitions: all."""
    bounds = fetch_bounds(transport, topic)
    wanted = sorted(set(partitions)) or list(range(len(bounds)))
    for p in wanted:
        if not 0 <= p < len(bounds):
            raise FluvioError(
                ErrorKind.PARTITION_NOT_FOUND,
                f"the topic has partitions 0 to {len(bounds) - 1}",
                topic=topic,
                partition=p,
            )
    starts = _find_starts(transport, topic, wanted, bounds, offset, stored, settings)
    return StreamSource(transport, topic, starts, bounds, settings)


class MultiplePartitionConsumer:
    """Reads partitions of one or several topics, in order within each. Made by Fluvio.multi_…partition_consumer()."""

    def __init__(self, transport: Transport, selection: dict[str, list[int]]) -> None:
        self._transport = transport
        self._selection = selection

    def stream(self, offset: Offset) -> RecordStream:
        """Never ends by itself."""
        return self.stream_with_config(offset, ConsumerConfig())

    def stream_with_config(self, offset: Offset, config: ConsumerConfig) -> RecordStream:
        sources: list[Source] = []
        try:
            for topic, partitions in self._selection.items():
                sources.append(open_source(self._transport, topic, partitions, offset, {}, config.settings()))
        except BaseException:
            for source in sources:
                source.close()
            raise
        return RecordStream(sources[0] if len(sources) == 1 else MergedSource(sources), None)

    async def async_stream(self, offset: Offset) -> AsyncRecordStream:
        return AsyncRecordStream(await asyncio.to_thread(self.stream, offset))

    async def async_stream_with_config(self, offset: Offset, config: ConsumerConfig) -> AsyncRecordStream:
        return AsyncRecordStream(await asyncio.to_thread(self.stream_with_config, offset, config))


class PartitionConsumer(MultiplePartitionConsumer):
    """Reads one partition. Made by Fluvio.partition_consumer()."""

    def __init__(self, transport: Transport, topic: str, partition: int) -> None:
        super().__init__(transport, {topic: [partition]})


def open_named(transport: Transport, config: ConsumerConfigExt) -> RecordStream:
    """The stream of Fluvio.consumer_with_config()."""
    positions = Positions(transport, config.topic, config.consumer_id, config.strategy, config.flush_ms)
    try:
        source = open_source(
            transport, config.topic, config.partitions, config.offset_start, positions.load(), config.settings
        )
    except BaseException:
        positions.close()
        raise
    return RecordStream(source, positions)
