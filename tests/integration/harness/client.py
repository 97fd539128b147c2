"""A thin HTTP client: one method per call of the streaming API, and the assertions that every answer has to stand."""

import contextlib
import os

import requests

from harness import http2_client, wait

JSON = "application/json"
# "2": every client of the suite speaks HTTP/2 with prior knowledge.
HTTP_VERSION = os.environ.get("TIDEGATE_TEST_HTTP", "1")


class Client:
    def __init__(self, url, key=None, timeout=60 * wait.SLOWNESS, verify=True):
        self.url = url
        self.key = key
        self.verify = verify  # for https: the file with the certificate to trust
        self.timeout = timeout
        self.session = requests.Session()
        self.session.trust_env = False  # no proxies, no netrc
        self.session.verify = verify
        if HTTP_VERSION == "2":
            self.session.mount("http://", http2_client.Adapter())
        if key is not None:
            self.session.headers["X-API-Key"] = key

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.session.close()

    def request(self, method, path, **options):
        options.setdefault("timeout", self.timeout)
        return self.session.request(method, self.url + path, **options)

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, **options):
        return self.request("POST", path, **options)

    def is_ready(self):
        with contextlib.suppress(requests.RequestException):
            return self.get("/readyz", timeout=5).status_code == 200
        return False

    def metric(self, name):
        """The sum of the series of that name, or the one series `name{label="value"}`; fails when there is none."""
        found = [line.rpartition(" ") for line in self.get("/metrics").text.splitlines()]
        values = [float(value) for series, _, value in found if series == name or series.startswith(name + "{")]
        assert values, f"no metric {name}"
        return sum(values)

    # ---- topics ----

    def create(self, name, partitions=None, **members):
        body = {"name": name, **members}
        if partitions is not None:
            body["partitions"] = partitions
        return self.post("/topics", json=body)

    def make(self, name, partitions=1, **members):
        """Creates a topic that must be new, and returns its name."""
        answer = self.create(name, partitions, **members)
        assert answer.status_code == 201, answer.text
        return name

    def info(self, topic):
        return ok(self.get(f"/topics/{topic}"))

    def ends(self, topic):
        """The next offset of each partition, in order."""
        return [p["end_offset"] for p in self.info(topic)["partition_info"]]

    # ---- data ----

    def produce(self, topic, messages, headers=None, **options):
        return self.post(f"/topics/{topic}/produce", json={"messages": messages}, headers=headers, **options)

    def put(self, topic, messages, **options):
        """Produces and returns the results as (partition, offset) pairs; anything but success fails."""
        body = ok(self.produce(topic, messages, **options))
        return [(r["partition"], r["offset"]) for r in body["results"]]

    def consume(self, topic, **body):
        return self.post(f"/topics/{topic}/consume", json=body)

    def take(self, topic, **body):
        """Consumes and returns the messages; anything but success fails."""
        return ok(self.consume(topic, **body))["messages"]

    def read_all(self, topic, partition=0, offset=0, page=1000):
        """Every message of a partition by pure reads."""
        messages = []
        while got := self.take(topic, partition=partition, offset=offset, max_messages=page, max_bytes=8 << 20):
            messages += got
            offset = got[-1]["offset"] + 1
        return messages

    def commit(self, topic, group, offsets, **members):
        """offsets: {partition: offset}"""
        entries = [{"partition": p, "offset": o} for p, o in offsets.items()]
        return self.post(f"/topics/{topic}/commit", json={"group_id": group, "offsets": entries, **members})

    def group(self, topic, group):
        return ok(self.get(f"/topics/{topic}/groups/{group}"))

    def committed(self, topic, group):
        """{partition: committed offset}, partitions without a position left out."""
        return {p["partition"]: p["committed_offset"] for p in self.group(topic, group)["partitions"]
                if p["committed_offset"] is not None}


def ok(response, status=200):
    """The JSON body of a success."""
    assert response.status_code == status, f"{response.status_code} instead of {status}: {response.text[:500]}"
    assert response.headers["Content-Type"].split(";")[0] == JSON, response.headers
    body = response.json()
    assert "error" not in body, body
    return body


def refused(response, status, code, says=None):
    """Checks the error envelope to the last member, and returns the error object."""
    assert response.status_code == status, f"{response.status_code} instead of {status} {code}: {response.text[:500]}"
    assert response.headers["Content-Type"].split(";")[0] == JSON, response.headers
    body = response.json()
    assert set(body) <= {"error", "performance"}, body
    error = body["error"]
    assert {"code", "message"} <= set(error) <= {"code", "message", "detail"}, error
    assert error["code"] == code, error
    # A sentence that helps: more than one word, and not a bare status text.
    assert isinstance(error["message"], str) and len(error["message"].split()) >= 3, error
    if "detail" in error:
        assert isinstance(error["detail"], dict), error
    if status in (429, 503):
        assert int(response.headers["Retry-After"]) >= 1, response.headers
    if says is not None:
        assert says in error["message"], error
    return error


def pairs(messages):
    return [(m["partition"], m["offset"]) for m in messages]


def values(messages):
    return [m["value"] for m in messages]
