"""Isolation: every route that docs/openapi describes, with another tenant's key, with each scope missing, and outside the
key's prefixes. Nothing of what is hidden may come back, and nothing of it may change."""

import base64
import importlib.util
import json
from dataclasses import dataclass, field

import pytest
from harness import wait
from harness.client import ok
from harness.gateway import ROOT, Gateway, run
from harness.watch import Watcher

# In every value, key, tag, node and description of the tenant that is to be protected; in no request.
MARK = "m4rk7f3a"
LOG, QUEUE, COPY = "hidden-log", "hidden-queue", "hidden-copy"
STREAM, WAKES = "hidden-stream/a", "hidden-wakes"
MQ, CONSUMER = "hiddenmq", "billing"
GROUP, ROUTER, SUBSCRIPTION = "hidden-group", "hidden-router", "hidden-sub"
READ, WRITE, DELETE, ADMIN = SCOPES = ("read", "write", "delete", "admin")

# What a stranger may get.
REFUSED = "refused"  # 401, 403, 404
UNKNOWN = "unknown"  # the same, or 500, httpmq's word for what does not exist
OWN = "own"          # something of their own, or an error: the name means nothing beyond one's tenant
LISTED = "listed"    # a list without what is hidden


@dataclass
class Call:
    """One example of a route. `path` is for its parameters; a body is JSON unless it is text."""
    scopes: tuple = ()
    other: str = REFUSED   # for a key of another tenant with every scope
    narrow: str = REFUSED  # for a key of the same tenant, confined to other names
    query: str = ""
    body: object = None
    headers: dict = field(default_factory=dict)
    path: dict = field(default_factory=dict)
    open: bool = False     # no API key is asked for: a stranger's counts as none


RECORDS = {"records": [{"data": 1}]}
JOBS = {"topic": QUEUE}
TEXT = {"Content-Type": "text/plain"}
MESSAGE = "aGVsbG8="
REPORT = {"wake_id": "w_1", "generation": 1, "done": True}

ROUTES = {
    # ---- streaming ----
    "get /": [Call(open=True, other=OWN, narrow=OWN)],
    "get /healthz": [Call(open=True, other=OWN, narrow=OWN)],
    "get /readyz": [Call(open=True, other=OWN, narrow=OWN)],
    "get /metrics": [Call([READ], LISTED, LISTED)],
    "post /topics": [Call([ADMIN], OWN, body={"name": LOG, "partitions": 1})],
    "get /topics": [Call([READ], LISTED, LISTED)],
    "get /topics/{topic}": [Call([READ])],
    "patch /topics/{topic}": [Call([ADMIN], body={"config": {"cap_records": 1}})],
    "get /topics/{topic}/offsets": [Call([READ], query="?timestamp=1")],
    "delete /topics/{topic}": [Call([DELETE])],
    "post /topics/{topic}/produce": [Call([WRITE], body={"messages": [{"value": "v"}]})],
    "post /topics/{topic}/consume": [Call([READ], body={"offset": 0}), Call([READ], body={"group_id": GROUP}),
                                     Call([READ], body={"group_id": "new", "wait_ms": 10})],
    "post /topics/{topic}/commit": [Call([READ], body={"group_id": GROUP, "offsets": [{"partition": 0, "offset": 0}]})],
    "get /topics/{topic}/groups": [Call([READ])],
    "get /topics/{topic}/groups/{group}": [Call([READ])],
    "delete /topics/{topic}/groups/{group}": [Call([READ, DELETE])],
    "delete /topics/{topic}/groups/{group}/partitions/{partition}": [Call([READ, DELETE], path={"partition": "0"})],
    "get /positions": [Call([READ], LISTED, LISTED)],
    "post /topics/{topic}/groups/{group}/reset": [Call([READ, WRITE], body={"to": "earliest"})],
    "get /topics/{topic}/stream": [Call([READ], query="?offset=earliest"),
                                   Call([READ], query=f"?group_id={GROUP}")],
    # ---- topics ----
    "get /v0/topics": [Call([READ], LISTED, LISTED)],
    "put /v0/topics/{topic}": [Call([ADMIN], OWN, body={"cap_records": 1})],
    "get /v0/topics/{topic}": [Call([READ])],
    "post /v0/topics/{topic}": [Call([WRITE], OWN, body=RECORDS)],
    "delete /v0/topics/{topic}": [Call([DELETE], OWN)],
    "post /v0/topics/{topic}/diff": [Call([READ], body={}), Call([READ], body={"from_seq": 0, "wait_ms": 10})],
    "post /v0/topics/{topic}/delete": [Call([DELETE], body={"before_seq": 2}), Call([DELETE], body={"match": "*"})],
    "post /v0/topics/{topic}/claim": [Call([READ, WRITE], body={"node": "n"}, path=JOBS)],
    "post /v0/topics/{topic}/ack": [Call([WRITE], body={"node": "n", "seqs": [1]}, path=JOBS)],
    "post /v0/topics/{topic}/nack": [Call([WRITE], body={"node": "n", "seqs": [1]}, path=JOBS)],
    "post /v0/topics/{topic}/extend": [Call([WRITE], body={"node": "n", "seqs": [1], "lease_ms": 1000}, path=JOBS)],
    "get /v0/topics/{topic}/work": [Call([READ, WRITE], query="?node=n", path=JOBS)],
    "get /v0/routers": [Call([READ], LISTED, LISTED)],
    "put /v0/routers/{router}": [
        Call([ADMIN], OWN, body={"source": LOG, "dest": "open-copy"}),
        Call([ADMIN], OWN, body={"source": LOG, "dest": "open-copy"}, path={"router": "open-router"}),
        Call([ADMIN], OWN, body={"source": "open-log", "dest": COPY}, path={"router": "open-router"})],
    "get /v0/routers/{router}": [Call([READ])],
    "delete /v0/routers/{router}": [Call([DELETE], OWN)],
    "post /v0/watch": [Call([READ], body={"topics": {LOG: {"from_seq": 0}}})],
    "get /v0/watch/{wid}": [Call([READ])],
    "get /v0/ws": [Call(other=OWN, narrow=OWN)],  # see below, with a WebSocket
    "get /v0/health": [Call(open=True, other=OWN, narrow=OWN)],
    "get /v0/ready": [Call(open=True, other=OWN, narrow=OWN)],
    "get /v0/metrics": [Call([READ], LISTED, LISTED), Call([READ], LISTED, LISTED, headers={"Accept": "application/json"})],
    # ---- durable ----
    "put /v1/stream/{topic...}": [
        Call([WRITE], OWN, body="x", headers=TEXT),
        Call([WRITE], headers={**TEXT, "Stream-Forked-From": "/v1/stream/" + STREAM}, path={"topic...": "open-fork"})],
    "post /v1/stream/{topic...}": [Call([WRITE], body="x", headers=TEXT)],
    "get /v1/stream/{topic...}": [Call([READ]), Call([READ], query="?offset=-1&live=sse"),
                                  Call([READ], query="?offset=-1&live=long-poll"), Call([READ], path={"topic...": LOG})],
    "head /v1/stream/{topic...}": [Call([READ])],
    "delete /v1/stream/{topic...}": [Call([DELETE])],
    "options /v1/stream/{topic...}": [Call(open=True, other=OWN, narrow=OWN)],
    # ---- subscriptions ----
    "put /v1/stream/__ds/subscriptions/{id}": [
        Call([READ, WRITE], OWN, body={"type": "pull-wake", "wake_stream": WAKES, "streams": [STREAM]}),
        Call([READ, WRITE], OWN, body={"type": "pull-wake", "wake_stream": "open-wakes", "pattern": "hidden-stream/*"},
             path={"id": "open-sub"})],
    "get /v1/stream/__ds/subscriptions/{id}": [Call([READ])],
    "delete /v1/stream/__ds/subscriptions/{id}": [Call([READ, DELETE], OWN)],
    "post /v1/stream/__ds/subscriptions/{id}/streams": [Call([READ, WRITE], body={"streams": [LOG]})],
    "delete /v1/stream/__ds/subscriptions/{id}/streams/{path...}": [Call([READ, WRITE])],
    "post /v1/stream/__ds/subscriptions/{id}/claim": [Call([READ], body={"worker": "w"})],
    "post /v1/stream/__ds/subscriptions/{id}/ack": [Call(open=True, body=REPORT)],
    "post /v1/stream/__ds/subscriptions/{id}/release": [Call(open=True, body=REPORT)],
    "post /v1/stream/__ds/subscriptions/{id}/callback": [Call(open=True, body=REPORT)],
    "get /v1/stream/__ds/jwks.json": [Call(open=True, other=OWN, narrow=OWN)],
    # ---- httpmq ----
    "get /v1/admin/alive": [Call(open=True, other=OWN, narrow=OWN)],
    "get /v1/admin/ready": [Call(open=True, other=OWN, narrow=OWN)],
    "get /v1/data/alive": [Call(open=True, other=OWN, narrow=OWN)],
    "get /v1/data/ready": [Call(open=True, other=OWN, narrow=OWN)],
    "get /v1/admin/stream": [Call([READ], LISTED, LISTED)],
    "post /v1/admin/stream": [Call([ADMIN], OWN, body={"name": MQ, "subjects": [MQ + ".b"]})],
    "get /v1/admin/stream/{topic}": [Call([READ], UNKNOWN, path={"topic": MQ})],
    "delete /v1/admin/stream/{topic}": [Call([DELETE], UNKNOWN, path={"topic": MQ})],
    "put /v1/admin/stream/{topic}/subject": [Call([ADMIN], UNKNOWN, body={"subjects": [MQ + ".b"]}, path={"topic": MQ})],
    "put /v1/admin/stream/{topic}/limit": [Call([ADMIN], UNKNOWN, body={"max_msgs": 1}, path={"topic": MQ})],
    "post /v1/admin/stream/{topic}/purge": [Call([DELETE], UNKNOWN, path={"topic": MQ})],
    "get /v1/admin/stream/{topic}/consumer": [Call([READ], LISTED, path={"topic": MQ})],
    "post /v1/admin/stream/{topic}/consumer": [
        Call([ADMIN], UNKNOWN, body={"name": "c", "mode": "push", "max_inflight": 1}, path={"topic": MQ})],
    "get /v1/admin/stream/{topic}/consumer/{consumer}": [Call([READ], UNKNOWN, path={"topic": MQ})],
    "delete /v1/admin/stream/{topic}/consumer/{consumer}": [Call([DELETE], UNKNOWN, path={"topic": MQ})],
    "post /v1/data/subject/{subject}": [Call([WRITE], OWN, body=MESSAGE)],
    "post /v1/data/subject/{subject}/raw": [Call([WRITE], OWN, body=MESSAGE)],
    "post /v1/data/stream/{topic}/batch": [
        Call([WRITE], OWN, body={"messages": [{"subject": MQ + ".a", "b64_msg": MESSAGE}]}, path={"topic": MQ})],
    "get /v1/data/stream/{topic}/consumer/{consumer}": [
        Call([READ], UNKNOWN, query=f"?subject_name={MQ}.a", path={"topic": MQ})],
    "post /v1/data/stream/{topic}/consumer/{consumer}/ack": [
        Call([READ], OWN, body={"stream": 1, "consumer": 1}, path={"topic": MQ})],
    "post /v1/data/stream/{topic}/consumer/{consumer}/nack": [
        Call([READ], OWN, body={"stream": 1, "consumer": 1}, path={"topic": MQ})],
    "post /v1/data/stream/{topic}/consumer/{consumer}/fetch": [Call([READ], UNKNOWN, body={}, path={"topic": MQ})],
    # ---- administration ----
    "post /v1/tidegate/tenants": [Call([ADMIN], body={"name": "hidden-tenant"})],
    "get /v1/tidegate/tenants": [Call([ADMIN])],
    "get /v1/tidegate/tenants/{tenant}": [Call([ADMIN], narrow=OWN)],
    "patch /v1/tidegate/tenants/{tenant}": [Call([ADMIN], body={"auto_create": True})],
    "delete /v1/tidegate/tenants/{tenant}": [Call([ADMIN])],
    "post /v1/tidegate/keys": [Call([ADMIN], body={"tenant": "acme", "scopes": ["read"]}),
                               Call([ADMIN], body={"tenant": "acme", "scopes": ["admin"], "prefixes": ["hidden-"]}),
                               Call([ADMIN], OWN, body={"scopes": ["admin"], "prefixes": ["open-", "hidden-"]})],
    "get /v1/tidegate/keys": [Call([ADMIN], query="?tenant=acme", narrow=LISTED), Call([ADMIN], LISTED, LISTED)],
    "get /v1/tidegate/keys/{key}": [Call([ADMIN])],
    "delete /v1/tidegate/keys/{key}": [Call([ADMIN])],
    "post /v1/tidegate/keys/{key}/rotate": [Call([ADMIN], body={})],
    "get /v1/tidegate/audit": [Call([ADMIN], query="?tenant=acme"), Call([ADMIN], LISTED, query="?page_size=1000")],
}

EXAMPLES = [(route, call) for route, calls in ROUTES.items() for call in calls]
each_example = pytest.mark.parametrize("route, call", EXAMPLES,
                                       ids=[f"{route} {n}" for n, (route, _) in enumerate(EXAMPLES)])


def described():
    """Every operation of docs/openapi, as "method path"."""
    spec = importlib.util.spec_from_file_location("check_openapi", ROOT / "tests" / "check_openapi.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = set()
    for path in sorted((ROOT / "docs" / "openapi").glob("*.yaml")):
        operations, _ = module.operations(path.read_text())
        found |= {f"{method} {pattern}" for method, pattern in operations}
    return found


# ---- what is hidden ----

class Vault:
    """The tenant acme with something of everything, and keys of those who may not see it."""

    def __init__(self, database, gateway):
        self.database, self.gateway = database, gateway
        for tenant in ("acme", "globex", "initech"):
            run("tenant", "create", tenant, database=database)
        self.clients = []
        self.owner = self.key("acme", name=MARK)
        # globex never makes anything, so that a name of acme's is unknown to it; initech makes things of its own.
        stranger = self.key("globex")
        self.others = {REFUSED: stranger, UNKNOWN: stranger, LISTED: stranger, OWN: self.key("initech")}
        self.narrow = self.key("acme", prefix="open-")
        self.lacking = {scope: self.key("acme", scopes=[s for s in SCOPES if s != scope]) for scope in SCOPES}
        self.fill()

    def key(self, tenant, scopes=SCOPES, prefix=None, name=None):
        more = [*(["--prefix", prefix] if prefix else []), *(["--name", name] if name else [])]
        key = run("key", "create", "--tenant", tenant, "--scopes", ",".join(scopes), *more, database=self.database).stdout
        self.clients.append(Watcher(self.gateway.url, key=key.strip()))
        return self.clients[-1]

    def fill(self):
        owner = self.owner
        owner.post("/topics", json={"name": LOG})
        assert owner.request("PUT", f"/v0/routers/{ROUTER}", json={"source": LOG, "dest": COPY}).status_code == 201
        ok(owner.produce(LOG, [{"key": MARK, "value": f"{MARK}-{i}", "headers": [["h", MARK]]} for i in range(5)]))
        ok(owner.post(f"/v0/topics/{LOG}", json={"records": [{"data": MARK, "tag": MARK, "meta": {"m": MARK}}], "node": MARK}))
        ok(owner.post(f"/topics/{LOG}/consume", json={"group_id": GROUP, "consumer_id": MARK, "lease_ms": 86_400_000}))
        assert owner.request("PUT", f"/v0/topics/{QUEUE}", json={"type": "queue"}).status_code == 201
        ok(owner.post(f"/v0/topics/{QUEUE}", json={"records": [{"data": MARK}, {"data": MARK}]}))
        ok(owner.post(f"/v0/topics/{QUEUE}/claim", json={"node": MARK, "max": 1, "lease_ms": 86_400_000}))
        for path in (STREAM, WAKES):
            made = owner.request("PUT", f"/v1/stream/{path}", headers={"Content-Type": "application/json"})
            assert made.status_code == 201, made.text
        made = owner.request("PUT", f"/v1/stream/__ds/subscriptions/{SUBSCRIPTION}", json={
            "type": "pull-wake", "wake_stream": WAKES, "streams": [STREAM], "description": MARK})
        assert made.status_code == 201, made.text
        owner.post(f"/v1/stream/{STREAM}", data=json.dumps({"v": MARK}), headers={"Content-Type": "application/json"})
        wait.until(lambda: owner.get(f"/v1/stream/{WAKES}?offset=-1").json(), "the wake is told")
        wait.until(lambda: self.database.psql("SELECT FROM tidegate.subscription WHERE tell_ms IS NOT NULL") == [],
                   "that it was told is noted")
        wait.until(lambda: sum(owner.ends(COPY)) == 6, "the router has copied")
        ok(owner.post("/v1/admin/stream", json={"name": MQ, "subjects": [MQ + ".a"]}))
        ok(owner.post(f"/v1/admin/stream/{MQ}/consumer", json={"name": CONSUMER, "mode": "push", "max_inflight": 1, "notes": MARK}))
        ok(owner.post(f"/v1/data/subject/{MQ}.a", data=base64.b64encode(MARK.encode())))
        self.wid = ok(owner.post("/v0/watch", json={"topics": {LOG: {"from_seq": 0}}}))["wid"]

    def path(self, route, call):
        values = {"topic": LOG, "topic...": STREAM, "group": GROUP, "router": ROUTER, "id": SUBSCRIPTION, "path...": STREAM, "consumer": CONSUMER, "subject": MQ + ".a",
                  "wid": self.wid, "tenant": "acme", "key": self.owner.key.split("_")[1], **call.path}
        path = route.split(" ", 1)[1]
        for name, value in values.items():
            path = path.replace("{" + name + "}", value)
        assert "{" not in path, f"{route}: give its parameters an example"
        return path + call.query

    def send(self, client, route, call):
        options = {"headers": dict(call.headers)}
        if isinstance(call.body, str):
            options["data"] = call.body
        elif call.body is not None:
            options["json"] = call.body
        if call.open:
            options["headers"]["Authorization"] = f"Bearer {client.key}"
        answer = client.request(route.split(" ")[0].upper(), self.path(route, call), stream=True, **options)
        is_endless = answer.status_code == 200 and "Content-Length" not in answer.headers
        assert not is_endless, "a stream was opened"
        assert answer.status_code < 500 or call.other == UNKNOWN, answer.text
        assert MARK not in answer.text + str(answer.headers)
        assert base64.b64encode(MARK.encode()).decode() not in answer.text
        return answer

    def state(self):
        """Everything of acme that is in the database, but for notes of use."""
        tables = {"topic": "last_read_ms", "tenant": "", "router": "", "subscription": "", "api_key": "last_used_ms",
                  "watch_session": "used_ms", "audit": ""}
        of_topics = {"head": "", "batch": "", "batch_tag": "", "consumer_group": "", "group_partition": "", "lease": "",
                     "lease_cursor": "", "lease_claim": "", "durable_stream": "last_access_ms", "producer": "",
                     "idempotency": "", "httpmq_stream": "", "httpmq_consumer": "", "httpmq_pending": ""}
        acme = "(SELECT tenant_id FROM tidegate.tenant WHERE name = 'acme')"
        topics = f"(SELECT topic_id FROM tidegate.topic WHERE tenant_id = {acme})"
        wanted = [(t, note, f"tenant_id = {acme}") for t, note in tables.items()]
        wanted += [(t, note, f"topic_id IN {topics}") for t, note in of_topics.items()]
        wanted.append(("subscription_link", "", f"topic_id IN {topics}"))
        rows = " UNION ALL ".join(f"SELECT '{t} ' || (to_jsonb(x) - '{note}')::text AS row FROM tidegate.{t} x WHERE {where}"
                                  for t, note, where in wanted)
        return self.database.psql(f"SELECT row FROM ({rows}) AS all_rows ORDER BY row")


@pytest.fixture(scope="module")
def vault(database):
    run("migrate", database=database)
    process = Gateway(database, auth="required", topics_watch_session_ttl_ms=86_400_000)
    made = None
    try:
        process.start()
        made = Vault(database, process)
        yield made
    finally:
        for client in made.clients if made else []:
            client.close()
        process.finish()


@pytest.fixture
def unchanged(vault):
    before = vault.state()
    yield
    assert vault.state() == before


def judge(answer, expected):
    if expected == REFUSED:
        assert answer.status_code in (401, 403, 404), f"{answer.status_code}: {answer.text}"
    elif expected == UNKNOWN:
        assert answer.status_code in (401, 403, 404, 500), f"{answer.status_code}: {answer.text}"
    elif expected == LISTED:
        assert answer.status_code == 200, answer.text
        assert "hidden" not in answer.text


# ---- the walk ----

def test_every_described_route_has_an_example():
    assert set(ROUTES) == described()


def test_the_owner_is_not_refused(vault):
    """What the others are refused for is there: the reading examples, as the owner, show the mark or the names."""
    seen = [vault.owner.get(vault.path(route, call)).text for route, call in EXAMPLES
            if route.startswith("get ") and call.scopes and call.other != OWN
            and not any(word in route for word in ("stream", "work", "wid", "tenants", "metrics", "offsets"))]
    assert len(seen) >= 10
    assert all("hidden" in text or MARK in text for text in seen), seen


@each_example
def test_a_key_of_another_tenant(vault, unchanged, route, call):
    judge(vault.send(vault.others[call.other], route, call), call.other)


@each_example
def test_a_key_that_lacks_a_scope(vault, unchanged, route, call):
    for scope in call.scopes:
        answer = vault.send(vault.lacking[scope], route, call)
        assert answer.status_code in (401, 403), f"without {scope}: {answer.status_code} {answer.text}"


@each_example
def test_a_key_that_is_confined_to_other_names(vault, unchanged, route, call):
    judge(vault.send(vault.narrow, route, call), call.narrow)


@each_example
def test_no_key_and_a_made_up_one(vault, unchanged, route, call):
    if not call.open:
        for key in ("", "tg_aaaaaaaaaaaa_" + "b" * 32 + "_cccccc"):
            with Watcher(vault.gateway.url, key=key) as nobody:
                assert vault.send(nobody, route, call).status_code == 401


# ---- the WebSocket ----

@pytest.mark.parametrize("who", ["other", "narrow", "without read", "without write"])
def test_a_websocket_reaches_nothing_that_is_hidden(vault, unchanged, who):
    client = {"other": vault.others[REFUSED], "narrow": vault.narrow, "without read": vault.lacking[READ],
              "without write": vault.lacking[WRITE]}[who]
    with client.socket() as ws:
        if who != "without write":
            answer = ws.do("subscribe", topic=LOG, request_id="s")
            assert answer["op"] == "error" and MARK not in json.dumps(answer)
        if who in ("narrow", "without write"):
            answer = ws.do("publish", topic=LOG, records=[{"data": 1}])
            assert answer["op"] == "error" and MARK not in json.dumps(answer)
        assert ws.pushed == []
