"""A webhook receiver on loopback, and the check of a webhook's signature by a library that is not the server's."""

import base64
import http.server
import json
import pathlib
import subprocess
import tempfile
import threading

from harness import wait


class Call:
    """One delivery as it arrived."""

    def __init__(self, headers, raw, path):
        self.headers = headers
        self.raw = raw
        self.path = path
        self.body = json.loads(raw)

    @property
    def streams(self):
        return {stream["path"]: stream for stream in self.body["streams"]}


class Receiver:
    """Answers each delivery with what `answer(call)` returns: (status, JSON-able body), or None for no answer at all."""

    def __init__(self, answer=None, host="127.0.0.1"):
        self.calls = []
        self.answer = answer or (lambda call: (200, {}))
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                call = Call(self.headers, raw, self.path)
                receiver.calls.append(call)
                reply = receiver.answer(call)
                if reply is None:
                    self.close_connection = True
                    return
                status, body, *headers = reply
                text = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # a gateway that is killed leaves a broken connection

        self.server = Server((host, 0), Handler)
        self.url = f"http://{host}:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def wait(self, count=1):
        """The delivery of that number, from 1."""
        wait.until(lambda: len(self.calls) >= count, f"{count} deliveries have arrived")
        return self.calls[count - 1]


def unpadded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def signature_is_valid(call, jwks):
    """By openssl, with the key that the signature names, over "<t>.<body>"."""
    parts = dict(part.split("=", 1) for part in call.headers["Webhook-Signature"].split(","))
    [key] = [key for key in jwks["keys"] if key["kid"] == parts["kid"]]
    der = bytes.fromhex("302a300506032b6570032100") + unpadded(key["x"])
    with tempfile.TemporaryDirectory() as home:
        home = pathlib.Path(home)
        (home / "key").write_bytes(der)
        (home / "message").write_bytes(parts["t"].encode() + b"." + call.raw)
        (home / "signature").write_bytes(unpadded(parts["ed25519"]))
        done = subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", home / "key", "-rawin",
                               "-in", home / "message", "-sigfile", home / "signature"], capture_output=True, check=False)
    return done.returncode == 0
