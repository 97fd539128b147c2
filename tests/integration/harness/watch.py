"""Watch sessions of the topics dialect, their event streams, and its WebSocket."""

import base64
import contextlib
import json
import urllib.parse

import websocket

from harness import wait
from harness.live import Stream
from harness.v0 import V0, fine


class Watcher(V0):
    def watch(self, topics, query="", **members):
        return self.post(f"/v0/watch{query}", json={"topics": topics, **members})

    def open_session(self, topics, **members):
        """The wid of a new session."""
        return fine(self.watch(topics, **members))["wid"]

    def stream(self, wid, **options):
        return Events(self, f"/v0/watch/{wid}", **options)

    def follow(self, topics, **members):
        """A new session and its stream at once."""
        return self.stream(self.open_session(topics, **members))

    def connections(self):
        """Watch, work and WebSocket connections of the worker."""
        return self.get("/v0/metrics", headers={"Accept": "application/json"}).json()["sse_connections"]

    def socket(self, **options):
        return Socket(self, **options)


class Events(Stream):
    """An event stream of a session. An event's cursor is its id."""

    def expect(self, kind, topic=None, deadline_s=wait.DEADLINE_S):
        """The next event, which must be of this kind."""
        event = self.next(deadline_s)
        assert event is not None, f"the stream ended: {self.lines[-6:]}"
        assert event.kind == kind, event
        assert topic is None or event.data["topic"] == topic, event
        return event

    def until_caught_up(self, *topics):
        """All events up to the caught-up of each of the topics."""
        events, missing = [], set(topics)
        while missing:
            event = self.next()
            assert event is not None, f"the stream ended: {self.lines[-6:]}"
            events.append(event)
            if event.kind == "caught-up":
                missing.discard(event.data["topic"])
        return events

    def records(self, count, topic=None):
        """At least the next `count` records, of one topic; other kinds of events are passed over."""
        got = []
        while len(got) < count:
            event = self.next()
            assert event is not None, f"the stream ended after {len(got)} of {count} records: {self.lines[-6:]}"
            if event.kind == "record" and topic in (None, event.data["topic"]):
                got += event.data["records"]
        return got


class Socket:
    """A WebSocket; commands are answered in order, pushed messages are kept apart."""

    PUSHED = ("record", "caught_up", "tombstone", "topic_deleted")

    def __init__(self, client, receive_buffer=None):
        headers = [f"X-API-Key: {client.key}"] if client.key is not None else []
        options = []
        if receive_buffer:
            import socket
            options.append((socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer))
        url = client.url.replace("http", "ws", 1) + "/v0/ws"
        trusted = {} if client.verify is True else {"ca_certs": str(client.verify)}
        self.raw = websocket.create_connection(url, header=headers, timeout=wait.DEADLINE_S, sockopt=options, sslopt=trusted)
        self.pushed = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError, websocket.WebSocketException):
            self.raw.close(timeout=1)

    def send(self, op, **members):
        self.raw.send(json.dumps({"op": op, **members}))

    def receive(self):
        return json.loads(self.raw.recv())

    def answer(self):
        """The next message that is none of the pushed."""
        while (message := self.receive())["op"] in self.PUSHED:
            self.pushed.append(message)
        return message

    def do(self, op, **members):
        self.send(op, **members)
        return self.answer()

    def push(self):
        """The next pushed message."""
        if self.pushed:
            return self.pushed.pop(0)
        message = self.receive()
        assert message["op"] in self.PUSHED, message
        return message

    def records(self, count):
        got = []
        while len(got) < count:
            message = self.push()
            got += message["records"] if message["op"] == "record" else []
        return got


def make_id(positions):
    text = json.dumps(positions).encode()
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def read_id(text):
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def port_of(client):
    return urllib.parse.urlsplit(client.url).port
