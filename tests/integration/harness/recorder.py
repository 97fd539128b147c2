"""A server that keeps what a producer sends to it, and stores nothing: for tests of what batches consist of."""

import http.server
import json
import threading

from harness import packets


class Recorder:
    """`batches`: the records of each produce request in the order of arrival, with the request's headers."""

    def __init__(self, topic, partitions):
        self.batches = []
        self.tags = []  # what was sent as If-None-Match with requests for the description
        self._topic, self._partitions = topic, partitions
        self._next = [0] * partitions
        self._lock = threading.Lock()
        recorder = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_):
                pass

            def answer(self, body, **headers):
                data = json.dumps(body).encode()
                self.send_response(200)
                for name, value in {"Content-Type": "application/json", "Content-Length": len(data), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def do_GET(self):
                self.answer(*recorder._describe(self.path, self.headers))

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.answer(recorder._take(dict(self.headers), body))

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _describe(self, path, headers):
        if path.startswith("/topics?"):
            return ({"topics": []},)
        with self._lock:
            self.tags.append(headers.get("If-None-Match"))
            info = [{"partition": p, "start_offset": 0, "end_offset": end, "records": end, "bytes": 0}
                    for p, end in enumerate(self._next)]
        return ({"name": self._topic, "partitions": self._partitions, "partition_info": info},)

    def _take(self, headers, body):
        records = [content for _, content in packets.read(body)]
        partition = records[0]["partition"]
        with self._lock:
            self.batches.append((headers, records))
            first, self._next[partition] = self._next[partition], self._next[partition] + len(records)
        return {"partitions": [{"partition": partition, "offset": first, "count": len(records)}]}
