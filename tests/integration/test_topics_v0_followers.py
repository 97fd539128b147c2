"""What a reader that follows must get, while others write, delete and evict on several workers that are killed (contract,
sections 6 and 16): every record of its topic, in order and once, or a tombstone over it; only what was deleted is not told."""

import contextlib
import random
import threading
import time

import pytest
import requests

from harness import wait
from harness.v0 import V0, fine
from harness.watch import Watcher

CAP_RECORDS = 60
END = "end"  # the tag of the last record


class Ledger:
    """What one reader was told of each number of its topic."""

    def __init__(self):
        self.at = 0
        self.delivered = {}  # seq -> tag
        self.lost = set()    # announced by tombstones
        self.tombstones = 0
        self.is_complete = False

    def gap(self, tombstone):
        assert tombstone["reason"] in ("cap", "from_seq_too_old"), tombstone
        assert self.at < tombstone["gap_from"] <= tombstone["gap_to"], (self.at, tombstone)
        self.lost.update(range(tombstone["gap_from"], tombstone["gap_to"] + 1))
        self.at = tombstone["gap_to"]
        self.tombstones += 1

    def page(self, records, to_seq):
        for record in records:
            assert record["$seq"] > self.at, (self.at, record)
            self.delivered[record["$seq"]] = record["$tag"]
            self.at = record["$seq"]
            self.is_complete = record["$tag"] == END
        assert to_seq >= self.at
        self.at = to_seq

    def check(self, written):
        silent = set(range(1, max(written) + 1)) - self.delivered.keys() - self.lost
        assert not [seq for seq in silent if written.get(seq) == "kept"], "records are missing and nobody said so"
        assert all(written.get(seq, tag) == tag for seq, tag in self.delivered.items())


class Scene:
    def __init__(self, workers, topic):
        self.workers, self.topic = workers, topic
        self.written = {}  # seq -> tag, of what was acknowledged
        self.is_over = threading.Event()
        self.failures = []

    def client(self, kind=V0):
        return kind(random.choice(self.workers).url)

    def start(self, *parts):
        def run(part):
            try:
                part()
            except Exception as error:  # noqa: BLE001 - a thread has nobody to raise to
                self.failures.append(error)
        threads = [threading.Thread(target=run, args=(part,), daemon=True) for part in parts]
        for thread in threads:
            thread.start()
        return threads

    def write(self):
        while not self.is_over.is_set():
            tags = [random.choice(["kept", "kept", "gone"]) for _ in range(random.choice([1, 1, 5, 40]))]
            with contextlib.suppress(requests.RequestException), self.client() as client:
                answer = client.write(self.topic, [{"data": {"n": n}, "tag": tag} for n, tag in enumerate(tags)])
                if answer.status_code != 503:
                    self.written.update(zip(fine(answer)["seqs"], tags, strict=True))
            time.sleep(0.005)

    def erase(self):
        while not self.is_over.is_set():
            with contextlib.suppress(requests.RequestException), self.client() as client:
                assert client.erase(self.topic, match=["tag", "Eq", "gone"]).status_code in (200, 503)
            time.sleep(0.02)

    def end(self):
        """Once nobody writes any more: the last record."""
        with V0(self.workers[0].url) as client:
            self.written[client.add(self.topic, [{"data": None, "tag": END}])["last_seq"]] = END

    def poll(self, ledger, pause_s):
        """Diffs until the end. Whoever pauses while others write falls behind what the cap keeps."""
        while not ledger.is_complete:
            with contextlib.suppress(requests.RequestException), self.client() as client:
                answer = client.diff(self.topic, from_seq=ledger.at, limit=25, include_tags=True, wait_ms=50)
                if answer.status_code != 503:
                    body = fine(answer)
                    if body["tombstone"] is not None:
                        ledger.gap(body["tombstone"])
                    ledger.page(body["records"], body["next_from_seq"])
            self.is_over.wait(pause_s)

    def watch(self, ledger):
        """One session after the other, each from where the one before was cut off."""
        while not ledger.is_complete:
            with contextlib.suppress(requests.RequestException, OSError, AssertionError), self.client(Watcher) as client:
                stream = client.follow({self.topic: {"from_seq": ledger.at}}, include_tags=True)
                with stream:
                    assert stream.status == 200  # one that is none has no events to wait for
                    self.follow(stream, ledger)

    def follow(self, stream, ledger):
        while not ledger.is_complete and (event := stream.next()) is not None and event.kind != "error":
            try:
                if event.kind == "tombstone":
                    ledger.gap(event.data)
                elif event.kind == "record":
                    assert event.data["from_seq"] >= ledger.at  # what was deleted is passed over without a frame
                    ledger.page(event.data["records"], event.data["to_seq"])
            except AssertionError as error:
                raise RuntimeError(f"{event}: {error}") from error


def join(threads):
    for thread in threads:
        thread.join(wait.DEADLINE_S)
        assert not thread.is_alive(), thread


@pytest.mark.slow
@pytest.mark.tsan
@pytest.mark.parametrize("cap_records", [0, CAP_RECORDS])
def test_whoever_follows_is_told_of_everything_that_was_not_deleted(fleet, fresh_database, name, cap_records):
    workers = [fleet.start(fresh_database, janitor_interval_ms=30) for _ in range(3)]
    scene = Scene(workers, name)
    with V0(workers[0].url) as client:
        client.make(name, durability="fsync", cap_records=cap_records)
    quick, slow, *watchers = ledgers = [Ledger() for _ in range(4)]
    writers = scene.start(scene.write, scene.write, scene.write, scene.erase)
    readers = scene.start(lambda: scene.poll(quick, 0), lambda: scene.poll(slow, 0.3),
                          *(lambda ledger=ledger: scene.watch(ledger) for ledger in watchers))
    for _ in range(2):
        for worker in workers[1:]:
            time.sleep(1)
            worker.kill()
            worker.start()
    scene.is_over.set()
    join(writers)
    scene.end()
    join(readers)
    assert scene.failures == []
    for ledger in ledgers:
        ledger.check(scene.written)
    assert slow.tombstones > 0 if cap_records else not any(ledger.lost for ledger in ledgers)
