"""A primary dies under load and its standby takes over: with synchronous replication nothing acknowledged is lost."""

import pytest

from harness import wait
from harness.client import values
from harness.live import Stream
from harness.load import Load
from harness.postgres import Postgres

pytestmark = [pytest.mark.slow, pytest.mark.http1("it is about which Postgres is written to")]


class Pair:
    """A primary that acknowledges a commit when its standby has it; a database on both."""

    def __init__(self, primary, standby, name):
        self.primary, self.standby, self.name = primary, standby, name
        # How the documentation says to name several servers.
        self.url = f"host={primary.home},{standby.home} user=postgres dbname={name} target_session_attrs=read-write"

    def fail_over(self):
        self.primary.kill9()
        self.standby.promote()


@pytest.fixture
def pair(own_pg):
    own_pg.create_database("pair")
    standby = Postgres(of=own_pg)
    try:
        standby.start()
        own_pg.psql("ALTER SYSTEM SET synchronous_standby_names = '*'")
        own_pg.psql("SELECT pg_reload_conf()")
        wait.until(lambda: own_pg.psql("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"), "the standby follows")
        yield Pair(own_pg, standby, "pair")
    finally:
        standby.remove()


@pytest.mark.parametrize("retry_key", [True, False], ids=["idempotent", "plain"])
def test_a_failover_loses_nothing_and_the_gateways_follow_it(pair, fleet, name, retry_key):
    workers = [fleet.start(pair) for _ in range(2)]
    with workers[0].client() as client:
        client.make(name, 3)
    with Load([lambda w=w: w.url for w in workers], name, 3, producers=6, retry_key=retry_key) as load:
        load.wait_acknowledged(300)
        pair.fail_over()
        load.wait_acknowledged(300)
    assert load.refusals()[503] > 0, "nobody noticed: the test tested nothing"
    for worker in workers:
        with worker.client() as client:
            load.check(client)


def test_live_readers_follow_a_failover(pair, fleet, name):
    worker = fleet.start(pair)
    with worker.client() as client:
        client.make(name)
        client.put(name, [{"value": "before"}])
        with Stream(client, f"/topics/{name}/stream?offset=earliest") as live:
            assert values(live.take(1)) == ["before"]
            pair.fail_over()
            wait.until(lambda: client.produce(name, [{"value": "after"}]).status_code == 200, "writes work again")
            assert values(live.take(1)) == ["after"]
