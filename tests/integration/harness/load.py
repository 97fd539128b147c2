"""Load with a memory: producers that remember every acknowledged message, and the checker that holds the log to it."""

import collections
import itertools
import random
import threading

import requests

from harness import wait
from harness.client import Client

# What a client hears of a server that was killed; the last one, when an answer had begun.
CUT = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)


class Producer(threading.Thread):
    """Writes numbered messages, one request after the other, to whatever worker `url()` names, and remembers the outcome.

    A request is tried until it is acknowledged. With `retry_key` every try of it carries the same Idempotency-Key, so that it
    must be stored exactly once; without, each try is a message of its own ("label/number/try"), stored at most once.
    connect(url, timeout=…) makes a client.
    """

    def __init__(self, label, url, topic, partitions, retry_key=True, batch=3, seed=0, connect=Client):
        super().__init__(daemon=True, name=f"producer-{label}")
        self.label, self.url, self.topic, self.partitions = label, url, topic, partitions
        self.retry_key, self.batch, self.connect = retry_key, batch, connect
        self.acknowledged = {}   # text → (partition, offset)
        self.tried = set()       # every text that was ever sent
        self.retries = 0         # tries after the first
        self.refusals = collections.Counter()  # what went wrong: status or exception
        self.failure = None
        self.stopping = threading.Event()
        self._random = random.Random(f"{label}{seed}")

    def run(self):
        try:
            client = None
            for number in itertools.count():
                if self.stopping.is_set():
                    break
                client = self._send(number, client)
        except BaseException as error:  # shown by check(): a thread has nobody to raise to
            self.failure = error
            raise

    def _send(self, number, client):
        partition = self._random.randrange(self.partitions)
        for attempt in itertools.count():
            if self.stopping.is_set() and attempt:
                return client
            unique = f"{self.label}/{number}" if self.retry_key else f"{self.label}/{number}/{attempt}"
            texts = [f"{unique}#{i}" for i in range(self.batch)]
            self.tried.update(texts)
            self.retries += attempt > 0
            headers = {"Idempotency-Key": unique} if self.retry_key else None
            url = self.url()
            if client is None or client.url != url:
                client = self.connect(url, timeout=20 * wait.SLOWNESS)
            try:
                answer = client.produce(self.topic, [{"value": t, "partition": partition} for t in texts], headers=headers)
            except CUT as error:
                self.refusals[type(error).__name__] += 1
                client.close()
                client = None
                self.stopping.wait(0.01)
                continue
            if answer.status_code != 200:
                self.refusals[answer.status_code] += 1
                assert answer.status_code in (429, 503), f"{answer.status_code}: {answer.text}"
                assert "Retry-After" in answer.headers
                self.stopping.wait(0.02)
                continue
            where = [(r["partition"], r["offset"]) for r in answer.json()["results"]]
            assert len(where) == self.batch
            assert where == [(partition, where[0][1] + i) for i in range(self.batch)], f"not consecutive: {where}"
            self.acknowledged.update(zip(texts, where))
            return client

    def stop(self):
        self.stopping.set()
        self.join(60 * wait.SLOWNESS)
        assert not self.is_alive(), f"{self.name} hangs"


class Load:
    """Several producers on one topic; as a context manager they run inside the block."""

    def __init__(self, urls, topic, partitions, producers=4, retry_key=True, batch=3, connect=Client):
        self.topic, self.partitions = topic, partitions
        self.producers = [Producer(f"p{i}", urls[i % len(urls)], topic, partitions, retry_key, batch, connect=connect)
                          for i in range(producers)]

    def __enter__(self):
        for producer in self.producers:
            producer.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        for producer in self.producers:
            producer.stopping.set()
        for producer in self.producers:
            producer.stop()

    @property
    def acknowledged(self):
        return sum(len(p.acknowledged) for p in self.producers)

    def wait_acknowledged(self, more, deadline_s=60 * wait.SLOWNESS):
        """Until `more` further messages were acknowledged."""
        goal = self.acknowledged + more

        def reached():
            for producer in self.producers:
                if producer.failure:
                    raise RuntimeError(f"{producer.name} failed") from producer.failure
            return self.acknowledged >= goal
        wait.until(reached, f"{more} more messages were acknowledged: {self.refusals()}", deadline_s)

    def refusals(self):
        return sum((p.refusals for p in self.producers), collections.Counter())

    def check(self, client):
        """Holds the stored log to what was acknowledged; returns {partition: [text, …]}."""
        for producer in self.producers:
            assert producer.failure is None, f"{producer.name}: {producer.failure!r}"
        log = {}
        for partition in range(self.partitions):
            messages = client.read_all(self.topic, partition=partition, page=5000)
            offsets = [m["offset"] for m in messages]
            assert offsets == list(range(len(offsets))), f"partition {partition}: offsets are not dense"
            log[partition] = [m["value"] for m in messages]
        assert client.ends(self.topic) == [len(log[p]) for p in range(self.partitions)]

        seen = collections.Counter(text for texts in log.values() for text in texts)
        twice = [text for text, times in seen.items() if times > 1]
        assert not twice, f"stored more than once: {twice[:5]}"
        for producer in self.producers:
            for text, (partition, offset) in producer.acknowledged.items():
                assert offset < len(log[partition]), f"acknowledged and lost: {text} at {partition}/{offset}"
                assert log[partition][offset] == text, \
                    f"acknowledged as {text} at {partition}/{offset}, found {log[partition][offset]}"
        unknown = set(seen) - set().union(*(p.tried for p in self.producers))
        assert not unknown, f"nobody sent {sorted(unknown)[:5]}"
        self._check_order_and_wholeness(log)
        return log

    def _check_order_and_wholeness(self, log):
        """A producer's acknowledged messages are in the order in which it sent them; each request is there whole or not at all.

        A try that was never acknowledged has no place in the order: it may have been stored late.
        """
        acknowledged = set().union(*(p.acknowledged for p in self.producers))
        batch = self.producers[0].batch
        for partition, texts in log.items():
            last = {}
            stored = collections.Counter()
            for text in texts:
                stem, _, index = text.partition("#")
                stored[stem] += 1
                if text in acknowledged:
                    label, number = stem.split("/")[:2]
                    place = int(number), int(index)
                    assert last.get(label, (-1,)) < place, f"partition {partition}: {text} after {label}/{last[label]}"
                    last[label] = place
            torn = [stem for stem, count in stored.items() if count != batch]
            assert not torn, f"partition {partition}: requests stored in part: {torn[:5]}"


class Tail(threading.Thread):
    """Reads one partition from the start by pure reads while others write, and fails on the first hole or repeat."""

    def __init__(self, url, topic, partition=0):
        super().__init__(daemon=True)
        self.url, self.topic, self.partition = url, topic, partition
        self.values = []
        self.failure = None
        self.stopping = threading.Event()

    def run(self):
        client = None
        while not self.stopping.is_set():
            if client is None or client.url != self.url():
                client = Client(self.url(), timeout=20 * wait.SLOWNESS)
            try:
                answer = client.consume(self.topic, partition=self.partition, offset=len(self.values), max_messages=1000,
                                        wait_ms=200)
                if answer.status_code == 503:
                    self.stopping.wait(0.02)
                    continue
                for message in answer.json()["messages"]:
                    assert message["offset"] == len(self.values), f"{message['offset']} after {len(self.values) - 1}"
                    self.values.append(message["value"])
            except CUT:
                client = None
                self.stopping.wait(0.01)
            except BaseException as error:
                self.failure = error
                return

    def stop(self):
        self.stopping.set()
        self.join(60 * wait.SLOWNESS)
        assert self.failure is None, self.failure
