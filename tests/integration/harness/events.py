"""Live reading of durable streams: event streams, long polls, and readers that come again as a client would."""

import json
import threading

import requests

from harness import wait
from harness.client import Client
from harness.live import Event, Stream


class Events(Stream):
    """GET with live=sse. Data events carry text, control events an object. Checks what holds for every event stream."""

    def __init__(self, client, path, offset="-1", cursor=None, **options):
        self._since_control = 0
        more = "" if cursor is None else f"&cursor={cursor}"
        super().__init__(client, f"/v1/stream/{path}?offset={offset}&live=sse{more}", **options)

    def _event(self, kind, data):
        if kind == "data":
            self._since_control += 1
            if self._since_control > 1:
                raise ValueError("two events of data without control between them")
            return Event(kind, data, None)
        if kind != "control":
            raise ValueError(f"an event of kind {kind!r}")
        self._since_control = 0
        control = json.loads(data)
        if set(control) - {"streamNextOffset", "streamCursor", "upToDate", "streamClosed"}:
            raise ValueError(f"unknown members: {control}")
        if ("streamCursor" in control) == ("streamClosed" in control):
            raise ValueError(f"a cursor belongs to an open stream: {control}")
        return Event(kind, control, control["streamNextOffset"])

    def until_up_to_date(self, deadline_s=wait.DEADLINE_S):
        """The data up to the first control that says so, and that control (None: the stream ended before)."""
        got = []
        while event := self.next(deadline_s):
            if event.kind == "data":
                got.append(event.data)
            elif event.data.get("upToDate"):
                return got, event.data
        return got, None


def long_poll(client, path, offset, cursor=None, **options):
    more = "" if cursor is None else f"&cursor={cursor}"
    return client.get(f"/v1/stream/{path}?offset={offset}&live=long-poll{more}", **options)


class Waiting(threading.Thread):
    """A long poll under way."""

    def __init__(self, url, path, offset, **options):
        super().__init__(daemon=True)
        self.arguments = (path, offset)
        self.url = url
        self.options = options
        self.answer = None
        self.failure = None
        self.start()

    def run(self):
        try:
            with Client(self.url) as client:
                self.answer = long_poll(client, *self.arguments, **self.options)
        except requests.RequestException as error:
            self.failure = error

    def result(self, deadline_s=wait.DEADLINE_S):
        self.join(deadline_s)
        assert self.failure is None, self.failure
        assert self.answer is not None, "the long poll was not answered"
        return self.answer


class Follower(threading.Thread):
    """Reads a text stream over event streams from the start until it is closed; after whatever ends a connection it
    comes again with the last offset, to url()."""

    def __init__(self, url, path):
        super().__init__(daemon=True)
        self.url = url
        self.path = path
        self.text = ""
        self.offset = "-1"
        self.is_closed = False
        self.connections = 0
        self.start()

    def run(self):
        while not self.is_closed:
            try:
                with Client(self.url()) as client, Events(client, self.path, self.offset) as events:
                    self.connections += 1
                    self._follow(events)
            except (OSError, requests.RequestException, AssertionError):
                threading.Event().wait(0.05)

    def _follow(self, events):
        pending = ""
        while event := events.next():
            if event.kind == "data":
                pending = event.data
                continue
            # What came without its control is read again.
            assert event.data["streamNextOffset"] >= self.offset or self.offset == "-1"
            self.text += pending
            pending = ""
            self.offset = event.data["streamNextOffset"]
            self.is_closed = event.data.get("streamClosed", False)
