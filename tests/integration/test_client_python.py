"""clients/python against a real gateway (clients contract, sections 3 to 10, 12 and 16)."""

import asyncio
import http.server
import importlib.util
import itertools
import pathlib
import signal
import ssl
import subprocess
import sys
import threading
import time

import pytest

from harness import wait
from harness.cutting_proxy import Proxy
from harness.gateway import ROOT, run
from harness.meddler import AFTER, BEFORE, HALF, Meddler
from harness.partitioner import COUNTS, VECTORS
from harness.proxy import HAPROXY

sys.path.insert(0, str(ROOT / "clients" / "python" / "src"))
tidegate = pytest.importorskip("tidegate", reason="the client needs Python 3.11")

from tidegate import (Compression, ConsumerConfig, ConsumerConfigExtBuilder, DeliverySemantic, ErrorKind,  # noqa: E402
                      Fluvio, FluvioConfig, FluvioError, Offset, OffsetManagementStrategy, RetryMode, RetryPolicy,
                      RetryStrategy, SiphashRoundRobinPartitioner, TopicProducerConfigBuilder, TopicSpec,
                      partition_for_key)
from tidegate.batch import FIXED_BYTES, content_bytes  # noqa: E402
from tidegate.batch import record_bytes as bytes_of_content  # noqa: E402

pytestmark = pytest.mark.http1("that is what this library speaks")

HOUR_MS = 3_600_000
QUICK = RetryPolicy(max_retries=6, initial_delay_ms=1, strategy=RetryStrategy.FIXED)


def record_bytes(key, value, age_ms, index):
    return bytes_of_content(content_bytes(key, value), age_ms, index)


EXAMPLES = sorted((ROOT / "clients" / "python" / "examples").glob("*.py"))


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    before = set(threading.enumerate())
    yield
    wait.until(lambda: not [t for t in set(threading.enumerate()) - before if t.name.startswith("tidegate")],
               "every thread of the library has ended")


@pytest.fixture
def fluvio(gateway):
    with Fluvio.connect_with_config(FluvioConfig.new(gateway.url)) as made:
        yield made


@pytest.fixture
def meddler(gateway):
    with Meddler(gateway.url) as made:
        yield made


@pytest.fixture
def through(meddler):
    """A client whose connections the meddler can break."""
    with Fluvio.connect_with_config(FluvioConfig.new(meddler.url)) as made:
        yield made


def builder(linger=0, **values):
    made = TopicProducerConfigBuilder().linger(linger)
    for name, value in values.items():
        getattr(made, name)(value)
    return made


def producer(client, topic, **values):
    return client.topic_producer_with_config(topic, builder(**values).build())


def bounded(client, topic, offset=None, partition=None):
    consumer = client.multi_partition_consumer(topic) if partition is None else client.partition_consumer(topic, partition)
    with consumer.stream_with_config(offset or Offset.beginning(), ConsumerConfig().disable_continuous()) as stream:
        return list(stream)


def take(stream, count):
    return [next(stream) for _ in range(count)]


def put(client, topic, *values, partition=None):
    with producer(client, topic) as p:
        outputs = [p.send(None, value, partition=partition) for value in values]
        p.flush()
        return [output.wait().offset() for output in outputs]


def fails(kind, call, *arguments, **named):
    with pytest.raises(FluvioError) as caught:
        call(*arguments, **named)
    assert caught.value.kind is kind, caught.value
    assert len(caught.value.message.split()) >= 3
    return caught.value


# ---- pure rules ----

def test_keys_of_the_table_hash_to_their_partitions():
    for key, _, expected in VECTORS:
        assert tuple(partition_for_key(key, count) for count in COUNTS) == expected
    assert [partition_for_key(b"", count) for count in COUNTS] == [1, 2, 3, 4, 7, 19]


def test_no_key_takes_turns_and_an_empty_one_is_none_unless_asked():
    turns = SiphashRoundRobinPartitioner()
    assert [turns.partition(key, b"", 3) for key in (None, b"", None, b"a", b"")] == [0, 1, 2, 1, 0]
    assert SiphashRoundRobinPartitioner(hash_empty_key=True).partition(b"", b"", 4) == 3


def test_retry_delays_are_fluvios():
    def delays(count=None, **values):
        policy = RetryPolicy(**values) if count is None else RetryPolicy(max_retries=count, **values)
        return list(policy.delays_ms())

    assert delays() == [20, 400, 8_000, 160_000]
    assert delays(5, initial_delay_ms=10, max_delay_ms=3_000) == [10, 100, 1_000, 3_000, 3_000]
    assert delays(5, initial_delay_ms=10, strategy=RetryStrategy.FIBONACCI) == [10, 10, 20, 30, 50]
    assert delays(2, strategy=RetryStrategy.FIXED) == [20, 20]
    assert delays(0) == []


def test_a_record_counts_as_in_a_batch_of_fluvios():
    assert record_bytes(None, b"x" * 10, 0, 0) == 1 + 1 + 1 + 1 + 1 + 1 + 10 + 1
    assert record_bytes(b"key", b"", 64, 8191) == 1 + 1 + 2 + 2 + 1 + 1 + 3 + 1 + 1
    assert record_bytes(None, b"x" * 64, 0, 0) == 2 + 1 + 1 + 1 + 1 + 2 + 64 + 1


def test_offsets_resolve_within_what_is_kept():
    from tidegate.record import PartitionBounds
    kept = PartitionBounds(10, 20)
    table = [(Offset.beginning(), 10, 15), (Offset.from_beginning(3), 13, 18), (Offset.from_beginning(99), 20, 20),
             (Offset.end(), 20, 15), (Offset.from_end(1), 19, 14), (Offset.from_end(99), 10, 10),
             (Offset.absolute(5), 5, 5), (Offset.absolute(12), 12, 12)]
    for offset, fresh, stored_15 in table:
        assert (offset.resolve(kept, None), offset.resolve(kept, 15)) == (fresh, stored_15), offset
    assert Offset.beginning().resolve(kept, 3) == 10
    fails(ErrorKind.NEGATIVE_OFFSET, Offset.absolute, -1)


def test_bad_settings_are_refused_when_they_are_built():
    fails(ErrorKind.CLIENT_CONFIG, TopicProducerConfigBuilder().batch_size(11).max_request_size(10).build)
    fails(ErrorKind.CLIENT_CONFIG, TopicProducerConfigBuilder().linger(-1).build)
    fails(ErrorKind.CONSUMER_CONFIG, ConsumerConfigExtBuilder("t").offset_strategy().build)
    for endpoint in ("ftp://host", "host:port", "http://" + "a" * 64, "http://host/ü", "http://host/a b", "http://host?x"):
        fails(ErrorKind.CLIENT_CONFIG, FluvioConfig.new, endpoint)
    for key in ("read from a file\n", "ключ"):
        fails(ErrorKind.CLIENT_CONFIG, FluvioConfig, "host", key=key)
        fails(ErrorKind.CLIENT_CONFIG, FluvioConfig("host").set_client_id, key)
    assert FluvioConfig("bücher.example:1").endpoint == "http://xn--bcher-kva.example:1"
    fails(ErrorKind.UNSUPPORTED, ConsumerConfig().smartmodule, name="filter")
    for text in ("at_most_once", "at-most-once", "AtMostOnce", "atMostOnce", "atmostonce"):
        assert DeliverySemantic.parse(text) is DeliverySemantic.AtMostOnce
    assert Compression.parse("GZIP") is Compression.Gzip


def test_the_configuration_comes_from_variables_or_a_profile(tmp_path, monkeypatch):
    path = tmp_path / "profiles.toml"
    path.write_text('current = "b"\n[profile.a]\nendpoint = "a:1"\n[profile.b]\nendpoint = "https://b/x"\nkey = "k"\n')
    monkeypatch.setenv("TIDEGATE_PROFILES", str(path))
    monkeypatch.delenv("TIDEGATE_URL", raising=False)
    monkeypatch.delenv("TIDEGATE_API_KEY", raising=False)
    assert (FluvioConfig.load().endpoint, FluvioConfig.load().key) == ("https://b:443/x", "k")
    assert FluvioConfig.load("a").endpoint == "http://a:1"
    fails(ErrorKind.CLIENT_CONFIG, FluvioConfig.load, "c")
    monkeypatch.setenv("TIDEGATE_URL", "c:2")
    assert FluvioConfig.load().endpoint == "http://c:2"


# ---- producing ----

def test_a_send_gives_partition_and_offset_once(fluvio, topic):
    with producer(fluvio, topic) as p:
        first, second = p.send("key", "one"), p.send_string("two")
        p.flush()
        assert [(m.offset(), m.partition_id()) for m in (first.wait(), second.wait())] == [(0, 0), (1, 0)]
        assert first.wait() is None


def test_keys_land_where_fluvio_puts_them(fluvio, client, name):
    client.make(name, 5)
    with producer(fluvio, name) as p:
        outputs = p.send_all([("rafael", "1"), ("tabitha", "2"), ("samuel", "3")])
        assert [output.wait().partition_id() for output in outputs] == [3, 2, 4]


def test_bytes_come_back_as_they_were_sent(fluvio, topic):
    pairs = [(None, b""), (b"key", b"text"), (b"\x00\xff\x80\n", b"\xfe\x00"), ("ключ".encode(), b"\x00\n\"\\"),
             (b"text", bytes(range(256))), (b"\xff", b"text"), (bytearray(b"a"), [1, 2, 3])]
    before_ms = int(time.time() * 1000)
    with producer(fluvio, topic) as p:
        p.send_all(pairs)
        p.send(b"", b"empty key", timestamp_ms=12345)
    records = bounded(fluvio, topic)
    assert [(r.key(), r.value()) for r in records[:-1]] == [(None if k is None else bytes(k), bytes(v)) for k, v in pairs]
    assert (records[-1].key(), records[-1].key_string(), records[-1].timestamp()) == (None, "", 12345)
    assert all(before_ms <= r.timestamp() <= time.time() * 1000 for r in records[:-1])
    assert [r.offset() for r in records] == list(range(8))
    with producer(fluvio, topic) as p:
        fails(ErrorKind.CLIENT_CONFIG, p.send, None, b"x", timestamp_ms=-1)
    with pytest.raises(UnicodeDecodeError):
        records[2].value_string()


def test_what_is_neither_bytes_nor_text_is_refused(fluvio, topic):
    with producer(fluvio, topic) as p:
        for value in (3, None, 1.5, {"a": 1}):  # bytes(3) would be three zeros
            with pytest.raises(TypeError, match="bytes or text, not"):
                p.send(None, value)
        with pytest.raises(TypeError, match="bytes or text, not int"):
            p.send(3, b"")
    assert bounded(fluvio, topic) == []


@pytest.mark.parametrize("compression", list(Compression), ids=lambda c: c.value)
def test_every_compression_stores_the_same(fluvio, topic, compression):
    values = [b"value %d \xff" % n * 20 for n in range(200)]
    with producer(fluvio, topic, compression=compression, linger=20) as p:
        for value in values:
            p.send(b"k", value)
    assert [r.value() for r in bounded(fluvio, topic)] == values


def test_a_compression_that_is_not_installed_says_what_to_install(fluvio, topic, monkeypatch):
    monkeypatch.setitem(sys.modules, "cramjam", None)
    error = fails(ErrorKind.COMPRESSION, producer, fluvio, topic, compression=Compression.Snappy)
    assert "tidegate[snappy]" in error.message and error.code == 9000


def test_batches_end_where_fluvios_do(through, meddler, topic):
    """Each record of 91 takes 100 bytes: 61 + 3 * 100 is exactly the size, 61 + 400 is too much."""
    value = b"x" * 91
    assert record_bytes(None, value, 0, 0) == 100
    with producer(through, topic, linger=HOUR_MS, batch_size=FIXED_BYTES + 300) as p:
        full = [p.send(None, value) for _ in range(3)]
        assert [output.wait().offset() for output in full] == [0, 1, 2]  # without a flush
        p.send(None, value)
        p.send(None, value)
        p.send(None, value + b"x")  # a byte too much: opens the next batch
        big = p.send(None, b"y" * 1000)  # alone
        assert big.wait().offset() == 6
        p.send(None, value)
        assert [len(batch) for batch in meddler.batches] == [3, 2, 1, 1]
    assert [len(batch) for batch in meddler.batches] == [3, 2, 1, 1, 1]


def test_waiting_does_not_send_but_linger_does(through, meddler, topic):
    with producer(through, topic, linger=HOUR_MS) as p:
        output = p.send(None, "lone")
        fails(ErrorKind.GET_RECORD_METADATA, output.wait, timeout_ms=50)
        assert meddler.batches == []
        p.flush()
        assert output.wait().offset() == 0
    with producer(through, topic, linger=300) as p:
        began = time.monotonic()
        assert p.send(None, "lone").wait().offset() == 1
        assert time.monotonic() - began >= 0.29


def test_a_flush_returns_when_everything_is_stored(fluvio, client, topic4):
    with producer(fluvio, topic4, linger=HOUR_MS) as p:
        for n in range(1000):
            p.send(None, str(n))
        p.flush()
        assert client.ends(topic4) == [250, 250, 250, 250]


def test_a_record_that_is_too_large_is_refused_and_nothing_is_queued(fluvio, topic):
    with producer(fluvio, topic, max_request_size=1000, batch_size=500) as p:
        error = fails(ErrorKind.RECORD_TOO_LARGE, p.send, None, b"x" * 1000)
        assert "1000" in error.message
        p.flush()
    assert bounded(fluvio, topic) == []


def test_closing_stores_what_was_queued(fluvio, topic):
    with producer(fluvio, topic, linger=HOUR_MS) as p:
        p.send(None, "queued")
    assert [r.value_string() for r in bounded(fluvio, topic)] == ["queued"]
    fails(ErrorKind.PRODUCER_CLOSED, p.send, None, "late")


@pytest.mark.parametrize("deed", [BEFORE, AFTER, HALF])
def test_a_connection_that_breaks_anywhere_stores_once(through, meddler, client, topic, deed):
    meddler.plan = [None, deed, deed, None, deed]
    with producer(through, topic, retry_policy=QUICK) as p:
        for n in range(20):
            assert p.send(None, str(n)).wait().offset() == n
    assert [m["value"] for m in client.read_all(topic)] == [str(n) for n in range(20)]
    assert not meddler.plan


def test_a_connection_cut_after_any_number_of_bytes_stores_once(gateway, client, topic):
    """At every byte of the request and of its answer, up to the first exchange that is whole."""
    patient = RetryPolicy(max_retries=1000, initial_delay_ms=1, strategy=RetryStrategy.FIXED)
    with Proxy(gateway.host, gateway.port) as proxy, \
            Fluvio.connect_with_config(FluvioConfig.new(proxy.url)) as through, \
            producer(through, topic, retry_policy=patient) as p:
        for number in itertools.count():
            proxy.cut_all()
            proxy.cuts = 0
            proxy.cut_after = (number, number)
            output = p.send(b"key", b"%d" % number)
            wait.until(lambda output=output: proxy.cuts or output.is_settled, "it is cut, or stored", pause_s=0)
            proxy.cut_after = None
            assert output.wait().offset() == number
            if not proxy.cuts:
                break
    assert number > 300
    assert [m["value"] for m in client.read_all(topic)] == [str(n) for n in range(number + 1)]


def test_at_most_once_sends_once_and_reports_it(through, meddler, client, topic):
    meddler.plan = [AFTER]
    with producer(through, topic, delivery_semantic=DeliverySemantic.AtMostOnce) as p:
        error = fails(ErrorKind.SOCKET, p.send(None, "once").wait)
        assert error.retryable and "Producer-Id" not in meddler.headers[0]
        p.clear_errors()
        p.send(None, "next")
    assert [m["value"] for m in client.read_all(topic)] == ["once", "next"]


def test_a_failed_partition_refuses_until_errors_are_cleared(through, meddler, client, topic4):
    never = RetryPolicy(max_retries=0)
    p = producer(through, topic4, retry_policy=never, linger=HOUR_MS)
    meddler.plan = [AFTER]
    lost = p.send(None, "lost?", partition=1)
    error = fails(ErrorKind.SOCKET, p.flush)
    assert list(error.errors) == [1] and error.partition == 1
    fails(ErrorKind.SOCKET, lost.wait)
    fails(ErrorKind.SOCKET, p.send, None, "refused", partition=1)
    p.send(None, "elsewhere", partition=2)
    fails(ErrorKind.SOCKET, p.flush)  # still
    p.clear_errors()
    output = p.send(None, "after", partition=1)
    p.close()
    # What was sent before may have been stored; what comes after is not taken for its repetition.
    assert output.wait().offset() == 1
    assert [m["value"] for m in client.read_all(topic4, 1)] == ["lost?", "after"]


def test_a_full_queue_waits_and_then_says_so(through, meddler, topic, monkeypatch):
    monkeypatch.setattr("tidegate.producer.QUEUE_WAIT_S", 0.2)
    p = producer(through, topic, batch_size=100, batch_queue_size=2, linger=HOUR_MS,
                 retry_policy=RetryPolicy(max_retries=1, initial_delay_ms=HOUR_MS, timeout_ms=2 * HOUR_MS,
                                          max_delay_ms=2 * HOUR_MS))
    meddler.plan = [BEFORE]
    p.send(None, b"x" * 100)
    wait.until(lambda: meddler.batches, "the first batch is under way")
    p.send(None, b"x" * 100)
    p.send(None, b"x" * 100)
    error = fails(ErrorKind.BATCH_QUEUE_WAIT_TIMEOUT, p.send, None, b"x" * 100)
    assert error.retryable
    error = fails(ErrorKind.FLUSH_TIMEOUT, p.close, deadline_ms=50)


def test_an_unknown_topic_fails_when_the_producer_is_made(fluvio, name):
    error = fails(ErrorKind.TOPIC_NOT_FOUND, fluvio.topic_producer, name)
    assert (error.code, error.http_status, error.topic) == (2001, 404, name)
    fails(ErrorKind.TOPIC_NOT_FOUND, fluvio.partition_consumer, name, 0)


def test_a_topic_that_goes_away_is_an_error_of_the_flush(fluvio, client, topic):
    p = producer(fluvio, topic, linger=HOUR_MS)
    p.send(None, "x")
    assert client.request("DELETE", f"/topics/{topic}").status_code == 200
    fails(ErrorKind.TOPIC_NOT_FOUND, p.close)


def test_one_partition_only(fluvio, topic4):
    with fluvio.topic_producer_with_config(topic4, builder().set_specific_partitioner(2).build()) as p:
        assert p.send("rafael", "x").wait().partition_id() == 2
    fails(ErrorKind.PARTITION_NOT_FOUND, fluvio.topic_producer_with_config, topic4,
          builder().set_specific_partitioner(4).build())


def test_a_callback_hears_of_every_batch(fluvio, topic):
    events = []
    with fluvio.topic_producer_with_config(topic, builder(linger=HOUR_MS).callback(events.append).build()) as p:
        p.send_all([(None, "a"), (None, "b")])
    (event,) = events
    assert (event.records, event.partition, event.error) == (2, 0, None)
    assert event.bytes == FIXED_BYTES + 2 * record_bytes(None, b"a", 0, 0)


def test_many_threads_may_send(fluvio, topic4):
    with producer(fluvio, topic4, linger=5) as p:
        def work(worker):
            for n in range(300):
                p.send(f"{worker}", f"{worker}:{n}")

        threads = [threading.Thread(target=work, args=(w,)) for w in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    seen = {}
    for record in bounded(fluvio, topic4):
        seen.setdefault(record.key_string(), []).append(int(record.value_string().split(":")[1]))
    assert seen == {str(w): list(range(300)) for w in range(4)}


def test_new_partitions_are_noticed(fluvio, client, topic, monkeypatch):
    monkeypatch.setattr("tidegate.producer.REFRESH_S", 0.0)
    with producer(fluvio, topic) as p:
        assert p.send("rafael", "x").wait().partition_id() == 0
        with fluvio.admin() as admin:
            admin.add_partitions(topic, 5)
        wait.until(lambda: p.send("rafael", "x").wait().partition_id() == 3, "the key goes to its new partition")


def test_a_gateway_that_is_started_anew_loses_and_repeats_nothing(database, fleet, client, topic):
    worker = fleet.start(database)
    port = worker.port
    with Fluvio.connect_with_config(FluvioConfig.new(worker.url)) as fluvio, \
            fluvio.partition_consumer(topic, 0).stream(Offset.beginning()) as stream, \
            producer(fluvio, topic, retry_policy=RetryPolicy(max_retries=200, initial_delay_ms=50,
                                                             strategy=RetryStrategy.FIXED)) as p:
        for n in range(200):
            p.send(None, str(n)) if n % 10 else p.send(None, str(n)).wait()
            if n == 100:
                assert [int(r.value()) for r in take(stream, 51)] == list(range(51))
                worker.kill()
                worker.settings["listen"] = f"127.0.0.1:{port}"
                worker.start()
        p.flush()
        assert [int(r.value()) for r in take(stream, 149)] == list(range(51, 200))
    assert [int(m["value"]) for m in client.read_all(topic)] == list(range(200))


@pytest.mark.slow
@pytest.mark.skipif(HAPROXY is None, reason="haproxy is not installed: ./dev setup does it")
def test_a_rolling_restart_behind_a_proxy_loses_and_repeats_nothing(service, name):
    """Through TLS, with a key, with the defaults: each worker is stopped and started while records go in and come out."""
    config = FluvioConfig(service.url, key=service.key)
    config.set_tls_file_paths("localhost", None, None, str(service.proxy.certificate))
    over = threading.Event()
    sent, failures = [0], []

    def work(p):
        try:
            while not over.is_set():
                p.send(f"{sent[0] % 7}", f"{sent[0]}")
                sent[0] += 1
                over.wait(0.001)
        except FluvioError as error:
            failures.append(error)

    with Fluvio.connect_with_config(config) as fluvio:
        with fluvio.admin() as admin:
            admin.create_topic(name, TopicSpec.create().with_partitions(3).build())
        with fluvio.multi_partition_consumer(name).stream(Offset.beginning()) as stream:
            with fluvio.topic_producer(name) as p:
                thread = threading.Thread(target=work, args=(p,))
                thread.start()
                try:
                    for worker in service.workers:
                        take_until = sent[0] + 200
                        wait.until(lambda least=take_until: sent[0] > least, "records are sent")
                        worker.stop()
                        worker.start()
                        service.wait_up(2)
                finally:
                    over.set()
                    thread.join()
            assert not failures
            records = take(stream, sent[0])
        assert len(bounded(fluvio, name)) == sent[0]
    by_key = {}
    for record in records:
        by_key.setdefault(record.key_string(), []).append(int(record.value_string()))
    assert by_key == {f"{k}": list(range(k, sent[0], 7)) for k in range(7)}


# ---- consuming ----

@pytest.mark.parametrize("offset, expected", [
    (Offset.beginning(), [0, 1, 2, 3, 4]), (Offset.from_beginning(2), [2, 3, 4]), (Offset.from_end(1), [4]),
    (Offset.end(), []), (Offset.absolute(3), [3, 4]), (Offset.absolute(5), []), (Offset.timestamp(0), [0, 1, 2, 3, 4]),
    (Offset.timestamp(4102444800000), [])], ids=str)
def test_a_bounded_stream_ends_with_what_was_there(fluvio, topic, offset, expected):
    put(fluvio, topic, *"abcde")
    assert [r.offset() for r in bounded(fluvio, topic, offset, partition=0)] == expected


def test_a_bounded_stream_gives_nothing_that_comes_later(fluvio, topic4):
    put(fluvio, topic4, *(b"x" * 1000 for _ in range(400)))
    config = ConsumerConfig().disable_continuous()
    with fluvio.multi_partition_consumer(topic4).stream_with_config(Offset.beginning(), config) as stream:
        next(stream)
        put(fluvio, topic4, "late", "late", "late", "late")
        assert sum(1 for _ in stream) == 399


def test_an_offset_beyond_the_end_is_an_error(fluvio, topic):
    error = fails(ErrorKind.OFFSET_OUT_OF_RANGE, fluvio.partition_consumer(topic, 0).stream, Offset.absolute(1))
    assert (error.code, error.partition) == (1, 0)
    fails(ErrorKind.PARTITION_NOT_FOUND, fluvio.partition_consumer, topic, 1)


def test_a_live_stream_gives_what_comes(fluvio, topic):
    put(fluvio, topic, "old")
    with fluvio.partition_consumer(topic, 0).stream(Offset.end()) as stream:
        put(fluvio, topic, "new", "newer")
        assert [(r.offset(), r.value_string()) for r in take(stream, 2)] == [(1, "new"), (2, "newer")]


def test_live_streams_of_all_of_some_and_of_several_topics(fluvio, client, topic4, topic):
    for p in range(4):
        put(fluvio, topic4, f"{p}", partition=p)
    with fluvio.multi_partition_consumer(topic4).stream(Offset.beginning()) as stream:
        assert sorted(r.value_string() for r in take(stream, 4)) == ["0", "1", "2", "3"]
    some = fluvio.multi_topic_partition_consumer([(topic4, 1), (topic4, 3)])
    with some.stream(Offset.beginning()) as stream:
        assert sorted(r.partition() for r in take(stream, 2)) == [1, 3]
        put(fluvio, topic4, "not wanted", partition=0)
        put(fluvio, topic4, "wanted", partition=1)
        assert next(stream).value_string() == "wanted"
    put(fluvio, topic, "other topic")
    both = fluvio.multi_topic_partition_consumer([(topic4, 2), (topic, 0)])
    with both.stream(Offset.beginning()) as stream:
        assert sorted((r.topic(), r.value_string()) for r in take(stream, 2)) == sorted([(topic4, "2"), (topic, "other topic")])
    with both.stream_with_config(Offset.beginning(), ConsumerConfig().disable_continuous()) as stream:
        assert len(list(stream)) == 2


def test_a_stream_whose_connection_breaks_goes_on_where_it_was(through, meddler, fluvio, topic4):
    config = ConsumerConfigExtBuilder(topic4).retry_mode(RetryMode.try_forever()).build()
    with through.consumer_with_config(config) as stream:
        got = []
        for turn in range(3):
            put(fluvio, topic4, *(f"{turn}.{n}" for n in range(8)))
            got += [r.value_string() for r in take(stream, 8)]
            meddler.cut()
        assert sorted(got) == sorted(f"{turn}.{n}" for turn in range(3) for n in range(8))


def test_a_stream_cut_after_any_number_of_bytes_gives_everything_once(gateway, fluvio, topic, monkeypatch):
    """At every byte of request, head and packets of each connection, until everything is there."""
    monkeypatch.setattr("tidegate.sources.FIRST_WAIT_S", 0.0)
    monkeypatch.setattr("tidegate.sources.WAIT_MAX_S", 0.0)
    with Proxy(gateway.host, gateway.port) as proxy, Fluvio.connect_with_config(FluvioConfig.new(proxy.url)) as through:
        config = ConsumerConfigExtBuilder(topic).retry_mode(RetryMode.try_forever()).build()
        with through.consumer_with_config(config) as stream:
            proxy.cut_after = itertools.count()
            proxy.cut_all()
            put(fluvio, topic, *(f"{n}" for n in range(20)))
            assert [r.offset() for r in take(stream, 20)] == list(range(20))
    assert proxy.cuts > 100


def test_without_retries_a_broken_connection_is_an_error(through, meddler, topic):
    config = ConsumerConfigExtBuilder(topic).retry_mode(RetryMode.disabled()).build()
    with through.consumer_with_config(config) as stream:
        meddler.cut()
        assert fails(ErrorKind.SOCKET, next, stream).retryable


def test_retries_come_to_an_end(gateway, topic, monkeypatch):
    monkeypatch.setattr("tidegate.sources.FIRST_WAIT_S", 0.01)
    config = ConsumerConfigExtBuilder(topic).retry_mode(RetryMode.try_until(3)).build()
    with Meddler(gateway.url) as proxy, Fluvio.connect_with_config(FluvioConfig.new(proxy.url)) as fluvio:
        stream = fluvio.consumer_with_config(config)
        proxy.__exit__()
        assert fails(ErrorKind.MAX_RETRY_REACHED, next, stream).code == 3005
        stream.close()


def test_a_stream_ends_with_its_topic(fluvio, client, topic):
    with fluvio.partition_consumer(topic, 0).stream(Offset.beginning()) as stream:
        client.request("DELETE", f"/topics/{topic}")
        fails(ErrorKind.TOPIC_NOT_FOUND, next, stream)


def evict(client, name):
    """A topic that has lost its first records: it has 7, 8 and 9."""
    client.make(name, 1, config={"cap_records": 3})
    for n in range(10):
        client.put(name, [{"value": str(n)}])
    (kept,) = client.info(name)["partition_info"]
    assert (kept["start_offset"], kept["end_offset"]) == (7, 10)


OFFSETS = [  # where a stream begins: for a new consumer, for one that has seen 7
    (Offset.beginning(), 7, 8), (Offset.from_beginning(2), 9, 10), (Offset.from_beginning(99), 10, 10),
    (Offset.end(), 10, 8), (Offset.from_end(1), 9, 7), (Offset.from_end(99), 7, 7),
    (Offset.absolute(8), 8, 8), (Offset.absolute(10), 10, 10), (Offset.timestamp(0), 7, 8),
    (Offset.timestamp(4102444800000), 10, 8)]


@pytest.mark.parametrize("is_continuous", [False, True], ids=["bounded", "live"])
def test_every_offset_begins_where_it_should_after_retention(fluvio, client, name, is_continuous):
    evict(client, name)
    fluvio.set_consumer_offset("known", name, 0, 7)
    for offset, *expected in OFFSETS:
        for who, first in zip((None, "new", "known"), (expected[0], *expected), strict=True):
            config = ConsumerConfigExtBuilder(name).offset_start(offset).disable_continuous(not is_continuous)
            config = (config.offset_consumer(who) if who else config).build()
            with fluvio.consumer_with_config(config) as stream:
                got = take(stream, 10 - first) if is_continuous else list(stream)
            assert [r.offset() for r in got] == list(range(first, 10)), (offset, who)


def test_an_offset_beyond_the_end_tells_what_there_is(fluvio, client, name):
    evict(client, name)
    error = fails(ErrorKind.OFFSET_OUT_OF_RANGE, fluvio.partition_consumer(name, 0).stream, Offset.absolute(11))
    assert (error.start_offset, error.end_offset) == (7, 10)


def test_evicted_offsets_are_an_error_or_a_gap(fluvio, client, name):
    evict(client, name)
    error = fails(ErrorKind.OFFSET_EVICTED, fluvio.partition_consumer(name, 0).stream, Offset.absolute(2))
    assert (error.code, error.next_available) == (71, 7)
    gaps = []
    config = ConsumerConfigExtBuilder(name).offset_start(Offset.absolute(2)).on_gap(lambda *g: gaps.append(g)).build()
    with fluvio.consumer_with_config(config) as stream:
        assert next(stream).offset() == 7
    assert gaps == [(name, 0, 2, 7)]


def test_what_retention_took_while_a_stream_was_away_is_a_gap_or_an_error(through, meddler, client, name):
    """The server refuses to begin there (410); the stream says so, and goes on behind it."""
    client.make(name, 1, config={"cap_records": 3})
    client.put(name, [{"value": "0"}])
    gaps = []
    told = ConsumerConfigExtBuilder(name).on_gap(lambda *g: gaps.append(g)).build()
    with through.consumer_with_config(told) as stream, \
            through.partition_consumer(name, 0).stream(Offset.beginning()) as strict:
        assert next(stream).offset() == next(strict).offset() == 0
        meddler.cut()
        for n in range(1, 10):
            client.put(name, [{"value": str(n)}])
        assert next(stream).offset() == 7
        error = fails(ErrorKind.OFFSET_EVICTED, next, strict)
        assert (error.partition, error.next_available) == (0, 7)
    assert gaps == [(name, 0, 1, 7)]


def test_a_topic_that_was_made_anew_while_a_stream_was_away_is_out_of_its_range(through, meddler, client, topic):
    client.put(topic, [{"value": "a"}, {"value": "b"}])
    with through.partition_consumer(topic, 0).stream(Offset.beginning()) as stream:
        take(stream, 2)
        meddler.cut()
        client.request("DELETE", f"/topics/{topic}")
        client.make(topic)
        error = fails(ErrorKind.OFFSET_OUT_OF_RANGE, next, stream)
        assert (error.code, error.http_status, error.start_offset, error.end_offset) == (1, 416, 0, 0)


def test_a_bounded_stream_that_is_cut_off_goes_on_and_ends_where_it_should(through, meddler, client, topic4, monkeypatch):
    monkeypatch.setattr("tidegate.sources.FIRST_WAIT_S", 0.01)
    for partition in range(4):
        client.put(topic4, [{"value": f"{partition}.{n}" + "x" * 10_000, "partition": partition} for n in range(100)])
    config = ConsumerConfig().disable_continuous()
    with through.multi_partition_consumer(topic4).stream_with_config(Offset.beginning(), config) as stream:
        got = take(stream, 30)
        meddler.cut()
        got += list(stream)
    assert sorted((r.partition(), r.offset()) for r in got) == [(p, n) for p in range(4) for n in range(100)]


def test_a_stream_of_all_partitions_reads_those_that_are_added_when_it_connects_again(through, meddler, client, topic):
    with through.multi_partition_consumer(topic).stream(Offset.beginning()) as stream:
        client.put(topic, [{"value": "old"}])
        assert next(stream).partition() == 0
        assert client.request("PATCH", f"/topics/{topic}", json={"partitions": 3}).status_code == 200
        client.put(topic, [{"value": "new", "partition": 2}])
        meddler.cut()
        assert (next(stream).partition(), client.ends(topic)) == (2, [1, 0, 1])


def test_what_has_not_changed_is_not_sent_again(fluvio, client, topic):
    from tidegate.metadata import fetch_topic
    with fluvio.admin() as admin:
        first = fetch_topic(admin._transport, topic)
        assert fetch_topic(admin._transport, topic) is first
        client.put(topic, [{"value": "a"}])
        assert fetch_topic(admin._transport, topic)["partition_info"][0]["end_offset"] == 1


# ---- stored positions ----

def named(topic, who, strategy=None):
    made = ConsumerConfigExtBuilder(topic).offset_consumer(who).disable_continuous()
    return made.offset_strategy(strategy).build() if strategy else made.build()


def test_manual_positions_are_stored_when_told(fluvio, topic):
    put(fluvio, topic, *"abcd")
    config = named(topic, "m", OffsetManagementStrategy.MANUAL)
    with fluvio.consumer_with_config(config) as stream:
        stream.offset_flush()  # nothing new
        take(stream, 2)
        stream.offset_commit()
        take(stream, 1)
        stream.offset_flush()
    assert [(o.consumer_id, o.partition, o.offset) for o in fluvio.consumer_offsets() if o.topic == topic] == [("m", 0, 1)]
    with fluvio.consumer_with_config(named(topic, "m")) as stream:
        assert [r.value_string() for r in stream] == ["c", "d"]
        assert fails(ErrorKind.OFFSET_MANAGEMENT_DISABLED, stream.offset_commit).code == 3004


def test_automatic_positions_follow_the_records(fluvio, client, topic4):
    put(fluvio, topic4, *"abcdefgh")
    config = named(topic4, "a", OffsetManagementStrategy.AUTO)
    with fluvio.consumer_with_config(config) as stream:
        first = take(stream, 5)
        wait.until(lambda: client.committed(topic4, "a"), "the first record was stored at once")
    with fluvio.consumer_with_config(config) as stream:
        rest = list(stream)
    assert sorted(r.value_string() for r in first + rest) == list("abcdefgh")
    assert client.committed(topic4, "a") == {0: 2, 1: 2, 2: 2, 3: 2}
    fluvio.delete_consumer_offset("a", topic4, 1)
    assert client.committed(topic4, "a") == {0: 2, 2: 2, 3: 2}


def test_a_forgotten_stream_stores_its_positions(fluvio, client, topic):
    put(fluvio, topic, "a", "b")
    stream = fluvio.consumer_with_config(named(topic, "forgetful", OffsetManagementStrategy.AUTO))
    take(stream, 2)
    del stream
    assert client.committed(topic, "forgetful") == {0: 2}


def test_positions_are_listed_set_and_deleted(fluvio, client, topic4, name):
    put(fluvio, topic4, *"abcd", partition=1)
    put(fluvio, topic4, "e", partition=3)

    def mine():
        return {o.partition: o.offset for o in fluvio.consumer_offsets() if (o.topic, o.consumer_id) == (topic4, name)}

    assert fluvio.set_consumer_offset(name, topic4, 1, 2) == 2
    assert fluvio.set_consumer_offset(name, topic4, 1, 0) == 2  # it does not go back
    assert fluvio.set_consumer_offset(name, topic4, 1, 0, force=True) == 0
    assert fluvio.set_consumer_offset(name, topic4, 3, 0, force=True) == 0
    assert mine() == {1: 0, 3: 0}
    [when, _] = [o.modified_time for o in fluvio.consumer_offsets() if (o.topic, o.consumer_id) == (topic4, name)]
    assert abs(when - time.time()) < 60
    fluvio.delete_consumer_offset(name, topic4, 1)
    assert mine() == {3: 0}
    fails(ErrorKind.GROUP_NOT_FOUND, fluvio.delete_consumer_offset, name, topic4, 1)
    with fluvio.admin() as admin:
        admin.delete_consumer_offsets(name, topic4)
    assert mine() == {}


# ---- asyncio ----

def test_everything_has_a_twin_for_asyncio(fluvio, topic):
    async def program():
        async with fluvio.topic_producer_with_config(topic, builder(linger=20).build()) as p:
            output = await p.async_send("k", "a")
            await p.async_send_string("b")
            await p.async_send_all([(None, "c")])
            assert (await output.async_wait()).offset() == 0
            assert await output.async_wait() is None
            await p.async_flush()
        consumer = fluvio.partition_consumer(topic, 0)
        async with await consumer.async_stream(Offset.beginning()) as stream:
            got = []
            async for record in stream:
                got.append(record.value_string())
                if len(got) == 3:
                    break
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(anext(stream), 0.05)
            with producer(fluvio, topic) as p:
                p.send(None, "d")
            got.append((await anext(stream)).value_string())
        config = ConsumerConfig().disable_continuous()
        ended = [r.value_string() async for r in await consumer.async_stream_with_config(Offset.beginning(), config)]
        assert got == ended == ["a", "b", "c", "d"]

    asyncio.run(program())


def test_an_async_stream_can_be_closed_while_it_waits(fluvio, topic):
    async def program():
        stream = await fluvio.async_consumer_with_config(ConsumerConfigExtBuilder(topic).build())
        waiting = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)
        await stream.aclose()
        with pytest.raises(StopAsyncIteration):
            await waiting

    asyncio.run(program())


# ---- admin ----

def test_topics_are_made_listed_grown_and_deleted(fluvio, name):
    with fluvio.admin() as admin:
        spec = (TopicSpec.create().with_partitions(3).with_retention_time("1h").with_max_partition_size("10MiB")
                .with_segment_size("10M").with_ignore_rack().build())
        admin.create_topic(name, spec)
        assert fails(ErrorKind.TOPIC_ALREADY_EXISTS, admin.create_topic, name, spec).code == 2002
        fails(ErrorKind.TOPIC_ALREADY_EXISTS, admin.create_topic, name, TopicSpec.create())
        fails(ErrorKind.TOPIC_INVALID_CONFIGURATION, admin.create_topic, "-" + name)
        (topic,) = admin.list_topics([name])
        assert (topic.name(), topic.partitions) == (name, 3)
        assert (topic.config["ttl_ms"], topic.config["cap_bytes"]) == (3_600_000, 10 << 20)
        assert name in [t.name() for t in admin.all_topics()]
        admin.add_partitions(name, 4)
        assert [p.name() for p in admin.list_partitions([name])] == [f"{name}-{n}" for n in range(4)]
        changes = admin.watch_topic()
        assert name in [t.name() for t in next(changes).changed]
        admin.delete_topic(name)
        assert name in next(changes).deleted
        assert admin.list_topics([name]) == []
        fails(ErrorKind.TOPIC_NOT_FOUND, admin.delete_topic, name)


# ---- connecting ----

@pytest.mark.parametrize("program", ["next(fluvio.partition_consumer(topic, 0).stream(Offset.end()))",
                                     "fluvio.topic_producer_with_config(topic, slow).send(None, 'x').wait()"],
                         ids=["next", "wait"])
def test_an_interrupt_ends_a_call_that_waits(gateway, topic, program):
    """And the program with it: no thread keeps it."""
    code = f"""
import sys
sys.path.insert(0, {str(ROOT / "clients" / "python" / "src")!r})
from tidegate import Fluvio, FluvioConfig, Offset, TopicProducerConfig
fluvio, topic = Fluvio.connect_with_config(FluvioConfig.new({gateway.url!r})), {topic!r}
slow = TopicProducerConfig(linger_ms={HOUR_MS})
print("waits", flush=True)
{program}
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          # A suite run in the background has it ignored, and what it starts would inherit that.
                          preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler)) as process:
        assert process.stdout.readline() == "waits\n"
        while process.poll() is None:  # until it waits where it should, it may be elsewhere
            process.send_signal(signal.SIGINT)
            time.sleep(0.05)
        assert "KeyboardInterrupt" in process.stderr.read()


def test_a_wrong_key_and_an_absent_server_are_told_apart(fleet, fresh_database, name):
    worker = fleet.start(fresh_database, auth="required")
    with Fluvio(FluvioConfig(worker.url, key="wrong")) as stranger:
        assert fails(ErrorKind.PERMISSION_DENIED, stranger.topic_producer, name).code == 13
    run("tenant", "create", "acme", database=fresh_database)
    [key] = run("key", "create", "--tenant", "acme", "--scopes", "read,write", database=fresh_database).stdout.split()
    with Fluvio.connect_with_config(FluvioConfig(worker.url, key=key)) as fluvio:
        fails(ErrorKind.TOPIC_NOT_FOUND, fluvio.topic_producer, name)
    worker.stop()
    assert fails(ErrorKind.SOCKET, Fluvio.connect_with_config, FluvioConfig.new(worker.url)).retryable


@pytest.fixture
def tls_server(tmp_path):
    """Answers as a gateway's front page does, over TLS, with a certificate of its own for localhost."""
    pair = tmp_path / "pair.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost", "-keyout", pair, "-out", tmp_path / "cert.pem"],
                   check=True, capture_output=True)
    pair.write_text(pair.read_text() + (tmp_path / "cert.pem").read_text())

    class Front(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "38")
            self.end_headers()
            self.wfile.write(b'{"dialects":[{"name":"streaming"}]}   ')

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Front)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://127.0.0.1:{server.server_port}", tmp_path / "cert.pem"
    server.shutdown()
    server.server_close()


def test_a_certificate_has_to_be_of_a_known_authority_and_for_the_domain(tls_server):
    url, cert = tls_server
    error = fails(ErrorKind.TLS, Fluvio.connect_with_config, FluvioConfig(url))
    assert not error.retryable and "certificate" in error.message
    fails(ErrorKind.TLS, Fluvio.connect_with_config,
          FluvioConfig(url).set_tls_file_paths("elsewhere", None, None, str(cert)))
    Fluvio.connect_with_config(FluvioConfig(url).set_tls_file_paths("localhost", None, None, str(cert))).close()
    Fluvio.connect_with_config(FluvioConfig(url).set_inline_tls("localhost", "", "", cert.read_text())).close()
    Fluvio.connect_with_config(FluvioConfig(url).set_anonymous_tls()).close()
    fails(ErrorKind.CLIENT_CONFIG, FluvioConfig(url).set_tls_file_paths, "localhost", None, None, "/nowhere.pem")


# ---- examples and package ----

@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_run(gateway, client, path, monkeypatch, capsys):
    monkeypatch.setenv("TIDEGATE_URL", gateway.url)
    monkeypatch.delenv("TIDEGATE_API_KEY", raising=False)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main()
    expected = [line[2:] for line in path.read_text().splitlines() if line.startswith("# > ")]
    assert capsys.readouterr().out.splitlines() == [line[2:] for line in expected]


def test_the_readme_shows_the_examples():
    readme = (ROOT / "clients" / "python" / "README.md").read_text()
    for path in EXAMPLES:
        functions = [f for f in path.read_text().split("\n\n\n") if f.startswith(("def main", "async def run"))]
        shown = functions[0]
        if shown.startswith("def main"):
            shown = "\n".join(line.removeprefix("    ") for line in shown.splitlines()[1:])
        assert shown.strip() in readme, path.name
    assert pathlib.Path(tidegate.__file__).with_name("py.typed").exists()
