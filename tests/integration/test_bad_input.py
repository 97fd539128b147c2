"""Bad input: each with a 4xx, a code and a sentence that helps, and nothing changed."""

import json
from urllib.parse import quote

import pytest

from harness.client import ok, refused, values

JSON_TYPE = {"Content-Type": "application/json"}


def deep(opening, closing, levels):
    return opening * levels + closing * levels


# What is no JSON at all, or not the object that is wanted, whatever the call.
NO_OBJECT = {
    "empty": b"",
    "blanks": b" \n\t ",
    "open-brace": b"{",
    "truncated-string": b'{"messages":[{"value":"abc',
    "truncated-escape": b'{"messages":[{"value":"abc\\',
    "truncated-unicode": b'{"messages":[{"value":"\\u00',
    "truncated-array": b'{"messages":[{"value":"a"},',
    "truncated-object": b'{"messages":[{"value":"a"}]',
    "truncated-number": b'{"messages":[{"value":1.',
    "truncated-word": b'{"messages":[{"value":tru',
    "trailing-comma": b'{"messages":[{"value":"a"},]}',
    "missing-comma": b'{"messages":[{"value":"a"} {"value":"b"}]}',
    "missing-colon": b'{"messages" [{"value":"a"}]}',
    "single-quotes": b"{'messages':[{'value':'a'}]}",
    "bare-name": b'{messages:[{"value":"a"}]}',
    "comment": b'{"messages":[{"value":"a"}]} // x',
    "two-values": b'{"messages":[{"value":"a"}]}{"messages":[{"value":"a"}]}',
    "trailing-word": b'{"messages":[{"value":"a"}]}x',
    "nul-byte-after": b'{"messages":[{"value":"a"}]}\x00',
    "leading-zero": b'{"messages":[{"value":01}]}',
    "plus-number": b'{"messages":[{"value":+1}]}',
    "bare-fraction": b'{"messages":[{"value":.5}]}',
    "nan": b'{"messages":[{"value":NaN}]}',
    "raw-newline": b'{"messages":[{"value":"a\nb"}]}',
    "raw-nul": b'{"messages":[{"value":"a\x00b"}]}',
    "raw-tab": b'{"messages":[{"value":"a\tb"}]}',
    "bad-escape": b'{"messages":[{"value":"\\x41"}]}',
    "bad-unicode-escape": b'{"messages":[{"value":"\\u00g0"}]}',
    "bom": b'\xef\xbb\xbf{"messages":[{"value":"a"}]}',
    "utf16": '{"messages":[{"value":"a"}]}'.encode("utf-16"),
    "utf8-alone-continuation": b'{"messages":[{"value":"\x80"}]}',
    "utf8-cut-sequence": b'{"messages":[{"value":"\xe2\x82"}]}',
    "utf8-overlong": b'{"messages":[{"value":"\xc0\xaf"}]}',
    "utf8-surrogate": b'{"messages":[{"value":"\xed\xa0\x80"}]}',
    "utf8-beyond": b'{"messages":[{"value":"\xf4\x90\x80\x80"}]}',
    "utf8-bad-key": b'{"messages":[{"key":"\xff","value":"a"}]}',
    "utf8-bad-name": b'{"messages":[{"value":"a","\xff":1}]}',
    "utf8-bad-header": b'{"messages":[{"value":"a","headers":[["\xff","x"]]}]}',
    "utf8-bad-elsewhere": b'{"other":"\xff","messages":[{"value":"a"}]}',
    "deep-arrays": ('{"messages":[{"value":' + deep("[", "]", 100_000) + "}]}").encode(),
    "deep-objects": ('{"messages":[{"value":' + '{"a":' * 100_000 + "1" + "}" * 100_000 + "}]}").encode(),
    "deep-unclosed": ('{"messages":[{"value":' + "[" * 1_000_000).encode(),
    "deep-elsewhere": ('{"x":' + deep("[", "]", 100_000) + ',"messages":[{"value":"a"}]}').encode(),
    "array": b"[]",
    "string": b'"messages"',
    "number": b"1",
    "null": b"null",
}

# JSON of the wrong shape for a produce.
PRODUCE = {
    "no-messages": {},
    "messages-null": {"messages": None},
    "messages-object": {"messages": {"value": "a"}},
    "messages-string": {"messages": "a"},
    "messages-empty": {"messages": []},
    "message-null": {"messages": [None]},
    "message-string": {"messages": ["a"]},
    "message-array": {"messages": [["a"]]},
    "no-value": {"messages": [{"key": "k"}]},
    "key-number": {"messages": [{"value": "a", "key": 1}]},
    "key-object": {"messages": [{"value": "a", "key": {}}]},
    "key-bool": {"messages": [{"value": "a", "key": True}]},
    "headers-object": {"messages": [{"value": "a", "headers": {"a": "b"}}]},
    "headers-string": {"messages": [{"value": "a", "headers": "a"}]},
    "header-string": {"messages": [{"value": "a", "headers": ["a"]}]},
    "header-one": {"messages": [{"value": "a", "headers": [["a"]]}]},
    "header-three": {"messages": [{"value": "a", "headers": [["a", "b", "c"]]}]},
    "header-number": {"messages": [{"value": "a", "headers": [["a", 1]]}]},
    "header-null": {"messages": [{"value": "a", "headers": [[None, "b"]]}]},
    "partition-out": {"messages": [{"value": "a", "partition": 2}]},
    "partition-far-out": {"messages": [{"value": "a", "partition": 2**31}]},
    "partition-very-far-out": {"messages": [{"value": "a", "partition": 2**64}]},
    "partition-negative": {"messages": [{"value": "a", "partition": -1}]},
    "partition-fraction": {"messages": [{"value": "a", "partition": 0.5}]},
    "partition-string": {"messages": [{"value": "a", "partition": "0"}]},
    "timestamp-string": {"messages": [{"value": "a", "timestamp": "now"}]},
    "timestamp-negative": {"messages": [{"value": "a", "timestamp": -1}]},
    "timestamp-fraction": {"messages": [{"value": "a", "timestamp": 1.5}]},
    "timestamp-too-large": {"messages": [{"value": "a", "timestamp": 2**63}]},
    "encoding-unknown": {"messages": [{"value": "a", "encoding": "hex"}]},
    "encoding-number": {"messages": [{"value": "a", "encoding": 64}]},
    "base64-characters": {"messages": [{"value": "a?==", "encoding": "base64"}]},
    "base64-length": {"messages": [{"value": "abcde", "encoding": "base64"}]},
    "base64-padding": {"messages": [{"value": "YQ=a", "encoding": "base64"}]},
    "base64-padding-alone": {"messages": [{"value": "====", "encoding": "base64"}]},
    "base64-blank": {"messages": [{"value": "YWJj ZGVm", "encoding": "base64"}]},
    "base64-key": {"messages": [{"value": "YQ==", "key": "!", "encoding": "base64"}]},
    "base64-no-text": {"messages": [{"value": {"a": 1}, "encoding": "base64"}]},
}

CONSUME = {
    "partition-out": {"offset": 0, "partition": 2},
    "partition-negative": {"offset": 0, "partition": -1},
    "partition-string": {"offset": 0, "partition": "0"},
    "partition-fraction": {"offset": 0, "partition": 1.0 + 0.5},
    "partition-group-out": {"group_id": "g", "partition": 2},
    "offset-negative": {"offset": -1},
    "offset-string": {"offset": "0"},
    "offset-fraction": {"offset": 0.5},
    "offset-too-large": {"offset": 2**63},
    "offset-array": {"offset": [0]},
    "group-number": {"group_id": 5},
    "group-empty": {"group_id": ""},
    "group-too-long": {"group_id": "x" * 256},
    "group-object": {"group_id": {}},
    "max-messages-zero": {"offset": 0, "max_messages": 0},
    "max-messages-many": {"offset": 0, "max_messages": 10_001},
    "max-messages-negative": {"offset": 0, "max_messages": -1},
    "max-messages-string": {"offset": 0, "max_messages": "10"},
    "max-bytes-zero": {"offset": 0, "max_bytes": 0},
    "max-bytes-negative": {"offset": 0, "max_bytes": -1},
    "max-bytes-string": {"offset": 0, "max_bytes": "1"},
    "wait-negative": {"offset": 0, "wait_ms": -1},
    "wait-long": {"offset": 0, "wait_ms": 60_001},
    "wait-string": {"offset": 0, "wait_ms": "1"},
    "lease-short": {"group_id": "g", "lease_ms": 99},
    "lease-long": {"group_id": "g", "lease_ms": 86_400_001},
    "lease-string": {"group_id": "g", "lease_ms": "1"},
    "lease-negative": {"group_id": "g", "lease_ms": -5},
    "consumer-number": {"group_id": "g", "consumer_id": 1},
    "consumer-too-long": {"group_id": "g", "consumer_id": "x" * 300},
    "from-unknown": {"group_id": "g", "from": "middle"},
    "from-number": {"group_id": "g", "from": 0},
}

COMMIT = {
    "no-group": {"offsets": []},
    "group-number": {"group_id": 1, "offsets": []},
    "group-empty": {"group_id": "", "offsets": []},
    "no-offsets": {"group_id": "g"},
    "offsets-null": {"group_id": "g", "offsets": None},
    "offsets-object": {"group_id": "g", "offsets": {"0": 1}},
    "entry-number": {"group_id": "g", "offsets": [1]},
    "entry-empty": {"group_id": "g", "offsets": [{}]},
    "no-offset": {"group_id": "g", "offsets": [{"partition": 0}]},
    "no-partition": {"group_id": "g", "offsets": [{"offset": 0}]},
    "partition-out": {"group_id": "g", "offsets": [{"partition": 0, "offset": 1}, {"partition": 2, "offset": 0}]},
    "partition-negative": {"group_id": "g", "offsets": [{"partition": -1, "offset": 0}]},
    "offset-negative": {"group_id": "g", "offsets": [{"partition": 0, "offset": -1}]},
    "offset-string": {"group_id": "g", "offsets": [{"partition": 0, "offset": "1"}]},
    "offset-fraction": {"group_id": "g", "offsets": [{"partition": 0, "offset": 0.5}]},
    "offset-beyond": {"group_id": "g", "offsets": [{"partition": 0, "offset": 1}, {"partition": 1, "offset": 99}]},
    "force-string": {"group_id": "g", "offsets": [], "force": "yes"},
    "consumer-number": {"group_id": "g", "offsets": [], "consumer_id": 1},
}

TOPICS = {
    "no-name": {},
    "name-null": {"name": None},
    "name-number": {"name": 5},
    "name-empty": {"name": ""},
    "name-too-long": {"name": "x" * 256},
    "name-dash-first": {"name": "-a"},
    "name-dot-first": {"name": ".a"},
    "name-slash": {"name": "a/b"},
    "name-blank": {"name": "a b"},
    "name-umlaut": {"name": "ä"},
    "name-nul": {"name": "a\u0000b"},
    "name-newline": {"name": "a\n"},
    "name-percent": {"name": "a%20b"},
    "partitions-zero": {"name": "bad", "partitions": 0},
    "partitions-many": {"name": "bad", "partitions": 1025},
    "partitions-negative": {"name": "bad", "partitions": -1},
    "partitions-fraction": {"name": "bad", "partitions": 1.5},
    "partitions-string": {"name": "bad", "partitions": "4"},
    "replication-zero": {"name": "bad", "replication_factor": 0},
    "replication-many": {"name": "bad", "replication_factor": 32768},
    "replication-string": {"name": "bad", "replication_factor": "1"},
    "config-array": {"name": "bad", "config": []},
    "config-string": {"name": "bad", "config": "x"},
    "config-ttl-negative": {"name": "bad", "config": {"ttl_ms": -1}},
    "config-ttl-string": {"name": "bad", "config": {"ttl_ms": "1"}},
    "config-cap-fraction": {"name": "bad", "config": {"cap_records": 1.5}},
    "config-cap-null": {"name": "bad", "config": {"cap_bytes": None}},
    "config-discard": {"name": "bad", "config": {"discard": "new"}},
    "config-durability": {"name": "bad", "config": {"durability": "certain"}},
    "config-durable": {"name": "bad", "config": {"durable": "yes"}},
    "config-type": {"name": "bad", "config": {"type": "stack"}},
    "config-dead-letter": {"name": "bad", "config": {"dead_letter": "not a name"}},
}


@pytest.fixture(scope="module")
def settled(gateway):
    """A topic with two partitions, a message in each and a group at 1: what must not change."""
    with gateway.client() as client:
        client.make("settled", 2)
        client.put("settled", [{"value": "zero", "partition": 0}, {"value": "one", "partition": 1}])
        ok(client.commit("settled", "kept", {0: 1}))
        yield "settled"


@pytest.fixture
def unchanged(client, settled):
    """Compares everything that a test of this module could have changed."""
    def state():
        return (client.info(settled), client.get("/topics").json(), client.get(f"/topics/{settled}/groups").json(),
                values(client.read_all(settled, 0)), values(client.read_all(settled, 1)))
    before = state()
    yield
    assert state() == before
    # Still alive and well: a good request works. It is not stored, so that the state stays as it is.
    assert client.is_ready()


CALLS = {"produce": ("POST", "/topics/settled/produce"), "consume": ("POST", "/topics/settled/consume"),
         "commit": ("POST", "/topics/settled/commit"), "create": ("POST", "/topics"), "patch": ("PATCH", "/topics/settled"),
         "reset": ("POST", "/topics/settled/groups/kept/reset")}


@pytest.mark.parametrize("what", NO_OBJECT)
@pytest.mark.parametrize("call", CALLS)
def test_a_body_that_is_no_json_object_is_refused_by_every_call(client, unchanged, call, what):
    method, path = CALLS[call]
    refused(client.request(method, path, data=NO_OBJECT[what], headers=JSON_TYPE), 400, "invalid_request")


@pytest.mark.parametrize("what", PRODUCE)
def test_a_produce_of_the_wrong_shape_is_refused(client, unchanged, what):
    # A good message before it: none of it is stored.
    body = PRODUCE[what]
    if isinstance(body.get("messages"), list) and body["messages"]:
        body = {"messages": [{"value": "good"}, *body["messages"]]}
    refused(client.post("/topics/settled/produce", json=body), 400, "invalid_request")


@pytest.mark.parametrize("what", ["messages-object", "partition-out", "base64-characters", "header-one", "no-value"])
def test_the_sentence_names_what_is_wrong(client, settled, what):
    word = {"messages-object": "messages", "partition-out": "partition", "base64-characters": "base64",
            "header-one": "header", "no-value": "value"}[what]
    error = refused(client.post("/topics/settled/produce", json=PRODUCE[what]), 400, "invalid_request")
    assert word in error["message"].lower(), error


@pytest.mark.parametrize("what", CONSUME)
def test_a_consume_of_the_wrong_shape_is_refused(client, unchanged, what):
    refused(client.post("/topics/settled/consume", json=CONSUME[what]), 400, "invalid_request")


@pytest.mark.parametrize("what", COMMIT)
def test_a_commit_of_the_wrong_shape_is_refused(client, unchanged, what):
    refused(client.post("/topics/settled/commit", json=COMMIT[what]), 400, "invalid_request")


@pytest.mark.parametrize("what", TOPICS)
def test_a_topic_of_the_wrong_shape_is_refused(client, unchanged, what):
    refused(client.post("/topics", json=TOPICS[what]), 400, "invalid_request")


@pytest.mark.parametrize("what", [each for each in TOPICS if each.startswith("config")])
def test_a_wrong_configuration_is_refused_by_patch_too(client, unchanged, what):
    refused(client.request("PATCH", "/topics/settled", json={"config": TOPICS[what]["config"]}), 400, "invalid_request")


@pytest.mark.parametrize("partitions", [0, 1, 1025, -1, "4", 2.5], ids=str)
def test_patch_takes_only_a_possible_number_of_partitions(client, unchanged, partitions):
    refused(client.request("PATCH", "/topics/settled", json={"partitions": partitions}), 400, "invalid_request")


def test_nesting_that_a_person_would_write_is_fine(client, topic):
    text = deep("[", "]", 30)
    ok(client.post(f"/topics/{topic}/produce", data=f'{{"messages":[{{"value":{text}}}]}}', headers=JSON_TYPE))
    assert values(client.read_all(topic)) == [text]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("type_", ["text/plain", "application/xml", "application/jsonp", "multipart/form-data; boundary=x",
                                   "application/x-www-form-urlencoded", "json", "application/octet-stream"])
def test_another_content_type_is_415(client, unchanged, call, type_):
    method, path = CALLS[call]
    refused(client.request(method, path, data=b"{}", headers={"Content-Type": type_}), 415, "unsupported_media_type")


@pytest.mark.parametrize("call", ["consume", "commit", "create", "patch"])
def test_ndjson_is_for_produce_only(client, unchanged, call):
    method, path = CALLS[call]
    refused(client.request(method, path, data=b"{}\n", headers={"Content-Type": "application/x-ndjson"}),
            415, "unsupported_media_type")


@pytest.mark.parametrize("bad", ["-a", "a b", "ä", "x" * 256, "a\tb", "%", "😀"])
def test_every_call_on_an_impossible_name_is_simply_404(client, unchanged, bad):
    path = f"/topics/{quote(bad, safe='')}"
    produce = {"messages": [{"value": "v"}]}
    for method, suffix, body in [("GET", "", None), ("DELETE", "", None), ("PATCH", "", {"partitions": 2}),
                                 ("POST", "/produce", produce), ("POST", "/consume", {"offset": 0}),
                                 ("POST", "/commit", {"group_id": "g", "offsets": []}), ("GET", "/groups", None),
                                 ("GET", "/stream", None)]:
        refused(client.request(method, path + suffix, json=body, headers={"Accept": "*/*"}), 404, "topic_not_found")


def test_the_body_is_judged_before_the_topic_is_looked_up(client):
    """The order of the topics contract, section 1.7."""
    path = "/topics/absent/produce"
    refused(client.post(path, data=b"{", headers=JSON_TYPE), 400, "invalid_request")
    refused(client.post(path, data=b"{}", headers={"Content-Type": "text/plain"}), 415, "unsupported_media_type")
    refused(client.post(path, json={"messages": []}), 400, "invalid_request")
    refused(client.post(path, json={"messages": [{"value": "v"}]}), 404, "topic_not_found")


def test_an_error_never_shows_what_is_inside(client, settled):
    """No SQL, no file names, no addresses in what a client sees."""
    for body in NO_OBJECT.values():
        text = client.post("/topics/settled/produce", data=body, headers=JSON_TYPE).text
        for secret in ("SELECT", "INSERT", ".c:", "0x", "libpq", "tidegate."):
            assert secret not in text, text


def test_messages_of_errors_are_valid_json_whatever_they_quote(client):
    for odd in ('a"b', "a\\b", "a\nb", "\u0001", "ü" * 300, "\U0001f600" * 200):
        error = refused(client.post("/topics", json={"name": odd}), 400, "invalid_request")
        json.dumps(error)
