"""Postgres stopped, frozen or not there yet: quick 503s, and back to work without anybody's help."""

import threading
import time

import pytest

from harness import wait
from harness.client import ok, refused, values
from harness.live import Stream

# "Within a second or two", with room for a busy machine; a request that waits for its database needs longer.
SOON_S = 6.0 * wait.SLOWNESS
PATIENT = {"database_timeout_ms": int(15_000 * wait.SLOWNESS)}
# For a Postgres that hangs; longer than one that is only held up.
IMPATIENT = {"database_timeout_ms": 2500}


@pytest.fixture
def served(own_pg, fleet, request):
    """(own_pg, gateway, client) with a topic `t` of one message; an indirect parameter has settings."""
    gateway = fleet.start(own_pg.create_database("away"), **getattr(request, "param", PATIENT))
    with gateway.client() as client:
        client.make("t", 2)
        client.put("t", [{"value": "before", "partition": 0}])
        yield own_pg, gateway, client


CALLS = {
    "produce": lambda client: client.produce("t", [{"value": "v"}]),
    "read": lambda client: client.consume("t", offset=0),
    "group": lambda client: client.consume("t", group_id="g"),
    "commit": lambda client: client.commit("t", "g", {0: 1}),
    "describe": lambda client: client.get("/topics/t"),
    "list": lambda client: client.get("/topics"),
    "create": lambda client: client.create("u"),
    "delete": lambda client: client.request("DELETE", "/topics/nothing"),
    "groups": lambda client: client.get("/topics/t/groups"),
}


def expect_unavailable(client, call):
    begun = time.monotonic()
    answer = CALLS[call](client)
    took = time.monotonic() - begun
    assert answer.status_code == 503, f"{call}: {answer.status_code} {answer.text}"
    # What was in flight while the connection broke may have been written: then the code says so.
    refused(answer, 503, answer.json()["error"]["code"])
    assert answer.json()["error"]["code"] in ("unavailable", "outcome_unknown", "timeout", "not_ready")
    assert took < SOON_S, f"{call} took {took:.1f} s"


@pytest.mark.parametrize("how", ["fast", "immediate"])
def test_with_postgres_stopped_everything_is_503_at_once_and_works_again_by_itself(served, how):
    pg, _, client = served
    pg.stop(how)
    for call in CALLS:
        expect_unavailable(client, call)
    # Health is about the process, readiness about its work.
    assert client.get("/healthz").status_code == 200
    wait.until(lambda: client.get("/readyz").status_code == 503, "readyz says so")
    refused(client.get("/readyz"), 503, client.get("/readyz").json()["error"]["code"])
    assert client.get("/metrics").status_code == 200
    # Still quick when it has been away for a while.
    for call in CALLS:
        expect_unavailable(client, call)
    pg.start()
    wait.until(lambda: client.produce("t", [{"value": "after", "partition": 1}]).status_code == 200, "produce works again")
    wait.until(lambda: client.get("/readyz").status_code == 200, "readyz says so")
    assert values(client.take("t", offset=0)) == ["before"]
    assert set(values(client.read_all("t", partition=1))) == {"after"}
    assert values(client.take("t", group_id="g", partition=0)) in (["before"], [])


@pytest.mark.parametrize("served", [IMPATIENT], ids=["impatient"], indirect=True)
def test_with_postgres_frozen_requests_end_after_the_timeout_and_work_again_when_it_thaws(served):
    pg, _, client = served
    pg.freeze()
    try:
        for call in ("produce", "read", "group", "describe"):
            begun = time.monotonic()
            answer = CALLS[call](client)
            assert answer.status_code == 503, f"{call}: {answer.status_code} {answer.text}"
            assert "Retry-After" in answer.headers
            assert time.monotonic() - begun < 10 * wait.SLOWNESS
        assert client.get("/healthz").status_code == 200
        wait.until(lambda: client.get("/readyz").status_code == 503, "readyz says so")
    finally:
        pg.thaw()
    wait.until(lambda: client.produce("t", [{"value": "after"}]).status_code == 200, "produce works again")
    wait.until(lambda: client.consume("t", offset=0).status_code == 200, "consume works again")


@pytest.mark.parametrize("served", [IMPATIENT], ids=["impatient"], indirect=True)
def test_an_outcome_that_cannot_be_known_says_so_and_an_idempotent_retry_settles_it(served):
    pg, _, client = served
    ok(client.produce("t", [{"value": "warm", "partition": 0}]))
    pg.freeze()
    try:
        answer = client.produce("t", [{"value": "once", "partition": 0}], headers={"Idempotency-Key": "k"})
    finally:
        pg.thaw()
    error = refused(answer, 503, answer.json()["error"]["code"])
    assert error["code"] in ("outcome_unknown", "unavailable", "timeout")

    def settled():
        again = client.produce("t", [{"value": "once", "partition": 0}], headers={"Idempotency-Key": "k"})
        return again.status_code == 200 and again.json()
    body = wait.until(settled, "the retry is answered")
    assert values(client.read_all("t")).count("once") == 1
    [result] = body["results"]
    assert values(client.take("t", offset=result["offset"], max_messages=1)) == ["once"]


def test_a_long_poll_and_a_stream_survive_a_restart_of_postgres(served):
    pg, _, client = served
    with Stream(client, "/topics/t/stream?offset=earliest") as live:
        assert values(live.take(1)) == ["before"]
        pg.stop()
        wait.until(lambda: client.produce("t", [{"value": "v"}]).status_code == 503, "the database is missed")
        pg.start()
        wait.until(lambda: client.produce("t", [{"value": "after", "partition": 0}]).status_code == 200, "produce works again")
        wait.until(lambda: client.get("/topics/t").status_code == 200, "reads work again")
        end = client.ends("t")[0]
        got = []
        while len(got) < end - 1:
            event = live.next()
            if event is None:  # it may end, with a cursor to go on from
                with Stream(client, "/topics/t/stream?offset=earliest", last_event_id=live.last_id) as again:
                    got += again.take(end - 1 - len(got))
                break
            if event.kind == "message":
                got.append(event.data)
        assert [m["offset"] for m in got] == list(range(1, end))


def test_a_waiting_long_poll_ends_well_when_postgres_goes_away(served):
    pg, gateway, client = served
    answers = []

    def poll():
        with gateway.client() as mine:
            answers.append(mine.consume("t", partition=1, offset=0, wait_ms=3000))
    thread = threading.Thread(target=poll)
    thread.start()
    pg.stop()
    thread.join(wait.DEADLINE_S)
    [answer] = answers
    assert answer.status_code in (200, 503), answer.text
    if answer.status_code == 200:
        assert answer.json()["messages"] == []
    pg.start()
    wait.until(lambda: client.produce("t", [{"value": "v"}]).status_code == 200, "produce works again")


def test_a_gateway_started_before_its_database_waits_for_it(own_pg, fleet):
    database = own_pg.create_database("away")
    own_pg.stop()
    gateway = fleet.new(database)
    gateway.spawn()
    wait.until(lambda: "database" in gateway.log_text(), "it says what it waits for")
    wait.holds_for(lambda: gateway.is_running, "it waits", 1)
    own_pg.start()
    gateway.wait_port()
    with gateway.client() as client:
        client.make("t")
        assert client.put("t", [{"value": "v"}]) == [(0, 0)]


def test_a_gateway_that_waits_for_its_database_can_be_stopped(own_pg, fleet):
    database = own_pg.create_database("away")
    own_pg.stop()
    gateway = fleet.new(database)
    gateway.spawn()
    wait.until(lambda: "database" in gateway.log_text(), "it says what it waits for")
    gateway.stop()


def test_no_request_piles_up_while_the_database_is_away(served):
    """Hundreds of requests meanwhile: all answered, none left hanging, memory given back."""
    pg, gateway, client = served
    pg.stop()
    statuses = []

    def hammer():
        with gateway.client() as mine:
            for _ in range(20):
                statuses.append(mine.produce("t", [{"value": "x" * 100_000}]).status_code)
    threads = [threading.Thread(target=hammer) for _ in range(10)]
    with gateway.grows_at_most(150 << 20):
        for t in threads:
            t.start()
        for t in threads:
            t.join(60 * wait.SLOWNESS)
    assert len(statuses) == 200
    assert set(statuses) <= {503, 429}
    pg.start()
    wait.until(lambda: client.produce("t", [{"value": "v"}]).status_code == 200, "produce works again")


def test_a_server_that_only_reads_is_an_error_that_passes(served):
    """As after a failover to a standby: clients are told, and it works again when the server writes."""
    pg, gateway, client = served
    database = gateway.database
    database.psql(f'ALTER DATABASE "{database.name}" SET default_transaction_read_only = on')
    # It waits until they are gone: one that still stood there would write.
    database.psql(f"SELECT pg_terminate_backend(pid, {int(1000 * wait.DEADLINE_S)}) FROM pg_stat_activity "
                  "WHERE datname = current_database() AND pid <> pg_backend_pid()")
    # What is sent over a connection that was cut has an unknown outcome; then every write is refused.
    wait.until(lambda: refused(client.produce("t", [{"value": "v"}]), 503, "unavailable"), "writes are refused")
    wait.until(lambda: refused(client.create("u"), 503, "unavailable"), "new topics are refused")
    pg.psql(f'ALTER DATABASE "{database.name}" RESET default_transaction_read_only')
    pg.psql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database.name}'")
    wait.until(lambda: client.produce("t", [{"value": "v"}]).status_code == 200, "writes work again")
