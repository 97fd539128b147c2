"""Where reading begins: by time, and by an offset for each partition (streaming contract, sections 5 and 7)."""

from harness import wait
from harness.client import ok, refused
from harness.live import NDJSON, Stream

FAR = 4102444800000  # the year 2100


def offsets(client, topic, query):
    body = ok(client.get(f"/topics/{topic}/offsets?{query}"))
    return [(o["partition"], o["offset"]) for o in body["offsets"]]


def test_a_time_leads_to_the_first_message_that_was_stored_then_or_later(client, topic):
    client.put(topic, [{"value": "a"}])
    stored = client.take(topic, offset=0)[0]["timestamp"]

    def later():
        client.put(topic, [{"value": "b"}])
        return client.take(topic, offset=0)[-1]

    last = wait.until(lambda: (m := later())["timestamp"] > stored and m, "the clock went on")
    assert offsets(client, topic, "timestamp=0") == offsets(client, topic, f"timestamp={stored}") == [(0, 0)]
    assert offsets(client, topic, f"timestamp={last['timestamp']}") == [(0, last["offset"])]
    assert offsets(client, topic, f"timestamp={last['timestamp'] + 1}") == [(0, last["offset"] + 1)]


def test_every_partition_has_its_own_answer(client, topic4):
    client.put(topic4, [{"value": "x", "partition": 2}, {"value": "y", "partition": 2}])
    assert offsets(client, topic4, f"timestamp={FAR}") == [(0, 0), (1, 0), (2, 2), (3, 0)]
    assert offsets(client, topic4, f"timestamp={FAR}&partition=2") == [(2, 2)]


def test_a_bad_time_or_partition_is_refused(client, topic):
    for query in ("", "timestamp=", "timestamp=-1", "timestamp=noon"):
        refused(client.get(f"/topics/{topic}/offsets?{query}"), 400, "invalid_request", "timestamp")
    refused(client.get(f"/topics/{topic}/offsets?timestamp=1&partition=1"), 400, "invalid_request")
    refused(client.get("/topics/nobody-made-this/offsets?timestamp=1"), 404, "topic_not_found")


def test_a_stream_begins_at_an_offset_for_each_partition(client, topic4):
    client.put(topic4, [{"value": f"{p}.{n}", "partition": p} for p in range(4) for n in range(3)])
    with Stream(client, f"/topics/{topic4}/stream?offset=2,0,3,1", accept=NDJSON) as live:
        got = sorted((m["partition"], m["offset"]) for m in live.take(6))
    assert got == [(0, 2), (1, 0), (1, 1), (1, 2), (3, 1), (3, 2)]


def test_partitions_that_a_list_leaves_out_begin_at_their_beginning(client, topic4):
    client.put(topic4, [{"value": "x", "partition": p} for p in range(4)])
    with Stream(client, f"/topics/{topic4}/stream?offset=1,1", accept=NDJSON) as live:
        assert sorted(m["partition"] for m in live.take(2)) == [2, 3]


def test_a_bad_list_of_offsets_is_refused(client, topic4):
    for offset in ("1,", ",1", "1,x,3,4", "1,2,3,4,5", "1,-1", "1"):
        refused(client.get(f"/topics/{topic4}/stream?offset={offset}"), 400, "invalid_request", "offset")
    refused(client.get(f"/topics/{topic4}/stream?offset=1,2&partition=0"), 400, "invalid_request", "offset")
