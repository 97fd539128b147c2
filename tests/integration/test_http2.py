"""HTTP/2 with prior knowledge: the same handlers, many exchanges on one connection, and clients that misbehave."""

import contextlib
import enum
import json
import shutil
import signal
import subprocess
import threading
import time

import h2.errors
import pytest

from harness import http2, http2_client, raw, wait
from harness.client import Client, ok, values

@pytest.fixture
def connection(gateway):
    with http2.Connection(gateway) as made:
        yield made


@pytest.fixture
def impatient(gateways):
    """A worker for what times out; with the other this file may stand still for a while between two lines."""
    [made] = gateways(1, header_timeout_ms=1000, idle_timeout_ms=2000, body_timeout_ms=2000)
    return made


def produce(connection, topic, *texts):
    body = json.dumps({"messages": [{"value": text} for text in texts]}).encode()
    return connection.post(f"/topics/{topic}/produce", body)


def test_curl_speaks_it_on_the_port_of_http_1(gateway, topic):
    def curl(*arguments):
        return subprocess.run(["curl", "-sS", "--max-time", "20", *arguments], capture_output=True, check=True).stdout.decode()

    url = f"{gateway.url}/topics/{topic}"
    for flag in ("--http2-prior-knowledge", "--http1.1"):
        text = curl(flag, "-w", "\n%{http_version} %{http_code}", "--json", '{"messages":[{"value":"x"}]}', url + "/produce")
        body, status = text.rsplit("\n", 1)
        assert status == ("2 200" if "prior" in flag else "1.1 200")
        assert json.loads(body)["results"][0]["partition"] == 0


@pytest.mark.skipif(shutil.which("nghttp") is None, reason="nghttp is not installed")
def test_nghttp_speaks_it(gateway, client, topic, tmp_path):
    body = tmp_path / "body.json"
    body.write_text('{"messages":[{"value":"a"}]}')
    ran = subprocess.run(["nghttp", "-m", "20", "-d", str(body), "-H", "content-type: application/json",
                          f"{gateway.url}/topics/{topic}/produce"], capture_output=True, text=True, timeout=wait.DEADLINE_S)
    assert (ran.returncode, ran.stdout.count('"offset"')) == (0, 20), ran
    assert values(client.read_all(topic)) == ["a"] * 20


def test_curl_reads_the_refusal_of_a_body_that_it_has_not_sent_yet(gateway, topic, tmp_path):
    (tmp_path / "large").write_bytes(b"x" * (80 << 20))
    text = subprocess.run(["curl", "-sS", "--max-time", "30", "--http2-prior-knowledge", "-w", " %{http_code}",
                           "-H", "Content-Type: application/json", "--data-binary", f"@{tmp_path}/large",
                           f"{gateway.url}/topics/{topic}/produce"], capture_output=True, check=True).stdout.decode()
    assert "payload_too_large" in text and text.endswith(" 413")


@pytest.mark.tsan
def test_many_exchanges_share_a_connection_and_each_gets_its_answer(connection, client, topic):
    numbers = [produce(connection, topic, f"value {i}") for i in range(200)]
    offsets = []
    for number in numbers:
        status, body = connection.answer(number)
        assert status == 200
        offsets.append(json.loads(body)["results"][0]["offset"])
    assert sorted(offsets) == list(range(200))
    found = {m["offset"]: m["value"] for m in client.read_all(topic)}
    assert [found[offset] for offset in offsets] == [f"value {i}" for i in range(200)]


def test_headers_of_a_reply(connection):
    number = connection.ask("GET", "/healthz")
    status, body = connection.answer(number)
    headers = connection.headers[number]
    assert status == 200 and json.loads(body)["status"] == "ok"
    assert int(headers["content-length"]) == len(body)
    assert headers["content-type"] == "application/json" and "date" in headers and "x-request-id" in headers
    assert not {"connection", "transfer-encoding", "keep-alive"} & set(headers)


def test_head_has_the_length_and_no_body(connection):
    number = connection.ask("HEAD", "/healthz")
    assert connection.answer(number) == (200, b"")
    assert int(connection.headers[number]["content-length"]) > 0


def test_unknown_path_and_method(connection):
    assert connection.answer(connection.ask("GET", "/nowhere"))[0] == 404
    assert connection.answer(connection.ask("PATCH", "/topics"))[0] == 405


def test_a_body_in_pieces_without_a_length(connection, client, topic):
    number = connection.ask("POST", f"/topics/{topic}/produce", b'{"messages":', [("content-type", "application/json")], end=False)
    for piece in (b'[{"value"', b':"in pieces"}', b"]}"):
        time.sleep(0.02)
        connection.h2.send_data(number, piece)
        connection.flush()
    connection.h2.end_stream(number)
    connection.flush()
    assert connection.answer(number)[0] == 200
    assert values(client.read_all(topic)) == ["in pieces"]


def test_a_large_body_flows_through_the_window(client, gateway, topic):
    with http2.Connection(gateway) as connection:
        value = "v" * 900_000
        body = json.dumps({"messages": [{"value": value}] * 5}).encode()
        number = connection.ask("POST", f"/topics/{topic}/produce", headers=[("content-type", "application/json")], end=False)
        sent = 0
        while sent < len(body):
            room = min(connection.h2.local_flow_control_window(number), connection.h2.max_outbound_frame_size, len(body) - sent)
            if room == 0:
                assert connection.receive()
                continue
            connection.h2.send_data(number, body[sent:sent + room], end_stream=sent + room == len(body))
            connection.flush()
            sent += room
        assert connection.answer(number)[0] == 200
    assert values(client.read_all(topic, page=2)) == [value] * 5


def test_headers_that_are_too_large(connection):
    number = connection.ask("GET", "/healthz", headers=[(f"x-{i}", "y" * 1000) for i in range(20)])
    assert connection.answer(number)[0] == 431
    assert connection.answer(connection.ask("GET", "/healthz"))[0] == 200


def test_a_body_that_is_not_as_long_as_it_says_is_a_stream_error_and_others_go_on(connection, topic):
    bad = connection.ask("POST", f"/topics/{topic}/produce", b"{}", headers=[("content-length", "3")])
    connection.until(lambda: bad in connection.resets or bad in connection.ended)
    assert bad in connection.resets
    assert connection.answer(connection.ask("GET", "/healthz"))[0] == 200


@pytest.mark.tsan
def test_an_event_stream_among_other_exchanges(connection, client, topic):
    stream = connection.ask("GET", f"/topics/{topic}/stream?offset=earliest", headers=[("accept", "text/event-stream")])
    connection.until(lambda: stream in connection.headers)
    assert connection.headers[stream]["content-type"].startswith("text/event-stream")
    for i in range(50):
        assert connection.answer(produce(connection, topic, f"event {i}"))[0] == 200
    connection.until(lambda: connection.bodies.get(stream, b"").count(b"data: ") == 50)
    text = connection.bodies[stream].decode()
    assert [text.index(f'"event {i}"') for i in range(50)] == sorted(text.index(f'"event {i}"') for i in range(50))
    assert b"\r\n" not in connection.bodies[stream]  # no chunks: HTTP/2 has frames
    assert stream not in connection.ended


def streams(client):
    return client.metric("tidegate_http_streams")


@pytest.mark.tsan
def test_a_reset_ends_an_event_stream_at_once_and_frees_it(connection, client, topic):
    wait.until(lambda: streams(client) == 0, "those of the test before are gone")
    numbers = [connection.ask("GET", f"/topics/{topic}/stream") for _ in range(20)]
    connection.until(lambda: all(n in connection.headers for n in numbers))
    assert streams(client) == 20
    for number in numbers[:10]:
        connection.reset(number)
    wait.until(lambda: streams(client) == 10, "the streams that were reset are gone")
    connection.close()
    wait.until(lambda: streams(client) == 0, "the streams of the closed connection are gone")


def test_a_reader_that_grants_no_window_gets_everything_later(gateway, client, topic):
    with http2.Connection(gateway, window=1000) as connection:
        connection.grants_windows = False
        stream = connection.ask("GET", f"/topics/{topic}/stream?offset=earliest", headers=[("accept", "application/x-ndjson")])
        for i in range(20):
            client.put(topic, [{"value": f"{i} " + "x" * 500}])
        connection.until(lambda: len(connection.bodies.get(stream, b"")) == 1000)
        assert connection.answer(connection.ask("GET", "/healthz"))[0] == 200  # the connection goes on
        connection.h2.increment_flow_control_window(1 << 20, stream)
        connection.flush()
        connection.until(lambda: connection.bodies[stream].count(b"\n") >= 20)


def test_shutdown_says_goaway_after_the_answers(fresh_database, fleet, name):
    gateway = fleet.start(fresh_database)
    with gateway.client() as client:
        client.make(name)
    with http2.Connection(gateway) as connection:
        stream = connection.ask("GET", f"/topics/{name}/stream?offset=earliest", headers=[("accept", "text/event-stream")])
        connection.until(lambda: stream in connection.headers)
        numbers = [produce(connection, name, f"last {i}") for i in range(20)]
        connection.until(lambda: numbers[-1] in connection.ended)
        gateway.signal(signal.SIGTERM)
        for number in numbers:
            assert connection.answer(number)[0] == 200
        connection.until(lambda: stream in connection.ended and connection.goaway is not None)
        assert b"event: end" in connection.bodies[stream] or b"shut" in connection.bodies[stream]
        assert connection.goaway == 0
    assert gateway.wait_exit() == 0


def test_a_silent_connection_is_told_to_go(impatient):
    with http2.Connection(impatient) as connection:
        while connection.receive():
            pass
        assert connection.goaway == 0


def test_a_request_that_came_in_time_is_answered_by_a_worker_that_stood_still(gateways):
    """For longer than a connection may be idle; several, since its threads wake up in any order."""
    [gateway] = gateways(1, idle_timeout_ms=5000)
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(http2.Connection(gateway)) for _ in range(20)]
        for connection in connections:
            assert connection.answer(connection.ask("GET", "/healthz"))[0] == 200
        gateway.signal(signal.SIGSTOP)
        asked = [(connection, connection.ask("GET", "/healthz")) for connection in connections]
        time.sleep(5.5)
        gateway.signal(signal.SIGCONT)
        for connection, number in asked:
            assert connection.answer(number)[0] == 200
            assert connection.goaway is None


def test_one_connection_too_many_is_told_in_its_protocol(gateways):
    [gateway] = gateways(1, max_connections=16, idle_timeout_ms=60_000)
    wait.until(lambda: gateway.metric("tidegate_http_connections") == 1, "the harness's own connection is gone")
    with contextlib.ExitStack() as stack:
        for _ in range(16):
            made = stack.enter_context(http2.Connection(gateway))
            assert made.answer(made.ask("GET", "/healthz"))[0] == 200
        surplus = stack.enter_context(http2.Connection(gateway))
        while surplus.receive():
            pass
        assert surplus.goaway == 0
        old = stack.enter_context(raw.Connection(gateway))
        old.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert old.receive().status == 503
    gateway.wait_ready()


def test_a_header_block_that_never_ends(impatient):
    with http2.Connection(impatient) as connection:
        # HEADERS on stream 1 without END_HEADERS, and nothing after it.
        connection.socket.sendall(b"\x00\x00\x01\x01\x00\x00\x00\x00\x01\x82")
        while connection.receive():
            pass


def test_a_body_that_stops(impatient, topic):
    with http2.Connection(impatient) as connection:
        body = b'{"mess'
        number = connection.ask("POST", f"/topics/{topic}/produce", body, [("content-type", "application/json")], end=False)
        connection.until(lambda: number in connection.resets)
        assert connection.answer(connection.ask("GET", "/healthz"))[0] == 200


def ends(connection, attack):
    """Whether the server ended the connection while, or soon after, it was attacked; a timeout is none."""
    try:
        attack()
        while connection.receive():
            pass
    except (BrokenPipeError, ConnectionResetError):
        return True
    return connection.is_closed


@pytest.mark.tsan
def test_rapid_resets_end_the_connection(connection, gateway):
    def attack():
        for _ in range(20):
            for _ in range(100):
                number = connection.h2.get_next_available_stream_id()
                connection.h2.send_headers(number, [(":method", "GET"), (":path", "/topics"), (":scheme", "http"),
                                                    (":authority", "x")], end_stream=True)
                connection.h2.reset_stream(number)
            connection.flush()

    assert ends(connection, attack)
    with gateway.client() as client:
        ok(client.get("/healthz"))


def frame(type_, flags=0, stream=0, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([type_, flags]) + stream.to_bytes(4, "big") + payload


class Type(enum.IntEnum):
    DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)


END_STREAM = 1


def drain(sock):
    with contextlib.suppress(OSError):
        while sock.recv(1 << 20):
            pass


@pytest.mark.tsan
@pytest.mark.parametrize("flood", [frame(Type.PING, payload=b"12345678"), frame(Type.SETTINGS), frame(Type.WINDOW_UPDATE, payload=b"\x00\x00\x00\x01"),
                                   frame(Type.PRIORITY, stream=1, payload=b"\x00\x00\x00\x00\x10"),
                                   frame(0xa, payload=b"\0\0"), frame(0x77, flags=0xff, stream=1, payload=b"what?"), frame(0xff)],
                         ids=["pings", "settings", "windows", "priorities", "altsvc", "unknown", "empty unknown"])
def test_a_flood_of_frames_that_carry_nothing_ends_the_connection(gateway, flood):
    """Also when the client reads every answer, so that none has to wait."""
    with http2.Connection(gateway) as connection:
        reader = threading.Thread(target=drain, args=(connection.socket,), daemon=True)
        reader.start()
        with pytest.raises(OSError):
            for _ in range(200):
                connection.socket.sendall(flood * 100)
                time.sleep(0.001)
            reader.join(wait.DEADLINE_S)
            # The first bytes after the end may still be taken: it is their answer that says so.
            wait.until(lambda: connection.socket.sendall(flood), "what is sent after the end is refused")
    with gateway.client() as client:
        ok(client.get("/healthz"))


def test_a_client_that_reads_no_answers_to_its_pings_is_cut(gateway):
    with http2.Connection(gateway, receive_buffer=4096) as connection:
        with pytest.raises(OSError):
            for _ in range(200):
                connection.socket.sendall(frame(Type.PING, payload=b"12345678") * 1000)
    with gateway.client() as client:
        ok(client.get("/healthz"))


def test_empty_pieces_of_a_body_do_not_go_on_for_ever(connection, topic):
    number = connection.ask("POST", f"/topics/{topic}/produce", b"{", [("content-type", "application/json")], end=False)
    empty = frame(Type.DATA, stream=number)

    def attack():
        for _ in range(200):
            connection.socket.sendall(empty * 1000)
    assert ends(connection, attack)


def test_frames_of_unknown_types_are_passed_over(connection):
    number = connection.ask("GET", "/healthz")
    connection.socket.sendall(frame(0x10, payload=b"\0\0\0\1u=1") + frame(0xee, stream=number, payload=b"x" * 16000))
    assert connection.answer(number)[0] == 200
    assert connection.answer(connection.ask("GET", "/healthz"))[0] == 200


def test_many_pings_over_time_are_answered(connection):
    for _ in range(20):
        for i in range(100):
            connection.h2.ping(i.to_bytes(8, "big"))
        assert connection.answer(connection.ask("GET", "/healthz"))[0] == 200


def test_a_flood_of_continuations_ends_the_connection(gateway):
    with http2.Connection(gateway) as connection:
        def attack():
            connection.socket.sendall(frame(Type.HEADERS, END_STREAM, 1, b"\x82"))
            for _ in range(200):
                connection.socket.sendall(frame(Type.CONTINUATION, 0, 1, b"") * 1000)
        assert ends(connection, attack)
    with gateway.client() as client:
        ok(client.get("/healthz"))


def test_a_header_block_that_expands_a_thousandfold_is_refused_and_not_kept(connection, gateway):
    """One entry of the table of headers, named over and over: 12 KiB on the wire for 46 MiB of headers."""
    with gateway.grows_at_most(16 << 20):
        number = connection.ask("GET", "/healthz", headers=[("x-large", "y" * 3900)] * 12_000)
        assert connection.answer(number)[0] == 431
    assert connection.answer(connection.ask("GET", "/healthz"))[0] == 200


@pytest.mark.parametrize("bytes_", [b"\x00" * 100, b"\xff" * 100, b"GET / HTTP/1.1\r\n\r\n"], ids=["zeros", "ones", "http1"])
def test_what_is_no_http_2_ends_the_connection(gateway, bytes_):
    with http2.Connection(gateway) as connection:
        connection.socket.sendall(bytes_)
        assert ends(connection, lambda: None)


def poll(connection, topic, count):
    """Long polls, one a stream."""
    body = json.dumps({"partition": 0, "offset": 0, "wait_ms": 20_000}).encode()
    return [connection.post(f"/topics/{topic}/consume", body) for _ in range(count)]


STREAMS = 256


@pytest.mark.tsan
def test_more_streams_than_allowed_are_refused_and_the_rest_served(connection, client, topic):
    """By a client that has not seen the limit yet."""
    numbers = poll(connection, topic, STREAMS + 10)
    connection.until(lambda: len(connection.resets) == 10)
    assert connection.resets == dict.fromkeys(numbers[STREAMS:], h2.errors.ErrorCodes.REFUSED_STREAM)
    assert connection.h2.remote_settings.max_concurrent_streams == STREAMS
    client.put(topic, [{"value": "for all"}])
    for number in numbers[:STREAMS]:
        status, answer = connection.answer(number)
        assert status == 200 and values(json.loads(answer)["messages"]) == ["for all"]
    assert connection.answer(connection.ask("GET", "/healthz"))[0] == 200


def test_a_client_that_knows_the_limit_of_streams_and_breaks_it_is_cut(connection, topic):
    assert connection.answer(connection.ask("GET", "/healthz"))[0] == 200
    connection.h2.remote_settings.max_concurrent_streams = STREAMS + 1
    connection.h2.remote_settings.acknowledge()
    poll(connection, topic, STREAMS + 1)
    assert ends(connection, lambda: None) and connection.goaway == h2.errors.ErrorCodes.PROTOCOL_ERROR


@pytest.mark.parametrize("begun", [b"P", b"PRI * HTTP/2.0\r\n\r\nSM"], ids=["one byte", "almost all"])
def test_a_preface_that_stops_is_given_up(impatient, begun):
    with raw.Connection(impatient) as connection:
        connection.send(begun)
        assert connection.eof()


def test_a_preface_in_pieces(gateway):
    with raw.Connection(gateway) as connection:
        for piece in (b"PRI * HT", b"TP/2.0\r\n\r", b"\nSM\r\n\r\n" + frame(Type.SETTINGS)):
            connection.send(piece)
            time.sleep(0.05)
        assert connection.socket.recv(9)[3] == Type.SETTINGS


def test_a_stream_that_takes_nothing_is_cut_and_its_neighbours_go_on(fresh_database, fleet, name):
    gateway = fleet.start(fresh_database, stream_stall_ms=1000)
    with gateway.client() as client, http2.Connection(gateway) as connection, gateway.grows_at_most(32 << 20):
        client.make(name)
        connection.grants_windows = False
        stuck = connection.ask("GET", f"/topics/{name}/stream?offset=earliest", headers=[("accept", "application/x-ndjson")])
        connection.until(lambda: stuck in connection.headers)
        for _ in range(40):
            client.put(name, [{"value": "x" * 100_000}] * 10)
            connection.h2.increment_flow_control_window(1 << 16)  # the connection's: only the stream is slow
            assert connection.answer(connection.ask("GET", "/healthz"))[0] == 200
        connection.until(lambda: stuck in connection.resets)
        assert len(connection.bodies[stuck]) == 65535
        assert connection.answer(connection.ask("GET", "/healthz"))[0] == 200
        wait.until(lambda: streams(client) == 0, "the stream that was cut is gone")


def test_a_slow_reader_gets_the_last_bytes_of_a_stream_that_ended_before(gateway, client, topic):
    with http2.Connection(gateway, window=100) as connection:
        connection.grants_windows = False
        stream = connection.ask("GET", f"/topics/{topic}/stream?offset=earliest", headers=[("accept", "application/x-ndjson")])
        client.put(topic, [{"value": "x" * 5000}])
        connection.until(lambda: len(connection.bodies.get(stream, b"")) == 100)
        ok(client.request("DELETE", f"/topics/{topic}"))
        # Longer than the stream engine keeps its end of the pipe.
        wait.holds_for(lambda: gateway.is_running, "nothing is lost meanwhile", 2.5)
        connection.h2.increment_flow_control_window(1 << 20, stream)
        connection.flush()
        connection.until(lambda: stream in connection.ended or stream in connection.resets)
        assert stream not in connection.resets
        assert b"x" * 5000 in connection.bodies[stream] and connection.bodies[stream].endswith(b"\n")


def test_credentials_are_asked_for_as_over_http_1(fresh_database, fleet, name):
    gateway = fleet.start(fresh_database, auth="required")
    with http2.Connection(gateway) as connection:
        status, body = connection.answer(connection.ask("GET", "/topics"))
        assert status == 401 and json.loads(body)["error"]["code"] == "unauthorized"
        assert connection.answer(connection.ask("GET", "/healthz"))[0] == 200


def test_the_client_of_these_tests_speaks_it(gateway, name):
    with Client(gateway.url) as client:
        client.session.mount("http://", http2_client.Adapter())
        client.make(name)
        assert client.put(name, [{"value": "over two"}]) == [(0, 0)]
        assert values(client.read_all(name)) == ["over two"]
