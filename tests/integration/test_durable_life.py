"""Durable streams: forks, expiry and deletion."""

import concurrent.futures
import datetime
import time

import pytest

from harness import wait
from harness.client import Client, refused
from harness.durable import JSON, ZERO, Streams, token
from harness.gateway import run

SETTINGS = {"janitor_interval_ms": 200, "http_threads": 4}


@pytest.fixture
def streams(client):
    return Streams(client)


def source(name):
    return f"/v1/stream/{name}"


def fork(streams, name, of, at=None, sub=None, **more):
    return streams.put(name, Stream_Forked_From=source(of), Stream_Fork_Offset=at, Stream_Fork_Sub_Offset=sub, type=None, **more)


def until_status(streams, name, status):
    wait.until(lambda: streams.head(name).status_code == status, f"{name} answers {status}")


# ---- forks ----

def test_a_chain_of_64_forks_reads_as_one_and_goes_with_its_last(streams, name):
    streams.make(name + "-0", "0.", )
    for i in range(1, 65):
        made = fork(streams, f"{name}-{i}", f"{name}-{i - 1}", body=f"{i}.")
        assert made.status_code == 201, made.text
    whole = "".join(f"{i}." for i in range(65))
    assert streams.read(f"{name}-64") == whole.encode()
    assert streams.read(f"{name}-10") == whole[:whole.index("11.")].encode()
    assert fork(streams, f"{name}-65", f"{name}-64").status_code == 400
    for i in range(64):
        assert streams.delete(f"{name}-{i}").status_code == 204
        assert streams.get(f"{name}-{i}").status_code == 410
    assert streams.read(f"{name}-64") == whole.encode()
    assert streams.delete(f"{name}-64").status_code == 204
    for i in range(65):
        assert streams.get(f"{name}-{i}").status_code == 404


def test_a_fork_inside_what_its_source_inherited(streams, name):
    """The middle one holds nothing of the last one: below the fork point there are only the oldest's records."""
    streams.make(name, "aa")
    for text in ("bb", "cc"):
        streams.add(name, text)
    assert fork(streams, name + "-1", name, body="dd").status_code == 201
    assert fork(streams, name + "-2", name + "-1", token(1, 2), body="ee").status_code == 201
    assert fork(streams, name + "-3", name + "-2", token(1, 2), "1").status_code == 201
    assert streams.read(name + "-1") == b"aabbccdd"
    assert streams.read(name + "-2") == b"aaee"
    assert streams.read(name + "-3") == b"aae"
    assert streams.get(name + "-2", token(1, 2)).content == b"ee"


@pytest.mark.tsan
def test_sub_offsets_end_with_the_append_even_when_commits_are_shared(streams, name):
    streams.make(name, type=JSON)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        ends = sorted(pool.map(lambda i: streams.add(name, "[1,2,3]", JSON), range(48)))
    starts = [ZERO, *ends[:-1]]
    for i in (0, 7, 31, 47):
        assert fork(streams, f"{name}-{i}", name, starts[i], "3").status_code == 201
        assert streams.tail(f"{name}-{i}") == ends[i]
        assert fork(streams, f"{name}-{i}-2", name, starts[i], "2").status_code == 201
        assert streams.tail(f"{name}-{i}-2") == token(3 * i + 2, 3 * i + 2)
        assert fork(streams, f"{name}-{i}-x", name, starts[i], "4").status_code == 400
    assert fork(streams, name + "-y", name, ends[-1], "1").status_code == 400
    # A fork of a fork that was cut inside an append: its extent ends there.
    assert fork(streams, name + "-z", f"{name}-7-2", starts[7], "3").status_code == 400


@pytest.mark.parametrize("at, sub", [(token(1, 4), None), (token(2, 4), None), (token(1, 6), None), ("now", None), ("-1", None),
                                     (token(9, 9), None), (token(1, 5), "7"), (token(1, 5), "01"), (token(2, 11), "1")])
def test_a_refused_fork_leaves_no_reference(streams, name, at, sub):
    streams.make(name, "hello")
    streams.add(name, "world!")
    assert fork(streams, name + "-f", name, at, sub).status_code == 400
    assert streams.head(name + "-f").status_code == 404
    assert streams.delete(name).status_code == 204
    assert streams.head(name).status_code == 404


def test_confirming_a_fork(streams, name):
    streams.make(name, "hello", Stream_TTL="1000")
    made = fork(streams, name + "-f", name, token(0, 0), "5")
    assert (made.status_code, made.headers["Stream-Next-Offset"]) == (201, token(1, 5))
    assert streams.head(name + "-f").headers["Stream-TTL"] == "1000"
    assert fork(streams, name + "-f", name, token(0, 0), "5").status_code == 200
    assert fork(streams, name + "-f", name, None, "5").status_code == 200
    assert fork(streams, name + "-f", name, token(1, 5)).status_code == 409  # resolves to the same place
    assert fork(streams, name + "-f", name, token(0, 0), "5", Stream_TTL="999").status_code == 409
    assert streams.put(name + "-f", Stream_TTL="1000").status_code == 409
    streams.delete(name)
    assert fork(streams, name + "-f", name, token(0, 0), "5").status_code == 200
    assert streams.put(name, type="text/plain").status_code == 409
    assert fork(streams, name + "-g", name).status_code == 409


@pytest.mark.tsan
def test_forking_and_deleting_at_once(streams, name):
    """Either the fork is there and the source stays for it, or it was refused and the source is gone."""
    for i in range(12):
        of = streams.make(f"{name}-{i}", "data")
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            made = pool.submit(fork, streams, of + "-f", of)
            gone = pool.submit(streams.delete, of)
        assert gone.result().status_code == 204
        if made.result().status_code == 201:
            assert streams.read(of + "-f") == b"data"
            assert streams.head(of).status_code == 410
            assert streams.delete(of + "-f").status_code == 204
        else:
            assert made.result().status_code in (404, 409)
        assert streams.head(of).status_code == 404


# ---- expiry ----

def test_expired_streams_are_gone_at_once_and_swept(streams, name, database):
    streams.make(name, "x", Stream_TTL="0")
    streams.make(name + "-past", "x", Stream_Expires_At="2001-01-01T01:00:00+01:00")
    for path in (name, name + "-past"):
        for method in ("GET", "HEAD", "POST", "DELETE"):
            assert streams.call(method, path, b"x" if method == "POST" else b"", Content_Type="text/plain").status_code == 404
    wait.until(lambda: database.psql(f"SELECT count(*) FROM tidegate.topic WHERE name LIKE '{name}%'") == [["0"]],
               "the sweep has removed both")
    assert streams.put(name, type=JSON).status_code == 201


@pytest.mark.slow
def test_only_appends_and_reads_prolong_a_ttl(streams, name):
    ttl = int(5 * wait.SLOWNESS)
    accesses = {
        "post": lambda path: streams.post(path, "x"),
        "duplicate": lambda path: streams.post(path, "x", **streams.producer("p", 0, 0)),
        "close": lambda path: streams.post(path, Stream_Closed="true"),
        "close-again": lambda path: streams.post(path, Stream_Closed="true", **streams.producer("p", 0, 0)),
        "get": lambda path: streams.get(path),
        "not-modified": lambda path: streams.get(path, If_None_Match="*"),
        "now": lambda path: streams.get(path, "now"),
    }
    others = {
        "head": lambda path: streams.head(path),
        "options": lambda path: streams.call("OPTIONS", path),
        "refused": lambda path: streams.post(path, "x", "image/png"),
        "read-as-fork": lambda path: streams.get(path + "-f"),
    }
    for way in ("confirm", *accesses, *others):
        streams.make(f"{name}-{way}", Stream_TTL=str(ttl))
    assert fork(streams, f"{name}-read-as-fork-f", f"{name}-read-as-fork", Stream_TTL="1000").status_code == 201
    confirmed = set()
    begun = time.monotonic()
    # "confirm" may expire while this stands still between its turn and the end: then there is another turn.
    while time.monotonic() < begun + 1.5 * ttl or (201 not in confirmed and time.monotonic() < begun + 4 * ttl):
        time.sleep(0.2)
        confirmed.add(streams.put(f"{name}-confirm", Stream_TTL=str(ttl)).status_code)
        for way, access in accesses.items():
            assert access(f"{name}-{way}").status_code in (200, 204, 304), way
        for way, look in others.items():
            look(f"{name}-{way}")
    assert confirmed == {200, 201}, "one that was only confirmed has to be made anew"
    for way in accesses:
        assert streams.head(f"{name}-{way}").status_code == 200, way
    for way in others:
        assert streams.head(f"{name}-{way}").status_code == (410 if way == "read-as-fork" else 404), way


@pytest.mark.tsan
def test_an_expired_source_stays_for_its_forks_and_goes_with_them(streams, name):
    soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=2 + 2 * wait.SLOWNESS)
    at = soon.isoformat().replace("+00:00", "Z")
    streams.make(name, "data", Stream_Expires_At=at)
    assert fork(streams, name + "-f", name, Stream_TTL="1000").status_code == 201
    assert fork(streams, name + "-g", name).status_code == 201  # the same instant, inherited
    until_status(streams, name, 410)
    assert streams.post(name, "x").status_code == 410
    assert streams.delete(name).status_code == 410
    assert streams.put(name).status_code == 409
    until_status(streams, name + "-g", 404)
    assert streams.read(name + "-f") == b"data"
    assert streams.delete(name + "-f").status_code == 204
    until_status(streams, name, 404)


def test_a_source_is_absent_as_soon_as_its_last_fork_has_expired(fresh_database, fleet, name):
    """Without a janitor: nobody has swept anything."""
    streams = Streams(fleet.start(fresh_database, janitor="false").client())
    streams.make(name, "data")
    streams.make(name + "-live", "data")
    assert fork(streams, name + "-f", name).status_code == 201
    assert fork(streams, name + "-f-f", name + "-f", Stream_TTL="1").status_code == 201
    assert fork(streams, name + "-g", name, Stream_TTL="0").status_code == 201
    assert fork(streams, name + "-live-f", name + "-live", Stream_TTL="0").status_code == 201
    assert streams.delete(name).status_code == 204
    assert streams.delete(name + "-f").status_code == 204
    until_status(streams, name + "-f-f", 404)
    for path in (name, name + "-f"):
        for method in ("GET", "HEAD", "POST", "DELETE"):
            body = b"x" if method == "POST" else b""
            assert streams.call(method, path, body, Content_Type="text/plain").status_code == 404, (method, path)
        assert fork(streams, name + "-new", path).status_code == 404
    assert streams.put(name, "new").status_code == 201
    assert streams.read(name) == b"new"
    assert streams.put(name + "-f").status_code == 201
    assert streams.delete(name + "-live").status_code == 204
    assert streams.head(name + "-live").status_code == 404


def expire(database, prefix):
    """Streams whose name begins so have expired, all in this moment."""
    database.psql("UPDATE tidegate.durable_stream d SET expires_ms = 1, due_ms = 1 FROM tidegate.topic t "
                  f"WHERE t.topic_id = d.topic_id AND t.name LIKE '{prefix}%'")


def make_forks(streams, name, count):
    """`count` forks of `name`, and a fork of each tenth."""
    def make(i):
        assert fork(streams, f"{name}-f{i}", name, Stream_Expires_At="2099-01-01T00:00:00Z").status_code == 201
        if i % 10 == 0:
            assert fork(streams, f"{name}-f{i}-f", f"{name}-f{i}").status_code == 201
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(make, range(count)))


def topics_like(database, prefix):
    [[count]] = database.psql(f"SELECT count(*) FROM tidegate.topic WHERE name LIKE '{prefix}%'")
    return int(count)


@pytest.mark.slow
def test_a_name_is_free_at_once_however_many_forks_have_expired(fresh_database, fleet, name):
    """More than one step removes, and nobody has swept."""
    streams = Streams(fleet.start(fresh_database, janitor="false").client())
    streams.make(name, "old")
    make_forks(streams, name, 2000)
    assert streams.delete(name).status_code == 204
    assert streams.put(name).status_code == 409
    expire(fresh_database, name + "-f")
    assert streams.head(name).status_code == 404
    assert streams.put(name, "new").status_code == 201
    assert streams.read(name) == b"new"
    assert topics_like(fresh_database, name) == 1


def test_forks_that_expire_together_are_swept_with_their_source(streams, name, database):
    streams.make(name, "old")
    make_forks(streams, name, 50)
    assert fork(streams, name + "-kept", name).status_code == 201
    assert streams.delete(name).status_code == 204
    expire(database, name + "-f")
    wait.until(lambda: topics_like(database, name) == 2, "the forks are removed")
    assert streams.read(name + "-kept") == b"old"
    assert streams.head(name).status_code == 410
    expire(database, name + "-kept")
    wait.until(lambda: topics_like(database, name) == 0, "the source is removed with its last fork")


# ---- one log, many dialects ----

def test_a_stream_is_a_topic_and_a_topic_is_a_stream(streams, client, name):
    streams.make(name, "a")
    client.put(name, [{"value": "b"}])
    assert streams.add(name, "c") == token(3, 3)
    assert [m["value"] for m in client.read_all(name)] == ["a", "b", "c"]
    assert streams.read(name) == b"abc"
    client.make(name + "-t", 1)
    client.put(name + "-t", [{"key": "k", "value": "x"}, {"value": "y"}])
    assert streams.head(name + "-t").headers["Content-Type"] == "application/octet-stream"
    assert streams.add(name + "-t", "z", "application/octet-stream") == token(3, 3)
    assert streams.read(name + "-t") == b"xyz"
    assert fork(streams, name + "-f", name + "-t", body="!").status_code == 201
    assert streams.read(name + "-f") == b"xyz!"
    client.make(name + "-4", 4)
    for answer in (streams.get(name + "-4"), streams.post(name + "-4", "x"), streams.delete(name + "-4"), streams.put(name + "-4")):
        assert answer.status_code == 409


def test_no_other_api_deletes_a_source_under_its_forks(streams, client, name):
    streams.make(name, "data")
    assert fork(streams, name + "-f", name).status_code == 201
    refused(client.request("DELETE", f"/topics/{name}"), 409, "topic_in_use")
    assert streams.delete(name).status_code == 204
    # A fork that goes by another way than the protocol's releases its source as well.
    assert client.request("DELETE", f"/topics/{name}-f").status_code in (200, 204)
    until_status(streams, name, 404)


def test_values_that_are_no_json_are_marked_in_a_json_stream(streams, client, name):
    streams.make(name, "[1]", JSON)
    client.put(name, [{"value": "no json"}, {"value": "{\"a\":1}"}])
    assert streams.read(name) == b'[1,{"$base64":"bm8ganNvbg=="},{"a":1}]'


def test_what_retention_removed_is_gone(streams, client, name):
    client.make(name, 1, config={"cap_records": 3})
    for value in "abcdef":
        client.put(name, [{"value": value}])
    assert streams.read(name) == b"def"
    assert streams.get(name, token(1, 1)).status_code == 410
    assert streams.get(name, token(3, 3)).content == b"def"


# ---- keys ----

@pytest.fixture
def keyed(fresh_database, fleet):
    """as_key(scopes, *options) → Streams of a client with a new key, on a gateway that asks for one."""
    run("migrate", database=fresh_database)
    run("tenant", "create", "acme", database=fresh_database)

    def new_key(scopes, *options):
        return run("key", "create", "--tenant", "acme", "--scopes", scopes, *options, database=fresh_database).stdout.strip()
    new_key("read")
    worker = fleet.start(fresh_database)
    return lambda scopes, *options: Streams(Client(worker.url, key=new_key(scopes, *options))), Streams(Client(worker.url))


def test_scopes_prefixes_and_private_caching(keyed):
    as_key, nobody = keyed
    writer, reader = as_key("write"), as_key("read")
    narrow = as_key("read,write,delete", "--prefix", "team/")
    assert writer.put("a/b", "x").status_code == 201
    assert writer.post("a/b", "y").status_code == 204
    assert writer.get("a/b").status_code == 403
    assert fork(writer, "a/c", "a/b").status_code == 403  # forking reads
    assert reader.get("a/b").headers["Cache-Control"].startswith("private")
    assert reader.head("a/b").status_code == 200
    for call in (reader.put, reader.post, reader.delete):
        assert call("a/b").status_code == 403
    assert narrow.put("team/x", "z").status_code == 201
    assert narrow.put("a/x").status_code == 403
    assert narrow.get("a/b").status_code == 403
    assert fork(narrow, "team/y", "a/b").status_code == 403
    assert fork(narrow, "team/y", "team/x").status_code == 201
    for method in ("GET", "PUT", "POST", "DELETE", "HEAD"):
        assert nobody.call(method, "a/b").status_code == 401
    assert nobody.call("OPTIONS", "a/b", Origin="https://example.com").status_code == 204


def test_a_large_message_crosses_to_the_streaming_api(streams, client, name):
    body = b"\x01" * (8 << 20)
    streams.make(name, body, "application/octet-stream")
    [message] = client.take(name, partition=0, offset=0)
    assert message["value"] == body.decode()


@pytest.mark.slow
def test_without_a_database_everything_says_when_to_come_again(own_pg, fleet, name):
    with fleet.start(own_pg.create_database("away")).client() as client:
        streams = Streams(client)
        streams.make(name, "a")
        streams.add(name, "b")
        own_pg.stop()
        wait.until(lambda: client.get(f"/v1/stream/{name}").status_code == 503, "the database is missed")
        for method in ("PUT", "POST", "GET", "HEAD", "DELETE"):
            answer = client.request(method, f"/v1/stream/{name}", data=b"x", headers={"Content-Type": "text/plain"})
            assert answer.status_code == 503, method
            assert int(answer.headers["Retry-After"]) >= 1
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
        own_pg.start()
        wait.until(client.is_ready, "it has found its way back")
        # Lanes look for the database by themselves, a moment apart.
        wait.until(lambda: client.post(f"/v1/stream/{name}", data=b"c", headers={"Content-Type": "text/plain"}).status_code == 204,
                   "appends go on")
        assert streams.read(name) == b"abc"


def test_urls_follow_a_trusted_proxy_and_paths_their_settings(fresh_database, fleet, name):
    forwarded = {"X-Forwarded-Host": "streams.example.com, inner", "X-Forwarded-Proto": "https", "Content-Type": "text/plain"}
    trusting = fleet.start(fresh_database, trust_forwarded="true", durable_path_bytes=40, durable_path_segments=3)
    plain = fleet.start(fresh_database)
    with trusting.client() as client:
        answer = client.request("PUT", "/v1/stream/a", headers=forwarded)
        assert answer.headers["Location"] == "https://streams.example.com/v1/stream/a"
        assert client.request("PUT", "/v1/stream/1/2/3").status_code == 201
        assert client.request("PUT", "/v1/stream/1/2/3/4").status_code == 400
        assert client.request("PUT", "/v1/stream/" + "x" * 40).status_code == 201
        assert client.request("PUT", "/v1/stream/" + "x" * 41).status_code == 400
    with plain.client() as client:
        answer = client.request("PUT", "/v1/stream/b", headers=forwarded)
        assert answer.headers["Location"] == plain.url + "/v1/stream/b"
        assert client.request("PUT", "/v1/stream/1/2/3/4").status_code == 201
