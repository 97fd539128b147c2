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


def path_of(*segments: str) -> str:
    """An absolute path; the segments are escaped."""
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


def _is_stale(sock: socket.socket | None) -> bool:
    """An idle connection on which something arrives has been closed."""
    if sock is None:
        return True
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        return bool(selector.select(0))


def _has_whole_head(response: http.client.HTTPResponse) -> bool:
    """A connection that breaks inside the header looks to http.client like one that has ended."""
    return response.chunked or response.length is not None or "close" in response.headers.get("Connection", "").lower()


class _TlsConnection(http.client.HTTPSConnection):
    def __init__(self, config: FluvioConfig, timeout_s: float) -> None:
        self._tls = config.tls_context()
        super().__init__(config.host, config.port, timeout=timeout_s, context=self._tls)
        self._name = config.server_name

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        self.sock = self._tls.wrap_socket(self.sock, server_hostname=self._name)


class LiveResponse:
    """The body of a stream as it arrives."""

    def __init__(
        self,
        connection: http.client.HTTPConnection,
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
        self._idle: list[http.client.HTTPConnection] = []
        self._busy: set[http.client.HTTPConnection] = set()
        self._remembered: dict[str, tuple[str, Any]] = {}  # path -> ETag and answer of get()
        self._is_closed = False

    # ---- connections ----

    def _connection(self) -> http.client.HTTPConnection:
        timeout_s = self.config.connect_timeout_ms / 1000
        made = (
            _TlsConnection(self.config, timeout_s)
            if self.config.is_tls
            else http.client.HTTPConnection(self.config.host, self.config.port, timeout=timeout_s)
        )
        made.connect()
        return made

    def _take(self) -> http.client.HTTPConnection:
        while True:
            with self._lock:
                if self._is_closed:
                    raise FluvioError(ErrorKind.SOCKET, "the client is closed")
                found = self._idle.pop() if self._idle else None
                if found is not None:
                    self._busy.add(found)
            if found is None:
                found = self._connection()
                with self._lock:
                    self._busy.add(found)
                return found
            if not _is_stale(found.sock):
                return found
            self._drop(found)

    def _keep(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            self._busy.discard(connection)
            if not self._is_closed and len(self._idle) < IDLE_CONNECTIONS_MAX:
                self._idle.append(connection)
                return
        connection.close()

    def _drop(self, connection: http.client.HTTPConnection) -> None:
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
            if connection.sock is not None:
                connection.sock.settimeout(timeout_s)
            connection.request(method, self.config.prefix + path, body, self._headers(headers))
            response = connection.getresponse()
            if not _has_whole_head(response):
                raise http.client.IncompleteRead(b"")
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
            connection = self._connection()
            sock = connection.sock
            sock.settimeout(silence_s)
            connection.request("GET", self.config.prefix + path, headers=self._headers({"Accept": accept}))
            response = connection.getresponse()
            if response.status != 200:
                raise error_of_reply(response.status, response.headers, response.read())
            if response.headers.get_content_type() != accept:
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
