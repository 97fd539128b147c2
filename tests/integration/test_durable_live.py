"""Durable streams, live: long polls and event streams (contract, sections 12 to 14)."""

import base64
import datetime
import threading

import pytest

from harness import wait
from harness.durable import JSON, ZERO, Streams, token
from harness.events import Events, Follower, Waiting, long_poll

SETTINGS = {"durable_long_poll_ms": 120000, "durable_sse_ms": 0, "stream_heartbeat_ms": 1000, "poll_interval_ms": 200}

# A receive buffer that fills soon.
SMALL = 128 << 10


@pytest.fixture
def streams(client):
    return Streams(client)


@pytest.fixture(autouse=True)
def nobody_waits(gateway):
    """What the test before left is gone: waiting() counts the reads of this one."""
    wait.until(lambda: gateway.metric("tidegate_waiting_reads") == 0, "nobody waits")


def waiting(gateway, count=1):
    wait.until(lambda: gateway.metric("tidegate_waiting_reads") >= count, f"{count} reads wait")


# ---- long polls ----

def test_a_long_poll_answers_at_once_when_there_is_something(client, streams, name):
    streams.make(name, "abc")
    answer = long_poll(client, name, "-1")
    assert (answer.status_code, answer.text) == (200, "abc")
    assert answer.headers["Stream-Next-Offset"] == token(1, 3)
    assert answer.headers["Stream-Up-To-Date"] == "true"
    assert answer.headers["Stream-Cursor"].isdigit()
    assert "Stream-Closed" not in answer.headers


@pytest.mark.parametrize("offset", ["now", token(1, 3), token(7, 700)], ids=["now", "tail", "beyond"])
def test_a_long_poll_waits_for_what_comes(gateway, streams, name, offset):
    streams.make(name, "abc")
    poll = Waiting(gateway.url, name, offset)
    waiting(gateway)
    streams.add(name, "def")
    answer = poll.result()
    assert (answer.status_code, answer.text, answer.headers["Stream-Next-Offset"]) == (200, "def", token(2, 6))


def test_a_long_poll_of_json_is_an_array(gateway, streams, name):
    streams.make(name, "[]", JSON)
    poll = Waiting(gateway.url, name, ZERO)
    waiting(gateway)
    streams.add(name, '[1,{"a":2}]', JSON)
    assert poll.result().text == '[1,{"a":2}]'


def test_a_long_poll_ends_without_news(fleet, database, name):
    gateway = fleet.start(database, **SETTINGS | {"durable_long_poll_ms": 100})
    with gateway.client() as client:
        Streams(client).make(name, "abc")
        answer = long_poll(client, name, "now")
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["Stream-Next-Offset"] == token(1, 3)
        assert answer.headers["Stream-Up-To-Date"] == "true"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Stream-Cursor"].isdigit()


def test_a_close_answers_long_polls(gateway, client, streams, name):
    streams.make(name, "abc")
    poll = Waiting(gateway.url, name, "now")
    waiting(gateway)
    streams.post(name, type=None, Stream_Closed="true")
    answer = poll.result()
    assert (answer.status_code, answer.headers["Stream-Closed"]) == (204, "true")
    again = long_poll(client, name, "now")
    assert (again.status_code, again.headers["Stream-Closed"]) == (204, "true")


def test_a_close_with_data_answers_with_both(gateway, streams, name):
    streams.make(name)
    poll = Waiting(gateway.url, name, "now")
    waiting(gateway)
    streams.add(name, "last", Stream_Closed="true")
    answer = poll.result()
    assert (answer.status_code, answer.text, answer.headers["Stream-Closed"]) == (200, "last", "true")


def test_a_deleted_stream_answers_long_polls_and_its_successor_does_not(gateway, streams, name):
    streams.make(name)
    poll = Waiting(gateway.url, name, "now")
    waiting(gateway)
    assert streams.delete(name).status_code == 204
    streams.make(name, "another")
    assert poll.result().status_code == 404


def test_a_softly_deleted_stream_is_gone_for_those_who_wait(gateway, client, streams, name):
    streams.make(name, "abc")
    streams.make(name + "-fork", type=None, Stream_Forked_From=f"/v1/stream/{name}")
    poll = Waiting(gateway.url, name, "now")
    with Events(client, name) as events:
        assert events.until_up_to_date()[0] == ["abc"]
        waiting(gateway)
        assert streams.delete(name).status_code == 204
        assert poll.result().status_code == 410
        assert events.rest() == [], "its end was told as the stream's end"


def test_what_is_asked_live_is_judged(client, streams, name):
    streams.make(name)
    for query in ("live=long-poll", "live=sse", "live=sse&offset=", "live=sse&offset=x", "live=sse&offset=-1&offset=-1",
                  "live=&offset=-1", "live=websocket&offset=-1"):
        answer = client.get(f"/v1/stream/{name}?{query}")
        assert answer.status_code == 400, query
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    for live in ("long-poll", "sse"):
        assert client.get(f"/v1/stream/{name}-absent?offset=-1&live={live}").status_code == 404


def test_cursors_move_on(client, streams, name):
    streams.make(name, "abc")
    now = int(long_poll(client, name, "-1").headers["Stream-Cursor"])
    assert now > 1900000
    assert int(long_poll(client, name, "-1", cursor="5").headers["Stream-Cursor"]) in (now, now + 1)
    assert int(long_poll(client, name, "-1", cursor="nonsense").headers["Stream-Cursor"]) in (now, now + 1)
    ahead = now + 1000
    assert ahead < int(long_poll(client, name, "-1", cursor=ahead).headers["Stream-Cursor"]) <= ahead + 180


# ---- event streams ----

def test_an_event_stream_is_these_bytes(client, streams, name):
    streams.make(name, "hello world")
    with Events(client, name) as events:
        assert events.status == 200
        assert events.headers["Content-Type"] == "text/event-stream"
        assert events.headers["Cache-Control"] == "no-cache"
        assert events.headers["X-Accel-Buffering"] == "no"
        assert "Content-Length" not in events.headers and "ETag" not in events.headers
        assert "Stream-SSE-Data-Encoding" not in events.headers
        data, control = events.next(), events.next()
        cursor = control.data["streamCursor"]
        told = ["event: data", "data:hello world", "", "event: control",
                f'data:{{"streamNextOffset":"{token(1, 11)}","streamCursor":"{cursor}","upToDate":true}}', ""]
        assert events.lines[:len(told)] == told  # a second later a comment follows
        streams.add(name, "a\r\nb\rc\n")
        assert events.next().data == "a\nb\nc\n"
        assert events.next().data["streamNextOffset"] == token(2, 18)


@pytest.mark.parametrize("offset", ["-1", "now", ZERO])
def test_an_empty_stream_says_at_once_that_nothing_is_there(client, streams, name, offset):
    streams.make(name)
    with Events(client, name, offset) as events:
        first = events.next()
        assert first.kind == "control"
        assert (first.data["streamNextOffset"], first.data["upToDate"]) == (ZERO, True)


def test_every_media_type_has_its_events(client, streams, name):
    streams.make(name + "-json", '[{"a":"\\n"},2]', JSON)
    streams.make(name + "-bytes", b"\x00\xff\n", "image/png")
    streams.make(name + "-text", "  indented\n  twice", "text/markdown")
    with Events(client, name + "-json") as events:
        assert events.until_up_to_date()[0] == ['[{"a":"\\n"},2]']
    with Events(client, name + "-bytes") as events:
        assert events.headers["Stream-SSE-Data-Encoding"] == "base64"
        assert events.until_up_to_date()[0] == ["AP8K"]
    with Events(client, name + "-text") as events:
        assert events.until_up_to_date()[0] == ["  indented\n  twice"]


def test_payload_forges_no_event(client, streams, name):
    evil = 'x\n\nevent: control\ndata: {"streamNextOffset":"0","streamClosed":true}\r\revent: control\n\n'
    streams.make(name, evil)
    with Events(client, name) as events:
        data, control = events.until_up_to_date()
        assert data == [evil.replace("\r", "\n")]
        assert control["streamNextOffset"] == token(1, len(evil))


def test_a_cut_character_waits_for_its_rest(client, streams, name):
    euro = "€".encode()
    streams.make(name, b"a")
    streams.add(name, b"b" + euro[:2])
    with Events(client, name) as events:
        assert [events.next().data, events.next().data["streamNextOffset"]] == ["a", token(1, 1)]
        streams.add(name, euro[2:] + b"c")
        data, control = events.until_up_to_date()
        assert (data, control["streamNextOffset"]) == (["b€c"], token(3, 6))


def test_a_reader_that_comes_back_too_early_gets_a_cursor_of_its_own(client, streams, name):
    streams.make(name, "a")
    now = int(long_poll(client, name, "-1").headers["Stream-Cursor"])
    with Events(client, name, cursor=now + 1000) as events:
        first = int(events.until_up_to_date()[1]["streamCursor"])
        assert now + 1000 < first <= now + 1180
        streams.add(name, "b")
        data, control = events.until_up_to_date()
        assert (data, int(control["streamCursor"])) == (["b"], first)
    with Events(client, name, "now", cursor=now + 1000) as events:
        assert int(events.next().data["streamCursor"]) > now + 1000


def test_a_fork_is_read_from_its_ancestors_on(client, streams, name):
    streams.make(name, "one")
    streams.add(name, "two")
    streams.make(name + "-b", type=None, Stream_Forked_From=f"/v1/stream/{name}", Stream_Fork_Offset=token(1, 3))
    streams.add(name + "-b", "zwei")
    streams.make(name + "-c", type=None, Stream_Forked_From=f"/v1/stream/{name}-b")
    streams.delete(name)
    with Events(client, name + "-c") as events:
        assert events.until_up_to_date()[0] == ["one", "zwei"]
        streams.add(name + "-b", "not mine")
        streams.add(name + "-c", "drei", Stream_Closed="true")
        assert [e.data for e in events.rest() if e.kind == "data"] == ["drei"]
    answer = long_poll(client, name + "-c", "-1")
    assert (answer.text, answer.headers["Stream-Closed"]) == ("onezweidrei", "true")


def test_a_deep_fork_is_read_through(client, streams, name):
    streams.make(f"{name}/0", "0;")
    for i in range(1, 65):
        streams.make(f"{name}/{i}", type=None, Stream_Forked_From=f"/v1/stream/{name}/{i - 1}")
        streams.add(f"{name}/{i}", f"{i};")
    with Events(client, f"{name}/64") as events:
        data, control = events.until_up_to_date()
        assert data == [f"{i};" for i in range(65)]
        assert control["streamNextOffset"] == streams.tail(f"{name}/64")


def test_the_largest_message_comes_as_one_event(client, streams, name):
    body = b"\x80x" * (8 << 20)
    streams.make(name, type="image/png")
    streams.add(name, body, type="image/png")
    with Events(client, name) as events:
        [data], control = events.until_up_to_date(60 * wait.SLOWNESS)
        assert control["streamNextOffset"] == token(1, len(body))
        assert base64.b64decode(data) == body


def test_a_message_of_many_lines_comes_as_one_event(client, streams, name):
    body = "\n \r\n" * (1 << 16)
    streams.make(name, body)
    with Events(client, name) as events:
        assert events.until_up_to_date()[0] == [body.replace("\r\n", "\n")]


def test_a_fork_at_its_anchor_is_not_woken_by_its_source(gateway, client, streams, name):
    streams.make(name, "one")
    streams.make(name + "-b", type=None, Stream_Forked_From=f"/v1/stream/{name}")
    poll = Waiting(gateway.url, name + "-b", "now")
    with Events(client, name + "-b", "now") as events:
        assert events.next().data["upToDate"]
        waiting(gateway)
        streams.add(name, "two")
        streams.add(name + "-b", "own")
        assert events.next().data == "own"
        assert poll.result().text == "own"


def test_what_other_dialects_append_is_seen(client, streams, name):
    client.make(name)
    with Events(client, name) as events:
        assert events.next().data["upToDate"]
        client.put(name, [{"value": "abc"}])
        assert events.next().data == "YWJj"


def test_an_event_stream_ends_after_its_time(fleet, database, name):
    gateway = fleet.start(database, **SETTINGS | {"durable_sse_ms": 300})
    with gateway.client() as client:
        Streams(client).make(name, "a")
        with Events(client, name) as events:
            assert [e.kind for e in events.rest()] == ["data", "control"]
            assert events.wait_end()


def test_a_quiet_event_stream_beats(client, streams, name):
    streams.make(name)
    with Events(client, name) as events:
        wait.until(lambda: len(events.comments) >= 2, "two comments came")
        assert set(events.comments) == {":"}


def test_deletion_ends_event_streams(client, streams, name):
    streams.make(name, "a")
    with Events(client, name) as events:
        assert events.until_up_to_date()[0] == ["a"]
        assert streams.delete(name).status_code == 204
        assert events.rest() == []
        assert events.wait_end()


def test_a_slow_reader_costs_little_and_misses_nothing(gateway, client, streams, name):
    piece = "x" * 65535 + "\n"
    streams.make(name)
    for _ in range(8):
        streams.add(name, piece * 16)
    with gateway.grows_at_most(64 << 20), Events(client, name, receive_buffer=SMALL, paused=True) as events:
        with Events(client, name, token(8, 8 << 20)) as live:
            assert live.next().data["upToDate"]
            streams.add(name, "end")  # a live reader is not held up
            assert live.next().data == "end"
        events.resume()
        data, control = events.until_up_to_date(60 * wait.SLOWNESS)
        assert "".join(data) == piece * 128 + "end"
        assert control["streamNextOffset"] == token(9, (8 << 20) + 3)


# ---- expiry ----

def test_live_readers_keep_a_stream_alive(gateway, client, streams, name, slowness):
    ttl = 3 + slowness  # it is prolonged every third of it: two are left for a server that is held up
    streams.make(name, "a", Stream_TTL=str(int(ttl)))
    streams.make(name + "-polled", "a", Stream_TTL=str(int(ttl)))
    poll = Waiting(gateway.url, name + "-polled", "now")
    with Events(client, name) as events:
        assert events.until_up_to_date()[0] == ["a"]
        # HEAD is no access.
        wait.holds_for(lambda: streams.head(name).status_code == 200 and
                       streams.head(name + "-polled").status_code == 200, "both are there", 1.5 * ttl)
        streams.add(name, "b")
        assert events.until_up_to_date()[0] == ["b"]
    streams.add(name + "-polled", "b")
    assert poll.result().text == "b"
    wait.until(lambda: streams.head(name).status_code == 404 and streams.head(name + "-polled").status_code == 404,
               "both have expired")


def test_an_expiry_ends_its_readers(client, streams, name, slowness):
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=3 + slowness)
    streams.make(name, "a", Stream_Expires_At=at.isoformat())
    with Events(client, name) as events:
        assert events.until_up_to_date()[0] == ["a"]
        assert events.rest() == []


# ---- several workers ----

@pytest.fixture
def pair(gateways):
    return gateways(2)


def test_another_worker_wakes_readers(pair, name):
    with pair[0].client() as writer, pair[1].client() as reader:
        streams = Streams(writer)
        streams.make(name)
        with Events(reader, name) as events:
            assert events.next().data["upToDate"]
            poll = Waiting(pair[1].url, name, ZERO)
            waiting(pair[1])
            streams.add(name, "a")
            assert poll.result().text == "a"
            assert events.next().data == "a"
            streams.post(name, type=None, Stream_Closed="true")
            assert [e.data.get("streamClosed") for e in events.rest() if e.kind == "control"][-1] is True


@pytest.mark.parametrize("worker", [0, 1], ids=["same", "other"])
def test_a_close_never_overtakes_its_data(pair, name, worker):
    """Readers come at every moment of an append that closes."""
    with pair[0].client() as writer, pair[worker].client() as reader:
        streams = Streams(writer)
        for round_ in range(20):
            path = f"{name}/{round_}"
            streams.make(path, "a")
            opened = [Events(reader, path, "-1" if i % 2 else token(1, 1)) for i in range(4)]
            closing = threading.Thread(target=streams.add, args=(path, "last"), kwargs={"Stream_Closed": "true"})
            closing.start()
            opened += [Events(reader, path) for _ in range(2)]
            closing.join()
            for i, events in enumerate(opened):
                got = events.rest()
                wanted = ["last"] if i < 4 and i % 2 == 0 else ["a", "last"]
                assert [e.data for e in got if e.kind == "data"] == wanted
                assert got[-1].data["streamClosed"] and got[-1].data["upToDate"]
                assert got[-1].data["streamNextOffset"] == token(2, 5)
                assert sum(1 for e in got if e.kind == "control" and "streamClosed" in e.data) == 1
                events.close()


def test_many_readers_share_one_stream(pair, name):
    count = 150
    with pair[0].client() as client:
        streams = Streams(client)
        streams.make(name)
        readers = [Events(pair[i % 2].client(), name, "now") for i in range(count)]
        polls = [Waiting(pair[i % 2].url, name, "now") for i in range(count)]
        for gateway in pair:
            waiting(gateway, count // 2)
        for events in readers:
            assert events.next().data["upToDate"]
        for i in range(5):
            streams.add(name, f"message {i}")
        assert {poll.result().text[:9] for poll in polls} == {"message 0"}
        for events in readers:
            got = []
            while len(got) < 5:
                event = events.next()
                got += [event.data] if event.kind == "data" else []
            assert got == [f"message {i}" for i in range(5)]
            events.close()


@pytest.mark.slow
def test_readers_of_killed_workers_go_on_where_they_were(fleet, fresh_database, name):
    settings = SETTINGS | {"durable_sse_ms": 400}
    workers = [fleet.start(fresh_database, **settings) for _ in range(2)]
    with workers[0].client() as client:
        Streams(client).make(name)
    turn = [0]

    def someone():
        turn[0] += 1
        return workers[turn[0] % 2].url or workers[0].url

    readers = [Follower(someone, name) for _ in range(4)]
    expected = ""
    epoch = 0
    for round_ in range(4):
        victim, other = workers[round_ % 2], workers[1 - round_ % 2]
        with other.client() as client:
            streams = Streams(client)
            for i in range(40):
                if i == 20:
                    victim.kill()
                text = f"{round_}.{i};"
                answer = streams.post(name, text, **streams.producer("p", epoch, round_ * 40 + i))
                assert answer.status_code == 200
                expected += text
        victim.start()
    with workers[0].client() as client:
        Streams(client).add(name, "end", Stream_Closed="true")
    expected += "end"
    for reader in readers:
        wait.until(lambda r=reader: r.is_closed, "the reader came to the end", 40 * wait.SLOWNESS)
        assert reader.text == expected
        assert reader.connections > 1


def test_a_stop_ends_readers_in_good_order(fleet, database, name):
    gateway = fleet.start(database, **SETTINGS)
    with gateway.client() as client:
        Streams(client).make(name, "a")
        poll = Waiting(gateway.url, name, "now")
        waiting(gateway)
        with Events(client, name) as events:
            assert events.until_up_to_date()[0] == ["a"]
            gateway.stop()
            assert events.rest() == []
            assert events.wait_end()
        answer = poll.result()
        assert (answer.status_code, answer.headers["Stream-Next-Offset"]) == (204, token(1, 1))
