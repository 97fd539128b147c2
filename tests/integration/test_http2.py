"""HTTP/2 with prior knowledge: the same handlers, many exchanges on one connection, and clients that misbehave."""

import json
import signal
import subprocess
import time

import pytest

from harness import http2, http2_client, wait
from harness.client import Client, ok, values

SETTINGS = {"header_timeout_ms": 1000, "idle_timeout_ms": 2000, "body_timeout_ms": 2000}


@pytest.fixture
def connection(gateway):
    with http2.Connection(gateway) as made:
        yield made


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
    for line in client.get("/metrics").text.splitlines():
        if line.startswith("tidegate_http_streams "):
            return int(float(line.split()[1]))
    raise AssertionError("no metric of streams")


@pytest.mark.tsan
def test_a_reset_ends_an_event_stream_at_once_and_frees_it(connection, client, topic):
    before = streams(client)
    numbers = [connection.ask("GET", f"/topics/{topic}/stream") for _ in range(20)]
    connection.until(lambda: all(n in connection.headers for n in numbers))
    assert streams(client) == before + 20
    for number in numbers[:10]:
        connection.reset(number)
    wait.until(lambda: streams(client) == before + 10, "the streams that were reset are gone")
    connection.close()
    wait.until(lambda: streams(client) == before, "the streams of the closed connection are gone")


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


def test_a_silent_connection_is_told_to_go(gateway):
    with http2.Connection(gateway) as connection:
        while connection.receive():
            pass
        assert connection.goaway == 0


def test_a_header_block_that_never_ends(gateway):
    with http2.Connection(gateway) as connection:
        # HEADERS on stream 1 without END_HEADERS, and nothing after it.
        connection.socket.sendall(b"\x00\x00\x01\x01\x00\x00\x00\x00\x01\x82")
        while connection.receive():
            pass


def test_a_body_that_stops(connection, topic):
    number = connection.ask("POST", f"/topics/{topic}/produce", b'{"mess', [("content-type", "application/json")], end=False)
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


def test_floods_of_pings_and_settings_leave_the_server_well(gateway):
    for flood in (b"\x00\x00\x08\x06\x00\x00\x00\x00\x00" + b"12345678", b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"):
        with http2.Connection(gateway) as connection:
            try:
                for _ in range(200):
                    connection.socket.sendall(flood * 1000)
            except OSError:
                pass  # it had enough
    with gateway.client() as client:
        ok(client.get("/healthz"))


@pytest.mark.parametrize("bytes_", [b"\x00" * 100, b"\xff" * 100, b"GET / HTTP/1.1\r\n\r\n"], ids=["zeros", "ones", "http1"])
def test_what_is_no_http_2_ends_the_connection(gateway, bytes_):
    with http2.Connection(gateway) as connection:
        connection.socket.sendall(bytes_)
        assert ends(connection, lambda: None)


def test_more_streams_than_allowed_are_refused_and_the_rest_served(connection, topic):
    connection.receive()  # the server's settings
    limit = connection.h2.remote_settings.max_concurrent_streams
    assert limit == 256


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
