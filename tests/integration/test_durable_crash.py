"""Durable streams: kill -9, of workers and of Postgres. Whatever was acknowledged is there afterwards, each kind of it."""

import concurrent.futures

import pytest

from harness import wait
from harness.desk import Desk, denied
from harness.durable import JSON, Streams, token
from harness.hook import Receiver

pytestmark = [pytest.mark.slow, pytest.mark.http1("what is stored is the same; test_crash.py kills workers that speak HTTP/2")]

SETTINGS = {"webhook_allow_localhost": "true", "webhook_timeout_ms": 1000, "janitor_interval_ms": 50}
PRODUCERS = "abcd"
APPENDS = 60


class Victims:
    """Workers, Postgres, or both; what dies is started again."""

    def __init__(self, what, server, workers):
        self.server = server if what != "workers" else None
        self.workers = workers if what != "postgres" else []

    def kill(self, workers=None):
        dying = self.workers if workers is None else [w for w in workers if w in self.workers]
        for worker in dying:
            worker.kill()
        if self.server is not None:
            self.server.kill9()
            self.server.start()
        for worker in dying:
            worker.start()


@pytest.fixture(params=["workers", "postgres", "both"])
def crash(request, own_pg, fleet):
    """(two workers, what is killed)"""
    database = own_pg.create_database("crash")
    workers = [fleet.start(database, **SETTINGS) for _ in range(2)]
    return workers, Victims(request.param, own_pg, workers)


def ready(workers):
    for worker in workers:
        worker.wait_ready()


def produce(workers, name, who, done):
    """Each append until it is acknowledged, by one worker or the other."""
    sent = 0
    while sent < APPENDS:
        for worker in workers:
            with worker.client() as client:
                try:
                    answer = client.request("POST", f"/v1/stream/{name}", data=f"{who}{sent:03}", timeout=5, headers={
                        "Content-Type": "text/plain", "Producer-Id": who, "Producer-Epoch": "0", "Producer-Seq": str(sent)})
                except OSError:
                    continue
                if answer.status_code in (200, 204):
                    done.append(f"{who}{sent:03}")
                    sent += 1
                    break


def test_producers_under_load_lose_and_repeat_nothing(crash, name):
    workers, victims = crash
    with workers[0].client() as client:
        Streams(client).make(name)
    done = []
    with concurrent.futures.ThreadPoolExecutor(len(PRODUCERS)) as pool:
        tasks = [pool.submit(produce, workers, name, who, done) for who in PRODUCERS]
        for turn in range(4):
            wanted = len(done) + 25
            wait.until(lambda: len(done) >= wanted or all(t.done() for t in tasks), "more is acknowledged")
            victims.kill([workers[turn % 2]])
        for task in tasks:
            task.result()
    ready(workers)
    with workers[0].client() as client:
        data = Streams(client).read(name).decode()
    stored = [data[i:i + 4] for i in range(0, len(data), 4)]
    for who in PRODUCERS:
        assert [s for s in stored if s[0] == who] == [f"{who}{i:03}" for i in range(APPENDS)]
    assert len(stored) == len(PRODUCERS) * APPENDS


def test_closure_producers_and_stream_seq_survive(crash, name):
    workers, victims = crash
    with workers[0].client() as client:
        streams = Streams(client)
        streams.make(name, "a", Stream_TTL="1000")
        last = streams.producer("p", 3, 0)
        tail = streams.add(name, "b", Stream_Seq="m", **last)
        closing = streams.producer("q", 0, 0)
        streams.make(name + "-ended")
        assert streams.post(name + "-ended", "end", Stream_Closed="true", **closing).status_code == 200
        streams.make(name + "-gone", "x")
        assert streams.delete(name + "-gone").status_code == 204
    victims.kill()
    ready(workers)
    with workers[1].client() as client:
        streams = Streams(client)
        assert (streams.read(name), streams.tail(name)) == (b"ab", tail)
        assert streams.head(name).headers["Stream-TTL"] == "1000"
        again = streams.post(name, "b", Stream_Seq="m", **last)
        assert (again.status_code, again.headers["Stream-Next-Offset"]) == (204, tail)
        assert streams.post(name, "x", **streams.producer("p", 2, 0)).headers["Producer-Epoch"] == "3"
        assert streams.post(name, "x", **streams.producer("p", 3, 2)).headers["Producer-Expected-Seq"] == "1"
        assert streams.post(name, "x", Stream_Seq="m").status_code == 409
        assert streams.add(name, "c", Stream_Seq="n", **streams.producer("p", 3, 1)) == token(3, 3)
        again = streams.post(name + "-ended", "other", Stream_Closed="true", **closing)
        assert (again.status_code, again.headers["Stream-Closed"], again.headers["Producer-Seq"]) == (204, "true", "0")
        late = streams.post(name + "-ended", "late")
        assert (late.status_code, late.headers["Stream-Closed"], late.headers["Stream-Next-Offset"]) == (409, "true", token(1, 3))
        assert streams.read(name + "-ended") == b"end"
        assert streams.head(name + "-gone").status_code == 404


def test_forks_survive(crash, name):
    workers, victims = crash
    with workers[0].client() as client:
        streams = Streams(client)
        streams.make(name, "one")
        streams.add(name, "two")
        streams.make(name + "-f", "!", type=None, Stream_Forked_From=f"/v1/stream/{name}", Stream_Fork_Offset=token(1, 3),
                     Stream_Fork_Sub_Offset="2")
        streams.make(name + "-f-f", type=None, Stream_Forked_From=f"/v1/stream/{name}-f")
        for path in (name, name + "-f"):
            assert streams.delete(path).status_code == 204
    victims.kill()
    ready(workers)
    with workers[1].client() as client:
        streams = Streams(client)
        assert streams.read(name + "-f-f") == b"onetw!"
        for path in (name, name + "-f"):
            assert streams.head(path).status_code == 410
            assert streams.put(path).status_code == 409
        assert streams.delete(name + "-f-f").status_code == 204
        for path in (name, name + "-f", name + "-f-f"):
            assert streams.head(path).status_code == 404


def test_subscriptions_cursors_and_leases_survive(crash, name):
    workers, victims = crash
    with workers[0].client() as client:
        desk = Desk(client)
        desk.put_stream("wakes", "[]")
        desk.pull(name, pattern=f"{name}/*", lease_ttl_ms=600000)
        first, second = desk.put_stream(f"{name}/a", "[1]"), desk.put_stream(f"{name}/b", "[1,2]")
        wake = desk.take(name)
        assert desk.report(name, wake, acks=[{"stream": f"{name}/a", "offset": first}]).json() == {"ok": True, "next_wake": False}
        before = desk.get(name)
    victims.kill()
    ready(workers)
    with workers[1].client() as client:
        desk = Desk(client)
        assert desk.get(name) == before
        held = denied(desk.claim(name, "w2"), 409, "ALREADY_CLAIMED")
        assert (held["current_holder"], held["generation"]) == ("w1", wake["generation"])
        done = desk.report(name, wake, acks=[{"stream": f"{name}/b", "offset": second}], done=True)
        assert done.json() == {"ok": True, "next_wake": False}
        assert desk.acked(name) == {f"{name}/a": first, f"{name}/b": second}
        denied(desk.report(name, wake), 409, "FENCED")
        desk.append(f"{name}/a", "[3]", JSON)
        assert desk.take(name, "w2")["generation"] == wake["generation"] + 1


def test_webhooks_that_were_to_be_called_again_are(crash, name):
    """One whose delivery was refused; its wake keeps its id and its generation."""
    workers, victims = crash
    with Receiver(lambda call: (503, {}) if len(receiver.calls) == 1 else (200, {"done": True})) as receiver:
        with workers[0].client() as client:
            desk = Desk(client)
            desk.webhook(name, receiver.url, streams=[f"{name}/a"])
            tail = desk.put_stream(f"{name}/a", "[1]")
            receiver.wait(1)
        victims.kill()
        ready(workers)
        again = receiver.wait(2)
        assert (again.body["wake_id"], again.body["generation"]) == (receiver.calls[0].body["wake_id"], 1)
        with workers[1].client() as client:
            wait.until(lambda: Desk(client).acked(name) == {f"{name}/a": tail}, "the wake is done")
