"""kill -9, of gateways and of Postgres, under load, with a checker that remembers every acknowledged message."""

import subprocess

import pytest

from harness import wait
from harness.client import ok, refused, values
from harness.gateway import BINARY, WRAPPER, environment
from harness.load import Load, Tail

pytestmark = pytest.mark.slow

ROUNDS = 5


@pytest.mark.parametrize("retry_key", [True, False], ids=["idempotent", "plain"])
def test_killed_gateways_lose_nothing_that_they_acknowledged(fresh_database, fleet, name, retry_key):
    """Two workers under load, one of them killed and started again, in turn."""
    workers = [fleet.start(fresh_database) for _ in range(2)]
    with workers[0].client() as client:
        client.make(name, 3)
    tail = Tail(lambda: workers[1].url, name)
    tail.start()
    with Load([lambda w=w: w.url for w in workers], name, 3, producers=6, retry_key=retry_key) as load:
        load.wait_acknowledged(300)
        for round_ in range(ROUNDS):
            victim = workers[round_ % 2]
            victim.kill()
            load.wait_acknowledged(30)  # the other one goes on
            victim.start()
            load.wait_acknowledged(300)
    with workers[0].client() as client:
        log = load.check(client)
    wait.until(lambda: len(tail.values) == len(log[0]) or tail.failure, "the reader has come to the end")
    tail.stop()
    assert tail.values == log[0]
    assert sum(p.retries for p in load.producers) > 0, "no request was ever caught in flight: the test tested nothing"


@pytest.mark.parametrize("retry_key", [True, False], ids=["idempotent", "plain"])
def test_a_killed_postgres_loses_nothing_that_was_acknowledged(own_pg, fleet, name, retry_key):
    """The postmaster and all of its children at once; the gateways stay up and find their way back."""
    database = own_pg.create_database("crash")
    workers = [fleet.start(database) for _ in range(2)]
    with workers[0].client() as client:
        client.make(name, 3)
    tail = Tail(lambda: workers[1].url, name)
    tail.start()
    with Load([lambda w=w: w.url for w in workers], name, 3, producers=6, retry_key=retry_key) as load:
        load.wait_acknowledged(300)
        for _ in range(ROUNDS):
            own_pg.kill9()
            own_pg.start()
            load.wait_acknowledged(300)
    with workers[0].client() as client:
        log = load.check(client)
    wait.until(lambda: len(tail.values) == len(log[0]) or tail.failure, "the reader has come to the end")
    tail.stop()
    assert tail.values == log[0]
    assert load.refusals()[503] > 0, "nobody noticed: the test tested nothing"


def test_killed_backends_lose_nothing_and_are_replaced(fresh_database, fleet, name):
    """Single connections cut under load, as an administrator or a failover does."""
    worker = fleet.start(fresh_database)
    with worker.client() as client:
        client.make(name, 3)
    with Load([lambda: worker.url], name, 3, producers=6) as load:
        for _ in range(10):
            load.wait_acknowledged(100)
            fresh_database.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                                "WHERE datname = current_database() AND pid <> pg_backend_pid()")
        load.wait_acknowledged(100)
    with worker.client() as client:
        load.check(client)


def test_both_at_once_lose_nothing(own_pg, fleet, name):
    database = own_pg.create_database("crash")
    worker = fleet.start(database)
    with worker.client() as client:
        client.make(name, 2)
    with Load([lambda: worker.url], name, 2, producers=4) as load:
        for _ in range(3):
            load.wait_acknowledged(200)
            own_pg.kill9()
            worker.kill()
            own_pg.start()
            worker.start()
        load.wait_acknowledged(200)
    with worker.client() as client:
        load.check(client)


def test_a_group_s_work_survives_killed_gateways(fresh_database, fleet, name):
    """Leases and commits are in Postgres: what a dead worker's client did not commit comes again from another worker."""
    one, two = (fleet.start(fresh_database) for _ in range(2))
    with one.client() as client:
        client.make(name, 1)
        client.put(name, [{"value": str(i)} for i in range(100)])
        assert len(client.take(name, group_id="g", max_messages=10, lease_ms=600_000)) == 10
        ok(client.commit(name, "g", {0: 10}))
        held = client.take(name, group_id="g", max_messages=10, lease_ms=1000)
        assert len(held) == 10
    one.kill()
    with two.client() as client:
        got = wait.until(lambda: client.take(name, group_id="g", max_messages=10), "the lease has ended")
        assert got == held


def test_a_disk_class_topic_keeps_order_and_offsets_when_postgres_is_killed(own_pg, fleet, name):
    """`disk` may lose a tail that was acknowledged, but what is left is a prefix, and no offset is given twice to a reader."""
    worker = fleet.start(own_pg.create_database("crash"))
    with worker.client() as client:
        client.make(name, config={"durability": "disk"})
        for i in range(200):
            client.put(name, [{"value": str(i)}])
        own_pg.kill9()
        own_pg.start()
        wait.until(lambda: client.consume(name, offset=0).status_code == 200, "the gateway is back")
        kept = values(client.read_all(name))
        assert kept == [str(i) for i in range(len(kept))]
        [(_, offset)] = client.put(name, [{"value": "after"}])
        assert values(client.take(name, offset=offset)) == ["after"]


def test_an_ephemeral_topic_is_empty_after_a_crash_and_goes_on_where_it_was(own_pg, fleet, name):
    worker = fleet.start(own_pg.create_database("crash"))
    with worker.client() as client:
        client.make(name, config={"durability": "ephemeral"})
        client.put(name, [{"value": str(i)} for i in range(10)])
        client.make(name + "-kept")
        client.put(name + "-kept", [{"value": "durable"}])  # a durable commit: the head above is on disk with it
        own_pg.kill9()
        own_pg.start()
        body = wait.until(lambda: (a := client.consume(name, offset=0)).status_code == 200 and ok(a), "the gateway is back")
        assert body["messages"] == []
        assert body["gaps"] == [{"partition": 0, "from_offset": 0, "to_offset": 10}]
        assert client.put(name, [{"value": "next"}]) == [(0, 10)]
        assert values(client.read_all(name + "-kept")) == ["durable"]


def test_a_gateway_killed_at_start_leaves_a_database_that_the_next_one_can_use(fresh_database, fleet, name):
    for delay_ms in (0, 20, 50, 100, 200, 400):
        process = subprocess.Popen([*WRAPPER, str(BINARY), "serve"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   env=environment(database_url=fresh_database.url, listen="127.0.0.1:0"))
        try:
            process.wait(delay_ms / 1000)
        except subprocess.TimeoutExpired:
            pass
        process.kill()
        process.wait()
    with fleet.start(fresh_database).client() as client:
        client.make(name)
        refused(client.get("/topics/absent"), 404, "topic_not_found")
        assert client.put(name, [{"value": "v"}]) == [(0, 0)]
