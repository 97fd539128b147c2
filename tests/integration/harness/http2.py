"""HTTP/2 with prior knowledge by hand, for what a decent client does not do."""

import contextlib
import socket
import time

import h2.events
import h2.settings

from harness import http2_client, wait


class Connection:
    """One connection and what happened on it."""

    def __init__(self, gateway, receive_buffer=None, window=None, tls=None):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(wait.DEADLINE_S)
        self.socket.connect((gateway.host, gateway.port))
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname=gateway.host)
        self.h2 = http2_client.machine(header_encoding="utf-8")
        self.h2.initiate_connection()
        if window is not None:
            self.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.authority = f"{gateway.host}:{gateway.port}"
        self.headers, self.bodies, self.ended, self.resets = {}, {}, set(), {}
        self.goaway = None
        self.is_closed = False
        self.grants_windows = True
        self.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def flush(self):
        data = self.h2.data_to_send()
        if data:
            self.socket.sendall(data)

    def ask(self, method, path, body=None, headers=(), end=True):
        """Sends a request and returns its stream's number; with end=False its body may go on."""
        number = self.h2.get_next_available_stream_id()
        self.h2.send_headers(number, [(":method", method), (":path", path), (":scheme", "http"),
                                      (":authority", self.authority), *headers], end_stream=end and body is None)
        if body is not None:
            self.h2.send_data(number, body, end_stream=end)
        self.flush()
        return number

    def post(self, path, body):
        return self.ask("POST", path, body, [("content-type", "application/json")])

    def reset(self, number):
        self.h2.reset_stream(number)
        self.flush()

    def receive(self):
        """Takes in what comes next; False at the end of the connection."""
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            self.is_closed = True
            return False
        for event in self.h2.receive_data(data):
            number = getattr(event, "stream_id", None)
            if isinstance(event, h2.events.ResponseReceived):
                self.headers[number] = dict(event.headers)
            elif isinstance(event, h2.events.DataReceived):
                self.bodies[number] = self.bodies.get(number, b"") + event.data
                if self.grants_windows:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, number)
            elif isinstance(event, h2.events.StreamEnded):
                self.ended.add(number)
            elif isinstance(event, h2.events.StreamReset):
                self.resets[number] = event.error_code
            elif isinstance(event, h2.events.ConnectionTerminated):
                self.goaway = event.error_code
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # what came before is still to be received
            self.flush()
        return True

    def until(self, condition):
        """Receives until condition() holds; fails when the connection ends or the deadline passes first."""
        deadline = time.monotonic() + wait.DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, "the deadline passed"
            assert self.receive(), f"the connection ended (GOAWAY {self.goaway})"

    def answer(self, number):
        """(status, body) of a finished exchange."""
        self.until(lambda: number in self.ended or number in self.resets)
        assert number not in self.resets or number in self.ended, f"reset with {self.resets[number]}"
        return int(self.headers[number][":status"]), self.bodies.get(number, b"")
