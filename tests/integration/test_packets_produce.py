"""Producing as application/vnd.tidegate.records: bytes with lengths before them, no JSON around them."""

import struct

import pytest

from harness import codecs, packets
from harness.client import ok, refused
from harness.packets import record


def produce(client, topic, data, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post(f"/topics/{topic}/produce", data=data, headers={"Content-Type": packets.TYPE, **headers})


def test_records_are_stored_as_sent(client, name):
    client.make(name, 2)
    data = (record(b"\x00\xff", key=b"\xfe", partition=1, timestamp=1705334401234, headers=[["a", "b"], ["a", "c"]]) +
            record(b"", key=b"", partition=1) + record(b"plain", partition=0))
    assert ok(produce(client, name, data)) == {"results": [
        {"partition": 1, "offset": 0}, {"partition": 1, "offset": 1}, {"partition": 0, "offset": 0}]}
    first, second = client.read_all(name, 1)
    assert first == {"partition": 1, "offset": 0, "key": "/g==", "value": "AP8=", "timestamp": 1705334401234,
                     "headers": [["a", "b"], ["a", "c"]], "encoding": "base64"}
    assert (second["key"], second["value"], second["headers"]) == ("", "", [])
    (third,) = client.read_all(name, 0)
    assert (third["key"], third["value"]) == (None, "plain")
    assert third["timestamp"] > 1705334401234  # the server's


def test_the_server_places_what_names_no_partition_as_it_does_for_json(client, name):
    client.make(name, 5)
    keys = [f"key-{i}" for i in range(40)]
    as_json = client.put(name, [{"key": key, "value": "x"} for key in keys])
    as_packets = ok(produce(client, name, b"".join(record(b"x", key=key.encode()) for key in keys)))["results"]
    assert [r["partition"] for r in as_packets] == [partition for partition, _ in as_json]


def test_an_empty_key_takes_turns_like_no_key(client, name):
    client.make(name, 2)
    results = ok(produce(client, name, record(b"a", key=b"") + record(b"b") + record(b"c", key=b"")))["results"]
    assert results[0]["partition"] == results[2]["partition"] != results[1]["partition"]


def test_the_short_answer_has_the_first_offset_of_each_partition(client, name):
    client.make(name, 3)
    ok(produce(client, name, record(b"before", partition=2)))
    data = record(b"a", partition=2) + record(b"b", partition=0) + record(b"c", partition=2)
    answer = produce(client, name, data, Prefer="respond-async, return=minimal")
    assert ok(answer) == {"partitions": [{"partition": 0, "offset": 0, "count": 1},
                                         {"partition": 2, "offset": 1, "count": 2}]}
    assert answer.headers["Preference-Applied"] == "return=minimal"
    short = client.produce(name, [{"value": "d", "partition": 1}], headers={"Prefer": "return=minimal"})
    assert ok(short) == {"partitions": [{"partition": 1, "offset": 0, "count": 1}]}


def test_a_repeated_batch_is_stored_once(client, name):
    client.make(name)
    producer = {"Producer_Id": "p", "Producer_Epoch": "0", "Producer_Seq": "0", "Prefer": "return=minimal"}
    data = record(b"a") + record(b"b")
    first = ok(produce(client, name, data, **producer))
    assert ok(produce(client, name, data, **producer)) == {**first, "deduped": True}
    assert client.ends(name) == [2]


@pytest.mark.parametrize("coding", codecs.CODECS)
def test_every_content_coding_is_taken(client, name, coding):
    client.make(name)
    data = b"".join(record(bytes([i]) * 100) for i in range(50))
    ok(produce(client, name, codecs.CODECS[coding](data), Content_Encoding=coding))
    assert client.ends(name) == [50]


def test_a_body_cut_anywhere_stores_nothing(client, name):
    client.make(name)
    data = record(b"value", key=b"key", headers=[["n", "v"]]) + record(b"second")
    whole = len(data) - len(record(b"second"))
    for end in range(len(data)):
        if end != whole:
            refused(produce(client, name, data[:end]), 400, "invalid_request")
    assert client.ends(name) == [0]


WRONG = {
    "a length of zero": struct.pack(">I", 0),
    "a length beyond the body": struct.pack(">IB", 0xffffffff, 1),
    "another type": packets.packet(packets.HEARTBEAT),
    "an unknown type": packets.packet(200, b"x"),
    "a record without its lengths": packets.packet(1, b"x" * 27),
    "a key longer than the packet": packets.packet(1, struct.pack(">iqqii", -1, 0, 0, 5, 0) + b"abcd"),
    "headers longer than the packet": packets.packet(1, struct.pack(">iqqii", -1, 0, 0, 1, 4) + b"abcd"),
    "lengths that overflow together": packets.packet(1, struct.pack(">iqqii", -1, 0, 0, 0x7fffffff, 0x7fffffff)),
    "a negative key": packets.packet(1, struct.pack(">iqqii", -1, 0, 0, -2, 0)),
    "negative headers": packets.packet(1, struct.pack(">iqqii", -1, 0, 0, -1, -1)),
    "a partition that cannot be": record(b"x", partition=1024),
    "a partition that is not there": record(b"x", partition=1),
    "a partition below -1": record(b"x", partition=-2),
    "a negative time": record(b"x", timestamp=-1),
    "a time after the year 9999": record(b"x", timestamp=253402300800000),
    "headers that are no JSON": record(b"x", headers=b"[["),
    "headers that are no pairs": record(b"x", headers=[["a"]]),
    "headers with more behind them": record(b"x", headers=b'[["a","b"]] 1'),
    "headers that are not UTF-8": record(b"x", headers=b'[["\xff","b"]]'),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_refused_and_nothing_is_stored(client, name, what):
    client.make(name)
    refused(produce(client, name, record(b"good") + WRONG[what]), 400, "invalid_request")
    assert client.ends(name) == [0]


def test_limits_are_those_of_json(client, name):
    client.make(name)
    refused(produce(client, name, b""), 400, "invalid_request")
    refused(produce(client, name, record(b"") * 10_001), 400, "batch_too_large")
    refused(produce(client, name, record(b"x" * (1 << 20), key=b"k")), 400, "record_too_large")
    ok(produce(client, name, record(b"") * 10_000))
    ok(produce(client, name, record(b"x" * (1 << 20))))
    assert client.ends(name) == [10_001]


def test_a_body_that_is_too_large_is_told_the_limit(gateways, name):
    client = gateways(1, max_body_bytes=65536)[0].client()
    client.make(name)
    error = refused(produce(client, name, record(b"x" * 70_000)), 413, "payload_too_large")
    assert error["detail"] == {"max": 65536}
