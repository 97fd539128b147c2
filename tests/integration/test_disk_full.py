"""Postgres's disk runs full under load: clear refusals, nothing acknowledged is lost, and back to work when there is room."""

import os
import random

import pytest

from harness import wait
from harness.client import ok, refused
from harness.disk import SmallDisk
from harness.load import Load
from harness.postgres import Postgres

pytestmark = [pytest.mark.slow, pytest.mark.http1("it is about what Postgres refuses")]

# Does not compress: what is stored is as long as this.
LARGE = random.Random(7).randbytes(100_000).hex()


@pytest.fixture
def small_disk():
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    try:
        disk = SmallDisk(160)
    except PermissionError as error:
        pytest.skip(f"a small file system cannot be mounted here: {error}")
    yield disk
    disk.remove()


def _started(server):
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def pg_small_data(small_disk):
    """Its tables are on the small disk, its write-ahead log is elsewhere: a full disk fails statements."""
    yield from _started(Postgres(data=small_disk.path))


@pytest.fixture
def pg_small_wal(small_disk):
    """Its write-ahead log is on the small disk: a full disk ends the server."""
    yield from _started(Postgres(wal=small_disk.path))


def test_with_the_disk_full_writes_are_refused_reads_go_on_and_nothing_is_lost(pg_small_data, small_disk, fleet, name):
    worker = fleet.start(pg_small_data.create_database("full"))
    with worker.client() as client:
        client.make(name, 3)
    with worker.client() as client, Load([lambda: worker.url], name, 3) as load:
        load.wait_acknowledged(300)
        small_disk.fill()
        wait.until(lambda: load.refusals()[503] > 20, "the producers are refused")
        # What fits into a page that is there may still be stored; this does not.
        error = refused(client.produce(name, [{"value": LARGE, "partition": 0}]), 503, "unavailable")
        assert "disk is full" in error["message"]
        assert ok(client.consume(name, partition=0, offset=0))["messages"]
        assert client.get("/readyz").status_code == 200
        small_disk.make_room()
        load.wait_acknowledged(300)
        load.stop()
        load.check(client)
        # What was acknowledged in between survives a crash as well.
        pg_small_data.kill9()
        pg_small_data.start()
        wait.until(lambda: client.get(f"/topics/{name}").status_code == 200, "the gateway is back")
        load.check(client)


def test_a_postgres_that_ends_for_want_of_room_loses_nothing(pg_small_wal, small_disk, fleet, name):
    worker = fleet.start(pg_small_wal.create_database("full"))
    with worker.client() as client:
        client.make(name, 3)
        client.make(name + "-large")
        with Load([lambda: worker.url], name, 3) as load:
            load.wait_acknowledged(300)
            small_disk.fill()
            # Every one is 503 once the log is full.
            wait.until(lambda: client.produce(name + "-large", [{"value": LARGE}]).status_code == 503, "the log is full")
            seen = load.refusals()[503]
            wait.until(lambda: load.refusals()[503] > seen + 20, "the producers are refused")
            assert client.get("/healthz").status_code == 200
            small_disk.make_room()

            def is_back():
                # It gives up when recovery finds no room either; then somebody has to start it again.
                if pg_small_wal.has_ended():
                    pg_small_wal.start()
                return client.produce(name + "-large", [{"value": LARGE}]).status_code == 200
            wait.until(is_back, "writes work again")
            load.wait_acknowledged(300)
        load.check(client)
