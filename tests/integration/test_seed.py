"""The seed page's commands and its Python client, as printed."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from harness import seed, wait
from harness.client import Client, ok, pairs
from harness.gateway import Gateway, run
from harness.partitioner import partition_of

CLIENT = pathlib.Path(__file__).parent / "seeds" / "44s_streaming_client.py"

QUIET_ENVIRONMENT = {"PATH": os.environ["PATH"], "NO_PROXY": "*", "no_proxy": "*", "PYTHONUNBUFFERED": "1",
                     "HOME": "/nonexistent", "LANG": "C.UTF-8"}


@pytest.fixture(params=["open", "keyed"])
def service(request, fresh_database):
    """(url, key): a gateway without any key, where the page's own key is sent along, and one with a key of its own."""
    process = Gateway(fresh_database)
    key = seed.KEY
    try:
        if request.param == "keyed":
            run("migrate", database=fresh_database)
            run("tenant", "create", "acme", database=fresh_database)
            key = run("key", "create", "--tenant", "acme", "--scopes", "read,write,admin,delete",
                      database=fresh_database).stdout.strip()
        process.start()
        yield process.url, key
    finally:
        process.finish()


def shell(command, url, key):
    done = subprocess.run(["bash", "-c", seed.pointed_at(command, url, key)], env=QUIET_ENVIRONMENT, text=True,
                          capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def shape(value):
    """Names and types of a JSON value, at any depth."""
    if isinstance(value, dict):
        return {name: shape(member) for name, member in value.items()}
    if isinstance(value, list):
        return [shape(element) for element in value[:1]]
    return type(value).__name__


def test_the_page_has_three_curl_commands_and_seven_calls_in_its_reference():
    assert len(seed.curl_commands()) == 3
    assert len(seed.reference()) == 7


def test_the_client_in_this_tree_is_the_page_s_with_its_indentation_restored():
    assert [line.strip() for line in CLIENT.read_text(encoding="utf-8").splitlines()] == seed.python_client()


def test_the_page_s_curl_commands_work_as_printed(service):
    url, key = service
    (create, created), (produce, produced), (consume, consumed) = seed.curl_commands()

    assert shell(create, url, key) == created
    # Again: same name, same shape.
    assert shell(create, url, key) == created

    answer = shell(produce, url, key)
    assert shape(answer) == shape(produced)
    # The partitions printed on the page are an example; the rule is ours, and both of its keys fall on partition 3 of 4.
    assert answer == {"results": [{"partition": partition_of(b"user-123", 4), "offset": 0},
                                  {"partition": partition_of(b"user-456", 4), "offset": 1}]}

    answer = shell(consume, url, key)
    assert shape({"messages": answer["messages"]}) == shape(consumed)
    first, second = answer["messages"]
    printed = consumed["messages"][0]
    assert list(first) == list(printed)
    assert {n: first[n] for n in ("key", "value", "headers")} == {n: printed[n] for n in ("key", "value", "headers")}
    assert (first["partition"], first["offset"]) == (3, 0)
    assert (second["partition"], second["offset"]) == (3, 1)
    assert second["value"] == '{"event":"purchase","amount":99.99}'
    # The group holds them now: the same command gives nothing new before a commit or the lease's end.
    assert shell(consume, url, key)["messages"] == []


@pytest.fixture
def seed_client(service, tmp_path):
    """Starts the page's Python program, unmodified apart from address and key."""
    url, key = service
    started = []

    def start(prelude="", lines=None):
        text = seed.pointed_at(CLIENT.read_text(encoding="utf-8"), url, key) if lines is None else lines
        program = tmp_path / f"program{len(started)}.py"
        program.write_text(prelude + text, encoding="utf-8")
        process = subprocess.Popen([sys.executable, program], env=QUIET_ENVIRONMENT, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True)
        started.append(process)
        return process
    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def test_the_page_s_python_client_runs_unmodified_and_processes_what_it_produced(service, seed_client):
    url, key = service
    shell(seed.curl_commands()[0][0], url, key)
    process = seed_client()
    printed = {process.stdout.readline().strip() for _ in range(2)}
    assert printed == {"Processing: {'action': 'click', 'page': '/home'}",
                       "Processing: {'action': 'purchase', 'item': 'widget'}"}
    with Client(url, key=key) as client:
        ends = client.ends("user-events")
        assert sum(ends) == 2
        wait.until(lambda: client.committed("user-events", "my-consumer-group") ==
                   {p: end for p, end in enumerate(ends) if end},
                   "the loop has committed both messages")
        # It goes on by itself: what anybody produces now is processed too, exactly once.
        client.put("user-events", [{"key": "user-3", "value": '{"action":"leave"}'}])
        assert process.stdout.readline().strip() == "Processing: {'action': 'leave'}"
    assert process.poll() is None, "the loop has ended"
    process.kill()
    assert process.stdout.read() == ""


def test_a_commit_of_nothing_as_the_page_s_loop_sends_when_idle_is_a_success(service):
    url, key = service
    with Client(url, key=key) as client:
        client.make("user-events", 4)
        assert ok(client.commit("user-events", "my-consumer-group", {})) == {"committed": []}


def test_the_page_s_event_sourcing_example_keeps_its_events_in_order(service, seed_client):
    url, key = service
    with Client(url, key=key) as client:
        client.make("orders", 4)
        head = "\n".join(CLIENT.read_text(encoding="utf-8").split("# Produce events")[0].splitlines())
        process = seed_client(lines=seed.pointed_at(head, url, key) + "\n" + "\n".join(seed.event_sourcing()) + "\n")
        assert process.wait(30 * wait.SLOWNESS) == 0, process.stdout.read()
        kept = client.read_all("orders", partition=partition_of(b"order-123", 4))
        assert [json.loads(m["value"])["type"] for m in kept] == ["OrderCreated", "OrderPaid", "OrderShipped"]
        assert json.loads(kept[0]["value"]) == {"type": "OrderCreated", "data": {"customer": "Alice", "total": 99.99}}
        assert {m["key"] for m in kept} == {"order-123"}


def test_the_page_s_page_view_example_reaches_each_of_several_groups(service, seed_client):
    url, key = service
    with Client(url, key=key) as client:
        client.make("pageviews", 2)
        head = "import time\nsession_id = 's-1'\n" + CLIENT.read_text(encoding="utf-8").split("# Produce events")[0]
        process = seed_client(lines=seed.pointed_at(head, url, key) + "\n".join(seed.page_views()) + "\n")
        assert process.wait(30 * wait.SLOWNESS) == 0, process.stdout.read()
        where = (partition_of(b"s-1", 2), 0)
        for group in ("analytics-aggregator", "real-time-dashboard", "anomaly-detector"):
            assert pairs(client.take("pageviews", group_id=group)) == [where]


def test_every_call_of_the_page_s_reference_exists(service):
    url, key = service
    with Client(url, key=key) as client:
        client.make("reference")
        bodies = {"produce": {"messages": [{"key": "string", "value": "string", "headers": [["key", "value"]]}]},
                  "consume": {"group_id": "string", "partition": 0, "offset": 0, "max_messages": 100},
                  "commit": {"group_id": "string", "offsets": [{"partition": 0, "offset": 1}]},
                  "topics": {"name": "another"}}
        for method, path in sorted(seed.reference(), key=lambda call: call[0] == "DELETE"):
            body = bodies.get(path.rpartition("/")[2]) if method == "POST" else None
            answer = client.request(method, path.replace("{name}", "reference"), json=body)
            assert answer.status_code in (200, 201), (method, path, answer.text)
            assert "error" not in answer.json()
