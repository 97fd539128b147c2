"""The C client library (clients/c), driven through its test program tg_probe (clients contract, sections 3 to 7)."""

import base64
import shutil
import subprocess
import time

import pytest

from harness import gateway as processes
from harness import wait
from harness.client import Client
from harness.gateway import environment, run
from harness.partitioner import COUNTS, VECTORS
from harness.cutting_proxy import Proxy

pytestmark = pytest.mark.http1("that is what this library speaks")

PROBE = processes.BINARY.parent / "tg_probe"
# A body that was cut off ends with this at the latest, so that a gateway which is told to stop need not wait for it. A client
# that stands still for a while between the head of a request and its body has this time.
SETTINGS = {"body_timeout_ms": 6000}
# tg_status
OK, TIMEOUT, END = 0, 1, 2
INVALID, CONNECTION, UNAUTHORIZED, TOPIC_NOT_FOUND, PARTITION_NOT_FOUND = -1, -3, -4, -6, -7
TOPIC_EXISTS, RECORD_TOO_LARGE, QUEUE_FULL, OFFSET_EVICTED = -8, -9, -10, -14
OUT_OF_RANGE, NO_OFFSETS, CLOSED = -15, -16, -21


@pytest.fixture(scope="module", autouse=True)
def _built():
    assert PROBE.exists(), f"{PROBE} does not exist: build the target tg_probe"


def start(verb, url, topic, *arguments, wrapper=(), **options):
    words = [*wrapper, PROBE, verb, url, topic, *arguments, *(f"{name}={value}" for name, value in options.items())]
    return subprocess.Popen(list(map(str, words)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, env=environment())


def finish(process, code=0):
    """The lines it printed; a sanitizer's report, another exit code or a thread left fails."""
    out, complaints = process.communicate(timeout=120 * wait.SLOWNESS)
    assert process.returncode == code, f"{process.returncode}: {complaints}{out[-2000:]}"
    lines = out.splitlines()
    if code == 0:
        assert lines[-1] == "threads 0", lines[-3:]
        lines.pop()
    return lines


def probe(*arguments, code=0, **options):
    return finish(start(*arguments, **options), code)


def records(lines):
    """(partition, offset, timestamp, key, value) of the lines that are records."""
    found = []
    for line in lines:
        words = line.split(" ")
        if words[0].isdigit() and len(words) == 5:
            found.append((int(words[0]), int(words[1]), int(words[2]), words[3], words[4]))
    return found


def status(lines, what):
    [line] = [line for line in lines if line.split(" ")[0] == what]
    return int(line.split(" ")[1])


def stored(lines):
    """{value: (partition, offset)} of a produce run that went well."""
    assert lines[-1] == f"flush {OK}", lines[-3:]
    return {value: (int(partition), int(offset)) for partition, offset, value in (line.split(" ") for line in lines[:-1])}


# ---- producing ----

@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_what_it_produces_is_there_where_it_says(gateway, client, topic4, compression):
    told = stored(probe("produce", gateway.url, topic4, 1000, compression=compression, batch_size=2000))
    assert len(told) == 1000
    there = {m["value"]: (p, m["offset"]) for p in range(4) for m in client.read_all(topic4, p)}
    assert there == told
    # Without keys the records take turns.
    assert [told[f"v-{i}"][0] for i in range(8)] == [0, 1, 2, 3, 0, 1, 2, 3]


@pytest.mark.parametrize("partitions", COUNTS)
def test_keys_land_on_the_partitions_of_the_contract(gateway, client, name, partitions):
    client.make(name, partitions)
    keys = {key.decode(): expected[COUNTS.index(partitions)] for key, _, expected in VECTORS if b"\0" not in key}
    lines = probe("keyed", gateway.url, name, *keys)
    assert dict(line[4:].rsplit(" ", 1) for line in lines) == {key: str(p) for key, p in keys.items()}
    [message] = [m for m in client.read_all(name, keys["rafael"]) if m.get("encoding") and m["key"] == "cmFmYWVs"]
    assert base64.b64decode(message["value"]) == b"\xff\x00 bytes"
    assert abs(message["timestamp"] - time.time() * 1000) < 600_000


def test_an_empty_key_is_no_key_unless_asked_for(gateway, client, name):
    client.make(name, 4)
    assert probe("keyed", gateway.url, name, "", "") == ["key: 0", "key: 1"]
    assert probe("keyed", gateway.url, name, "", "", hash_empty_key=1) == ["key: 3", "key: 3"]
    assert [m["key"] for m in client.read_all(name, 0) + client.read_all(name, 1)] == [None, None]
    assert [m["key"] for m in client.read_all(name, 3)] == ["", ""]


def test_a_batch_that_is_tried_again_is_stored_once(gateway, client, topic4):
    with Proxy(gateway.host, gateway.port) as proxy:
        # The description comes through; then each connection is cut somewhere between its first byte and its third batch.
        process = start("produce", proxy.url, topic4, 4000, wait=1, batch_size=1000, fast_retry=20, name="cut")
        assert process.stdout.readline() == "ready\n"
        proxy.cut_after = (1, 12000)
        proxy.cut_all()
        process.stdin.write("go\n")
        process.stdin.flush()
        told = stored(finish(process))
    assert proxy.cuts > 10
    assert len(told) == 4000
    there = [(m["value"], (p, m["offset"])) for p in range(4) for m in client.read_all(topic4, p)]
    assert len(there) == 4000 and dict(there) == told
    for partition in range(4):  # in the order of sending
        numbers = [int(value[4:]) for value, (p, _) in there if p == partition]
        assert numbers == sorted(numbers)


def test_it_outlives_a_gateway_that_is_killed_and_started_again(gateways, database, client, name):
    [first] = gateways(1)
    client.make(name, 2)
    with Proxy(first.host, first.port) as proxy:
        process = start("produce", proxy.url, name, 3000, batch_size=500, fast_retry=20, name="kill")
        wait.until(lambda: sum(client.ends(name)) > 100, "it began")
        first.kill()
        proxy.cut_all()
        first.start()
        proxy.target = (first.host, first.port)
        told = stored(finish(process))
    there = {m["value"]: (p, m["offset"]) for p in range(2) for m in client.read_all(name, p)}
    assert there == told and sum(client.ends(name)) == 3000


# ---- consuming ----

def test_a_bounded_stream_gives_all_there_is_and_ends(gateway, client, topic4):
    told = stored(probe("produce", gateway.url, topic4, 500))
    lines = probe("consume", gateway.url, topic4, 10000, bounded=1, max_bytes=2000)
    assert status(lines, "next") == END
    assert {m[4].strip('"'): m[:2] for m in records(lines)} == told
    assert all(m[3] == "null" for m in records(lines))


def test_bytes_come_back_as_they_were(gateway, client, topic):
    messages = [{"key": None, "value": ""}, {"key": "", "value": "ü\u0000\n"},
                {"key": base64.b64encode(b"\xff\x00").decode(), "value": "gA==", "encoding": "base64"}]
    client.put(topic, messages)
    lines = probe("consume", gateway.url, topic, 10, bounded=1)
    assert [m[3:] for m in records(lines)] == [("null", '""'), ('""', '"%c3%bc%00%0a"'), ('"%ff%00"', '"%80"')]


STARTS = [("beginning", 0, 0), ("beginning", 3, 3), ("beginning", 99, 10), ("end", 0, 10), ("end", 1, 9), ("end", 99, 0),
          ("absolute", 4, 4), ("absolute", 10, 10)]


@pytest.mark.parametrize(("kind", "value", "first"), STARTS)
def test_a_stream_begins_where_it_is_told(gateway, client, topic, kind, value, first):
    client.put(topic, [{"value": str(i)} for i in range(10)])
    lines = probe("consume", gateway.url, topic, 100, bounded=1, start=kind, value=value)
    assert [m[1] for m in records(lines)] == list(range(first, 10))


def test_a_stream_begins_at_a_time(gateway, client, topic):
    client.put(topic, [{"value": "early"}])
    [early] = client.read_all(topic)
    wait.until(lambda: time.time() * 1000 > early["timestamp"] + 50, "time passed")
    client.put(topic, [{"value": "late"}])
    lines = probe("consume", gateway.url, topic, 100, bounded=1, start="timestamp", value=early["timestamp"] + 1)
    assert [m[4] for m in records(lines)] == ['"late"']


def test_a_live_stream_goes_on_where_it_was_after_its_connection_was_cut(gateway, client, topic4):
    with Proxy(gateway.host, gateway.port) as proxy:
        process = start("consume", proxy.url, topic4, 400)
        assert process.stdout.readline() == "open\n"
        for i in range(4):
            client.put(topic4, [{"value": f"{i}-{k}"} for k in range(100)])
            proxy.cut_all()
        lines = finish(process)
    assert len(records(lines)) == 400 == len({m[:2] for m in records(lines)})
    for partition in range(4):
        assert [m[1] for m in records(lines) if m[0] == partition] == list(range(100))


def test_positions_are_kept_by_strategy(gateway, client, topic):
    client.put(topic, [{"value": str(i)} for i in range(10)])
    seen = lambda lines: [int(m[4].strip('"')) for m in records(lines)]  # noqa: E731
    # auto: each record that was handed out
    assert seen(probe("consume", gateway.url, topic, 3, bounded=1, id="auto", strategy=2)) == [0, 1, 2]
    assert client.committed(topic, "auto") == {0: 3}
    assert seen(probe("consume", gateway.url, topic, 2, bounded=1, id="auto", strategy=2)) == [3, 4]
    # manual: only what was committed and flushed
    assert seen(probe("consume", gateway.url, topic, 4, bounded=1, id="hand", strategy=1)) == [0, 1, 2, 3]
    assert seen(probe("consume", gateway.url, topic, 2, bounded=1, id="hand", strategy=1, commit=1)) == [0, 1]
    assert seen(probe("consume", gateway.url, topic, 1, bounded=1, id="hand", strategy=1)) == [2]
    # none: reads the position, saves nothing
    assert seen(probe("consume", gateway.url, topic, 2, bounded=1, id="auto")) == [5, 6]
    assert client.committed(topic, "auto") == {0: 5}
    # The position is the last record seen, one before the next one wanted.
    assert sorted(probe("positions", gateway.url, topic)[:-1]) == ["position auto 0 4", "position hand 0 1"]
    assert status(probe("forget", gateway.url, topic, "auto"), "forget") == OK
    assert client.get(f"/topics/{topic}/groups/auto").status_code == 404


def test_what_retention_took_is_told(gateway, client, name):
    client.make(name, 1, config={"cap_records": 5})
    for i in range(20):
        client.put(name, [{"value": str(i)}])
    lines = probe("consume", gateway.url, name, 5, start="absolute", value=2)
    assert lines[1] == "gap 0 2 15" and [m[1] for m in records(lines)] == list(range(15, 20))
    lines = probe("consume", gateway.url, name, 5, start="absolute", value=2, no_retry=1)
    assert status(lines, "next") == OFFSET_EVICTED


# ---- errors ----

def test_what_must_fail_says_how(fresh_database, fleet):
    run("migrate", database=fresh_database)
    run("tenant", "create", "acme", database=fresh_database)
    [key] = run("key", "create", "--tenant", "acme", "--scopes", "read,write,delete,admin", database=fresh_database).stdout.split()
    secured = fleet.start(fresh_database)
    with Client(secured.url, key=key) as owner:
        owner.make("errors", 2)
        process = subprocess.run([PROBE, "errors", secured.url, "errors"], env={**environment(), "TIDEGATE_API_KEY": key},
                                 capture_output=True, text=True, check=False, timeout=60 * wait.SLOWNESS)
    assert process.returncode == 0, process.stderr + process.stdout
    told = {line.split(" ")[0]: line.split(" ", 4)[1:] for line in process.stdout.splitlines()[:-1]}
    expected = {"bad_key": (UNAUTHORIZED, 401, 13), "unknown_topic": (TOPIC_NOT_FOUND, 404, 2001), "sizes": (INVALID, 0, 0),
                "oversize": (RECORD_TOO_LARGE, 0, 10), "partition": (PARTITION_NOT_FOUND, 0, 0),
                "beyond": (OUT_OF_RANGE, 0, 1), "no_id": (INVALID, 0, 0), "no_strategy": (NO_OFFSETS, 0, 3004)}
    assert {what: tuple(map(int, words[:3])) for what, words in told.items()} == expected
    assert all(len(words[3].split()) >= 4 for words in told.values()), told


def test_a_server_that_is_not_there_is_a_connection_error():
    [line] = probe("produce", "http://127.0.0.1:1", "none", 1, code=1)
    assert line.startswith(f"connect {CONNECTION} 0 ")


def test_a_full_queue_refuses_and_closing_gives_up(gateway, client, topic):
    with Proxy(gateway.host, gateway.port) as proxy:
        process = start("queue", proxy.url, topic)
        assert process.stdout.readline() == "ready\n"
        proxy.refuse = True
        proxy.cut_all()
        process.stdin.write("go\n")
        process.stdin.flush()
        lines = finish(process)
    assert status(lines, "full") == QUEUE_FULL
    # One a batch: three in the queue, one under way, one open.
    assert 4 <= status(lines, "sent") <= 5
    assert status(lines, "close") == TIMEOUT and status(lines, "first") == CLOSED
    assert sum(client.ends(topic)) == 0


def test_topics_are_made_listed_described_and_deleted(gateway, name):
    lines = probe("admin", gateway.url, name)
    assert (status(lines, "create"), status(lines, "again"), status(lines, "other")) == (OK, OK, TOPIC_EXISTS)
    assert lines.count(f"topic {name} 3") == 2 and "partition 2 0 0" in lines
    assert (status(lines, "delete"), status(lines, "gone")) == (OK, TOPIC_NOT_FOUND)


def test_the_examples_run(gateway, client, topic):
    def example(which, *arguments, text=""):
        done = subprocess.run([PROBE.parent / f"tg_example_{which}", *arguments], input=text, text=True, check=False,
                              capture_output=True, timeout=60 * wait.SLOWNESS,
                              env={**environment(), "TIDEGATE_URL": gateway.url})
        assert done.returncode == 0, done.stderr
        return done.stdout

    def consumes(wanted):
        # It ends after 2 s without a record, which may be before the first one.
        assert wait.until(lambda: example("consume", topic, "reader"), "records come") == wanted

    example("produce", topic, "k", text="one\ntwo\n")
    consumes("0:0 one\n0:1 two\n")
    example("produce", topic, text="three\n")
    consumes("0:2 three\n")
    assert [m["key"] for m in client.read_all(topic)] == ["k", "k", None]


# ---- memory ----

@pytest.mark.skipif(shutil.which("valgrind") is None or wait.SLOWNESS > 1, reason="sanitizers look themselves; needs valgrind")
def test_nothing_leaks(gateway, client, topic4):
    valgrind = ("valgrind", "-q", "--leak-check=full", "--show-leak-kinds=definite,indirect,possible",
                "--errors-for-leak-kinds=definite,indirect,possible", "--error-exitcode=99")
    told = stored(finish(start("produce", gateway.url, topic4, 300, batch_size=1000, compression="zstd", wrapper=valgrind)))
    assert len(told) == 300
    lines = finish(start("consume", gateway.url, topic4, 200, id="v", strategy=2, wrapper=valgrind))
    assert len(records(lines)) == 200
