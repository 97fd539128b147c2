"""Durable streams: what the public conformance suite does not ask (tests/conformance runs that one)."""

import concurrent.futures
import itertools
import json

import pytest

from harness import raw
from harness.durable import JSON, TEXT, ZERO, Streams, token

SETTINGS = {"durable_chunk_bytes": 1024, "http_threads": 4}


@pytest.fixture
def streams(client):
    return Streams(client)


# ---- one order of checks, and what is refused changes nothing ----

def test_closed_comes_before_the_media_type_and_that_before_the_producer(streams, name):
    streams.make(name)
    who = streams.producer("p", 0, 5)
    assert streams.post(name, "x", "image/png", **who).status_code == 409
    assert streams.post(name, "x", **who).headers["Producer-Expected-Seq"] == "0"
    streams.post(name, Stream_Closed="true")
    answer = streams.post(name, "x", "image/png", **who)
    assert (answer.status_code, answer.headers["Stream-Closed"]) == (409, "true")
    assert answer.headers["Stream-Next-Offset"] == ZERO


def test_a_duplicate_comes_before_stream_seq_and_that_before_bad_json(streams, name):
    streams.make(name, type=JSON)
    first = streams.producer("p", 0, 0)
    tail = streams.add(name, "[1,2]", JSON, Stream_Seq="b", **first)
    again = streams.post(name, "{broken", JSON, Stream_Seq="b", **first)
    assert (again.status_code, again.headers["Stream-Next-Offset"]) == (204, tail)
    assert streams.post(name, "{broken", JSON, Stream_Seq="b", **streams.producer("p", 0, 1)).status_code == 409
    assert streams.post(name, "{broken", JSON, Stream_Seq="c", **streams.producer("p", 0, 1)).status_code == 400
    assert streams.post(name, "[]", JSON, Stream_Seq="c", **streams.producer("p", 0, 1)).status_code == 400
    # Neither the producer's number nor the token was used up.
    accepted = streams.post(name, "3", JSON, Stream_Seq="c", **streams.producer("p", 0, 1))
    assert (accepted.status_code, accepted.headers["Producer-Seq"]) == (200, "1")
    assert streams.read(name) == b"[1,2,3]"


BAD_POSTS = [
    ({"Producer_Id": "p"}, "x"), ({"Producer_Id": "", "Producer_Epoch": "0", "Producer_Seq": "0"}, "x"),
    ({"Producer_Id": "p", "Producer_Epoch": "+0", "Producer_Seq": "0"}, "x"),
    ({"Producer_Id": "p", "Producer_Epoch": "0", "Producer_Seq": "9007199254740992"}, "x"),
    ({"Stream_Seq": ""}, "x"), ({"Stream_Seq": "s" * 1025}, "x"), ({"type": None}, "x"), ({}, ""),
    ({"Stream_Closed": "yes"}, ""),
]


@pytest.mark.parametrize("headers, body", BAD_POSTS)
def test_a_bad_append_is_refused_and_changes_nothing(streams, name, headers, body):
    streams.make(name, "a")
    assert streams.post(name, body, **headers).status_code == 400
    assert streams.read(name) == b"a"
    assert "Stream-Closed" not in streams.head(name).headers
    assert streams.post(name, "b", Stream_Seq="s", **streams.producer("p", 0, 0)).status_code == 200


BAD_PUTS = [
    {"Stream_TTL": "060"}, {"Stream_TTL": ""}, {"Stream_TTL": "9000000000000001"}, {"Stream_TTL": "1e3"},
    {"Stream_Expires_At": "tomorrow"}, {"Stream_Expires_At": "2026-02-30T00:00:00Z"},
    {"Stream_Expires_At": "2030-01-01T00:00:00"}, {"Stream_TTL": "9", "Stream_Expires_At": "2030-01-01T00:00:00Z"},
    {"Stream_Fork_Sub_Offset": "0"}, {"Stream_Fork_Offset": ZERO}, {"Stream_Forked_From": ""},
    {"Stream_Forked_From": "/v1/stream/a/../b"}, {"type": JSON, "body": "[1,"}, {"type": JSON, "body": "1 2"},
    {"type": JSON, "body": b'["\xff"]'}, {"type": JSON, "body": "[" * 513 + "]" * 513},
]


@pytest.mark.parametrize("request_", BAD_PUTS, ids=map(str, range(len(BAD_PUTS))))
def test_a_bad_create_is_refused_and_leaves_nothing(streams, name, request_):
    assert streams.put(name, **request_).status_code == 400
    assert streams.head(name).status_code == 404


def test_a_header_of_one_value_sent_twice_is_refused(gateway, streams, name):
    streams.make(name)
    for header in ("Stream-Seq: a", "Producer-Id: p", "Content-Type: text/plain", "Stream-Closed: true"):
        answer = raw.exchange(gateway, f"POST /v1/stream/{name} HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
                                       f"{header}\r\n{header}\r\nContent-Length: 1\r\n\r\nx")
        assert answer.status == 400, header
    assert streams.tail(name) == ZERO
    assert "Stream-Closed" not in streams.head(name).headers


def test_a_request_whose_length_is_in_doubt_is_refused_as_this_api_refuses(gateway, streams, name):
    streams.make(name)
    for lines in (["Content-Length: 1", "Content-Length: 1"], ["Content-Length: 1", "Transfer-Encoding: chunked"],
                  ["Transfer-Encoding: gzip"]):
        answer = raw.exchange(gateway, "\r\n".join([f"POST /v1/stream/{name} HTTP/1.1", "Host: x", "Content-Type: text/plain",
                                                    *lines, "", "x"]))
        assert answer.status == 400 and answer.json()["error"]["message"], lines
        assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert answer.headers["Cache-Control"] == "no-store"
    assert streams.tail(name) == ZERO


# ---- what is nearly the same is the same ----

@pytest.mark.parametrize("type", [None, "", "text", "text/", "/plain", "te xt/plain", ";", "text/plain/x"])
def test_a_stream_without_a_sound_type_is_of_bytes(streams, name, type):
    made = streams.put(name, "x", type)
    assert (made.status_code, made.headers["Content-Type"]) == (201, "application/octet-stream")
    assert streams.post(name, "x", type).status_code == 400
    assert streams.put(name, type="application/octet-stream; v=1").status_code == 200


def test_expiries_are_compared_as_instants(streams, name):
    streams.make(name, Stream_Expires_At="2099-01-01T00:00:00Z")
    for same in ("2099-01-01T00:00:00.000+00:00", "2099-01-01T02:30:00+02:30", "2098-12-31t23:00:00-01:00"):
        assert streams.put(name, Stream_Expires_At=same).status_code == 200, same
    for other in ("2099-01-01T00:00:00.001Z", "2099-01-01T00:00:00+01:00", None):
        assert streams.put(name, Stream_Expires_At=other).status_code == 409, other


def test_numbers_of_producers_are_values_and_as_large_as_they_may_be(streams, name):
    streams.make(name)
    for epoch, seq in (("007", "00"), ("7", "0001"), (str(2**53 - 1), "0")):
        answer = streams.post(name, "x", **streams.producer("p", epoch, seq))
        assert (answer.status_code, int(answer.headers["Producer-Epoch"]), int(answer.headers["Producer-Seq"])) == \
            (200, int(epoch), int(seq))


def test_a_close_without_a_body_takes_part_in_stream_seq(streams, name):
    streams.make(name)
    streams.add(name, "a", Stream_Seq="b")
    assert streams.post(name, Stream_Closed="true", Stream_Seq="b").status_code == 409
    assert "Stream-Closed" not in streams.head(name).headers
    closed = streams.post(name, type="image/png", Stream_Closed="true", Stream_Seq="c", **streams.producer("p", 0, 0))
    assert (closed.status_code, closed.headers["Stream-Closed"], closed.headers["Producer-Seq"]) == (204, "true", "0")


# ---- paths ----

def status_of(gateway, method, path):
    return raw.exchange(gateway, f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", method).status


@pytest.mark.parametrize("path", ["", "a//b", "a/", "./a", "a/..", "%2e%2e", "a%2f", "a%00b", "a%0ab", "%ff", "a%c2%80", "%zz",
                                  "x" * 1025, "/".join("x" * 33)])
def test_a_bad_path_is_refused(gateway, path):
    for method in ("PUT", "POST", "GET", "HEAD", "DELETE"):
        assert status_of(gateway, method, f"/v1/stream/{path}") == 400, method


@pytest.mark.parametrize("path", ["__ds/x", "__ds%2fnothing", "%5F%5Fds/zzz"])
def test_control_space_is_no_stream(gateway, path):
    assert status_of(gateway, "PUT", f"/v1/stream/{path}") == 404


def test_two_spellings_are_one_stream_and_odd_names_are_fine(gateway, streams, name):
    assert status_of(gateway, "PUT", f"/v1/stream/{name}/%c3%a9%2Fz") == 201
    assert status_of(gateway, "PUT", f"/v1/stream/{name}/%C3%A9/z") == 200
    for odd in (".hidden/x", "__dsx", "a%20b:@%F0%9F%98%80", "x" * 900):
        assert status_of(gateway, "PUT", f"/v1/stream/{name}-{odd}") == 201, odd
        assert status_of(gateway, "HEAD", f"/v1/stream/{name}-{odd}") == 200, odd


def test_location_is_the_path_as_it_was_sent(gateway, name):
    path = f"/v1/stream/{name}/%c3%A9"
    answer = raw.exchange(gateway, f"PUT {path} HTTP/1.1\r\nHost: example.com:99\r\n\r\n")
    assert answer.headers["Location"] == f"http://example.com:99{path}"


def test_other_methods_are_told_what_is_allowed(client, name):
    answer = client.request("PATCH", f"/v1/stream/{name}")
    assert answer.status_code == 405
    assert {m.strip() for m in answer.headers["Allow"].split(",")} == {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"}


# ---- offsets ----

def test_a_token_inside_a_message_gives_the_whole_message(streams, name):
    streams.make(name, "hello")
    streams.add(name, "world!")
    for at, expected in [(token(0, 0), b"helloworld!"), (token(1, 5), b"world!"), (token(1, 4), b"helloworld!"),
                         (token(1, 6), b"world!"), (token(2, 10), b"world!"), (token(2, 11), b""), (token(2, 12), b""),
                         (token(3, 0), b""), ("f" * 16 + "_" + "f" * 16, b"")]:
        answer = streams.get(name, at)
        assert (answer.status_code, answer.content) == (200, expected), at
        assert answer.headers["Stream-Next-Offset"] == token(2, 11)
        assert answer.headers["Stream-Up-To-Date"] == "true"


@pytest.mark.parametrize("offset", ["", "0", token(0, 10).upper(), token(1, 1)[:-1], token(1, 1) + "0", "-2", "NOW", "a,b", "..",
                                    "%00", "%0d%0a", "0000000000000001+000000000000000b"])
def test_a_malformed_offset_is_refused(streams, name, offset):
    streams.make(name, "x")
    assert streams.get(name, offset).status_code == 400
    assert streams.call("GET", name, query="?offset=-1&offset=-1").status_code == 400


def test_pages_are_cut_only_where_an_append_ends(streams, name):
    """Chunks of 1 KiB; appends that are smaller, as large, and much larger, also of several rows of the log."""
    streams.make(name, type=JSON)
    appends = [[f"{i}-{j}-" + "x" * size for j in range(count)]
               for i, (count, size) in enumerate([(3, 10), (1, 2000), (700, 5), (40, 100), (1, 1), (2, 600), (5, 200)])]
    ends = [streams.add(name, json.dumps(append), JSON) for append in appends]
    offset, pages, got = None, 0, []
    while not pages or answer.headers.get("Stream-Up-To-Date") != "true":
        answer = streams.get(name, offset)
        got += answer.json()
        offset = answer.headers["Stream-Next-Offset"]
        assert offset in ends
        pages += 1
    assert got == list(itertools.chain(*appends))
    assert 4 <= pages <= len(appends)


@pytest.mark.tsan
def test_the_tail_of_a_group_commit_is_each_append_s_own(streams, name):
    """Many writers at once share commits; every answer names the end of its own append, and nobody's twice."""
    streams.make(name)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        ends = list(pool.map(lambda i: streams.add(name, b"%04d" % i), range(200)))
    assert sorted(ends) == [token(i + 1, 4 * (i + 1)) for i in range(200)]
    data = streams.read(name)
    for i, end in enumerate(ends):
        at = int(end.split("_")[1], 16)
        assert data[at - 4:at] == b"%04d" % i


# ---- caching ----

def test_tags_of_two_incarnations_differ_and_lists_match(streams, name):
    streams.make(name, "abc")
    tag = streams.get(name).headers["ETag"]
    for sent in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        answer = streams.get(name, If_None_Match=sent)
        assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", tag)
        assert answer.headers["Stream-Up-To-Date"] == "true"
    assert streams.get(name, If_None_Match='"other"').status_code == 200
    streams.post(name, Stream_Closed="true")
    closed = streams.get(name, If_None_Match=tag)
    assert (closed.status_code, closed.headers["Stream-Closed"]) == (200, "true")
    assert closed.headers["ETag"] != tag
    streams.delete(name)
    streams.make(name, "abc")
    assert streams.get(name).headers["ETag"] != tag
    assert streams.get(name).headers["Cache-Control"].startswith("public")
    for offset in (streams.tail(name), "now"):
        assert streams.get(name, offset).headers["Cache-Control"] == "no-store"
    assert "ETag" not in streams.get(name, "now").headers


# ---- JSON ----

def test_json_is_kept_as_it_was_sent(streams, name):
    texts = ["12345678901234567890123", "1.0", "1e2", '"\\u0000\\ud800"', '{"b":1,"a":2,"b":3}', '{ "x" : [ 1 , 2 ] }',
             '"é😀"', "null", "[]", "[" * 511 + "]" * 511]
    streams.make(name, f" [ {' , '.join(texts)} ] \n", JSON + "; charset=utf-8")
    assert streams.read(name).decode() == "[" + ",".join(texts) + "]"
    assert streams.tail(name) == token(len(texts), sum(len(text.encode()) for text in texts))


def test_a_hundred_thousand_messages_in_one_append(streams, name):
    streams.make(name, type=JSON)
    assert streams.add(name, "[" + "1," * 99999 + "1]", JSON) == token(100000, 100000)
    assert len(json.loads(streams.read(name))) == 100000


# ---- limits ----

def test_a_message_may_be_as_large_as_a_body(streams, name):
    body = bytes(range(256)) * 65536
    assert len(body) == 16 << 20
    streams.make(name, body, "application/octet-stream")
    assert streams.add(name, body, "application/octet-stream") == token(2, 32 << 20)
    assert streams.read(name) == body + body
    for method in (streams.put, streams.post):
        assert method(name, body + b"x", "application/octet-stream").status_code == 413
    assert streams.tail(name) == token(2, 32 << 20)


def test_the_server_s_own_limit_of_bodies_holds_too_but_headers_are_judged_first(fresh_database, fleet, name):
    with fleet.start(fresh_database, max_body_bytes=4096).client() as client:
        streams = Streams(client)
        streams.make(name, b"x" * 4096)
        tail = streams.tail(name)
        for body in (b"x" * 4097, iter([b"x" * 4000, b"x" * 4000])):
            assert streams.post(name, body).status_code == 413
        for headers in ({"Producer_Id": "p"}, {"Stream_Seq": ""}):
            assert streams.post(name, b"x" * 4097, **headers).status_code == 400
        assert streams.post(name + "/", b"x" * 4097).status_code == 400
        assert streams.tail(name) == tail
        for headers in ({"Stream_TTL": "+1"}, {"Stream_Expires_At": "soon"}, {"Stream_Fork_Offset": ZERO}):
            assert streams.put(name + "-new", b"x" * 4097, **headers).status_code == 400
        assert streams.put(name + "-new", b"x" * 4097, Stream_TTL="1").status_code == 413
        assert streams.head(name + "-new").status_code == 404


@pytest.mark.tsan
def test_many_may_create_one_stream_and_one_does(streams, name):
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda i: streams.put(name, f"{i:02}"), range(24)))
    assert sorted(answer.status_code for answer in answers) == [200] * 23 + [201]
    assert len(streams.read(name)) == 2


@pytest.mark.tsan
def test_two_workers_serve_one_stream(streams, gateways, name):
    workers = [Streams(worker.client()) for worker in gateways(2)]
    workers[0].make(name)
    assert workers[1].head(name).status_code == 200
    for i in range(20):
        tail = workers[i % 2].add(name, f"{i:02}", **workers[0].producer("p", 0, i))
        assert workers[1 - i % 2].tail(name) == tail
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        same = list(pool.map(lambda i: workers[i % 2].post(name, "last", Stream_Seq="z").status_code, range(16)))
    assert sorted(same) == [204] + [409] * 15
    assert workers[0].post(name, Stream_Closed="true").status_code == 204
    assert workers[1].post(name, "late").headers["Stream-Closed"] == "true"
    assert workers[0].delete(name).status_code == 204
    assert workers[1].post(name, "gone").status_code == 404
    workers[0].make(name, "new", TEXT)
    assert workers[1].read(name) == b"new"
    assert workers[1].add(name, "er") == token(2, 5)
    for worker in workers:
        worker.client.close()
