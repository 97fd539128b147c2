"""Live reading: event streams and line streams (streaming contract, section 7)."""

import json
import threading

import pytest

from harness import wait
from harness.client import ok, refused, values
from harness.live import NDJSON, SSE, Stream

SETTINGS = {"stream_heartbeat_ms": 1000}

# A receive buffer that fills soon. (Smaller than a segment of the loopback interface, it would crawl from then on.)
SMALL = 128 << 10


def stream(client, topic, query="offset=earliest", **options):
    return Stream(client, f"/topics/{topic}/stream?{query}", **options)


@pytest.fixture(params=[SSE, NDJSON], ids=["sse", "ndjson"])
def accept(request):
    return request.param


def numbered(client, topic, first, beyond, partition=0):
    client.put(topic, [{"value": str(i), "partition": partition} for i in range(first, beyond)])


# ---- frames ----

def test_the_answer_is_an_event_stream_that_nobody_may_keep(client, topic):
    with stream(client, topic) as live:
        assert live.status == 200
        assert live.headers["Content-Type"].split(";")[0] == "text/event-stream"
        assert "no-store" in live.headers["Cache-Control"] or "no-cache" in live.headers["Cache-Control"]
        assert live.headers["X-Content-Type-Options"] == "nosniff"


def test_an_event_is_one_message_as_consume_shows_it_under_a_cursor(client, topic):
    client.put(topic, [{"value": "a", "key": "k", "headers": [["h", "1"]]}, {"value": "b\nc"}])
    expected = client.take(topic, offset=0)
    with stream(client, topic) as live:
        first, second = live.next(), live.next()
        assert [first.data, second.data] == expected
        assert first.kind == second.kind == "message"
        assert first.cursor and second.cursor and first.cursor != second.cursor
        data = [line for line in live.lines if line.startswith("data:")]
        assert data[0] == "data: " + json.dumps(expected[0], separators=(",", ":"))


def test_a_line_stream_is_one_message_a_line(client, topic):
    client.put(topic, [{"value": "a"}, {"value": {"n": 1}}])
    expected = client.take(topic, offset=0)
    with stream(client, topic, accept=NDJSON) as live:
        assert live.headers["Content-Type"].split(";")[0] == NDJSON
        assert live.take(2) == expected


def test_messages_arrive_as_they_are_produced(client, topic, accept):
    with stream(client, topic, accept=accept) as live:
        for i in range(20):
            numbered(client, topic, i, i + 1)
            [message] = live.take(1)
            assert (message["partition"], message["offset"], message["value"]) == (0, i, str(i))


def test_a_stream_begins_at_the_offset_and_goes_on_live(client, topic, accept):
    numbered(client, topic, 0, 10)
    with stream(client, topic, "offset=6&partition=0", accept=accept) as live:
        assert values(live.take(4)) == ["6", "7", "8", "9"]
        numbered(client, topic, 10, 12)
        assert values(live.take(2)) == ["10", "11"]


def test_binary_messages_come_as_base64(client, topic):
    client.put(topic, [{"value": "/w==", "encoding": "base64"}])
    with stream(client, topic) as live:
        [message] = live.take(1)
        assert (message["encoding"], message["value"]) == ("base64", "/w==")


def test_a_stream_without_partition_carries_all_of_them(client, topic4, accept):
    for p in range(4):
        numbered(client, topic4, 0, 5, partition=p)
    with stream(client, topic4, accept=accept) as live:
        got = live.take(20)
        numbered(client, topic4, 5, 6, partition=3)
        numbered(client, topic4, 5, 6, partition=1)
        got += live.take(2)
    for p in range(4):
        assert [m["offset"] for m in got if m["partition"] == p] == list(range(6 if p in (1, 3) else 5))


def test_a_stream_of_one_partition_carries_only_that_one(client, topic4, accept):
    with stream(client, topic4, "partition=2&offset=0", accept=accept) as live:
        for p in (0, 1, 3, 2):
            numbered(client, topic4, 0, 3, partition=p)
        assert [(m["partition"], m["offset"]) for m in live.take(3)] == [(2, 0), (2, 1), (2, 2)]


def test_a_large_backlog_streams_completely_and_in_order(client, topic4):
    for start in range(0, 8000, 2000):
        client.put(topic4, [{"value": str(i), "partition": i % 4} for i in range(start, start + 2000)])
    with stream(client, topic4) as live:
        got = live.take(8000, deadline_s=60 * wait.SLOWNESS)
    for p in range(4):
        mine = [m for m in got if m["partition"] == p]
        assert [m["offset"] for m in mine] == list(range(2000))
        assert [int(m["value"]) for m in mine] == list(range(p, 8000, 4))


def test_a_message_of_one_mebibyte_streams(client, topic, accept):
    client.put(topic, [{"value": "x" * (1 << 20)}, {"value": "after"}])
    with stream(client, topic, accept=accept) as live:
        first, second = live.take(2)
        assert (first["value"], second["value"]) == ("x" * (1 << 20), "after")


# ---- resuming ----

def test_a_cursor_resumes_exactly_behind_its_message(client, topic4):
    client.put(topic4, [{"value": str(i), "partition": i % 4} for i in range(40)])
    with stream(client, topic4) as live:
        events = [live.next() for _ in range(40)]
    where = [(e.data["partition"], e.data["offset"]) for e in events]
    assert len(set(where)) == 40
    for stop in (0, 1, 6, 17, 38):
        with stream(client, topic4, last_event_id=events[stop].cursor) as live:
            rest = [(m["partition"], m["offset"]) for m in live.take(39 - stop)]
        assert sorted(rest) == sorted(where[stop + 1:])
    with stream(client, topic4, last_event_id=events[-1].cursor) as live:
        client.put(topic4, [{"value": "live", "partition": 0}])
        assert values(live.take(1)) == ["live"]


def test_last_event_id_wins_over_the_offset_in_the_address(client, topic):
    numbered(client, topic, 0, 6)
    with stream(client, topic) as live:
        cursor = [live.next() for _ in range(4)][-1].cursor
    # What EventSource does by itself: the same address again, with the last id it saw.
    with stream(client, topic, "offset=0", last_event_id=cursor) as live:
        assert values(live.take(2)) == ["4", "5"]


def test_a_cursor_works_on_another_worker(gateways, name):
    one, two = (gateway.client() for gateway in gateways(2))
    one.make(name, 3)
    client_messages = [{"value": str(i), "partition": i % 3} for i in range(30)]
    one.put(name, client_messages)
    with stream(one, name) as live:
        first = [live.next() for _ in range(13)]
    with stream(two, name, last_event_id=first[-1].cursor) as live:
        rest = live.take(17)
    seen = [(m["partition"], m["offset"]) for m in [e.data for e in first] + rest]
    assert len(seen) == len(set(seen)) == 30


def test_partitions_that_were_added_are_in_a_resumed_stream(client, name):
    client.make(name, 2)
    numbered(client, name, 0, 2, partition=1)
    with stream(client, name) as live:
        cursor = [live.next() for _ in range(2)][-1].cursor
    ok(client.request("PATCH", f"/topics/{name}", json={"partitions": 4}))
    numbered(client, name, 0, 2, partition=3)
    with stream(client, name, last_event_id=cursor) as live:
        assert [(m["partition"], m["offset"]) for m in live.take(2)] == [(3, 0), (3, 1)]


@pytest.mark.parametrize("cursor", ["nonsense", "%00", "0", "!!", "x" * 2000])
def test_a_cursor_that_is_none_of_ours_is_refused(client, topic, cursor):
    with stream(client, topic, last_event_id=cursor) as live:
        assert live.status == 400
        assert live.body()["error"]["code"] == "invalid_request"


# ---- two workers ----

@pytest.mark.tsan
def test_a_stream_on_one_worker_hears_what_another_wrote(gateways, name, accept):
    one, two = (gateway.client() for gateway in gateways(2, poll_interval_ms=60_000))
    one.make(name, 2)
    one.make(name + "-other")

    def tells():
        numbered(two, name + "-other", 0, 1)
        return two.metric("tidegate_notify_total") > 0
    wait.until(tells, "the writer has heard of the reader")
    with stream(one, name, accept=accept) as live:
        for i in range(20):
            numbered(two, name, i, i + 1)
            [message] = live.take(1)
            assert (message["offset"], message["value"]) == (i, str(i))


@pytest.mark.tsan
def test_two_writers_on_two_workers_are_seen_in_offset_order_without_hole(gateways, name):
    workers = gateways(2)
    with workers[0].client() as client:
        client.make(name)
        count = 150

        def write(gateway, label):
            with gateway.client() as mine:
                for i in range(count):
                    mine.put(name, [{"value": f"{label}{i}"}])
        with stream(client, name) as here, workers[1].client() as other, stream(other, name) as there:
            threads = [threading.Thread(target=write, args=(g, label)) for g, label in zip(workers, "ab")]
            for t in threads:
                t.start()
            seen = [live.take(2 * count, deadline_s=60 * wait.SLOWNESS) for live in (here, there)]
            for t in threads:
                t.join()
    for got in seen:
        assert [m["offset"] for m in got] == list(range(2 * count))
        for label in "ab":
            assert [m["value"] for m in got if m["value"][0] == label] == [f"{label}{i}" for i in range(count)]


# ---- silence, gaps, ends ----

def test_a_quiet_stream_sends_comments(client, topic):
    with stream(client, topic) as live:
        wait.until(lambda: len(live.comments) >= 2, "two heartbeats came")
        assert all(line.startswith(":") for line in live.comments)
        numbered(client, topic, 0, 1)
        assert values(live.take(1)) == ["0"]


def test_a_quiet_line_stream_sends_blank_lines(client, topic):
    with stream(client, topic, accept=NDJSON) as live:
        wait.until(lambda: len(live.comments) >= 2, "two heartbeats came")
        numbered(client, topic, 0, 1)
        assert values(live.take(1)) == ["0"]


def test_messages_lost_to_retention_are_announced_in_the_stream(client, name, accept):
    client.make(name, config={"cap_records": 3})
    numbered(client, name, 0, 10)
    with stream(client, name, "offset=2", accept=accept) as live:
        event = live.next()
        assert event.kind == "gap"
        assert event.data == {"partition": 0, "from_offset": 2, "to_offset": 7}
        assert [m["offset"] for m in live.take(3)] == [7, 8, 9]


def test_a_cursor_from_before_a_gap_resumes_with_the_gap(client, name):
    client.make(name, config={"cap_records": 3})
    numbered(client, name, 0, 2)
    with stream(client, name) as live:
        cursor = live.next().cursor
    numbered(client, name, 2, 10)
    with stream(client, name, last_event_id=cursor) as live:
        event = live.next()
        assert (event.kind, event.data) == ("gap", {"partition": 0, "from_offset": 1, "to_offset": 7})
        behind = event.cursor
        assert [m["offset"] for m in live.take(3)] == [7, 8, 9]
    # The gap has a cursor of its own: who saw it is not told again.
    with stream(client, name, last_event_id=behind) as live:
        assert [m["offset"] for m in live.take(3)] == [7, 8, 9]


def test_a_stream_ends_when_its_topic_is_deleted(client, topic, accept):
    numbered(client, topic, 0, 3)
    with stream(client, topic, accept=accept) as live:
        live.take(3)
        ok(client.request("DELETE", f"/topics/{topic}"))
        last = live.rest()
        assert live.wait_end() is True
        assert [e for e in last if e.kind == "message"] == []
        assert last and last[-1].kind == "error"
        assert "topic_not_found" in json.dumps(last[-1].data)


def test_a_client_that_goes_away_gives_its_place_back(gateway, client, topic):
    wait.until(lambda: client.metric("tidegate_http_connections") == 1, "those of the tests before are gone")
    before = gateway.open_files()
    lives = [stream(client, topic) for _ in range(30)]
    assert all(live.status == 200 for live in lives)
    assert gateway.open_files() >= before + 30
    for live in lives:
        live.close()
    wait.until(lambda: gateway.open_files() <= before + 5, "the connections are gone")


# ---- readers that do not read ----

def test_a_slow_reader_holds_up_nobody_and_loses_nothing(gateway, client, topic):
    """More than all buffers can hold waits for the slow one; the quick one is served meanwhile."""
    count = 240
    slow = stream(client, topic, receive_buffer=SMALL, paused=True)
    with slow, stream(client, topic) as quick:
        # 24 MB are sent past the slow reader; the queue of one stream is 256 KiB.
        with gateway.grows_at_most(60 << 20):
            for start in range(0, count, 20):
                client.put(topic, [{"value": padded(i, 100_000)} for i in range(start, start + 20)])
            numbers = [int(m["value"][:8]) for m in quick.take(count, deadline_s=60 * wait.SLOWNESS)]
            assert numbers == list(range(count))
        # The slow one is stuck for longer than a heartbeat, and the others do not feel it.
        beats = len(quick.comments)
        wait.until(lambda: len(quick.comments) >= beats + 2, "heartbeats go on")
        client.put(topic, [{"value": padded(count, 10)}])
        assert [int(m["value"][:8]) for m in quick.take(1)] == [count]
        slow.resume()
        numbers = [int(m["value"][:8]) for m in slow.take(count + 1, deadline_s=60 * wait.SLOWNESS)]
        assert numbers == list(range(count + 1))


def open_streams(client):
    return client.metric("tidegate_http_streams")


def padded(number, size):
    return f"{number:08}" + "x" * size


@pytest.mark.slow
def test_a_reader_that_takes_nothing_is_cut_and_can_resume(gateways, name):
    [gateway] = gateways(1, stream_stall_ms=1000)
    client = gateway.client()
    client.make(name)
    with stream(client, name, receive_buffer=SMALL, paused=True) as stuck:
        for start in range(0, 100, 20):
            client.put(name, [{"value": padded(i, 200_000)} for i in range(start, start + 20)])
        wait.until(lambda: open_streams(client) == 0, "the stuck reader was cut off")
        stuck.resume()
        got = [e for e in stuck.rest() if e.kind == "message"]
        assert stuck.ended_cleanly is False
    assert [int(e.data["value"][:8]) for e in got] == list(range(len(got)))
    assert len(got) < 100
    # Elsewhere: here, it would be cut again if it stood still for a second itself.
    [other] = gateways(1)
    with stream(other.client(), name, last_event_id=got[-1].cursor if got else None) as again:
        rest = again.take(100 - len(got), deadline_s=60 * wait.SLOWNESS)
    assert [int(m["value"][:8]) for m in rest] == list(range(len(got), 100))


@pytest.mark.tsan
def test_many_watchers_all_get_every_message_in_order(client, topic):
    lives = [stream(client, topic, accept=(SSE, NDJSON)[i % 2]) for i in range(60)]
    try:
        for start in range(0, 100, 10):
            numbered(client, topic, start, start + 10)
        for live in lives:
            assert values(live.take(100, deadline_s=60 * wait.SLOWNESS)) == [str(i) for i in range(100)]
    finally:
        for live in lives:
            live.close()


def test_watchers_that_come_and_go_during_writes_lose_nothing(client, topic4):
    """Catching up and joining the live feed must meet without a hole or a repeat."""
    stop = threading.Event()

    def write():
        i = 0
        with type(client)(client.url) as mine:
            while not stop.is_set():
                mine.put(topic4, [{"value": str(i + n), "partition": n} for n in range(4)])
                i += 4
    writer = threading.Thread(target=write)
    writer.start()
    try:
        wait.until(lambda: sum(client.ends(topic4)) > 100, "the writer runs")
        for _ in range(25):
            with stream(client, topic4) as live:
                need = sum(client.ends(topic4)) + 40
                got = live.take(need)
            for p in range(4):
                mine = [m["offset"] for m in got if m["partition"] == p]
                assert mine == list(range(len(mine)))
            if sum(client.ends(topic4)) > 6000:
                break
    finally:
        stop.set()
        writer.join()


# ---- groups, errors ----

def test_a_stream_of_a_group_begins_at_its_committed_offset(client, topic):
    numbered(client, topic, 0, 10)
    ok(client.commit(topic, "g", {0: 7}))
    with stream(client, topic, "group_id=g") as live:
        assert [m["offset"] for m in live.take(3)] == [7, 8, 9]
        numbered(client, topic, 10, 11)
        assert [m["offset"] for m in live.take(1)] == [10]


def test_a_stream_without_offset_begins_with_what_comes_next(client, topic, accept):
    numbered(client, topic, 0, 3)
    for query in ("", "offset=latest"):
        with stream(client, topic, query, accept=accept) as live:
            # The stream is open, and its place taken, once its headers are here.
            end = client.ends(topic)[0]
            numbered(client, topic, end, end + 1)
            assert [m["offset"] for m in live.take(1)] == [end]
    with stream(client, topic, "offset=earliest", accept=accept) as live:
        assert [m["offset"] for m in live.take(5)] == [0, 1, 2, 3, 4]


def test_streams_of_one_group_share_the_partitions_and_never_a_message(client, topic4):
    opened = [stream(client, topic4, "group_id=g") for _ in range(2)]
    try:
        names = []
        for live in opened:
            event = live.next()
            assert event.kind == "open"
            assert event.data["group_id"] == "g"
            names.append(event.data["consumer_id"])
        assert len(set(names)) == 2
        client.put(topic4, [{"value": f"{i % 4}:{i // 4}", "partition": i % 4} for i in range(40)])
        got = {}

        def received():
            for live, consumer in zip(opened, names):
                while live.has_more():
                    event = live.next()
                    assert event.kind == "message", event
                    got.setdefault(consumer, []).append((event.data["partition"], event.data["offset"]))
            return sum(len(pairs) for pairs in got.values()) == 40
        wait.until(received, "all messages came")
        everything = [pair for pairs in got.values() for pair in pairs]
        assert len(set(everything)) == 40
        for consumer, pairs in got.items():
            for p in range(4):
                mine = [o for q, o in pairs if q == p]
                assert mine in ([], list(range(10)))
                if mine:
                    ok(client.commit(topic4, "g", {p: 10}, consumer_id=consumer))
        assert client.committed(topic4, "g") == {p: 10 for p in range(4)}
    finally:
        for live in opened:
            live.close()


def test_what_a_group_s_stream_did_not_commit_comes_again_elsewhere(client, topic):
    numbered(client, topic, 0, 10)
    with stream(client, topic, "group_id=g&lease_ms=4000") as live:
        opening = live.next()
        assert opening.kind == "open"
        assert [m["offset"] for m in live.take(10)] == list(range(10))
        ok(client.commit(topic, "g", {0: 4}, consumer_id=opening.data["consumer_id"]))
        # As long as it is open its leases are renewed.
        wait.holds_for(lambda: client.take(topic, group_id="g") == [], "the stream keeps its lease", 5)
    got = wait.until(lambda: client.take(topic, group_id="g"), "the lease has ended")
    assert [m["offset"] for m in got] == [4, 5, 6, 7, 8, 9]


def test_an_offset_needs_its_partition_where_there_are_several(client, topic4):
    refused(client.get(f"/topics/{topic4}/stream?offset=3", headers={"Accept": SSE}), 400, "invalid_request")


def test_a_cursor_of_a_topic_that_was_made_anew_begins_anew(client, name):
    client.make(name)
    numbered(client, name, 0, 5)
    with stream(client, name) as live:
        cursor = [live.next() for _ in range(5)][-1].cursor
    ok(client.request("DELETE", f"/topics/{name}"))
    client.make(name)
    numbered(client, name, 100, 103)
    with stream(client, name, last_event_id=cursor) as live:
        assert values(live.take(3)) == ["100", "101", "102"]


def test_streams_need_an_existing_topic_and_an_acceptable_type(client, topic):
    refused(client.get("/topics/none/stream", headers={"Accept": SSE}), 404, "topic_not_found")
    refused(client.get(f"/topics/{topic}/stream", headers={"Accept": "image/png"}), 406, "not_acceptable")
    refused(client.get(f"/topics/{topic}/stream?partition=1", headers={"Accept": SSE}), 400, "invalid_request")
    refused(client.get(f"/topics/{topic}/stream?partition=-1", headers={"Accept": SSE}), 400, "invalid_request")
    refused(client.get(f"/topics/{topic}/stream?offset=-1", headers={"Accept": SSE}), 400, "invalid_request")


@pytest.mark.parametrize("accept", ["text/event-stream", "text/*", "*/*", "text/html, text/event-stream;q=0.5", None])
def test_who_accepts_an_event_stream_gets_one(client, topic, accept):
    with stream(client, topic, headers={"Accept": accept}) as live:
        assert live.status == 200
        assert live.headers["Content-Type"].split(";")[0] == "text/event-stream"


def test_too_many_streams_are_refused_and_a_place_is_free_again_after_a_close(gateways, name):
    [gateway] = gateways(1, max_streams=3)
    client = gateway.client()
    client.make(name)
    lives = [stream(client, name) for _ in range(3)]
    refused(client.get(f"/topics/{name}/stream", headers={"Accept": SSE}), 429, "throttled")
    lives.pop().close()

    def opens():
        live = stream(client, name)
        if live.status != 200:
            live.close()
            return False
        lives.append(live)
        return True
    wait.until(opens, "a place is free again")
    for live in lives:
        live.close()
