"""Topics: made, listed, described, deleted."""

from __future__ import annotations

import json
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from .config import FluvioConfig
from .errors import ErrorKind, FluvioError
from .metadata import fetch_topic
from .topic_spec import TopicSpec
from .transport import Transport, path_of

WATCH_PERIOD_S = 1.0


@dataclass(frozen=True)
class CommonCreateRequest:
    """dry_run: only look whether it could be made."""

    dry_run: bool = False
    timeout: int | None = None


@dataclass(frozen=True)
class TopicMetadata:
    """One topic of a list."""

    _name: str
    partitions: int
    replication_factor: int
    created_at: int | None = None
    config: dict[str, Any] = field(default_factory=dict)

    def name(self) -> str:
        return self._name


@dataclass(frozen=True)
class PartitionMetadata:
    """One partition of a list; its name is <topic>-<partition>."""

    topic: str
    partition: int
    start_offset: int
    end_offset: int
    records: int
    bytes: int

    def name(self) -> str:
        return f"{self.topic}-{self.partition}"


@dataclass(frozen=True)
class TopicChanges:
    """What happened to the topics since the last look."""

    changed: list[TopicMetadata]
    deleted: list[str]


@dataclass(frozen=True)
class ConsumerOffset:
    """Where a named consumer is: the last offset it has seen. modified_time: when that was stored, in s since 1970."""

    consumer_id: str
    topic: str
    partition: int
    offset: int
    modified_time: int | None = None


def _topic(shape: dict[str, Any]) -> TopicMetadata:
    return TopicMetadata(
        shape["name"],
        shape["partitions"],
        shape["replication_factor"],
        shape.get("created_at"),
        shape.get("config", {}),
    )


class FluvioAdmin:
    """Creating needs a key with the scope admin, deleting one with delete, the rest one with read."""

    def __init__(self, config: FluvioConfig) -> None:
        self._transport = Transport(config)

    @classmethod
    def connect(cls) -> FluvioAdmin:
        return cls(FluvioConfig.load())

    @classmethod
    def connect_with_config(cls, config: FluvioConfig) -> FluvioAdmin:
        return cls(config)

    def close(self) -> None:
        self._transport.close()

    def __enter__(self) -> FluvioAdmin:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.close()

    # ---- topics ----

    def create_topic(self, name: str, spec: TopicSpec | None = None) -> None:
        """With one partition unless the spec says otherwise. TopicAlreadyExists when there is one of this name."""
        body = {"name": name, **(spec or TopicSpec()).to_json()}
        try:
            response, _ = self._transport.request(
                "POST", "/topics", body=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
            )
        except FluvioError as error:
            if error.kind is ErrorKind.INVALID_REQUEST:
                raise FluvioError(
                    ErrorKind.TOPIC_INVALID_CONFIGURATION,
                    error.message,
                    http_status=error.http_status,
                    server_code=error.server_code,
                    topic=name,
                ) from None
            raise error.about(name) from None
        if response.status == 200:
            raise FluvioError(
                ErrorKind.TOPIC_ALREADY_EXISTS,
                "there is a topic of this name and shape already",
                topic=name,
                http_status=response.status,
            )

    def create_topic_with_config(self, name: str, request: CommonCreateRequest, spec: TopicSpec) -> None:
        if not request.dry_run:
            self.create_topic(name, spec)
        elif self.list_topics([name]):
            raise FluvioError(ErrorKind.TOPIC_ALREADY_EXISTS, "there is a topic of this name already", topic=name)

    def delete_topic(self, name: str) -> None:
        """With its records and the positions of its consumers."""
        try:
            self._transport.call("DELETE", path_of("topics", name))
        except FluvioError as error:
            raise error.about(name) from None

    def add_partitions(self, name: str, total: int) -> None:
        """Grows a topic to so many partitions; keys are mapped anew from then on."""
        try:
            self._transport.call("PATCH", path_of("topics", name), {"partitions": total})
        except FluvioError as error:
            raise error.about(name) from None

    def all_topics(self) -> list[TopicMetadata]:
        return [_topic(shape) for shape in self._all_of("/topics", "topics")]

    def list_topics(self, filters: list[str]) -> list[TopicMetadata]:
        """Those of these names that exist, with their configuration; [] = all topics."""
        return self.list_topics_with_params(filters, False)

    def list_topics_with_params(self, filters: list[str], summary: bool) -> list[TopicMetadata]:
        """summary: without the configuration."""
        names = list(dict.fromkeys(filters))
        if not names:
            every = self.all_topics()
            if summary:
                return every
            names = [topic.name() for topic in every]
        found = [_topic(info) for info in map(self._describe, names) if info is not None]
        return [replace(topic, config={}) for topic in found] if summary else found

    def _describe(self, name: str) -> dict[str, Any] | None:
        try:
            return fetch_topic(self._transport, name)
        except FluvioError as error:
            if error.kind is ErrorKind.TOPIC_NOT_FOUND:
                return None
            raise

    def watch_topic(self) -> Iterator[TopicChanges]:
        """All topics first, then what has changed, looked for every second. Never ends by itself."""
        known: dict[str, TopicMetadata] = {}
        while True:
            now = {topic.name(): topic for topic in self.all_topics()}
            changed = [topic for name, topic in now.items() if known.get(name) != topic]
            deleted = [name for name in known if name not in now]
            if changed or deleted or not known:
                yield TopicChanges(changed, deleted)
            known = now
            time.sleep(WATCH_PERIOD_S)

    def list_partitions(self, filters: list[str]) -> list[PartitionMetadata]:
        """Of the topics of these names; [] = of all."""
        names = list(dict.fromkeys(filters)) or [topic.name() for topic in self.all_topics()]
        found = []
        for name, info in ((name, self._describe(name)) for name in names):
            for p in info["partition_info"] if info is not None else ():
                found.append(
                    PartitionMetadata(
                        name, p["partition"], p["start_offset"], p["end_offset"], p["records"], p["bytes"]
                    )
                )
        return found

    # ---- stored positions ----

    def consumer_offsets(self) -> list[ConsumerOffset]:
        """Of all named consumers of all topics."""
        # The server stores the next offset, Fluvio shows the last seen; who has seen none has none.
        return [
            ConsumerOffset(
                p["group_id"],
                p["topic"],
                p["partition"],
                p["offset"] - 1,
                None if p["committed_at"] is None else p["committed_at"] // 1000,
            )
            for p in self._all_of("/positions", "positions")
            if p["offset"] > 0
        ]

    def set_consumer_offset(
        self, consumer: str, topic: str, partition: int, offset: int, *, force: bool = False
    ) -> int:
        """As if the consumer had seen `offset` last. It never goes back, unless it is forced to. Where it is then."""
        body = {"group_id": consumer, "offsets": [{"partition": partition, "offset": offset + 1}], "force": force}
        try:
            answer = self._transport.call("POST", path_of("topics", topic, "commit"), body)
        except FluvioError as error:
            raise error.about(topic, partition) from None
        return int(answer["committed"][0]["offset"]) - 1

    def delete_consumer_offset(self, consumer: str, topic: str, partition: int) -> None:
        """Forgets where a consumer is in one partition."""
        try:
            self._transport.call("DELETE", path_of("topics", topic, "groups", consumer, "partitions", str(partition)))
        except FluvioError as error:
            raise error.about(topic, partition) from None

    def delete_consumer_offsets(self, consumer: str, topic: str) -> None:
        """Forgets where a consumer is in all partitions of a topic."""
        try:
            self._transport.call("DELETE", path_of("topics", topic, "groups", consumer))
        except FluvioError as error:
            raise error.about(topic) from None

    # ---- what all of this needs ----

    def _all_of(self, path: str, member: str) -> list[dict[str, Any]]:
        """The entries of all pages of a list."""
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = self._transport.get(f"{path}?page_size=1000{cursor}")
            found += page[member]
            if not page.get("next_cursor"):
                return found
            cursor = "&cursor=" + urllib.parse.quote(page["next_cursor"], safe="")
