"""A queue of the topics dialect, call by call, and workers that empty one while somebody counts."""

import collections
import threading

import requests

from harness.client import ok
from harness.live import Stream

LONG = 600_000


class Queue:
    def __init__(self, client, name, **config):
        self.client = client
        self.name = name
        self.path = f"/v0/topics/{name}"
        answer = client.request("PUT", self.path, json={"type": "queue", **config})
        assert answer.status_code in (200, 201), answer.text

    def at(self, client):
        """The same queue through another gateway."""
        other = Queue.__new__(Queue)
        other.client, other.name, other.path = client, self.name, self.path
        return other

    def call(self, verb, **body):
        return self.client.post(f"{self.path}/{verb}", json=body)

    def put(self, data):
        """Writes one job per element; returns their seqs."""
        return self.write([{"data": d} for d in data])

    def write(self, records):
        answer = self.client.post(self.path, json={"records": records})
        assert answer.status_code == 200, answer.text
        return answer.json()["seqs"]

    def state(self):
        return ok(self.client.get(self.path))["queue"]

    def records(self, topic=None):
        """What a reader of the queue, or of another topic, gets from the start."""
        body = ok(self.client.post(f"/v0/topics/{topic or self.name}/diff", json={"limit": 1000, "include_tags": True}))
        return body["records"]

    def claim(self, node="w", max=1, **body):
        return ok(self.call("claim", node=node, max=max, **body))["claimed"]

    def seqs(self, node="w", max=1, **body):
        return [job["$seq"] for job in self.claim(node, max, **body)]

    def ack(self, node, seqs, **body):
        return ok(self.call("ack", node=node, seqs=seqs, **body))

    def nack(self, node, seqs, **body):
        return ok(self.call("nack", node=node, seqs=seqs, **body))

    def extend(self, node, seqs, **body):
        return ok(self.call("extend", node=node, seqs=seqs, **body))

    def counts(self):
        """(ready, in_flight) as an acknowledgement of nothing tells them."""
        body = self.ack("nobody", [])
        return body["ready"], body["in_flight"]

    def work(self, node, **query):
        text = "&".join(f"{k}={v}" for k, v in {"node": node, **query}.items())
        return Stream(self.client, f"{self.path}/work?{text}")


class Crew:
    """Workers that claim and acknowledge until nothing is left; every delivery and every acknowledgement is remembered."""

    def __init__(self, queue, clients, workers, batch=3, lease_ms=LONG):
        self.queue = queue
        self.clients = clients  # callables: the url of a gateway may change when it is started again
        self.batch = batch
        self.lease_ms = lease_ms
        self.lock = threading.Lock()
        self.delivered = collections.defaultdict(list)  # seq: [(worker, lease)]
        self.acked = set()
        self.twice_acked = []
        self.failures = 0
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(i,), daemon=True) for i in range(workers)]

    def start(self):
        for thread in self.threads:
            thread.start()
        return self

    def join(self, deadline_s):
        for thread in self.threads:
            thread.join(deadline_s)
            assert not thread.is_alive(), "a worker hangs"

    def finish(self, deadline_s=60):
        self.stop.set()
        self.join(deadline_s)

    def _run(self, number):
        node = f"worker-{number}"
        client = None
        while not self.stop.is_set():
            try:
                client = client or self.clients[number % len(self.clients)]()
                jobs = self.queue.at(client).claim(node, self.batch, lease_ms=self.lease_ms)
                with self.lock:
                    for job in jobs:
                        self.delivered[job["$seq"]].append((node, job["lease_id"]))
                if not jobs:
                    self.stop.wait(0.02)
                    continue
                done = self.queue.at(client).ack(node, [j["$seq"] for j in jobs], lease_ids=[j["lease_id"] for j in jobs])
                with self.lock:
                    for seq in {j["$seq"] for j in jobs} - set(done["skipped"]):
                        if seq in self.acked:
                            self.twice_acked.append(seq)
                        self.acked.add(seq)
            except (requests.RequestException, AssertionError):
                # The gateway is gone, or has no database: what was leased comes back by itself.
                with self.lock:
                    self.failures += 1
                if client is not None:
                    client.close()
                    client = None
                self.stop.wait(0.05)
        if client is not None:
            client.close()
