"""`tidegate migrate` and migrating at start, by any number of workers at once."""

import concurrent.futures
import pathlib
import subprocess

import pytest

from harness import wait
from harness.client import ok
from harness.gateway import BINARY, WRAPPER, environment, run
from harness.httpmq import Mq, fine

pytestmark = pytest.mark.http1("it is about the schema")


def schema(database):
    """Everything in the schema, as text that can be compared."""
    return database.psql(
        "SELECT table_name, column_name, data_type, is_nullable, coalesce(column_default, '') FROM information_schema.columns "
        "WHERE table_schema = 'tidegate' ORDER BY 1, ordinal_position") + database.psql(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'tidegate' ORDER BY 1")


def test_migrate_makes_the_schema_and_again_changes_nothing(fresh_database):
    run("migrate", database=fresh_database)
    first = schema(fresh_database)
    assert {"topic", "head", "batch", "record"} <= {row[0] for row in first}
    applied = fresh_database.psql("SELECT number, name, applied_at FROM tidegate.migration ORDER BY 1")
    run("migrate", database=fresh_database)
    assert schema(fresh_database) == first
    assert fresh_database.psql("SELECT number, name, applied_at FROM tidegate.migration ORDER BY 1") == applied


def test_five_at_once_apply_each_migration_exactly_once(fresh_database, pg):
    processes = [subprocess.Popen([*WRAPPER, BINARY, "migrate"], env=environment(database_url=fresh_database.url),
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(5)]
    for process in processes:
        output, _ = process.communicate(timeout=60 * wait.SLOWNESS)
        assert process.returncode == 0, output
    numbers = [int(row[0]) for row in fresh_database.psql("SELECT number FROM tidegate.migration ORDER BY 1")]
    assert numbers and numbers == sorted(set(numbers))
    alone = pg.create_database(fresh_database.name + "_alone")
    run("migrate", database=alone)
    assert schema(alone) == schema(fresh_database)
    alone.drop()


def test_five_workers_that_start_at_once_on_an_empty_database_all_serve(fresh_database, fleet, name):
    workers = [fleet.new(fresh_database) for _ in range(5)]
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda w: w.start(), workers))
    for worker in workers:
        with worker.client() as client:
            assert client.create(name).status_code in (200, 201)
            client.put(name, [{"value": "v"}])
    with workers[0].client() as client:
        assert client.ends(name) == [5]


def test_a_worker_that_must_not_migrate_says_what_to_do_and_changes_nothing(fresh_database, fleet):
    gateway = fleet.new(fresh_database, migrate_on_start="false")
    with pytest.raises(RuntimeError) as caught:
        gateway.start()
    assert "ended with 0" not in str(caught.value)
    assert "tidegate migrate" in str(caught.value)
    assert fresh_database.psql("SELECT count(*) FROM pg_namespace WHERE nspname = 'tidegate'") == [["0"]]
    run("migrate", database=fresh_database)
    gateway.start()


def test_a_schema_from_the_future_is_left_alone(fresh_database):
    run("migrate", database=fresh_database)
    fresh_database.psql("INSERT INTO tidegate.migration (number, name) VALUES (9999, '9999_later.sql')")
    before = schema(fresh_database)
    run("migrate", database=fresh_database, check=False)
    assert schema(fresh_database) == before


@pytest.mark.parametrize("url", ["host=/nonexistent dbname=x", "host=127.0.0.1 port=1 dbname=x", "nonsense", ""])
def test_migrate_without_a_database_says_so(url):
    done = run("migrate", database_url=url, check=False)
    assert done.returncode != 0
    assert len(done.stderr.split()) >= 3


def test_a_list_of_hosts_finds_the_one_that_answers(fresh_database, fleet, name):
    home = fresh_database.server.home
    fresh_database.url = (f"host=/nonexistent,{home} user=postgres dbname={fresh_database.name} "
                          "target_session_attrs=read-write")
    with fleet.start(fresh_database).client() as client:
        client.make(name)
        assert client.put(name, [{"value": "v"}]) == [(0, 0)]


def test_an_address_as_a_uri_works(fresh_database, fleet, name):
    home = str(fresh_database.server.home).replace("/", "%2F")
    fresh_database.url = f"postgresql://postgres@{home}/{fresh_database.name}"
    with fleet.start(fresh_database).client() as client:
        client.make(name)


def test_the_schema_check_of_the_lists_above_sees_a_difference(fresh_database):
    """A comparison that cannot fail would prove nothing."""
    run("migrate", database=fresh_database)
    before = schema(fresh_database)
    fresh_database.psql("ALTER TABLE tidegate.topic ADD COLUMN odd int")
    assert schema(fresh_database) != before


# ---- rows from before ----

MIGRATIONS = pathlib.Path(__file__).parents[2] / "migrations"
BACK_TO_11 = """
ALTER TABLE tidegate.group_partition DROP COLUMN committed_ms;
ALTER TABLE tidegate.httpmq_consumer DROP COLUMN pending, DROP COLUMN redelivered, DROP COLUMN due_ms;
DELETE FROM tidegate.migration WHERE number > 11;
"""


def test_rows_of_version_11_are_taken_along(fresh_database, fleet, pg, name):
    gateway = fleet.start(fresh_database)
    with Mq(gateway.url) as mq, gateway.client() as client:
        fine(mq.make_stream("mail", subjects=["mail.*"]))
        fine(mq.make_consumer("mail", "idle"))
        fine(mq.make_consumer("mail", "busy", max_inflight=5, ack_wait=50_000_000))
        mq.send("mail.a", b"1", b"2", b"3")
        with mq.subscribe("mail", "busy", "mail.a") as lines:
            lines.deliver(6)  # twice each: nobody acknowledges in time
        fine(mq.ack("mail", "busy", 2))
        client.make(name)
        client.put(name, [{"value": str(i)} for i in range(5)])
        ok(client.post(f"/topics/{name}/commit", json={"group_id": "g", "offsets": [{"partition": 0, "offset": 3}]}))
    gateway.stop()
    counts = "SELECT name, pending, redelivered FROM tidegate.httpmq_consumer ORDER BY 1"
    before, columns = fresh_database.psql(counts), schema(fresh_database)
    assert before[0] == ["busy", "2", "2"] and before[1] == ["idle", "0", "0"]

    fresh_database.psql(BACK_TO_11)
    eleven = pg.create_database(fresh_database.name + "_11")
    for file in sorted(MIGRATIONS.glob("*.sql"))[:11]:
        eleven.psql(file.read_text())
    assert [row for row in schema(fresh_database) if "migration" not in row] == [row for row in schema(eleven) if "migration" not in row]
    eleven.drop()

    run("migrate", database=fresh_database)
    assert schema(fresh_database) == columns and fresh_database.psql(counts) == before
    gateway.start()
    with Mq(gateway.url) as mq, gateway.client() as client:
        with mq.subscribe("mail", "busy", "mail.a") as lines:
            assert {payload for _, _, payload in lines.deliver(2)} == {b"1", b"3"}
        fine(mq.ack("mail", "busy", 1))
        fine(mq.ack("mail", "busy", 3))
        assert mq.standing("mail", "busy")[2:] == (0, 0, 0)
        group = ok(client.get(f"/topics/{name}/groups/g"))
        assert group["partitions"][0]["committed_offset"] == 3, group
