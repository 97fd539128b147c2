"""The topics dialect (/v0): writing, reading, losing and deleting records (topics contract, sections 5 to 9 and 16)."""

import concurrent.futures
import os
import threading
import time

import pytest

from harness import wait
from harness.client import refused
from harness.v0 import V0, bare, fine, seqs

SETTINGS = {"janitor_interval_ms": 50}
TAGGED = int(os.environ.get("TIDEGATE_TEST_TAGGED_RECORDS", "60000"))


@pytest.fixture
def client(gateway):
    with V0(gateway.url) as made:
        yield made


def numbers(first, count, **members):
    return [{"data": i, **members} for i in range(first, first + count)]


# ---- writing ----

def test_a_write_creates_numbers_and_answers(client, name):
    body = fine(client.write(name, [{"data": {"n": 1}, "tag": "t:7", "node": "eu-1", "meta": {"h": "v"}}, {"data": None}],
                             node="all", return_seqs=True), 201)
    assert bare(body) == {"topic": name, "first_seq": 1, "last_seq": 2, "seqs": [1, 2], "head_seq": 2, "count": 2,
                          "created": True, "deduped": False}
    assert body["performance"]["fsync_ms"] == 0 and "wal_append_ms" in body["performance"]
    assert "seqs" not in fine(client.write(name, [{"data": 3}], query="?return_seqs=0"))
    body = client.read(name, include_tags=True)
    first, second, third = body["records"]
    assert {**first, "$ts": 0} == {"$seq": 1, "$ts": 0, "$node": "eu-1", "$tag": "t:7", "data": {"n": 1}, "meta": {"h": "v"}}
    assert set(second) == {"$seq", "$ts", "$node", "data"} and second["$node"] == "all"
    assert set(third) == {"$seq", "$ts", "data"}
    assert body["performance"]["records_scanned"] == 3
    assert "meta" not in client.read(name, include_meta=False)["records"][0]
    assert "$tag" not in client.read(name)["records"][0]


@pytest.mark.parametrize("text,stored", [
    ('{ "b" : 1.0e5 ,\n "a" : "\\u0000 \\ud83d\\ude00 \\/" , "b" : [ ] }', '{"b":1.0e5,"a":"\\u0000 \\ud83d\\ude00 \\/","b":[]}'),
    ("1.000", "1.000"), ("-0", "-0"), ("null", "null"), ('""', '""'), ("123456789012345678901234567890", "123456789012345678901234567890"),
    ('"\\ud800 alone"', '"\\ud800 alone"'), ('"a\u00e4\u20ac"', '"a\u00e4\u20ac"'),
])
def test_data_and_meta_come_back_as_they_were_sent(client, name, text, stored):
    sent = f'{{"records":[{{"meta":{{ "m" : {text} }},"data": {text} }}]}}'.encode()
    headers = {"Content-Type": "application/json; charset=utf-8"}
    fine(client.post(f"/v0/topics/{name}", data=sent, headers=headers), 201)
    assert f'"data":{stored},"meta":{{"m":{stored}}}'.encode() in client.diff(name).content


def test_creation_on_write(client, name):
    refused(client.write(name, [{"data": 1}], create=False), 404, "topic_not_found")
    refused(client.write(name, [{"data": 1}], config={"auto_create": False}), 404, "topic_not_found")
    refused(client.write(name, [{"data": 1}, {"data": 2}], config={"discard": "reject", "cap_records": 1}), 400, "record_too_large")
    refused(client.write(name, [{"data": 1}], config={"type": "queue", "dead_letter": name}), 400, "invalid_request")
    refused(client.get(f"/v0/topics/{name}"), 404, "topic_not_found")
    body = fine(client.write(name, [{"data": 1}], create=True, config={"auto_create": False, "cap_records": 9}), 201)
    assert body["created"] is True
    assert client.state(name)["config"]["cap_records"] == 9
    assert client.add(name, [{"data": 1}], create=True, config={"cap_records": 1})["created"] is False
    assert client.state(name)["config"]["cap_records"] == 9
    assert client.add(name, [{"data": 1}], create=False)["created"] is False


@pytest.mark.parametrize("record,code", [
    ({"data": "x" * (1 << 20)}, "record_too_large"),
    ({"data": "x" * ((1 << 20) - 10), "meta": {"a": "12345"}}, "record_too_large"),
    ({"data": 1, "tag": "t" * 257}, "invalid_request"),
    ({"data": 1, "node": "n" * 129}, "invalid_request"),
    ({"data": 1, "meta": {"a": "x" * (16 << 10)}}, "invalid_request"),
    ({"data": 1, "meta": {str(i): 1 for i in range(65)}}, "invalid_request"),
])
def test_records_over_a_limit_are_refused_and_those_at_it_accepted(client, name, record, code):
    refused(client.write(name, [{"data": 0}, record]), 400, code)
    refused(client.get(f"/v0/topics/{name}"), 404, "topic_not_found")


def test_the_largest_records_and_batches(client, name):
    records = [{"data": "x" * ((1 << 20) - 2)}, {"data": 1, "tag": "t" * 256, "node": "n" * 128,
                                                 "meta": {f"{i:02}": "x" for i in range(64)}}]
    assert fine(client.write(name, records), 201)["count"] == 2
    assert seqs(client.read(name)) == [1]
    assert seqs(client.read(name, max_batch_bytes=2 << 20)) == [1, 2]
    refused(client.write(name, numbers(0, 10001)), 400, "batch_too_large")
    body = client.add(name, numbers(0, 10000))
    assert (body["first_seq"], body["last_seq"], len(body["seqs"])) == (3, 10002, 10000)
    refused(client.write(name, [{"data": 1}], idempotency_key="k" * 257), 400, "invalid_request")
    refused(client.write(name, [{"data": 1}], headers={"Idempotency-Key": "k" * 257}), 400, "invalid_request")


# ---- idempotency ----

def test_a_repeat_gets_the_original_answer(gateways, name):
    first, second = (V0(worker.url) for worker in gateways(2))
    original = bare(fine(first.write(name, numbers(0, 3), idempotency_key="k"), 201))
    first.add(name, numbers(3, 2))
    repeat = bare(second.add(name, [{"data": "another payload"}], idempotency_key="k"))
    assert repeat == {**original, "created": False, "deduped": True}
    assert bare(second.add(name, [{"data": 1}], headers={"Idempotency-Key": "k"})) == repeat
    body = second.add(name, [{"data": 1}], idempotency_key="other", headers={"Idempotency-Key": "k"})
    assert (body["deduped"], body["first_seq"]) == (False, 6)
    assert seqs(first.read(name)) == [1, 2, 3, 4, 5, 6]


def test_after_the_window_the_key_is_free(client, name):
    client.make(name, idempotency_window_ms=1)
    client.add(name, [{"data": 1}], idempotency_key="k")
    time.sleep(0.05)
    assert client.add(name, [{"data": 1}], idempotency_key="k")["deduped"] is False


def test_a_refused_write_leaves_no_key_and_a_repeat_is_answered_on_a_full_topic(client, name):
    client.make(name, discard="reject", cap_records=2)
    client.add(name, [{"data": 1}], idempotency_key="a")
    client.add(name, [{"data": 1}], idempotency_key="b")
    refused(client.write(name, [{"data": 1}], idempotency_key="c"), 422, "topic_full")
    assert client.add(name, [{"data": 1}], idempotency_key="a")["deduped"] is True
    fine(client.erase(name, before_seq=2))
    assert client.add(name, [{"data": 1}], idempotency_key="c")["deduped"] is False


def test_racing_repeats_append_once(gateways, name):
    workers = gateways(2)
    V0(workers[0].url).make(name)
    answers = []

    def repeat(worker):
        with V0(worker.url) as client:
            answers.append(bare(client.add(name, numbers(0, 5), idempotency_key="once")))

    threads = [threading.Thread(target=repeat, args=(workers[i % 2],)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer["deduped"] for answer in answers) == [False] + [True] * 15
    assert {tuple(answer["seqs"]) for answer in answers} == {(1, 2, 3, 4, 5)}


# ---- full topics ----

def test_a_rejecting_topic_is_full_and_says_where_it_stands(client, name):
    client.make(name, discard="reject", cap_records=3, cap_bytes=100)
    client.add(name, numbers(10, 3))
    error = refused(client.write(name, [{"data": 1}]), 422, "topic_full")
    assert error["detail"] == {"topic": name, "cap_records": 3, "cap_bytes": 100, "head_seq": 3, "earliest_seq": 1}
    refused(client.write(name, numbers(0, 4)), 400, "record_too_large")
    refused(client.write(name, [{"data": "x" * 100}]), 400, "record_too_large")
    fine(client.erase(name, before_seq=2))
    assert client.add(name, [{"data": 1}])["last_seq"] == 4
    assert seqs(client.read(name)) == [2, 3, 4]
    assert client.read(name)["tombstone"] is None


def test_the_example_of_a_cap(client, name):
    client.make(name, cap_records=3)
    for i in range(6):
        client.add(name, [{"data": i}])
    body = client.read(name)
    assert body["tombstone"] == {"gap_from": 1, "gap_to": 3, "reason": "cap", "missed_estimate": 3, "earliest_seq": 4,
                                 "head_seq": 6}
    assert (seqs(body), body["earliest_seq"]) == ([4, 5, 6], 4)
    assert client.read(name, from_seq=3)["tombstone"] is None
    fine(client.erase(name, match=["tag", "Eq", "none"]))
    fine(client.put_topic(name))
    assert client.read(name, from_seq=2)["tombstone"]["gap_from"] == 3


def test_expiry_takes_a_prefix_and_names_its_reason(client, database, name):
    client.make(name, cap_records=4)
    client.add(name, numbers(0, 6))
    database.psql("UPDATE tidegate.batch SET committed_ms = committed_ms - 3600000 WHERE topic_id = "  # an hour ago
                  f"(SELECT topic_id FROM tidegate.topic WHERE name = '{name}')")
    client.add(name, numbers(6, 1))
    fine(client.put_topic(name, ttl_ms=1_800_000, cap_records=4))
    state = client.state(name)
    assert (state["count"], state["earliest_seq"], state["head_seq"]) == (1, 7, 7)
    body = client.read(name)
    assert (seqs(body), body["tombstone"]["reason"], body["tombstone"]["gap_to"]) == ([7], "mixed", 6)
    assert client.read(name, from_seq=4)["tombstone"]["reason"] == "ttl"
    fine(client.put_topic(name))
    assert client.read(name, from_seq=6)["tombstone"] is None
    assert seqs(client.read(name, from_seq=6)) == [7]


# ---- reading ----

def test_limits_budgets_and_cursors(client, name):
    client.make(name)
    client.add(name, [{"data": "x" * 98} for _ in range(1100)])
    assert len(client.read(name)["records"]) == 256
    assert len(client.read(name, limit=0)["records"]) == 256
    assert len(client.read(name, limit=4294967295)["records"]) == 1000
    body = client.read(name, from_seq=1090, limit=4)
    assert (seqs(body), body["next_from_seq"], body["caught_up"], body["lag"]) == ([1091, 1092, 1093, 1094], 1094, False, 6)
    body = client.read(name, max_batch_bytes=350)
    assert (seqs(body), body["next_from_seq"]) == ([1, 2, 3], 3)
    assert seqs(client.read(name, max_batch_bytes=1)) == [1]
    body = client.read(name, from_seq=1100)
    assert (body["records"], body["caught_up"], body["lag"], body["tombstone"]) == ([], True, 0, None)
    body = client.read(name, from_seq=18446744073709551615, limit=1)
    assert body["tombstone"] == {"gap_from": 1, "gap_to": 1100, "reason": "recreated", "missed_estimate": 1100,
                                 "earliest_seq": 1, "head_seq": 1100}
    assert (seqs(body), body["next_from_seq"]) == ([1], 1)


def test_the_node_filter(client, name):
    client.make(name)
    client.add(name, [{"data": i, **({"node": f"n{i % 3}"} if i % 4 else {})} for i in range(1, 101)])
    body = client.read(name, node="n1")
    assert seqs(body) == [i for i in range(1, 101) if not (i % 4 and i % 3 == 1)]
    assert seqs(client.read(name, node=["n0", "n1", "n2"])) == [i for i in range(1, 101) if i % 4 == 0]
    body = client.read(name, node=["n0", "n1", "n2"], limit=2, from_seq=96)
    assert (seqs(body), body["next_from_seq"], body["caught_up"]) == ([100], 100, True)
    assert len(seqs(client.read(name, node="N1"))) == 100
    fine(client.put_topic(name, dedupe_node=False))
    assert len(seqs(client.read(name, node="n1"))) == 100


def test_a_long_poll_is_woken_by_a_write_on_another_worker(gateways, name):
    first, second = (V0(worker.url) for worker in gateways(2))
    first.make(name)
    answers = []
    threads = [threading.Thread(target=lambda c=c: answers.append(c.read(name, wait_ms=30000))) for c in
               (V0(first.url), V0(second.url))]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    begin = time.monotonic()
    first.add(name, [{"data": "now"}])
    for thread in threads:
        thread.join()
    assert time.monotonic() - begin < 10
    assert [seqs(answer) for answer in answers] == [[1], [1]]


def test_an_idle_long_poll_lasts_as_long_as_asked(client, name):
    client.make(name)
    begin = time.monotonic()
    body = client.read(name, wait_ms=400)
    assert time.monotonic() - begin >= 0.39
    assert (body["records"], body["caught_up"]) == ([], True)
    client.add(name, [{"data": 1, "node": "me"}])
    assert client.read(name, wait_ms=30000, from_seq=5)["tombstone"]["reason"] == "recreated"
    assert seqs(client.read(name, wait_ms=30000)) == [1]


# ---- deleting ----

def test_forms_of_match(client, name):
    client.make(name)
    tags = ["chat-42:a", "chat-42:b", "chat-420:x", "plain", "a*b", "*", "", "\u00e4:1", None]
    client.add(name, [{"data": 1, **({} if tag is None else {"tag": tag})} for tag in tags])

    def erase(match):
        return fine(client.erase(name, match=match))["deleted"]

    assert erase("chat-42:*") == 2
    assert erase(["tag", "Glob", "a**"]) == 1
    assert erase("chat-420:x") == 1
    assert erase(["tag", "Eq", "*"]) == 1
    assert erase(["tag", "Eq", ""]) == 1
    assert erase(["tag", "Glob", "\u00e4*"]) == 1
    assert erase(["tag", "Eq", "PLAIN"]) == 0
    assert erase("*") == 1
    assert seqs(client.read(name)) == [9]


def test_deletes_are_silent_and_move_the_front_only_from_the_front(client, name):
    client.make(name)
    client.add(name, [{"data": i, "tag": f"t{i}"} for i in range(1, 11)])
    assert fine(client.erase(name, match="t5"))["earliest_seq"] == 1
    assert fine(client.erase(name, match="t1"))["earliest_seq"] == 2
    body = fine(client.erase(name, before_seq=4, match="t*"))
    assert (body["deleted"], body["earliest_seq"], body["count"], body["head_seq"]) == (2, 4, 6, 10)
    body = client.read(name, limit=2)
    assert (seqs(body), body["tombstone"], body["next_from_seq"]) == ([4, 6], None, 6)
    body = fine(client.erase(name, before_seq=2**64 - 1))
    assert (body["deleted"], body["count"], body["bytes"], body["earliest_seq"]) == (6, 0, 0, 11)
    assert bare(client.read(name))["next_from_seq"] == 10
    assert client.add(name, [{"data": 1, "tag": "t1"}])["last_seq"] == 11
    assert fine(client.erase(name, match="t1"))["deleted"] == 1


def test_bytes_of_deleted_records_are_gone_from_the_database(client, database, name):
    client.make(name)
    client.add(name, [{"data": f"secret-{i}", "tag": f"s{i}"} for i in range(10)])
    fine(client.erase(name, match="s3"))
    [[text]] = database.psql("SELECT array_to_string(vals, ',') FROM tidegate.batch b JOIN tidegate.topic t USING (topic_id) "
                         f"WHERE t.name = '{name}'")
    assert "7365637265742d33" not in text and "7365637265742d34" in text


def held(database, name):
    """While nothing can be appended to the topic."""
    return database.holding("SELECT 'locked' FROM tidegate.head JOIN tidegate.topic USING (topic_id) "
                            f"WHERE name = '{name}' FOR UPDATE OF head")


def test_a_write_that_would_be_refused_for_load_can_wait_instead(gateways, database, name):
    [gateway] = gateways(1, lanes=1, lane_queue_bytes=1 << 20, database_timeout_ms=30_000)

    def write():
        with V0(gateway.url) as client:
            return client.write(name, [{"data": "x" * 700000}], disable_backpressure=True)

    with V0(gateway.url) as client:
        client.make(name, cap_records=1)
        client.add(name, numbers(0, 1))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        with held(database, name):
            writing = [pool.submit(write) for _ in range(8)]
            wait.until(lambda: gateway.metric("tidegate_append_throttled_total") > 0, "the queue is full")
        assert [fine(w.result())["count"] for w in writing] == [1] * 8


def test_a_write_that_makes_its_topic_is_not_refused_for_load_and_one_that_is_refused_makes_none(gateways, database, name):
    [gateway] = gateways(1, lanes=1, lane_connections=1, lane_queue_bytes=1 << 20, database_timeout_ms=30_000)
    large = [{"data": "x" * 700_000}]

    def write(topic, **members):
        with V0(gateway.url) as client:
            return client.write(topic, large, **members)

    with V0(gateway.url) as client, concurrent.futures.ThreadPoolExecutor(8) as pool:
        client.make(name)
        client.add(name, large)
        with held(database, name):
            waiting = [pool.submit(write, name)]
            wait.until(database.awaits_lock, "the first is on its way")
            waiting.append(pool.submit(write, name))
            wait.until(lambda: gateway.metric("tidegate_append_queue_bytes") > 700_000, "the second fills the queue")
            refused(write(name), 429, "throttled")
            made = pool.submit(write, name + "-made")
            wait.until(lambda: client.get(f"/v0/topics/{name}-made").status_code == 200, "its topic is there")
            assert not made.done()
        assert fine(made.result(), 201)["last_seq"] == 1
        assert [w.result().status_code for w in waiting] == [200, 200]


def test_many_tags_are_deleted_one_by_one_and_by_prefix(client, database, name):
    client.make(name)
    for first in range(0, TAGGED, 10000):
        client.add(name, [{"data": i, "tag": f"k:{i % 100}:{i}"} for i in range(first, min(first + 10000, TAGGED))])
    for i in (0, TAGGED // 2, TAGGED - 1):
        assert fine(client.erase(name, match=["tag", "Eq", f"k:{i % 100}:{i}"]))["deleted"] == 1
    assert fine(client.erase(name, match="k:7:*"))["deleted"] == TAGGED // 100
    body = fine(client.erase(name, match="k:*"))
    assert (body["deleted"], body["count"], body["bytes"]) == (TAGGED - 3 - TAGGED // 100, 0, 0)
    assert int(database.psql("SELECT count(*) FROM tidegate.batch_tag g JOIN tidegate.topic t USING (topic_id) "
                             f"WHERE t.name = '{name}'")[0][0]) == 0


@pytest.mark.parametrize("match", [["tag", "Eq", "k:0:7"], "k:3:12*"])
def test_deletes_by_tag_read_no_more_of_the_index_than_they_delete(fleet, fresh_database, name, match):
    def reads():
        query = "SELECT idx_scan, idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'batch_tag_pkey'"
        return [int(number) for number in fresh_database.psql(query)[0]]

    worker = fleet.start(fresh_database)
    with V0(worker.url) as client:
        client.make(name)
        client.add(name, [{"data": i, "tag": f"k:{i % 8}:{i // 8}"} for i in range(8000)])
        deleted = fine(client.erase(name, match=match))["deleted"]
    assert deleted == (1 if "Eq" in match else 11)
    worker.stop()  # a connection that ends tells what it has counted
    wait.until(lambda: reads()[0] > 0, "the scans are counted")
    assert reads()[1] <= 10 * deleted


def test_tags_go_with_what_retention_takes_and_with_the_topic(client, database, name):
    def tags():
        return int(database.psql("SELECT count(*) FROM tidegate.batch_tag")[0][0])

    before = tags()
    client.make(name, cap_records=1)
    for i in range(5):
        client.add(name, numbers(0, 50, tag=f"t{i}"))
    wait.until(lambda: tags() <= before + 50, "tags of evicted batches are removed")
    fine(client.drop(name))
    wait.until(lambda: tags() == before, "tags of the deleted topic are removed")


def test_deletes_beside_writes_lose_and_keep_exactly_what_they_should(gateways, name):
    workers = gateways(2)
    V0(workers[0].url).make(name)
    deleted = []
    done = threading.Event()

    def write():
        with V0(workers[0].url) as client:
            for i in range(60):
                client.add(name, [{"data": i, "tag": "even" if n % 2 == 0 else "odd"} for n in range(10)])
        done.set()

    def erase():
        with V0(workers[1].url) as client:
            while not done.is_set():
                deleted.append(fine(client.erase(name, match="even"))["deleted"])
            deleted.append(fine(client.erase(name, match="even"))["deleted"])

    threads = [threading.Thread(target=write), threading.Thread(target=erase)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with V0(workers[1].url) as client:
        body = client.read(name, limit=1000)
        assert sum(deleted) == 300 and len(body["records"]) == 300 and client.state(name)["count"] == 300
        assert {record["$seq"] % 2 for record in body["records"]} == {0}


# ---- crashes ----

def test_acknowledged_writes_and_deletes_survive_kill_9(fleet, fresh_database, name):
    worker = fleet.start(fresh_database)
    with V0(worker.url) as client:
        client.make(name, durable=True)
    written, erased, stop = set(), set(), threading.Event()

    def write(part):
        serial = 0
        while not stop.is_set():
            tag = f"{part}-{serial}"
            serial += 1
            try:
                with V0(worker.url) as client:
                    fine(client.write(name, [{"data": tag, "tag": tag}], idempotency_key=tag))
                    written.add(tag)
                    if serial % 3 == 0:
                        fine(client.erase(name, match=tag))
                        erased.add(tag)
            except Exception:  # noqa: BLE001 - the worker is being killed
                time.sleep(0.02)

    threads = [threading.Thread(target=write, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        time.sleep(0.5)
        worker.kill()
        worker.start()
    stop.set()
    for thread in threads:
        thread.join()
    with V0(worker.url) as client:
        found, at = [], 0
        while True:
            body = client.read(name, from_seq=at, limit=1000, include_tags=True)
            found += [record["$tag"] for record in body["records"]]
            at = body["next_from_seq"]
            if body["caught_up"]:
                break
        assert len(found) == len(set(found)) == client.state(name)["count"]
        assert written - erased <= set(found) | {f"{p}-{s}" for p in range(6) for s in range(2, 100000, 3)}
        assert not erased & set(found)
