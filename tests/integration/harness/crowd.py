"""Very many event streams at once, read by one thread: only what they received as a whole matters."""

import selectors
import socket
import threading
import urllib.parse

from harness import wait


class Crowd:
    def __init__(self, url, paths):
        parts = urllib.parse.urlsplit(url)
        self._selector = selectors.DefaultSelector()
        self._sockets = []
        self.received = []  # bytes of each
        for path in paths:
            made = socket.create_connection((parts.hostname, parts.port))
            made.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n".encode())
            made.setblocking(False)
            self._selector.register(made, selectors.EVENT_READ, len(self._sockets))
            self._sockets.append(made)
            self.received.append(bytearray())
        self._is_over = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._is_over = True
        self._thread.join()
        for made in self._sockets:
            made.close()

    def _read(self):
        while not self._is_over:
            for key, _ in self._selector.select(0.1):
                data = key.fileobj.recv(65536)
                self.received[key.data] += data
                if not data:
                    self._selector.unregister(key.fileobj)

    def all_have(self, texts):
        wanted = [t.encode() for t in texts]
        return all(w in bytes(got) for got in self.received for w in wanted)

    def wait_for(self, text, what):
        wait.until(lambda: self.all_have([text]), what, deadline_s=60 * wait.SLOWNESS, pause_s=0.1)
