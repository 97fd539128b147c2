"""Durable streams over HTTP: a function per method, and the assertions that every answer has to stand."""

import requests

ZERO = "0" * 16 + "_" + "0" * 16
TEXT = "text/plain"
JSON = "application/json"


def token(count, size):
    return f"{count:016x}_{size:016x}"


class Streams:
    """One gateway's streams. A call sends exactly the headers that it is given."""

    def __init__(self, client):
        self.client = client

    def call(self, method, path, body=b"", query="", **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items() if value is not None}
        data = body.encode() if isinstance(body, str) else body
        answer = self.client.request(method, f"/v1/stream/{path}{query}", data=data or None, headers=named)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert "Stream-Next-Offset" in answer.headers["Access-Control-Expose-Headers"]
        assert answer.headers["Cache-Control"]
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400 and method != "HEAD":
            assert answer.json()["error"]["message"]
        return answer

    def put(self, path, body=b"", type=TEXT, **headers):
        return self.call("PUT", path, body, Content_Type=type, **headers)

    def post(self, path, body=b"", type=TEXT, **headers):
        return self.call("POST", path, body, Content_Type=type, **headers)

    def get(self, path, offset=None, **headers):
        return self.call("GET", path, query="" if offset is None else f"?offset={offset}", **headers)

    def head(self, path):
        return self.call("HEAD", path)

    def delete(self, path):
        return self.call("DELETE", path)

    # ---- what most tests want ----

    def make(self, path, body=b"", type=TEXT, **headers):
        answer = self.put(path, body, type, **headers)
        assert answer.status_code == 201, answer.text
        return path

    def add(self, path, body, type=TEXT, **headers):
        """Appends, and returns the new tail."""
        answer = self.post(path, body, type, **headers)
        assert answer.status_code in (200, 204), answer.text
        return answer.headers["Stream-Next-Offset"]

    def tail(self, path):
        answer = self.head(path)
        assert answer.status_code == 200
        return answer.headers["Stream-Next-Offset"]

    def read(self, path, offset=None):
        """The bytes from an offset to the tail, page by page."""
        got = b""
        while True:
            answer = self.get(path, offset)
            assert answer.status_code == 200, answer.text
            got += answer.content
            offset = answer.headers["Stream-Next-Offset"]
            if answer.headers.get("Stream-Up-To-Date") == "true":
                return got

    def producer(self, id, epoch, seq):
        return {"Producer_Id": id, "Producer_Epoch": str(epoch), "Producer_Seq": str(seq)}


def status_or_none(call):
    """The status of a call, or None when the connection broke."""
    try:
        return call().status_code
    except requests.RequestException:
        return None
