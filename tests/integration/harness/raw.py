"""HTTP by hand, for what a decent client library refuses to send."""

import json
import socket
import time

from harness import wait


class Answer:
    def __init__(self, status, headers, body):
        self.status = self.status_code = status
        self.headers = headers
        self.body = body

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    def json(self):
        return json.loads(self.body)


class Headers(dict):
    """Names in any case; values of repeated names joined by ", "."""

    def __getitem__(self, name):
        return super().__getitem__(name.lower())

    def __contains__(self, name):
        return super().__contains__(name.lower())

    def get(self, name, default=None):
        return super().get(name.lower(), default)


class Connection:
    """One connection. receive() parses one response; eof() tells whether the server has closed."""

    def __init__(self, gateway, receive_buffer=None, tls=None):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(wait.DEADLINE_S)
        self.socket.connect((gateway.host, gateway.port))
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname=gateway.host, suppress_ragged_eofs=False)
        self.pending = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        if isinstance(data, str):
            data = data.encode("latin-1")
        self.socket.sendall(data)

    def send_until_refused(self, data):
        """Sends what the server takes; a reset is an answer too."""
        try:
            self.send(data)
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False

    def _more(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            raise EOFError("the server closed the connection")
        self.pending += data

    def _line(self):
        while b"\r\n" not in self.pending:
            self._more()
        line, _, self.pending = self.pending.partition(b"\r\n")
        return line.decode("latin-1")

    def _exactly(self, size):
        while len(self.pending) < size:
            self._more()
        data, self.pending = self.pending[:size], self.pending[size:]
        return data

    def receive(self, method="GET"):
        while True:
            version, status, *_ = self._line().split(" ", 2)
            assert version == "HTTP/1.1", version
            headers = Headers()
            while line := self._line():
                name, _, value = line.partition(":")
                name = name.strip().lower()
                headers.update({name: f"{headers.get(name)}, {value.strip()}" if name in headers else value.strip()})
            if status != "100":
                break
        body = b""
        if method != "HEAD" and status not in ("204", "304"):
            if headers.get("Transfer-Encoding") == "chunked":
                while size := int(self._line().split(";")[0], 16):
                    body += self._exactly(size)
                    assert self._exactly(2) == b"\r\n"
                while self._line():
                    pass
            elif "Content-Length" in headers:
                body = self._exactly(int(headers["Content-Length"]))
            else:
                try:
                    while True:
                        self._more()
                except EOFError:
                    body, self.pending = self.pending, b""
        return Answer(int(status), headers, body)

    def eof(self, deadline_s=wait.DEADLINE_S):
        """True once the server has closed; False when it has not until the deadline."""
        self.socket.settimeout(0.1)
        end = time.monotonic() + deadline_s
        while time.monotonic() < end:
            try:
                self._more()
            except EOFError:
                return True
            except TimeoutError:
                continue
        return False


def exchange(gateway, data, method="GET"):
    with Connection(gateway) as connection:
        connection.send_until_refused(data)
        return connection.receive(method)
