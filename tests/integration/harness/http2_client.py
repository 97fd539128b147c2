"""A decent HTTP/2 client with prior knowledge: as a transport for `requests`, and for event streams.

Any number of threads share a connection, which a thread of its own reads. The window of a stream grows as its reader
takes what came, so a reader that pauses holds up the server, and only its own stream.
"""

import contextlib
import socket
import threading
import urllib.parse

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import requests
import requests.adapters
import urllib3

from harness import wait

# What has a meaning for a connection of HTTP/1.1 only, or a pseudo header in its place.
NOT_SENT = {"connection", "keep-alive", "transfer-encoding", "host"}


def machine(**options):
    """h2's state of a client, which lets a test send what it likes, and goes on after GOAWAY.

    h2 takes GOAWAY for the end; but what the server has begun it still answers (RFC 9113, 6.8).
    """
    made = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, validate_outbound_headers=False, **options))
    states, opened = made.state_machine, h2.connection.ConnectionState.CLIENT_OPEN
    states._transitions = {**states._transitions, (opened, h2.connection.ConnectionInputs.RECV_GOAWAY): (None, opened)}
    return made


class NotBegun(ConnectionError):
    """The connection takes no more requests, and the server has not looked at this one: send it over another one."""


class Exchange:
    """A request and its answer. The body is a file: read1(), close()."""

    def __init__(self, channel, timeout):
        self._channel = channel
        self.timeout = timeout  # of each wait, in seconds; None waits for ever
        self.number = None
        self.status = None
        self.headers = None  # (name, value) pairs
        self.pieces = []
        self.is_sent = False
        self.has_ended = False
        self.failure = None
        self.closed = False

    @property
    def is_over(self):
        return self.has_ended or self.failure is not None

    def read1(self, amount=65536):
        """What has come, at most `amount` bytes, once there is something; b"" at the end."""
        return self._channel.take(self, amount)

    def read(self, amount=None):
        got = b""
        while (amount is None or len(got) < amount) and (piece := self.read1(65536 if amount is None else amount - len(got))):
            got += piece
        return got

    def close(self):
        if not self.closed:
            self.closed = True
            self._channel.forget(self)


class Channel:
    """One connection. ask() may be called by any thread."""

    def __init__(self, host, port, receive_buffer=None):
        self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._socket.settimeout(wait.DEADLINE_S)
        self._socket.connect((host, port))
        self._socket.settimeout(None)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._changed = threading.Condition()  # guards all that follows, and the exchanges
        self._h2 = machine()
        self._exchanges = {}
        self._failure = None
        self.is_ending = False  # GOAWAY came, or the end
        self._h2.initiate_connection()
        self._flush()
        threading.Thread(target=self._run, daemon=True).start()

    def close(self):
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def ask(self, method, target, authority, headers, body, timeout=wait.DEADLINE_S):
        """The exchange, once its status has come. The body is an iterable of bytes, or None; may raise NotBegun."""
        exchange = Exchange(self, timeout)
        fields = [(":method", method), (":path", target), (":scheme", "http"), (":authority", authority)]
        fields += [(name.lower(), value) for name, value in headers if name.lower() not in NOT_SENT]
        with self._changed:
            self._await(exchange, lambda: self.is_ending or self._has_room())
            if self.is_ending:
                raise NotBegun("the server has said that it ends this connection")
            exchange.number = self._h2.get_next_available_stream_id()
            self._exchanges[exchange.number] = exchange
            exchange.is_sent = body is None
            self._h2.send_headers(exchange.number, fields, end_stream=body is None)
            self._flush()
        if body is not None:
            self._send(exchange, body)
        with self._changed:
            self._await(exchange, lambda: exchange.is_over or exchange.status is not None)
            if exchange.failure is not None and exchange.status is None:
                raise exchange.failure
        return exchange

    def take(self, exchange, amount):
        with self._changed:
            self._await(exchange, lambda: exchange.pieces or exchange.is_over)
            if not exchange.pieces:
                if exchange.failure is not None:
                    raise exchange.failure
                return b""
            piece = exchange.pieces.pop(0)
            if len(piece) > amount:
                exchange.pieces.insert(0, piece[amount:])
                piece = piece[:amount]
            if not exchange.is_over:
                self._h2.increment_flow_control_window(len(piece), exchange.number)
                self._flush()
            return piece

    def forget(self, exchange):
        """Nobody wants the rest of it."""
        with self._changed:
            if not exchange.is_over:
                exchange.failure = ConnectionAbortedError("the exchange was closed here")
                self._h2.reset_stream(exchange.number, h2.errors.ErrorCodes.CANCEL)
                self._flush()
            self._exchanges.pop(exchange.number, None)

    # ---- with the lock ----

    def _await(self, exchange, condition):
        if not self._changed.wait_for(condition, exchange.timeout):
            raise TimeoutError(f"nothing came for {exchange.timeout} s")

    def _has_room(self):
        return self._h2.open_outbound_streams < self._h2.remote_settings.max_concurrent_streams

    def _flush(self):
        data = self._h2.data_to_send()
        if data:
            with contextlib.suppress(OSError):  # the reading thread finds out why, behind what came before
                self._socket.sendall(data)

    # ---- sending ----

    def _send(self, exchange, body):
        """The body as the windows let it through, or until the answer is there: a server need not read all of it."""
        for piece in body:
            at = 0
            while at < len(piece):
                with self._changed:
                    self._await(exchange, lambda: exchange.is_over or self._h2.local_flow_control_window(exchange.number) > 0)
                    if exchange.is_over:
                        return
                    room = min(self._h2.local_flow_control_window(exchange.number), self._h2.max_outbound_frame_size)
                    self._h2.send_data(exchange.number, piece[at:at + room])
                    self._flush()
                    at += room
        with self._changed:
            if not exchange.is_over:
                exchange.is_sent = True
                self._h2.end_stream(exchange.number)
                self._flush()

    # ---- the thread ----

    def _run(self):
        failure = ConnectionResetError("the server closed the connection")
        try:
            while data := self._socket.recv(65536):
                with self._changed:
                    for event in self._h2.receive_data(data):
                        self._handle(event)
                    self._flush()
                    self._changed.notify_all()
        except (OSError, h2.exceptions.ProtocolError) as error:
            failure = error if isinstance(error, OSError) else ConnectionResetError(f"the server broke the protocol: {error!r}")
        with self._changed:
            self.is_ending = True
            for exchange in self._exchanges.values():
                if not exchange.is_over:
                    exchange.failure = failure
            self._socket.close()
            self._changed.notify_all()

    def _handle(self, event):
        if isinstance(event, h2.events.ConnectionTerminated):
            self.is_ending = True
            for number, exchange in self._exchanges.items():
                if number > event.last_stream_id:
                    exchange.failure = NotBegun("the server ends this connection")
            return
        if isinstance(event, h2.events.DataReceived) and event.flow_controlled_length > 0:
            # The connection's window does not wait for a slow reader; its stream's does.
            self._h2.increment_flow_control_window(event.flow_controlled_length)
        exchange = self._exchanges.get(getattr(event, "stream_id", None))
        if exchange is None or exchange.is_over:
            return
        if isinstance(event, h2.events.ResponseReceived):
            fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers]
            exchange.status = int(dict(fields)[":status"])
            exchange.headers = [field for field in fields if field[0] != ":status"]
        elif isinstance(event, h2.events.DataReceived):
            exchange.pieces.append(event.data)
        elif isinstance(event, h2.events.StreamEnded):
            exchange.has_ended = True
            if not exchange.is_sent:  # the answer came before the end of the request
                self._h2.reset_stream(exchange.number, h2.errors.ErrorCodes.NO_ERROR)
        elif isinstance(event, h2.events.StreamReset):
            exchange.failure = ConnectionResetError(f"the server reset the stream with {event.error_code!r}")
        if exchange.is_over:
            self._exchanges.pop(exchange.number)


class _Response(urllib3.HTTPResponse):
    def stream(self, amt=65536, decode_content=None):
        """The body's pieces as they come; urllib3's own waits until it has `amt` bytes."""
        while piece := self.read1(amt, decode_content):
            yield piece


class Adapter(requests.adapters.HTTPAdapter):
    """Lets a requests.Session speak HTTP/2 over one connection for each origin: session.mount("http://", Adapter())."""

    def __init__(self):
        super().__init__()
        self._lock = threading.Lock()
        self._channels = {}

    def send(self, request, stream=False, timeout=None, verify=True, cert=None, proxies=None):
        parts = urllib.parse.urlsplit(request.url)
        timeout = timeout[1] if isinstance(timeout, tuple) else timeout
        authority = request.headers.get("Host", parts.netloc)
        arguments = (request.method, request.path_url, authority, request.headers.items())
        try:
            try:
                exchange = self._channel(parts).ask(*arguments, _pieces(request.body), timeout)
            except NotBegun:
                if not isinstance(request.body, (bytes, str, type(None))):
                    raise
                exchange = self._channel(parts).ask(*arguments, _pieces(request.body), timeout)
        except TimeoutError as error:
            raise requests.ReadTimeout(error, request=request) from error
        except OSError as error:
            raise requests.ConnectionError(error, request=request) from error
        raw = _Response(exchange, headers=exchange.headers, status=exchange.status, preload_content=False,
                        decode_content=False, request_method=request.method)
        return self.build_response(request, raw)

    def _channel(self, parts):
        key = (parts.hostname, parts.port or 80)
        with self._lock:
            channel = self._channels.get(key)
            if channel is None or channel.is_ending:
                channel = self._channels[key] = Channel(*key)
            return channel

    def close(self):
        super().close()
        with self._lock:
            while self._channels:
                self._channels.popitem()[1].close()


def _pieces(body):
    """A body as requests knows them, as an iterable of bytes; None for none."""
    if isinstance(body, str):
        return [body.encode()]
    if isinstance(body, bytes):
        return [body] if body else None
    if hasattr(body, "read"):
        return iter(lambda: body.read(65536), b"")
    return body
