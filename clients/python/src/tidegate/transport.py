"""HTTP/1.1 over the standard library: a few kept connections for requests, one for each live stream."""

from __future__ import annotations

import http.client
import json
import selectors
import socket
import ssl
import threading
import urllib.parse
from collections.abc import Mapping
from typing import Any

from .config import FluvioConfig
from .errors import ErrorKind, FluvioError, error_of_reply

IDLE_CONNECTIONS_MAX = 8
REMEMBERED_MAX = 64
REQUEST_TIMEOUT_S = 30.0

# For one look at one socket; the default selector would open a file of its own for that.
_Selector: type[selectors.BaseSelector] = getattr(selectors, "PollSelector", selectors.SelectSelector)


def path_of(*segments: str) -> str:
    """An absolute path; the segments, which are names, are escaped."""
    if "" in segments:
        raise FluvioError(ErrorKind.INVALID_REQUEST, "a name is empty; say which topic or consumer is meant")
    return "".join("/" + urllib.parse.quote(segment, safe="") for segment in segments)


def _error_of_io(config: FluvioConfig, error: Exception) -> FluvioError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return FluvioError(
            ErrorKind.TLS,
            f"the certificate of {config.endpoint} was refused: {error.verify_message}; "
            "name its CA with set_tls_file_paths",
        )
    if isinstance(error, ssl.SSLError) and not isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return FluvioError(ErrorKind.TLS, f"TLS with {config.endpoint} failed: {error.reason or error}")
    if isinstance(error, TimeoutError):
        return FluvioError(ErrorKind.SOCKET, f"{config.endpoint} did not answer in time", retryable=True)
    text = str(error) or type(error).__name__
    return FluvioError(ErrorKind.SOCKET, f"no answer from {config.endpoint}: {text}", retryable=True)


def _is_stale(sock: socket.socket) -> bool:
    """An idle connection on which something arrives has been closed."""
    with _Selector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        return bool(selector.select(0))


def _has_whole_head(response: http.client.HTTPResponse) -> bool:
    """A connection that breaks inside the header looks to http.client like one that has ended."""
    return response.chunked or response.length is not None or "close" in response.headers.get("Connection", "").lower()


class _Connection(http.client.HTTPConnection):
    """Connected, with TLS or without. A request goes out in one piece, where http.client sends its head by itself."""

    def __init__(self, config: FluvioConfig) -> None:
        super().__init__(config.host, config.port, timeout=config.connect_timeout_ms / 1000)
        self._parts: list[bytes] = []
        self.connect()
        if config.is_tls:
            self.default_port = http.client.HTTPS_PORT  # which is left out of the header Host
            self.sock = config.tls_context().wrap_socket(self.sock, server_hostname=config.server_name)

    def send(self, data: Any) -> None:
        self._parts.append(data)

    def ask(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], timeout_s: float
    ) -> http.client.HTTPResponse:
        """The answer, with its body yet to be read; every wait for the network may take timeout_s."""
        self.sock.settimeout(timeout_s)
        self.request(method, path, body, headers)
        parts, self._parts = self._parts, []
        self.sock.sendall(b"".join(parts))
        response = self.getresponse()
        if not _has_whole_head(response):
            raise http.client.IncompleteRead(b"")
        return response


class LiveResponse:
    """The body of a stream as it arrives."""

    def __init__(
        self,
        connection: _Connection,
        response: http.client.HTTPResponse,
        sock: socket.socket,
        config: FluvioConfig,
    ) -> None:
        self._connection = connection
        self._response = response
        self._socket = sock
        self._config = config
        self._is_aborted = False

    def read_some(self) -> bytes:
        """What is there, at least one byte; b"" at the end."""
        try:
            return self._response.read1(1 << 18)
        except (OSError, http.client.HTTPException, ValueError, AttributeError) as error:
            if self._is_aborted:
                return b""
            raise _error_of_io(self._config, error) from error

    def abort(self) -> None:
        """Ends a read_some() of another thread."""
        self._is_aborted = True
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def close(self) -> None:
        self.abort()
        self._response.close()
        self._connection.close()
        self._socket.close()


class Transport:
    """Threads: any. A connection serves one request at a time; at most IDLE_CONNECTIONS_MAX are kept."""

    def __init__(self, config: FluvioConfig) -> None:
        self.config = config
        self._lock = threading.Lock()
        self._idle: list[_Connection] = []
        self._busy: set[_Connection] = set()
        self._remembered: dict[str, tuple[str, Any]] = {}  # path -> ETag and answer of get()
        self._is_closed = False

    # ---- connections ----

    def _take(self) -> _Connection:
        while True:
            with self._lock:
                if self._is_closed:
                    raise FluvioError(ErrorKind.SOCKET, "the client is closed")
                found = self._idle.pop() if self._idle else None
                if found is not None:
                    self._busy.add(found)
            if found is None:
                found = _Connection(self.config)
                with self._lock:
                    self._busy.add(found)
                return found
            if not _is_stale(found.sock):
                return found
            self._drop(found)

    def _keep(self, connection: _Connection) -> None:
        with self._lock:
            self._busy.discard(connection)
            if not self._is_closed and len(self._idle) < IDLE_CONNECTIONS_MAX:
                self._idle.append(connection)
                return
        connection.close()

    def _drop(self, connection: _Connection) -> None:
        with self._lock:
            self._busy.discard(connection)
        connection.close()

    def close(self) -> None:
        """Ends requests under way, too."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
            busy = list(self._busy)
        for connection in idle:
            connection.close()
        for connection in busy:
            sock = connection.sock
            if sock is not None:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    # ---- requests ----

    def _headers(self, more: Mapping[str, str] | None) -> dict[str, str]:
        headers = {"User-Agent": self.config.client_id}
        if self.config.key:
            headers["Authorization"] = f"Bearer {self.config.key}"
        headers.update(more or {})
        return headers

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> tuple[http.client.HTTPResponse, Any]:
        """A success and its JSON, None of a 304; anything else is a FluvioError."""
        connection = None
        try:
            connection = self._take()
            response = connection.ask(method, self.config.prefix + path, body, self._headers(headers), timeout_s)
            data = response.read()
        except (OSError, http.client.HTTPException) as error:
            if connection is not None:
                self._drop(connection)
            raise _error_of_io(self.config, error) from error
        except BaseException:
            if connection is not None:
                self._drop(connection)
            raise
        if response.will_close:
            self._drop(connection)
        else:
            self._keep(connection)
        if response.status >= 400:
            raise error_of_reply(response.status, response.headers, data)
        if response.status == 304:
            return response, None
        try:
            return response, json.loads(data)
        except ValueError:
            raise FluvioError(
                ErrorKind.PROTOCOL,
                f"{self.config.endpoint} answered with something that is not JSON; is it a Tidegate server?",
                http_status=response.status,
            ) from None

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """request() with a JSON body."""
        data = None if body is None else json.dumps(body).encode()
        headers = {} if body is None else {"Content-Type": "application/json"}
        return self.request(method, path, body=data, headers=headers)[1]

    def get(self, path: str) -> Any:
        """JSON that nobody changes: what is still as it was the last time is not sent again."""
        tag, known = self._remembered.get(path, ("", None))
        response, answer = self.request("GET", path, headers={"If-None-Match": tag} if tag else None)
        if response.status == 304:
            return known
        tag = response.headers.get("ETag", "")
        with self._lock:
            if tag and (path in self._remembered or len(self._remembered) < REMEMBERED_MAX):
                self._remembered[path] = tag, answer
        return answer

    def open_stream(self, path: str, accept: str, silence_s: float) -> LiveResponse:
        """A connection of its own; silence for longer than silence_s is an error."""
        connection = None
        try:
            connection = _Connection(self.config)
            sock = connection.sock  # http.client gives it away when the answer is the last one
            headers = self._headers({"Accept": accept})
            response = connection.ask("GET", self.config.prefix + path, None, headers, silence_s)
            if response.status != 200:
                raise error_of_reply(response.status, response.headers, response.read())
            if response.headers.get_content_type() != accept:
                if not response.read(1):  # the head broke off in its type
                    raise http.client.IncompleteRead(b"")
                raise FluvioError(
                    ErrorKind.PROTOCOL,
                    f"{self.config.endpoint} answered with {response.headers.get_content_type()} in the place of a "
                    "stream; is it a Tidegate server?",
                    http_status=response.status,
                )
            return LiveResponse(connection, response, sock, self.config)
        except BaseException as error:
            if connection is not None:
                connection.close()
            if isinstance(error, (OSError, http.client.HTTPException)):
                raise _error_of_io(self.config, error) from error
            raise
