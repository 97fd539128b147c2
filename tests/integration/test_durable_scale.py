"""Large durable streams, many readers and many forks of one, in bounded memory. TIDEGATE_TEST_SCALE=16 makes them as large as
they are said to go: 1 GiB, 100 000 appends, 5000 readers of each kind, 10 000 forks."""

import concurrent.futures
import os

import pytest

from harness import raw, wait
from harness.crowd import Crowd
from harness.durable import Streams, token
from harness.events import Events

SCALE = int(os.environ.get("TIDEGATE_TEST_SCALE", "1"))
SETTINGS = {"durable_long_poll_ms": 600000, "durable_sse_ms": 0}
MIB = 1 << 20
STREAM_MIB = 64 * SCALE
READERS = 313 * SCALE
APPENDS = 6250 * SCALE
FORKS = 625 * SCALE
CONNECTIONS = 16
PATIENCE_S = wait.DEADLINE_S * (1 + SCALE)

# What a client takes at a time, slowly.
SMALL = 64 << 10

pytestmark = pytest.mark.slow


def block(number):
    """64 lines."""
    return (f"{number:07d} " * 2047 + f"{number:07d}\n").encode() * 64


@pytest.fixture(scope="module")
def large(gateway):
    """A stream of blocks of 1 MiB."""
    with gateway.client() as client:
        streams = Streams(client)
        streams.make("large")
        for number in range(STREAM_MIB):
            streams.add("large", block(number))
    return "large"


def test_a_large_stream_is_caught_up_with_slowly(large, gateways):
    [fresh] = gateways(1)
    offset, number = "-1", 0
    with fresh.peaks_at_most(48 * MIB), raw.Connection(fresh, receive_buffer=SMALL) as connection:
        while number < STREAM_MIB:
            connection.send(f"GET /v1/stream/{large}?offset={offset} HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = connection.receive()
            assert answer.status == 200
            for at in range(0, len(answer.body), MIB):
                assert answer.body[at:at + MIB] == block(number), number
                number += 1
            offset = answer.headers["Stream-Next-Offset"]
    assert offset == token(STREAM_MIB, STREAM_MIB * MIB)


def test_a_large_stream_is_followed_slowly(large, gateways):
    [fresh] = gateways(1)
    with fresh.peaks_at_most(48 * MIB), Events(fresh.client(), large, receive_buffer=SMALL, paused=True) as events:
        wait.until(lambda: fresh.resident_bytes() > 0, "the reader is there")
        events.resume()
        for number in range(STREAM_MIB):
            assert events.next(PATIENCE_S).data.encode() == block(number), number
            assert events.next(PATIENCE_S).data["streamNextOffset"] == token(number + 1, (number + 1) * MIB)


def test_many_wait_at_one_stream(gateways, name):
    [fresh] = gateways(1)
    with fresh.client() as client:
        streams = Streams(client)
        streams.make(name)
        path = f"/v1/stream/{name}?offset=-1&live="
        with fresh.peaks_at_most(READERS * 2 * 32 * 1024 + 32 * MIB), \
                Crowd(fresh.url, [path + "long-poll"] * READERS) as polls, Crowd(fresh.url, [path + "sse"] * READERS) as events:
            wait.until(lambda: client.metric("tidegate_waiting_reads") == READERS, "all long polls wait", deadline_s=PATIENCE_S)
            events.wait_for('"upToDate":true', "all event streams are up to date")
            streams.make(name + "-other")
            for number in range(100):  # appends are none of their business
                streams.add(name + "-other", "x")
            streams.add(name, "the first message")
            for crowd in (polls, events):
                crowd.wait_for("the first message", "everybody has the message")
            for got in polls.received:
                assert got.startswith(b"HTTP/1.1 200 ") and got.endswith(b"\r\n\r\nthe first message")
            streams.add(name, "the second message", Stream_Closed="true")
            events.wait_for('"streamClosed":true', "everybody knows that it has ended")
            assert all(got.count(b"data:the ") == 2 for got in events.received)


def at_once(gateway, work, count):
    """work(streams, i) for every i, over several connections."""
    def share(first):
        with gateway.client() as client:
            return [work(Streams(client), i) for i in range(first, count, CONNECTIONS)]
    with concurrent.futures.ThreadPoolExecutor(CONNECTIONS) as pool:
        return [result for results in pool.map(share, range(CONNECTIONS)) for result in results]


def test_many_small_appends_are_all_there(gateways, name):
    [fresh] = gateways(1)
    with fresh.client() as client:
        streams = Streams(client)
        streams.make(name)
        with fresh.peaks_at_most(48 * MIB):
            ends = at_once(fresh, lambda own, i: (own.add(name, f"{i:07d}\n"), i), APPENDS)
            data, offset = b"", "-1"
            while len(data) < APPENDS * 8:
                answer = streams.get(name, offset)
                data += answer.content
                offset = answer.headers["Stream-Next-Offset"]
    assert offset == token(APPENDS, APPENDS * 8)
    assert [end for end, _ in sorted(ends)] == [token(n + 1, (n + 1) * 8) for n in range(APPENDS)]
    assert [i for _, i in sorted(ends)] == [int(line) for line in data.split()]


def test_many_forks_of_one_source(gateways, name):
    [fresh] = gateways(1)
    with fresh.client() as client:
        streams = Streams(client)
        streams.make(name, "source")
        with fresh.peaks_at_most(48 * MIB):
            at_once(fresh, lambda own, i: own.make(f"{name}/{i}", f" {i}", type=None, Stream_Forked_From=f"/v1/stream/{name}"), FORKS)
            assert streams.delete(name).status_code == 204
            assert all(at_once(fresh, lambda own, i: own.read(f"{name}/{i}") == f"source {i}".encode(), FORKS))
            assert streams.head(name).status_code == 410
            assert set(at_once(fresh, lambda own, i: own.delete(f"{name}/{i}").status_code, FORKS)) == {204}
            assert streams.head(name).status_code == 404
