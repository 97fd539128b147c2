"""Reading a live stream (SSE or NDJSON) in a thread, event by event, as it arrives."""

import array
import contextlib
import fcntl
import http.client
import json
import queue
import socket
import ssl
import termios
import threading
import time
import urllib.parse

import urllib3

from harness import http2_client, wait
from harness.client import HTTP_VERSION

SSE = "text/event-stream"
NDJSON = "application/x-ndjson"

READING_S = 0.5  # for what has come; a paused reader reads nothing
_END = object()


class Event:
    def __init__(self, kind, data, cursor):
        self.kind = kind      # SSE's event type, "message" when it has none
        self.data = data      # parsed JSON
        self.cursor = cursor  # SSE's id, or NDJSON's "cursor" member

    def __repr__(self):
        return f"Event({self.kind!r}, {self.data!r}, {self.cursor!r})"


class _Http1:
    """A GET on a connection of its own."""

    def __init__(self, client, path, headers, receive_buffer):
        parts = urllib.parse.urlsplit(client.url)
        if parts.scheme == "https":
            self._connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=wait.DEADLINE_S,
                                                           context=ssl.create_default_context(cafile=client.verify))
        else:
            self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=wait.DEADLINE_S)
        self._connection.connect()
        self._socket = self._connection.sock
        if receive_buffer:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._connection.request("GET", path, headers=headers)
        self.response = self._connection.getresponse()

    def wait_for_ever(self):
        self._socket.settimeout(None)

    def _unread_bytes(self):
        count = array.array("i", [0])
        fcntl.ioctl(self._socket, termios.FIONREAD, count)
        return count[0]

    def cut(self):
        """Ends a read in another thread."""
        with contextlib.suppress(OSError, ValueError):
            # The library leaves the end of a chunk in the kernel until it reads on; a close over it would be a reset.
            end = time.monotonic() + READING_S
            while self._unread_bytes() > 0 and time.monotonic() < end:
                time.sleep(0.001)
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.response.close()
        self._connection.close()


class _Http2:
    """The same over HTTP/2."""

    def __init__(self, client, path, headers, receive_buffer):
        parts = urllib.parse.urlsplit(client.url)
        self._channel = http2_client.Channel(parts.hostname, parts.port, receive_buffer)
        self.response = self._channel.ask("GET", path, parts.netloc, headers.items(), None)
        self.response.headers = urllib3.HTTPHeaderDict(self.response.headers)

    def wait_for_ever(self):
        self.response.timeout = None

    def cut(self):
        self._channel.close()

    def close(self):
        pass


class Stream:
    """GET on a stream. Events of kind other than "message" are delivered too; comments are counted."""

    def __init__(self, client, path, accept=SSE, last_event_id=None, headers=None, receive_buffer=None, paused=False):
        sent = {"Accept": accept, **(headers or {})}
        if client.key is not None:
            sent.setdefault("X-API-Key", client.key)
        if last_event_id is not None:
            sent["Last-Event-ID"] = last_event_id
        sent = {n: v for n, v in sent.items() if v is not None}
        is_http2 = HTTP_VERSION == "2" and client.url.startswith("http:")
        self._connection = (_Http2 if is_http2 else _Http1)(client, path, sent, receive_buffer)
        self.response = self._connection.response
        self.status = self.response.status
        self.headers = self.response.headers
        self.accept = accept
        self.lines = []        # everything received, line by line
        self.comments = []     # SSE comments and NDJSON blank lines, as heartbeats
        self.retry_ms = None
        self.last_id = last_event_id
        self.ended_cleanly = None  # None while open, then whether the body was ended properly
        self._events = queue.Queue()
        self._go = threading.Event()
        if not paused:
            self._go.set()
        if self.status == 200:
            # Heartbeats may be long apart: the reader waits as long as it takes, the caller has the deadline.
            self._connection.wait_for_ever()
            self._thread = threading.Thread(target=self._read, daemon=True)
            self._thread.start()
        else:
            self._thread = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._go.set()
        self._connection.cut()
        if self._thread:
            self._thread.join(wait.DEADLINE_S)
        self._connection.close()

    def resume(self):
        """Starts reading a stream that was opened with paused=True."""
        self._go.set()

    def body(self):
        """The whole body of an answer that is no stream."""
        return json.loads(self.response.read())

    def _read(self):
        self._go.wait()
        pending = []  # pieces of a line: joined once, for a line may be long
        fields = {}
        try:
            while data := self.response.read1(65536):
                pending.append(data)
                if b"\n" not in data:
                    continue
                *lines, rest = b"".join(pending).split(b"\n")
                pending = [rest]
                for raw in lines:
                    line = raw.decode("utf-8")
                    self.lines.append(line)
                    if self.accept == SSE:
                        fields = self._sse_line(line, fields)
                    else:
                        self._json_line(line)
            self.ended_cleanly = not any(pending) and not fields
        except (OSError, http.client.HTTPException, ValueError):
            self.ended_cleanly = False
        self._events.put(_END)

    def _sse_line(self, line, fields):
        if line == "":
            if "data" in fields:
                self._events.put(self._event(fields.get("event", "message"), fields["data"]))
            return {}
        if line.startswith(":"):
            self.comments.append(line)
            return fields
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "id":
            self.last_id = value
        elif name == "retry":
            self.retry_ms = int(value)
        elif name == "data" and "data" in fields:
            fields["data"] += "\n" + value
        elif name in ("data", "event"):
            fields[name] = value
        else:
            raise ValueError(f"unknown field in an event stream: {line!r}")
        return fields

    def _event(self, kind, data):
        return Event(kind, json.loads(data), self.last_id)

    def _json_line(self, line):
        if line.strip() == "":
            self.comments.append(line)
            return
        data = json.loads(line)
        kind = data.pop("event", "message")
        cursor = data.pop("cursor", None)
        self.last_id = cursor or self.last_id
        self._events.put(Event(kind, data, cursor))

    # ---- for the test ----

    def next(self, deadline_s=wait.DEADLINE_S):
        """The next event; None at the end of the stream; fails at the deadline."""
        try:
            event = self._events.get(timeout=deadline_s)
        except queue.Empty:
            raise AssertionError(f"no event within {deadline_s:.0f} s; last lines: {self.lines[-6:]}") from None
        if event is _END:
            self._events.put(_END)
            return None
        return event

    def has_more(self):
        """Whether next() would return at once."""
        return not self._events.empty()

    def take(self, count, deadline_s=wait.DEADLINE_S):
        """The data of the next `count` messages; an event of another kind or an early end fails."""
        got = []
        end = time.monotonic() + deadline_s
        while len(got) < count:
            event = self.next(max(0.01, end - time.monotonic()))
            assert event is not None, f"the stream ended after {len(got)} of {count} messages: {self.lines[-6:]}"
            if event.kind == "open":
                continue
            assert event.kind == "message", event
            got.append(event.data)
        return got

    def rest(self, deadline_s=wait.DEADLINE_S):
        """All events until the server ends the stream."""
        events = []
        end = time.monotonic() + deadline_s
        while event := self.next(max(0.01, end - time.monotonic())):
            events.append(event)
        return events

    def wait_end(self, deadline_s=wait.DEADLINE_S):
        wait.until(lambda: self.ended_cleanly is not None, "the stream has ended", deadline_s)
        return self.ended_cleanly
