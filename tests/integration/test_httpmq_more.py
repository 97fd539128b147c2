"""httpmq: what Tidegate adds, and no client of httpmq notices (docs/httpmq.md, "More than httpmq")."""

import base64
import json
import threading
import time

import pytest

from harness import wait
from harness.httpmq import Mq, done, fine, new_name, refused, stored

S = 1_000_000_000
QUIET_S = 0.3


@pytest.fixture
def mq(gateway):
    with Mq(gateway.url) as made:
        yield made


@pytest.fixture
def stream(mq):
    """A stream that takes NAME.*, with a pull consumer `c`."""
    made = new_name()
    done(mq.make_stream(made, subjects=[f"{made}.*"]))
    done(mq.make_consumer(made, "c", mode="pull", max_inflight=10))
    return made


def numbers(messages):
    return [(m["sequence"]["stream"], m["sequence"]["consumer"]) for m in messages]


# ---- publishing ----

def test_a_publish_tells_where_the_message_is(mq, stream):
    first, second = (fine(mq.publish(f"{stream}.a", b"x")) for _ in range(2))
    assert (first["stream"], first["sequence"], second["sequence"]) == (stream, 1, 2)
    assert second["timestamp"] == mq.state(stream)["last_ts"]


def test_a_raw_message_is_its_bytes_and_headers(mq, stream):
    payload = bytes(range(256))
    assert stored(mq.publish_raw(f"{stream}.a", payload, Trace="abc", Accent="größe".encode())) == 1
    (got,) = mq.fetch(stream, "c")
    assert got["payload"] == payload and got["subject"] == f"{stream}.a" and got["deliveries"] == 1
    assert sorted(got["headers"]) == [["accent", "größe"], ["trace", "abc"]]
    assert got["timestamp"] == mq.state(stream)["last_ts"]
    refused(mq.publish_raw(f"{stream}.a", b""), 400)
    refused(mq.publish_raw(f"{stream}.a", b"x", Bad=b"\xff\xfe"), 400)
    refused(mq.publish_raw(f"{stream}.a", b"x" * ((1 << 20) + 1)), 400, 500)
    refused(mq.publish_raw(f"{stream}.*", b"x"), 400)
    refused(mq.publish_raw(new_name(), b"x"), 400, 500)
    assert mq.state(stream)["last_seq"] == 1


@pytest.mark.tsan
def test_a_batch_is_stored_whole_and_in_order(mq, stream):
    answer = fine(mq.publish_batch(stream, (f"{stream}.a", b"1"), (f"{stream}.b", b"2", [["k", "v"], ["k", "w"]]), (f"{stream}.a", b"3")))
    assert (answer["stream"], answer["first_sequence"], answer["last_sequence"]) == (stream, 1, 3)
    got = mq.fetch(stream, "c", batch=10)
    assert [(m["subject"], m["payload"], m.get("headers")) for m in got] == [
        (f"{stream}.a", b"1", None), (f"{stream}.b", b"2", [["k", "v"], ["k", "w"]]), (f"{stream}.a", b"3", None)]


def test_a_batch_with_one_bad_message_stores_nothing(mq, stream):
    good = (f"{stream}.a", b"1")
    refused(mq.publish_batch(stream, good, (new_name(), b"2")), 400, 500)
    refused(mq.publish_batch(stream, good, (f"{stream}.*", b"2")), 400)
    refused(mq.publish_batch(stream, good, (f"{stream}.a", b"")), 400)
    refused(mq.publish_batch(stream, good, (f"{stream}.a", b"2", [["only"]])), 400)
    refused(mq.publish_batch(stream, good, (f"{stream}.a", b"2", [["k", "v" * 20000]])), 400, 500)
    refused(mq.publish_batch(new_name(), good), 400, 500)
    path = f"/v1/data/stream/{stream}/batch"
    for body in ("", "[]", "{}", '{"messages":[]}', '{"messages":[1]}', json.dumps({"messages": [{"subject": f"{stream}.a", "b64_msg": "x"}]}),
                 json.dumps({"messages": [{"subject": f"{stream}.a", "b64_msg": "eA=="}] * 1001})):
        refused(mq.post(path, data=body), 400)
    assert mq.state(stream)["last_seq"] == 0


def test_a_batch_keeps_the_limits_of_its_stream(mq):
    name = new_name()
    done(mq.make_stream(name, subjects=[f"{name}.*"], max_msgs_per_subject=1, max_msg_size=3))
    refused(mq.publish_batch(name, (f"{name}.a", b"1"), (f"{name}.a", b"long")), 400, 500)
    fine(mq.publish_batch(name, *[(f"{name}.{subject}", b"%d" % i) for i in range(4) for subject in "ab"]))
    assert mq.state(name)["messages"] == 2


def test_a_repeated_publish_is_stored_once(mq, stream):
    for _ in range(2):
        answer = fine(mq.post(f"/v1/data/subject/{stream}.a", data=base64.b64encode(b"x"), headers={"Idempotency-Key": "k1"}))
        assert answer["sequence"] == 1
    assert answer["duplicate"] is True
    for _ in range(2):
        answer = fine(mq.publish_batch(stream, *[(f"{stream}.a", b"y")] * 3, **{"Idempotency-Key": "k2"}))
        assert (answer["first_sequence"], answer["last_sequence"]) == (2, 4)
    assert mq.state(stream)["last_seq"] == 4


# ---- details of a delivery ----

def test_a_subscriber_that_asks_learns_the_real_subject(mq, stream):
    done(mq.make_consumer(stream, "p", max_inflight=5, ack_wait=S // 2))
    fine(mq.publish_raw(f"{stream}.a", b"1", Trace="abc"))
    with mq.subscribe(stream, "p", f"{stream}.*", details="true") as lines:
        first, again = lines.take(2)
    assert (first["subject"], first["published_subject"], first["deliveries"]) == (f"{stream}.*", f"{stream}.a", 1)
    assert first["headers"] == [["trace", "abc"]] and first["timestamp"] == mq.state(stream)["last_ts"]
    assert (again["sequence"], again["deliveries"]) == ({"stream": 1, "consumer": 2}, 2)
    path = f"/v1/data/stream/{stream}/consumer/p?subject_name={stream}.a&details=maybe"
    refused(mq.get(path), 400)


# ---- nack ----

def test_a_refused_message_comes_again_at_once(mq, stream):
    done(mq.make_consumer(stream, "p", max_inflight=1))
    mq.send(f"{stream}.a", b"1", b"2")
    with mq.subscribe(stream, "p", f"{stream}.a") as lines:
        assert lines.numbers(1) == [(1, 1)]
        done(mq.nack(stream, "p", 1, 1))
        assert lines.numbers(1) == [(1, 2)]
        done(mq.nack(stream, "p", 1, 1))  # not its last delivery
        done(mq.nack(stream, "p", 9, 9))
        done(mq.nack(stream, "nobody", 1, 1))
        done(mq.nack(new_name(), "p", 1, 1))
        wait.holds_for(lambda: not lines.has_more(), "nothing more comes", QUIET_S)
        done(mq.ack(stream, "p", 1))
        assert lines.numbers(1) == [(2, 3)]
    for body in ("{}", '{"stream":1,"consumer":1,"delay":-1}', '{"stream":1,"consumer":1,"delay":"1s"}'):
        refused(mq.post(f"/v1/data/stream/{stream}/consumer/p/nack", data=body), 400)


def test_a_delay_moves_the_deadline(mq, stream):
    """Later than ack_wait: more time to work; sooner: another try."""
    done(mq.make_consumer(stream, "p", max_inflight=2, ack_wait=S // 2))
    mq.send(f"{stream}.a", b"1", b"2")
    with mq.subscribe(stream, "p", f"{stream}.a") as lines:
        came = []

        def only_the_other_comes_again():
            [(sequence, number)] = lines.numbers(1)
            came.append(sequence)
            if sequence == 1:
                # Too late for this delivery if the next one is under way: then there is another try.
                done(mq.nack(stream, "p", 1, number, delay=3600 * S))
            return came[-3:] == [2, 2, 2]
        wait.until(only_the_other_comes_again, "the delayed message stays away")
        assert came[:2] == [1, 2]


def test_a_refusal_counts_as_a_delivery(mq, stream):
    done(mq.make_consumer(stream, "p", max_retry=2))
    mq.send(f"{stream}.a", b"1", b"2")
    with mq.subscribe(stream, "p", f"{stream}.a") as lines:
        for number in (1, 2):
            assert lines.numbers(1) == [(1, number)]
            done(mq.nack(stream, "p", 1, number))
        assert lines.numbers(1) == [(2, 3)]


# ---- fetch ----

def test_fetched_messages_wait_for_their_acknowledgement(mq, stream):
    mq.send(f"{stream}.a", *[b"%d" % i for i in range(1, 13)])
    assert numbers(mq.fetch(stream, "c")) == [(1, 1)]
    assert numbers(mq.fetch(stream, "c", batch=256)) == [(i, i) for i in range(2, 11)], "max_inflight holds"
    assert mq.fetch(stream, "c") == []
    assert mq.standing(stream, "c") == ((10, 10), (0, 0), 10, 0, 2)
    done(mq.ack(stream, "c", 1))
    assert numbers(mq.fetch(stream, "c", batch=5)) == [(11, 11)]
    done(mq.nack(stream, "c", 5, 5))
    assert [(m["sequence"]["stream"], m["deliveries"]) for m in mq.fetch(stream, "c", batch=5)] == [(5, 2)]


@pytest.mark.tsan
def test_a_fetch_waits_for_a_message(mq, stream):
    threading.Timer(0.3, lambda: mq.send(f"{stream}.a", b"1")).start()
    begun = time.monotonic()
    assert numbers(mq.fetch(stream, "c", batch=5, expires=30 * S)) == [(1, 1)]
    assert time.monotonic() - begun < 20
    assert mq.fetch(stream, "c", expires=S // 5) == []


def test_a_waiting_fetch_gets_what_becomes_due(mq, stream):
    done(mq.make_consumer(stream, "again", mode="pull", ack_wait=S // 2))
    mq.send(f"{stream}.a", b"1")
    assert numbers(mq.fetch(stream, "again")) == [(1, 1)]
    assert numbers(mq.fetch(stream, "again", expires=30 * S)) == [(1, 2)]


@pytest.mark.tsan
def test_fetching_at_once_from_two_workers_gives_each_message_once(fresh_database, fleet):
    first, second = (fleet.start(fresh_database) for _ in range(2))
    with Mq(first.url) as a, Mq(second.url) as b:
        done(a.make_stream("s"))
        done(a.make_consumer("s", "c", mode="pull", max_inflight=1000))
        got = {a: [], b: []}

        def work(mq):
            while len(got[a]) + len(got[b]) < 200:
                got[mq] += [n for n, _ in numbers(mq.fetch("s", "c", batch=7, expires=S // 10))]
        workers = [threading.Thread(target=work, args=(mq,)) for mq in (a, b)]
        for worker in workers:
            worker.start()
        with Mq(second.url) as sender:
            for _ in range(4):
                fine(sender.publish_batch("s", *[("s", b"x")] * 50))
        for worker in workers:
            worker.join(60)
        assert sorted(got[a] + got[b]) == list(range(1, 201))
        assert b.standing("s", "c") == ((200, 200), (0, 0), 200, 0, 0)


def test_a_fetch_looks_as_far_as_it_must(mq, stream):
    """Behind more messages than one look takes."""
    done(mq.make_consumer(stream, "far", mode="pull", filter_subject=f"{stream}.far"))
    for _ in range(21):
        fine(mq.publish_batch(stream, *[(f"{stream}.near", b"x")] * 1000))
    mq.send(f"{stream}.far", b"found")
    assert [m["payload"] for m in mq.fetch(stream, "far")] == [b"found"]


def test_what_cannot_be_fetched(mq, stream):
    done(mq.make_consumer(stream, "p"))
    for name, body, status in [("p", "{}", 500), ("nobody", "{}", 500), ("c", "", 400), ("c", '{"batch":0}', 400), ("c", '{"batch":257}', 400),
                               ("c", '{"expires":-1}', 400), ("c", '{"expires":60000000001}', 400)]:
        refused(mq.post(f"/v1/data/stream/{stream}/consumer/{name}/fetch", data=body), status)
    refused(mq.post(f"/v1/data/stream/{new_name()}/consumer/c/fetch", data="{}"), 500)


# ---- purge ----

def test_a_purge_empties_the_stream_and_its_consumers(mq, stream):
    mq.send(f"{stream}.a", b"1", b"2")
    assert len(mq.fetch(stream, "c")) == 1
    assert mq.purge(stream) == 2
    state = mq.state(stream)
    assert (state["messages"], state["first_seq"], state["last_seq"]) == (0, 3, 2)
    assert mq.standing(stream, "c")[2:] == (0, 0, 0)
    mq.send(f"{stream}.a", b"3")
    assert [m["payload"] for m in mq.fetch(stream, "c", batch=9)] == [b"3"]
    assert mq.purge(stream) == 1 and mq.purge(stream) == 0


def test_a_purge_of_some(mq, stream):
    for i in range(1, 4):
        mq.send(f"{stream}.a", b"a%d" % i)
        mq.send(f"{stream}.b", b"b%d" % i)
    assert mq.purge(stream, filter_subject=f"{stream}.a", seq=5) == 2
    assert mq.purge(stream, seq=3) == 1
    assert [m["payload"] for m in mq.fetch(stream, "c", batch=9)] == [b"b2", b"a3", b"b3"]
    assert mq.purge(stream, filter_subject="no.such") == 0
    assert mq.purge(stream, filter_subject=f"{stream}.>") == 3
    assert mq.standing(stream, "c")[2:] == (0, 0, 0)
    for body, status in [("[]", 400), ('{"seq":0}', 400), (json.dumps({"filter_subject": "x" * 2000}), 500)]:
        refused(mq.post(f"/v1/admin/stream/{stream}/purge", data=body), status)
    refused(mq.post(f"/v1/admin/stream/{new_name()}/purge"), 500)


@pytest.mark.tsan
def test_a_purge_makes_room_for_the_subscriber(mq, stream):
    done(mq.make_consumer(stream, "p", max_inflight=1))
    mq.send(f"{stream}.a", b"1")
    with mq.subscribe(stream, "p", f"{stream}.a") as lines:
        assert lines.numbers(1) == [(1, 1)]
        assert mq.purge(stream) == 1
        mq.send(f"{stream}.a", b"2")
        assert lines.deliver(1) == [(2, 2, b"2")]


# ---- topics of other APIs ----

def test_a_topic_of_another_api_becomes_a_stream(mq, gateway):
    with gateway.client() as other:
        other.make("adopted", 1)
        other.put("adopted", [{"value": "before", "headers": [["k", "v"]]}])
        assert "adopted" not in fine(mq.streams())["streams"]
        refused(mq.make_stream("adopted", max_msgs=1), 500)
        for _ in range(2):
            done(mq.make_stream("adopted", subjects=["adopted.*"]))
        assert (mq.state("adopted")["messages"], mq.stream("adopted")["config"]["max_msgs"]) == (1, -1)
        done(mq.make_consumer("adopted", "c", mode="pull", max_inflight=9))
        mq.send("adopted.x", b"after")
        other.put("adopted", [{"value": "later"}])
        assert [(m["subject"], m["payload"], m.get("headers")) for m in mq.fetch("adopted", "c", batch=9)] == [
            ("adopted", b"before", [["k", "v"]]), ("adopted.x", b"after", None), ("adopted", b"later", None)]
        assert [m["value"] for m in other.read_all("adopted")] == ["before", "after", "later"]
        other.make("wide", 2)
        refused(mq.make_stream("wide"), 500)


def test_an_adopted_topic_keeps_its_limits_until_they_are_changed(mq):
    assert mq.request("PUT", "/v0/topics/aged", json={"ttl_ms": 3_600_000}).status_code in (200, 201)
    for _ in range(2):
        done(mq.make_stream("aged"))
    refused(mq.make_stream("aged", max_msgs=7), 500)
    assert mq.stream("aged")["config"]["max_age"] == 3600 * S
    done(mq.request("PUT", "/v1/admin/stream/aged/limit", data='{"max_msgs":5}'))
    assert (mq.stream("aged")["config"]["max_age"], mq.stream("aged")["config"]["max_msgs"]) == (3600 * S, 5)


def test_messages_of_an_adopted_ephemeral_topic_stay_pending(mq):
    assert mq.request("PUT", "/v0/topics/fleeting", json={"durability": "ephemeral"}).status_code in (200, 201)
    done(mq.make_stream("fleeting", subjects=["fleeting.*"]))
    done(mq.make_consumer("fleeting", "c", mode="pull", max_inflight=9))
    for name in ("a", "b", "c"):
        mq.send(f"fleeting.{name}", b"x")
    assert mq.consumer("fleeting", "c")["num_pending"] == 3
    assert mq.state("fleeting")["first_ts"] == mq.fetch("fleeting", "c", batch=2)[0]["timestamp"]
    assert mq.purge("fleeting", filter_subject="fleeting.a") == 1
    assert (mq.consumer("fleeting", "c")["num_ack_pending"], mq.consumer("fleeting", "c")["num_pending"]) == (1, 1)


def test_tags_of_an_adopted_topic_may_hold_anything(mq):
    records = [{"data": n, "tag": tag} for n, tag in enumerate(["odd\u0000b", "odd.b", "odd.\\", "odd.größe"])]
    assert mq.request("POST", "/v0/topics/odd", json={"records": records}).status_code == 201
    done(mq.make_stream("odd", subjects=["odd.*"]))
    done(mq.make_consumer("odd", "all", mode="pull", filter_subject="odd.*"))
    done(mq.make_consumer("odd", "one", mode="pull", filter_subject="odd.größe"))
    assert (mq.consumer("odd", "all")["num_pending"], mq.consumer("odd", "one")["num_pending"]) == (3, 1)
    assert mq.fetch("odd", "one")[0]["payload"] == b"3"
    assert mq.purge("odd", filter_subject="odd.größe") == 1
    assert mq.purge("odd", filter_subject="odd.*") == 2
    assert mq.state("odd")["messages"] == 1
