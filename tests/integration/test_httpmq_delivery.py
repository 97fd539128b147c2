"""httpmq: subscriptions, acknowledgements, redelivery (contract, sections 5 and 6)."""

import contextlib
import json
import os
import select
import socket
import threading

import pytest

from harness import wait
from harness.crowd import Crowd
from harness.httpmq import Mq, Subscription2, connect2, done, new_name, refused

S = 1_000_000_000
QUIET_S = 0.3
LONG = 600 * S  # an ack_wait that does not end while a test looks at something else; end_time() ends it


@pytest.fixture
def mq(gateway):
    with Mq(gateway.url) as made:
        yield made


@pytest.fixture
def stream(mq):
    """A stream that takes NAME.*."""
    made = new_name()
    done(mq.make_stream(made, subjects=[f"{made}.*"]))
    return made


def stays_quiet(lines):
    wait.holds_for(lambda: not lines.has_more(), "nothing more comes", QUIET_S)


def end_time(mq, stream, *numbers):
    """The ack_wait of deliveries ends in a moment."""
    for sequence, number in numbers:
        done(mq.nack(stream, "c", sequence, number, delay=S // 10))


# ---- the worked example of the contract ----

@pytest.mark.tsan
def test_the_worked_example(mq, stream):
    done(mq.make_consumer(stream, "c", max_inflight=2, ack_wait=LONG))
    mq.send(f"{stream}.a", *[b"%d" % i for i in range(1, 6)])

    def stands(delivered, floor, ack_pending, redelivered, pending):
        wanted = (delivered, floor, ack_pending, redelivered, pending)
        wait.until(lambda: mq.standing(stream, "c") == wanted, f"{wanted}, not {mq.standing(stream, 'c')}")

    stands((0, 0), (0, 0), 0, 0, 5)
    with mq.subscribe(stream, "c", f"{stream}.*") as lines:
        assert lines.deliver(2) == [(1, 1, b"1"), (2, 2, b"2")]
        stands((2, 2), (0, 0), 2, 0, 3)
        done(mq.ack(stream, "c", 2))
        assert lines.numbers(1) == [(3, 3)]
        stands((3, 3), (0, 0), 2, 0, 2)
        done(mq.ack(stream, "c", 1))
        assert lines.numbers(1) == [(4, 4)]
        stands((4, 4), (2, 2), 2, 0, 1)
        done(mq.ack(stream, "c", 3))
        assert lines.numbers(1) == [(5, 5)]
        stands((5, 5), (3, 3), 2, 0, 0)
        end_time(mq, stream, (4, 4), (5, 5))
        assert lines.numbers(2) == [(4, 6), (5, 7)]
        stands((7, 5), (3, 3), 2, 2, 0)
        done(mq.ack(stream, "c", 4))
        stands((7, 5), (4, 4), 1, 1, 0)
        done(mq.ack(stream, "c", 5))
        stands((7, 5), (7, 5), 0, 0, 0)


# ---- the stream of lines ----

def test_headers_come_before_any_message(mq, stream):
    done(mq.make_consumer(stream, "c"))
    with mq.subscribe(stream, "c", f"{stream}.*") as lines:
        assert lines.status == 200
        assert lines.headers["Content-Type"] == "text/event-stream" and lines.headers["Cache-Control"] == "no-cache"
        assert lines.headers["Httpmq-Request-ID"] == "sub-1"
        stays_quiet(lines)
        mq.send(f"{stream}.a", "größe \n".encode())
        assert lines.deliver() == [(1, 1, "größe \n".encode())]
        line = json.loads(lines.lines[0])
        assert (line["subject"], line["stream"], line["consumer"]) == (f"{stream}.*", stream, "c")


def test_what_is_refused(mq, stream):
    done(mq.make_consumer(stream, "plain"))
    done(mq.make_consumer(stream, "filtered", filter_subject=f"{stream}.a"))
    done(mq.make_consumer(stream, "grouped", delivery_group="g"))
    done(mq.make_consumer(stream, "puller", mode="pull"))
    path = f"/v1/data/stream/{stream}/consumer/"
    a, every = f"subject_name={stream}.a", f"subject_name={stream}.*"
    for rest, status in [("plain", 400), (f"plain?{a}&{a}", 400), ("plain?subject_name=", 500), (f"plain?subject_name={stream}.%3E", 500),
                         ("plain?subject_name=other", 500), (f"plain?{a}&max_msg_inflight=-1", 400), (f"plain?{a}&max_msg_inflight=x", 400),
                         (f"plain?{a}&max_msg_inflight=1&max_msg_inflight=1", 400), (f"plain?{a}&delivery_group=g", 500),
                         (f"plain?{a}&delivery_group=g&delivery_group=g", 400), (f"grouped?{a}&delivery_group=a-b", 500),
                         (f"filtered?{every}", 500), (f"grouped?{a}", 500), (f"grouped?{a}&delivery_group=h", 500),
                         (f"puller?{a}", 500), (f"nobody?{a}", 500)]:
        refused(mq.get(path + rest, stream=True), status)
    refused(mq.get(f"/v1/data/stream/{new_name()}/consumer/plain?{a}"), 500)


def test_a_filter_passes_over_the_rest(mq, stream):
    mq.send(f"{stream}.b", b"0")
    done(mq.make_consumer(stream, "c", filter_subject=f"{stream}.a", max_inflight=10))
    with mq.subscribe(stream, "c", f"{stream}.a") as lines:
        for i in range(3):
            mq.send(f"{stream}.a", b"a%d" % i)
            mq.send(f"{stream}.b", b"b%d" % i)
        assert lines.deliver(3) == [(2, 1, b"a0"), (4, 2, b"a1"), (6, 3, b"a2")]
        wait.until(lambda: mq.consumer(stream, "c")["delivered"]["stream_seq"] == 7, "the last one was looked at")


def test_many_messages_arrive_in_order(mq, stream):
    done(mq.make_consumer(stream, "c", max_inflight=5000))
    mq.send(f"{stream}.a", *[b"x" * 1000 for _ in range(400)])
    with mq.subscribe(stream, "c", f"{stream}.a") as lines:
        assert lines.numbers(400) == [(i, i) for i in range(1, 401)]


def test_many_small_messages_arrive_in_one_go(mq, stream):
    done(mq.make_consumer(stream, "c", max_inflight=5000))
    mq.send(f"{stream}.a", *[b"x"] * 600)
    with mq.subscribe(stream, "c", f"{stream}.a") as lines:
        assert lines.numbers(600) == [(i, i) for i in range(1, 601)]


def test_a_large_message_comes_whole(mq, stream):
    done(mq.make_consumer(stream, "c", max_inflight=3))
    mq.send(f"{stream}.a", *[bytes([65 + i]) * (1 << 20) for i in range(3)])
    with mq.subscribe(stream, "c", f"{stream}.a") as lines:
        assert [len(payload) for _, _, payload in lines.deliver(3)] == [1 << 20] * 3


def test_max_inflight_holds(mq, stream):
    done(mq.make_consumer(stream, "c", max_inflight=3))
    mq.send(f"{stream}.a", *[b"%d" % i for i in range(8)])
    with mq.subscribe(stream, "c", f"{stream}.a", max_msg_inflight=1) as lines:
        assert lines.numbers(3) == [(1, 1), (2, 2), (3, 3)]
        stays_quiet(lines)
        done(mq.ack(stream, "c", 3))
        assert lines.numbers(1) == [(4, 4)]
        stays_quiet(lines)


# ---- acknowledgements ----

def test_acks_of_nothing_are_heard(mq, stream):
    done(mq.make_consumer(stream, "c"))
    done(mq.ack(stream, "c", 99))
    done(mq.ack(stream, "nobody", 1))
    done(mq.ack(new_name(), "c", 1))
    done(mq.ack(stream, "c", 2**64 - 1, 2**64 - 1))
    path = f"/v1/data/stream/{stream}/consumer/c/ack"
    for body in ("", "{}", '{"stream":1}', '{"stream":0,"consumer":1}', '{"stream":-1,"consumer":1}', '{"stream":"1","consumer":1}',
                 '{"stream":1.5,"consumer":1}', '{"stream":18446744073709551616,"consumer":1}', "[]"):
        refused(mq.post(path, data=body), 400)


def test_an_ack_counts_once_whatever_its_consumer_number(mq, stream):
    done(mq.make_consumer(stream, "c"))
    mq.send(f"{stream}.a", b"1", b"2", b"3")
    with mq.subscribe(stream, "c", f"{stream}.a") as lines:
        assert lines.numbers(1) == [(1, 1)]
        done(mq.ack(stream, "c", 1, 77))
        done(mq.ack(stream, "c", 1, 1))
        assert lines.numbers(1) == [(2, 2)]
        stays_quiet(lines)
        shown = mq.consumer(stream, "c")
        assert shown["ack_floor"]["last_active"].startswith("20") and shown["delivered"]["last_active"].startswith("20")


# ---- redelivery ----

def test_unacknowledged_messages_come_again_after_ack_wait(mq, stream):
    done(mq.make_consumer(stream, "c", max_inflight=2, ack_wait=S // 2))
    mq.send(f"{stream}.a", b"1", b"2", b"3")
    with mq.subscribe(stream, "c", f"{stream}.a") as lines:
        assert lines.deliver(4) == [(1, 1, b"1"), (2, 2, b"2"), (1, 3, b"1"), (2, 4, b"2")]


def test_deliveries_end_at_max_retry(mq, stream):
    done(mq.make_consumer(stream, "c", max_retry=2, ack_wait=S // 4))
    mq.send(f"{stream}.a", b"1", b"2")
    with mq.subscribe(stream, "c", f"{stream}.a") as lines:
        assert lines.numbers(4) == [(1, 1), (1, 2), (2, 3), (2, 4)]
        wait.until(lambda: mq.standing(stream, "c")[2:] == (0, 0, 0), "both were given up")
        assert mq.standing(stream, "c")[1] == (4, 2)
        done(mq.ack(stream, "c", 1))


@pytest.mark.tsan
def test_acks_at_one_time_count_each_message_once(database, gateway, stream):
    """Every message by two clients, out of order, while messages come again: the consumer's own counts stay those of its rows."""
    messages, clients = 300, 8
    with Mq(gateway.url) as mq:
        done(mq.make_consumer(stream, "c", max_inflight=messages, ack_wait=S // 2))
        mq.send(f"{stream}.a", *[b"%d" % i for i in range(messages)])

    def agrees():
        return database.psql("""
            SELECT c.pending = count(p.sequence) AND c.redelivered = count(*) FILTER (WHERE p.sends > 1)
                AND c.due_ms <= coalesce(min(p.deadline_ms), c.due_ms)
            FROM tidegate.httpmq_consumer c LEFT JOIN tidegate.httpmq_pending p ON p.topic_id = c.topic_id AND p.consumer = c.name
            GROUP BY c.topic_id, c.name""") == [["t"]] * int(database.psql("SELECT count(*) FROM tidegate.httpmq_consumer")[0][0])

    def acknowledge(first):
        with Mq(gateway.url) as mine:
            for i in range(messages // 4):
                done(mine.ack(stream, "c", (first * 37 + i * 4) % messages + 1))

    with Mq(gateway.url) as mq, mq.subscribe(stream, "c", f"{stream}.a") as lines:
        # All of them, and one again. Those of one look are due before the next look if that is late.
        seen, deliveries = set(), 0
        while len(seen) < messages or deliveries == messages:
            seen |= {s for s, _ in lines.numbers(1)}
            deliveries += 1
        threads = [threading.Thread(target=acknowledge, args=(n,)) for n in range(clients)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            assert agrees()
        for thread in threads:
            thread.join()
        wait.until(lambda: mq.standing(stream, "c")[2] == 0, "all are acknowledged")
        assert agrees()
        standing = mq.standing(stream, "c")
        assert standing[1] == standing[0] and standing[3:] == (0, 0)


def test_without_a_subscriber_nothing_is_numbered(mq, stream):
    done(mq.make_consumer(stream, "c", ack_wait=S // 5))
    mq.send(f"{stream}.a", b"1")
    with mq.subscribe(stream, "c", f"{stream}.a") as lines:
        assert lines.numbers(1) == [(1, 1)]
    # It may have gone out again and again before the worker learned that nobody reads.
    wait.until(lambda: mq.metric("tidegate_http_streams") == 0, "the subscriber is gone")
    last = mq.standing(stream, "c")[0][0]
    wait.holds_for(lambda: mq.standing(stream, "c")[0][0] <= last + 1, "at most one more went out", 0.6)
    before = mq.standing(stream, "c")[0][0]
    with mq.subscribe(stream, "c", f"{stream}.a") as lines:
        assert lines.numbers(1) == [(1, before + 1)]


def test_a_message_that_was_read_keeps_its_time(mq, stream):
    """Delivered, the connection closed at once: nothing comes before ack_wait, then the message, with the next number."""
    done(mq.make_consumer(stream, "c", ack_wait=LONG))
    mq.send(f"{stream}.a", b"1")
    with mq.subscribe(stream, "c", f"{stream}.a") as lines:
        assert lines.numbers(1) == [(1, 1)]
    with mq.subscribe(stream, "c", f"{stream}.a") as lines:
        stays_quiet(lines)
        end_time(mq, stream, (1, 1))
        assert lines.deliver(1) == [(1, 2, b"1")]


def test_replacing_a_consumer_makes_pending_messages_due(mq, stream):
    done(mq.make_consumer(stream, "c", max_inflight=2))
    mq.send(f"{stream}.a", b"1", b"2")
    with mq.subscribe(stream, "c", f"{stream}.a") as lines:
        assert lines.numbers(2) == [(1, 1), (2, 2)]
        done(mq.make_consumer(stream, "c", max_inflight=3))
        assert lines.numbers(2) == [(1, 3), (2, 4)]


def test_what_retention_takes_is_neither_sent_nor_pending(mq):
    name = new_name()
    done(mq.make_stream(name, max_msgs=2))
    done(mq.make_consumer(name, "c"))
    mq.send(name, b"1")
    with mq.subscribe(name, "c", name) as lines:
        assert lines.numbers(1) == [(1, 1)]
        mq.send(name, b"2", b"3", b"4")
        # 2 may go out between two publishes, before 4 takes it away.
        sequence, number, _ = lines.deliver(1)[0]
        if sequence == 2:
            sequence, number, _ = lines.deliver(1)[0]
        assert sequence == 3 and number in (2, 3)
        assert mq.standing(name, "c")[2:] == (1, 0, 1)


def test_holes_drop_what_is_pending(mq):
    name = new_name()
    done(mq.make_stream(name, subjects=[f"{name}.*"], max_msgs_per_subject=1))
    done(mq.make_consumer(name, "c"))
    mq.send(f"{name}.a", b"old")
    with mq.subscribe(name, "c", f"{name}.*") as lines:
        assert lines.deliver(1) == [(1, 1, b"old")]
        mq.send(f"{name}.a", b"new")
        assert lines.deliver(1) == [(2, 2, b"new")]


def test_a_hole_that_is_due_is_not_sent_again(mq):
    name = new_name()
    done(mq.make_stream(name, subjects=[f"{name}.*"], max_msgs_per_subject=1))
    done(mq.make_consumer(name, "c", max_inflight=9, ack_wait=S // 2))
    mq.send(f"{name}.a", b"old")
    with mq.subscribe(name, "c", f"{name}.*") as lines:
        assert lines.deliver(1) == [(1, 1, b"old")]
        mq.send(f"{name}.a", b"new")
        # Until it is a hole it may come again.
        while (first := lines.deliver(1)[0])[2] == b"old":
            pass
        sequence, number, _ = first
        assert sequence == 2
        assert lines.deliver(1) == [(2, number + 1, b"new")]
        assert mq.standing(name, "c")[2:] == (1, 1, 0)


# ---- coming and going ----

@pytest.mark.tsan
def test_the_newer_subscriber_takes_over(mq, stream):
    done(mq.make_consumer(stream, "c", max_inflight=9))
    with mq.subscribe(stream, "c", f"{stream}.a") as old:
        mq.send(f"{stream}.a", b"1")
        assert old.numbers(1) == [(1, 1)]
        with mq.subscribe(stream, "c", f"{stream}.a") as new:
            last = old.next()
            assert last.data["success"] is False and last.data["error"]["code"] == 500
            assert old.wait_end() is True
            mq.send(f"{stream}.a", b"2")
            assert new.numbers(1) == [(2, 2)]


@pytest.mark.tsan
def test_a_deleted_consumer_or_stream_ends_the_subscription(mq, stream):
    for path in (f"/v1/admin/stream/{stream}/consumer/c", f"/v1/admin/stream/{stream}"):
        done(mq.make_consumer(stream, "c"))
        with mq.subscribe(stream, "c", f"{stream}.a") as lines:
            done(mq.request("DELETE", path))
            assert lines.next().data["success"] is False
            assert lines.wait_end() is True


@pytest.mark.tsan
def test_resubscribing_a_hundred_times_loses_nothing_and_stalls_never(mq, stream):
    """A subscriber goes, the next one comes and a message is published within the same moment."""
    # What crossed a reset of its HTTP/2 stream counts as delivered: it comes again after ack_wait.
    done(mq.make_consumer(stream, "c", max_inflight=1, ack_wait=5 * S))
    old = mq.subscribe(stream, "c", f"{stream}.a")
    for i in range(1, 101):
        sender = threading.Thread(target=lambda i=i: mq.send(f"{stream}.a", b"%d" % i))
        if i % 2:
            sender.start()
        closer = threading.Thread(target=old.close)
        closer.start()
        new = mq.subscribe(stream, "c", f"{stream}.a")
        if i % 2 == 0:
            sender.start()
        sender.join()
        closer.join()
        # It may have gone to the one that just left, if that one had read it.
        seen_before = [json.loads(line)["sequence"]["stream"] for line in old.lines if '"b64_msg"' in line]
        if i not in seen_before:
            assert new.deliver(1)[0][0] == i
        done(mq.ack(stream, "c", i))
        old = new
    old.close()


def test_a_reset_client_gives_back_what_it_did_not_read(mq, gateway, stream):
    """The peer's kernel had the message, its program never: the connection is reset, the next subscriber gets it at once."""
    done(mq.make_consumer(stream, "c", max_inflight=5, ack_wait=5 * S))
    request = f"GET /v1/data/stream/{stream}/consumer/c?subject_name={stream}.a HTTP/1.1\r\nHost: x\r\n\r\n"

    def come_at_once():
        """Unless this machine stood still: what was sent half a second before the reset counts as read."""
        number, sequence = mq.standing(stream, "c")[0]
        with socket.create_connection((gateway.host, gateway.port)) as peer:
            peer.sendall(request.encode())
            assert peer.recv(12) == b"HTTP/1.1 200"
            mq.send(f"{stream}.a", b"1", b"2")
            wait.until(lambda: mq.standing(stream, "c")[0][1] == sequence + 2, "both were sent")
        with mq.subscribe(stream, "c", f"{stream}.a") as lines:
            got = lines.deliver(2)
            for acked in (sequence + 1, sequence + 2):
                done(mq.ack(stream, "c", acked))
        return got == [(sequence + 1, number + 1, b"1"), (sequence + 2, number + 2, b"2")]
    wait.until(come_at_once, "they come again with their numbers")


@pytest.mark.tsan
def test_a_stop_tells_the_subscriber(fresh_database, fleet):
    one = fleet.start(fresh_database)
    with Mq(one.url) as mq:
        done(mq.make_stream("s"))
        done(mq.make_consumer("s", "c"))
        with mq.subscribe("s", "c", "s") as lines:
            one.stop()
            last = lines.next().data
            assert last["success"] is False and last["error"]["code"] == 500 and last["request_id"] == "sub-1"
            assert lines.wait_end() is True


# ---- HTTP/2 ----

@pytest.mark.tsan
def test_one_http_2_connection_does_everything(mq, gateway, stream):
    done(mq.make_consumer(stream, "c"))
    with connect2(gateway) as connection:
        lines = Subscription2(connection, stream, "c", f"{stream}.%2A")
        headers = connection.headers[lines.number]
        assert headers[":status"] == "200" and headers["content-type"] == "text/event-stream"
        assert "connection" not in headers and "transfer-encoding" not in headers
        for i in range(1, 4):
            status, _ = connection.answer(connection.ask("POST", f"/v1/data/subject/{stream}.2", b"aGk="))
            assert status == 200
            assert lines.deliver() == [(i, i, b"hi")]
            ack = json.dumps({"stream": i, "consumer": i}).encode()
            status, _ = connection.answer(connection.ask("POST", f"/v1/data/stream/{stream}/consumer/c/ack", ack))
            assert status == 200
        lines.reset()
        status, _ = connection.answer(connection.ask("DELETE", f"/v1/admin/stream/{stream}"))
        assert status == 200


def test_a_reset_stream_frees_the_consumer_at_once(mq, gateway, stream):
    done(mq.make_consumer(stream, "c"))
    with connect2(gateway) as first, connect2(gateway) as second:
        lines = Subscription2(first, stream, "c", f"{stream}.a")
        for i in range(1, 51):
            lines.reset()
            lines = Subscription2(second if i % 2 else first, stream, "c", f"{stream}.a")
            mq.send(f"{stream}.a", b"%d" % i)
            assert lines.deliver() == [(i, i, b"%d" % i)]
            done(mq.ack(stream, "c", i))


def test_a_message_that_was_read_keeps_its_time_over_http_2(mq, gateway, stream):
    done(mq.make_consumer(stream, "c", ack_wait=LONG))
    mq.send(f"{stream}.a", b"1")
    with connect2(gateway) as connection:
        lines = Subscription2(connection, stream, "c", f"{stream}.a")
        assert lines.deliver() == [(1, 1, b"1")]
        lines.reset()
        with mq.subscribe(stream, "c", f"{stream}.a") as after:
            stays_quiet(after)
            end_time(mq, stream, (1, 1))
            assert after.deliver(1) == [(1, 2, b"1")]


# ---- groups and fleets ----

def drain(subscriptions, count, mq, stream):
    """Deliveries of all of them until there are so many, each acknowledged."""
    got = {i: [] for i in range(len(subscriptions))}

    def collect():
        for i, lines in enumerate(subscriptions):
            while lines.has_more():
                for sequence, _, _ in lines.deliver(1):
                    got[i].append(sequence)
                    done(mq.ack(stream, "c", sequence))
        return sum(map(len, got.values())) >= count
    wait.until(collect, f"{count} deliveries, not {got}")
    return got


def test_a_group_shares_without_overlap(mq, stream):
    done(mq.make_consumer(stream, "c", max_inflight=50, delivery_group="g"))
    with mq.subscribe(stream, "c", f"{stream}.a", delivery_group="g") as one, \
            mq.subscribe(stream, "c", f"{stream}.a", delivery_group="g") as two:
        mq.send(f"{stream}.a", *[b"x"] * 40)
        got = drain([one, two], 40, mq, stream)
        assert sorted(got[0] + got[1]) == list(range(1, 41))
        assert len(got[0]) >= 5 and len(got[1]) >= 5, got


@pytest.mark.tsan
def test_a_group_shares_across_workers_and_outlives_one(fresh_database, fleet):
    first, second = (fleet.start(fresh_database) for _ in range(2))
    with Mq(first.url) as a, Mq(second.url) as b:
        done(a.make_stream("s"))
        done(a.make_consumer("s", "c", max_inflight=50, delivery_group="g", ack_wait=20 * S))
        with a.subscribe("s", "c", "s", delivery_group="g") as one, b.subscribe("s", "c", "s", delivery_group="g") as two:
            delivered = []

            def both_get_some():
                """A worker that stands still leaves its turns to the other one."""
                b.send("s", *[b"x"] * 30)
                got = drain([one, two], 30, b, "s")
                delivered.extend(got[0] + got[1])
                return len(got[0]) >= 3 and len(got[1]) >= 3
            wait.until(both_get_some, "the workers share what comes")
            sent = len(delivered)
            assert sorted(delivered) == list(range(1, sent + 1))
            first.kill()
            b.send("s", *[b"x"] * 10)
            assert sorted(drain([two], 10, b, "s")[0]) == list(range(sent + 1, sent + 11))


def test_kill_9_with_subscribers_loses_nothing(fresh_database, fleet):
    first, second = (fleet.start(fresh_database) for _ in range(2))
    with Mq(first.url) as a, Mq(second.url) as b:
        done(a.make_stream("s"))
        done(a.make_consumer("s", "c", max_inflight=4, ack_wait=LONG))
        a.send("s", *[b"%d" % i for i in range(1, 7)])
        lines = a.subscribe("s", "c", "s")
        assert lines.numbers(4) == [(1, 1), (2, 2), (3, 3), (4, 4)]
        done(b.ack("s", "c", 1))
        assert lines.numbers(1) == [(5, 5)]
        first.kill()
        lines.close()
        end_time(b, "s", (2, 2), (3, 3), (4, 4), (5, 5))
        with b.subscribe("s", "c", "s") as after:
            assert sorted(after.numbers(4)) == [(2, 6), (3, 7), (4, 8), (5, 9)]
            done(b.ack("s", "c", 3))
            assert after.deliver(1) == [(6, 10, b"6")]


def test_a_newer_subscriber_at_another_worker_takes_over(mq, gateways, stream):
    (other,) = gateways(1)
    done(mq.make_consumer(stream, "c", max_inflight=10))
    with Mq(other.url) as second, mq.subscribe(stream, "c", f"{stream}.a") as old:
        with second.subscribe(stream, "c", f"{stream}.a") as new:
            assert old.next().data["success"] is False
            mq.send(f"{stream}.a", b"1")
            assert new.numbers(1) == [(1, 1)]
            done(mq.ack(stream, "c", 1))


# ---- very many ----

MANY = int(os.environ.get("TIDEGATE_TEST_SUBSCRIPTIONS", "200"))  # by hand: 2000
STREAMS_A_CONNECTION = 100


def make_crowd(mq, stream):
    """Paths of MANY subscriptions: half of them alone at their consumers, half in groups of ten."""
    alone, groups = MANY // 2, MANY // 20
    for i in range(alone):
        done(mq.make_consumer(stream, f"alone{i}", max_inflight=9))
    for i in range(groups):
        done(mq.make_consumer(stream, f"group{i}", max_inflight=9, delivery_group="g"))
    path = f"/v1/data/stream/{stream}/consumer/"
    return ([f"{path}alone{i}?subject_name={stream}.a" for i in range(alone)],
            [f"{path}group{i % groups}?subject_name={stream}.a&delivery_group=g" for i in range(groups * 10)])


def check_crowd(alone, groups, sent):
    """Bytes that each subscription got: every consumer got every message once."""
    assert all(got.count(b'"b64_msg"') == sent for got in alone)
    assert sum(got.count(b'"b64_msg"') for got in groups) == sent * (MANY // 20)


@pytest.mark.tsan
def test_many_subscriptions_at_one_worker(mq, gateway, stream):
    alone, groups = make_crowd(mq, stream)
    with Crowd(gateway.url, alone + groups) as crowd:
        crowd.wait_for("200 OK", "all are open")
        mq.send(f"{stream}.a", b"1", b"2")
        wanted = 2 * (len(alone) + MANY // 20)
        wait.until(lambda: sum(bytes(got).count(b'"b64_msg"') for got in crowd.received) >= wanted, "all have both", 60 * wait.SLOWNESS)
        got = [bytes(one) for one in crowd.received]
        check_crowd(got[:len(alone)], got[len(alone):], 2)


@pytest.mark.tsan
def test_a_crowd_in_one_group_is_called_one_at_a_time(mq, gateway, stream):
    done(mq.make_consumer(stream, "c", max_inflight=1000, delivery_group="g"))
    path = f"/v1/data/stream/{stream}/consumer/c?subject_name={stream}.a&delivery_group=g"
    sent = 20
    with Crowd(gateway.url, [path] * MANY) as crowd:
        crowd.wait_for("200 OK", "all are open")
        before = mq.metric("tidegate_wakes_total")

        def counts():
            return [bytes(got).count(b'"b64_msg"') for got in crowd.received]
        for number in range(1, sent + 1):
            mq.send(f"{stream}.a", b"x")
            wait.until(lambda n=number: sum(counts()) >= n, "somebody has it", 60 * wait.SLOWNESS)
        assert sum(counts()) == sent and max(counts()) == 1
        assert mq.metric("tidegate_wakes_total") - before < sent * MANY / 10


def test_many_subscriptions_as_streams_of_few_connections(mq, gateway, stream):
    alone, groups = make_crowd(mq, stream)
    paths = alone + groups
    with contextlib.ExitStack() as stack:
        places = []
        for begin in range(0, len(paths), STREAMS_A_CONNECTION):
            connection = stack.enter_context(connect2(gateway))
            asked = [connection.ask("GET", path) for path in paths[begin:begin + STREAMS_A_CONNECTION]]
            connection.until(lambda c=connection, a=asked: all(number in c.headers for number in a))
            places += [(connection, number) for number in asked]
        mq.send(f"{stream}.a", b"1", b"2")

        def got():
            return [connection.bodies.get(number, b"") for connection, number in places]
        for connection, number in places[:len(alone)]:
            connection.until(lambda c=connection, n=number: c.bodies.get(n, b"").count(b'"b64_msg"') == 2)
        for first in range(MANY // 20):
            members = places[len(alone) + first::MANY // 20]

            def have_all(members=members):
                return sum(c.bodies.get(n, b"").count(b'"b64_msg"') for c, n in members) >= 2
            wait.until(lambda m=members: have_all() or drain_sockets(m), "the group has both")
        check_crowd(got()[:len(alone)], got()[len(alone):], 2)


def drain_sockets(members):
    """Takes in what has come already; never true."""
    for connection, _ in members:
        while select.select([connection.socket], [], [], 0)[0] and connection.receive():
            pass
    return False
