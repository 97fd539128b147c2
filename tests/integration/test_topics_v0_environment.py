"""The environment of the topics API's own server: TOPICS_… variables, and keys that are listed in one (sections 2, 15)."""

import pytest

from harness.client import Client, refused
from harness.gateway import Gateway, run
from harness.live import Stream
from harness.v0 import V0, fine

KEYS = "all-of-it, reader:read, writer::orders.|logs., mixed:r+W+del:orders."


@pytest.fixture
def worker(fresh_database):
    made = []

    def start(**variables):
        made.append(Gateway(fresh_database, **variables))
        return made[-1].start(ready="TOPICS_PROBE_AUTH" not in variables)
    yield start
    for process in made:
        process.finish()


def test_listed_keys_do_what_their_entries_say(worker, fresh_database):
    gateway = worker(TOPICS_API_KEYS=KEYS)
    with Client(gateway.url) as nobody:
        refused(nobody.get("/v0/topics"), 401, "unauthorized")
        assert nobody.get("/v0/health").status_code == 200
    with V0(gateway.url, key="wrong") as wrong:
        refused(wrong.get("/v0/topics"), 401, "unauthorized")
    with V0(gateway.url, key="all-of-it") as owner, V0(gateway.url, key="reader") as reader, \
            V0(gateway.url, key="writer") as writer, V0(gateway.url, key="mixed") as mixed:
        fine(owner.write("orders.a", [{"data": 1}]), 201)
        fine(writer.write("logs.a", [{"data": 1}]), 201)
        refused(writer.write("other", [{"data": 1}]), 403, "forbidden")
        fine(mixed.write("orders.a", [{"data": 2}]))
        refused(mixed.put_topic("orders.b"), 403, "forbidden")
        assert [topic["topic"] for topic in fine(mixed.get("/v0/topics"))["topics"]] == ["orders.a"]
        assert len(reader.read("orders.a")["records"]) == 2
        refused(reader.write("orders.a", [{"data": 3}]), 403, "forbidden")
        # Unknown sub-routes of a topic belong to writers; a known one's other methods are told to everybody.
        refused(reader.get("/v0/topics/orders.a/nothing"), 403, "forbidden")
        refused(owner.get("/v0/topics/orders.a/nothing"), 404, "not_found")
        refused(reader.get("/v0/topics/orders.a/diff"), 405, "method_not_allowed")
        refused(reader.get("/v0/nothing"), 404, "not_found")
        # As any other key: in a header of the other name, and as a watch session's owner.
        watch = fine(reader.post("/v0/watch", json={"topics": {"orders.a": {}}}))
        refused(owner.get(watch["stream_url"]), 401, "unauthorized")
        with Client(gateway.url) as browser, Stream(browser, f"{watch['stream_url']}?token=reader") as stream:
            assert stream.next().data["to_seq"] == 2
    # A key in the database counts beside them.
    made = run("key", "create", "--scopes", "read", database=fresh_database).stdout.strip()
    with V0(gateway.url, key=made) as client:
        assert len(client.read("orders.a")["records"]) == 2


def test_a_listed_key_with_an_unknown_scope_stops_the_start(fresh_database):
    done = run("serve", database=fresh_database, check=False, api_keys="hush:reed")
    assert done.returncode != 0
    assert "key 1 has an unknown scope" in done.stderr and "hush" not in done.stderr


def test_limits_by_their_names_and_probes_that_ask(worker):
    gateway = worker(TOPICS_API_KEYS="k", TOPICS_PROBE_AUTH="1", TOPICS_MAX_BATCH_RECORDS="2", TOPICS_MAX_TOPICS="1",
                     TOPICS_MAX_CLAIM="2")
    with Client(gateway.url) as nobody:
        for path in ("/v0/health", "/v0/ready", "/healthz", "/readyz"):
            refused(nobody.get(path), 401, "unauthorized")
    with V0(gateway.url, key="k") as client:
        assert client.get("/v0/ready").status_code == client.get("/healthz").status_code == 200
        fine(client.put_topic("jobs", type="queue"), 201)
        refused(client.put_topic("more"), 429, "throttled")
        refused(client.write("jobs", [{"data": i} for i in range(3)]), 400, "batch_too_large")
        fine(client.write("jobs", [{"data": 1}, {"data": 2}]))
        fine(client.write("jobs", [{"data": 3}]))
        assert fine(client.post("/v0/topics/jobs/claim", json={"node": "n", "max": 10}))["count"] == 2
        body = client.post("/v0/topics/jobs/ack", json={"node": "n", "seqs": [1, 2, 3]})
        assert refused(body, 400, "batch_too_large")["detail"] == {"seqs": 3, "max": 2}
