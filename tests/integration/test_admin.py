"""The admin API: tenants, keys and the audit (docs/keys.md)."""

import getpass
import threading

import pytest
from harness import wait
from harness.client import Client, ok, refused
from harness.gateway import Gateway, run
from harness.live import Stream

ROOT = "/v1/tidegate"
ALL = ["read", "write", "delete", "admin"]


class Admin(Client):
    """A caller of the admin API."""

    def make_tenant(self, name, **members):
        return ok(self.post(f"{ROOT}/tenants", json={"name": name, **members}), 201)

    def ask_key(self, **members):
        return self.post(f"{ROOT}/keys", json=members)

    def make_key(self, **members):
        return ok(self.ask_key(**members), 201)

    def drop_tenant(self, name):
        return self.request("DELETE", f"{ROOT}/tenants/{name}")

    def revoke(self, key_id):
        return self.request("DELETE", f"{ROOT}/keys/{key_id}")

    def rotate(self, key_id, **body):
        return self.post(f"{ROOT}/keys/{key_id}/rotate", json=body)

    def pages(self, what, member, query="", page_size=2):
        """All entries, a page at a time."""
        found, cursor = [], ""
        while cursor is not None:
            body = ok(self.get(f"{ROOT}/{what}?page_size={page_size}&cursor={cursor}{query}"))
            assert len(body[member]) <= page_size
            found += body[member]
            cursor = body.get("next_cursor")
        return found

    def acts(self, query=""):
        return [(a["act"], a["object"]) for a in self.pages("audit", "acts", query)]

    def note(self, query=""):
        return ok(self.get(f"{ROOT}/audit?page_size=1{query}"))["acts"][0]


@pytest.fixture(scope="module")
def gateway(database):
    run("migrate", database=database)
    process = Gateway(database, auth="required")
    try:
        process.start()
        yield process
    finally:
        process.finish()


@pytest.fixture(scope="module")
def operator(gateway, database):
    key = run("key", "create", "--scopes", "all", "--name", "operator", database=database).stdout.strip()
    with Admin(gateway.url, key=key) as made:
        yield made


@pytest.fixture
def tenant(operator, name):
    return operator.make_tenant(name[-50:].lstrip("-"))["name"]


@pytest.fixture
def as_key(gateway, operator):
    """as_key(tenant, **members) → a client with a new key that the operator made; its id is .id"""
    made = []

    def make(tenant, scopes=ALL, **members):
        body = operator.make_key(tenant=tenant, scopes=scopes, **members)
        made.append(Admin(gateway.url, key=body["key"]))
        made[-1].id = body["key_id"]
        return made[-1]
    yield make
    for client in made:
        client.close()


# ---- tenants ----

def test_a_tenant_from_its_making_to_its_end(operator, as_key, name):
    made = operator.make_tenant(name[-50:].lstrip("-"), auto_create=True)
    assert (made["auto_create"], made["topics"], made["keys"]) == (True, 0, 0)
    key = as_key(made["name"])
    ok(key.produce("made-by-producing", [{"value": "v"}]))
    assert ok(operator.get(f"{ROOT}/tenants/{made['name']}"))["topics"] == 1
    changed = ok(operator.request("PATCH", f"{ROOT}/tenants/{made['name']}", json={"auto_create": None}))
    assert (changed["auto_create"], changed["keys"]) == (None, 1)
    refused(operator.drop_tenant(made["name"]), 409, "tenant_in_use", says="topics")
    ok(key.request("DELETE", "/topics/made-by-producing"))
    assert ok(operator.drop_tenant(made["name"])) == {"name": made["name"], "deleted": True}
    wait.until(lambda: key.get("/topics").status_code == 401, "its keys have ended")
    refused(operator.get(f"{ROOT}/tenants/{made['name']}"), 404, "not_found")
    refused(operator.drop_tenant(made["name"]), 404, "not_found")
    assert operator.acts(f"&tenant={made['name']}") == [
        ("tenant.delete", made["name"]), ("tenant.set", made["name"]), ("key.create", key.id), ("tenant.create", made["name"])]


def test_a_tenant_with_subscriptions_but_no_topics_can_be_deleted(operator, as_key, tenant):
    key = as_key(tenant)
    made = key.request("PUT", "/v1/stream/__ds/subscriptions/s", json={
        "type": "webhook", "pattern": "a/*", "webhook": {"url": "https://hooks.example/in"}})
    assert made.status_code == 201, made.text
    ok(operator.drop_tenant(tenant))


@pytest.mark.parametrize("body, says", [
    ({}, "name"), ({"name": ""}, "name"), ({"name": "a b"}, "name"), ({"name": 7}, "name"), ({"name": "x" * 65}, "name"),
    ({"name": "fine", "auto_create": "on"}, "auto_create"), ({"name": "fine", "autocreate": True}, "autocreate"), ([], "object"),
], ids=str)
def test_bad_tenants_are_explained_and_not_made(operator, body, says):
    refused(operator.post(f"{ROOT}/tenants", json=body), 400, "invalid_request", says=says)
    assert operator.get(f"{ROOT}/tenants/fine").status_code == 404


def test_a_name_is_taken_once_even_by_many_at_a_time(operator, name):
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(operator.post(f"{ROOT}/tenants", json={"name": name[-50:].lstrip("-")})))
               for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(a.status_code for a in answers) == [201] + [409] * 7
    refused(operator.post(f"{ROOT}/tenants", json={"name": name[-50:].lstrip("-")}), 409, "tenant_exists")
    assert len(operator.acts(f"&tenant={name[-50:].lstrip('-')}")) == 1


def test_tenants_come_in_pages_by_name(operator, tenant):
    for letter in "cab":
        operator.make_tenant(f"zz-{letter}-{tenant}")
    names = [t["name"] for t in operator.pages("tenants", "tenants")]
    assert names == sorted(names) and {"default", tenant} < set(names)


def test_the_default_tenant_stays(operator):
    refused(operator.drop_tenant("default"), 409, "tenant_in_use")


# ---- keys ----

def test_a_key_is_shown_once_and_does_what_it_says(operator, as_key, gateway, tenant):
    body = operator.make_key(tenant=tenant, name="billing", scopes=["read", "admin"], prefixes=["web-"],
                             expires_in_ms=3_600_000)
    assert body["key"].startswith(f"tg_{body['key_id']}_")
    assert (body["tenant"], body["name"], body["scopes"], body["prefixes"], body["status"]) == \
        (tenant, "billing", ["read", "admin"], ["web-"], "active")
    assert body["expires_ms"] - body["created_ms"] == 3_600_000
    with Client(gateway.url, key=body["key"]) as client:
        ok(client.create("web-1"), 201)
        refused(client.create("app-1"), 403, "forbidden")
        refused(client.produce("web-1", [{"value": "v"}]), 403, "forbidden")
    shown = ok(operator.get(f"{ROOT}/keys/{body['key_id']}"))
    assert shown.keys() == body.keys() - {"key"}
    secret = body["key"].split("_")[2]
    for text in (operator.get(f"{ROOT}/keys?tenant={tenant}").text, operator.get(f"{ROOT}/audit").text, gateway.log_text()):
        assert secret not in text


def test_answers_with_keys_are_not_to_be_stored(operator, tenant):
    answer = operator.ask_key(tenant=tenant, scopes=["read"])
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("body, says", [
    ({}, "scope"), ({"scopes": []}, "scope"), ({"scopes": "read"}, "scopes"), ({"scopes": ["fly"]}, "scopes"),
    ({"scopes": ["read"], "prefix": "web-"}, "prefix"), ({"scopes": ["read"], "prefixes": [""]}, "prefix"),
    ({"scopes": ["read"], "prefixes": ["p"] * 65}, "64"), ({"scopes": ["read"], "prefixes": ["a\u0000"]}, "prefix"),
    ({"scopes": ["read"], "expires_in_ms": 0}, "expires_in_ms"), ({"scopes": ["read"], "expires_in_ms": "1d"}, "expires_in_ms"),
    ({"scopes": ["read"], "name": "n" * 129}, "name"), ({"scopes": ["read"], "name": "a\nb"}, "name"),
], ids=str)
def test_bad_keys_are_explained_and_not_made(operator, tenant, body, says):
    refused(operator.ask_key(tenant=tenant, **body), 400, "invalid_request", says=says)
    assert operator.pages("keys", "keys", f"&tenant={tenant}") == []


def test_keys_come_in_pages_by_age(operator, tenant):
    made = [operator.make_key(tenant=tenant, scopes=["read"]) for _ in range(5)]
    # Two of one millisecond come by their ids.
    made = [k["key_id"] for k in sorted(made, key=lambda k: (k["created_ms"], k["key_id"]))]
    assert [k["key_id"] for k in operator.pages("keys", "keys", f"&tenant={tenant}")] == made
    assert set(made) < {k["key_id"] for k in operator.pages("keys", "keys")}
    refused(operator.get(f"{ROOT}/keys?cursor=nonsense!"), 400, "invalid_request", says="cursor")


def test_unknown_keys_and_tenants(operator):
    refused(operator.get(f"{ROOT}/keys/aaaaaaaaaaaa"), 404, "not_found")
    refused(operator.get(f"{ROOT}/keys/nonsense"), 400, "invalid_request", says="key id")
    refused(operator.revoke("aaaaaaaaaaaa"), 404, "not_found")
    refused(operator.rotate("aaaaaaaaaaaa"), 404, "not_found")
    refused(operator.ask_key(tenant="nobody", scopes=["read"]), 404, "not_found")
    refused(operator.get(f"{ROOT}/tenants/%00"), 404, "not_found")
    refused(operator.get(f"{ROOT}/audit?tenant=%00"), 400, "invalid_request")
    refused(operator.get(f"{ROOT}/none"), 404, "not_found")


def test_revoking_ends_the_key_and_its_streams_at_once(operator, as_key, tenant):
    key = as_key(tenant)
    key.make("t")
    with Stream(key, "/topics/t/stream?offset=earliest") as live:
        assert live.status == 200
        assert ok(operator.revoke(key.id))["status"] == "revoked"
        live.wait_end()
    wait.until(lambda: key.get("/topics").status_code == 401, "the key is refused")
    assert ok(operator.revoke(key.id))["status"] == "revoked"
    assert operator.acts(f"&tenant={tenant}").count(("key.revoke", key.id)) == 1
    refused(operator.rotate(key.id), 409, "key_not_active", says="revoked")


def test_rotating_gives_a_twin_and_lets_the_old_one_go_on(operator, as_key, gateway, tenant):
    key = as_key(tenant, ["read"], prefixes=["web-"], name="n", expires_in_ms=7_200_000)
    body = ok(operator.rotate(key.id, overlap_ms=3_600_000), 201)
    old = body["replaces"]
    assert (old["key_id"], old["status"], old["replaced_by"]) == (key.id, "replaced", body["key_id"])
    for member in ("tenant", "name", "scopes", "prefixes"):
        assert body[member] == old[member]
    assert body["expires_ms"] - body["created_ms"] == 7_200_000
    with Client(gateway.url, key=body["key"]) as successor:
        ok(successor.get("/topics"))
    ok(key.get("/topics"))
    refused(operator.rotate(key.id), 409, "key_not_active")
    last = ok(operator.rotate(body["key_id"], overlap_ms=0), 201)
    with Client(gateway.url, key=body["key"]) as successor:
        wait.until(lambda: successor.get("/topics").status_code == 401, "the old key has ended")
    assert operator.post(f"{ROOT}/keys/{last['key_id']}/rotate").status_code == 201  # a body is not needed


# ---- who may ----

def test_only_the_operator_makes_and_sees_tenants(operator, as_key, tenant):
    for stranger in (as_key(tenant), as_key("default", prefixes=["a."])):
        refused(stranger.post(f"{ROOT}/tenants", json={"name": "x"}), 403, "forbidden")
        refused(stranger.get(f"{ROOT}/tenants"), 403, "forbidden")
        refused(stranger.drop_tenant(tenant), 403, "forbidden")
        refused(stranger.request("PATCH", f"{ROOT}/tenants/{tenant}", json={"auto_create": True}), 403, "forbidden")
    assert ok(as_key(tenant).get(f"{ROOT}/tenants/{tenant}"))["name"] == tenant
    refused(as_key("default", ["read", "write", "delete"]).get(f"{ROOT}/tenants"), 403, "forbidden")


def test_nobody_gives_more_than_they_have(as_key, operator, tenant):
    reader = as_key(tenant, ["read", "admin"])
    refused(reader.ask_key(scopes=["write"]), 403, "forbidden", says="read,admin")
    refused(reader.ask_key(scopes=["all"]), 403, "forbidden")
    assert reader.make_key(scopes=["read"])["tenant"] == tenant
    confined = as_key(tenant, prefixes=["web-", "app-"])
    for prefixes in (None, [], ["we"], ["web-1", "x"]):
        members = {} if prefixes is None else {"prefixes": prefixes}
        refused(confined.ask_key(scopes=["read"], **members), 403, "forbidden", says="prefixes")
    assert confined.make_key(scopes=["read"], prefixes=["web-1"])["prefixes"] == ["web-1"]


def test_a_secret_of_higher_rights_is_not_had_by_rotation(as_key, operator, tenant):
    strong, reader = as_key(tenant), as_key(tenant, ["read", "admin"])
    refused(reader.rotate(strong.id), 403, "forbidden")
    assert ok(operator.get(f"{ROOT}/keys/{strong.id}"))["status"] == "active"
    assert ok(reader.rotate(reader.id), 201)["scopes"] == ["read", "admin"]
    assert ok(reader.revoke(strong.id))["status"] == "revoked"  # taking away is no giving


def test_a_confined_key_knows_only_keys_within_its_prefixes(as_key, tenant):
    wide, confined = as_key(tenant), as_key(tenant, prefixes=["web-"])
    below = confined.make_key(scopes=["read"], prefixes=["web-1"])["key_id"]
    assert {k["key_id"] for k in confined.pages("keys", "keys")} == {confined.id, below}
    for call in (confined.get(f"{ROOT}/keys/{wide.id}"), confined.revoke(wide.id), confined.rotate(wide.id)):
        refused(call, 404, "not_found")
    refused(confined.get(f"{ROOT}/audit"), 403, "forbidden")


def test_a_key_that_is_no_administrator_gets_nothing(as_key, tenant):
    plain = as_key(tenant, ["read", "write", "delete"])
    for path in ("keys", "audit", "tenants", f"tenants/{tenant}", f"keys/{plain.id}"):
        refused(plain.get(f"{ROOT}/{path}"), 403, "forbidden")
    refused(plain.ask_key(scopes=["read"]), 403, "forbidden")


# ---- the audit ----

def test_the_audit_says_who_did_what(operator, as_key, tenant, database):
    key = as_key(tenant)
    note = operator.note()
    assert (note["act"], note["object"], note["tenant"]) == ("key.create", key.id, tenant)
    assert note["actor"] == "key:" + operator.key.split("_")[1]
    assert note["detail"]["scopes"] == ALL and "key" not in note["detail"]
    run("key", "revoke", key.id, database=database)
    note = operator.note(f"&tenant={tenant}")
    assert (note["act"], note["actor"]) == ("key.revoke", "cli:" + getpass.getuser())
    assert note["detail"]["status"] == "revoked"


def test_a_tenant_reads_its_own_audit_only(operator, as_key, tenant, name):
    other = operator.make_tenant(f"o-{name[-40:]}")["name"]
    key = as_key(tenant)
    as_key(other)
    assert key.acts() == [("key.create", key.id), ("tenant.create", tenant)]
    refused(key.get(f"{ROOT}/audit?tenant={other}"), 403, "forbidden")


def test_a_tenant_of_the_same_name_does_not_inherit_the_audit(operator, as_key, tenant):
    ok(operator.drop_tenant(tenant))
    operator.make_tenant(tenant)
    key = as_key(tenant)
    assert key.acts() == [("key.create", key.id), ("tenant.create", tenant)]
    assert len(operator.acts(f"&tenant={tenant}")) == 4


def test_what_is_refused_leaves_no_trace(operator, as_key, tenant):
    key = as_key(tenant, ["admin"])
    before = operator.acts(f"&tenant={tenant}")
    refused(key.ask_key(scopes=["read"]), 403, "forbidden")
    refused(operator.post(f"{ROOT}/tenants", json={"name": tenant}), 409, "tenant_exists")
    refused(operator.rotate(key.id, overlap_ms=-1), 400, "invalid_request")
    assert operator.acts(f"&tenant={tenant}") == before


# ---- modes ----

def test_the_first_key_can_be_made_over_http_and_closes_the_server(fresh_database, fleet):
    gateway = fleet.start(fresh_database)
    with Admin(gateway.url) as nobody:
        key = nobody.make_key(scopes=["all"], name="first")["key"]
        wait.until(lambda: nobody.get("/topics").status_code == 401, "a key is asked for")
    with Admin(gateway.url, key=key) as client:
        assert client.note()["actor"] == "development"


def test_without_the_dialect_there_is_no_admin_api(fresh_database, fleet):
    with fleet.start(fresh_database, dialects="streaming").client() as client:
        assert client.get(f"{ROOT}/tenants").status_code == 404
