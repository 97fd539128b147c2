"""Large durable streams and many readers of one, in bounded memory. TIDEGATE_TEST_SCALE=16 makes them as large as the figures
in docs/benchmarks.md: 1 GiB, 5000 readers of each kind."""

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
            wait.until(lambda: waiting(client) == READERS, "all long polls wait", deadline_s=PATIENCE_S)
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


def waiting(client):
    lines = client.get("/metrics").text.splitlines()
    return next(int(float(line.split()[1])) for line in lines if line.startswith("tidegate_waiting_reads "))
