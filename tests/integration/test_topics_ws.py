"""The WebSocket of the topics dialect (topics contract, section 12)."""

import base64
import json
import os
import socket
import struct
import threading

import pytest
import websocket

from harness import wait
from harness.client import refused
from harness.gateway import run
from harness.v0 import fine
from harness.watch import Watcher, port_of


pytestmark = pytest.mark.http1("a WebSocket is an upgrade")


@pytest.fixture
def v0(gateway):
    with Watcher(gateway.url) as made:
        yield made


def data(n, start=1):
    return [{"data": i} for i in range(start, start + n)]


def numbers(records):
    return [r["data"] for r in records]


# ---- commands ----

def test_publish_subscribe_unsubscribe(v0, name):
    with v0.socket() as ws:
        ack = ws.do("publish", topic=name, records=data(2), node="eu", request_id={"a": [1]})
        assert ack["op"] == "ack" and ack["request_id"] == {"a": [1]} and "performance" in ack
        assert (ack["first_seq"], ack["last_seq"], ack["seqs"], ack["head_seq"], ack["count"]) == (1, 2, [1, 2], 2, 2)
        assert ack["created"] is True and ack["deduped"] is False and ack["topic"] == name
        answer = ws.do("subscribe", topic=name, request_id="s")
        assert answer == {"op": "subscribed", "request_id": "s",
                          "topics": {name: {"from_seq": 0, "head_seq": 2, "earliest_seq": 1}}}
        record = ws.push()
        assert numbers(record["records"]) == [1, 2] and record["records"][0]["$node"] == "eu"
        assert (record["from_seq"], record["to_seq"], record["head_seq"]) == (0, 2, 2)
        assert ws.push() == {"op": "caught_up", "topic": name, "head_seq": 2}
        v0.add(name, data(1, 3))
        assert numbers(ws.records(1)) == [3]
        assert ws.push()["op"] == "caught_up"
        assert ws.do("unsubscribe", topic=name)["topics"] == [name]
        v0.add(name, data(1, 4))
        assert ws.do("ping", request_id=7) == {"op": "pong", "request_id": 7}
        assert ws.pushed == []


def test_many_topics_at_once_tails_and_starts(v0, name):
    a, b, c = (v0.make(f"{name}-{x}") for x in "abc")
    for topic in (a, b, c):
        v0.add(topic, data(3))
    with v0.socket() as ws:
        answer = ws.do("subscribe", topics={a: {"from_seq": 2}, b: {"tail": True}}, topic=c)
        assert {n: t["from_seq"] for n, t in answer["topics"].items()} == {a: 2, b: 3, c: 0}
        got = {}
        while len([m for m in got.values() if "end" in m]) < 3:
            message = ws.push()
            mine = got.setdefault(message["topic"], [])
            mine.extend(numbers(message["records"]) if message["op"] == "record" else ["end"])
        assert got == {a: [3, "end"], b: ["end"], c: [1, 2, 3, "end"]}
        # A second subscription takes the place of the first.
        ws.do("subscribe", topic=b)
        assert numbers(ws.records(3)) == [1, 2, 3]
        ws.push()
        v0.add(b, data(1, 4))
        assert numbers(ws.push()["records"]) == [4]
        assert ws.push()["op"] == "caught_up"
        assert ws.do("ping")["op"] == "pong" and ws.pushed == []


def test_options_of_a_subscription(v0, name):
    v0.write(name, [{"data": 1, "node": "eu"}, {"data": 2, "tag": "t", "meta": {"m": 1}}, {"data": 3}])
    with v0.socket() as ws:
        ws.do("subscribe", topic=name, node="eu", limit=1, include_data=False, include_tags=True, include_meta=False)
        first = ws.push()
        assert [set(r) for r in first["records"]] == [{"$seq", "$ts", "$tag"}]
        assert ws.push()["to_seq"] == 3


def test_loss_and_deletion_are_told_with_their_cause(v0, name):
    v0.make(name, cap_records=1)
    v0.add(name, data(3))
    with v0.socket() as ws:
        ws.do("subscribe", topic=name)
        assert ws.push() == {"op": "tombstone", "topic": name, "reason": "cap", "gap_from": 1, "gap_to": 2,
                             "earliest_seq": 3, "head_seq": 3}
        assert numbers(ws.records(1)) == [3]
        ws.push()
        ws.do("subscribe", topic=name, from_seq=9)
        gap = ws.push()
        assert (gap["reason"], gap["gap_from"], gap["gap_to"], gap["earliest_seq"]) == ("recreated", 1, 3, 3)
        assert numbers(ws.records(1)) == [3]
        ws.push()
        v0.drop(name)
        assert ws.push() == {"op": "topic_deleted", "topic": name, "head_seq": 3, "reason": "deleted"}
        assert ws.do("ping")["op"] == "pong"


def test_publishing_like_a_write(v0, name):
    with v0.socket() as ws:
        assert ws.do("publish", topic=name, records=data(1), create=False)["code"] == "topic_not_found"
        ack = ws.do("publish", topic=name, records=data(1), idempotency_key="k", config={"cap_records": 5},
                    return_seqs=False)
        assert ack["created"] is True and ack.get("seqs") is None
        again = ws.do("publish", topic=name, records=data(1), idempotency_key="k")
        assert again["deduped"] is True and again["first_seq"] == 1
        assert v0.state(name)["config"]["cap_records"] == 5


@pytest.mark.parametrize("text, code", [
    ("{", "invalid_json"), ("[]", "invalid_json"), ('"x"', "invalid_json"), ("{}", "invalid_json"),
    ('{"op":"nope"}', "invalid_json"), ('{"op":7}', "invalid_json"),
    ('{"op":"subscribe","topic":7}', "invalid_json"), ('{"op":"subscribe","topic":"x","from_seq":-1}', "invalid_json"),
    ('{"op":"publish","topic":"x"}', "invalid_json"), ('{"op":"publish","topic":"x","records":1}', "invalid_json"),
    ('{"op":"subscribe"}', "invalid_request"), ('{"op":"unsubscribe"}', "invalid_request"),
    ('{"op":"publish","records":[{"data":1}]}', "invalid_request"),
    ('{"op":"publish","topic":"x","records":[]}', "invalid_request"),
    ('{"op":"publish","topic":"-bad-","records":[{"data":1}]}', "invalid_request"),
    ('{"op":"subscribe","topic":"surely-not-there"}', "topic_not_found"),
    (json.dumps({"op": "subscribe", "topics": {f"t{i}": {} for i in range(257)}}), "invalid_request"),
])
def test_what_is_wrong_is_told_and_the_socket_lives(v0, text, code):
    with v0.socket() as ws:
        ws.raw.send(text)
        error = ws.receive()
        assert (error["op"], error["code"]) == ("error", code), error
        assert error["message"] and error["request_id"] is None
        assert ws.do("ping", request_id=1) == {"op": "pong", "request_id": 1}


def test_lenient_leaves_out_what_is_not_there(v0, name):
    v0.make(name)
    with v0.socket() as ws:
        assert ws.do("subscribe", topics={name: {}, name + "-not": {}}, request_id=5)["code"] == "topic_not_found"
        answer = ws.do("subscribe", topics={name: {}, name + "-not": {}}, lenient=True)
        assert list(answer["topics"]) == [name]


@pytest.mark.tsan
def test_answers_come_in_order_however_fast_they_are_asked_for(v0, name):
    with v0.socket() as ws:
        for i in range(300):
            ws.send("publish" if i % 3 else "ping", request_id=i, topic=name, records=data(1, i))
        assert [ws.receive()["request_id"] for _ in range(300)] == list(range(300))
    assert v0.state(name)["count"] == 200


# ---- the protocol ----

def test_binary_messages_and_pings(v0):
    with v0.socket() as ws:
        ws.raw.send_binary(b"{}")
        assert ws.receive()["code"] == "unsupported_message"
        ws.raw.ping("are you there")
        frame = ws.raw.recv_frame()
        assert (frame.opcode, frame.data) == (websocket.ABNF.OPCODE_PONG, b"are you there")


def test_fragments_make_one_message(v0):
    with v0.socket() as ws:
        text = b'{"op":"ping","request_id":"fragmented"}'
        ws.raw.send_frame(websocket.ABNF.create_frame(text[:10], websocket.ABNF.OPCODE_TEXT, fin=0))
        ws.raw.ping("between")
        ws.raw.send_frame(websocket.ABNF.create_frame(text[10:], websocket.ABNF.OPCODE_CONT, fin=1))
        assert ws.receive() == {"op": "pong", "request_id": "fragmented"}


def close_code(sock):
    """The code of the close frame that ends the connection."""
    got = b""
    while chunk := sock.recv(4096):
        got += chunk
    assert got[0] == 0x88, got
    return struct.unpack(">H", got[2:4])[0]


def raw_socket(v0):
    made = socket.create_connection(("127.0.0.1", port_of(v0)), timeout=wait.DEADLINE_S)
    key = base64.b64encode(os.urandom(16)).decode()
    made.sendall(f"GET /v0/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
                 f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head:
        head += made.recv(1)
    assert head.startswith(b"HTTP/1.1 101 "), head
    return made


MASK = b"\x01\x02\x03\x04"


def masked(payload, opcode=0x81, length=None):
    length = len(payload) if length is None else length
    head = bytes([opcode, 0x80 | length]) if length < 126 else bytes([opcode, 0xff]) + struct.pack(">Q", length)
    return head + MASK + bytes(b ^ MASK[i % 4] for i, b in enumerate(payload))


@pytest.mark.parametrize("frame, code", [
    (b"\x81\x04{\"x\"", 1002),                       # not masked
    (masked(b"{}", opcode=0xc1), 1002),              # a reserved bit
    (masked(b"{}", opcode=0x83), 1002),              # an unknown opcode
    (masked(b"{}", opcode=0x80), 1002),              # a continuation of nothing
    (masked(b"\xff\xfe"), 1007),                     # no UTF-8
    (masked(b"begins", length=1 << 40), 1009),             # larger than any message may be
])
def test_a_broken_frame_ends_the_connection_with_its_code(v0, frame, code):
    with raw_socket(v0) as sock:
        sock.sendall(frame)
        assert close_code(sock) == code


def test_a_close_is_answered(v0):
    with raw_socket(v0) as sock:
        sock.sendall(masked(struct.pack(">H", 1000) + b"bye", opcode=0x88))
        assert close_code(sock) == 1000


def test_what_is_no_handshake_is_refused(v0):
    refused(v0.get("/v0/ws"), 400, "invalid_request")
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
    answer = v0.get("/v0/ws", headers={**upgrade, "Sec-WebSocket-Version": "8"})
    refused(answer, 400, "invalid_request")
    assert answer.headers["Sec-WebSocket-Version"] == "13"
    refused(v0.get("/v0/ws", headers={**upgrade, "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "short"}), 400,
            "invalid_request")


# ---- load ----

@pytest.mark.tsan
def test_a_client_that_does_not_read_is_not_read_from(gateway, v0, name):
    """Pings by the thousand whose answers nobody takes: memory stays where it is, and all are answered in the end."""
    with v0.socket(receive_buffer=65536) as ws:
        count = 30000
        text = json.dumps({"op": "ping", "request_id": "x" * 200})
        sender = threading.Thread(target=lambda: [ws.raw.send(text) for _ in range(count)])
        with gateway.grows_at_most(32 << 20):
            sender.start()
            for _ in range(count):
                assert ws.receive()["op"] == "pong"
            sender.join()


def test_a_slow_subscriber_loses_nothing(v0, name):
    v0.make(name)
    with v0.socket(receive_buffer=65536) as ws:
        ws.do("subscribe", topic=name)
        for start in range(1, 101, 20):
            v0.add(name, [{"data": f"{i:06}" + "x" * 50000} for i in range(start, start + 20)])
        assert [int(r["data"][:6]) for r in ws.records(100)] == list(range(1, 101))


def test_slots_come_back(v0):
    wait.until(lambda: v0.connections() == 0, "those of the tests before are gone")
    with v0.socket() as ws:
        ws.do("ping")
        assert v0.connections() == 1
    wait.until(lambda: v0.connections() == 0, "the slot is free")


def test_connections_have_a_cap(gateways):
    [gateway] = gateways(1, topics_max_sse_connections=1)
    v0 = Watcher(gateway.url)
    with v0.socket() as ws:
        ws.do("ping")
        error = refused(v0.get("/v0/ws"), 429, "throttled")
        assert error["detail"] == {"limit": "max_sse_connections", "max": 1}


def test_a_topic_for_which_there_is_no_place_can_be_subscribed_to_later(gateways, name):
    [gateway] = gateways(1, max_subscriptions=1)
    with Watcher(gateway.url) as v0, v0.socket() as socket:
        first, second = v0.make(name + "-1"), v0.make(name + "-2")
        v0.add(second, [{"data": 1}])
        assert socket.do("subscribe", topic=first)["op"] == "subscribed"
        assert socket.do("subscribe", topic=second)["op"] == "subscribed"
        error = socket.answer()
        assert (error["op"], error["code"]) == ("error", "throttled") and second in error["message"]
        assert socket.do("unsubscribe", topic=first)["op"] == "unsubscribed"
        assert socket.do("subscribe", topic=second)["op"] == "subscribed"
        assert [record["data"] for record in socket.records(1)] == [1]


def test_two_workers(gateways, name):
    one, two = (Watcher(g.url) for g in gateways(2))
    one.make(name)
    with one.socket() as reader, two.socket() as writer:
        reader.do("subscribe", topic=name)
        reader.push()
        for i in range(1, 21):
            assert writer.do("publish", topic=name, records=data(1, i))["last_seq"] == i
        assert numbers(reader.records(20)) == list(range(1, 21))


def test_a_stop_says_goodbye(fleet, database):
    worker = fleet.start(database)
    with Watcher(worker.url).socket() as ws:
        ws.do("ping")
        worker.stop()
        assert ws.receive()["code"] == "server_shutting_down"
        opcode, payload = ws.raw.recv_data(control_frame=True)
        assert opcode == websocket.ABNF.OPCODE_CLOSE and struct.unpack(">H", payload[:2]) == (1001,)


# ---- keys ----

def test_each_command_needs_its_rights(fleet, fresh_database, name):
    run("migrate", database=fresh_database)

    def client(scopes, *more):
        done = run("key", "create", "--tenant", "default", "--scopes", scopes, *more, database=fresh_database)
        return Watcher(gateway.url, key=done.stdout.split()[0])
    run("key", "create", "--tenant", "default", "--scopes", "read", database=fresh_database)
    gateway = fleet.start(fresh_database)
    owner = client("read,write,delete,admin")
    owner.make(name)
    refused(Watcher(gateway.url).get("/v0/ws"), 401, "unauthorized")
    with client("read").socket() as ws:
        assert ws.do("subscribe", topic=name)["op"] == "subscribed"
        assert ws.do("publish", topic=name, records=data(1))["code"] == "forbidden"
    with client("write").socket() as ws:
        assert ws.do("publish", topic=name, records=data(1))["op"] == "ack"
        assert ws.do("publish", topic=name + "-2", records=data(1), config={})["code"] == "forbidden"
        assert ws.do("subscribe", topic=name)["code"] == "forbidden"
    with client("read,write", "--prefix", "mine-").socket() as ws:
        assert ws.do("subscribe", topic=name)["code"] == "forbidden"
        assert ws.do("publish", topic=name, records=data(1))["code"] == "forbidden"
        assert ws.do("publish", topic="mine-" + name, records=data(1))["op"] == "ack"
    assert fine(owner.diff(name))["head_seq"] == 1
