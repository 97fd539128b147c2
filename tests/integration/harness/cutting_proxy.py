"""A TCP proxy that cuts connections: what lies between a client and a gateway when the network is bad."""

import contextlib
import random
import socket
import threading


class Proxy:
    """Forwards to (host, port). With cut_after, each connection is reset after so many bytes in both directions together,
    chosen at random for each or taken from an iterator; `refuse` closes new connections at once."""

    def __init__(self, host, port, cut_after=None, seed=7):
        self.target = (host, port)
        self.cut_after = cut_after  # (least, most) bytes, an iterator of bytes, or None
        self.refuse = False
        self.cuts = 0
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._sockets = set()
        self._is_over = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._is_over = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut_all()
        self._thread.join()

    def _accept(self):
        while not self._is_over:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self.refuse:
                near.close()
                continue
            try:
                far = socket.create_connection(self.target)
            except OSError:
                near.close()
                continue
            cut_after = self.cut_after  # once: the test may change it at any moment
            budget = None if cut_after is None else [self._budget_of(cut_after)]
            with self._lock:
                self._sockets |= {near, far}
            ends = []
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._forward, args=(source, sink, budget, ends), daemon=True).start()

    def _budget_of(self, cut_after):
        if isinstance(cut_after, tuple):
            return self._random.randint(*cut_after)
        return next(cut_after)

    def _forward(self, source, sink, budget, ends):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if budget is not None:
                    data = data[:max(budget[0], 0)]
                    budget[0] -= len(data)
                sink.sendall(data)
                if budget is not None and budget[0] <= 0:
                    self.cuts += 1
                    break
        with self._lock:
            self._cut(source, sink)
            ends.append(source)
            if len(ends) == 2:  # not before: the number of a closed one is given to the next, and the other thread may be at it
                for one in ends:
                    self._sockets.discard(one)
                    one.close()

    @staticmethod
    def _cut(*sockets):
        for one in sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def cut_all(self):
        with self._lock:
            self._cut(*self._sockets)
