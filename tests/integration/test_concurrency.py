"""Many clients and several workers at once: order, disjointness, redelivery."""

import collections
import threading

import pytest

from harness import wait
from harness.client import Client, ok, values
from harness.live import Stream
from harness.load import Load, Tail

pytestmark = pytest.mark.tsan

MANY = int(3000 / wait.SLOWNESS) // 100 * 100


@pytest.mark.parametrize("workers,partitions", [(1, 1), (2, 1), (4, 1), (2, 4)])
def test_writers_on_several_workers_give_dense_offsets_in_commit_order(gateways, name, workers, partitions):
    fleet = gateways(workers)
    with fleet[0].client() as client:
        client.make(name, partitions)
        # A reader that saw an offset never sees a smaller one appear later: it would find a hole.
        tails = [Tail(lambda g=g: g.url, name) for g in fleet]
        for tail in tails:
            tail.start()
        with Load([lambda g=g: g.url for g in fleet], name, partitions, producers=6) as load:
            load.wait_acknowledged(MANY)
        log = load.check(client)
        for tail in tails:
            wait.until(lambda t=tail: len(t.values) == len(log[0]) or t.failure, "the reader has come to the end")
            tail.stop()
            assert tail.values == log[0]
    assert not load.refusals()


def test_large_and_small_requests_side_by_side_stay_whole(gateways, name):
    fleet = gateways(2)
    with fleet[0].client() as client:
        client.make(name, 2)
        loads = [Load([lambda g=g: g.url for g in fleet], name, 2, producers=2, batch=batch) for batch in (1, 40, 700)]
        for number, load in enumerate(loads):
            for producer in load.producers:
                producer.label = f"b{number}{producer.label}"
        for load in loads:
            load.__enter__()
        for load, more in zip(loads, (200, 1000, 7000)):
            load.wait_acknowledged(int(more / wait.SLOWNESS))
        for load in loads:
            load.stop()
        for p in range(2):
            stored = client.read_all(name, partition=p, page=5000)
            assert [m["offset"] for m in stored] == list(range(len(stored)))
            where = {m["value"]: m["offset"] for m in stored}
            assert len(where) == len(stored)
            for load in loads:
                for producer in load.producers:
                    mine = {t: o for t, (q, o) in producer.acknowledged.items() if q == p}
                    assert all(where[t] == o for t, o in mine.items())


class Consumer(threading.Thread):
    """The seed's loop: consume, process, commit; with the two calls' answers checked and everything remembered."""

    def __init__(self, gateway, topic, group, lease_ms=60_000, max_messages=20, consumer_id=None):
        super().__init__(daemon=True)
        self.client = Client(gateway.url)
        self.topic, self.group = topic, group
        self.options = {"group_id": group, "max_messages": max_messages, "lease_ms": lease_ms}
        if consumer_id:
            self.options["consumer_id"] = consumer_id
        self.received = []
        self.failure = None
        self.stopping = threading.Event()  # ends after the commit
        self.dying = threading.Event()     # ends between receiving and committing, as a killed process would

    def run(self):
        try:
            while not self.stopping.is_set():
                messages = self.client.take(self.topic, wait_ms=100, **self.options)
                self.received += messages
                if messages and self.dying.is_set():
                    return
                ok(self.client.post(f"/topics/{self.topic}/commit", json={
                    "group_id": self.group, **({"consumer_id": self.options["consumer_id"]}
                                               if "consumer_id" in self.options else {}),
                    "offsets": [{"partition": m["partition"], "offset": m["offset"] + 1} for m in messages]}))
        except BaseException as error:
            self.failure = error

    def finish(self):
        self.stopping.set()
        self.join(30 * wait.SLOWNESS)
        self.client.close()
        assert self.failure is None, self.failure


def at(message):
    return message["partition"], message["offset"]


@pytest.mark.parametrize("named,workers", [(False, 2), (True, 2), (False, 4)])
def test_copies_of_the_seed_s_loop_get_disjoint_messages_in_order(gateways, name, named, workers):
    fleet = gateways(workers)
    total = MANY
    with fleet[0].client() as client:
        client.make(name, 5)
        consumers = [Consumer(fleet[i % workers], name, "g", consumer_id=f"c{i}" if named else None) for i in range(6)]
        for consumer in consumers:
            consumer.start()
        for start in range(0, total, 100):
            client.put(name, [{"key": str(i), "value": str(i)} for i in range(start, start + 100)])
        wait.until(lambda: any(c.failure for c in consumers) or sum(len(c.received) for c in consumers) >= total,
                   "all messages were received", 60 * wait.SLOWNESS)
        ends = client.ends(name)
        assert sum(ends) == total
        for consumer in consumers:
            consumer.finish()
        counts = collections.Counter(at(m) for c in consumers for m in c.received)
        assert set(counts) == {(p, o) for p, end in enumerate(ends) for o in range(end)}
        assert set(counts.values()) == {1}, "a message was received twice"
        for consumer in consumers:
            for p in range(5):
                seen = [m["offset"] for m in consumer.received if m["partition"] == p]
                assert seen == sorted(seen)
        assert client.committed(name, "g") == {p: end for p, end in enumerate(ends) if end}


@pytest.mark.parametrize("named", [False, True], ids=["anonymous", "named"])
def test_what_a_killed_consumer_held_comes_again_after_its_lease_and_nothing_is_lost(gateways, name, named):
    fleet = gateways(2)
    total = int(1000 / wait.SLOWNESS)
    with fleet[0].client() as client:
        client.make(name, 4)
        client.put(name, [{"key": str(i), "value": str(i)} for i in range(total)])
        ends = client.ends(name)
        # Only the one that dies has a lease that runs out: the others may take their time between receiving and committing.
        consumers = [Consumer(fleet[i % 2], name, "g", lease_ms=60_000 if i else 1000, max_messages=7,
                              consumer_id=f"c{i}" if named else None) for i in range(4)]
        # The first one dies with what it is given, before the others begin: it surely holds something.
        victim, *others = consumers
        victim.dying.set()
        victim.start()
        victim.join(wait.DEADLINE_S)
        assert victim.failure is None and victim.received
        for consumer in others:
            consumer.start()
        everything = {(p, o) for p, end in enumerate(ends) for o in range(end)}
        wait.until(lambda: any(c.failure for c in others) or
                   everything <= {at(m) for c in others for m in list(c.received)},
                   "the others have received everything, the victim's share included", 60 * wait.SLOWNESS)
        for consumer in others:
            consumer.finish()
        for p in range(4):
            order = [m["offset"] for c in others for m in c.received if m["partition"] == p]
            assert set(order) == set(range(ends[p]))
        assert client.committed(name, "g") == {p: end for p, end in enumerate(ends) if end}


def test_two_consumers_that_race_for_one_partition_never_share_it(gateways, name):
    fleet = gateways(2)
    with fleet[0].client() as one, fleet[1].client() as two:
        one.make(name, 1)
        one.put(name, [{"value": str(i)} for i in range(200)])
        barrier = threading.Barrier(8)
        got = []

        def race(client_url):
            with Client(client_url) as mine:
                for _ in range(20):
                    barrier.wait(wait.DEADLINE_S)
                    messages = mine.take(name, group_id="g", max_messages=10, lease_ms=600_000)
                    got.append([m["offset"] for m in messages])
                    barrier.wait(wait.DEADLINE_S)
                    if messages:
                        ok(mine.commit(name, "g", {0: messages[-1]["offset"] + 1}))
        threads = [threading.Thread(target=race, args=(g.url,)) for g in fleet for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(60 * wait.SLOWNESS)
        handed = [offset for offsets in got for offset in offsets]
        assert handed == list(range(200))
        assert [len(offsets) for offsets in got if offsets] == [10] * 20
        assert two.committed(name, "g") == {0: 200}


def test_commits_that_race_never_move_a_group_back(gateways, name):
    fleet = gateways(2)
    with fleet[0].client() as client:
        client.make(name)
        client.put(name, [{"value": str(i)} for i in range(400)])
        stood = [[] for _ in range(4)]

        def commit(index):
            with fleet[index % 2].client() as mine:
                for offset in range(index, 400, 4):
                    body = ok(mine.commit(name, "g", {0: offset}))
                    stood[index].append(body["committed"][0]["offset"])
        threads = [threading.Thread(target=commit, args=(i,)) for i in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(60 * wait.SLOWNESS)
        for seen in stood:
            assert len(seen) == 100 and seen == sorted(seen)
        assert client.committed(name, "g") == {0: 399}


def test_topics_that_come_and_go_under_load_never_mix(gateways, name):
    """Writers hold cached topics; a name that is deleted and made again must never receive an old topic's messages."""
    fleet = gateways(2)
    stop = threading.Event()
    problems = []

    def write(gateway):
        with gateway.client() as mine:
            while not stop.is_set():
                answer = mine.produce(name, [{"value": "v"}])
                if answer.status_code not in (200, 404):
                    problems.append(answer.text)

    threads = [threading.Thread(target=write, args=(g,)) for g in fleet for _ in range(2)]
    with fleet[0].client() as client:
        for t in threads:
            t.start()
        try:
            for _ in range(15):
                client.make(name)
                wait.until(lambda: client.ends(name)[0] > 5, "messages arrive")
                ok(client.request("DELETE", f"/topics/{name}"))
        finally:
            stop.set()
            for t in threads:
                t.join(wait.DEADLINE_S)
        assert not problems, problems[:3]
        client.make(name)
        assert client.read_all(name) == []


def test_mixed_work_of_every_kind_at_once(gateways, name):
    """Everything beside everything, as a sanitizer likes it."""
    fleet = gateways(2)
    with fleet[0].client() as client:
        client.make(name, 3, config={"cap_records": 500})
        consumers = [Consumer(g, name, "g", max_messages=50) for g in fleet]
        with Load([lambda g=g: g.url for g in fleet], name, 3, producers=3, batch=5) as load:
            for consumer in consumers:
                consumer.start()
            lives = [Stream(g.client(), f"/topics/{name}/stream?offset=earliest") for g in fleet for _ in range(3)]
            for round_ in range(10):
                load.wait_acknowledged(int(200 / wait.SLOWNESS))
                lives.pop(0).close()
                lives.append(Stream(fleet[round_ % 2].client(), f"/topics/{name}/stream?offset=earliest"))
                client.get("/metrics")
                client.info(name)
                client.get(f"/topics/{name}/groups")
                client.get("/topics")
                other = client.make(f"{name}-{round_}", 2)
                client.put(other, [{"value": "x"}])
                ok(client.request("DELETE", f"/topics/{other}"))
        for consumer in consumers:
            consumer.finish()
        for live in lives:
            last = {}
            wait.until(lambda one=live: one.last_id is not None and one.has_more(), "it has read something")
            live.close()
            for event in live.rest():
                if event.kind == "message":
                    p, o = at(event.data)
                    assert o > last.get(p, -1)
                    last[p] = o
                elif event.kind == "gap":
                    assert event.data["to_offset"] > event.data["from_offset"] > last.get(event.data["partition"], -1)
                    last[event.data["partition"]] = event.data["to_offset"] - 1
            assert last
        assert not load.refusals()
        assert values(client.take(name, offset=10**9)) == []
