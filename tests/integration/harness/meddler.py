"""A proxy that remembers requests and breaks connections where it is told to: before a request reaches the server, after
the server answered but before the client hears of it, in the middle of the answer."""

import re
import socket
import threading
import urllib.parse

from harness import packets

BEFORE, AFTER, HALF = "before the server", "after the server", "in the middle of the answer"


class Meddler:
    def __init__(self, url):
        parts = urllib.parse.urlsplit(url)
        self._upstream = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.plan = []       # what happens to the next produce requests, one each; None = nothing
        self.batches = []    # the messages of each produce request that was received, broken or not
        self.headers = []    # and its headers
        self._open = set()
        self._is_closed = False
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._is_closed = True
        self._open.add(self._listener)  # closing alone leaves accept() waiting
        self.cut()

    def cut(self):
        """Breaks all connections."""
        for each in list(self._open):
            self._close(each)

    def _close(self, each):
        self._open.discard(each)
        try:
            each.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        each.close()

    def _accept(self):
        while not self._is_closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._is_closed:
                client.close()
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        self._open.add(client)
        server = None
        try:
            with client.makefile("rb") as reader:
                while (request := self._request(reader)) is not None:
                    head, body = request
                    deed = self._note(head, body)
                    if deed == BEFORE:
                        return
                    if server is None:
                        server = socket.create_connection(self._upstream)
                        self._open.add(server)
                    server.sendall(head + body)
                    if b"/stream?" in head.split(b"\r\n")[0]:
                        while data := server.recv(65536):
                            client.sendall(data)
                        return
                    answer = self._answer(server)
                    if deed == AFTER or answer is None:
                        return
                    client.sendall(answer[:len(answer) // 2] if deed == HALF else answer)
                    if deed == HALF:
                        return
        except OSError:
            pass
        finally:
            self._close(client)
            if server is not None:
                self._close(server)

    def _note(self, head, body):
        if b"/produce " not in head.split(b"\r\n")[0]:
            return None
        self.headers.append(head.decode())
        self.batches.append(body if b"Content-Encoding" in head else [content for _, content in packets.read(body)])
        return self.plan.pop(0) if self.plan else None

    @staticmethod
    def _request(reader):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = reader.readline()
            if not line:
                return None
            head += line
        length = re.search(rb"(?i)content-length: (\d+)", head)
        return head, reader.read(int(length[1])) if length else b""

    @staticmethod
    def _answer(server):
        """Whole answers of the server have a length."""
        got = b""
        while b"\r\n\r\n" not in got:
            data = server.recv(65536)
            if not data:
                return None
            got += data
        head, _, rest = got.partition(b"\r\n\r\n")
        length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])
        while len(rest) < length:
            data = server.recv(65536)
            if not data:
                return None
            rest += data
        return head + b"\r\n\r\n" + rest
