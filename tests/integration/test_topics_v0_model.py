"""Thousands of interleaved writes, deletes, caps, expiries, reads and restarts on two workers, each answer compared with
that of a small model of the contract (sections 4 to 9)."""

import json
import os
import random
import time

import pytest

from harness.client import refused
from harness.v0 import V0, bare, fine, seqs

STEPS = int(os.environ.get("TIDEGATE_TEST_MODEL_STEPS", "700"))
SEEDS = int(os.environ.get("TIDEGATE_TEST_MODEL_SEEDS", "3"))
KEYS_LIVE_MS = 24 * 3600 * 1000  # longer than a run
TAGS = ["a", "a:1", "a:2", "a:10", "b", "", "\u00e4", "b*", "a\x7f"]
NODES = [None, "n1", "n2", "n3"]


def compact(value):
    return json.dumps(value, separators=(",", ":"))  # with the escapes of the client: they are kept


class Model:
    """One topic as the contract says it should be."""

    def __init__(self):
        self.head = 0
        self.live = {}  # seq -> record as written
        self.cap_floor = self.ttl_floor = 0
        self.config = {}
        self.answers = {}  # idempotency key -> (first, count)

    @property
    def earliest(self):
        return min(self.live, default=self.head + 1)

    @property
    def floor(self):
        return max(self.cap_floor, self.ttl_floor)

    @staticmethod
    def size(record):
        return len(compact(record["data"]).encode()) + (len(compact(record["meta"]).encode()) if "meta" in record else 0)

    def bytes(self):
        return sum(map(self.size, self.live.values()))

    def over(self, records, size):
        most, most_bytes = self.config.get("cap_records", 0), self.config.get("cap_bytes", 0)
        return (most and records > most) or (most_bytes and size > most_bytes)

    def evict(self):
        if self.config.get("discard") == "reject":
            return
        total = self.bytes()
        for seq in sorted(self.live):
            if not self.over(len(self.live), total):
                break
            total -= self.size(self.live.pop(seq))
            self.cap_floor = seq

    def expire_all(self):
        if self.live:
            self.ttl_floor = max(self.live)
            self.live.clear()

    def verdict(self, records):
        """None, or the error code of a write."""
        if self.config.get("discard") == "reject":
            size = sum(map(self.size, records))
            if self.over(len(records), size):
                return "record_too_large"
            if self.over(len(self.live) + len(records), self.bytes() + size):
                return "topic_full"
        return None

    def write(self, records):
        first = self.head + 1
        for record in records:
            self.head += 1
            self.live[self.head] = record
        self.evict()
        return first

    def erase(self, before, matches):
        gone = [seq for seq, record in self.live.items()
                if (before is None or seq < before) and (matches is None or ("tag" in record and matches(record["tag"])))]
        for seq in gone:
            del self.live[seq]
        return len(gone)

    def diff(self, start, limit, budget, nodes):
        tombstone, at = None, start
        if start > self.head:
            tombstone = {"gap_from": 1, "gap_to": self.head, "reason": "recreated", "missed_estimate": self.head,
                         "earliest_seq": self.earliest, "head_seq": self.head}
            at = self.earliest - 1
        elif start + 1 <= self.floor:
            by_cap, by_ttl = self.cap_floor > start, self.ttl_floor > start
            reason = "mixed" if by_cap and by_ttl else "cap" if by_cap else "ttl"
            tombstone = {"gap_from": start + 1, "gap_to": self.floor, "reason": reason,
                         "missed_estimate": self.floor - start, "earliest_seq": self.floor + 1, "head_seq": self.head}
            at = self.floor
        delivered, used = [], 0
        while at < self.head and len(delivered) < limit:
            record = self.live.get(at + 1)
            if record is not None and record.get("node") not in nodes:
                if delivered and used + self.size(record) > budget:
                    break
                used += self.size(record)
                delivered.append(at + 1)
            at += 1
        return delivered, at, tombstone


class Play:
    """One seeded run: a model per topic, and the same calls to the fleet."""

    def __init__(self, seed, workers):
        self.random = random.Random(seed)
        self.workers = workers
        self.clients = [V0(worker.url) for worker in workers]
        self.models = {}
        self.serial = 0

    def client(self):
        return self.random.choice(self.clients)

    def record(self):
        r = self.random
        record = {"data": r.choice([None, 1.5, "text \u20ac \u0000", {"n": r.randrange(1000), "x": "y" * r.randrange(40)}, [1, 2]])}
        if r.random() < 0.5:
            record["tag"] = r.choice(TAGS)
        if r.random() < 0.3:
            record["node"] = r.choice(NODES[1:])
        if r.random() < 0.2:
            record["meta"] = {"m": r.randrange(100)}
        return record

    # ---- steps ----

    def make(self, topic):
        config = {"durability": self.random.choice(["fsync", "disk", "memory", "ephemeral"]),
                  "idempotency_window_ms": KEYS_LIVE_MS}
        body = fine(self.client().put_topic(topic, **config), 201)
        assert body["created"] is True
        self.models[topic] = Model()
        self.models[topic].config = config

    def write(self, topic, model):
        r = self.random
        count = r.choice([1, 1, 1, 2, 5, 30, 600])
        records = [self.record() for _ in range(count)]
        members = {}
        if r.random() < 0.3:
            members["idempotency_key"] = r.choice(["k1", "k2", f"k{r.randrange(1000)}"])
        key = members.get("idempotency_key")
        answer = self.client().write(topic, records, **members)
        if key in model.answers:
            first, count = model.answers[key]
        elif code := model.verdict(records):
            refused(answer, 422 if code == "topic_full" else 400, code)
            if code == "topic_full":
                detail = answer.json()["error"]["detail"]
                assert (detail["head_seq"], detail["earliest_seq"]) == (model.head, model.earliest)
            return
        else:
            first = model.write(records)
        last = first + count - 1
        assert bare(fine(answer)) == {
            "topic": topic, "first_seq": first, "last_seq": last, "seqs": list(range(first, last + 1)), "head_seq": last,
            "count": count, "created": False, "deduped": key in model.answers}
        if key is not None:
            model.answers[key] = (first, count)

    def erase(self, topic, model):
        r = self.random
        body, before, matches = {}, None, None
        if r.random() < 0.5:
            before = body["before_seq"] = r.choice([0, 1, model.earliest + r.randrange(5), r.randrange(model.head + 2),
                                                    model.head + 100 if r.random() < 0.1 else 2])
        if before is None or r.random() < 0.4:
            tag = r.choice(TAGS)
            if r.random() < 0.5:
                body["match"] = ["tag", "Glob", tag + "*"]
                matches = lambda other: other.startswith(tag)
            else:
                body["match"] = ["tag", "Eq", tag]
                matches = lambda other: other == tag
        deleted = model.erase(before, matches)
        assert bare(fine(self.client().erase(topic, **body))) == {
            "topic": topic, "deleted": deleted, "head_seq": model.head, "earliest_seq": model.earliest,
            "count": len(model.live), "bytes": model.bytes()}

    def configure(self, topic, model):
        r = self.random
        config = {"durability": model.config["durability"], "idempotency_window_ms": KEYS_LIVE_MS}
        if r.random() < 0.2:
            config["durability"] = r.choice(["fsync", "disk", "ephemeral"])
        if r.random() < 0.5:
            config["cap_records"] = r.choice([0, 1, 5, 50, 700])
        if r.random() < 0.3:
            config["cap_bytes"] = r.choice([0, 10, 300, 20000])
        if r.random() < 0.3:
            config["discard"] = "reject"
        fine(self.client().put_topic(topic, **config))
        model.config = config
        model.evict()

    def expire(self, topic, model):
        time.sleep(0.03)
        client = self.client()
        fine(client.put_topic(topic, **{**model.config, "ttl_ms": 10}))
        model.expire_all()
        self.check(topic, model)
        fine(client.put_topic(topic, **model.config))

    def read(self, topic, model):
        r = self.random
        start = r.choice([0, r.randrange(model.head + 3), max(0, model.floor - 1), model.floor, model.head, model.head + 5])
        limit, budget = r.choice([1, 3, 100, 1000]), r.choice([1, 100, 5000, 8 << 20])
        nodes = r.sample(["n1", "n2", "n3"], r.choice([0, 0, 1, 2]))
        body = fine(self.client().diff(topic, from_seq=start, limit=limit, max_batch_bytes=budget, node=nodes,
                                       include_tags=True))
        delivered, following, tombstone = model.diff(start, limit, budget, nodes)
        assert (seqs(body), body["next_from_seq"], body["tombstone"]) == (delivered, following, tombstone), (start, limit, nodes)
        assert (body["head_seq"], body["earliest_seq"]) == (model.head, model.earliest)
        assert (body["caught_up"], body["lag"]) == (following == model.head, model.head - following)
        for record in body["records"]:
            written = model.live[record["$seq"]]
            assert {name.lstrip("$"): value for name, value in record.items() if name not in ("$seq", "$ts")} == written
        times = [record["$ts"] for record in body["records"]]
        assert times == sorted(times)

    def check(self, topic, model):
        body = self.client().state(topic)
        assert (body["head_seq"], body["next_seq"], body["earliest_seq"], body["count"], body["bytes"]) == (
            model.head, model.head + 1, model.earliest, len(model.live), model.bytes())

    def remake(self, topic, model):
        body = fine(self.client().drop(topic, "?if_empty=true") if not model.live else self.client().drop(topic))
        assert body["deleted"] is True
        self.make(topic)

    def restart(self, *_):
        i = self.random.randrange(len(self.workers))
        worker = self.workers[i]
        if self.random.random() < 0.5:
            worker.kill()
        else:
            worker.stop()
        worker.start()
        self.clients[i].close()
        self.clients[i] = V0(worker.url)

    def run(self, steps):
        moves = [(self.write, 40), (self.read, 30), (self.erase, 14), (self.configure, 6), (self.check, 6),
                 (self.expire, 2), (self.remake, 1), (self.restart, 0.3)]
        for topic in ("model-1", "model-2", "model-3"):
            self.make(topic)
        for step in range(steps):
            [move] = self.random.choices([m for m, _ in moves], [w for _, w in moves])
            topic, model = self.random.choice(list(self.models.items()))
            try:
                move(topic, model)
            except AssertionError as error:
                raise AssertionError(f"step {step}, {move.__name__} on {topic}: {error}") from error
        for topic, model in self.models.items():
            self.check(topic, model)


@pytest.mark.parametrize("seed", range(1, SEEDS + 1))
def test_every_answer_is_the_models(fleet, fresh_database, seed):
    workers = [fleet.start(fresh_database, janitor_interval_ms=30) for _ in range(2)]
    Play(seed, workers).run(STEPS)
