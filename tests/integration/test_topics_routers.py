"""Routers of the topics dialect (contract, section 10): what arrives, in which order, and who sees it when."""

import random
import threading
import urllib.parse

import pytest
from harness import wait
from harness.client import refused
from harness.gateway import run
from harness.live import Stream
from harness.v0 import V0, bare, fine, seqs


class Routed(V0):
    def path(self, name):
        return "/v0/routers/" + urllib.parse.quote(name, safe="")

    def put_router(self, name, source, dest, **members):
        return self.request("PUT", self.path(name), json={"source": source, "dest": dest, **members})

    def join(self, source, dest, name=None, **members):
        """A new router; its name."""
        name = name or f"{source}->{dest}"
        fine(self.put_router(name, source, dest, **members), 201)
        return name

    def router(self, name):
        return fine(self.get(self.path(name)))

    def unroute(self, name):
        return fine(self.request("DELETE", self.path(name)))

    def routers(self, query=""):
        return fine(self.get("/v0/routers" + query))

    def data(self, topic, **members):
        """Everything in a topic, from the beginning."""
        got, at = [], 0
        while True:
            body = self.read(topic, from_seq=at, limit=1000, **members)
            got += [r["data"] for r in body["records"]]
            at = body["next_from_seq"]
            if body["caught_up"]:
                return got


@pytest.fixture
def v0(gateway):
    with Routed(gateway.url) as made:
        yield made


@pytest.fixture
def names(name):
    """names("a") is a topic name of this test alone."""
    return lambda suffix: f"{name[:100]}-{suffix}"


def numbers(*values):
    return [{"data": value} for value in values]


# ---- PUT, GET, list, DELETE ----

def test_a_router_and_its_topics_are_made_and_shown(v0, names):
    a, b = names("a"), names("b")
    body = fine(v0.put_router(f"{a}->{b}", a, b), 201)
    assert bare(body) == {"router": f"{a}->{b}", "created": True, "source": a, "dest": b, "preserve_node": True,
                          "preserve_tag": True, "filter": None, "allow_cycle": False, "guarantee": "at_least_once"}
    # Both topics are there: the first write finds them.
    assert v0.write(a, numbers(1)).status_code == 200
    assert v0.state(b)["count"] == 1
    again = fine(v0.put_router(f"{a}->{b}", a, b, filter="x:*", preserve_tag=False, preserve_node=False,
                               guarantee="exactly_once", allow_cycle=True))
    assert bare(again) == {"router": f"{a}->{b}", "created": False, "source": a, "dest": b, "preserve_node": False,
                           "preserve_tag": False, "filter": ["tag", "Glob", "x:*"], "allow_cycle": True,
                           "guarantee": "exactly_once"}
    shown = bare(v0.router(f"{a}->{b}"))
    assert shown.pop("forwarded_total") == 1
    assert shown == {k: v for k, v in bare(again).items() if k != "created"}


@pytest.mark.parametrize("given, shown", [
    (["tag", "Eq", "v"], ["tag", "Eq", "v"]), (["tag", "Glob", "p*"], ["tag", "Glob", "p*"]),
    ("v", ["tag", "Eq", "v"]), ("p*", ["tag", "Glob", "p*"]), ("*", ["tag", "Glob", "*"]), ("a*b*", ["tag", "Glob", "a*b*"]),
    (None, None)])
def test_a_filter_is_shown_in_three_elements(v0, names, given, shown):
    router = v0.join(names("a"), names("b"), filter=given)
    assert v0.router(router)["filter"] == shown


def test_lists_have_pages_prefixes_and_ends(v0, names):
    hub, made = names("hub"), []
    for i in range(7):
        made.append(v0.join(hub, names(f"d{i}"), name=names(f"r{i}>x")))
    made.append(v0.join(names("other"), names("alone"), name=names("s")))
    query = "?prefix=" + names("r")
    assert [r["router"] for r in v0.routers(query)["routers"]] == sorted(made)[:7]
    got, cursor, pages = [], "", 0
    while True:
        body = v0.routers(f"{query}&page_size=3&cursor={cursor}")
        got += body["routers"]
        pages += 1
        if "next_cursor" not in body:
            break
        cursor = body["next_cursor"]
    assert pages == 3 and [r["router"] for r in got] == sorted(made)[:7]
    assert got[0] == {"router": names("r0>x"), "source": hub, "dest": names("d0"), "guarantee": "at_least_once",
                      "forwarded_total": 0}
    assert len(v0.routers(f"?source={hub}")["routers"]) == 7
    assert [r["router"] for r in v0.routers(f"?dest={names('alone')}")["routers"]] == [names("s")]
    assert v0.routers(f"?source={hub}&dest={names('alone')}")["routers"] == []
    refused(v0.get("/v0/routers?cursor=!!"), 400, "invalid_request")


def test_a_deleted_router_stops_at_once_and_its_copies_stay(v0, names):
    a, b = names("a"), names("b")
    router = v0.join(a, b)
    v0.add(a, numbers(1))
    assert v0.unroute(router)["deleted"] is True
    v0.add(a, numbers(2))
    kept = v0.data(b)
    assert kept in ([], [1])  # whatever had arrived
    assert v0.unroute(router)["deleted"] is False
    assert refused(v0.get(v0.path(router)), 404, "router_not_found")["detail"] == {"router": router}
    # A new one begins at the source's end.
    v0.join(a, b)
    v0.add(a, numbers(3))
    assert v0.data(b) == kept + [3]


def test_put_again_keeps_position_and_count_and_changes_the_filter(v0, names):
    a, b = names("a"), names("b")
    router = v0.join(a, b)
    v0.add(a, numbers(1, 2))
    assert v0.router(router)["forwarded_total"] == 2
    fine(v0.put_router(router, a, b, filter="x"))
    assert v0.router(router)["forwarded_total"] == 2
    v0.add(a, [{"data": 3}, {"data": 4, "tag": "x"}])
    assert v0.data(b) == [1, 2, 4]
    assert v0.router(router)["forwarded_total"] == 3


# ---- refusals, in the contract's order ----

BAD_BODIES = [
    {}, {"source": "a"}, {"dest": "b"}, {"source": "a", "dest": "a"}, {"source": "", "dest": "b"},
    {"source": "-a", "dest": "b"}, {"source": "a>b", "dest": "b"}, {"source": 1, "dest": "b"},
    {"source": None, "dest": "b"}, {"source": "a", "dest": "b" * 256}, {"source": "a", "dest": "b", "filter": 1},
    {"source": "a", "dest": "b", "filter": ["tag", "Eq"]}, {"source": "a", "dest": "b", "filter": ["node", "Eq", "x"]},
    {"source": "a", "dest": "b", "filter": ["tag", "Glob", "x"]}, {"source": "a", "dest": "b", "guarantee": "maybe"},
    {"source": "a", "dest": "b", "guarantee": None}, {"source": "a", "dest": "b", "preserve_node": "yes"},
    {"source": "a", "dest": "b", "allow_cycle": None}, {"source": "a", "dest": "b", "create_dest": 1}, [], 1, "x"]


@pytest.mark.parametrize("body", BAD_BODIES, ids=lambda body: repr(body)[:50])
def test_bad_bodies_are_400_and_leave_nothing(v0, names, body):
    if isinstance(body, dict):
        body = {k: names(v) if k in ("source", "dest") and v in ("a", "b") else v for k, v in body.items()}
    refused(v0.request("PUT", v0.path(names("r")), json=body), 400, "invalid_request")
    refused(v0.get(f"/v0/topics/{names('a')}"), 404, "topic_not_found")
    refused(v0.get(f"/v0/topics/{names('b')}"), 404, "topic_not_found")


@pytest.mark.parametrize("router", [">a", "-a", "a b", "a/b", "ä", "a" * 256, "a\0", "a\n"])
def test_bad_router_names_are_400_on_put_404_on_get_and_nothing_on_delete(v0, names, router):
    refused(v0.put_router(router, names("a"), names("b")), 400, "invalid_request")
    refused(v0.get(v0.path(router)), 404, "router_not_found")
    assert v0.unroute(router)["deleted"] is False


@pytest.mark.parametrize("router", ["a", "A1", "a->b", "a>", "0._:->", "a" * 255])
def test_good_router_names(v0, names, router):
    assert v0.join(names("a"), names("b"), name=router) == router
    assert v0.router(router)["router"] == router
    assert v0.unroute(router) and v0.routers(f"?source={names('a')}")["routers"] == []


def test_names_that_are_no_text(v0):
    refused(v0.get("/v0/routers/%FF"), 404, "router_not_found")
    assert fine(v0.request("DELETE", "/v0/routers/%FF"))["deleted"] is False
    refused(v0.request("PUT", "/v0/routers/%FF", json={"source": "a", "dest": "b"}), 400, "invalid_request")
    refused(v0.get("/v0/routers?prefix=%FF&source=%00"), 400, "invalid_request")


def test_media_type_and_methods(v0, names):
    path = v0.path(names("r"))
    refused(v0.request("PUT", path, data=b'{"source":"a","dest":"b"}', headers={"Content-Type": "text/plain"}), 415,
            "unsupported_media_type")
    refused(v0.request("PUT", path), 415, "unsupported_media_type")
    refused(v0.request("PUT", path, data=b'{"source"', headers={"Content-Type": "application/json"}), 400, "invalid_request")
    refused(v0.post(path, json={}), 405, "method_not_allowed")
    refused(v0.request("DELETE", "/v0/routers"), 405, "method_not_allowed")


def test_a_missing_dest_is_404_when_it_must_not_be_made(v0, names):
    a, b = names("a"), names("b")
    error = refused(v0.put_router("r", a, b, create_dest=False), 404, "topic_not_found")
    assert error["detail"] == {"topic": b}
    refused(v0.get(f"/v0/topics/{a}"), 404, "topic_not_found")
    v0.make(b)
    v0.join(a, b, create_dest=False)
    assert v0.write(a, numbers(1)).status_code == 200


def test_a_dest_has_one_source(v0, names):
    a, b, c = names("a"), names("b"), names("c")
    v0.join(a, b)
    error = refused(v0.put_router(f"{c}->{b}", c, b), 409, "topic_exists_incompatible")
    assert error["detail"] == {"topic": b, "reason": "router_dest_fan_in"}
    refused(v0.get(f"/v0/topics/{c}"), 404, "topic_not_found")
    # Another router of the same source is fine, and copies too.
    v0.join(a, b, name=names("second"), filter="x")
    v0.add(a, [{"data": 1, "tag": "x"}, {"data": 2}])
    assert sorted(v0.data(b)) == [1, 1, 2]


def test_a_router_keeps_its_ends(v0, names):
    a, b, c = names("a"), names("b"), names("c")
    router = v0.join(a, b)
    for source, dest in ((a, c), (c, names("d"))):
        error = refused(v0.put_router(router, source, dest), 409, "topic_exists_incompatible")
        assert error["detail"] == {"router": router, "reason": "router_repoint_forbidden", "existing_source": a,
                                   "existing_dest": b}
    refused(v0.get(f"/v0/topics/{c}"), 404, "topic_not_found")


def test_loops_are_refused_unless_asked_for(v0, names):
    a, b, c = names("a"), names("b"), names("c")
    v0.join(a, b)
    v0.join(b, c)
    error = refused(v0.put_router(f"{c}->{a}", c, a), 409, "router_cycle")
    assert error["detail"] == {"cycle": [c, a, b, c]}
    assert v0.routers(f"?source={c}")["routers"] == []
    back = v0.join(c, a, allow_cycle=True)
    # Its own edge is not held against it, but the others' are.
    refused(v0.put_router(back, c, a), 409, "router_cycle")
    fine(v0.put_router(back, c, a, allow_cycle=True))
    fine(v0.put_router(f"{a}->{b}", a, b, allow_cycle=True))
    v0.unroute(f"{b}->{c}")
    fine(v0.put_router(back, c, a))


def test_at_the_cap_new_routers_are_429_and_leave_nothing(fresh_database, fleet, names):
    worker = fleet.start(fresh_database, max_routers=2)
    with Routed(worker.url) as v0:
        v0.join("a", "b")
        v0.join("b", "c")
        response = v0.put_router("c->d", "c", "d")
        assert refused(response, 429, "throttled")["detail"] == {"limit": "max_routers", "max": 2}
        assert response.headers["Retry-After"]
        refused(v0.get("/v0/topics/d"), 404, "topic_not_found")
        fine(v0.put_router("a->b", "a", "b", filter="x"))
        # Fan-in and other ends come before the cap, a loop after it.
        refused(v0.put_router("x", "c", "b"), 409, "topic_exists_incompatible")
        refused(v0.put_router("c->a", "c", "a"), 429, "throttled")
        v0.unroute("a->b")
        v0.join("c", "d")


def test_the_cap_holds_under_a_crowd(fresh_database, fleet):
    workers = [fleet.start(fresh_database, max_routers=5) for _ in range(2)]
    codes = []

    def put(number):
        with Routed(workers[number % 2].url) as v0:
            codes.append(v0.put_router(f"r{number}", "a", f"d{number}").status_code)

    threads = [threading.Thread(target=put, args=(n,)) for n in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(codes) == [201] * 5 + [429] * 11


# ---- copies ----

def test_copies_carry_everything(v0, names):
    a, b, bare_b = names("a"), names("b"), names("bare")
    v0.join(a, b)
    v0.join(a, bare_b, preserve_node=False, preserve_tag=False)
    records = [{"data": {"n": 1.50, "s": "é\u0000"}, "tag": "t:1", "node": "n1", "meta": {"k": [1, {"z": None}]}}, {"data": None}]
    v0.add(a, records)
    got = v0.read(b, include_tags=True)["records"]
    assert [{k: v for k, v in r.items() if k != "$ts"} for r in got] == [
        {"$seq": 1, "$node": "n1", "$tag": "t:1", "data": records[0]["data"], "meta": records[0]["meta"]},
        {"$seq": 2, "data": None}]
    got = v0.read(bare_b, include_tags=True)["records"]
    assert [{k: v for k, v in r.items() if k != "$ts"} for r in got] == [
        {"$seq": 1, "data": records[0]["data"], "meta": records[0]["meta"]}, {"$seq": 2, "data": None}]
    # The node filter works on copies, deletes by tag find them and do not travel.
    assert seqs(v0.read(b, node="n1")) == [2]
    assert fine(v0.erase(b, match="t:*"))["deleted"] == 1
    assert len(v0.read(a)["records"]) == 2


def test_filters_take_what_matches(v0, names):
    a, eq, glob, every = (names(x) for x in ("a", "eq", "glob", "every"))
    v0.join(a, eq, filter=["tag", "Eq", "acct:7"])
    v0.join(a, glob, filter="acct:*")
    v0.join(a, every, filter="*")
    tags = ["acct:7", "acct:77", "acct", None, "b", "acct:7"]
    v0.add(a, [{"data": i, **({"tag": t} if t else {})} for i, t in enumerate(tags)])
    assert v0.data(eq) == [0, 5]
    assert v0.data(glob) == [0, 1, 5]
    assert v0.data(every) == [0, 1, 2, 4, 5]
    assert v0.router(f"{a}->{glob}")["forwarded_total"] == 3


def test_a_dest_may_be_written_directly_as_well(v0, names):
    a, b = names("a"), names("b")
    v0.join(a, b)
    v0.add(a, numbers("copy-1"))
    v0.read(b)
    v0.add(b, numbers("own"))
    v0.add(a, numbers("copy-2"))
    assert v0.data(b) == ["copy-1", "own", "copy-2"]


def test_deleted_records_are_passed_over(v0, names):
    a, b = names("a"), names("b")
    v0.make(b, cap_records=1, discard="reject")
    v0.join(a, b)
    v0.add(a, numbers(0))
    assert v0.data(b) == [0]
    v0.add(a, [{"data": i, "tag": str(i)} for i in range(1, 4)])
    fine(v0.erase(a, match="1"))
    fine(v0.erase(b, before_seq=100))
    assert v0.data(b) == [2]
    body = v0.read(b)
    assert body["tombstone"] is None and seqs(body) == [2]


def test_chains_up_to_eight_hops(v0, names):
    topics = [names(f"t{i}") for i in range(10)]
    for source, dest in zip(topics, topics[1:]):
        v0.join(source, dest)
    v0.add(topics[0], numbers("x"))
    assert v0.data(topics[8]) == ["x"]
    assert v0.data(topics[9]) == []
    assert v0.router(f"{topics[8]}->{topics[9]}")["forwarded_total"] == 0


def test_an_allowed_loop_ends(v0, names):
    a, b = names("a"), names("b")
    v0.join(a, b)
    v0.join(b, a, allow_cycle=True)
    v0.add(a, numbers("x"))
    wait.until(lambda: len(v0.data(a)) == 5, "the record and its copies after 2, 4, 6 and 8 hops")
    assert v0.data(b) == ["x"] * 4
    assert all("hops" not in str(r) for r in v0.read(a, include_tags=True)["records"])
    v0.add(a, numbers("y"))
    wait.until(lambda: v0.data(a).count("y") == 5, "and again")


def test_exactly_once_marks_copies(v0, names):
    a, b, c = names("a"), names("b"), names("c")
    router = v0.join(a, b, guarantee="exactly_once")
    second = v0.join(b, c, guarantee="exactly_once")
    full = {f"k{i}": i for i in range(64)}
    v0.add(a, [{"data": 1}, {"data": 2, "meta": {"own": 1}}, {"data": 3, "meta": full}])
    records = v0.read(b)["records"]
    marks = [r["meta"]["_topics_router"] for r in records]
    for seq, mark in enumerate(marks, 1):
        assert set(mark) == {"idempotency_key", "router", "source_topic", "source_topic_id", "source_epoch", "source_seq"}
        assert mark["router"] == router and mark["source_topic"] == a and mark["source_seq"] == seq
        assert mark["idempotency_key"] == f"router:{router}:{mark['source_topic_id']}:{mark['source_epoch']}:{seq}"
    assert records[1]["meta"]["own"] == 1
    assert records[2]["meta"]["_topics_original_meta"] == full
    # A copy of a copy tells of its last router.
    [_, again, _] = v0.read(c)["records"]
    assert again["meta"]["_topics_router"]["router"] == second and again["meta"]["own"] == 1
    # The key is known in dest: a write with it is the same record, and the other way round.
    body = v0.add(b, numbers("mine"), idempotency_key=marks[0]["idempotency_key"])
    assert body["deduped"] is True and body["first_seq"] == 1
    v0.add(b, numbers("before"), idempotency_key=marks[0]["idempotency_key"][:-1] + "4")
    v0.add(a, numbers("late"))
    assert v0.data(b) == [1, 2, 3, "before"]
    assert v0.router(router)["forwarded_total"] == 4


# ---- retention ----

def test_what_the_source_lost_becomes_a_tombstone_of_source_trim(v0, names):
    a, b = names("a"), names("b")
    v0.make(a, cap_records=3)
    v0.join(a, b)
    v0.add(a, numbers(*range(1, 11)))
    body = v0.read(b)
    assert body["tombstone"] == {"gap_from": 1, "gap_to": 7, "reason": "source_trim", "missed_estimate": 7,
                                 "earliest_seq": 8, "head_seq": 10}
    assert [(r["$seq"], r["data"]) for r in body["records"]] == [(8, 8), (9, 9), (10, 10)]
    state = v0.state(b)
    assert (state["head_seq"], state["earliest_seq"], state["count"]) == (10, 8, 3)
    assert v0.read(b, from_seq=7)["tombstone"] is None
    assert v0.router(f"{a}->{b}")["forwarded_total"] == 3


def test_expired_records_of_the_source_burn_their_numbers(v0, names):
    a, b = names("a"), names("b")
    v0.make(b, cap_records=1, discard="reject")
    v0.join(a, b)
    v0.add(a, numbers(0))
    assert v0.data(b) == [0]
    v0.add(a, numbers(1, 2))
    fine(v0.put_topic(a, ttl_ms=1))
    wait.until(lambda: v0.state(a)["count"] == 0, "they expired")
    fine(v0.put_topic(a))
    v0.add(a, numbers(3))
    fine(v0.erase(b, before_seq=2))
    body = v0.read(b, from_seq=1)
    assert body["tombstone"]["reason"] == "source_trim"
    assert (body["tombstone"]["gap_from"], body["tombstone"]["gap_to"]) == (2, 3)
    assert [(r["$seq"], r["data"]) for r in body["records"]] == [(4, 3)]


def test_a_full_dest_holds_its_router_and_nothing_is_skipped(v0, names):
    a, b, free = names("a"), names("b"), names("free")
    v0.make(b, cap_records=2, discard="reject")
    v0.join(a, b)
    v0.join(a, free)
    v0.add(a, numbers(*range(7)))
    assert v0.data(b) == [0, 1]
    assert v0.data(free) == list(range(7))
    got = []
    for _ in range(4):
        got += v0.data(b)
        fine(v0.erase(b, before_seq=1000))
    assert got == list(range(7))
    assert v0.router(f"{a}->{b}")["forwarded_total"] == 7


def test_the_limit_of_all_bytes_holds_copies_too(fleet, fresh_database, names):
    gateway = fleet.start(fresh_database, max_total_bytes=1000)
    a, b = names("a"), names("b")
    with Routed(gateway.url) as v0:
        v0.join(a, b)
        v0.add(a, [{"data": f"{i}" + "x" * 97} for i in range(6)])
        assert [text[0] for text in v0.data(b)] == list("0123")
        refused(v0.write(a, [{"data": 1}]), 429, "throttled")
        fine(v0.erase(b, before_seq=3))
        assert [text[0] for text in v0.data(b)] == list("2345")


def test_a_dest_that_evicts_takes_everything(v0, names):
    a, b = names("a"), names("b")
    v0.make(b, cap_records=2)
    v0.join(a, b)
    v0.add(a, numbers(*range(5)))
    body = v0.read(b)
    assert body["tombstone"]["reason"] == "cap" and body["tombstone"]["gap_to"] == 3
    assert [r["data"] for r in body["records"]] == [3, 4]


@pytest.mark.parametrize("source, dest", [("ephemeral", "fsync"), ("fsync", "ephemeral"), ("memory", "disk")])
def test_copies_follow_the_class_of_the_topic_they_land_in(v0, names, source, dest):
    a, b = names("a"), names("b")
    v0.make(a, durability=source)
    v0.make(b, durability=dest)
    v0.join(a, b)
    v0.add(a, numbers(1, 2))
    assert v0.data(b) == [1, 2]


# ---- topics that go ----

def test_a_deleted_topic_takes_its_routers_along(v0, names):
    a, b, c = names("a"), names("b"), names("c")
    first, second, third = v0.join(a, b), v0.join(b, c), v0.join(a, names("d"))
    body = fine(v0.drop(b))
    assert body["routers_removed"] == sorted([first, second]) and body["deleted"] is True
    refused(v0.get(v0.path(first)), 404, "router_not_found")
    assert v0.router(third)["source"] == a
    # A topic of the same name is another one.
    v0.make(b)
    v0.add(a, numbers(1))
    assert v0.data(b) == [] and v0.data(c) == []
    assert fine(v0.drop(b, "?if_empty=true"))["routers_removed"] == []


def test_a_topic_that_is_not_empty_keeps_its_routers(v0, names):
    a, b = names("a"), names("b")
    router = v0.join(a, b)
    v0.add(a, numbers(1))
    refused(v0.drop(a, "?if_empty=true"), 409, "topic_not_empty")
    assert v0.router(router)["forwarded_total"] == 1


# ---- several workers ----

def test_another_worker_reads_what_was_acknowledged(gateways, names):
    one, two = gateways(2)
    a, b, c, d = (names(x) for x in "abcd")
    with Routed(one.url) as writer, Routed(two.url) as reader:
        writer.join(a, b)
        writer.join(b, c)
        writer.join(c, d)
        for n in range(1, 60):
            writer.add(a, numbers(n))
            if n % 3 == 0:
                assert reader.state(d)["head_seq"] == n
            elif n % 3 == 1:
                assert reader.read(d, from_seq=n - 1)["records"][0]["data"] == n
            else:
                assert reader.router(f"{c}->{d}")["forwarded_total"] == n
        assert reader.data(d) == list(range(1, 60))


def test_reads_are_current_while_everybody_writes(gateways, names):
    """Four writers, four readers of the end of a chain, two workers: whoever reads sees all that was acknowledged before."""
    workers = gateways(2)
    a, b, c = names("a"), names("b"), names("c")
    acknowledged, behind, writing = [0] * 4, [], threading.Event()
    with Routed(workers[0].url) as v0:
        v0.join(a, b)
        v0.join(b, c)

    def write(number):
        with Routed(workers[number % 2].url) as v0:
            for _ in range(60):
                v0.add(a, numbers(1, 2, 3))
                acknowledged[number] += 3

    def read(number):
        with Routed(workers[number % 2].url) as v0:
            while not writing.is_set():
                before = sum(acknowledged)
                head = v0.state(c)["head_seq"] if number < 2 else v0.read(c, from_seq=before)["head_seq"]
                if head < before:
                    behind.append((head, before))

    writers = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    readers = [threading.Thread(target=read, args=(n,)) for n in range(4)]
    for t in writers + readers:
        t.start()
    for t in writers:
        t.join()
    writing.set()
    for t in readers:
        t.join()
    assert not behind and sum(acknowledged) == 720


@pytest.mark.slow
def test_changes_of_everything_at_once_stand_in_nobodys_way(fresh_database, fleet):
    """Routers and topics that come, go and change under writes: no deadlock, no failure, no loop of locks."""
    workers = [fleet.start(fresh_database) for _ in range(2)]
    topics, failed = [f"t{i}" for i in range(6)], []

    def act(v0, rnd):
        a, b = rnd.sample(topics, 2)
        kind = rnd.random()
        if kind < 0.5:
            return v0.write(a, numbers(*range(rnd.randint(1, 5))))
        if kind < 0.65:
            return v0.put_router(f"{a}->{b}", a, b, allow_cycle=rnd.random() < 0.3, guarantee=rnd.choice(["exactly_once", "at_least_once"]))
        if kind < 0.72:
            return v0.request("DELETE", v0.path(f"{a}->{b}"))
        if kind < 0.75:
            return v0.drop(a)
        if kind < 0.8:
            return v0.put_topic(a, cap_records=rnd.choice([0, 5, 50]), durability=rnd.choice(["fsync", "disk", "ephemeral"]))
        return v0.diff(a, from_seq=rnd.randint(0, 50))

    def run_(seed):
        rnd = random.Random(seed)
        with Routed(workers[seed % 2].url) as v0:
            for _ in range(250):
                answer = act(v0, rnd)
                if answer.status_code >= 500:
                    failed.append((answer.request.method, answer.url, answer.text))

    threads = [threading.Thread(target=run_, args=(n,)) for n in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failed, failed[:5]
    assert all("deadlock" not in w.log_text() for w in workers)


def test_idle_readers_of_a_dest_are_woken(gateways, names):
    one, two = gateways(2)
    a, b, c = names("a"), names("b"), names("c")
    with Routed(one.url) as writer, Routed(two.url) as reader:
        writer.join(a, b)
        writer.join(b, c)
        got = []
        thread = threading.Thread(target=lambda: got.append(reader.read(c, wait_ms=20000)))
        thread.start()
        wait.holds_for(thread.is_alive, "the reader waits", 0.3)
        writer.add(a, numbers("x"))
        thread.join(10 * wait.SLOWNESS)
        assert not thread.is_alive() and [r["data"] for r in got[0]["records"]] == ["x"]


def test_watchers_of_a_dest_see_copies_and_what_was_lost(gateways, names):
    one, two = gateways(2)
    a, b = names("a"), names("b")
    with Routed(one.url) as writer, Routed(two.url) as reader:
        writer.make(a, cap_records=3)
        writer.join(a, b)
        writer.add(a, numbers(1))
        session = fine(reader.post("/v0/watch", json={"topics": {b: {"from_seq": 0}}}))
        assert session["topics"][b]["head_seq"] == 1
        with Stream(reader, session["stream_url"]) as stream:
            def until(number):
                """The tombstones and data up to a record."""
                gone, got = [], []
                while number not in got:
                    event = stream.next()
                    if event.kind == "record":
                        got += [r["data"] for r in event.data["records"]]
                    elif event.kind == "tombstone":
                        gone.append((event.data["reason"], event.data["gap_from"], event.data["gap_to"]))
                return gone, got

            assert until(1) == ([], [1])
            writer.add(a, numbers(2))
            assert until(2) == ([], [2])
            writer.add(a, numbers(*range(3, 13)))
            assert until(12) == ([("source_trim", 3, 9)], [10, 11, 12])


def test_metrics_count_routers(fresh_database, fleet):
    with Routed(fleet.start(fresh_database).url) as v0:
        v0.join("a", "b")
        v0.join("a", "c")
        assert v0.get("/v0/metrics", headers={"Accept": "application/json"}).json()["routers"] == 2


def test_two_hundred_routers_on_one_source(v0, names):
    a = names("a")
    dests = [names(f"d{i}") for i in range(200)]
    for dest in dests:
        v0.join(a, dest)
    for n in range(5):
        v0.add(a, numbers(*range(n * 100, n * 100 + 100)))

    def all_there():
        listed = v0.routers(f"?source={a}&page_size=1000")["routers"]
        return len(listed) == 200 and all(r["forwarded_total"] == 500 for r in listed)

    wait.until(all_there, "every router has copied everything, though nobody read")
    for dest in dests[::40]:
        assert v0.data(dest) == list(range(500))


@pytest.mark.slow
def test_kill_9_of_the_copying_worker_skips_repeats_and_reorders_nothing(fresh_database, fleet):
    """Two writers and a reader on two workers, one of which is killed in turn; a chain, a filter, and a capped source."""
    workers = [fleet.start(fresh_database) for _ in range(2)]
    with Routed(workers[0].url) as v0:
        v0.make("a", durability="fsync")
        v0.make("b", durability="fsync")
        v0.join("a", "b", guarantee="exactly_once")
        v0.join("b", "c")
        v0.join("a", "odd", filter="odd")
    stop = threading.Event()
    sent = [0, 0]

    def write(number):
        n = 0
        while not stop.is_set():
            worker = workers[(n + number) % 2]
            try:
                with Routed(worker.url, timeout=10) as v0:
                    while not stop.is_set():
                        records = [{"data": [number, n + k], "tag": "odd" if (n + k) % 2 else "even"} for k in range(5)]
                        answer = v0.write("a", records, idempotency_key=f"{number}:{n}")
                        if answer.status_code != 200:
                            break
                        n += 5
                        sent[number] = n
            except OSError:
                pass
            stop.wait(0.02)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(2)]
    for t in threads:
        t.start()
    for round_ in range(6):
        before = sum(sent)
        wait.until(lambda b=before: sum(sent) > b + 100, "records are written", deadline_s=60 * wait.SLOWNESS)
        workers[round_ % 2].kill()
        workers[round_ % 2].start()
    stop.set()
    for t in threads:
        t.join()
    with Routed(workers[0].url) as v0:
        log = v0.data("a")
        assert v0.data("b") == log
        assert v0.data("c") == log
        assert v0.data("odd") == [r for r in log if r[1] % 2]
        for number in range(2):
            assert [r[1] for r in log if r[0] == number] == list(range(len([r for r in log if r[0] == number])))
            assert len([r for r in log if r[0] == number]) >= sent[number]
        assert v0.router("a->b")["forwarded_total"] == len(log)


@pytest.mark.slow
def test_kill_9_of_postgres_keeps_copies_and_position_together(own_pg, fleet):
    database = own_pg.create_database("routers")
    worker = fleet.start(database)
    with Routed(worker.url) as v0:
        v0.make("a", durability="fsync")
        v0.join("a", "b")
        n = 0
        for _ in range(3):
            for _ in range(40):
                v0.add("a", numbers(*range(n, n + 10)))
                n += 10
            own_pg.kill9()
            own_pg.start()
            wait.until(v0.is_ready, "the worker is back")
            assert v0.data("a") == list(range(n))
            assert v0.data("b") == list(range(n))


def test_what_no_worker_copied_the_janitor_does(fresh_database, fleet):
    worker = fleet.start(fresh_database, janitor="false")
    with Routed(worker.url) as v0:
        v0.join("a", "b")
        v0.add("a", numbers(1))
        assert v0.data("b") == [1]
    worker.kill()
    # An append that nobody was told of, as of a worker that died right after its commit.
    fresh_database.psql("UPDATE tidegate.router SET positions = '{0}', forwarded_total = 0")
    fleet.start(fresh_database, janitor_interval_ms=50)
    wait.until(lambda: fresh_database.psql("SELECT positions FROM tidegate.router") == [["{1}"]], "the janitor copied it")


# ---- keys ----

@pytest.fixture
def guarded(fresh_database, fleet):
    """as_key(scopes, *options) → a client on a worker that asks for keys."""
    run("migrate", database=fresh_database)
    made = []

    def new(scopes, *more):
        done = run("key", "create", "--scopes", scopes, *more, database=fresh_database)
        made.append(done.stdout.split()[0])
        return made[-1]

    owner = new("read,write,delete,admin")
    worker = fleet.start(fresh_database)
    clients = []

    def as_key(scopes=None, *more):
        clients.append(Routed(worker.url, key=owner if scopes is None else new(scopes, *more)))
        return clients[-1]

    yield as_key
    for client in clients:
        client.close()


def test_scopes(guarded):
    owner = guarded()
    owner.join("a", "b")
    reader, writer, admin, deleter = (guarded(scope) for scope in ("read", "write", "admin", "delete"))
    refused(reader.put_router("x", "a", "c"), 403, "forbidden")
    refused(writer.put_router("x", "a", "c"), 403, "forbidden")
    fine(admin.put_router("x", "a", "c"), 201)
    refused(admin.get(admin.path("x")), 403, "forbidden")
    refused(writer.get("/v0/routers"), 403, "forbidden")
    assert [r["router"] for r in reader.routers()["routers"]] == ["a->b", "x"]
    refused(reader.request("DELETE", reader.path("x")), 403, "forbidden")
    assert deleter.unroute("x")["deleted"] is True


def test_prefixes(guarded):
    owner = guarded()
    owner.join("my-a", "my-b")
    owner.join("my-a", "other", name="my-out")
    owner.join("my-a", "my-c", name="foreign")
    mine = guarded("read,write,delete,admin", "--prefix", "my-")
    assert refused(mine.put_router("my-r", "my-a", "b"), 403, "forbidden")["detail"] == {"topic": "b"}
    refused(mine.put_router("my-r", "a", "my-b"), 403, "forbidden")
    refused(mine.put_router("r", "my-a", "my-b"), 403, "forbidden")
    assert [r["router"] for r in mine.routers("?page_size=1")["routers"]] == ["my-a->my-b"]
    assert mine.router("my-a->my-b")["dest"] == "my-b"
    for path in (mine.path("my-out"), mine.path("foreign")):
        refused(mine.get(path), 403, "forbidden")
        refused(mine.request("DELETE", path), 403, "forbidden")
    assert owner.router("foreign")["dest"] == "my-c"
