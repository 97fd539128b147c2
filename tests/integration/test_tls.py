"""TLS in the worker (docs/operations.md, "TLS in the worker"): the same answers as without, whatever a client does."""

import contextlib
import json
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest

from harness import http2, raw, tls, wait
from harness.client import Client, ok, values
from harness.gateway import run
from harness.httpmq import Mq, done
from harness.live import SSE, Stream
from harness.watch import Socket

pytestmark = pytest.mark.http1("which version is spoken is what these tests are about")

TIMEOUT_MS = int(3000 * wait.SLOWNESS)
SETTINGS = {"tls_listen": "127.0.0.1:0", "stream_heartbeat_ms": 1000}
SMALL = 128 << 10
MUCH = 15
HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"  # of a handshake that does not go on
REFUSED = 'tidegate_http_refused_total{reason="malformed"}'


@pytest.fixture(scope="module")
def listener(gateway, certificate):
    return tls.Listener(gateway, certificate)


@pytest.fixture
def hasty(gateways, certificate):
    """A listener whose timeouts a test waits out: the others would be cut by them when they stand still for a while."""
    [gateway] = gateways(1, header_timeout_ms=TIMEOUT_MS, body_timeout_ms=TIMEOUT_MS, **certificate.settings)
    return tls.Listener(gateway, certificate)


@pytest.fixture
def client(listener):
    with listener.client() as made:
        yield made


def padded(number, size):
    return f"{number:08}" + "x" * size


def curl(listener, *arguments):
    done = subprocess.run(["curl", "-sS", "--max-time", "20", "--cacert", listener.certificate.path, *arguments],
                          capture_output=True, check=True)
    return done.stdout.decode()


def server_hello(listener, **limits):
    """The version and the cipher that a client with these limits gets."""
    context = listener.context()
    for name, value in limits.items():
        setattr(context, name, value)
    with socket.create_connection((listener.host, listener.port), wait.DEADLINE_S) as plain, \
            context.wrap_socket(plain, server_hostname=listener.host) as secure:
        return secure.version(), secure.cipher()[0]


def without_connections(listener):
    """But the one that a fixture may have kept, and the one that asks."""
    wait.until(lambda: listener.metric("tidegate_tls_connections") <= 1, "the connections with TLS are gone")
    wait.until(lambda: listener.metric("tidegate_http_connections") <= 2, "and none of them is counted")


# ---- what is agreed upon ----

@pytest.mark.parametrize("flag, version", [("--http2", "2"), ("--http1.1", "1.1"), ("--no-alpn", "1.1")])
def test_curl_speaks_the_version_that_is_agreed_upon(listener, topic, flag, version):
    text = curl(listener, flag, "-w", "\n%{http_version} %{http_code}", "--json", '{"messages":[{"value":"x"}]}',
                f"{listener.url}/topics/{topic}/produce")
    body, status = text.rsplit("\n", 1)
    assert status == f"{version} 200"
    assert json.loads(body)["results"][0]["partition"] == 0


def test_without_alpn_the_first_bytes_tell(listener, topic):
    with http2.Connection(listener, tls=listener.context()) as connection:
        assert connection.answer(connection.ask("GET", f"/topics/{topic}"))[0] == 200
    with raw.Connection(listener, tls=listener.context()) as connection:
        connection.send("GET")  # a record for each piece
        connection.send(f" /topics/{topic} HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.receive().status == 200


def test_a_client_without_a_protocol_of_ours_is_told_so(listener):
    with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
        raw.Connection(listener, tls=listener.context("spdy/3"))


def test_versions_and_ciphers(listener):
    assert server_hello(listener)[0] == "TLSv1.3"
    version, cipher = server_hello(listener, maximum_version=ssl.TLSVersion.TLSv1_2)
    assert version == "TLSv1.2" and cipher.startswith("ECDHE") and ("GCM" in cipher or "CHACHA20" in cipher)
    with pytest.warns(DeprecationWarning), pytest.raises(ssl.SSLError):
        server_hello(listener, minimum_version=ssl.TLSVersion.TLSv1, maximum_version=ssl.TLSVersion.TLSv1_1)


@pytest.mark.parametrize("said", [b"GET /topics HTTP/1.1\r\nHost: x\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"])
def test_who_does_not_speak_tls_is_told_to(listener, said):
    with raw.Connection(listener) as connection:
        connection.send(said)
        answer = connection.receive()
        assert answer.status == 400 and "https" in answer.json()["error"]["message"]
        assert connection.eof()


def test_who_speaks_tls_to_a_plain_port_is_told_not_to(gateway):
    malformed = gateway.metric(REFUSED)
    with raw.Connection(gateway) as connection:
        connection.send(HELLO)
        answer = connection.receive()
        assert answer.status == 400 and "use http" in answer.json()["error"]["message"]
        assert connection.eof()
    for _ in range(20):  # no handshake looks like the one before; none may be cut without the answer
        with pytest.raises(ssl.SSLError, match="(?i)wrong.version.number"):
            raw.Connection(gateway, tls=ssl.create_default_context())
    assert gateway.metric(REFUSED) == malformed + 21


def test_absolute_urls_say_https(listener, client, name):
    answer = client.request("PUT", f"/v1/stream/{name}", headers={"Content-Type": "text/plain"})
    assert answer.headers["Location"] == f"{listener.url}/v1/stream/{name}"


# ---- the same as without ----

def test_events_arrive_live(client, topic):
    with Stream(client, f"/topics/{topic}/stream?offset=earliest") as live:
        for number in range(5):
            client.put(topic, [{"value": str(number)}])
            assert values(live.take(1)) == [str(number)]
        wait.until(lambda: len(live.comments) >= 2, "heartbeats come")


def test_events_arrive_live_over_http2(listener, client, topic):
    with listener.http2() as multiplexed:
        with multiplexed.stream("GET", f"/topics/{topic}/stream?offset=earliest", headers={"Accept": SSE},
                                timeout=wait.DEADLINE_S) as answer:
            assert answer.http_version == "HTTP/2" and answer.status_code == 200
            lines = answer.iter_lines()
            for number in range(5):
                ok(multiplexed.post(f"/topics/{topic}/produce", json={"messages": [{"value": str(number)}]}))
                data = next(line for line in lines if line.startswith("data:") and '"value"' in line)
                assert json.loads(data[5:])["value"] == str(number)


def test_a_websocket(client, name):
    with Socket(client) as ws:
        assert ws.do("publish", topic=name, records=[{"data": {"n": 1}}])["op"] == "ack"
        assert ws.do("subscribe", topic=name)["op"] == "subscribed"
        assert [record["data"] for record in ws.records(1)] == [{"n": 1}]
        assert ws.do("publish", topic=name, records=[{"data": "x" * 500_000}])["op"] == "ack"
        assert [len(record["data"]) for record in ws.records(1)] == [500_000]


@pytest.mark.parametrize("version", ["1.1", "2"])
def test_large_bodies_in_both_directions(listener, topic, version):
    """40 MB up and 40 MB down, through buffers of a few hundred KB."""
    count, size = 40, 1_000_000
    with listener.http2() if version == "2" else listener.client() as client:
        body = {"messages": [{"value": padded(i, size)} for i in range(count)]}
        answer = client.post(f"/topics/{topic}/produce", json=body, timeout=wait.DEADLINE_S)
        assert [r["offset"] for r in ok(answer)["results"]] == list(range(count))
        got = []
        while len(got) < count:
            page = {"partition": 0, "offset": len(got), "max_messages": 1000, "max_bytes": 16 << 20}
            got += ok(client.post(f"/topics/{topic}/consume", json=page, timeout=wait.DEADLINE_S))["messages"]
    assert values(got) == [padded(i, size) for i in range(count)]


def test_a_slow_reader_of_events_holds_up_nobody_and_loses_nothing(gateway, client, topic):
    count = 240
    slow = Stream(client, f"/topics/{topic}/stream?offset=earliest", receive_buffer=SMALL, paused=True)
    with slow, Stream(client, f"/topics/{topic}/stream?offset=earliest") as quick:
        with gateway.grows_at_most(64 << 20):
            for start in range(0, count, 20):
                client.put(topic, [{"value": padded(i, 100_000)} for i in range(start, start + 20)])
            assert [int(m["value"][:8]) for m in quick.take(count, 60 * wait.SLOWNESS)] == list(range(count))
        slow.resume()
        assert [int(m["value"][:8]) for m in slow.take(count, 60 * wait.SLOWNESS)] == list(range(count))


@pytest.fixture
def much(client, topic):
    """A request for MUCH messages of a MB, which is more than all buffers hold."""
    client.put(topic, [{"value": padded(i, 1_000_000)} for i in range(MUCH)])
    body = json.dumps({"partition": 0, "offset": 0, "max_messages": 100, "max_bytes": 16 << 20})
    return (f"POST /topics/{topic}/consume HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}")


def test_a_reply_that_nobody_takes_is_cut(hasty, much):
    slow_before = hasty.metric('tidegate_http_refused_total{reason="slow"}')
    with raw.Connection(hasty, receive_buffer=SMALL, tls=hasty.context()) as connection:
        connection.send(much)
        wait.until(lambda: hasty.metric('tidegate_http_refused_total{reason="slow"}') > slow_before, "it was cut")
        with contextlib.suppress(ssl.SSLError, OSError, EOFError):
            while True:
                connection._more()
        assert len(connection.pending) < MUCH * 1_000_000
    without_connections(hasty)


@pytest.mark.slow
def test_a_reply_that_is_taken_slowly_is_not(hasty, much):
    """It takes several times body_timeout_ms, but never that long without a byte."""
    with raw.Connection(hasty, receive_buffer=SMALL, tls=hasty.context()) as connection:
        connection.send(much)
        end = time.monotonic() + 3 * TIMEOUT_MS / 1000
        while time.monotonic() < end:
            connection.pending += connection.socket.recv(32 << 10)
            time.sleep(0.05)
        assert len(connection.receive().json()["messages"]) == MUCH


# ---- ends ----

def test_the_end_of_a_connection_is_said_in_tls(listener):
    """Without close_notify, a client that checks for it would call the reply cut."""
    with raw.Connection(listener, tls=listener.context()) as connection:
        connection.send("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert connection.receive().status == 200
        assert connection.socket.recv(1) == b""


def test_a_client_that_sends_no_more_gets_its_answer(listener, topic):
    with raw.Connection(listener, tls=listener.context()) as connection:
        connection.send(f"GET /topics/{topic} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        with socket.socket(fileno=socket.dup(connection.socket.fileno())) as below:
            below.shutdown(socket.SHUT_WR)
        assert connection.receive().status == 200
        assert connection.eof()


def test_a_reader_that_goes_away_is_forgotten(listener, client, topic):
    lives = [Stream(client, f"/topics/{topic}/stream") for _ in range(20)]
    wait.until(lambda: listener.metric("tidegate_http_streams") == 20, "they are open, and those of the tests before are gone")
    for live in lives:
        live.close()
    wait.until(lambda: listener.metric("tidegate_http_streams") == 0, "the streams are closed")
    without_connections(listener)


def test_a_subscriber_that_is_reset_gives_back_what_it_did_not_read(listener):
    """The message had left the worker: the next subscriber gets it at once all the same, not after ack_wait."""
    name = "letters"
    with Mq(listener.url, verify=str(listener.certificate.path)) as mq:
        done(mq.make_stream(name))
        done(mq.make_consumer(name, "c", max_inflight=5))
        with raw.Connection(listener, tls=listener.context()) as peer:
            peer.send(f"GET /v1/data/stream/{name}/consumer/c?subject_name={name} HTTP/1.1\r\nHost: x\r\n\r\n")
            assert peer._line() == "HTTP/1.1 200 OK"
            mq.send(name, b"1", b"2")
            wait.until(lambda: mq.standing(name, "c")[0] == (2, 2), "both were sent")
        with mq.subscribe(name, "c", name) as lines:
            assert lines.deliver(2) == [(1, 1, b"1"), (2, 2, b"2")]


def test_a_refused_body_does_not_hide_the_refusal(listener, topic):
    """The answer comes while the client still sends; it can be read although the connection ends."""
    with raw.Connection(listener, tls=listener.context()) as connection:
        connection.send(f"POST /topics/{topic}/produce HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                        f"Content-Length: {1 << 30}\r\n\r\n")
        connection.send_until_refused(b"x" * (2 << 20))
        assert connection.receive().status == 413
        assert connection.eof()


def test_a_stop_answers_what_was_asked_and_ends_streams(fresh_database, fleet, certificate, name):
    gateway = fleet.start(fresh_database, tls_listen="127.0.0.1:0", **certificate.settings)
    listener = tls.Listener(gateway, certificate)
    with listener.client() as client:
        client.make(name)
        client.put(name, [{"value": "one"}])
        answers = []
        poll = threading.Thread(target=lambda: answers.append(client.consume(name, partition=0, offset=1, wait_ms=60_000)))
        poll.start()
        live = Stream(client, f"/topics/{name}/stream?offset=earliest")
        assert values(live.take(1)) == ["one"]
        wait.until(lambda: gateway.metric("tidegate_waiting_reads") == 1, "the poll waits")
        idle = raw.Connection(listener, tls=listener.context())
        gateway.signal(signal.SIGTERM)
        assert live.wait_end() is True
        poll.join(wait.DEADLINE_S)
        assert [answer.status_code for answer in answers] in ([200], [503])
        assert gateway.wait_exit() == 0
        idle.close()
        live.close()


# ---- clients that misbehave ----

def test_handshakes_that_go_nowhere_cost_nobody_anything(hasty, topic):
    """Hundreds that stop in the middle, or never were one: others are served, and all of it is gone in the end."""
    with hasty.client() as first:
        first.put(topic, [{"value": "served"}])
    before = hasty.gateway.open_files()
    failed_before = hasty.metric('tidegate_tls_handshakes_total{result="failed"}')
    late_before = hasty.metric('tidegate_tls_handshakes_total{result="late"}')
    with contextlib.ExitStack() as open_sockets:
        for number in range(600):
            made = open_sockets.enter_context(socket.create_connection((hasty.host, hasty.port)))
            made.sendall((HELLO, b"\x16\x03\x01\x00\x05hello", b"\x16", b"")[number % 4])
        for _ in range(5):
            with hasty.client() as fresh:
                fresh.put(topic, [{"value": "served"}])
        wait.until(lambda: hasty.metric('tidegate_tls_handshakes_total{result="failed"}') >= failed_before + 150, "failures")
        wait.until(lambda: hasty.metric('tidegate_tls_handshakes_total{result="late"}') >= late_before + 150, "deadlines")
        wait.until(lambda: hasty.gateway.open_files() <= before + 5, "the server has closed all of them")
    without_connections(hasty)


def test_a_connection_without_a_request_is_closed_in_time(hasty):
    with raw.Connection(hasty, tls=hasty.context()) as silent:
        assert silent.eof()
    with raw.Connection(hasty, tls=hasty.context()) as begun:
        begun.send("GET /healthz HTT")
        assert begun.eof()


def test_garbage_after_the_handshake_ends_that_connection_alone(listener, client, topic):
    with raw.Connection(listener, tls=listener.context()) as connection:
        with socket.socket(fileno=socket.dup(connection.socket.fileno())) as below:
            below.sendall(b"\x17\x03\x03\x00\x20" + b"x" * 32)
        with pytest.raises((ssl.SSLError, EOFError)):
            connection.receive()
    client.put(topic, [{"value": "served"}])


def test_more_connections_than_allowed(fresh_database, fleet, certificate):
    gateway = fleet.start(fresh_database, tls_listen="127.0.0.1:0", max_connections=16, **certificate.settings)
    listener = tls.Listener(gateway, certificate)
    with contextlib.ExitStack() as stack:
        asking = stack.enter_context(gateway.client())  # one of them
        wait.until(lambda: asking.metric("tidegate_http_connections") == 1, "the one that asked for readiness is gone")
        for _ in range(15):
            made = stack.enter_context(raw.Connection(listener, tls=listener.context()))
            made.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert made.receive().status == 200
        with pytest.raises((ssl.SSLError, OSError)):
            raw.Connection(listener, tls=listener.context())
    with listener.client() as client:
        wait.until(lambda: client.is_ready(), "there is room again")


@pytest.mark.tsan
def test_many_clients_of_all_kinds_at_a_time(listener, client, topic):
    """Each in a loop of its own: kept and new connections, both versions, streams that come and go."""
    failures, counts = [], []
    rounds = 20

    def produce(make):
        try:
            with make() as mine:
                for number in range(rounds):
                    ok(mine.post(f"/topics/{topic}/produce", json={"messages": [{"value": str(number)}]}, timeout=wait.DEADLINE_S))
                    counts.append(1)
        except Exception as error:  # noqa: BLE001 - whatever it is, it fails the test
            failures.append(error)

    def come_and_go():
        try:
            for _ in range(rounds // 4):
                with listener.client() as mine, Stream(mine, f"/topics/{topic}/stream?offset=earliest") as live:
                    live.take(1)
        except Exception as error:  # noqa: BLE001
            failures.append(error)

    client.put(topic, [{"value": "first"}])
    threads = [threading.Thread(target=produce, args=(make,)) for make in [listener.client] * 6 + [listener.http2] * 6]
    threads += [threading.Thread(target=come_and_go) for _ in range(6)]
    with Stream(client, f"/topics/{topic}/stream?offset=earliest") as watcher:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60 * wait.SLOWNESS)
        assert not failures
        seen = watcher.take(1 + 12 * rounds, 60 * wait.SLOWNESS)
    assert [m["offset"] for m in seen] == list(range(1 + 12 * rounds)) and len(counts) == 12 * rounds


# ---- certificates ----

@pytest.mark.tsan
def test_a_new_certificate_is_taken_up_without_a_restart(gateway, listener, certificate, client, topic):
    first = listener.serial()
    assert first == certificate.serial
    with Stream(client, f"/topics/{topic}/stream") as live:
        certificate.renew()
        wait.until(lambda: listener.serial() == certificate.serial != first, "new clients are shown the new one")
        with listener.client() as fresh:
            fresh.put(topic, [{"value": "still open"}])
        assert values(live.take(1)) == ["still open"]
    # It is in force before that is noted anywhere.
    wait.until(lambda: "the certificate was read again" in gateway.log_text(), "it is told")
    assert listener.metric("tidegate_tls_certificate_expiry_timestamp_seconds") > time.time() + 20 * 24 * 3600


def test_a_bad_pair_leaves_the_one_before_in_force(gateway, listener, certificate):
    refused_before = listener.metric('tidegate_tls_certificate_reads_total{result="refused"}')
    other, key_of_other = certificate.make()
    certificate.write_certificate(other)
    wait.until(lambda: listener.metric('tidegate_tls_certificate_reads_total{result="refused"}') > refused_before, "it is refused")
    assert listener.serial() == certificate.serial
    wait.until(lambda: "does not belong to the certificate" in gateway.log_text(), "it is told why")
    certificate.key_path.unlink()
    wait.until(lambda: "cannot read" in gateway.log_text(), "the missing file is reported")
    assert listener.serial() == certificate.serial
    certificate.write_key(key_of_other)
    wait.until(lambda: listener.serial() == other.serial_number, "the complete pair is taken up")
    certificate.serial = other.serial_number
    assert "PRIVATE" not in gateway.log_text()


def spoil(certificate, how):
    if how == "missing":
        certificate.path.unlink()
    elif how == "no certificate":
        certificate.path.write_text("not in PEM\n")
    elif how == "no key":
        certificate.key_path.write_text("not in PEM\n")
    elif how == "other key":
        certificate.write_key(certificate.make()[1])
    else:
        certificate.write_key(certificate.make()[1], b"a passphrase")


@pytest.mark.parametrize("how, says", [
    ("missing", "tls_certificate_file: cannot read"),
    ("no certificate", "does not begin with a usable certificate in PEM"),
    ("no key", "has no private key in PEM"),
    ("other key", "does not belong to the certificate"),
    ("passphrase", "without a passphrase"),
])
def test_a_worker_does_not_start_with_files_that_it_cannot_use(database, tmp_path, how, says):
    certificate = tls.Certificate(tmp_path)
    spoil(certificate, how)
    done = run("serve", database=database, check=False, listen="127.0.0.1:0", tls_listen="127.0.0.1:0", **certificate.settings)
    assert done.returncode == 1 and says in done.stderr and "tls_" in done.stderr, done.stderr


@pytest.mark.parametrize("settings, says", [
    ({"tls_listen": "127.0.0.1:0"}, "tls_listen needs tls_certificate_file and tls_key_file"),
    ({"tls_certificate_file": "a", "tls_key_file": "b"}, "no address would have TLS"),
    ({"listen": ""}, "nothing to serve on"),
    ({"tls_listen": "0.0.0.0:0", "tls_certificate_file": "a", "tls_key_file": "b"}, "no credential would be asked for"),
])
def test_settings_that_do_not_fit_together(database, settings, says):
    done = run("serve", database=database, check=False, **{"listen": "127.0.0.1:0", **settings})
    assert done.returncode == 1 and says in done.stderr, done.stderr


def test_a_worker_with_nothing_but_tls(fresh_database, fleet, certificate):
    gateway = fleet.new(fresh_database, listen="", tls_listen="127.0.0.1:0", **certificate.settings)
    gateway.start(ready=False)
    with tls.Listener(gateway, certificate).client() as client:
        wait.until(lambda: client.is_ready(), "it is ready")
    with Client(gateway.url) as plain:
        assert plain.get("/healthz").status_code == 400
