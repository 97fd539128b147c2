"""Graceful stop: what was accepted is answered, streams end with a cursor, the exit code is 0."""

import signal
import socket
import threading
import time

import pytest
import requests

from harness import raw, wait
from harness.client import Client, ok, values
from harness.live import NDJSON, SSE, Stream
from harness.load import Load


class Hammer(threading.Thread):
    """Sends one request after the other on one kept connection until the server is gone, and remembers each outcome."""

    def __init__(self, gateway, topic):
        super().__init__(daemon=True)
        self.gateway, self.topic = gateway, topic
        self.acknowledged = []
        self.statuses = []
        self.cut = []  # what happened to the last request

    def run(self):
        number = 0
        with raw.Connection(self.gateway) as connection:
            while True:
                body = f'{{"messages":[{{"value":"{self.name}/{number}"}}]}}'
                data = (f"POST /topics/{self.topic}/produce HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                        f"Content-Length: {len(body)}\r\n\r\n{body}")
                if not connection.send_until_refused(data):
                    self.cut.append("sending")
                    return
                try:
                    answer = connection.receive()
                except EOFError:
                    self.cut.append("no byte" if not connection.pending else f"half an answer: {connection.pending!r}")
                    return
                self.statuses.append(answer.status)
                if answer.status == 200:
                    result = answer.json()["results"][0]
                    self.acknowledged.append((result["offset"], f"{self.name}/{number}"))
                if answer.headers.get("Connection", "").lower() == "close":
                    self.cut.append("told to close")
                    return
                number += 1


@pytest.mark.tsan
def test_sigterm_under_load_loses_no_acknowledged_message_and_cuts_no_answer(fresh_database, fleet, name):
    gateway = fleet.start(fresh_database)
    with gateway.client() as client:
        client.make(name)
    hammers = [Hammer(gateway, name) for _ in range(8)]
    for hammer in hammers:
        hammer.start()
    wait.until(lambda: all(len(h.acknowledged) > 20 for h in hammers), "the load runs")
    gateway.signal(signal.SIGTERM)
    assert gateway.wait_exit() == 0
    for hammer in hammers:
        hammer.join(wait.DEADLINE_S)
        assert not hammer.is_alive()
        assert set(hammer.statuses) <= {200, 503}
        assert not [c for c in hammer.cut if c.startswith("half")], hammer.cut
    with fleet.start(fresh_database).client() as client:
        stored = values(client.read_all(name))
    for hammer in hammers:
        for offset, text in hammer.acknowledged:
            assert stored[offset] == text


def test_requests_that_were_being_answered_are_answered(fresh_database, fleet, name):
    """The append waits for a lock that we hold: it is accepted, and under way, when the signal comes."""
    gateway = fleet.start(fresh_database, database_timeout_ms=20_000)
    with gateway.client() as client:
        client.make(name)
        client.put(name, [{"value": "before"}])
    answers = []
    with fresh_database.holding("LOCK TABLE tidegate.head IN ACCESS EXCLUSIVE MODE; SELECT 'locked'"):

        def produce(i):
            with Client(gateway.url) as mine:
                answers.append(mine.produce(name, [{"value": f"during-{i}"}]))
        threads = [threading.Thread(target=produce, args=(i,)) for i in range(5)]
        for t in threads:
            t.start()
        wait.until(fresh_database.awaits_lock, "an append waits for the lock")
        # A request that was not there yet would find the port closed.
        with gateway.client() as client:
            wait.until(lambda: client.metric("tidegate_http_requests_in_flight") >= 6, "all have arrived, and the one that asks")
        gateway.signal(signal.SIGTERM)
        time.sleep(0.2)  # let the signal arrive first; without this the test would prove less, but still hold
    for t in threads:
        t.join(wait.DEADLINE_S)
    assert gateway.wait_exit() == 0
    assert len(answers) == 5
    assert {a.status_code for a in answers} <= {200, 503}
    accepted = [a for a in answers if a.status_code == 200]
    assert accepted, [a.text for a in answers]
    with fleet.start(fresh_database).client() as client:
        stored = values(client.read_all(name))
    assert stored[0] == "before" and len(stored) == 1 + len(accepted)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["term", "int"])
def test_an_idle_gateway_stops_at_once(fresh_database, fleet, number):
    """An idle connection does not hold up the stop: it might take longer than we wait."""
    gateway = fleet.start(fresh_database, shutdown_timeout_ms=600_000)
    idle = raw.Connection(gateway)
    gateway.signal(number)
    assert gateway.wait_exit() == 0
    idle.close()


@pytest.mark.parametrize("accept", [SSE, NDJSON], ids=["sse", "ndjson"])
def test_streams_end_cleanly_with_a_cursor_to_go_on_from(fresh_database, fleet, name, accept):
    gateway = fleet.start(fresh_database)
    with gateway.client() as client:
        client.make(name, 2)
        client.put(name, [{"value": str(i), "partition": i % 2} for i in range(20)])
        lives = [Stream(client, f"/topics/{name}/stream?offset=earliest", accept=accept) for _ in range(5)]
        for live in lives:
            assert len(live.take(20)) == 20
        gateway.signal(signal.SIGTERM)
        ends = []
        for live in lives:
            ends.append(live.rest())
            assert live.wait_end() is True, "the stream was cut, not ended"
        assert gateway.wait_exit() == 0
    with fleet.start(fresh_database).client() as client:
        client.put(name, [{"value": "next", "partition": 1}])
        for live, last in zip(lives, ends):
            assert not [e for e in last if e.kind == "message"]
            cursor = ([e.cursor for e in last if e.cursor] or [live.last_id])[-1]
            with Stream(client, f"/topics/{name}/stream?offset=earliest", accept=accept, last_event_id=cursor) as again:
                assert values(again.take(1)) == ["next"]


def test_long_polls_end_well_at_a_stop(fresh_database, fleet, name):
    gateway = fleet.start(fresh_database, shutdown_timeout_ms=600_000)
    answers = []
    with gateway.client() as client:
        client.make(name)

    def poll():
        with gateway.client() as mine:
            answers.append(mine.consume(name, offset=0, wait_ms=60_000))
    threads = [threading.Thread(target=poll) for _ in range(5)]
    for t in threads:
        t.start()
    wait.until(lambda: gateway.metric("tidegate_waiting_reads") == 5, "the polls wait")
    gateway.signal(signal.SIGTERM)
    for t in threads:
        t.join(wait.DEADLINE_S)
    assert gateway.wait_exit() == 0
    assert len(answers) == 5
    for answer in answers:
        assert answer.status_code in (200, 503), answer.text
        if answer.status_code == 200:
            assert answer.json()["messages"] == []


def test_new_connections_are_not_accepted_during_a_stop(fresh_database, fleet, name):
    """A stream that does not read keeps the stop busy; meanwhile nobody new comes in."""
    gateway = fleet.start(fresh_database, shutdown_timeout_ms=3000)
    with gateway.client() as client:
        client.make(name)
        stuck = Stream(client, f"/topics/{name}/stream?offset=earliest", receive_buffer=128 << 10, paused=True)
        for _ in range(10):
            client.put(name, [{"value": "x" * 1_000_000}])
        gateway.signal(signal.SIGTERM)

        def is_closed():
            try:
                with socket.create_connection((gateway.host, gateway.port), timeout=5) as probe:
                    probe.settimeout(5)
                    probe.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                    data = probe.recv(100)
                    return data == b"" or b" 503 " in data
            except OSError:
                return True
        wait.until(is_closed, "no new connection is served")
        # The stuck one is cut at the deadline, which the exit code may tell; the stop does not hang.
        assert gateway.wait_exit(10 * wait.SLOWNESS) in (0, 1)
        stuck.close()


def test_a_stop_with_the_database_away_does_not_hang(own_pg, fleet):
    gateway = fleet.start(own_pg.create_database("stop"), shutdown_timeout_ms=3000)
    with gateway.client() as client:
        client.make("t")
        own_pg.stop()
        wait.until(lambda: client.produce("t", [{"value": "v"}]).status_code == 503, "the database is missed")
    gateway.signal(signal.SIGTERM)
    assert gateway.wait_exit(15 * wait.SLOWNESS) == 0


def test_a_stop_with_the_database_frozen_does_not_hang(own_pg, fleet):
    gateway = fleet.start(own_pg.create_database("stop"), shutdown_timeout_ms=2000, database_timeout_ms=1000)
    with gateway.client() as client:
        client.make("t")
        own_pg.freeze()
        assert client.produce("t", [{"value": "v"}]).status_code == 503
    gateway.signal(signal.SIGTERM)
    try:
        assert gateway.wait_exit(15 * wait.SLOWNESS) == 0
    finally:
        own_pg.thaw()


@pytest.mark.slow
def test_rolling_restarts_under_load_are_invisible_to_clients_that_retry(fresh_database, fleet, name):
    workers = [fleet.start(fresh_database) for _ in range(2)]
    with workers[0].client() as client:
        client.make(name, 2)
    with Load([lambda w=w: w.url for w in workers], name, 2, producers=4) as load:
        for round_ in range(4):
            load.wait_acknowledged(200)
            worker = workers[round_ % 2]
            worker.stop()
            worker.start()
        load.wait_acknowledged(200)
    with workers[0].client() as client:
        load.check(client)
    # Nothing was answered with anything but 200, 503 and a closed connection.
    assert set(load.refusals()) <= {503, "ConnectionError"}, load.refusals()


def test_a_second_signal_does_not_upset_the_first(fresh_database, fleet, name):
    gateway = fleet.start(fresh_database)
    with gateway.client() as client:
        client.make(name)
        ok(client.produce(name, [{"value": "v"}]))
    gateway.signal(signal.SIGTERM)
    try:
        gateway.signal(signal.SIGTERM)
    except ProcessLookupError:
        pass
    assert gateway.wait_exit() == 0


def test_the_port_is_free_again_after_a_stop(fresh_database, fleet):
    first = fleet.start(fresh_database)
    address = first.addresses[0]
    with first.client() as client:
        assert client.get("/healthz").status_code == 200
    first.stop()
    second = fleet.start(fresh_database, listen=address)
    assert second.addresses == [address]
    # … and taken while it serves: the next one says so.
    with pytest.raises(RuntimeError, match="ended with"):
        fleet.start(fresh_database, listen=address)
    assert requests.get(second.url + "/healthz", timeout=wait.DEADLINE_S).status_code == 200
