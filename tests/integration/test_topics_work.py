"""The work stream of a queue: jobs as events (topics contract, section 13.5)."""

import contextlib
import re
import threading
import time

import pytest

from harness import wait
from harness.client import Client, ok, refused
from harness.gateway import run
from harness.jobs import LONG, Queue
from harness.live import Stream

HELD_S = 0.4  # long enough for a wrong refill to arrive


@pytest.fixture
def queue(client, name):
    return Queue(client, name)


def jobs(stream, count):
    """The data of the next `count` jobs."""
    got = []
    while len(got) < count:
        event = stream.next()
        assert event is not None and event.kind == "job", event
        assert event.cursor == str(event.data["$seq"])
        got.append(event.data)
    return got


def seqs(stream, count):
    return [job["$seq"] for job in jobs(stream, count)]


def stays_quiet(stream):
    wait.holds_for(lambda: not stream.has_more(), "nothing more comes", HELD_S)


def test_the_stream_begins_with_the_jobs_that_are_there(queue):
    queue.write([{"data": {"n": 1}, "tag": "t", "meta": {"m": 1}}, {"data": "two\n"}, {"data": 3}])
    with queue.work("w", max=2) as stream:
        assert stream.status == 200
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        assert stream.headers["Cache-Control"] == "no-store" and stream.headers["X-Accel-Buffering"] == "no"
        one, two = jobs(stream, 2)
        assert stream.retry_ms == 2000 and stream.lines[:2] == ["retry: 2000", ""]
        assert list(one) == ["topic", "$seq", "lease_id", "deadline", "$ts", "$tag", "deliveries", "data", "meta"]
        assert (one["topic"], one["$seq"], one["data"], one["deliveries"]) == (queue.name, 1, {"n": 1}, 1)
        assert two["data"] == "two\n"
        assert stream.lines[2:4] == ["id: 1", "event: job"]
        assert re.fullmatch(r'data: \{"topic":"[^"]+","\$seq":1,"lease_id":"lease_[0-9a-f]+",.*\}', stream.lines[4])
        stays_quiet(stream)
        assert queue.state() == {"ready": 1, "in_flight": 2, "dead_lettered": 0}


def test_new_jobs_come_as_they_are_written(queue):
    with queue.work("w", max=10) as stream:
        for number in range(1, 6):
            queue.put([number])
            assert seqs(stream, 1) == [number]


def test_never_more_than_max_and_refilled_after_each_acknowledgement(queue):
    queue.put(range(6))
    with queue.work("w", max=2) as stream:
        first = seqs(stream, 2)
        assert first == [1, 2]
        stays_quiet(stream)
        for number in range(3, 7):
            assert queue.ack("w", [number - 2])["acked"] == 1
            assert seqs(stream, 1) == [number]
            assert queue.state()["in_flight"] == 2
        stays_quiet(stream)


def test_a_returned_job_comes_again(queue):
    queue.put([1, 2])
    with queue.work("w") as stream:
        [one] = jobs(stream, 1)
        queue.nack("w", [1])
        [again] = jobs(stream, 1)
        assert (again["$seq"], again["deliveries"]) == (1, 2) and again["lease_id"] != one["lease_id"]


def test_a_lease_that_is_over_frees_its_place_without_any_call(queue):
    queue.put([1])
    with queue.work("w", lease_ms=200) as stream:
        assert [(j["$seq"], j["deliveries"]) for j in jobs(stream, 3)] == [(1, 1), (1, 2), (1, 3)]


def test_a_postponed_job_comes_when_it_is_time(queue):
    queue.put([1])
    with queue.work("w") as stream:
        jobs(stream, 1)
        queue.nack("w", [1], delay_ms=300)
        assert jobs(stream, 1)[0]["deliveries"] == 2


def test_an_extension_keeps_the_place_taken(queue):
    queue.put([1, 2])
    with queue.work("w", lease_ms=1000) as stream:
        [job] = jobs(stream, 1)
        # A lease that ended before it was extended brings the job again.
        while not queue.extend("w", [1], lease_ms=LONG, lease_ids=[job["lease_id"]])["extended"]:
            [job] = jobs(stream, 1)
        assert job["$seq"] == 1
        wait.until(lambda: time.time() * 1000 > job["deadline"], "the first lease would have ended")
        stays_quiet(stream)
        assert queue.state() == {"ready": 1, "in_flight": 1, "dead_lettered": 0}


@pytest.mark.tsan
def test_a_dropped_connection_gives_its_own_leases_back_at_once(queue):
    queue.put(range(5))
    with queue.work("w", max=2, lease_ms=LONG) as stream:
        assert seqs(stream, 2) == [1, 2]
        assert queue.seqs("w", 1, lease_ms=LONG) == [3]  # the same node, but not this connection
    wait.until(lambda: queue.state() == {"ready": 4, "in_flight": 1, "dead_lettered": 0}, "they are ready again")
    assert [(j["$seq"], j["deliveries"]) for j in queue.claim("x", 9)] == [(1, 2), (2, 2), (4, 1), (5, 1)]
    assert queue.ack("w", [3])["acked"] == 1


def test_what_a_connection_lost_before_is_not_given_back_twice(queue):
    queue.put(range(2))
    with queue.work("w", max=2, lease_ms=100) as stream:
        jobs(stream, 2)
        # Only between the end of a lease and the stream's next look: as many tries as can be.
        claimed = wait.until(lambda: queue.claim("w", 2, lease_ms=LONG), "the leases have ended", pause_s=0)
    wait.until(lambda: queue.state()["in_flight"] >= len(claimed), "leases of the same node stay")
    assert queue.ack("w", [j["$seq"] for j in claimed])["acked"] == len(claimed)


@pytest.mark.tsan
def test_two_streams_share_and_never_repeat(gateways, name):
    one, two = gateways(2)
    with one.client() as first, two.client() as second:
        queue = Queue(first, name)
        with queue.work("a", max=5) as left, queue.at(second).work("b", max=5) as right:
            queue.put(range(10))
            got = seqs(left, 5) + seqs(right, 5)
            assert sorted(got) == list(range(1, 11))


def test_acknowledgements_at_another_gateway_refill(gateways, name):
    one, two = gateways(2)
    with one.client() as first, two.client() as second:
        queue = Queue(first, name)
        queue.put(range(50))
        with queue.work("w") as stream:
            for number in range(1, 51):
                assert seqs(stream, 1) == [number]
                assert queue.at(second).ack("w", [number])["acked"] == 1


def test_a_stream_empties_a_long_queue(queue):
    queue.put(range(500))
    with queue.work("w", max=50) as stream:
        for start in range(1, 501, 50):
            got = seqs(stream, 50)
            assert sorted(got) == list(range(start, start + 50))
            queue.ack("w", got)


def test_large_jobs_wait_for_a_slow_reader(queue):
    for _ in range(6):
        queue.put(["x" * 900_000])
    with queue.work("w", max=10) as stream:
        assert seqs(stream, 6) == [1, 2, 3, 4, 5, 6]


def test_streams_take_part_in_a_claim_window(client, name):
    queue = Queue(client, name, claim_jitter_ms=3000)  # both come in time, although one may be held up
    with queue.work("a", max=10) as left, queue.work("b", max=10) as right:
        queue.put(range(10))
        got = seqs(left, 5) + seqs(right, 5)
        assert sorted(got) == list(range(1, 11))
        stays_quiet(left)


def test_the_stream_ends_with_its_topic(client, queue):
    queue.put([1])
    with queue.work("w") as stream:
        jobs(stream, 1)
        ok(client.request("DELETE", queue.path))
        event = stream.next()
        assert event.kind == "error" and event.data["code"] == 409 and event.data["topic"] == queue.name
        assert event.data["error"]
        assert stream.next() is None and stream.wait_end()


@pytest.mark.tsan
def test_a_stopping_server_says_so_and_gives_the_leases_back(fresh_database, fleet, name):
    one, two = (fleet.start(fresh_database) for _ in range(2))
    with one.client() as first, two.client() as second:
        queue = Queue(first, name)
        queue.put([1])
        with queue.work("w", lease_ms=LONG) as stream:
            jobs(stream, 1)
            one.stop()
            event = stream.next()
            assert event.kind == "error" and event.data["code"] == "server_shutting_down"
            assert stream.next() is None
        assert [j["deliveries"] for j in queue.at(second).claim("x")] == [2]


def test_what_a_claim_under_way_brings_to_a_stopping_server_goes_back_too(fresh_database, fleet, name):
    one, two = (fleet.start(fresh_database) for _ in range(2))
    with one.client() as first, two.client() as second, contextlib.ExitStack() as stack:
        queue = Queue(first, name)
        elsewhere = queue.at(second)
        streams = [stack.enter_context(queue.work(f"w{i}", lease_ms=LONG, max=1000)) for i in range(20)]
        is_over = threading.Event()

        def feed():
            while not is_over.is_set():
                elsewhere.put(range(20))
        feeder = threading.Thread(target=feed)
        feeder.start()
        jobs(streams[0], 1)
        one.stop()
        is_over.set()
        feeder.join()
        assert elsewhere.state()["in_flight"] == 0


def test_a_killed_gateway_s_streams_lose_their_leases_by_time(fresh_database, fleet, name):
    one, two = (fleet.start(fresh_database) for _ in range(2))
    with one.client() as first, two.client() as second:
        queue = Queue(first, name)
        queue.put([1, 2])
        with queue.work("w", lease_ms=1000) as stream:
            assert seqs(stream, 1) == [1]
            one.kill()
            assert wait.until(lambda: [s for s in queue.at(second).seqs("x", 2) if s == 1], "the lease has ended") == [1]


def test_heartbeats_keep_a_quiet_stream_alive(fresh_database, fleet, name):
    with fleet.start(fresh_database, stream_heartbeat_ms=1000).client() as client, Queue(client, name).work("w") as stream:
        wait.until(lambda: len(stream.comments) >= 2, "two heartbeats")
        assert all(line.startswith(": hb") for line in stream.comments)


@pytest.mark.tsan
def test_many_streams_on_one_queue(queue):
    streams = [queue.work(f"w{i}", max=2) for i in range(30)]
    try:
        queue.put(range(60))
        got = [seq for stream in streams for seq in seqs(stream, 2)]
        assert sorted(got) == list(range(1, 61))
    finally:
        for stream in streams:
            stream.close()
    wait.until(lambda: queue.state() == {"ready": 60, "in_flight": 0, "dead_lettered": 0}, "all was given back")


# ---- refusals ----

def test_what_is_judged_and_in_which_order(client, topic, name):
    queue = Queue(client, name + "-queue")

    def refuses(path, status, code, accept="text/event-stream"):
        refused(client.get(path, headers={"Accept": accept}), status, code)

    absent = f"/v0/topics/{name}-absent/work"
    refuses(f"{absent}?node=w", 406, "not_acceptable", "application/json")
    refuses(absent, 406, "not_acceptable", "application/json")
    refuses(absent, 400, "invalid_request")
    refuses(f"{absent}?node=", 400, "invalid_request")
    refuses(f"{absent}?node={'x' * 129}", 400, "invalid_request")
    refuses(f"{absent}?node=w", 404, "topic_not_found")
    refuses(f"/v0/topics/{topic}/work?node=w", 409, "not_a_queue")
    refused(client.post(f"{queue.path}/work?node=w"), 405, "method_not_allowed")


@pytest.mark.parametrize("accept", ["*/*", "text/html, text/event-stream;q=0.5", None])
def test_accepted_types(queue, accept):
    queue.put([1])
    with queue.work("w") as stream:
        assert seqs(stream, 1) == [1]
    with Stream(queue.client, f"{queue.path}/work?node=w", headers={"Accept": accept}) as stream:
        assert stream.status == 200


@pytest.mark.parametrize(("query", "held"), [("max=0", 1), ("max=x", 1), ("max=-3", 1), ("max=3", 3), ("max=99999999", 5)])
def test_max_is_clamped(queue, query, held):
    queue.put(range(5))
    with Stream(queue.client, f"{queue.path}/work?node=w&lease_ms=nonsense&{query}") as stream:
        assert len(seqs(stream, held)) == held
        stays_quiet(stream)


@pytest.mark.parametrize("limit", ["max_streams", "topics_max_sse_connections"])
def test_over_the_limit_of_streams(fresh_database, fleet, name, limit):
    with fleet.start(fresh_database, **{limit: 1}).client() as client:
        queue = Queue(client, name)
        queue.put([1])
        with queue.work("a") as stream:
            assert seqs(stream, 1) == [1]
            error = refused(client.get(f"{queue.path}/work?node=b"), 429, "throttled")
            assert limit == "max_streams" or error["detail"] == {"limit": "max_sse_connections", "max": 1}
        wait.until(lambda: queue.state()["in_flight"] == 0, "its lease is given back")

        def opens():  # the place may be free a moment later
            stream = queue.work("b")
            if stream.status != 200:
                stream.close()
            return stream.status == 200 and stream
        with wait.until(opens, "the place is free") as stream:
            assert seqs(stream, 1) == [1]


# ---- keys ----

def test_scopes_and_the_token_in_the_query(fresh_database, fleet, name):
    def key(*scopes):
        made = run("key", "create", "--name", "-".join(scopes), "--scopes", ",".join(scopes), database=fresh_database)
        return re.search(r"tg_\w+", made.stdout)[0]

    run("migrate", database=fresh_database)
    admin, both, reader = key("read", "write", "admin"), key("read", "write"), key("read")
    worker = fleet.start(fresh_database)
    with Client(worker.url, admin) as client, Client(worker.url) as bare, Client(worker.url, reader) as weak:
        queue = Queue(client, name)
        queue.put([1])
        refused(bare.get(f"{queue.path}/work?node=w"), 401, "unauthorized")
        refused(weak.get(f"{queue.path}/work?node=w"), 403, "forbidden")
        refused(weak.post(f"{queue.path}/claim", json={"node": "w"}), 403, "forbidden")
        refused(weak.post(f"{queue.path}/ack", json={"node": "w", "seqs": []}), 403, "forbidden")
        with queue.at(bare).work("w", token=both) as stream:
            assert seqs(stream, 1) == [1]
            assert run("key", "revoke", both.split("_")[1], database=fresh_database).returncode == 0
            event = stream.next()
            assert event.kind == "error" and event.data["code"] == 401
        wait.until(lambda: queue.state()["ready"] == 1, "its lease is given back")
