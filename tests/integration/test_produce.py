"""Producing (streaming contract, section 3)."""

import base64
import collections
import json
import time

import pytest

from harness.client import ok, pairs, refused, values


def stored(client, topic, **where):
    return client.read_all(topic, **where)


def test_the_answer_has_one_result_a_message_in_request_order_and_nothing_else(client, topic4):
    answer = client.produce(topic4, [{"value": "a", "partition": 2}, {"value": "b", "partition": 0},
                                     {"value": "c", "partition": 2}, {"value": "d", "partition": 2}])
    assert answer.status_code == 200
    assert answer.text == ('{"results":[{"partition":2,"offset":0},{"partition":0,"offset":0},'
                           '{"partition":2,"offset":1},{"partition":2,"offset":2}]}')


def test_offsets_begin_at_0_and_are_dense_in_each_partition(client, topic4):
    for expected in range(5):
        for partition in range(4):
            assert client.put(topic4, [{"value": "x", "partition": partition}]) == [(partition, expected)]


def test_a_message_comes_back_with_every_member_it_was_given(client, topic):
    before = int(time.time() * 1000)
    client.put(topic, [{"key": "k", "value": "v", "headers": [["a", "1"], ["b", ""], ["a", "2"], ["", "ü"]]}])
    after = int(time.time() * 1000)
    [message] = stored(client, topic)
    stamp = message.pop("timestamp")
    assert isinstance(stamp, int) and before - 2000 <= stamp <= after + 2000
    assert message == {"partition": 0, "offset": 0, "key": "k", "value": "v",
                       "headers": [["a", "1"], ["b", ""], ["a", "2"], ["", "ü"]]}


def test_a_message_without_key_and_headers_comes_back_with_null_and_an_empty_list(client, topic):
    client.put(topic, [{"value": "v"}, {"value": "w", "key": None}, {"value": "x", "headers": []}])
    for message in stored(client, topic):
        assert message["key"] is None
        assert message["headers"] == []


def test_null_means_absent_for_every_member_but_the_value(client, topic):
    message = {"value": None, "key": None, "headers": None, "partition": None, "timestamp": None, "encoding": None}
    client.put(topic, [message, message])
    for message in stored(client, topic):
        assert (message["key"], message["value"], message["headers"]) == (None, "null", [])


@pytest.mark.parametrize("text", ["", " ", "plain", "ключ", "😀 𝄞", "a\u0000b", "\u0001\u001f\u007f", '"quoted"\\back/slash',
                                  "line\nbreak\r\ttab", "\u2028\u2029", "\ud7ff\ue000\ufffd\uffff", "x" * 100_000],
                         ids=lambda text: ascii(text)[:24])
def test_any_text_survives_as_value_key_and_header(client, topic, text):
    client.put(topic, [{"key": text or None, "value": text, "headers": [[text, text]]}])
    [message] = stored(client, topic)
    assert (message["key"], message["value"], message["headers"]) == (text or None, text, [[text, text]])


def test_escapes_in_the_request_mean_what_json_says(client, topic):
    body = r'{"messages":[{"value":"\u0041\ud83d\ude00\/\b\f\n\r\t\"\\","key":"\u00fc"}]}'
    ok(client.post(f"/topics/{topic}/produce", data=body, headers={"Content-Type": "application/json"}))
    [message] = stored(client, topic)
    assert message["value"] == 'A😀/\b\f\n\r\t"\\'
    assert message["key"] == "ü"


def test_an_escape_of_half_a_surrogate_pair_has_no_bytes_and_becomes_the_replacement_character(client, topic):
    body = r'{"messages":[{"value":"a\ud800b\udc00"},{"value":["\ud800"]}]}'
    ok(client.post(f"/topics/{topic}/produce", data=body, headers={"Content-Type": "application/json"}))
    # A string is text, and UTF-8 has no form for it; any other JSON value is kept as its own text.
    assert values(stored(client, topic)) == ["a\ufffdb\ufffd", r'["\ud800"]']


@pytest.mark.parametrize("text,kept", [
    ("null", "null"), ("true", "true"), ("false", "false"), ("0", "0"), ("-0.0", "-0.0"), ("1e400", "1e400"),
    ("12345678901234567890123", "12345678901234567890123"), ("1.10", "1.10"),
    ("{}", "{}"), ("[]", "[]"), ('{ "b" : 1 ,\n "a" : [ 1 , { } ] }', '{"b":1,"a":[1,{}]}'),
    ('{"a":1,"a":2}', '{"a":1,"a":2}'), ('["\\u0000", "x y", " "]', '["\\u0000","x y"," "]'),
    ('[ "a\\"b" , "c\\\\" ]', '["a\\"b","c\\\\"]'),
])
def test_any_json_value_is_stored_as_its_compact_text(client, topic, text, kept):
    body = f'{{"messages":[{{"value":{text}}}]}}'
    ok(client.post(f"/topics/{topic}/produce", data=body, headers={"Content-Type": "application/json"}))
    assert values(stored(client, topic)) == [kept]


def test_unknown_members_are_ignored_wherever_they_stand(client, topic):
    body = {"messages": [{"value": "v", "extra": {"deep": [1, 2]}, "offset": 99}], "acks": "all", "timeout": None}
    assert ok(client.post(f"/topics/{topic}/produce", json=body)) == {"results": [{"partition": 0, "offset": 0}]}
    assert values(stored(client, topic)) == ["v"]


def test_a_missing_content_type_is_accepted_when_the_body_is_json(client, topic):
    answer = client.post(f"/topics/{topic}/produce", data=b'{"messages":[{"value":"v"}]}', headers={"Content-Type": None})
    assert ok(answer)["results"] == [{"partition": 0, "offset": 0}]


@pytest.mark.parametrize("type_", ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON"])
def test_json_content_types_are_accepted(client, topic, type_):
    answer = client.post(f"/topics/{topic}/produce", data=b'{"messages":[{"value":"v"}]}', headers={"Content-Type": type_})
    ok(answer)


# ---- keys and partitions ----

def test_messages_of_one_key_stay_on_one_partition_in_order(client, topic4):
    where = client.put(topic4, [{"key": f"k{i % 7}", "value": str(i)} for i in range(70)])
    by_key = collections.defaultdict(set)
    for i, (partition, _) in enumerate(where):
        by_key[i % 7].add(partition)
    assert all(len(partitions) == 1 for partitions in by_key.values())
    for partition in range(4):
        numbers = [int(v) for v in values(stored(client, topic4, partition=partition))]
        assert numbers == sorted(numbers)


def test_messages_without_key_are_spread_round_robin(client, topic4):
    where = [client.put(topic4, [{"value": str(i)}])[0] for i in range(40)]
    counts = collections.Counter(partition for partition, _ in where)
    assert counts == {0: 10, 1: 10, 2: 10, 3: 10}


def test_messages_without_key_in_one_request_are_spread_too(client, topic4):
    where = client.put(topic4, [{"value": str(i)} for i in range(400)])
    counts = collections.Counter(partition for partition, _ in where)
    assert counts == {0: 100, 1: 100, 2: 100, 3: 100}


def test_an_empty_key_is_no_key(client, topic4):
    where = client.put(topic4, [{"key": "", "value": str(i)} for i in range(40)])
    assert {partition for partition, _ in where} == {0, 1, 2, 3}


def test_a_partition_in_the_message_wins_over_its_key(client, topic4):
    # user-123 falls on 3 of 4 by its hash.
    assert client.put(topic4, [{"key": "user-123", "value": "v", "partition": 1}]) == [(1, 0)]
    assert stored(client, topic4, partition=1)[0]["key"] == "user-123"


# ---- timestamps ----

@pytest.mark.parametrize("stamp", [1, 1705334401234, 253402300799999])
def test_a_timestamp_in_the_message_overrides_the_server_s(client, topic, stamp):
    client.put(topic, [{"value": "v", "timestamp": stamp}, {"value": "w"}])
    first, second = stored(client, topic)
    assert first["timestamp"] == stamp
    assert abs(second["timestamp"] - time.time() * 1000) < 60_000


def test_server_timestamps_never_decrease_along_a_partition(client, topic):
    for i in range(30):
        client.put(topic, [{"value": str(i)}])
    stamps = [m["timestamp"] for m in stored(client, topic)]
    assert stamps == sorted(stamps)


# ---- base64 ----

RAW = bytes(range(256))


def test_base64_messages_keep_every_byte_of_value_and_key(client, topic):
    text = base64.b64encode(RAW).decode()
    client.put(topic, [{"key": text, "value": text, "encoding": "base64"}])
    [message] = stored(client, topic)
    assert message["encoding"] == "base64"
    assert base64.b64decode(message["value"], validate=True) == RAW
    assert base64.b64decode(message["key"], validate=True) == RAW


def test_base64_of_text_is_text_again_when_read(client, topic):
    client.put(topic, [{"key": base64.b64encode("ключ".encode()).decode(), "value": base64.b64encode(b"plain").decode(),
                        "encoding": "base64"}])
    [message] = stored(client, topic)
    assert "encoding" not in message
    assert (message["key"], message["value"]) == ("ключ", "plain")


def test_an_empty_base64_value_is_an_empty_value(client, topic):
    client.put(topic, [{"value": "", "encoding": "base64"}])
    assert values(stored(client, topic)) == [""]


# ---- NDJSON ----

def ndjson(client, topic, body, **headers):
    return client.post(f"/topics/{topic}/produce", data=body, headers={"Content-Type": "application/x-ndjson", **headers})


def test_ndjson_carries_one_message_a_line(client, topic4):
    lines = [{"value": "a", "partition": 1}, {"key": "user-123", "value": "b"}, {"value": {"n": 1}, "partition": 0}]
    body = "\n".join(json.dumps(line) for line in lines) + "\n"
    assert ok(ndjson(client, topic4, body)) == {
        "results": [{"partition": 1, "offset": 0}, {"partition": 3, "offset": 0}, {"partition": 0, "offset": 0}]}
    assert values(stored(client, topic4, partition=0)) == ['{"n":1}']


@pytest.mark.parametrize("body", ['{"value":"a"}\n{"value":"b"}', '{"value":"a"}\r\n{"value":"b"}\r\n',
                                  '\n{"value":"a"}\n\n{"value":"b"}\n\n'], ids=["no-last-newline", "crlf", "blank-lines"])
def test_ndjson_line_ends_may_vary(client, topic, body):
    ok(ndjson(client, topic, body))
    assert values(stored(client, topic)) == ["a", "b"]


def test_one_bad_ndjson_line_refuses_them_all(client, topic):
    refused(ndjson(client, topic, '{"value":"a"}\n{"value":\n{"value":"b"}\n'), 400, "invalid_request")
    assert client.ends(topic) == [0]


# ---- all or nothing, limits ----

@pytest.mark.parametrize("bad", [{"value": "x", "partition": 4}, {"value": "x", "partition": -1}, {"key": "no value"},
                                 {"value": "%%%", "encoding": "base64"}, {"value": "x", "headers": [["one"]]},
                                 {"value": "x" * (1 << 20) + "x"}], ids=lambda bad: str(bad)[:40])
@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_one_bad_message_refuses_the_whole_request(client, topic4, bad, place):
    messages = [{"value": str(i), "partition": i % 4} for i in range(10)]
    messages.insert({"first": 0, "middle": 5, "last": 10}[place], bad)
    answer = client.produce(topic4, messages)
    refused(answer, 400, "record_too_large" if len(str(bad)) > 1000 else "invalid_request")
    assert client.ends(topic4) == [0, 0, 0, 0]
    # The next good one gets the first offset: nothing was used up.
    assert client.put(topic4, [{"value": "good", "partition": 2}]) == [(2, 0)]


def test_ten_thousand_messages_go_and_one_more_does_not(client, topic4):
    messages = [{"key": str(i), "value": str(i)} for i in range(10_001)]
    refused(client.produce(topic4, messages), 400, "batch_too_large")
    assert client.ends(topic4) == [0, 0, 0, 0]
    where = client.put(topic4, messages[:-1])
    assert len(where) == len(set(where)) == 10_000
    assert sum(client.ends(topic4)) == 10_000
    read = [m for p in range(4) for m in stored(client, topic4, partition=p)]
    assert {(m["partition"], m["offset"]): m["value"] for m in read} == {at: str(i) for i, at in enumerate(where)}


def test_a_record_of_one_mebibyte_goes_and_one_byte_more_does_not(client, topic):
    size = 1 << 20
    refused(client.produce(topic, [{"value": "x" * (size + 1)}]), 400, "record_too_large")
    assert client.ends(topic) == [0]
    client.put(topic, [{"value": "x" * size}])
    assert client.put(topic, [{"value": "y" * (size - 3), "key": "abc"}]) == [(0, 1)]
    refused(client.produce(topic, [{"value": "y" * (size - 2), "key": "abc"}]), 400, "record_too_large")
    first, second = stored(client, topic)
    assert (len(first["value"]), len(second["value"])) == (size, size - 3)


def test_the_size_of_a_record_is_that_of_its_bytes_not_of_its_escapes(client, topic):
    # 6 bytes of JSON each, 1 byte each once unescaped: 1 MiB of value in a body of 6 MiB.
    body = '{"messages":[{"value":"' + "\\u0041" * (1 << 20) + '"}]}'
    ok(client.post(f"/topics/{topic}/produce", data=body, headers={"Content-Type": "application/json"}))
    [message] = stored(client, topic)
    assert message["value"] == "A" * (1 << 20)


@pytest.mark.slow
def test_many_large_records_go_in_one_request_and_come_back_unchanged(client, topic4):
    messages = [{"value": chr(97 + i) * 1_000_000, "partition": i % 4} for i in range(24)]
    client.put(topic4, messages)
    read = [m for p in range(4) for m in stored(client, topic4, partition=p)]
    assert sorted(m["value"][0] for m in read) == [chr(97 + i) for i in range(24)]
    assert {len(m["value"]) for m in read} == {1_000_000}
    assert all(m["value"] == m["value"][0] * 1_000_000 for m in read)


def test_messages_of_one_request_have_consecutive_offsets_in_each_partition(client, topic4):
    client.put(topic4, [{"value": "before", "partition": 0}])
    where = client.put(topic4, [{"value": str(i), "partition": i % 3} for i in range(300)])
    for partition, start in ((0, 1), (1, 0), (2, 0)):
        assert [o for p, o in where if p == partition] == list(range(start, start + 100))


def test_what_was_produced_last_is_read_next(client, topic):
    """An answered produce is visible to the next request, every time."""
    for i in range(50):
        [(_, offset)] = client.put(topic, [{"value": str(i)}])
        assert offset == i
        assert values(client.take(topic, offset=i)) == [str(i)]


# ---- topics made by producing ----

def test_an_unknown_topic_is_404_and_is_not_created(client, name):
    error = refused(client.produce(name, [{"value": "v"}]), 404, "topic_not_found")
    assert error["detail"] == {"topic": name}
    refused(client.get(f"/topics/{name}"), 404, "topic_not_found")


def test_with_auto_create_an_unknown_topic_is_made_with_one_partition(fresh_database, fleet, name):
    client = fleet.start(fresh_database, auto_create_topics="true").client()
    assert client.put(name, [{"key": "k", "value": "v"}]) == [(0, 0)]
    assert client.info(name)["partitions"] == 1
    refused(client.produce("-bad-name-", [{"value": "v"}]), 400, "invalid_request")
    refused(client.produce(name + "-2", [{"value": "v", "partition": 1}]), 400, "invalid_request")
    refused(client.get("/topics/-bad-name-"), 404, "topic_not_found")


def test_a_full_topic_that_rejects_answers_422_and_keeps_what_it_has(client, name):
    client.make(name, config={"cap_records": 3, "discard": "reject"})
    client.put(name, [{"value": "a"}, {"value": "b"}])
    refused(client.produce(name, [{"value": "c"}, {"value": "d"}]), 422, "topic_full")
    assert client.put(name, [{"value": "c"}]) == [(0, 2)]
    refused(client.produce(name, [{"value": "d"}]), 422, "topic_full")
    assert values(stored(client, name)) == ["a", "b", "c"]
    refused(client.produce(name, [{"value": str(i)} for i in range(4)]), 400, "record_too_large")
    assert pairs(stored(client, name)) == [(0, 0), (0, 1), (0, 2)]
