"""The topics dialect (/v0): rules of requests and answers, topics, lists, probes (topics contract, sections 1 to 4, 14, 15)."""

import base64
import re
import threading

import pytest

from harness import wait
from harness.client import ok, refused
from harness.gateway import run
from harness.v0 import CONFIG_MEMBERS, V0, bare, fine, seqs

DEFAULTS = {"type": "log", "ttl_ms": 0, "cap_records": 0, "cap_bytes": 0, "discard": "old", "durable": False,
            "durability": "disk", "priority": None, "auto_priority": True, "auto_create": True,
            "idempotency_window_ms": 120000, "dedupe_node": True, "lease_ms": 30000, "claim_jitter_ms": 0,
            "max_deliveries": 0, "dead_letter": None, "leases_durable": False}
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def client(gateway):
    with V0(gateway.url) as made:
        yield made


# ---- put ----

def test_put_creates_with_defaults_and_replaces_the_whole_configuration(client, name):
    answer = client.request("PUT", f"/v0/topics/{name}")
    assert bare(fine(answer, 201)) == {"topic": name, "created": True, "config": DEFAULTS}
    body = fine(client.put_topic(name, durable=True, cap_records=5, priority=3, dead_letter="other"))
    assert body["created"] is False
    assert body["config"] == {**DEFAULTS, "durable": True, "durability": "fsync", "cap_records": 5, "priority": 3,
                              "dead_letter": "other"}
    assert fine(client.put_topic(name))["config"] == DEFAULTS
    assert set(client.state(name)["config"]) == CONFIG_MEMBERS


@pytest.mark.parametrize("sent,expected", [
    ({"durability": "memory", "durable": True}, {"durability": "memory", "durable": False}),
    ({"durable": True, "durability": None}, {"durability": "fsync", "durable": True}),
    ({"lease_ms": 1, "claim_jitter_ms": 99999}, {"lease_ms": 100, "claim_jitter_ms": 5000}),
    ({"lease_ms": 2**63}, {"lease_ms": 86400000}),
    ({"priority": -2000000000}, {"priority": -2000000000}),
    ({"unknown": [1], "discard": "reject"}, {"discard": "reject"}),
])
def test_configurations_are_resolved(client, name, sent, expected):
    assert fine(client.put_topic(name, **sent), 201)["config"] == {**DEFAULTS, **expected}


@pytest.mark.parametrize("config", [
    {"type": "heap"}, {"ttl_ms": -1}, {"ttl_ms": 1.5}, {"ttl_ms": None}, {"cap_records": "1"}, {"discard": "new"},
    {"discard": None}, {"durable": 1}, {"durable": None}, {"durability": "x"}, {"priority": 2**31}, {"dead_letter": "-x"},
    {"dead_letter": 1}, {"auto_create": None}, {"ttl_ms": 2**64},
], ids=str)
def test_bad_configurations_change_nothing(client, name, config):
    refused(client.put_topic(name, **config), 400, "invalid_request")
    refused(client.get(f"/v0/topics/{name}"), 404, "topic_not_found")


def test_the_type_is_fixed(client, name):
    client.make(name, type="queue")
    error = refused(client.put_topic(name), 409, "topic_exists_incompatible")
    assert error["detail"] == {"topic": name, "existing_type": "queue", "requested_type": "log"}
    fine(client.put_topic(name, type="queue", cap_records=3))
    refused(client.put_topic(name + "-d", type="queue", dead_letter=name + "-d"), 400, "invalid_request")


def test_one_of_racing_creators_gets_the_201(gateways, name):
    workers = gateways(2)
    statuses = []

    def create(worker):
        with V0(worker.url) as client:
            statuses.append(client.put_topic(name).status_code)

    threads = [threading.Thread(target=create, args=(workers[i % 2],)) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] * 11 + [201]


# ---- requests ----

@pytest.mark.parametrize("bad", ["-x", ".x", "a b", "a%2Fb", "%C3%A4", "a" * 256, "%00"])
def test_bad_names(client, bad):
    refused(client.request("PUT", f"/v0/topics/{bad}"), 400, "invalid_request")
    refused(client.post(f"/v0/topics/{bad}", json={"records": [{"data": 1}]}), 400, "invalid_request")
    refused(client.get(f"/v0/topics/{bad}"), 404, "topic_not_found")
    refused(client.diff(bad), 404, "topic_not_found")
    assert fine(client.drop(bad))["deleted"] is False


def test_names_are_percent_decoded_and_tell_case(client, name):
    client.make(f"{name}:a")
    assert client.state(f"{name}%3Aa")["topic"] == f"{name}:a"
    refused(client.get(f"/v0/topics/{name}:A"), 404, "topic_not_found")


@pytest.mark.parametrize("method,path,data,headers,status,code", [
    ("PUT", "", "{}", {}, 415, "unsupported_media_type"),
    ("PUT", "", "{}", {"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
    ("PUT", "", "", JSON, 400, "invalid_request"),
    ("PUT", "", "[]", JSON, 400, "invalid_request"),
    ("PUT", "", "{", JSON, 400, "invalid_request"),
    ("PUT", "", "{}x", JSON, 400, "invalid_request"),
    ("POST", "", "", {}, 415, "unsupported_media_type"),
    ("POST", "", '{"records":[]}', JSON, 400, "invalid_request"),
    ("POST", "", "{}", JSON, 400, "invalid_request"),
    ("POST", "", '{"records":[{}]}', JSON, 400, "invalid_request"),
    ("POST", "", '{"records":{"data":1}}', JSON, 400, "invalid_request"),
    ("POST", "", '{"records":null}', JSON, 400, "invalid_request"),
    ("POST", "", '{"records":[{"data":1,"tag":1}]}', JSON, 400, "invalid_request"),
    ("POST", "", '{"records":[{"data":1,"meta":[]}]}', JSON, 400, "invalid_request"),
    ("POST", "", '{"records":[{"data":1}],"create":1}', JSON, 400, "invalid_request"),
    ("POST", "", '{"records":[{"data":1}],"disable_backpressure":null}', JSON, 400, "invalid_request"),
    ("POST", "/diff", "{}", {}, 415, "unsupported_media_type"),
    ("POST", "/diff", '{"from_seq":-1}', JSON, 400, "invalid_request"),
    ("POST", "/diff", '{"from_seq":1.0}', JSON, 400, "invalid_request"),
    ("POST", "/diff", '{"limit":4294967296}', JSON, 400, "invalid_request"),
    ("POST", "/diff", '{"limit":null}', JSON, 400, "invalid_request"),
    ("POST", "/diff", '{"node":[1]}', JSON, 400, "invalid_request"),
    ("POST", "/diff", '{"include_tags":"yes"}', JSON, 400, "invalid_request"),
    ("POST", "/delete", "", {}, 415, "unsupported_media_type"),
    ("POST", "/delete", "{}", JSON, 400, "invalid_request"),
    ("POST", "/delete", '{"match":null,"before_seq":null}', JSON, 400, "invalid_request"),
    ("POST", "/delete", '{"before_seq":"1"}', JSON, 400, "invalid_request"),
    ("POST", "/delete", '{"match":["tag","Like","x"]}', JSON, 400, "invalid_request"),
    ("POST", "/delete", '{"match":["node","Eq","x"]}', JSON, 400, "invalid_request"),
    ("POST", "/delete", '{"match":["tag","Eq"]}', JSON, 400, "invalid_request"),
    ("POST", "/delete", '{"match":["tag","Eq","x","y"]}', JSON, 400, "invalid_request"),
    ("POST", "/delete", '{"match":["tag","Glob","x"]}', JSON, 400, "invalid_request"),
    ("POST", "/delete", '{"match":7}', JSON, 400, "invalid_request"),
    ("GET", "/delete", None, {}, 405, "method_not_allowed"),
    ("DELETE", "/delete", None, {}, 405, "method_not_allowed"),
    ("PATCH", "", "{}", JSON, 405, "method_not_allowed"),
    ("GET", "/nothing/here", None, {}, 404, "not_found"),
], ids=str)
def test_wrong_requests_are_told_before_the_topic_is_missed(client, name, method, path, data, headers, status, code):
    refused(client.request(method, f"/v0/topics/{name}{path}", data=data, headers=headers), status, code)
    refused(client.get(f"/v0/topics/{name}"), 404, "topic_not_found")


def test_what_is_missing_is_named(client, name):
    for answer in (client.get(f"/v0/topics/{name}"), client.diff(name), client.erase(name, before_seq=1),
                   client.write(name, [{"data": 1}], create=False)):
        assert refused(answer, 404, "topic_not_found")["detail"] == {"topic": name}
    refused(client.get("/v0/nowhere"), 404, "not_found")


def test_a_body_over_the_limit_is_413(fleet, database, name):
    worker = fleet.start(database, max_body_bytes=2000)
    with V0(worker.url) as client:
        refused(client.write(name, [{"data": "x" * 3000}]), 413, "payload_too_large")


# ---- state and list ----

def test_the_state_of_a_topic_and_its_clocks(client, name):
    client.make(name)
    body = client.state(name)
    assert (body["head_seq"], body["earliest_seq"], body["next_seq"], body["count"], body["bytes"]) == (0, 1, 1, 0, 0)
    assert (body["last_write_ts"], body["last_read_ts"], body["effective_priority"], body["type"]) == (None, None, 0, "log")
    assert "queue" not in body
    written = client.add(name, [{"data": {"n": 1}, "meta": {"a": 1}}, {"data": "x"}])
    assert written["head_seq"] == 2
    body = client.state(name)
    assert (body["count"], body["bytes"], body["last_read_ts"]) == (2, len('{"n":1}{"a":1}"x"'), None)
    assert body["last_write_ts"] == client.read(name)["records"][0]["$ts"]
    first = client.state(name)["last_read_ts"]
    assert first is not None
    wait.until(lambda: client.read(name) and client.state(name)["last_read_ts"] > first, "every read moves the clock")
    body = fine(client.get(f"/v0/topics/{name}"))
    assert 400 < body["effective_priority"] <= 500 and body["last_read_ts"] > first
    fine(client.put_topic(name, priority=5000))
    assert client.state(name)["effective_priority"] == 1000
    fine(client.put_topic(name, auto_priority=False))
    assert client.state(name)["effective_priority"] == 0


def test_lists_go_on_with_cursors_that_need_no_escapes(client, name):
    names = [f"{name}.{i:02}" for i in range(25)] + [f"{name}:z"]
    for one in names:
        client.make(one)
    client.add(names[3], [{"data": 12}, {"data": 1}])
    found, cursor = [], ""
    while True:
        body = fine(client.get(f"/v0/topics?prefix={name}&page_size=7&cursor={cursor}"))
        assert len(body["topics"]) <= 7
        found += body["topics"]
        if "next_cursor" not in body:
            break
        cursor = body["next_cursor"]
        assert re.fullmatch("[A-Za-z0-9_-]+", cursor)
    assert [entry["topic"] for entry in found] == sorted(names)
    assert found[sorted(names).index(names[3])] == {"topic": names[3], "head_seq": 2, "earliest_seq": 1, "count": 2, "bytes": 3,
                                                    "durable": False, "effective_priority": 0}
    touched = fine(client.get(f"/v0/topics?prefix={name}.0&touch=1"))["topics"]
    assert len(touched) == 10 and all(400 < entry["effective_priority"] <= 500 for entry in touched)
    for broken in ("%", "%zz", "a", "!!!!", "/w=="):
        refused(client.get(f"/v0/topics?cursor={broken}"), 400, "invalid_request")
    assert len(fine(client.get(f"/v0/topics?prefix={name}&page_size=0"))["topics"]) == 1
    assert len(fine(client.get(f"/v0/topics?prefix={name}&page_size=x"))["topics"]) == 26


# ---- delete ----

def test_a_deleted_topic_begins_anew(client, name):
    client.make(name)
    client.add(name, [{"data": 1}], idempotency_key="k")
    error = refused(client.drop(name, "?if_empty=true"), 409, "topic_not_empty")
    assert error["detail"] == {"topic": name, "count": 1}
    assert bare(fine(client.drop(name))) == {"topic": name, "deleted": True, "routers_removed": []}
    assert bare(fine(client.drop(name))) == {"topic": name, "deleted": False, "routers_removed": []}
    refused(client.diff(name), 404, "topic_not_found")
    body = fine(client.write(name, [{"data": 2}], idempotency_key="k"), 201)
    assert (body["first_seq"], body["deduped"], body["created"]) == (1, False, True)
    fine(client.erase(name, before_seq=99))
    assert fine(client.drop(name, "?if_empty=1"))["deleted"] is True


# ---- limits ----

def test_the_limit_of_topics_is_for_new_ones(fleet, fresh_database):
    worker = fleet.start(fresh_database, max_topics=2)
    with V0(worker.url) as client:
        client.make("a")
        client.make("b")
        for answer in (client.put_topic("c"), client.write("c", [{"data": 1}])):
            assert refused(answer, 429, "throttled")["detail"] == {"limit": "max_topics", "max": 2}
        fine(client.put_topic("a", cap_records=1))
        refused(client.get("/v0/topics/c"), 404, "topic_not_found")


# ---- keys ----

@pytest.fixture
def keyed(fleet, fresh_database):
    """(worker, make_key): a worker that asks for keys."""
    def make_key(*options):
        done = run("key", "create", "--name", "test", *options, database=fresh_database)
        return re.search(r"tg_\w+", done.stdout)[0]
    run("migrate", database=fresh_database)
    admin = make_key("--scopes", "all")
    return fleet.start(fresh_database), make_key, admin


def test_scopes_and_prefixes(keyed):
    worker, make_key, admin = keyed
    with V0(worker.url) as anyone:
        refused(anyone.get("/v0/topics"), 401, "unauthorized")
        refused(anyone.get("/v0/nowhere"), 401, "unauthorized")
        refused(anyone.get(f"/v0/topics?token={admin}"), 401, "unauthorized")
        assert anyone.get("/v0/health").status_code == 200
        assert anyone.get("/v0/ready").status_code == 200
        refused(anyone.get("/v0/metrics"), 401, "unauthorized")
    reader, writer = make_key("--scopes", "read"), make_key("--scopes", "write", "--prefix", "mine.")
    with V0(worker.url, admin) as client:
        client.make("mine.a")
        client.make("theirs")
    with V0(worker.url) as client:
        client.session.headers["Authorization"] = f"Bearer {reader}"
        assert client.read("mine.a")["head_seq"] == 0
        refused(client.write("mine.a", [{"data": 1}]), 403, "forbidden")
        refused(client.put_topic("mine.a"), 403, "forbidden")
        refused(client.drop("mine.a"), 403, "forbidden")
    with V0(worker.url, writer) as client:
        client.add("mine.a", [{"data": 1}], config={"ttl_ms": 5})
        fine(client.write("mine.b", [{"data": 1}]), 201)
        refused(client.write("mine.c", [{"data": 1}], config={"ttl_ms": 5}), 403, "forbidden")
        refused(client.write("theirs", [{"data": 1}]), 403, "forbidden")
        refused(client.diff("mine.a"), 403, "forbidden")
    limited = make_key("--scopes", "read", "--prefix", "mine.")
    with V0(worker.url, limited) as client:
        assert [entry["topic"] for entry in fine(client.get("/v0/topics?page_size=1"))["topics"]] == ["mine.a"]
        assert [entry["topic"] for entry in fine(client.get("/v0/topics"))["topics"]] == ["mine.a", "mine.b"]
        assert 'topic="theirs"' not in client.get("/v0/metrics").text


# ---- probes ----

def test_health_and_readiness(client):
    for path in ("/v0/health", "/healthz"):
        body = ok(client.get(path))
        assert body["status"] == "ok" and body["version"] and body["uptime_ms"] >= 0
    for path in ("/v0/ready", "/readyz"):
        body = ok(client.get(path))
        assert body["status"] == "ready" and body["wal_replay_complete"] is True and body["topics"] >= 0


def test_metrics_in_text_and_json(fleet, fresh_database):
    worker = fleet.start(fresh_database)
    with V0(worker.url) as client:
        client.make("a", durable=True)
        client.make("b")
        client.make("q", type="queue")
        client.add("a", [{"data": 1}, {"data": 2}])
        answer = client.get("/v0/metrics")
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4"
        series = dict(line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#"))
        assert series["topics_topics"] == "3" and series['topics_topics_by_class{class="fsync"}'] == "1"
        assert series["topics_queue_topics"] == "1" and series["topics_records_live"] == "2"
        assert series['topics_topic_head_seq{topic="a"}'] == "2" and series['topics_topic_earliest_seq{topic="b"}'] == "1"
        assert series["topics_wal_fsync_latency_us_count"] == series["topics_wal_fsyncs_total"] == "1"
        assert series["topics_topic_metrics_truncated"] == "0" and series["topics_ready"] == "1"
        body = ok(client.get("/v0/metrics", headers={"Accept": "application/json"}))
        assert (body["topics"], body["topics_fsync"], body["topics_disk"], body["queue_topics"]) == (3, 1, 2, 1)
        assert body["ready"] is True and body["wal"]["frames"] == 1 and body["wal"]["fsyncs"] == 1
        assert body["records_live"] == 2 and body["bytes_live"] == 2


# ---- other dialects ----

def test_records_of_other_dialects_are_shown(client, name):
    assert client.post("/topics", json={"name": name}).status_code == 201
    values = ['{"a": [1,  2]}', "plain text", "17", '"quoted"', '{"broken"', ""]
    ok(client.post(f"/topics/{name}/produce", json={"messages": [{"value": value} for value in values]}))
    records = client.read(name)["records"]
    assert [record["data"] for record in records] == [
        {"a": [1, 2]}, {"$base64": base64.b64encode(b"plain text").decode()}, 17, "quoted",
        {"$base64": base64.b64encode(b'{"broken"').decode()}, {"$base64": ""}]
    client.add(name, [{"data": {"z": 1, "a": None}, "tag": "t", "node": "n"}])
    [message] = ok(client.post(f"/topics/{name}/consume", json={"offset": 6}))["messages"]
    assert message["value"] == '{"z":1,"a":null}'
    assert seqs(client.read(name, from_seq=6)) == [7]


def test_requests_of_one_key_are_limited(fresh_database, fleet):
    run("migrate", database=fresh_database)
    keys = [re.search(r"tg_\w+", run("key", "create", "--name", "test", "--scopes", "all", database=fresh_database).stdout)[0]
            for _ in range(2)]
    worker = fleet.start(fresh_database, topics_max_inflight_per_key=2)
    with V0(worker.url, keys[0]) as client, V0(worker.url, keys[1]) as other:
        client.make("t")

        def poll():
            """Until it gets a slot: the looks below take one for a moment."""
            with V0(worker.url, keys[0]) as poller:
                while poller.diff("t", wait_ms=30000).status_code == 429:
                    pass

        waiting = [threading.Thread(target=poll) for _ in range(2)]
        for thread in waiting:
            thread.start()
        [answer] = wait.until(lambda: (got := client.get("/v0/topics")).status_code == 429 and [got], "both slots are taken")
        assert refused(answer, 429, "throttled")["detail"] == {"limit": "max_inflight_per_key", "max": 2}
        assert client.get("/v0/health").status_code == 200
        fine(other.get("/v0/topics"))
        other.add("t", [{"data": 1}])
        for thread in waiting:
            thread.join()
        # A slot is given back when its answer is out, which may be read before.
        fine(wait.until(lambda: (got := client.get("/v0/topics")).status_code == 200 and got, "the slots are free again"))


def test_the_limit_of_bytes_holds_for_all_topics_together(fleet, fresh_database):
    workers = [fleet.start(fresh_database, max_total_bytes=1000) for _ in range(2)]
    with V0(workers[0].url) as first, V0(workers[1].url) as second:
        first.make("a")
        second.make("b")
        accepted = []

        def fill(client, topic):
            for i in range(20):
                answer = client.write(topic, [{"data": "x" * 48}], idempotency_key=f"{topic}-{i}")
                if answer.status_code == 200:
                    accepted.append(topic)
                else:
                    assert refused(answer, 429, "throttled")["detail"] == {"limit": "max_total_bytes", "max": 1000}

        threads = [threading.Thread(target=fill, args=pair) for pair in ((first, "a"), (second, "b"))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(accepted) == 20
        assert first.add("a", [{"data": "x" * 48}], idempotency_key="a-0")["deduped"] is True
        refused(first.write("new", [{"data": 1}]), 429, "throttled")
        refused(first.get("/v0/topics/new"), 404, "topic_not_found")
        fine(first.put_topic("a", cap_bytes=100))
        fine(second.write("new", [{"data": 1}]), 201)
