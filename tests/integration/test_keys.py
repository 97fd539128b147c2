"""API keys: tenants, scopes, prefixes, revocation, rotation (DESIGN section 9; topics contract, sections 1.7 and 2)."""

import json
import re
import subprocess

import pytest

from harness import httpmq, wait
from harness.client import Client, ok, refused
from harness.gateway import BINARY, WRAPPER, Gateway, environment, run
from harness.live import Stream
from harness.postgres import BIN

ALL = "read,write,delete,admin"


@pytest.fixture(scope="module")
def tenants(database):
    """Two tenants, `acme` and `globex`, so that keys exist before the gateway starts."""
    run("migrate", database=database)
    for tenant in ("acme", "globex"):
        run("tenant", "create", tenant, database=database)
    return database


@pytest.fixture(scope="module")
def gateway(tenants):
    process = Gateway(tenants)
    new_key(tenants)  # in the mode `auto` a credential is asked for as soon as one key exists
    try:
        process.start()
        yield process
    finally:
        process.finish()


def new_key(database, tenant="acme", scopes=ALL, *more):
    done = run("key", "create", "--tenant", tenant, "--scopes", scopes, *more, database=database)
    [key] = done.stdout.split()
    return key


def key_id(key):
    return key.split("_")[1]


@pytest.fixture
def as_key(gateway, tenants):
    """as_key(scopes, *options, tenant=…) → a client with a new key."""
    made = []

    def make(scopes=ALL, *more, tenant="acme"):
        made.append(Client(gateway.url, key=new_key(tenants, tenant, scopes, *more)))
        return made[-1]
    yield make
    for client in made:
        client.close()


@pytest.fixture
def owner(as_key):
    return as_key()


# ---- the key itself ----

def test_a_key_is_printed_alone_and_has_its_form(tenants):
    done = run("key", "create", "--tenant", "acme", "--scopes", "read", database=tenants)
    assert re.fullmatch(r"tg_[0-9A-Za-z]{12}_[0-9A-Za-z]{32}_[0-9A-Za-z]{6}\n", done.stdout)


def test_a_key_is_stored_only_as_a_hash(tenants, pg):
    key = new_key(tenants)
    dump = subprocess.run([BIN / "pg_dump", "-h", pg.home, "-U", "postgres", tenants.name],
                          capture_output=True, text=True, check=True).stdout
    assert key_id(key) in dump
    assert key not in dump and key.split("_")[2] not in dump


def test_a_key_never_shows_up_in_the_log(gateway, owner):
    owner.create("logged")
    Client(gateway.url, key=owner.key[:-1] + "x").get("/topics")
    owner.get("/topics?token=" + owner.key)
    text = gateway.log_text()
    assert owner.key not in text and owner.key.split("_")[2] not in text


# ---- no key, wrong key ----

WRONG = ["", "x", "tg_", "tg_aaaaaaaaaaaa_" + "b" * 32 + "_cccccc", "44s_your_api_key", "Bearer", "\xff\xfe", "x" * 5000]


@pytest.mark.parametrize("key", [None, *WRONG], ids=lambda key: repr(key)[:20])
def test_without_a_good_key_everything_is_401_with_the_envelope(gateway, key):
    headers = {} if key is None else {"X-API-Key": key.encode("latin-1")}
    with Client(gateway.url) as client:
        for method, path in [("GET", "/topics"), ("POST", "/topics"), ("GET", "/topics/none"), ("DELETE", "/topics/none"),
                             ("POST", "/topics/none/produce"), ("GET", "/topics/none/stream"), ("PUT", "/topics"),
                             ("GET", "/topics/none/unknown")]:
            answer = client.request(method, path, headers=headers, data=b"{")
            refused(answer, 401, "unauthorized")
            assert "WWW-Authenticate" in answer.headers


def test_a_key_with_one_letter_changed_is_refused(gateway, owner):
    assert owner.get("/topics").status_code == 200
    for at in (4, 20, 40, len(owner.key) - 1):
        letter = "a" if owner.key[at] != "a" else "b"
        with Client(gateway.url, key=owner.key[:at] + letter + owner.key[at + 1:]) as client:
            refused(client.get("/topics"), 401, "unauthorized")


def test_a_bearer_token_works_like_the_header(gateway, owner):
    with Client(gateway.url) as client:
        for scheme in ("Bearer", "bearer", "BEARER"):
            assert client.get("/topics", headers={"Authorization": f"{scheme} {owner.key}"}).status_code == 200
        refused(client.get("/topics", headers={"Authorization": f"Basic {owner.key}"}), 401, "unauthorized")
        refused(client.get("/topics", headers={"Authorization": owner.key}), 401, "unauthorized")


def test_a_key_in_the_query_counts_on_event_streams_only(gateway, owner):
    owner.create("queried")
    owner.put("queried", [{"value": "v"}])
    with Client(gateway.url) as client:
        refused(client.get(f"/topics?token={owner.key}"), 401, "unauthorized")
        refused(client.get(f"/topics/queried?token={owner.key}"), 401, "unauthorized")
        refused(client.post(f"/topics/queried/consume?token={owner.key}", json={"offset": 0}), 401, "unauthorized")
        with Stream(client, f"/topics/queried/stream?offset=earliest&token={owner.key}") as live:
            assert live.status == 200
            assert live.take(1)[0]["value"] == "v"
        with Stream(client, "/topics/queried/stream?offset=earliest&token=wrong") as live:
            assert live.status == 401


def test_probes_and_preflights_need_no_key(gateway):
    with Client(gateway.url) as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == 200
        assert client.request("OPTIONS", "/topics", headers={
            "Origin": "https://a.example", "Access-Control-Request-Method": "POST"}).status_code == 204


# ---- scopes ----

READ, WRITE, DELETE, ADMIN = "read", "write", "delete", "admin"

# Every route with the scopes that it needs, and what it answers to a key that has them.
ROUTES = [
    ("GET", "/topics", None, {READ}, 200),
    ("GET", "/topics/{t}", None, {READ}, 200),
    ("POST", "/topics/{t}/consume", {"offset": 0}, {READ}, 200),
    ("POST", "/topics/{t}/consume", {"group_id": "s"}, {READ}, 200),
    ("POST", "/topics/{t}/commit", {"group_id": "s", "offsets": []}, {READ}, 200),
    ("GET", "/topics/{t}/groups", None, {READ}, 200),
    ("GET", "/topics/{t}/groups/s", None, {READ}, 200),
    ("POST", "/topics/{t}/produce", {"messages": [{"value": "v"}]}, {WRITE}, 200),
    ("POST", "/topics", {"name": "{t}-made"}, {ADMIN}, 201),
    ("PATCH", "/topics/{t}", {"partitions": 2}, {ADMIN}, 200),
    ("POST", "/topics/{t}/groups/s/reset", {"to": "earliest"}, {READ, WRITE}, 200),
    ("DELETE", "/topics/{t}/groups/s", None, {READ, DELETE}, 200),
    ("DELETE", "/topics/{t}", None, {DELETE}, 200),
]


def call(client, route, topic):
    method, path, body, _, _ = route
    body = None if body is None else json.loads(json.dumps(body).replace("{t}", topic))
    return client.request(method, path.replace("{t}", topic), json=body)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route[0]} {route[1]}")
def test_each_route_needs_its_scopes_and_no_other(as_key, owner, name, route):
    needs = route[3]
    owner.create(name)
    owner.take(name, group_id="s")
    for missing in sorted(needs):
        rest = ",".join(sorted({READ, WRITE, DELETE, ADMIN} - {missing}))
        refused(call(as_key(rest), route, name), 403, "forbidden")
    answer = call(as_key(",".join(sorted(needs))), route, name)
    assert answer.status_code == route[4], answer.text


def test_a_stream_needs_the_read_scope(as_key, owner, name):
    owner.create(name)
    with Stream(as_key("write,delete,admin"), f"/topics/{name}/stream?offset=earliest") as live:
        assert (live.status, live.body()["error"]["code"]) == (403, "forbidden")
    with Stream(as_key("read"), f"/topics/{name}/stream?offset=earliest") as live:
        assert live.status == 200


def test_a_refused_scope_changes_nothing(as_key, owner, name):
    owner.create(name)
    reader = as_key("read")
    refused(reader.produce(name, [{"value": "v"}]), 403, "forbidden")
    refused(reader.request("DELETE", f"/topics/{name}"), 403, "forbidden")
    refused(reader.create(name + "-2"), 403, "forbidden")
    assert owner.ends(name) == [0]
    refused(owner.get(f"/topics/{name}-2"), 404, "topic_not_found")


def test_scope_is_judged_before_the_path_the_type_and_the_body(as_key):
    reader = as_key("read")
    refused(reader.post("/topics/absent/produce", data=b"{", headers={"Content-Type": "text/plain"}), 403, "forbidden")
    writer = as_key("write")
    refused(writer.post("/topics/absent/produce", data=b"{", headers={"Content-Type": "text/plain"}),
            415, "unsupported_media_type")
    refused(writer.post("/topics/absent/produce", data=b"{", headers={"Content-Type": "application/json"}),
            400, "invalid_request")


# ---- prefixes ----

def test_a_key_with_prefixes_reaches_only_names_that_begin_so(as_key, owner):
    for each in ("web-a", "web-b", "app-a", "we"):
        owner.create(each)
    client = as_key(ALL, "--prefix", "web-")
    assert client.get("/topics/web-a").status_code == 200
    for topic in ("app-a", "we", "absent", "xweb-a"):
        for route in ROUTES:
            if "{t}" in route[1]:
                refused(call(client, route, topic), 403, "forbidden")
        with Stream(client, f"/topics/{topic}/stream?offset=earliest") as live:
            assert live.status == 403
    error = refused(client.create("app-new"), 403, "forbidden")
    assert error["detail"] == {"topic": "app-new"}
    assert ok(client.create("web-new"), 201)["name"] == "web-new"
    assert owner.get("/topics/app-a").status_code == 200


def test_lists_show_only_names_that_the_key_may_use(as_key, owner):
    for each in ("listed-a", "listed-b", "other-a", "zz"):
        owner.create(each)
    client = as_key("read", "--prefix", "listed-,zz")
    found = []
    cursor = ""
    while cursor is not None:
        body = ok(client.get(f"/topics?page_size=1&cursor={cursor}"))
        found += [t["name"] for t in body["topics"]]
        cursor = body.get("next_cursor")
    assert found == ["listed-a", "listed-b", "zz"]


# ---- tenants ----

def test_no_route_reaches_another_tenant_s_topic(as_key, name):
    mine, theirs = as_key(), as_key(tenant="globex")
    mine.make(name)
    mine.put(name, [{"value": "secret"}])
    mine.take(name, group_id="s")
    before = mine.info(name)
    for route in ROUTES:
        if "{t}" in route[1]:
            refused(call(theirs, route, name), 404, "topic_not_found")
    with Stream(theirs, f"/topics/{name}/stream?offset=earliest") as live:
        assert live.status == 404
    assert name not in [t["name"] for t in ok(theirs.get("/topics?page_size=1000"))["topics"]]
    assert mine.info(name) == before


def test_two_tenants_may_use_one_name_and_never_meet(as_key, name):
    mine, theirs = as_key(), as_key(tenant="globex")
    mine.make(name, 1)
    theirs.make(name, 3)
    with Stream(mine, f"/topics/{name}/stream?offset=earliest") as live:
        for i in range(5):
            for headers in ({"Idempotency-Key": str(i)},
                            {"Producer-Id": "same", "Producer-Epoch": "0", "Producer-Seq": str(i)}):
                assert "deduped" not in ok(mine.produce(name, [{"value": "mine"}], headers=headers))
                assert "deduped" not in ok(theirs.produce(name, [{"value": "theirs", "partition": 0}], headers=headers))
        assert {m["value"] for m in live.take(10)} == {"mine"}
    assert {m["value"] for m in theirs.read_all(name)} == {"theirs"}
    ok(mine.commit(name, "g", {0: 10}))
    assert len(theirs.take(name, group_id="g")) == 10
    assert mine.take(name, group_id="g") == []
    ok(theirs.request("DELETE", f"/topics/{name}"))
    assert mine.ends(name) == [10]


def test_a_long_poll_is_not_woken_with_another_tenant_s_message(as_key, name):
    mine, theirs = as_key(), as_key(tenant="globex")
    mine.make(name)
    theirs.make(name)
    theirs.put(name, [{"value": "theirs"}])
    assert mine.take(name, offset=0, wait_ms=300) == []


# ---- a key's life ----

def test_a_revoked_key_is_refused_at_once_although_it_was_cached(tenants, fleet, owner):
    gateway = fleet.start(tenants, credential_cache_ms=600_000)
    key = new_key(tenants)
    with Client(gateway.url, key=key) as client:
        for _ in range(3):
            assert client.get("/topics").status_code == 200
        run("key", "revoke", key_id(key), database=tenants)
        # Pushed by NOTIFY; the cache alone would hold it for ten minutes.
        wait.until(lambda: client.get("/topics").status_code == 401, "the key is refused")
        refused(client.get("/topics"), 401, "unauthorized")
    assert owner.get("/topics").status_code == 200


def test_a_revoked_key_loses_its_live_streams(tenants, fleet, name):
    gateway = fleet.start(tenants, stream_heartbeat_ms=1000)
    key = new_key(tenants)
    with Client(gateway.url, key=key) as client:
        client.make(name)
        with Stream(client, f"/topics/{name}/stream?offset=earliest") as live:
            client.put(name, [{"value": "v"}])
            live.take(1)
            run("key", "revoke", key_id(key), database=tenants)
            live.rest()
            assert live.wait_end() is not None


def test_a_rotated_key_works_beside_its_successor_for_the_overlap(gateway, tenants):
    old = new_key(tenants, "acme", "read")
    [new] = run("key", "rotate", key_id(old), "--overlap", "1h", database=tenants).stdout.split()
    assert new != old
    for key in (old, new):
        with Client(gateway.url, key=key) as client:
            assert client.get("/topics").status_code == 200
            refused(client.create("x"), 403, "forbidden")


def test_a_key_rotated_without_overlap_ends_at_once(gateway, tenants):
    old = new_key(tenants)
    with Client(gateway.url, key=old) as client:
        assert client.get("/topics").status_code == 200
        [new] = run("key", "rotate", key_id(old), "--overlap", "0", database=tenants).stdout.split()
        wait.until(lambda: client.get("/topics").status_code == 401, "the old key is refused")
    with Client(gateway.url, key=new) as client:
        assert client.get("/topics").status_code == 200


def test_an_expired_key_is_refused(gateway, tenants):
    key = new_key(tenants, "acme", ALL, "--expires", "1s")
    with Client(gateway.url, key=key) as client:
        wait.until(lambda: client.get("/topics").status_code == 401, "the key has expired")


@pytest.mark.parametrize("path, check", [("/topics", refused), ("/v0/topics", refused), ("/v1/stream/none", refused),
                                         ("/v1/admin/stream", lambda answer, status, _: httpmq.refused(answer, status))],
                         ids=["streaming", "topics", "durable", "httpmq"])
def test_every_dialect_refuses_every_bad_credential_in_its_own_form(gateway, tenants, as_key, path, check):
    good, expired, revoked = (new_key(tenants, "acme", ALL, *more) for more in ((), ("--expires", "1s"), ()))
    run("key", "revoke", key_id(revoked), database=tenants)
    bad = [None, "malformed", good[:-1], "tg_aaaaaaaaaaaa_" + "b" * 32 + "_cccccc", revoked, expired]
    for key in bad:
        with Client(gateway.url, key=key) as client:
            wait.until(lambda c=client: c.get(path).status_code == 401, "it is bad by now")
            check(client.get(path), 401, "unauthorized")
    check(as_key("write").get(path), 403, "forbidden")


def test_keys_are_listed_without_their_secrets(tenants):
    key = new_key(tenants, "acme", "read,write", "--prefix", "web-")
    text = run("key", "list", "--tenant", "acme", database=tenants).stdout
    [line] = [line for line in text.splitlines() if key_id(key) in line]
    assert "read" in line and "write" in line and "web-" in line
    assert key.split("_")[2] not in text


@pytest.mark.parametrize("arguments", [
    ["key", "create", "--tenant", "nobody", "--scopes", "read"], ["key", "create", "--tenant", "acme", "--scopes", "fly"],
    ["key", "create", "--tenant", "acme", "--scopes", ""], ["key", "revoke", "nonsense"], ["key", "revoke", "aaaaaaaaaaaa"],
    ["key", "create", "--scopes"], ["key", "fly"], ["key"], ["tenant", "create", "acme"], ["tenant", "create", "bad name!"],
    ["key", "create", "--tenant", "acme", "--expires", "soon"],
], ids=" ".join)
def test_wrong_commands_say_why_and_change_nothing(tenants, arguments):
    before = tenants.psql("SELECT count(*) FROM tidegate.api_key")
    done = run(*arguments, database=tenants, check=False)
    assert done.returncode != 0
    assert done.stdout == ""
    assert len(done.stderr.split()) >= 3
    assert tenants.psql("SELECT count(*) FROM tidegate.api_key") == before


# ---- modes ----

def test_without_any_key_everybody_is_the_default_tenant(fresh_database, fleet, name):
    gateway = fleet.start(fresh_database)
    for key in (None, "anything"):
        with gateway.client(key=key) as client:
            client.create(name)
            assert [t["name"] for t in ok(client.get("/topics"))["topics"]] == [name]


def test_the_first_key_closes_the_server_and_revoking_it_does_not_open_it_again(fresh_database, fleet):
    gateway = fleet.start(fresh_database)
    with gateway.client() as open_client:
        assert open_client.get("/topics").status_code == 200
        run("tenant", "create", "acme", database=fresh_database)
        key = new_key(fresh_database)
        wait.until(lambda: open_client.get("/topics").status_code == 401, "a key is asked for")
        with gateway.client(key=key) as client:
            assert client.get("/topics").status_code == 200
            run("key", "revoke", key_id(key), database=fresh_database)
            wait.until(lambda: client.get("/topics").status_code == 401, "the key is refused")
        refused(open_client.get("/topics"), 401, "unauthorized")


def test_required_means_required_even_without_any_key(fresh_database, fleet):
    with fleet.start(fresh_database, auth="required").client() as client:
        refused(client.get("/topics"), 401, "unauthorized")


def test_off_means_off_even_with_keys(fresh_database, fleet, name):
    run("migrate", database=fresh_database)
    run("tenant", "create", "acme", database=fresh_database)
    new_key(fresh_database)
    with fleet.start(fresh_database, auth="off").client() as client:
        client.make(name)


def test_a_public_address_without_keys_is_refused_unless_allowed(fresh_database, fleet):
    run("migrate", database=fresh_database)
    command = [*WRAPPER, str(BINARY), "serve"]
    settings = {"database_url": fresh_database.url, "listen": "0.0.0.0:0"}
    done = subprocess.run(command, env=environment(**settings), capture_output=True, text=True, check=False,
                          timeout=30 * wait.SLOWNESS)
    assert done.returncode != 0
    assert "0.0.0.0" in done.stderr + done.stdout
    fleet.start(fresh_database, listen="0.0.0.0:0", allow_public_without_auth="true")


def test_a_public_address_with_keys_is_fine(fresh_database, fleet):
    run("migrate", database=fresh_database)
    run("tenant", "create", "acme", database=fresh_database)
    key = new_key(fresh_database)
    gateway = fleet.start(fresh_database, listen="0.0.0.0:0")
    with Client(f"http://127.0.0.1:{gateway.port}", key=key) as client:
        assert client.get("/topics").status_code == 200


def test_a_cached_key_works_while_the_database_is_away_and_an_unknown_one_is_503(own_pg, fleet):
    database = own_pg.create_database("keys")
    run("migrate", database=database)
    run("tenant", "create", "acme", database=database)
    known, unknown = new_key(database), new_key(database)
    gateway = fleet.start(database, credential_cache_ms=600_000)
    with gateway.client(key=known) as client, gateway.client(key=unknown) as stranger:
        client.make("t")
        own_pg.stop()
        wait.until(lambda: client.produce("t", [{"value": "v"}]).status_code == 503, "the database is missed")
        refused(client.produce("t", [{"value": "v"}]), 503, "unavailable")
        assert stranger.get("/topics").status_code == 503
        own_pg.start()
        wait.until(lambda: stranger.get("/topics").status_code == 200, "the stranger is let in")
