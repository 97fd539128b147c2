"""Watch sessions and their event streams (topics contract, section 11)."""

import concurrent.futures
import re
import threading

import pytest

from harness import wait
from harness.client import refused
from harness.gateway import Gateway, run
from harness.v0 import fine
from harness.watch import Watcher, make_id, read_id


@pytest.fixture
def v0(gateway):
    with Watcher(gateway.url) as made:
        yield made


def data(n, start=1):
    return [{"data": i} for i in range(start, start + n)]


def numbers(records):
    return [r["data"] for r in records]


# ---- sessions ----

def test_a_session_tells_where_its_topics_are(v0, name):
    v0.write(name, data(3))
    v0.make(name + "-empty")
    body = fine(v0.watch({name: {"from_seq": 1}, name + "-empty": {}, name + "-tail": {"tail": True}}, "?lenient=true"))
    assert re.fullmatch(r"wid_[A-Za-z0-9_-]{22}", body["wid"])
    assert body["stream_url"] == f"/v0/watch/{body['wid']}"
    assert body["session_ttl_ms"] == 300000
    assert body["topics"] == {name: {"from_seq": 1, "head_seq": 3, "earliest_seq": 1},
                              name + "-empty": {"from_seq": 0, "head_seq": 0, "earliest_seq": 1}}
    tail = fine(v0.watch({name: {"tail": True, "from_seq": 1}}))
    assert tail["topics"][name]["from_seq"] == 3


@pytest.mark.parametrize("body", [
    {}, {"topics": {}}, {"topics": []}, {"topics": {"a": 1}}, {"topics": {"a": {"from_seq": -1}}},
    {"topics": {"a": {"from_seq": 1.5}}}, {"topics": {"a": {"tail": "yes"}}}, {"topics": {"a": {}}, "limit": "x"},
    {"topics": {"a": {}}, "consistency": "fast"}, {"topics": {"a": {}}, "node": 7},
    {"topics": {"a": {}}, "heartbeat_ms": None}, {"topics": {f"t{i}": {} for i in range(257)}},
])
def test_a_malformed_session_is_refused(v0, body):
    refused(v0.post("/v0/watch", json=body), 400, "invalid_request")


def test_sessions_want_json_and_topics_that_are_there(v0, name):
    refused(v0.post("/v0/watch", data="{}"), 415, "unsupported_media_type")
    error = refused(v0.watch({name: {}}), 404, "topic_not_found")
    assert error["detail"] == {"topic": name}


# ---- opening ----

def test_unknown_sessions_and_other_media_types(v0, name):
    v0.make(name)
    wid = v0.open_session({name: {}})
    for unknown in ("wid_AAAAAAAAAAAAAAAAAAAAAA", "wid_x", "nonsense"):
        refused(v0.get(f"/v0/watch/{unknown}"), 404, "not_found")
    refused(v0.get(f"/v0/watch/{wid}", headers={"Accept": "application/json"}), 406, "not_acceptable")
    refused(v0.post(f"/v0/watch/{wid}"), 405, "method_not_allowed")
    for accept in ("text/event-stream", "*/*", "text/html, */*;q=0.1"):
        with v0.stream(wid, headers={"Accept": accept}) as live:
            assert live.status == 200
            assert live.headers["Content-Type"].startswith("text/event-stream")
            assert live.headers["Cache-Control"] == "no-store"
            assert live.headers["X-Accel-Buffering"] == "no"


def test_a_stream_begins_with_retry_and_tells_records_and_the_end(v0, name):
    v0.write(name, [{"data": {"n": 1}}, {"data": "two", "node": "eu", "tag": "t", "meta": {"m": 1}}])
    with v0.follow({name: {}}) as live:
        record, caught_up = live.expect("record"), live.expect("caught-up")
        assert live.lines[:2] == ["retry: 2000", ""]
        assert f'event: record\ndata: {{"topic":"{name}",' in "\n".join(live.lines)
        assert '"$seq":2' in "\n".join(live.lines)
    assert [{k: v for k, v in r.items() if k != "$ts"} for r in record.data.pop("records")] == [
        {"$seq": 1, "data": {"n": 1}}, {"$seq": 2, "$node": "eu", "data": "two", "meta": {"m": 1}}]
    assert record.data == {"topic": name, "from_seq": 0, "to_seq": 2, "head_seq": 2}
    assert caught_up.data == {"topic": name, "head_seq": 2}
    assert read_id(record.cursor) == read_id(caught_up.cursor) == {name: 2}


def test_an_empty_tail_is_caught_up_and_then_follows(v0, name):
    v0.write(name, data(2))
    with v0.follow({name: {"tail": True}}) as live:
        assert live.expect("caught-up").data == {"topic": name, "head_seq": 2}
        v0.add(name, data(1, 3))
        event = live.expect("record")
        assert numbers(event.data["records"]) == [3] and event.data["from_seq"] == 2
        assert live.expect("caught-up").data["head_seq"] == 3


def test_frames_keep_their_limits(v0, name):
    v0.write(name, data(7))
    with v0.follow({name: {}}, limit=3) as live:
        frames = [e.data for e in live.until_caught_up(name) if e.kind == "record"]
    assert [numbers(f["records"]) for f in frames] == [[1, 2, 3], [4, 5, 6], [7]]
    assert [(f["from_seq"], f["to_seq"], f["head_seq"]) for f in frames] == [(0, 3, 7), (3, 6, 7), (6, 7, 7)]
    v0.add(name, [{"data": "x" * 400} for _ in range(4)])
    with v0.follow({name: {"from_seq": 7}}, max_batch_bytes=1000) as live:
        frames = [len(e.data["records"]) for e in live.until_caught_up(name) if e.kind == "record"]
    assert frames == [2, 2]
    with v0.follow({name: {"from_seq": 7}}, max_batch_bytes=1) as live:
        frames = [len(e.data["records"]) for e in live.until_caught_up(name) if e.kind == "record"]
    assert frames == [1, 1, 1, 1]


def test_what_is_included_can_be_chosen(v0, name):
    v0.write(name, [{"data": 1, "tag": "t", "meta": {"m": 1}, "node": "n"}])
    with v0.follow({name: {}}, include_tags=True, include_meta=False, include_data=False) as live:
        [record] = live.records(1)
    assert set(record) == {"$seq", "$ts", "$node", "$tag"}


def test_own_records_are_passed_over_silently(v0, name):
    v0.write(name, [{"data": 1, "node": "eu"}, {"data": 2, "node": "us"}, {"data": 3}, {"data": 4, "node": "eu"}])
    with v0.follow({name: {}}, node=["eu", "ap"]) as live:
        record, caught_up = live.expect("record"), live.expect("caught-up")
        assert numbers(record.data["records"]) == [2, 3] and record.data["to_seq"] == 4
        assert read_id(caught_up.cursor) == {name: 4}
        v0.add(name, [{"data": 5, "node": "eu"}])
        v0.add(name, [{"data": 6}])
        assert numbers(live.records(1)) == [6]
    v0.put_topic(name, dedupe_node=False)
    with v0.follow({name: {}}, node="eu") as live:
        assert numbers(live.records(6)) == [1, 2, 3, 4, 5, 6]


def test_the_node_filter_can_be_turned_off_for_an_open_stream(gateways, name):
    reading, changing = gateways(2)
    with Watcher(reading.url) as v0, Watcher(changing.url) as other:
        v0.make(name)
        with v0.follow({name: {}}, node="eu") as live:
            live.expect("caught-up")
            other.put_topic(name, dedupe_node=False)
            other.add(name, data(1), node="eu")
            assert numbers(live.records(1)) == [1]
            other.put_topic(name)
            other.add(name, data(1, 2), node="eu")
            other.add(name, data(1, 3))
            assert numbers(live.records(1)) == [3]


def test_a_stream_of_filtered_records_is_caught_up_all_the_same(v0, name):
    v0.write(name, [{"data": i, "node": "eu"} for i in range(5)])
    with v0.follow({name: {}}, node="eu") as live:
        event = live.expect("caught-up")
    assert event.data["head_seq"] == 5 and read_id(event.cursor) == {name: 5}


def test_heartbeats_fill_the_silence(v0, name):
    v0.make(name)
    with v0.follow({name: {}}, heartbeat_ms=1) as live:  # clamped to a second
        live.expect("caught-up")
        wait.until(lambda: len(live.comments) >= 2, "heartbeats come")
        assert all(c.startswith(": hb") for c in live.comments)


# ---- loss and deletion ----

def test_the_first_gap_only_says_that_the_reader_is_late(v0, name):
    v0.make(name, cap_records=2)
    v0.add(name, data(5))
    with v0.follow({name: {"from_seq": 1}}) as live:
        gap, record = live.expect("tombstone"), live.expect("record")
        assert gap.data == {"topic": name, "reason": "from_seq_too_old", "gap_from": 2, "gap_to": 3, "earliest_seq": 4,
                            "head_seq": 5}
        assert read_id(gap.cursor) == {name: 3}
        assert numbers(record.data["records"]) == [4, 5]


def test_a_topic_that_shrank_below_its_reader_begins_again(v0, name):
    v0.make(name)
    v0.add(name, data(2))
    with v0.follow({name: {"from_seq": 9}}) as live:
        gap = live.expect("tombstone")
        assert gap.data == {"topic": name, "reason": "from_seq_too_old", "gap_from": 1, "gap_to": 2, "earliest_seq": 1,
                            "head_seq": 2}
        assert read_id(gap.cursor) == {name: 0}
        assert numbers(live.records(2)) == [1, 2]


def test_a_topic_made_anew_is_read_from_its_beginning(v0, name):
    v0.make(name)
    v0.add(name, data(2))
    wid = v0.open_session({name: {"from_seq": 1}})
    v0.drop(name)
    v0.make(name)
    v0.add(name, data(3, 10))
    with v0.stream(wid) as live:
        assert live.expect("tombstone").data["reason"] == "from_seq_too_old"
        assert numbers(live.records(3)) == [10, 11, 12]


def test_a_deleted_topic_is_told_at_once_and_the_others_go_on(v0, name):
    a, b = v0.make(name + "-a"), v0.make(name + "-b")
    v0.add(a, data(1))
    with v0.follow({a: {}, b: {}}) as live:
        live.until_caught_up(a, b)
        v0.drop(a)
        event = live.expect("topic-deleted")
        assert event.data == {"topic": a, "head_seq": 1, "reason": "deleted"}
        assert read_id(event.cursor) == {a: 1, b: 0}
        v0.add(b, data(1))
        assert numbers(live.records(1)) == [1]
        live.expect("caught-up")
        v0.drop(b)
        live.expect("topic-deleted", b)
        assert live.next() is None and live.wait_end()


def test_a_topic_deleted_before_the_stream_opens_is_told_there(v0, name):
    a, b = v0.make(name + "-a"), v0.make(name + "-b")
    wid = v0.open_session({a: {}, b: {}})
    v0.drop(a)
    with v0.stream(wid) as live:
        kinds = {(e.kind, e.data["topic"]) for e in (live.next(), live.next())}
    assert kinds == {("topic-deleted", a), ("caught-up", b)}


def test_erased_records_are_passed_over(v0, name):
    v0.write(name, [{"data": i, "tag": "odd" if i % 2 else "even"} for i in range(1, 9)])
    fine(v0.erase(name, match=["tag", "Eq", "odd"]))
    with v0.follow({name: {}}) as live:
        assert numbers(live.records(4)) == [2, 4, 6, 8]


# ---- resuming ----

def test_a_session_goes_on_where_its_stream_ended(v0, name):
    v0.write(name, data(2))
    wid = v0.open_session({name: {}})
    with v0.stream(wid) as live:
        live.until_caught_up(name)
    v0.add(name, data(1, 3))
    with v0.stream(wid) as live:
        assert numbers(live.records(1)) == [3]


def test_last_event_id_only_rewinds(v0, name):
    v0.write(name, data(5))
    wid = v0.open_session({name: {}})
    with v0.stream(wid) as live:
        live.until_caught_up(name)
    with v0.stream(wid, last_event_id=make_id({name: 1, "unknown": 0})) as live:
        assert numbers(live.records(4)) == [2, 3, 4, 5]
    for ahead in (make_id({name: 99}), "§", "bm9uc2Vuc2U", make_id([1]), make_id({name: -1}), make_id({name: "1"})):
        with v0.stream(wid, last_event_id=ahead.encode() if "§" in ahead else ahead) as live:
            assert live.expect("caught-up").data["head_seq"] == 5


@pytest.mark.tsan
def test_a_newer_stream_ends_the_older_one(v0, name):
    v0.make(name)
    wid = v0.open_session({name: {}})
    with v0.stream(wid) as older:
        older.expect("caught-up")
        with v0.stream(wid) as newer:
            newer.expect("caught-up")
            error = older.expect("error")
            assert error.data["code"] == 410 and error.data["message"]
            assert older.next() is None
            v0.add(name, data(1))
            assert numbers(newer.records(1)) == [1]


def test_sessions_are_forgotten_but_not_while_a_stream_is_open(gateways, name):
    [gateway] = gateways(1, topics_watch_session_ttl_ms=5000)
    v0 = Watcher(gateway.url)
    v0.make(name)
    used = v0.open_session({name: {}})
    with v0.stream(used) as live:
        live.expect("caught-up")
        for _ in range(2):  # each takes as long as it takes to forget the one with the stream, were it not used
            unused = v0.open_session({name: {}})
            wait.until(lambda: v0.request("HEAD", f"/v0/watch/{unused}").status_code == 404, "the unused session is forgotten")
        v0.add(name, data(1))
        assert numbers(live.records(1)) == [1]
        with v0.stream(used) as again:
            assert again.status == 200


# ---- many ----

def test_a_busy_topic_does_not_starve_the_others(v0, name):
    busy, quiet = v0.make(name + "-busy"), v0.make(name + "-quiet")
    for _ in range(20):
        v0.add(busy, [{"data": "x" * 10000} for _ in range(100)])
    v0.add(quiet, data(1))
    with v0.follow({busy: {}, quiet: {}}, limit=10) as live:
        seen = []
        while not seen or seen[-1] != quiet:
            seen.append(live.next().data["topic"])
        assert len(seen) < 150, "the quiet topic waited for the whole of the busy one"
        assert len(live.records(2000 - 10 * (len([s for s in seen if s == busy])), busy)) > 0


def test_a_watcher_of_a_thousand_topics(gateways, name):
    [gateway] = gateways(1, topics_max_watch_topics=2000, max_header_bytes=262144)
    v0 = Watcher(gateway.url)
    names = [f"{name[:20]}-{i}" for i in range(1000)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: v0.write(n, data(1)), names))
    wid = v0.open_session({n: {} for n in names})
    with v0.stream(wid) as live:
        events = live.until_caught_up(*names)
        assert {e.data["topic"] for e in events if e.kind == "record"} == set(names)
        assert read_id(events[-1].cursor) == {n: 1 for n in names}
        v0.add(names[700], data(1, 2))
        assert live.expect("record", names[700]).data["to_seq"] == 2
        last = live.expect("caught-up")
    with v0.stream(wid, last_event_id=last.cursor) as live:
        assert {live.expect("caught-up").data["topic"] for _ in names} == set(names)


@pytest.mark.tsan
def test_many_watchers_get_every_record_in_order(v0, name, slowness):
    v0.make(name)
    lives = [v0.follow({name: {}}) for _ in range(50)]
    try:
        for start in range(1, 101, 10):
            v0.add(name, data(10, start))
        for live in lives:
            assert numbers(live.records(100)) == list(range(1, 101))
    finally:
        for live in lives:
            live.close()


@pytest.mark.slow
def test_a_thousand_watchers_of_one_topic(gateway, v0, name):
    from harness.crowd import Crowd
    v0.make(name)
    wids = [v0.open_session({name: {}}) for _ in range(1000)]
    with Crowd(v0.url, [f"/v0/watch/{wid}" for wid in wids]) as crowd:
        crowd.wait_for('"head_seq":0}', "all are caught up")
        for i in range(1, 6):
            v0.add(name, data(1, i))
        crowd.wait_for('"data":5}', "all have the last record")
        assert crowd.all_have([f'"$seq":{i},' for i in range(1, 6)])
    wait.until(lambda: v0.connections() == 0, "the slots are free again")


def test_a_topic_for_which_there_is_no_place_waits_for_one_and_the_others_go_on(gateways, name):
    [gateway] = gateways(1, max_subscriptions=2)
    with Watcher(gateway.url) as v0:
        first, second = v0.make(name + "-1"), v0.make(name + "-2")
        v0.add(second, data(1))
        with v0.follow({first: {}}) as other:
            other.expect("caught-up", first)
            with v0.follow({first: {}, second: {}}) as live:
                events = sorted((live.next(), live.next()), key=lambda event: event.kind)
                assert [event.kind for event in events] == ["caught-up", "error"]
                advice = events[1].data
                assert (advice["code"], advice["retry_after_ms"] > 0, advice["topics"]) == (429, True, [second])
                v0.add(first, data(1))
                assert numbers(live.expect("record", first).data["records"]) == [1]
                live.expect("caught-up", first)
                other.close()
                assert numbers(live.expect("record", second).data["records"]) == [1]
                live.expect("caught-up", second)


def test_a_slow_reader_loses_nothing_and_holds_up_nobody(gateway, v0, name):
    v0.make(name)
    slow = v0.stream(v0.open_session({name: {}}), receive_buffer=65536, paused=True)
    with slow, v0.follow({name: {}}) as quick:
        with gateway.grows_at_most(80 << 20):
            for start in range(1, 201, 20):
                v0.add(name, [{"data": f"{i:06}" + "x" * 50000} for i in range(start, start + 20)])
            assert [int(r["data"][:6]) for r in quick.records(200)] == list(range(1, 201))
        slow.resume()
        assert [int(r["data"][:6]) for r in slow.records(200)] == list(range(1, 201))


def test_a_closed_connection_is_noticed_at_once(v0, name):
    """Not when a heartbeat cannot be sent: the next one is further away than we wait."""
    v0.make(name)
    wait.until(lambda: v0.connections() == 0, "those of the tests before are gone")
    live = v0.follow({name: {}}, heartbeat_ms=60_000)
    live.expect("caught-up")
    assert v0.connections() == 1
    live.close()
    wait.until(lambda: v0.connections() == 0, "its slot is free")


# ---- caps ----

def test_sessions_have_a_cap_that_holds_in_a_crowd(gateways, name, fresh_database, fleet):
    gateway, other = (fleet.start(fresh_database, topics_max_watch_sessions=5) for _ in range(2))
    v0 = Watcher(gateway.url)
    v0.make(name)
    both = [Watcher(g.url) for g in (gateway, other)] * 10
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda c: c.watch({name: {}}), both))
    assert sorted(a.status_code for a in answers) == [200] * 5 + [429] * 15
    error = refused(next(a for a in answers if a.status_code == 429), 429, "throttled")
    assert error["detail"] == {"limit": "max_watch_sessions", "max": 5}


def test_connections_have_a_cap_and_come_back(gateways, name):
    [gateway] = gateways(1, topics_max_sse_connections=3)
    v0 = Watcher(gateway.url)
    v0.make(name)
    lives = [v0.follow({name: {}}) for _ in range(3)]
    wid = v0.open_session({name: {}})
    error = refused(v0.get(f"/v0/watch/{wid}"), 429, "throttled")
    assert error["detail"] == {"limit": "max_sse_connections", "max": 3}
    for live in lives:
        live.close()
    wait.until(lambda: v0.connections() == 0, "slots are free")
    with v0.stream(wid) as live:
        assert live.status == 200


# ---- several workers ----

def test_any_worker_serves_a_session_and_sees_what_others_write(gateways, name):
    one, two = (Watcher(g.url) for g in gateways(2))
    one.make(name)
    one.add(name, data(2))
    wid = one.open_session({name: {}})
    with two.stream(wid) as live:
        assert numbers(live.records(2)) == [1, 2]
        live.expect("caught-up")
        one.add(name, data(1, 3))
        assert numbers(live.records(1)) == [3]
        live.expect("caught-up")
        with one.stream(wid) as newer:
            assert live.expect("error").data["code"] == 410
            assert live.next() is None
            assert newer.status == 200


def test_positions_pass_from_worker_to_worker(gateways, name):
    one, two = (Watcher(g.url) for g in gateways(2))
    one.make(name)
    one.add(name, data(3))
    wid = one.open_session({name: {}})
    with one.stream(wid) as live:
        live.until_caught_up(name)
    wait.until(lambda: one.connections() == 0, "the first stream is gone")

    def goes_on():
        with two.stream(wid) as live:
            return live.next().kind == "caught-up"
    wait.until(goes_on, "the position was saved")


def test_kill_9_costs_a_watcher_nothing(fleet, database, name):
    workers = [fleet.start(database) for _ in range(2)]
    one, two = (Watcher(g.url) for g in workers)
    one.make(name, durability="fsync")
    stop, acked = threading.Event(), []

    def write():
        while not stop.is_set():
            answer = two.write(name, data(1, len(acked) + 1))
            assert answer.status_code == 200, answer.text
            acked.append(answer.json()["last_seq"])

    writer = threading.Thread(target=write)
    wid = one.open_session({name: {}})
    live = one.stream(wid)
    writer.start()
    try:
        first = live.records(50)
        workers[0].kill()
        live.wait_end()
        while (event := live.next()) is not None:
            first += event.data["records"] if event.kind == "record" else []
    finally:
        live.close()
        stop.set()
        writer.join()
    with two.stream(wid, last_event_id=live.last_id) as again:
        rest = [r for e in again.until_caught_up(name) if e.kind == "record" for r in e.data["records"]]
    # The id that the client sent can only rewind, and the position was saved a moment before: some come twice, none is lost.
    seen, again = [r["$seq"] for r in first], [r["$seq"] for r in rest]
    assert seen == list(range(1, len(seen) + 1))
    assert again == list(range(again[0], acked[-1] + 1)) and again[0] <= len(seen) + 1


def test_a_stop_tells_its_watchers(fleet, database, name):
    worker = fleet.start(database)
    v0 = Watcher(worker.url)
    v0.make(name)
    v0.write(name, data(1))
    wid = v0.open_session({name: {}})
    with v0.stream(wid) as live:
        live.until_caught_up(name)
        worker.stop()
        error = live.expect("error")
        assert error.data["code"] == "server_shutting_down"
        assert live.wait_end()
    worker.start()
    with Watcher(worker.url).stream(wid) as live:
        assert live.expect("caught-up").data["head_seq"] == 1


# ---- keys ----

@pytest.fixture
def locked(fleet, fresh_database):
    """A gateway that asks for keys, and a function that makes them."""
    run("migrate", database=fresh_database)

    def key(scopes="read,write,delete,admin", *more):
        done = run("key", "create", "--tenant", "default", "--scopes", scopes, *more, database=fresh_database)
        return done.stdout.split()[0]
    first = key()
    gateway = fleet.start(fresh_database)
    return gateway, first, key


def test_a_session_belongs_to_its_key(locked, name):
    gateway, key, new_key = locked
    v0, nobody, other = Watcher(gateway.url, key=key), Watcher(gateway.url), Watcher(gateway.url, key=new_key())
    v0.make(name)
    wid = v0.open_session({name: {}})
    refused(nobody.post("/v0/watch", json={}), 401, "unauthorized")
    refused(nobody.get("/v0/watch/wid_AAAAAAAAAAAAAAAAAAAAAA"), 404, "not_found")
    refused(nobody.get(f"/v0/watch/{wid}"), 401, "unauthorized")
    refused(other.get(f"/v0/watch/{wid}"), 401, "unauthorized")
    refused(nobody.get(f"/v0/watch/{wid}?token=tg_nonsense"), 401, "unauthorized")
    for path, client in ((f"{wid}?token={key}", nobody), (wid, v0)):
        with client.stream(path) as live:
            live.expect("caught-up")


def test_prefixes_and_scopes_hold_for_sessions(locked, name):
    gateway, key, new_key = locked
    owner = Watcher(gateway.url, key=key)
    owner.make(name)
    owner.make("mine-" + name)
    narrow = Watcher(gateway.url, key=new_key("read", "--prefix", "mine-"))
    refused(narrow.watch({"mine-" + name: {}, name: {}}), 403, "forbidden")
    assert narrow.watch({"mine-" + name: {}}).status_code == 200
    refused(Watcher(gateway.url, key=new_key("write")).watch({name: {}}), 403, "forbidden")


def test_a_revoked_key_ends_its_streams(locked, name, fresh_database):
    gateway, key, new_key = locked
    Watcher(gateway.url, key=key).make(name)
    doomed = new_key()
    v0 = Watcher(gateway.url, key=doomed)
    with v0.follow({name: {}}) as live:
        live.expect("caught-up")
        run("key", "revoke", doomed.split("_")[1], database=fresh_database)
        assert live.expect("error").data["code"] == 401
        assert live.next() is None


def test_one_key_has_its_share_of_connections(fleet, fresh_database, name):
    run("migrate", database=fresh_database)
    keys = [run("key", "create", "--tenant", "default", "--scopes", "read,write,delete,admin",
                database=fresh_database).stdout.split()[0] for _ in range(2)]
    gateway = fleet.start(fresh_database, topics_max_sse_connections_per_key=1)
    one, two = (Watcher(gateway.url, key=k) for k in keys)
    one.make(name)
    with one.follow({name: {}}), two.follow({name: {}}):
        error = refused(one.get(f"/v0/watch/{one.open_session({name: {}})}"), 429, "throttled")
        assert error["detail"] == {"limit": "max_sse_connections_per_key", "max": 1}
