"""Limits per tenant and key (DESIGN section 9): every one refuses with its name, and one tenant at its limit slows no other."""

import itertools
import json
import threading

import pytest

from harness import wait
from harness.client import Client, ok, refused
from harness.gateway import Gateway, run
from harness.httpmq import Mq
from harness.live import Stream

_numbers = itertools.count(1)


def new_key(database, tenant):
    [key] = run("key", "create", "--tenant", tenant, "--scopes", "all", database=database).stdout.split()
    return key


def set_limits(database, tenant, limits):
    run("tenant", "set", tenant, "--limits", limits, database=database)


@pytest.fixture(scope="module")
def gateway(database):
    run("migrate", database=database)
    new_key(database, "default")  # in the mode `auto` a credential is asked for as soon as one key exists
    process = Gateway(database)
    try:
        process.start()
        yield process
    finally:
        process.finish()


@pytest.fixture
def tenant(database):
    """tenant(limits) → the name of a new tenant that has them."""
    def make(limits=None):
        name = f"t{next(_numbers)}"
        run("tenant", "create", name, database=database)
        if limits:
            set_limits(database, name, limits)
        return name
    return make


@pytest.fixture
def as_tenant(gateway, database):
    """as_tenant(name, worker=…) → a client with a new key of this tenant."""
    made = []

    def make(name, worker=None):
        made.append(Client((worker or gateway).url, key=new_key(database, name)))
        return made[-1]
    yield make
    for client in made:
        client.close()


def throttled(answer, limit, most):
    error = refused(answer, 429, "throttled")
    assert error["detail"]["limit"] == limit and error["detail"]["max"] == most
    assert limit in error["message"] or limit == "max_topics"
    assert 1 <= int(answer.headers["Retry-After"]) <= 61
    return error


def until_throttled(send, limit, most):
    """Sends until it is refused; what came before was answered. Returns how many that were."""
    for accepted in range(1000):
        answer = send()
        if answer.status_code == 429:
            throttled(answer, limit, most)
            return accepted
        assert answer.status_code < 300, answer.text
    raise AssertionError("never refused")


def until_accepted(send):
    return wait.until(lambda: (got := send()).status_code < 300 and got, "is let through again")


def limited_total(client, limit):
    return client.metric(f'tidegate_limited_total{{limit="{limit}"}}')


# ---- rates ----

def test_requests_over_the_rate_are_refused_and_later_ones_are_not(tenant, as_tenant):
    client, looker = as_tenant(tenant("requests_per_second=1")), as_tenant(tenant())
    before = limited_total(looker, "requests_per_second")
    assert until_throttled(lambda: client.get("/topics"), "requests_per_second", 1) >= 1
    assert limited_total(looker, "requests_per_second") > before
    until_accepted(lambda: client.get("/topics"))


def test_the_limit_of_one_key_leaves_the_other_keys_alone(tenant, as_tenant):
    name = tenant("requests_per_second_per_key=1")
    first, second = as_tenant(name), as_tenant(name)
    until_throttled(lambda: first.get("/topics"), "requests_per_second_per_key", 1)
    ok(second.get("/topics"))


def test_the_limit_of_a_tenant_holds_for_its_keys_together(tenant, as_tenant):
    name = tenant("requests_per_second=1")
    clients = itertools.cycle([as_tenant(name) for _ in range(3)])
    until_throttled(lambda: next(clients).get("/topics"), "requests_per_second", 1)


def test_every_dialect_refuses_in_its_own_form(tenant, as_tenant):
    client = as_tenant(tenant("requests_per_second=1"))
    for path in ("/topics", "/v0/topics", "/v1/stream/none"):
        [answer] = wait.until(lambda p=path: (got := client.get(p)).status_code == 429 and [got], "is refused")
        assert "requests_per_second" in answer.text and int(answer.headers["Retry-After"]) >= 1


def test_bytes_that_were_sent_are_owed(tenant, as_tenant):
    client = as_tenant(tenant("bytes_per_second=20000"))
    client.make("orders")
    client.put("orders", [{"value": "x" * 600000}])  # more than a second's worth goes through, and is paid for
    error = throttled(client.get("/topics"), "bytes_per_second", 20000)
    assert error["detail"]["retry_after_ms"] > 1000
    assert client.get("/healthz").status_code == 200


def test_bytes_that_were_received_are_owed_too(database, tenant, as_tenant):
    name = tenant()
    client = as_tenant(name)
    client.make("orders")
    client.put("orders", [{"value": "x" * 600000}])
    set_limits(database, name, "bytes_per_second=20000")
    plain = {"Accept-Encoding": "identity"}  # a reply counts as it is sent
    until_throttled(lambda: client.post("/topics/orders/consume", json={"offset": 0}, headers=plain),
                    "bytes_per_second", 20000)


APPENDS = {
    "streaming": lambda client, n: client.produce("orders", [{"value": "x"}] * n),
    "topics": lambda client, n: client.post("/v0/topics/orders", json={"records": [{"data": 1}] * n}),
    "durable": lambda client, n: client.post("/v1/stream/log", data=json.dumps([1] * n),
                                             headers={"Content-Type": "application/json"}),
}


@pytest.mark.parametrize("dialect", APPENDS)
def test_records_over_the_rate_are_refused_and_not_stored(tenant, as_tenant, dialect):
    client, send = as_tenant(tenant("records_per_second=10")), APPENDS[dialect]
    client.make("orders")
    assert client.request("PUT", "/v1/stream/log", headers={"Content-Type": "application/json"}).status_code == 201
    topic = "log" if dialect == "durable" else "orders"
    assert send(client, 1000).status_code < 300
    answer = send(client, 1)
    assert answer.status_code == 429 and "records_per_second" in answer.text
    assert client.ends(topic) == [1000]
    assert len(client.take(topic, offset=0, max_messages=10000)) == 1000


def test_records_of_httpmq_count_as_well(gateway, tenant, as_tenant):
    with Mq(gateway.url, key=as_tenant(tenant("records_per_second=1")).key) as client:
        assert client.make_stream("orders", subjects=["orders.*"]).status_code == 200

        def refused_once():
            answer = client.publish("orders.eu", b"x")
            return answer.status_code == 429 and [answer]
        [answer] = wait.until(refused_once, "the limit holds")
        assert "records_per_second" in answer.text and answer.headers["Retry-After"] == "1"


# ---- what goes on ----

@pytest.mark.tsan
def test_streams_are_counted_while_they_are_open(gateway, tenant, as_tenant):
    name = tenant("streams=3,streams_per_key=2")
    first, second = as_tenant(name), as_tenant(name)
    first.make("orders")
    path = "/topics/orders/stream?offset=earliest"
    open_streams = [Stream(first, path), Stream(first, path)]
    throttled(first.get(path, headers={"Accept": "text/event-stream"}), "streams_per_key", 2)
    open_streams.append(Stream(second, path))
    assert all(s.status == 200 for s in open_streams)
    throttled(second.get(path, headers={"Accept": "text/event-stream"}), "streams", 3)
    first.put("orders", [{"value": "x"}])  # whatever else it does goes on
    open_streams.pop(0).close()

    def opens():
        stream = Stream(second, path)
        if stream.status != 200:
            stream.close()
            return False
        return stream
    open_streams.append(wait.until(opens, "there is room again"))
    for stream in open_streams:
        stream.close()


def test_requests_under_way_are_counted_until_they_end(database, tenant, as_tenant, gateway):
    name = tenant()
    client = as_tenant(name)
    client.make("orders")
    set_limits(database, name, "requests_in_flight=1")
    answers = []

    def poll():
        with Client(gateway.url, key=client.key) as poller:
            answers.append(until_accepted(lambda: poller.consume("orders", offset=0, wait_ms=30000)))

    waiting = threading.Thread(target=poll)
    waiting.start()
    [answer] = wait.until(lambda: (got := client.get("/topics")).status_code == 429 and [got], "the poll is under way")
    throttled(answer, "requests_in_flight", 1)
    set_limits(database, name, "requests_in_flight=0")
    wait.until(lambda: client.produce("orders", [{"value": "x"}]).status_code == 200 and not waiting.is_alive(),
               "the poll has its answer")
    waiting.join()
    set_limits(database, name, "requests_in_flight=1")
    ok(client.get("/topics"))


# ---- sizes ----

def test_a_body_over_the_tenants_limit_is_413(tenant, as_tenant):
    client, free = as_tenant(tenant("body_bytes=1000")), as_tenant(tenant())
    body = json.dumps({"messages": [{"value": "x" * 1000}]}).encode()
    for one in (client, free):
        one.make("orders")
    ok(free.post("/topics/orders/produce", data=body, headers={"Content-Type": "application/json"}))
    for data in (body, iter([body[:500], body[500:]])):  # with its length, and without
        answer = client.post("/topics/orders/produce", data=data, headers={"Content-Type": "application/json"})
        assert refused(answer, 413, "payload_too_large")["detail"] == {"limit": "body_bytes", "max": 1000}
    client.put("orders", [{"value": "x" * 900}])
    assert client.ends("orders") == [1]


def test_topics_are_counted_over_all_workers(database, tenant, as_tenant, gateways):
    name = tenant("topics=3")
    clients = [as_tenant(name, worker) for worker in gateways(2)]
    made = []

    def make(client, number):
        answer = client.create(f"orders{number}")
        if answer.status_code == 201:
            made.append(number)
        else:
            throttled(answer, "max_topics", 3)

    threads = [threading.Thread(target=make, args=(client, 2 * i + j))
               for j, client in enumerate(clients) for i in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 3
    assert clients[0].request("DELETE", f"/topics/orders{made[0]}").status_code in (200, 204)
    assert clients[1].create("another").status_code == 201


def test_a_tenant_that_stores_too_much_can_read_and_delete(tenant, as_tenant):
    client = as_tenant(tenant("stored_bytes=20000"))
    client.make("orders")
    client.make("other")
    accepted = until_throttled(lambda: client.produce("orders", [{"value": "x" * 1000}]), "stored_bytes", 20000)
    assert accepted <= 20 + accepted // 2  # the look comes a moment after the first append
    assert client.ends("orders") == [accepted]
    throttled(client.produce("other", [{"value": "x" * 1000}]), "stored_bytes", 20000)
    ok(client.consume("orders", offset=0))
    assert client.request("DELETE", "/topics/orders").status_code in (200, 204)
    until_accepted(lambda: client.produce("other", [{"value": "x" * 1000}]))


# ---- tenants among themselves ----

@pytest.mark.tsan
def test_one_tenant_at_its_limit_does_not_slow_another(gateway, tenant, as_tenant):
    noisy, quiet = tenant("requests_per_second=5,records_per_second=5"), as_tenant(tenant())
    quiet.make("orders")
    stop = threading.Event()
    statuses = []

    def hammer(client):
        while not stop.is_set():
            statuses.append(client.get("/topics").status_code)

    threads = [threading.Thread(target=hammer, args=(as_tenant(noisy),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        wait.until(lambda: statuses.count(429) > 50, "the noisy tenant is at its limit")
        refused_before = statuses.count(429)
        for number in range(200):
            assert quiet.put("orders", [{"value": str(number)}]) == [(0, number)]
        assert len(quiet.take("orders", offset=0, max_messages=1000)) == 200
        assert statuses.count(429) > refused_before
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert set(statuses) == {200, 429}


# ---- defaults and overrides ----

def test_every_worker_follows_a_change_at_once(database, tenant, as_tenant, gateways):
    name = tenant()
    clients = [as_tenant(name, worker) for worker in gateways(2, limit_requests_per_second=100000)]
    for client in clients:
        ok(client.get("/topics"))
    set_limits(database, name, "requests_per_second=1")
    for client in clients:
        wait.until(lambda c=client: c.get("/topics").status_code == 429, "the limit holds")
    set_limits(database, name, "requests_per_second=server")
    for client in clients:
        wait.until(lambda c=client: all(c.get("/topics").status_code == 200 for _ in range(10)), "the limit is gone")


def test_the_server_has_defaults_and_a_tenant_may_have_none(tenant, as_tenant, gateways):
    [worker] = gateways(1, limit_requests_per_second_per_key=1, limit_streams=1)
    plain, free = as_tenant(tenant(), worker), as_tenant(tenant("requests_per_second_per_key=0"), worker)
    until_throttled(lambda: plain.get("/topics"), "requests_per_second_per_key", 1)
    for _ in range(20):
        ok(free.get("/topics"))


def test_without_keys_the_limits_of_the_default_tenant_hold(fresh_database, fleet):
    worker = fleet.start(fresh_database, limit_requests_per_second_per_key=1)
    with Client(worker.url) as client:
        for _ in range(20):
            ok(client.get("/topics"))
        set_limits(fresh_database, "default", "requests_per_second=1")
        wait.until(lambda: client.get("/topics").status_code == 429, "the limit holds")


def test_the_command_shows_limits_and_refuses_nonsense(database, tenant):
    name = tenant("streams=5,bytes_per_second=0")
    [shown] = [t for t in json.loads(run("tenant", "list", "--json", database=database).stdout)["tenants"]
               if t["name"] == name]
    assert shown["limits"] == {"streams": 5, "bytes_per_second": 0}
    assert "bytes_per_second=0,streams=5" in run("tenant", "list", database=database).stdout
    for wrong in ("colours=3", "streams", "streams=-1", "streams=x", "topics_per_key=1"):
        done = run("tenant", "set", name, "--limits", wrong, database=database, check=False)
        assert done.returncode != 0 and done.stderr
    set_limits(database, name, "streams=server,bytes_per_second=server")
    [shown] = [t for t in json.loads(run("tenant", "list", "--json", database=database).stdout)["tenants"]
               if t["name"] == name]
    assert shown["limits"] == {}
    run("tenant", "delete", name, database=database)
