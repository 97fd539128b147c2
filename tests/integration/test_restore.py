"""Point-in-time restore as docs/operations.md tells it: a base backup, archived WAL, a moment, and workers on the result."""

import pytest

from harness import wait
from harness.client import ok, values
from harness.postgres import Database, Postgres

pytestmark = [pytest.mark.slow, pytest.mark.http1("it is about what Postgres restores")]


@pytest.fixture
def backup(own_pg):
    """A base backup of own_pg, taken when the test begins; own_pg.archive has the log since then."""
    own_pg.archive = own_pg.archive_to("archive")
    own_pg.create_database("events")
    made = Postgres(of=own_pg)
    yield made
    made.remove()


def flush(server):
    """Waits until everything that was committed so far is in the archive."""
    [[name]] = server.psql("SELECT pg_walfile_name(pg_current_wal_insert_lsn())")
    server.psql("SELECT pg_switch_wal()")
    # Not when the file is there: it may not be whole yet.
    wait.until(lambda: server.psql(f"SELECT last_archived_wal >= '{name}' FROM pg_stat_archiver") == [["t"]], f"{name} is archived")


def test_a_restore_has_what_was_there_at_the_moment_and_goes_on(own_pg, backup, fleet, name):
    database = Database(own_pg, "events")
    worker = fleet.start(database)
    with worker.client() as client:
        client.make(name)
        client.put(name, [{"value": "before"}, {"value": "before, too"}])
        assert values(client.take(name, group_id="g", max_messages=1)) == ["before"]
        ok(client.commit(name, "g", {0: 1}))
        [[moment]] = database.psql("SELECT clock_timestamp()")
        client.put(name, [{"value": "a mistake"}])
        ok(client.commit(name, "g", {0: 3}))
        flush(own_pg)
    backup.recover_to(moment, own_pg.archive)
    backup.start()
    wait.until(lambda: backup.psql("SELECT pg_is_in_recovery()") == [["f"]], "the restored server takes writes")
    restored = fleet.start(Database(backup, "events"))
    with restored.client() as client:
        assert values(client.read_all(name)) == ["before", "before, too"]
        assert client.committed(name, "g") == {0: 1}  # the position is from the same moment as the records
        assert client.put(name, [{"value": "after"}]) == [(0, 2)]
        assert [m["offset"] for m in client.read_all(name)] == [0, 1, 2]
    restored.stop()  # before its server goes
