"""Consuming by pure reads, limits and long polls (streaming contract, section 4)."""

import base64
import threading
import time

import pytest

from harness import wait
from harness.client import ok, refused, values


@pytest.fixture
def ten(client, topic):
    """A topic with messages "0" … "9" in its one partition."""
    client.put(topic, [{"value": str(i)} for i in range(10)])
    return topic


def test_a_pure_read_begins_at_the_offset_and_may_be_repeated(client, ten):
    for _ in range(3):
        got = client.take(ten, offset=4, partition=0)
        assert values(got) == ["4", "5", "6", "7", "8", "9"]
        assert [m["offset"] for m in got] == [4, 5, 6, 7, 8, 9]


def test_the_answer_of_a_pure_read_has_messages_where_to_go_on_and_the_end(client, topic):
    client.put(topic, [{"value": "v", "key": "k", "timestamp": 5, "headers": [["a", "b"]]}])
    answer = client.consume(topic, offset=0)
    assert answer.text == ('{"messages":[{"partition":0,"offset":0,"key":"k","value":"v","timestamp":5,'
                           '"headers":[["a","b"]]}],"next_offset":1,"start_offset":0,"end_offset":1}')


def test_partition_defaults_to_0(client, topic4):
    client.put(topic4, [{"value": f"p{p}", "partition": p} for p in range(4)])
    assert values(client.take(topic4, offset=0)) == ["p0"]
    for p in range(4):
        assert [(m["partition"], m["value"]) for m in client.take(topic4, offset=0, partition=p)] == [(p, f"p{p}")]


def test_a_read_at_or_beyond_the_end_is_empty_and_no_error(client, ten):
    for offset in (10, 11, 1_000_000, 2**53):
        assert ok(client.consume(ten, offset=offset)) == {"messages": [], "next_offset": offset, "start_offset": 0,
                                                         "end_offset": 10}


def test_a_read_of_an_empty_topic_is_empty(client, topic4):
    for p in range(4):
        assert ok(client.consume(topic4, offset=0, partition=p)) == {"messages": [], "next_offset": 0, "start_offset": 0,
                                                                      "end_offset": 0}


def test_a_pure_read_with_a_group_id_touches_no_group(client, ten):
    assert len(client.take(ten, offset=0, group_id="g")) == 10
    assert len(client.take(ten, offset=0, group_id="g")) == 10
    refused(client.get(f"/topics/{ten}/groups/g"), 404, "group_not_found")
    # … and a lease keeps nobody from reading.
    assert len(client.take(ten, group_id="h")) == 10
    assert len(client.take(ten, offset=0, group_id="h")) == 10


def test_next_offset_is_where_the_next_page_begins(client, ten):
    offset = 0
    for expected in ([0, 1, 2], [3, 4, 5], [6, 7, 8], [9], []):
        body = ok(client.consume(ten, offset=offset, max_messages=3))
        assert [m["offset"] for m in body["messages"]] == expected
        assert body["end_offset"] == 10
        offset = body["next_offset"]
    assert offset == 10


def test_without_offset_and_group_a_read_begins_at_the_earliest_message_or_at_the_end(client, ten):
    assert len(client.take(ten)) == 10
    assert ok(client.consume(ten, **{"from": "latest"})) == {"messages": [], "next_offset": 10, "start_offset": 0,
                                                             "end_offset": 10}


def test_max_messages_defaults_to_100(client, topic):
    client.put(topic, [{"value": str(i)} for i in range(250)])
    assert len(client.take(topic, offset=0)) == 100
    assert len(client.take(topic, group_id="g")) == 100


@pytest.mark.parametrize("count", [1, 2, 9, 10, 11, 10_000])
def test_max_messages_is_exact(client, ten, count):
    assert values(client.take(ten, offset=0, max_messages=count)) == [str(i) for i in range(min(10, count))]


def test_ten_thousand_messages_come_in_one_answer(client, topic):
    for start in range(0, 12_000, 4000):
        client.put(topic, [{"value": str(i)} for i in range(start, start + 4000)])
    got = client.take(topic, offset=1, max_messages=10_000)
    assert values(got) == [str(i) for i in range(1, 10_001)]


@pytest.mark.parametrize("page", [1, 3, 7, 512, 1000])
def test_pages_of_any_size_join_without_hole_or_repeat(client, topic, page):
    """Reads cut where they like in stored batches of very different sizes."""
    count = 0
    for size in (1, 1, 3, 600, 2, 40, 1, 500):
        client.put(topic, [{"value": str(count + i)} for i in range(size)])
        count += size
    start = count - 60 if page < 5 else 0
    got = client.read_all(topic, offset=start, page=page)
    assert values(got) == [str(i) for i in range(start, count)]


def test_max_bytes_stops_before_the_message_that_would_pass_it(client, topic):
    client.put(topic, [{"value": "x" * 1000} for _ in range(10)])
    for budget, expected in ((3000, 3), (3500, 3), (3999, 3), (4000, 4), (9_999_999, 10)):
        assert len(client.take(topic, offset=0, max_bytes=budget)) == expected


def test_at_least_one_message_is_returned_whatever_max_bytes_says(client, topic):
    client.put(topic, [{"value": "x" * 100_000}, {"value": "y"}])
    assert [m["offset"] for m in client.take(topic, offset=0, max_bytes=1)] == [0]
    assert [m["offset"] for m in client.take(topic, offset=1, max_bytes=1)] == [1]
    assert [m["offset"] for m in client.take(topic, group_id="g", max_bytes=1)] == [0]


def test_max_bytes_defaults_to_one_mebibyte(client, topic):
    client.put(topic, [{"value": "x" * 100_000} for _ in range(20)])
    assert len(client.take(topic, offset=0)) == 10
    assert len(client.take(topic, group_id="g")) == 10


def test_bytes_that_are_no_utf8_come_as_base64_with_a_mark(client, topic):
    pieces = [b"\xff", b"\x80abc", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf", b"ok \xe2\x82"]
    client.put(topic, [{"value": base64.b64encode(p).decode(), "encoding": "base64"} for p in pieces])
    got = client.take(topic, offset=0)
    assert {m["encoding"] for m in got} == {"base64"}
    assert [base64.b64decode(m["value"], validate=True) for m in got] == pieces


def test_a_binary_key_marks_the_whole_message_as_base64(client, topic):
    client.put(topic, [{"key": base64.b64encode(b"\xfe\xff").decode(), "value": base64.b64encode(b"text").decode(),
                        "encoding": "base64"}])
    [message] = client.take(topic, offset=0)
    assert message["encoding"] == "base64"
    assert (base64.b64decode(message["key"]), base64.b64decode(message["value"])) == (b"\xfe\xff", b"text")


# ---- long polls ----

class Poll(threading.Thread):
    """A consume call in a thread of its own."""

    def __init__(self, gateway, topic, **body):
        super().__init__(daemon=True)
        self.gateway, self.topic, self.body = gateway, topic, body
        self.result = None
        self.seconds = None
        self.start()

    def run(self):
        begun = time.monotonic()
        with self.gateway.client() as client:
            self.result = client.consume(self.topic, **self.body)
        self.seconds = time.monotonic() - begun

    def messages(self):
        self.join(wait.DEADLINE_S)
        assert self.result is not None, "the long poll did not return"
        return ok(self.result)["messages"]


def test_a_long_poll_with_messages_there_does_not_wait(client, ten):
    begun = time.monotonic()
    assert len(client.take(ten, offset=0, wait_ms=60_000)) == 10
    assert len(client.take(ten, group_id="g", wait_ms=60_000)) == 10
    assert time.monotonic() - begun < 30


def test_a_long_poll_without_messages_waits_its_time_and_is_empty(client, topic):
    for body in ({"offset": 0}, {"group_id": "g"}):
        begun = time.monotonic()
        assert client.take(topic, wait_ms=400, **body) == []
        assert time.monotonic() - begun > 0.35


@pytest.mark.parametrize("body", [{"offset": 10}, {"group_id": "g"}], ids=["read", "group"])
def test_a_long_poll_returns_as_soon_as_a_message_is_there(gateway, client, ten, body):
    ok(client.commit(ten, "g", {0: 10}))
    poll = Poll(gateway, ten, wait_ms=60_000, **body)
    wait.holds_for(poll.is_alive, "the poll waits", 0.3)
    client.put(ten, [{"value": "new"}])
    assert values(poll.messages()) == ["new"]
    assert poll.seconds < 30


@pytest.mark.tsan
@pytest.mark.parametrize("body", [{"offset": 0}, {"group_id": "g"}], ids=["read", "group"])
def test_a_long_poll_is_woken_by_a_produce_on_another_worker(gateways, name, body):
    one, two = gateways(2, poll_interval_ms=60_000)  # the slow poll cannot be what wakes it
    one.client().make(name, 2)
    for round_ in range(5):
        offset = {"offset": round_} if "offset" in body else {}
        poll = Poll(one, name, wait_ms=50_000, **{**body, **offset})
        wait.holds_for(poll.is_alive, "the poll waits", 0.1)
        two.client().put(name, [{"value": str(round_), "partition": 0}])
        assert values(poll.messages()) == [str(round_)]
        assert poll.seconds < 30
        ok(one.client().commit(name, "g", {0: round_ + 1}))


def test_a_lost_notification_costs_at_most_the_poll_interval(fresh_database, fleet, name):
    """NOTIFY is only a hint: when the connection that listens is cut, the slow poll finds the record."""
    gateway = fleet.start(fresh_database, poll_interval_ms=100)
    other = fleet.start(fresh_database)
    client = gateway.client()
    client.make(name)
    poll = Poll(gateway, name, offset=0, wait_ms=50_000)
    wait.holds_for(poll.is_alive, "the poll waits", 0.2)
    fresh_database.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                        "AND pid <> pg_backend_pid() AND query ILIKE 'listen%'")
    other.client().put(name, [{"value": "unheard"}])
    assert values(poll.messages()) == ["unheard"]


@pytest.mark.tsan
def test_many_long_polls_are_all_answered_by_one_produce(gateway, client, topic):
    polls = [Poll(gateway, topic, offset=0, wait_ms=60_000) for _ in range(50)]
    wait.holds_for(lambda: all(p.is_alive() for p in polls), "the polls wait", 0.3)
    client.put(topic, [{"value": "all"}])
    assert all(values(p.messages()) == ["all"] for p in polls)


def test_a_long_poll_on_a_topic_that_is_deleted_meanwhile_ends(gateway, client, topic):
    poll = Poll(gateway, topic, offset=0, wait_ms=60_000)
    wait.holds_for(poll.is_alive, "the poll waits", 0.2)
    ok(client.request("DELETE", f"/topics/{topic}"))
    poll.join(wait.DEADLINE_S)
    assert not poll.is_alive() and poll.seconds < 30
    refused(poll.result, 404, "topic_not_found")


def test_a_waiting_poll_holds_up_nobody_else(gateway, client, topic):
    """More polls than the worker has threads and database connections."""
    polls = [Poll(gateway, topic, offset=0, wait_ms=60_000) for _ in range(40)]
    for i in range(20):
        refused(client.consume("no-such-topic", offset=0), 404, "topic_not_found")
    assert all(p.is_alive() for p in polls)
    client.put(topic, [{"value": "end"}])
    for p in polls:
        p.messages()
