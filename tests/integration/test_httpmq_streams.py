"""httpmq: streams, subjects, limits, publishing, retention (contract, sections 1 to 4)."""

import base64
import datetime
import json
import re
import urllib.parse

import pytest

from harness import wait
from harness.client import Client, ok
from harness.httpmq import Mq, done, fine, new_name, refused, stored

KIB = 1024


@pytest.fixture
def mq(gateway):
    with Mq(gateway.url) as made:
        yield made


@pytest.fixture
def stream(mq):
    """A stream that takes NAME.a, NAME.b."""
    made = new_name()
    done(mq.make_stream(made, subjects=[f"{made}.a", f"{made}.b"]))
    return made


# ---- envelope and transport ----

def test_ready_and_alive_on_both_groups(mq):
    for path in ("/v1/admin/alive", "/v1/admin/ready", "/v1/data/alive", "/v1/data/ready"):
        done(mq.get(path))


def test_the_request_id_comes_back_as_it_was_sent(mq):
    for sent in ("r1", "x" * 300, 'a "quoted" one'):
        answer = mq.get("/v1/admin/stream", headers={"Httpmq-Request-Id": sent})
        assert answer.headers["Httpmq-Request-ID"] == sent == fine(answer)["request_id"]
        answer = mq.get("/v1/admin/stream/nosuch", headers={"Httpmq-Request-Id": sent})
        assert answer.json()["request_id"] == sent == answer.headers["Httpmq-Request-ID"]
    made = [fine(mq.get("/v1/admin/alive"))["request_id"] for _ in range(3)]
    assert len(set(made)) == 3
    for one in made:
        assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", one)


def test_unknown_paths_and_methods_have_no_envelope(mq):
    for path in ("/v1/admin/nothing", "/v1/data/stream", "/v1/admin/stream/", "/v1/admin/stream/a%2Fb", "/v1/data/subject/"):
        answer = mq.get(path)
        assert answer.status_code == 404, path
        assert answer.headers["Content-Type"].startswith("text/plain")
    for method in ("PATCH", "HEAD", "OPTIONS", "DELETE"):
        answer = mq.request(method, "/v1/admin/stream")
        assert (answer.status_code, answer.text) == (405, ""), method
    answer = mq.get("/v1/admin//stream", allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (301, "/v1/admin/stream")


def test_content_types_are_ignored(mq):
    for type_ in ("application/octet-stream", "text/plain", "application/json; charset=utf-8", "nonsense"):
        name = new_name()
        body = json.dumps({"name": name})
        done(mq.post("/v1/admin/stream", data=body, headers={"Content-Type": type_, "Accept": "image/png"}))
        stored(mq.post(f"/v1/data/subject/{name}", data="aGk=", headers={"Content-Type": type_}))
        done(mq.request("DELETE", f"/v1/admin/stream/{name}", data=""))


# ---- streams ----

def test_a_new_stream_is_shown_to_the_last_member(mq):
    name = new_name()
    done(mq.make_stream(name, subjects=["o.new" + name, "o.paid" + name], max_age=60_000_000_000, max_msgs=0))
    shown = mq.stream(name)
    assert set(shown) == {"config", "created", "state"}
    assert shown["config"] == {"name": name, "description": "", "subjects": ["o.new" + name, "o.paid" + name],
                               "max_consumers": -1, "max_msgs": -1, "max_bytes": -1, "max_age": 60_000_000_000,
                               "max_msgs_per_subject": -1, "max_msg_size": -1}
    assert shown["state"] == {"messages": 0, "bytes": 0, "first_seq": 0, "first_ts": "0001-01-01T00:00:00Z", "last_seq": 0,
                              "last_ts": "0001-01-01T00:00:00Z", "consumer_count": 0}
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,8}[1-9])?Z", shown["created"])
    assert fine(mq.streams())["streams"][name] == shown


def test_creating_again_is_the_same_or_refused(mq, stream):
    subjects = [f"{stream}.a", f"{stream}.b"]
    done(mq.make_stream(stream, subjects=subjects, max_msgs=-1, max_age=None, MAX_BYTES=0))
    refused(mq.make_stream(stream, subjects=subjects[::-1]), 500)
    refused(mq.make_stream(stream, subjects=subjects, max_msgs=5), 500)
    refused(mq.make_stream(new_name(), subjects=[f"{stream}.*"]), 500)
    refused(mq.make_stream(new_name(), subjects=["*.a"]), 500)
    assert mq.stream(stream)["config"]["subjects"] == subjects


def test_what_a_stream_may_not_be(mq):
    name = new_name()
    for body, status in [({"name": "a-b"}, 500), ({"name": ""}, 500), ({}, 500), ({"name": name.upper()}, 500),
                         ({"name": "a" * 256}, 500), ({"name": 5}, 400), ({"name": name, "subjects": "x"}, 400),
                         ({"name": name, "subjects": ["a_b"]}, 500), ({"name": name, "subjects": ["a..b"]}, 500),
                         ({"name": name, "subjects": ["a.>"]}, 500), ({"name": name, "subjects": [""]}, 500),
                         ({"name": name, "subjects": ["a b"]}, 500), ({"name": name, "subjects": ["x.y", "x.y"]}, 500),
                         ({"name": name, "max_msgs": -2}, 500), ({"name": name, "max_age": 99_999_999}, 500),
                         ({"name": name, "max_age": -1}, 500), ({"name": name, "max_msg_size": 2**31}, 400),
                         ({"name": name, "max_msgs": 1.5}, 400), ({"name": name, "max_bytes": "1"}, 400),
                         ({"name": name, "max_msgs": 2**63}, 400), ([], 400)]:
        refused(mq.post("/v1/admin/stream", data=json.dumps(body)), status)
    for text in ("", "{", "nothing", '{"name":"x"', "\xff"):
        refused(mq.post("/v1/admin/stream", data=text.encode("latin-1")), 400)
    assert name not in fine(mq.streams())["streams"]


def test_what_follows_the_json_is_ignored(mq):
    name = new_name()
    done(mq.post("/v1/admin/stream", data='{"NAME":"%s","unknown":[1,{}]} trailing' % name))
    assert mq.stream(name)["config"]["subjects"] == [name]


def test_subjects_are_replaced_and_never_overlap(mq, stream):
    other = new_name()
    done(mq.make_stream(other))
    put = f"/v1/admin/stream/{stream}/subject"
    done(mq.request("PUT", put, data=json.dumps({"subjects": [f"{stream}.c", f"{stream}.*"]})))
    assert mq.stream(stream)["config"]["subjects"] == [f"{stream}.c", f"{stream}.*"]
    mq.send(f"{stream}.c", b"one pattern or two, it is stored once")
    assert mq.state(stream)["messages"] == 1
    for body, status in [({}, 400), ({"subjects": []}, 400), ({"subjects": None}, 400), ({"subjects": [other]}, 500),
                         ({"subjects": ["x", "x"]}, 500), ({"subjects": ["x y"]}, 500)]:
        refused(mq.request("PUT", put, data=json.dumps(body)), status)
    refused(mq.request("PUT", f"/v1/admin/stream/{new_name()}/subject", data='{"subjects":["q"]}'), 500)
    # Stored messages stay, and what is no longer captured is refused at once.
    done(mq.request("PUT", put, data=json.dumps({"subjects": [f"{stream}.d"]})))
    refused(mq.publish(f"{stream}.c", b"x"), 400, 500)
    assert mq.state(stream)["messages"] == 1


def test_limits_change_what_is_named(mq, stream):
    put = f"/v1/admin/stream/{stream}/limit"
    done(mq.request("PUT", put, data="{}"))
    done(mq.request("PUT", put, data='{"max_age":3600000000000}'))
    done(mq.request("PUT", put, data='{"max_msgs":3,"max_consumers":-1}'))
    config = mq.stream(stream)["config"]
    assert (config["max_age"], config["max_msgs"], config["max_bytes"]) == (3600000000000, 3, -1)
    refused(mq.request("PUT", put, data='{"max_consumers":4}'), 500)
    refused(mq.request("PUT", put, data='{"max_age":5}'), 500)
    refused(mq.request("PUT", put, data='{"max_age":"5"}'), 400)
    refused(mq.request("PUT", put, data=""), 400)
    refused(mq.request("PUT", f"/v1/admin/stream/{new_name()}/limit", data="{}"), 500)


def test_a_deleted_stream_begins_anew(mq, stream):
    mq.send(f"{stream}.a", b"1", b"2")
    done(mq.request("DELETE", f"/v1/admin/stream/{stream}"))
    refused(mq.get(f"/v1/admin/stream/{stream}"), 500)
    refused(mq.request("DELETE", f"/v1/admin/stream/{stream}"), 500)
    refused(mq.publish(f"{stream}.a", b"x"), 400, 500)
    done(mq.make_stream(stream, subjects=[f"{stream}.a"]))
    mq.send(f"{stream}.a", b"first again")
    assert (mq.state(stream)["first_seq"], mq.state(stream)["last_seq"]) == (1, 1)


def test_the_path_is_checked_and_decoded(mq, stream):
    for name in ("a-b", "a_b", "%20", "a.b", new_name().upper()):
        refused(mq.get(f"/v1/admin/stream/{name}"), 400)
        refused(mq.get(f"/v1/admin/stream/{stream}/consumer/{name}"), 400)
    encoded = "".join(f"%{ord(c):02X}" for c in stream)
    assert fine(mq.get(f"/v1/admin/stream/{encoded}"))["stream"]["config"]["name"] == stream


# ---- publishing ----

def instant(text):
    return datetime.datetime.fromisoformat(text)


def test_publishing_counts(mq, stream):
    subject = f"{stream}.a"
    mq.send(subject, b"12345", bytes(range(256)))
    state = mq.state(stream)
    assert (state["messages"], state["first_seq"], state["last_seq"]) == (2, 1, 2)
    assert state["bytes"] == 5 + 256 + 2 * (len(subject) + 30)
    assert instant(state["first_ts"]) <= instant(state["last_ts"])


def test_base64_in_all_its_forms(mq, stream):
    path = f"/v1/data/subject/{stream}.a"
    for text in ("aGk=", "aG\nk=", "a\r\nGk=\n", "+/+/", "AA=="):
        stored(mq.post(path + "?x=1", data=text))
    for text in ("", "\n", "aGk", "aG k=", "-_-_", "aGk=aGk=", "aGk=x", "====", "a", "aGk=\0"):
        refused(mq.post(path, data=text), 400)
    assert mq.state(stream)["messages"] == 5


def test_what_cannot_be_published(mq, stream):
    refused(mq.publish("not-captured." + stream, b"x"), 400, 500)
    for subject in (f"{stream}..a", f"{stream}.a.", "a_b", "a%20b", "a%3Eb", f"{stream}.%2A", "%00", "%ff"):
        refused(mq.publish(subject, b"x"), 400, 400)
    refused(mq.publish(f"{stream}.a", b"x" * (KIB * KIB + 1)), 400, 500)
    refused(mq.publish(f"{stream}.a", b"x" * (4 * KIB * KIB)), 400, 500)
    assert mq.state(stream)["messages"] == 0
    stored(mq.publish(f"{stream}.a", b"x" * (KIB * KIB)))


def test_message_size_limit(mq):
    name = new_name()
    done(mq.make_stream(name, max_msg_size=10))
    stored(mq.publish(name, b"x" * 10))
    refused(mq.publish(name, b"x" * 11), 400, 500)
    assert mq.state(name)["messages"] == 1


def test_subjects_that_are_not_ascii(mq):
    name = new_name()
    subject = f"{name}.größe"
    done(mq.make_stream(name, subjects=[f"{name}.*"]))
    stored(mq.publish(urllib.parse.quote(subject), b"x"))
    assert mq.state(name)["bytes"] == 1 + len(subject.encode()) + 30


def test_other_apis_see_the_messages(gateway, mq, stream):
    mq.send(f"{stream}.a", b"hello")
    with Client(gateway.url) as client:
        messages = ok(client.consume(stream, partition=0, offset=0))["messages"]
    assert [(m["value"], m["key"]) for m in messages] == [("hello", f"{stream}.a")]


# ---- retention ----

def test_max_msgs_keeps_the_newest(mq):
    name = new_name()
    done(mq.make_stream(name, max_msgs=3))
    mq.send(name, *[b"%d" % i for i in range(5)])
    state = mq.state(name)
    assert (state["messages"], state["first_seq"], state["last_seq"]) == (3, 3, 5)
    done(mq.request("PUT", f"/v1/admin/stream/{name}/limit", data='{"max_msgs":1}'))
    assert (mq.state(name)["messages"], mq.state(name)["first_seq"]) == (1, 5)


def test_max_bytes_counts_what_is_shown(mq):
    name = new_name()
    each = 10 + len(name) + 30
    done(mq.make_stream(name, max_bytes=3 * each))
    mq.send(name, *[b"0123456789"] * 3)
    assert (mq.state(name)["messages"], mq.state(name)["bytes"]) == (3, 3 * each)
    mq.send(name, b"0123456789")
    assert (mq.state(name)["messages"], mq.state(name)["bytes"], mq.state(name)["first_seq"]) == (3, 3 * each, 2)
    # One that is larger than all is taken, and gone.
    mq.send(name, b"x" * 4 * each)
    state = mq.state(name)
    assert (state["messages"], state["first_seq"], state["last_seq"]) == (0, 6, 5)
    assert state["first_ts"] == "1970-01-01T00:00:00Z" and state["last_ts"] > "2020"


def test_max_msgs_per_subject_leaves_holes(mq):
    name = new_name()
    done(mq.make_stream(name, subjects=[f"{name}.*"], max_msgs_per_subject=2))
    for i in range(4):
        mq.send(f"{name}.a", b"a%d" % i)
        if i == 0:
            mq.send(f"{name}.b", b"b")
    # 1 a0, 2 b, 3 a1, 4 a2, 5 a3
    state = mq.state(name)
    assert (state["messages"], state["first_seq"], state["last_seq"]) == (3, 2, 5)
    assert state["bytes"] == 2 * 2 + 1 + 3 * (len(name) + 2 + 30)
    done(mq.request("PUT", f"/v1/admin/stream/{name}/limit", data='{"max_msgs_per_subject":1}'))
    assert mq.state(name)["messages"] == 2


def test_max_age_needs_no_traffic(mq):
    name = new_name()
    done(mq.make_stream(name, max_age=300_000_000))
    mq.send(name, b"x")
    wait.until(lambda: mq.state(name)["messages"] == 0, "the message has expired")
    state = mq.state(name)
    assert (state["bytes"], state["first_seq"], state["last_seq"]) == (0, 2, 1)


# ---- several workers ----

def test_another_worker_captures_at_once_and_never_overlaps(mq, gateways):
    (other,) = gateways(1)
    with Mq(other.url) as second:
        name = new_name()
        done(mq.make_stream(name))
        stored(second.publish(name, b"x"))
        refused(second.make_stream(new_name(), subjects=["*"]), 500)
        done(second.request("DELETE", f"/v1/admin/stream/{name}"))
        wait.until(lambda: mq.publish(name, b"x").status_code == 400, "the first worker has heard of it")


def test_management_and_dataplane_can_be_apart(mq, gateways):
    (management,) = gateways(1, dialects="httpmq-management")
    (dataplane,) = gateways(1, dialects="httpmq-dataplane")
    name = new_name()
    with Mq(management.url) as admin, Mq(dataplane.url) as data:
        done(admin.make_stream(name))
        stored(data.publish(name, b"x"))
        assert data.get("/v1/admin/stream").status_code == 404
        assert admin.publish(name, b"x").status_code == 404


def test_base64_round_trip_over_both_protocols(mq):
    name = new_name()
    done(mq.make_stream(name))
    payload = bytes(range(256)) * 8
    stored(mq.publish(name, payload))
    done(mq.make_consumer(name, "c"))
    with mq.subscribe(name, "c", name) as lines:
        assert lines.deliver() == [(1, 1, payload)]
        assert base64.b64encode(payload).decode() in lines.lines[0]
