"""One log, many dialects: what one writes, the others read, on any worker (DESIGN section 8)."""

import pytest

from harness.client import ok
from harness.httpmq import Mq, done
from harness.live import Stream
from harness.v0 import fine
from harness.watch import Watcher

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def both(gateways):
    """A client for writing, and one for reading at another worker."""
    one, two = gateways(2)
    with Watcher(one.url) as writer, Watcher(two.url) as reader:
        yield writer, reader


def write_streaming(client, name, number):
    ok(client.post(f"/topics/{name}/produce", json={"messages": [{"value": f'{{"n":{number}}}'}]}))


def write_topics(client, name, number):
    client.add(name, [{"data": {"n": number}}])


def write_durable(client, name, number):
    kind = client.request("HEAD", f"/v1/stream/{name}").headers["Content-Type"]
    response = client.post(f"/v1/stream/{name}", data=f'{{"n":{number}}}', headers={"Content-Type": kind})
    assert response.status_code in (200, 204), response.text


WRITERS = {"streaming": write_streaming, "topics": write_topics, "durable": write_durable}

MAKERS = {
    "streaming": lambda client, name: client.create(name),
    "topics": lambda client, name: client.make(name),
    "durable": lambda client, name: client.request("PUT", f"/v1/stream/{name}", headers=JSON),
}


def numbers_by_every_reader(client, name):
    consumed = ok(client.post(f"/topics/{name}/consume", json={"offset": 0}))["messages"]
    durable = client.get(f"/v1/stream/{name}?offset=-1")
    assert durable.status_code == 200, durable.text
    return {"streaming": [message["value"] for message in consumed],
            "topics": [record["data"]["n"] for record in client.read(name)["records"]],
            "durable": durable.text}


@pytest.mark.parametrize("maker", MAKERS)
def test_what_one_dialect_writes_the_others_read(both, name, maker):
    writer, reader = both
    assert MAKERS[maker](writer, name) is not None
    with reader.follow({name: {}}) as watch, Stream(reader, f"/topics/{name}/stream?offset=earliest") as stream:
        watch.expect("caught-up")
        for number, write in enumerate(WRITERS.values()):
            write(writer, name, number)
        assert [record["data"]["n"] for record in watch.records(3)] == [0, 1, 2]
        values = [message["value"] for message in stream.take(3)]
        assert values == [f'{{"n":{number}}}' for number in range(3)]
    seen = numbers_by_every_reader(reader, name)
    assert seen["topics"] == [0, 1, 2]
    assert seen["streaming"] == values
    for number in range(3):
        assert f'{{"n":{number}}}' in seen["durable"]
    # What is deleted here is gone there.
    assert fine(writer.erase(name, before_seq=2))["deleted"] == 1
    seen = numbers_by_every_reader(reader, name)
    assert seen["topics"] == [1, 2] and seen["streaming"] == values[1:]
    assert '"n":0' not in seen["durable"] and '"n":1' in seen["durable"]


def test_httpmq_and_topics_share_records_subjects_and_deletes(both, name):
    writer, reader = both
    stream = name.replace("-", "")  # httpmq names streams with letters and digits
    with Mq(writer.url) as mq, Mq(reader.url) as other:
        done(mq.make_stream(stream, subjects=[f"{stream}.*"]))
        done(mq.make_consumer(stream, "all", mode="pull", max_inflight=9))
        with reader.follow({stream: {}}, include_tags=True) as watch:
            watch.expect("caught-up")
            mq.send(f"{stream}.json", b'{"n": 1}')
            mq.send(f"{stream}.bytes", b"\xff\x00")
            writer.add(stream, [{"data": {"n": 3}, "tag": f"{stream}.tagged"}])
            seen = [(r["$seq"], r["$tag"], r["data"]) for r in watch.records(3)]
        assert seen == [(1, f"{stream}.json", {"n": 1}), (2, f"{stream}.bytes", {"$base64": "/wA="}),
                        (3, f"{stream}.tagged", {"n": 3})]
        # What is deleted there is not delivered here.
        assert fine(reader.erase(stream, match=["tag", "Eq", f"{stream}.bytes"]))["deleted"] == 1
        assert [(m["subject"], m["payload"]) for m in other.fetch(stream, "all", batch=9)] == [
            (f"{stream}.json", b'{"n": 1}'), (f"{stream}.tagged", b'{"n":3}')]
        assert mq.state(stream)["messages"] == 2
