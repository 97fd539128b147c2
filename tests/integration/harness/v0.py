"""The topics dialect (/v0): a client with one method per call, and what every answer has to stand."""

from harness.client import Client, ok

CONFIG_MEMBERS = {"type", "ttl_ms", "cap_records", "cap_bytes", "discard", "durable", "durability", "priority",
                  "auto_priority", "auto_create", "idempotency_window_ms", "dedupe_node", "lease_ms", "claim_jitter_ms",
                  "max_deliveries", "dead_letter", "leases_durable"}


class V0(Client):
    """Methods with a verb alone return the response; those ending in `_ok` check it and return its body."""

    def put_topic(self, name, **config):
        return self.request("PUT", f"/v0/topics/{name}", json=config)

    def make(self, name, **config):
        body = fine(self.put_topic(name, **config), 201)
        assert body["created"] is True
        return name

    def state(self, name, touch=False):
        return fine(self.get(f"/v0/topics/{name}?touch={'true' if touch else 'false'}"))

    def write(self, name, records, query="", headers=None, **members):
        return self.post(f"/v0/topics/{name}{query}", json={"records": records, **members}, headers=headers)

    def add(self, name, records, **members):
        """Writes to a topic that is there; the body of the answer."""
        return fine(self.write(name, records, **members))

    def diff(self, name, **members):
        return self.post(f"/v0/topics/{name}/diff", json=members)

    def read(self, name, **members):
        return fine(self.diff(name, **members))

    def erase(self, name, **members):
        return self.post(f"/v0/topics/{name}/delete", json=members)

    def drop(self, name, query=""):
        return self.request("DELETE", f"/v0/topics/{name}{query}")


def fine(response, status=200):
    """The body of a success, which always says how long it took."""
    body = ok(response, status)
    assert isinstance(body["performance"]["server_total_ms"], (int, float)), body
    assert "ok" not in body and "status" not in body, body
    return body


def bare(body):
    """Without what differs from call to call."""
    return {name: value for name, value in body.items() if name != "performance"}


def seqs(body):
    return [record["$seq"] for record in body["records"]]
