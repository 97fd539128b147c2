"""Reading as application/vnd.tidegate.records, and strict reads in every form."""

import contextlib

import pytest
import requests

from harness import packets, wait
from harness.client import ok, refused
from harness.packets import CAUGHT_UP, EVENT, GAP, HEARTBEAT, PAGE_END, RECORD

SETTINGS = {"stream_heartbeat_ms": 1000}


def consume(client, topic, **body):
    answer = client.post(f"/topics/{topic}/consume", json=body, headers={"Accept": packets.TYPE})
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == packets.TYPE
    return packets.read(answer.content)


def bodies(got, kind):
    return [content for packet, content in got if packet == kind]


class Live:
    """A stream of packets."""

    def __init__(self, client, topic, query):
        headers = {"Accept": packets.TYPE}
        self._response = requests.get(f"{client.url}/topics/{topic}/stream?{query}", headers=headers, stream=True,
                                      timeout=wait.DEADLINE_S)
        self.status = self._response.status_code
        self.type = self._response.headers["Content-Type"]
        self._chunks = self._response.iter_content(None)
        self._rest = b""
        self._packets = []

    def next(self, wanted=None):
        """The next packet; a heartbeat, which may come before any other, only when it is wanted."""
        while True:
            while not self._packets:
                self._packets, self._rest = packets.split(self._rest + next(self._chunks))
            kind, body = self._packets.pop(0)
            if kind != HEARTBEAT or wanted == HEARTBEAT:
                return kind, packets.decode(kind, body)

    def until(self, kind):
        got = []
        while not got or got[-1][0] != kind:
            got.append(self.next(kind))
        return got

    def close(self):
        self._response.close()


@contextlib.contextmanager
def stream(client, topic, query):
    live = Live(client, topic, query)
    try:
        yield live
    finally:
        live.close()


# ---- bounded reads ----

def test_a_read_gives_the_messages_and_where_the_page_ends(client, name):
    client.make(name, 2)
    client.put(name, [{"value": "AP8=", "key": "/g==", "encoding": "base64", "partition": 1, "timestamp": 5,
                       "headers": [["h", "ü"]]}, {"value": "", "key": "", "partition": 1, "timestamp": 6},
                      {"value": "c", "partition": 1, "timestamp": 7}])
    got = consume(client, name, partition=1, offset=0, max_messages=2)
    assert got == [
        (RECORD, {"partition": 1, "offset": 0, "timestamp": 5, "key": b"\xfe", "headers": [["h", "ü"]],
                  "value": b"\x00\xff"}),
        (RECORD, {"partition": 1, "offset": 1, "timestamp": 6, "key": b"", "headers": [], "value": b""}),
        (PAGE_END, {"partition": 1, "next_offset": 2, "start_offset": 0, "end_offset": 3})]
    (last, end) = consume(client, name, partition=1, offset=2)
    assert (last[1]["key"], last[1]["value"]) == (None, b"c")
    assert end == (PAGE_END, {"partition": 1, "next_offset": 3, "start_offset": 0, "end_offset": 3})


def test_what_was_read_can_be_produced_as_it_is(client, name):
    client.make(name)
    client.put(name, [{"value": "a", "key": "k", "timestamp": 5, "headers": [["h", "1"]]}, {"value": "b", "timestamp": 6}])
    read = client.post(f"/topics/{name}/consume", json={"offset": 0}, headers={"Accept": packets.TYPE}).content
    copy = client.make(name + "-copy")
    records = b"".join(packets.packet(kind, body) for kind, body in packets.split(read)[0] if kind == RECORD)
    ok(client.post(f"/topics/{copy}/produce", data=records, headers={"Content-Type": packets.TYPE}))
    assert client.read_all(copy) == client.read_all(name)


def test_an_empty_read_still_tells_where_it_is(client, name):
    client.make(name)
    assert consume(client, name) == [(PAGE_END, {"partition": 0, "next_offset": 0, "start_offset": 0, "end_offset": 0})]


def test_a_gap_is_a_packet_before_the_messages(client, name):
    client.make(name, config={"cap_records": 2})
    client.put(name, [{"value": str(i)} for i in range(5)])
    got = consume(client, name, offset=1)
    assert got[0] == (GAP, {"partition": 0, "from_offset": 1, "to_offset": 3})
    assert [r["value"] for r in bodies(got, RECORD)] == [b"3", b"4"]
    assert bodies(got, PAGE_END) == [{"partition": 0, "next_offset": 5, "start_offset": 3, "end_offset": 5}]


def test_a_group_gets_its_lease_as_an_event(client, name):
    client.make(name)
    client.put(name, [{"value": "a"}])
    got = consume(client, name, group_id="g", consumer_id="c")
    assert [r["value"] for r in bodies(got, RECORD)] == [b"a"]
    (event,) = bodies(got, EVENT)
    assert (event["event"], event["lease"]["consumer_id"]) == ("lease", "c")
    assert event["lease"]["partitions"] == [{"partition": 0, "from_offset": 0, "next_offset": 1}]
    assert consume(client, name, group_id="g") == [(EVENT, {"event": "lease", "lease": None})]


def test_a_read_ends_before_until_offset_in_both_forms(client, name):
    client.make(name)
    client.put(name, [{"value": str(i)} for i in range(10)])
    page = ok(client.consume(name, offset=2, until_offset=5))
    assert [m["offset"] for m in page["messages"]] == [2, 3, 4]
    assert (page["next_offset"], page["start_offset"], page["end_offset"]) == (5, 0, 10)
    got = consume(client, name, offset=2, until_offset=5, wait_ms=60000)
    assert [r["offset"] for r in bodies(got, RECORD)] == [2, 3, 4]
    # There is nothing to wait for.
    assert bodies(consume(client, name, offset=5, until_offset=5, wait_ms=60000), RECORD) == []
    refused(client.consume(name, offset=0, until_offset=0), 400, "invalid_request")


@pytest.mark.parametrize("accept", ["*/*", "application/json, " + packets.TYPE, "application/*", packets.TYPE + ";q=0"])
def test_json_is_the_answer_unless_packets_fit_better(client, name, accept):
    client.make(name)
    ok(client.post(f"/topics/{name}/consume", json={}, headers={"Accept": accept}))


def test_errors_are_json_in_any_case(client, name):
    answer = client.post(f"/topics/{name}/consume", json={}, headers={"Accept": packets.TYPE})
    refused(answer, 404, "topic_not_found")


# ---- strict reads ----

def test_a_strict_read_of_what_retention_took_is_told_where_to_go_on(client, name):
    client.make(name, config={"cap_records": 2})
    client.put(name, [{"value": str(i)} for i in range(5)])
    evicted = {"partition": 0, "offset": 1, "next_available": 3}
    assert refused(client.consume(name, offset=1, strict=True), 410, "offset_evicted")["detail"] == evicted
    answer = client.get(f"/topics/{name}/stream?offset=1&strict=true")
    assert refused(answer, 410, "offset_evicted")["detail"] == evicted
    assert [m["offset"] for m in client.take(name, offset=3, strict=True)] == [3, 4]


def test_a_strict_read_beyond_the_end_is_told_the_range(client, name):
    client.make(name, 2)
    client.put(name, [{"value": "a", "partition": 1}])
    beyond = {"partition": 1, "offset": 2, "start_offset": 0, "end_offset": 1}
    answer = client.consume(name, partition=1, offset=2, strict=True)
    assert refused(answer, 416, "offset_out_of_range")["detail"] == beyond
    answer = client.get(f"/topics/{name}/stream?offset=0,2&strict=true")
    assert refused(answer, 416, "offset_out_of_range")["detail"] == beyond
    assert client.take(name, partition=1, offset=1, strict=True) == []
    assert client.take(name, partition=1, offset=2) == []


def test_strict_is_true_or_false(client, topic):
    refused(client.consume(topic, offset=0, strict="yes"), 400, "invalid_request")
    refused(client.get(f"/topics/{topic}/stream?strict=yes"), 400, "invalid_request")


# ---- live ----

def test_a_stream_gives_what_is_there_says_so_and_goes_on(client, name):
    client.make(name, 2)
    client.put(name, [{"value": "a", "key": "k", "partition": 1}, {"value": "b", "partition": 0}])
    with stream(client, name, "offset=earliest") as live:
        assert (live.status, live.type) == (200, packets.TYPE)
        got = live.until(CAUGHT_UP)
        assert sorted(r["value"] for r in bodies(got, RECORD)) == [b"a", b"b"]
        assert got[-1] == (CAUGHT_UP, {0: 1, 1: 1})
        client.put(name, [{"value": "c", "partition": 1}])
        got = live.until(CAUGHT_UP)
        assert [(r["partition"], r["offset"], r["value"]) for r in bodies(got, RECORD)] == [(1, 1, b"c")]
        assert got[-1] == (CAUGHT_UP, {0: 1, 1: 2})


def test_a_stream_of_an_empty_topic_is_caught_up_at_once(client, topic):
    with stream(client, topic, "offset=earliest") as live:
        assert live.next() == (CAUGHT_UP, {0: 0})


def test_a_quiet_stream_has_heartbeats(client, topic):
    with stream(client, topic, "offset=latest") as live:
        live.until(HEARTBEAT)


def test_a_stream_goes_on_at_the_offsets_a_reader_has(client, name):
    client.make(name, 2)
    client.put(name, [{"value": f"{p}{i}", "partition": p} for i in range(4) for p in range(2)])
    with stream(client, name, "offset=3,1") as live:
        got = bodies(live.until(CAUGHT_UP), RECORD)
    assert sorted((r["partition"], r["offset"]) for r in got) == [(0, 3), (1, 1), (1, 2), (1, 3)]


def test_a_stream_of_one_partition_tells_the_end_of_that_one(client, name):
    client.make(name, 3)
    client.put(name, [{"value": "a", "partition": 2}])
    with stream(client, name, "partition=2&offset=0") as live:
        assert live.until(CAUGHT_UP)[-1] == (CAUGHT_UP, {2: 1})


def test_a_gap_of_a_stream_is_a_packet(client, name):
    client.make(name, config={"cap_records": 2})
    client.put(name, [{"value": str(i)} for i in range(5)])
    with stream(client, name, "offset=0") as live:
        assert live.next() == (GAP, {"partition": 0, "from_offset": 0, "to_offset": 3})
        assert live.next()[1]["value"] == b"3"


def test_an_error_comes_as_an_event_behind_the_data(client, topic):
    client.put(topic, [{"value": "a"}])
    with stream(client, topic, "offset=0") as live:
        live.until(CAUGHT_UP)
        ok(client.request("DELETE", f"/topics/{topic}"))
        event = live.until(EVENT)[-1][1]
    assert (event["event"], event["code"]) == ("error", "topic_not_found")


def test_a_member_of_a_group_reads_packets(client, topic):
    client.put(topic, [{"value": "a"}])
    with stream(client, topic, "group_id=g&consumer_id=c") as live:
        assert live.next() == (EVENT, {"event": "open", "group_id": "g", "consumer_id": "c", "lease_ms": 30000})
        assert live.next()[1]["value"] == b"a"


def test_a_long_stream_arrives_whole_and_in_order(client, topic):
    count = 5000
    for first in range(0, count, 1000):
        client.put(topic, [{"value": str(i) * 20} for i in range(first, first + 1000)])
    with stream(client, topic, "offset=0") as live:
        got = bodies(live.until(CAUGHT_UP), RECORD)
    assert [(r["offset"], r["value"]) for r in got] == [(i, str(i).encode() * 20) for i in range(count)]
