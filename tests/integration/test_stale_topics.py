"""A worker that has not heard yet that a topic was deleted and made again: no answer of its shows that."""

import base64
import contextlib
import json
import os
import re
import signal

import pytest

from harness import wait
from harness.client import JSON, ok
from harness.gateway import Gateway
from harness.httpmq import Mq, done, new_name
from harness.v0 import V0

RECORDS = [{"data": {"n": n}, "tag": f"t{n}"} for n in range(3)]
MESSAGE = base64.b64encode(b"m").decode()
GROUP = {"group_id": "g", "consumer_id": "c"}

CALLS = [
    ("GET", "/topics/{}", None),
    ("PATCH", "/topics/{}", {"config": {"cap_records": 9}}),
    ("GET", "/topics/{}/offsets?timestamp=1", None),
    ("POST", "/topics/{}/produce", {"messages": [{"value": "v"}]}),
    ("POST", "/topics/{}/consume", {"partition": 0, "offset": 0}),
    ("POST", "/topics/{}/consume", {"partition": 0, "offset": 3, "wait_ms": 50}),
    ("POST", "/topics/{}/consume", GROUP),
    ("POST", "/topics/{}/commit", {"group_id": "g", "offsets": [{"partition": 0, "offset": 1}]}),
    ("GET", "/topics/{}/groups", None),
    ("GET", "/topics/{}/groups/g", None),
    ("POST", "/topics/{}/groups/g/reset", {"to": "latest"}),
    ("DELETE", "/topics/{}/groups/g/partitions/0", None),
    ("DELETE", "/topics/{}/groups/g", None),
    ("GET", "/v0/topics/{}", None),
    ("PUT", "/v0/topics/{}", {"type": "queue", "cap_records": 9}),
    ("POST", "/v0/topics/{}", {"records": RECORDS}),
    ("POST", "/v0/topics/{}", {"records": RECORDS, "idempotency_key": "k"}),
    ("POST", "/v0/topics/{}/diff", {"from_seq": 0}),
    ("POST", "/v0/topics/{}/diff", {"from_seq": 3, "wait_ms": 50}),
    ("POST", "/v0/topics/{}/delete", {"match": ["tag", "Eq", "t1"]}),
    ("POST", "/v0/topics/{}/claim", {"node": "n", "max": 1}),
    ("POST", "/v0/topics/{}/claim", {"node": "n", "max": 1, "wait_ms": 50}),
    ("GET", "/v1/stream/{}", None),
    ("GET", "/v1/stream/{}?offset=now&live=long-poll", None),
    ("HEAD", "/v1/stream/{}", None),
    ("POST", "/v1/stream/{}", {"m": 1}),
    ("DELETE", "/topics/{}", None),
]

MQ_CALLS = [
    ("POST", "/v1/data/subject/{}", MESSAGE),
    ("POST", "/v1/data/subject/{}/raw", "m"),
    ("POST", "/v1/data/stream/{0}/batch", '{{"messages": [{{"subject": "{0}", "b64_msg": "' + MESSAGE + '"}}]}}'),
    ("POST", "/v1/data/stream/{}/consumer/c/fetch", "{{}}"),
    ("POST", "/v1/data/stream/{}/consumer/c/ack", '{{"stream": 1, "consumer": 1}}'),
    ("GET", "/v1/admin/stream/{}", ""),
    ("GET", "/v1/admin/stream/{}/consumer/c", ""),
    ("POST", "/v1/admin/stream/{}/purge", ""),
    ("DELETE", "/v1/admin/stream/{}", ""),
]


SETTINGS = {"poll_interval_ms": 60_000, "durable_long_poll_ms": 1000}


@pytest.fixture(scope="module")
def pair(database, gateway):
    """A worker, and one that the news of the first do not reach."""
    def listeners():
        rows = database.psql("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query ILIKE 'listen %'")
        return {int(pid) for [pid] in rows}

    wait.until(listeners, "the first listens")
    before = listeners()
    deaf = Gateway(database, name="deaf", **SETTINGS).start()
    [backend] = wait.until(lambda: listeners() - before, "the second listens")
    os.kill(backend, signal.SIGSTOP)
    try:
        with V0(gateway.url) as one, V0(deaf.url) as two:
            yield one, two
    finally:
        os.kill(backend, signal.SIGCONT)
        deaf.finish()


def shape(value):
    """What stays the same from one incarnation to the next."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return type(value).__name__


def remake(client, name):
    with contextlib.suppress(AssertionError):
        client.drop(name)
    client.make(name, type="queue")
    client.add(name, RECORDS)
    ok(client.commit(name, "g", {0: 1}))  # g begins at the second record


def ask(client, method, path, body):
    answer = client.request(method, path, data=body, headers={"Content-Type": JSON})
    text = answer.headers.get("Content-Type", "").startswith(JSON) and answer.content
    return answer.status_code, shape(answer.json()) if text else None


@pytest.mark.parametrize("method, path, body", CALLS, ids=[f"{i}-{m}-{p}" for i, (m, p, _) in enumerate(CALLS)])
def test_what_a_worker_remembers_of_a_topic_that_is_gone_is_in_no_answer(pair, name, method, path, body):
    informed, deaf = pair
    path, body = path.format(name), body and json.dumps(body)
    remake(informed, name)
    deaf.read(name)  # remembers this one
    remake(informed, name)
    expected = ask(informed, method, path, body)
    assert expected[0] < 300, expected
    remake(informed, name)
    assert ask(deaf, method, path, body) == expected


@pytest.mark.parametrize("path, first", [("/topics/{}/stream?offset=earliest", 0), ("/topics/{}/stream?group_id=g", 1),
                                         ("/v1/stream/{}?offset=-1&live=sse", 0), ("/v0/topics/{}/work?node=n", 0)])
def test_nor_does_a_live_stream_begin_with_it(pair, name, path, first):
    informed, deaf = pair
    remake(informed, name)
    deaf.read(name)
    remake(informed, name)
    with deaf.get(path.format(name), stream=True, headers={"Accept": "text/event-stream"}) as answer:
        assert answer.status_code == 200
        found = (re.search(r'"n":(\d)', line.decode().replace("\\", "")) for line in answer.iter_lines())
        assert int(next(filter(None, found))[1]) == first


def remake_stream(mq, name):
    mq.request("DELETE", f"/v1/admin/stream/{name}")
    done(mq.make_stream(name))
    done(mq.make_consumer(name, "c", mode="pull"))
    mq.send(name, b"1", b"2")


@pytest.mark.parametrize("method, path, body", MQ_CALLS, ids=[f"{i}-{m}-{p}" for i, (m, p, _) in enumerate(MQ_CALLS)])
def test_nor_is_what_it_remembers_of_a_stream(pair, method, path, body):
    informed, deaf = (Mq(client.url) for client in pair)
    name = new_name()
    path, body = path.format(name), body.format(name)
    with informed, deaf:
        remake_stream(informed, name)
        deaf.send(name, b"3")  # remembers this one
        remake_stream(informed, name)
        expected = ask(informed, method, path, body)
        assert expected[0] < 300, expected
        remake_stream(informed, name)
        assert ask(deaf, method, path, body) == expected
