"""The httpmq dialect: one method per call, a subscription as a stream of lines, and what every answer has to stand."""

import base64
import json
import uuid

from harness import http2, live
from harness.client import HTTP_VERSION, Client

JSON_TYPE = "application/json"


class Mq(Client):
    """Methods return the response."""

    def streams(self):
        return self.get("/v1/admin/stream")

    def make_stream(self, name, **members):
        return self.post("/v1/admin/stream", data=json.dumps({"name": name, **members}))

    def stream(self, name):
        return fine(self.get(f"/v1/admin/stream/{name}"))["stream"]

    def state(self, name):
        return self.stream(name)["state"]

    def make_consumer(self, stream, name, mode="push", max_inflight=1, **members):
        body = {"name": name, "mode": mode, "max_inflight": max_inflight, **members}
        return self.post(f"/v1/admin/stream/{stream}/consumer", data=json.dumps(body))

    def consumer(self, stream, name):
        return fine(self.get(f"/v1/admin/stream/{stream}/consumer/{name}"))["consumer"]

    def standing(self, stream, name):
        """(delivered c/s), (floor c/s), ack pending, redelivered, pending: the columns of the contract's example."""
        c = self.consumer(stream, name)
        return ((c["delivered"]["consumer_seq"], c["delivered"]["stream_seq"]),
                (c["ack_floor"]["consumer_seq"], c["ack_floor"]["stream_seq"]),
                c["num_ack_pending"], c["num_redelivered"], c["num_pending"])

    def publish(self, subject, payload):
        return self.post(f"/v1/data/subject/{subject}", data=base64.b64encode(payload))

    def send(self, subject, *payloads):
        for payload in payloads:
            stored(self.publish(subject, payload))

    def publish_raw(self, subject, payload, **headers):
        sent = {f"Httpmq-Header-{name}": value for name, value in headers.items()}
        return self.post(f"/v1/data/subject/{subject}/raw", data=payload, headers=sent)

    def publish_batch(self, stream, *messages, **headers):
        """Messages are (subject, payload) or (subject, payload, headers)."""
        listed = [{"subject": subject, "b64_msg": base64.b64encode(payload).decode(), **({"headers": rest[0]} if rest else {})}
                  for subject, payload, *rest in messages]
        return self.post(f"/v1/data/stream/{stream}/batch", data=json.dumps({"messages": listed}), headers=headers)

    def ack(self, stream, consumer, sequence, number=1):
        return self._tell(stream, consumer, "ack", stream=sequence, consumer=number)

    def nack(self, stream, consumer, sequence, number, **members):
        return self._tell(stream, consumer, "nack", stream=sequence, consumer=number, **members)

    def fetch(self, stream, consumer, **members):
        """The messages, with their payloads decoded."""
        messages = fine(self._tell(stream, consumer, "fetch", **members))["messages"]
        for message in messages:
            message["payload"] = base64.b64decode(message.pop("b64_msg"))
        return messages

    def purge(self, stream, **members):
        return fine(self.post(f"/v1/admin/stream/{stream}/purge", data=json.dumps(members) if members else ""))["purged"]

    def _tell(self, of, name, verb, **members):
        return self.post(f"/v1/data/stream/{of}/consumer/{name}/{verb}", data=json.dumps(members))

    def subscribe(self, stream, consumer, subject, **query):
        extra = "".join(f"&{key}={value}" for key, value in query.items())
        return Subscription(self, f"/v1/data/stream/{stream}/consumer/{consumer}?subject_name={subject}{extra}")


class Subscription(live.Stream):
    """Lines of deliveries, over HTTP/1.1. Every line is checked to the letter."""

    def __init__(self, client, path):
        super().__init__(client, path, accept="*/*", headers={"Httpmq-Request-ID": "sub-1"})
        self.raw_lines = self.lines

    def deliver(self, count=1):
        """The next deliveries as (stream sequence, consumer sequence, payload)."""
        got = []
        for line in self.take(count):
            assert line["success"] is True and line["request_id"] == "sub-1", line
            assert set(line) == {"success", "request_id", "stream", "subject", "consumer", "sequence", "b64_msg"}, line
            got.append((line["sequence"]["stream"], line["sequence"]["consumer"], base64.b64decode(line["b64_msg"])))
        assert self.comments == [], "nothing but deliveries"
        return got

    def numbers(self, count):
        return [(s, c) for s, c, _ in self.deliver(count)]

    def _json_line(self, line):
        """As the base class, but the member `consumer` is data."""
        if line.strip() == "":
            self.comments.append(line)
            return
        line.encode("ascii")
        self._events.put(live.Event("message", json.loads(line), None))


class Subscription2:
    """The same as one stream of an HTTP/2 connection, which other requests may share."""

    def __init__(self, connection, stream, consumer, subject):
        self.connection = connection
        self.number = connection.ask("GET", f"/v1/data/stream/{stream}/consumer/{consumer}?subject_name={subject}")
        connection.until(lambda: self.number in connection.headers)
        self.taken = 0

    def deliver(self, count=1):
        def lines():
            return self.connection.bodies.get(self.number, b"").split(b"\n")[:-1]
        self.connection.until(lambda: len(lines()) >= self.taken + count)
        got = [json.loads(line) for line in lines()[self.taken:self.taken + count]]
        self.taken += count
        return [(g["sequence"]["stream"], g["sequence"]["consumer"], base64.b64decode(g["b64_msg"])) for g in got]

    def reset(self):
        self.connection.reset(self.number)


def fine(response):
    """The body of a success, whose envelope is checked."""
    assert response.status_code == 200, f"{response.status_code}: {response.text[:500]}"
    assert response.headers["Content-Type"] == JSON_TYPE
    body = response.json()
    assert body["success"] is True and "error" not in body, body
    assert body["request_id"] == response.headers["Httpmq-Request-ID"] != ""
    return body


def done(response):
    """A success without a payload."""
    assert set(fine(response)) == {"success", "request_id"}


def stored(response):
    """The sequence that a published message got."""
    body = fine(response)
    assert set(body) == {"success", "request_id", "stream", "sequence", "timestamp"}, body
    return body["sequence"]


def refused(response, status, code=None):
    assert response.status_code == status, f"{response.status_code} instead of {status}: {response.text[:500]}"
    assert response.headers["Content-Type"] == JSON_TYPE
    body = response.json()
    assert set(body) == {"success", "request_id", "error"} and body["success"] is False, body
    assert body["request_id"] == response.headers["Httpmq-Request-ID"] != ""
    assert body["error"]["code"] == (code or status), body
    assert len(body["error"]["message"].split()) >= 3, body


def new_name():
    """As the public clients name everything."""
    return str(uuid.uuid4())


def connect2(gateway):
    return http2.Connection(gateway)


SPEAKS_HTTP_2 = HTTP_VERSION == "2"
