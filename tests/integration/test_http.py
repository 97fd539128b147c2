"""HTTP itself: routing, limits, connections, CORS; mostly by hand, since good clients refuse to misbehave."""

import contextlib
import gzip
import json
import signal
import socket
import time

import pytest

from harness import raw, wait
from harness.client import Client, ok, refused

SETTINGS = {"max_body_bytes": 2 << 20}


@pytest.fixture
def impatient(gateways):
    """A worker for what times out; with the others this file may stand still for a while between two lines."""
    [made] = gateways(1, header_timeout_ms=800, idle_timeout_ms=1500, body_timeout_ms=1500)
    return made


def request(line, *headers, body=""):
    return "\r\n".join([f"{line} HTTP/1.1", "Host: localhost", *headers, "", ""]) + body


def still_serves(gateway):
    with Client(gateway.url) as client:
        return client.get("/healthz").status_code == 200


# ---- routing ----

@pytest.mark.parametrize("path", ["/nothing", "/topic", "/Topics", "/topics/a/b", "/topics/a/produce/x", "/topics/a/produce/",
                                  "/topics/a/groups/g/x", "/topics//produce", "//topics", "/topics/a/consume.json",
                                  "/v99/x", "/topics/a%2Fproduce/x", "/favicon", "/..", "/topics/../etc/passwd"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_unknown_paths_are_404_with_the_envelope(gateway, path, method):
    # By hand: a client library tidies some of these up before it sends them.
    answer = raw.exchange(gateway, request(f"{method} {path}", "Connection: close", "Content-Length: 0"))
    refused(answer, 404, "not_found")


@pytest.mark.parametrize("method,path,allowed", [
    ("PUT", "/topics", {"GET", "POST"}), ("DELETE", "/topics", {"GET", "POST"}), ("PATCH", "/topics", {"GET", "POST"}),
    ("POST", "/topics/t", {"GET", "PATCH", "DELETE"}), ("PUT", "/topics/t", {"GET", "PATCH", "DELETE"}),
    ("GET", "/topics/t/produce", {"POST"}), ("PUT", "/topics/t/consume", {"POST"}), ("DELETE", "/topics/t/commit", {"POST"}),
    ("POST", "/topics/t/groups", {"GET"}), ("POST", "/topics/t/groups/g", {"GET", "DELETE"}),
    ("GET", "/topics/t/groups/g/reset", {"POST"}), ("POST", "/topics/t/stream", {"GET"}),
    ("POST", "/healthz", {"GET"}), ("DELETE", "/readyz", {"GET"}), ("POST", "/metrics", {"GET"}),
    ("BREW", "/topics", {"GET", "POST"}), ("get", "/topics", {"GET", "POST"}), ("TRACE", "/topics", {"GET", "POST"}),
    ("PROPFIND", "/topics/t/produce", {"POST"}),
])
def test_other_methods_on_known_paths_are_405_and_name_those_that_work(gateway, method, path, allowed):
    answer = raw.exchange(gateway, request(f"{method} {path}", "Connection: close", "Content-Length: 0"))
    refused(answer, 405, "method_not_allowed")
    assert allowed <= {each.strip() for each in answer.headers["Allow"].split(",")} <= allowed | {"HEAD", "OPTIONS"}


def test_head_is_get_without_a_body(client, topic):
    for path in ("/topics", f"/topics/{topic}", "/healthz", "/readyz"):
        get, head = client.get(path), client.request("HEAD", path)
        assert (head.status_code, head.content) == (get.status_code, b"")
        assert head.headers["Content-Type"] == get.headers["Content-Type"]
    head = client.request("HEAD", "/topics/absent")
    assert (head.status_code, head.content) == (404, b"")


def test_head_leaves_the_connection_in_step(gateway, topic):
    with raw.Connection(gateway) as connection:
        for _ in range(3):
            connection.send(request(f"HEAD /topics/{topic}"))
            assert connection.receive("HEAD").status == 200
            connection.send(request(f"GET /topics/{topic}"))
            assert connection.receive().json()["name"] == topic


def test_a_path_may_be_percent_encoded_where_it_need_not(client, topic):
    assert client.get("/%74opics").status_code == 200
    encoded = "".join(f"%{byte:02x}" for byte in topic.encode())
    assert client.info(encoded)["name"] == topic


@pytest.mark.parametrize("path", ["/topics/%", "/topics/%4", "/topics/%zz", "/topics/%00", "/topics/%ff", "/topics/a%0d%0ab"])
def test_broken_or_strange_escapes_in_the_path_do_no_harm(gateway, path):
    answer = raw.exchange(gateway, request(f"GET {path}", "Connection: close"))
    assert answer.status in (400, 404)
    assert answer.json()["error"]["code"] in ("invalid_request", "topic_not_found", "not_found")


def test_the_welcome_page_says_what_this_is(client):
    answer = client.get("/")
    assert answer.status_code == 200
    assert "tidegate" in answer.text.lower()


# ---- CORS ----

def test_answers_and_errors_carry_cors_headers(client, topic):
    for answer in (client.get("/topics"), client.produce(topic, [{"value": "v"}]), client.get("/topics/absent"),
                   client.get("/nothing"), client.request("PUT", "/topics")):
        assert answer.headers["Access-Control-Allow-Origin"] == "*"


BROWSER_HEADERS = {"authorization", "content-type", "idempotency-key", "last-event-id", "producer-epoch", "producer-id",
                   "producer-seq", "x-api-key"}


@pytest.mark.parametrize("path", ["/topics", "/topics/t", "/topics/t/produce", "/topics/t/stream"])
def test_preflight_requests_are_answered_without_a_key(client, path):
    answer = client.request("OPTIONS", path, headers={
        "Origin": "https://app.example", "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": ",".join(sorted(BROWSER_HEADERS))})
    assert answer.status_code == 204
    assert answer.content == b""
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    methods = {each.strip() for each in answer.headers["Access-Control-Allow-Methods"].split(",")}
    assert methods & {"GET", "POST"}
    headers = {each.strip().lower() for each in answer.headers["Access-Control-Allow-Headers"].split(",")}
    assert headers >= BROWSER_HEADERS


def test_the_allowed_origin_is_a_setting(gateways):
    [some] = gateways(1, cors_origin="https://app.example")
    [none] = gateways(1, cors_origin="")
    assert some.client().get("/topics").headers["Access-Control-Allow-Origin"] == "https://app.example"
    assert "Access-Control-Allow-Origin" not in none.client().get("/topics").headers


# ---- bodies ----

def test_a_body_too_large_by_its_length_is_refused_before_it_is_sent(gateway, topic):
    with raw.Connection(gateway) as connection:
        connection.send(request(f"POST /topics/{topic}/produce", "Content-Type: application/json",
                                f"Content-Length: {(2 << 20) + 1}"))
        refused(connection.receive(), 413, "payload_too_large")


def test_the_default_limit_is_64_mib(fresh_database, fleet):
    gateway = fleet.start(fresh_database)
    with raw.Connection(gateway) as connection:
        connection.send(request("POST /topics", "Content-Type: application/json", f"Content-Length: {(64 << 20) + 1}"))
        refused(connection.receive(), 413, "payload_too_large")
    with raw.Connection(gateway) as connection:
        connection.send(request("POST /topics", "Content-Type: application/json", f"Content-Length: {64 << 20}",
                                "Expect: 100-continue"))
        assert connection._line().split(" ")[1] == "100"


@pytest.mark.parametrize("length", ["18446744073709551615", "18446744073709551616", "9" * 40])
def test_absurd_lengths_are_refused(gateway, topic, length):
    with raw.Connection(gateway) as connection:
        connection.send(request(f"POST /topics/{topic}/produce", "Content-Type: application/json", f"Content-Length: {length}"))
        assert connection.receive().status in (400, 413)
    assert still_serves(gateway)


@pytest.mark.parametrize("length", ["-1", "abc", "1 2", "0x10"])
def test_lengths_that_are_no_numbers_are_refused(gateway, topic, length):
    with raw.Connection(gateway) as connection:
        connection.send(request(f"POST /topics/{topic}/produce", "Content-Type: application/json", f"Content-Length: {length}"))
        assert connection.receive().status == 400
    assert still_serves(gateway)


def test_a_chunked_body_too_large_is_refused_while_it_comes(gateway, client, topic):
    with raw.Connection(gateway) as connection:
        connection.send(request(f"POST /topics/{topic}/produce", "Content-Type: application/json", "Transfer-Encoding: chunked"))
        connection.send_until_refused(b'1b\r\n{"messages":[{"value":"a"}]\r\n')
        blanks = b"10000\r\n" + b" " * 65536 + b"\r\n"
        for _ in range(64):  # twice the limit, and never an end
            if not connection.send_until_refused(blanks):
                break
        refused(connection.receive(), 413, "payload_too_large")
    assert client.ends(topic) == [0]


def test_a_body_of_exactly_the_limit_is_read(client, topic):
    body = b'{"messages":[{"value":"a"}]'
    body += b" " * ((2 << 20) - len(body) - 1) + b"}"
    headers = {"Content-Type": "application/json"}
    ok(client.post(f"/topics/{topic}/produce", data=body, headers=headers))
    ok(client.post(f"/topics/{topic}/produce", data=iter([body]), headers=headers))
    refused(client.post(f"/topics/{topic}/produce", data=body + b" ", headers=headers), 413, "payload_too_large")
    refused(client.post(f"/topics/{topic}/produce", data=iter([body + b" "]), headers=headers), 413, "payload_too_large")
    assert client.ends(topic) == [2]


def test_a_chunked_body_in_single_bytes_is_read(gateway, client, topic):
    body = json.dumps({"messages": [{"value": "slow but sure"}]})
    with raw.Connection(gateway) as connection:
        connection.send(request(f"POST /topics/{topic}/produce", "Content-Type: application/json", "Transfer-Encoding: chunked"))
        for byte in body:
            connection.send(f"1;ext=1\r\n{byte}\r\n")
        connection.send("0\r\nTrailer: x\r\n\r\n")
        assert connection.receive().json() == {"results": [{"partition": 0, "offset": 0}]}


@pytest.mark.parametrize("bad", ["zz\r\nabc", "-1\r\n", "ffffffffffffffffffff\r\n", "5\r\nabcdefgh\r\n"])
def test_broken_chunks_are_refused_and_nothing_is_stored(gateway, client, topic, bad):
    with raw.Connection(gateway) as connection:
        connection.send(request(f"POST /topics/{topic}/produce", "Content-Type: application/json", "Transfer-Encoding: chunked"))
        connection.send('1b\r\n{"messages":[{"value":"a"}]\r\n')
        connection.send_until_refused(bad)
        try:
            assert connection.receive().status in (400, 413)
        except EOFError:
            pass  # cutting the connection is an answer too
    assert client.ends(topic) == [0]
    assert still_serves(gateway)


def test_a_request_cut_in_the_middle_of_its_body_stores_nothing(gateway, client, topic):
    body = '{"messages":[{"value":"a"}]}'
    for cut in (0, 1, len(body) - 1):
        with raw.Connection(gateway) as connection:
            connection.send(request(f"POST /topics/{topic}/produce", "Content-Type: application/json",
                                    f"Content-Length: {len(body)}", body=body[:cut]))
    for cut in range(1, 60, 7):
        with raw.Connection(gateway) as connection:
            connection.send(request(f"POST /topics/{topic}/produce", "Content-Type: application/json")[:cut])
    assert client.ends(topic) == [0]


def test_expect_100_continue_is_answered(gateway, topic):
    body = '{"messages":[{"value":"a"}]}'
    with raw.Connection(gateway) as connection:
        connection.send(request(f"POST /topics/{topic}/produce", "Content-Type: application/json", "Expect: 100-continue",
                                f"Content-Length: {len(body)}"))
        assert connection._line() == "HTTP/1.1 100 Continue"
        while connection._line():
            pass
        connection.send(body)
        assert connection.receive().status == 200


# ---- headers ----

def test_headers_over_the_limit_are_431(gateway):
    answer = raw.exchange(gateway, request("GET /topics", "X-Long: " + "x" * 20_000, "Connection: close"))
    assert answer.status == 431
    assert answer.json()["error"]["code"] == "headers_too_large"


def test_many_small_headers_over_the_limit_are_431(gateway):
    many = [f"X-{i}: {'y' * 20}" for i in range(1000)]
    answer = raw.exchange(gateway, request("GET /topics", *many, "Connection: close"))
    assert answer.status == 431


def test_an_address_over_the_limit_is_refused(gateway):
    answer = raw.exchange(gateway, request("GET /topics?x=" + "y" * 20_000, "Connection: close"))
    assert answer.status in (414, 431)


def test_headers_within_the_limit_are_fine(gateway):
    answer = raw.exchange(gateway, request("GET /topics", "X-Long: " + "x" * 8000, *[f"X-{i}: y" for i in range(100)],
                                           "Connection: close"))
    assert answer.status == 200


@pytest.mark.parametrize("garbage", [
    b"\x00\x01\x02\x03\r\n\r\n", b"GET\r\n\r\n", b"GET /topics\r\n\r\n", b"GET /topics HTTP/9.9\r\nHost: x\r\n\r\n",
    b"GET /topics HTTP/1.1\r\nHost\r\n\r\n", b"\r\n" * 100, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET /topics HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde",
    b"GET /topics HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n", b"GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\xff" * 5000, b"POST /topics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: nonsense\r\n\r\n",
], ids=range(12))
def test_garbage_on_the_wire_never_hurts(gateway, garbage):
    with raw.Connection(gateway) as connection:
        connection.send_until_refused(garbage)
        with contextlib.suppress(OSError):  # it has been reset already
            connection.socket.shutdown(socket.SHUT_WR)
        assert connection.eof(), "the connection was left open"
    assert still_serves(gateway)


def test_a_length_and_chunks_at_once_are_not_taken_for_two_requests(gateway, client, topic):
    """Request smuggling: whatever is answered, the bytes behind must not become a request of their own."""
    smuggled = request(f"DELETE /topics/{topic}")
    with raw.Connection(gateway) as connection:
        connection.send_until_refused(request("POST /topics", "Content-Type: application/json", "Content-Length: 5",
                                              "Transfer-Encoding: chunked", body="0\r\n\r\n" + smuggled))
        try:
            status = connection.receive().status
        except EOFError:
            status = 400
        assert 400 <= status < 500
    with raw.Connection(gateway) as connection:
        connection.send_until_refused(request("POST /topics", "Content-Type: application/json", "Content-Length: 5",
                                              "Content-Length: 6", body="abcde" + smuggled))
        try:
            assert 400 <= connection.receive().status < 500
        except EOFError:
            pass
    assert client.get(f"/topics/{topic}").status_code == 200


def test_request_ids_are_echoed_when_sane_and_made_when_not(client):
    assert client.get("/topics", headers={"X-Request-Id": "abc-123"}).headers["X-Request-Id"] == "abc-123"
    made = {client.get("/topics").headers["X-Request-Id"] for _ in range(3)}
    assert len(made) == 3
    for odd in ("x" * 1000, "with blanks", b"\xff\xfe"):
        assert client.get("/topics", headers={"X-Request-Id": odd}).headers["X-Request-Id"].encode("latin-1") != \
            (odd if isinstance(odd, bytes) else odd.encode())


# ---- connections ----

def test_a_connection_serves_one_request_after_the_other(gateway, topic):
    body = '{"messages":[{"value":"a"}]}'
    with raw.Connection(gateway) as connection:
        for i in range(20):
            connection.send(request(f"POST /topics/{topic}/produce", "Content-Type: application/json",
                                    f"Content-Length: {len(body)}", body=body))
            assert connection.receive().json()["results"] == [{"partition": 0, "offset": i}]
        # … also after errors, whose bodies were not asked for.
        for path, status in (("/nothing", 404), ("/topics/absent/produce", 404), (f"/topics/{topic}/commit", 400)):
            connection.send(request(f"POST {path}", "Content-Type: application/json", f"Content-Length: {len(body)}", body=body))
            assert connection.receive().status == status


def test_pipelined_requests_are_answered_in_order(gateway, topic):
    body = '{"messages":[{"value":"a"}]}'
    one = request(f"POST /topics/{topic}/produce", "Content-Type: application/json", f"Content-Length: {len(body)}", body=body)
    with raw.Connection(gateway) as connection:
        connection.send(one * 10)
        assert [connection.receive().json()["results"][0]["offset"] for _ in range(10)] == list(range(10))


def test_connection_close_is_obeyed(gateway):
    with raw.Connection(gateway) as connection:
        connection.send(request("GET /healthz", "Connection: close"))
        answer = connection.receive()
        assert answer.status == 200
        assert answer.headers["Connection"].lower() == "close"
        assert connection.eof()


def test_http_1_0_is_answered_and_closed(gateway):
    with raw.Connection(gateway) as connection:
        connection.send("GET /healthz HTTP/1.0\r\n\r\n")
        assert connection._line().split(" ")[1] == "200"
        assert connection.eof()


def test_an_idle_connection_is_closed_after_its_time(impatient):
    with raw.Connection(impatient) as connection:
        connection.send(request("GET /healthz"))
        connection.receive()
        assert connection.eof()


def test_a_request_that_came_in_time_is_answered_by_a_worker_that_stood_still(gateways):
    """For longer than a connection may be idle; several, since its threads wake up in any order."""
    [gateway] = gateways(1, header_timeout_ms=5000, idle_timeout_ms=5000)
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(raw.Connection(gateway)) for _ in range(20)]
        for connection in connections:
            connection.send(request("GET /healthz"))
            assert connection.receive().status == 200
        time.sleep(0.5)  # their idleness has been seen
        gateway.signal(signal.SIGSTOP)
        for connection in connections:
            connection.send(request("GET /healthz"))
        time.sleep(5)
        gateway.signal(signal.SIGCONT)
        for connection in connections:
            assert connection.receive().status == 200


def test_a_connection_that_says_nothing_is_closed(impatient):
    with raw.Connection(impatient) as connection:
        assert connection.eof()


def test_headers_that_drip_are_cut_off(impatient):
    """One byte now and then keeps nothing alive: the time runs from the first byte to the end of the headers."""
    with raw.Connection(impatient) as connection:
        begun = time.monotonic()
        data = request("GET /healthz", *[f"X-Drip-{i}: y" for i in range(500)])
        for byte in data:
            if not connection.send_until_refused(byte) or connection.eof(0.05):
                break
            assert time.monotonic() - begun < wait.DEADLINE_S, "the drip went on"
        else:
            pytest.fail("the drip came to its end")


def test_a_body_that_stalls_is_cut_off(impatient, client, topic):
    with raw.Connection(impatient) as connection:
        connection.send(request(f"POST /topics/{topic}/produce", "Content-Type: application/json", "Content-Length: 1000",
                                body='{"messages":'))
        assert connection.eof()
    assert client.ends(topic) == [0]


def test_a_long_poll_outlives_the_timeouts_of_slow_clients(impatient, topic):
    """The client is not slow when it is the server that waits."""
    with impatient.client() as client:
        assert client.take(topic, offset=0, wait_ms=4000) == []


def test_many_slow_clients_hold_up_nobody(gateway, client, topic):
    slow = [raw.Connection(gateway) for _ in range(200)]
    try:
        for connection in slow:
            connection.send("POST /topics HTTP/1.1\r\nHost: x\r\nX-Slow")
        for i in range(20):
            assert client.put(topic, [{"value": "v"}]) == [(0, i)]
    finally:
        for connection in slow:
            connection.close()


def test_too_many_connections_are_turned_away_and_others_live_on(gateways):
    [gateway] = gateways(1, max_connections=16, idle_timeout_ms=60_000)
    with raw.Connection(gateway) as first:
        first.send(request("GET /healthz"))
        assert first.receive().status == 200
        others = [raw.Connection(gateway) for _ in range(40)]
        try:
            first.send(request("GET /healthz"))
            assert first.receive().status == 200
        finally:
            for connection in others:
                connection.close()
    gateway.wait_ready()  # places are free again


def test_security_headers_are_on_every_answer(client, topic):
    for answer in (client.get("/topics"), client.get("/nothing"), client.consume(topic, offset=0)):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_gzip_file_is_not_read_unless_announced(client, topic):
    packed = gzip.compress(b'{"messages":[{"value":"a"}]}')
    refused(client.post(f"/topics/{topic}/produce", data=packed, headers={"Content-Type": "application/json"}),
            400, "invalid_request")


def test_clients_that_close_in_the_middle_of_a_request_are_let_go(fresh_database, fleet, name):
    gateway = fleet.start(fresh_database)
    with gateway.client() as client:
        client.make(name)
    body = b'{"messages":[{"value":"' + b"x" * 5000 + b'"}]}'
    head = (f"POST /topics/{name}/produce HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode()
    for pieces in ((head, body[:1000]), (head[:50], head[50:] + body[:10]), (head[:50],)):
        for is_kept in (False, True):
            with raw.Connection(gateway) as connection:
                if is_kept:
                    connection.send(head + body)
                    assert connection.receive().status == 200
                for piece in pieces:
                    connection.send(piece)
    # Long before body_timeout_ms is over.
    with gateway.client() as client:
        wait.until(lambda: client.metric("tidegate_http_connections") == 1, "their connections are gone",
                   deadline_s=10 * wait.SLOWNESS)
