"""Queues of the topics dialect: claim, ack, nack, extend, dead letters (topics contract, section 13)."""

import threading
import time

import pytest

from harness import wait
from harness.client import ok, refused
from harness.jobs import LONG, Crew, Queue

SHORT = 150  # a lease that a test waits out
WINDOW_MS = 3000  # long enough for several claims to come, although some of them are held up


@pytest.fixture
def queue(client, name):
    return Queue(client, name)


@pytest.fixture
def ten(queue):
    queue.put([{"n": i} for i in range(1, 11)])
    return queue


# ---- claims ----

def test_a_claim_leases_the_oldest_jobs_in_order(ten):
    body = ok(ten.call("claim", node="w1", max=3))
    assert list(body) == ["topic", "claimed", "count", "ready", "performance"]
    assert body["topic"] == ten.name and body["count"] == 3 and body["ready"] == 7
    assert [j["$seq"] for j in body["claimed"]] == [1, 2, 3]
    for job in body["claimed"]:
        assert list(job) == ["$seq", "lease_id", "deadline", "$ts", "deliveries", "data"]
        assert job["deliveries"] == 1 and job["data"] == {"n": job["$seq"]}
        assert 0 <= job["deadline"] - job["$ts"] - 30_000 < 20_000 * wait.SLOWNESS
        assert job["lease_id"].startswith("lease_") and int(job["lease_id"][6:], 16) > 0
        assert job["lease_id"] == job["lease_id"].lower()
    assert len({j["lease_id"] for j in body["claimed"]}) == 3
    assert ten.counts() == (7, 3)


def test_a_claimed_job_has_tag_and_meta_but_no_node(queue):
    queue.write([{"data": None, "tag": "t:1", "node": "n", "meta": {"a": "b"}}])
    [job] = queue.claim()
    assert list(job) == ["$seq", "lease_id", "deadline", "$ts", "$tag", "deliveries", "data", "meta"]
    assert (job["$tag"], job["data"], job["meta"]) == ("t:1", None, {"a": "b"})


def test_the_state_of_a_queue_tells_its_counts(ten, client, name):
    assert ten.state() == {"ready": 10, "in_flight": 0, "dead_lettered": 0}
    ten.claim("w", 4, lease_ms=LONG)
    ten.nack("w", [1], delay_ms=LONG)
    ten.ack("w", [2])
    assert ten.state() == {"ready": 6, "in_flight": 2, "dead_lettered": 0}
    client.request("PUT", f"/v0/topics/{name}-log")
    assert "queue" not in ok(client.get(f"/v0/topics/{name}-log"))


def test_an_ended_lease_shows_in_the_state_without_any_call(ten):
    ten.claim("w", 4, lease_ms=SHORT)
    wait.until(lambda: ten.state()["in_flight"] == 0, "the leases have ended")
    assert ten.state()["ready"] == 10


def test_a_claim_of_nothing_is_an_empty_answer(queue):
    body = ok(queue.call("claim", node="w1"))
    assert body["claimed"] == [] and body["count"] == 0 and body["ready"] == 0


def test_a_job_is_leased_to_one_at_a_time(ten):
    assert ten.seqs("a", 4) == [1, 2, 3, 4]
    assert ten.seqs("b", 4) == [5, 6, 7, 8]
    assert ten.seqs("a", 4) == [9, 10]
    assert ten.seqs("b", 4) == []


def test_max_is_clamped_and_0_is_1(ten):
    assert ten.seqs(max=0) == [1]
    assert ok(ten.call("claim", node="w"))["count"] == 1
    assert len(ten.claim(max=4_000_000_000)) == 8


def test_a_lease_is_clamped_to_what_is_allowed(ten):
    before = ten.claim(lease_ms=0)[0]
    assert before["deadline"] - before["$ts"] < 100 + 20_000 * wait.SLOWNESS
    long = ten.claim(lease_ms=10**15)[0]
    assert 0 <= long["deadline"] - long["$ts"] - 86_400_000 < 20_000 * wait.SLOWNESS


def test_the_topic_s_own_lease_is_the_default(client, name):
    queue = Queue(client, name, lease_ms=5_000)
    queue.put([1])
    job = queue.claim()[0]
    assert 0 <= job["deadline"] - job["$ts"] - 5_000 < 20_000 * wait.SLOWNESS


def test_jobs_written_after_a_claim_are_claimed_next(ten):
    assert len(ten.claim(max=100)) == 10
    ten.put(["late"])
    assert [j["data"] for j in ten.claim(max=100)] == ["late"]


# ---- acknowledgements ----

def test_an_acknowledged_job_is_gone(ten):
    ten.claim("w1", 2)
    body = ten.ack("w1", [1, 2])
    assert list(body) == ["topic", "acked", "skipped", "ready", "in_flight", "performance"]
    assert (body["acked"], body["skipped"], body["ready"], body["in_flight"]) == (2, [], 8, 0)
    assert ten.seqs(max=100) == list(range(3, 11))
    assert ten.records()[0]["$seq"] == 3


def test_only_the_holder_s_own_leases_count(ten):
    ten.claim("w1", 2)
    ten.claim("w2", 1)
    body = ten.ack("w1", [7, 3, 1, 1, 99, 0, 18446744073709551615, 2])
    assert (body["acked"], body["skipped"]) == (2, [7, 3, 1, 99, 0, 18446744073709551615])
    assert ten.counts() == (7, 1)


def test_a_lease_id_must_be_the_one_that_is_held(ten):
    one, two = ten.claim("w", 2)
    body = ten.ack("w", [1, 2], lease_ids=[two["lease_id"], two["lease_id"]])
    assert (body["acked"], body["skipped"]) == (1, [1])
    assert ten.ack("w", [1], lease_ids=["lease_0"])["skipped"] == [1]
    assert ten.ack("w", [1], lease_ids=["lease_ffffffffffffffff"])["skipped"] == [1]
    assert ten.ack("w", [1], lease_ids=[""])["acked"] == 1
    assert one["lease_id"] != two["lease_id"]


def test_no_seqs_are_no_work(ten):
    assert ten.ack("w", [])["acked"] == 0
    assert ten.nack("w", [])["nacked"] == 0
    assert ten.extend("w", [], lease_ms=1000)["deadlines"] == {}


def test_acknowledgements_in_the_middle_of_a_batch_leave_the_others(ten):
    ten.claim("w", 10, lease_ms=LONG)
    assert ten.ack("w", [2, 5, 9])["acked"] == 3
    assert ten.nack("w", [1, 3, 4, 6, 7, 8, 10])["nacked"] == 7
    assert [j["data"]["n"] for j in ten.claim("x", 100)] == [1, 3, 4, 6, 7, 8, 10]


# ---- returns ----

def test_a_returned_job_goes_before_new_ones_and_counts_its_deliveries(ten):
    ten.claim("w", 3)
    assert ten.nack("w", [2])["ready"] == 8
    [job] = ten.claim("x")
    assert (job["$seq"], job["deliveries"]) == (2, 2)
    assert ten.seqs("x", 2) == [4, 5]


def test_a_postponed_job_waits(ten):
    ten.claim("w", 10)
    body = ten.nack("w", [3, 4], delay_ms=LONG)
    assert (body["nacked"], body["ready"], body["in_flight"]) == (2, 0, 8)
    assert ten.claim("x", 10) == []
    began = time.monotonic()
    assert ten.nack("w", [1, 2], delay_ms=400)["nacked"] == 2
    got = wait.until(lambda: ten.claim("x", 10), "the delay is over")
    assert time.monotonic() - began >= 0.39
    assert [(j["$seq"], j["deliveries"]) for j in got] == [(1, 2), (2, 2)]


def test_a_lease_that_is_over_comes_back_and_a_late_acknowledgement_is_skipped(ten):
    late = ten.claim("slow", 1, lease_ms=SHORT)[0]
    again = wait.until(lambda: [j for j in ten.claim("w", 10) if j["$seq"] == 1], "the lease has ended")[0]
    assert again["deliveries"] == 2 and again["lease_id"] != late["lease_id"]
    assert ten.ack("slow", [1])["skipped"] == [1]
    assert ten.ack("w", [1], lease_ids=[late["lease_id"]])["skipped"] == [1]
    assert ten.ack("w", [1], lease_ids=[again["lease_id"]])["acked"] == 1


def test_an_ended_lease_is_over_also_when_nobody_else_came(ten):
    ten.claim("w", 1, lease_ms=SHORT)
    wait.until(lambda: ten.counts() == (10, 0), "the lease has ended")
    assert ten.ack("w", [1])["skipped"] == [1]


def test_an_extension_keeps_lease_and_deliveries(ten):
    job = ten.claim("w", 1)[0]
    body = ten.extend("w", [1, 1, 5], lease_ms=LONG)
    assert list(body) == ["topic", "extended", "skipped", "deadlines", "performance"]
    assert (body["extended"], body["skipped"]) == (1, [1, 5])
    assert list(body["deadlines"]) == ["1"] and body["deadlines"]["1"] >= job["deadline"] + LONG - 30_000
    assert ten.ack("w", [1], lease_ids=[job["lease_id"]])["acked"] == 1


def test_an_extension_can_shorten(ten):
    ten.claim("w", 1, lease_ms=LONG)
    ten.extend("w", [1], lease_ms=100)
    assert wait.until(lambda: [s for s in ten.seqs("x", 20) if s == 1], "the lease has ended") == [1]


# ---- what takes jobs away ----

def test_caps_and_age_take_leases_with_them(client, name):
    queue = Queue(client, name, cap_records=5)
    queue.put(range(5))
    queue.claim("w", 3, lease_ms=LONG)
    queue.put(range(5, 9))
    assert queue.counts() == (5, 0)
    assert queue.ack("w", [1, 2, 3])["skipped"] == [1, 2, 3]
    assert queue.seqs("x", 10) == [5, 6, 7, 8, 9]


def test_expired_jobs_are_neither_given_nor_counted(client, name):
    queue = Queue(client, name, ttl_ms=300)
    queue.put(range(5))
    queue.claim("w", 2, lease_ms=LONG)
    wait.until(lambda: queue.counts() == (0, 0), "they have expired")
    assert queue.claim("x", 10) == []
    Queue(client, name)  # without an age from now on
    queue.put(["new"])
    assert queue.seqs("x", 10) == [6]


def test_deleted_jobs_take_their_leases_with_them(client, queue):
    queue.write([{"data": i, "tag": f"t{i}"} for i in range(1, 11)])
    job = queue.claim("w", 4, lease_ms=LONG)[0]
    queue.nack("w", [4], delay_ms=LONG)
    assert ok(client.post(f"{queue.path}/delete", json={"match": "t2"}))["deleted"] == 1
    assert queue.counts() == (6, 2) and queue.state() == {"ready": 6, "in_flight": 2, "dead_lettered": 0}
    assert queue.ack("w", [2, 3])["skipped"] == [2]
    assert ok(client.post(f"{queue.path}/delete", json={"before_seq": 8}))["deleted"] == 5
    assert queue.state() == {"ready": 3, "in_flight": 0, "dead_lettered": 0} and queue.counts() == (3, 0)
    assert queue.ack("w", [1], lease_ids=[job["lease_id"]])["skipped"] == [1]
    assert queue.seqs("x", 10) == [8, 9, 10]


def test_deleting_a_job_that_was_returned_forgets_it(client, ten):
    ten.claim("w", 2)
    ten.nack("w", [1, 2])
    assert ok(client.post(f"{ten.path}/delete", json={"before_seq": 2}))["deleted"] == 1
    assert ten.seqs("x", 2) == [2, 3]


def test_reads_never_touch_leases(ten):
    ten.claim("w", 3, lease_ms=LONG)
    assert len(ten.records()) == 10
    assert ten.state() == {"ready": 7, "in_flight": 3, "dead_lettered": 0}


def test_a_queue_made_anew_is_new(ten, client):
    ten.claim("w", 5, lease_ms=LONG)
    assert ok(client.request("DELETE", ten.path))["deleted"]
    again = Queue(client, ten.name)
    again.put([1, 2])
    assert [(j["$seq"], j["deliveries"]) for j in again.claim("x", 10)] == [(1, 1), (2, 1)]


# ---- dead letters ----

def test_a_job_that_failed_too_often_goes_to_the_dead_letter_topic(client, name):
    queue = Queue(client, name, max_deliveries=2, dead_letter=name + "-dead")
    queue.write([{"data": {"n": 1}, "tag": "t", "node": "n1", "meta": {"own": [1]}}, {"data": {"n": 2}}])
    for delivery in (1, 2):
        [job] = queue.claim("w")
        assert (job["$seq"], job["deliveries"]) == (1, delivery)
        queue.nack("w", [1])
    body = ok(queue.call("claim", node="w", max=1))
    assert [(j["$seq"], j["deliveries"]) for j in body["claimed"]] == [(2, 1)]
    assert body["ready"] == 0 and queue.counts() == (0, 1)
    [dead] = queue.records(name + "-dead")
    assert dead["data"] == {"n": 1} and dead["$tag"] == "t" and dead["$node"] == "n1"
    assert dead["meta"] == {"own": [1], "$dead_letter_from": name, "$dead_letter_deliveries": "2",
                            "$dead_letter_src_seq": "1"}
    assert [r["$seq"] for r in queue.records()] == [2]
    assert queue.state() == {"ready": 0, "in_flight": 1, "dead_lettered": 1}
    deleted = ok(client.post(f"/v0/topics/{name}-dead/delete", json={"match": "t"}))
    assert deleted["deleted"] == 1  # its tag can be found


def test_many_dead_letters_do_not_keep_a_claim_from_the_rest(client, name):
    queue = Queue(client, name, max_deliveries=1, dead_letter=name + "-dead")
    queue.put(range(301))
    queue.claim("w", 300)
    queue.nack("w", list(range(1, 301)))
    assert queue.seqs("x") == [301]
    assert len(queue.records(name + "-dead")) == 300
    assert queue.counts() == (0, 1)


def test_a_full_dead_letter_topic_leaves_the_job_where_it_is(client, name):
    dead = Queue(client, name + "-dead", cap_records=1, discard="reject")
    queue = Queue(client, name, max_deliveries=1, dead_letter=dead.name)
    queue.put(range(3))
    queue.claim("w", 2)
    queue.nack("w", [1, 2])
    assert queue.seqs("x", 10) == [3]
    assert len(dead.records()) == 1 and queue.counts() == (1, 1)
    assert dead.seqs("x") == [1] and dead.ack("x", [1])["acked"] == 1
    assert queue.claim("x", 10) == []
    assert len(dead.records()) == 1 and queue.counts() == (0, 1)


def test_without_a_dead_letter_topic_a_job_comes_for_ever(client, name):
    queue = Queue(client, name, max_deliveries=1)
    queue.put([1])
    for delivery in range(1, 6):
        [job] = queue.claim("w")
        assert job["deliveries"] == delivery
        queue.nack("w", [1])


# ---- claim windows ----

@pytest.mark.tsan
@pytest.mark.parametrize("workers", [1, 2], ids=["one-gateway", "two-gateways"])
def test_claims_of_one_window_share_fairly(gateways, name, workers):
    clients = [g.client() for g in gateways(workers)]
    queue = Queue(clients[0], name, claim_jitter_ms=WINDOW_MS)
    queue.put(range(20))
    got = [None] * 4
    own = [clients[i % workers] for i in range(4)]

    def claim(i):
        got[i] = queue.at(own[i]).seqs(f"w{i}", 10)

    threads = [threading.Thread(target=claim, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(len(g) for g in got) == [5, 5, 5, 5]
    assert sorted(s for g in got for s in g) == list(range(1, 21))
    for seqs, i in zip(got, range(4), strict=True):
        assert queue.at(own[(i + 1) % 4]).ack(f"w{i}", seqs)["acked"] == 5
    for made in clients:
        made.close()


def test_a_lone_claim_of_a_window_gets_all_it_wants(client, name):
    queue = Queue(client, name, claim_jitter_ms=100)
    queue.put(range(5))
    assert queue.seqs("w", 3) == [1, 2, 3]
    assert queue.seqs("w", 3) == [4, 5]
    assert queue.seqs("w", 3) == []


# ---- several workers ----

@pytest.mark.tsan
def test_twenty_workers_on_two_gateways_never_share_a_job(gateways, name):
    one, two = gateways(2)
    with one.client() as client:
        queue = Queue(client, name)
        seqs = queue.put(range(1500))
        crew = Crew(queue, [one.client, two.client], workers=20).start()
        wait.until(lambda: len(crew.acked) == len(seqs), "all jobs are done", deadline_s=60 * wait.SLOWNESS)
        crew.finish()
        assert crew.failures == 0 and crew.twice_acked == []
        assert sorted(crew.delivered) == seqs
        assert {seq: got for seq, got in crew.delivered.items() if len(got) != 1} == {}
        assert queue.counts() == (0, 0)


def test_many_claims_at_once_are_each_answered(ten):
    got = []

    def claim(i):
        with Queue.at(ten, type(ten.client)(ten.client.url)).client as client:
            got.append(ten.at(client).seqs(f"w{i}", 2))

    threads = [threading.Thread(target=claim, args=(i,)) for i in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 30 and sorted(s for g in got for s in g) == list(range(1, 11))


# ---- crashes ----

@pytest.mark.slow
@pytest.mark.parametrize("durability", ["fsync", "disk"])
def test_killed_gateways_lose_no_job(fresh_database, fleet, name, durability):
    workers = [fleet.start(fresh_database) for _ in range(2)]
    with workers[0].client() as client:
        queue = Queue(client, name, durability=durability)
    crew = Crew(queue, [w.client for w in workers], workers=10, lease_ms=1000).start()
    seqs = []
    for victim in (0, 1, 0):
        # While one gateway is started, the other's half of the crew may empty the queue.
        with workers[0].client() as client:
            seqs += queue.at(client).put(range(1000))
        done = len(crew.acked)
        wait.until(lambda done=done: len(crew.acked) > done + 200, "the crew is at work")
        workers[victim].kill()
        workers[victim].start()
    wait.until(lambda: sorted(crew.delivered) == seqs, "every job was delivered", deadline_s=60 * wait.SLOWNESS)
    with workers[0].client() as client:
        wait.until(lambda: queue.at(client).counts() == (0, 0), "every job was done", deadline_s=60 * wait.SLOWNESS)
    crew.finish()
    assert crew.twice_acked == []
    for seq, leases in crew.delivered.items():
        assert len({lease for _, lease in leases}) == len(leases), (seq, leases)


@pytest.mark.slow
def test_a_killed_postgres_loses_no_job_and_undoes_no_acknowledgement(own_pg, fleet, name):
    worker = fleet.start(own_pg.create_database("crash"))
    with worker.client() as client:
        queue = Queue(client, name, durability="fsync")
        seqs = queue.put(range(2000))
        crew = Crew(queue, [worker.client], workers=8, lease_ms=1000).start()
        for _ in range(3):
            done = len(crew.acked)
            wait.until(lambda done=done: len(crew.acked) > done + 100, "the crew is at work")
            own_pg.kill9()
            own_pg.start()
        wait.until(lambda: sorted(crew.delivered) == seqs, "every job was delivered", deadline_s=60 * wait.SLOWNESS)
        wait.until(lambda: queue.call("ack", node="x", seqs=[]).json().get("ready") == 0 and queue.counts() == (0, 0),
                   "every job was done", deadline_s=60 * wait.SLOWNESS)
        crew.finish()
        assert crew.twice_acked == []
        assert queue.records() == []
        for seq, leases in crew.delivered.items():
            assert len({lease for _, lease in leases}) == len(leases), (seq, leases)


def test_leases_are_kept_when_a_gateway_goes(fresh_database, fleet, name):
    one, two = (fleet.start(fresh_database) for _ in range(2))
    with one.client() as client:
        queue = Queue(client, name)
        queue.put(range(3))
        job = queue.claim("w", 1, lease_ms=LONG)[0]
    one.kill()
    with two.client() as client:
        queue = queue.at(client)
        assert queue.seqs("x", 10) == [2, 3]
        assert queue.ack("w", [1], lease_ids=[job["lease_id"]])["acked"] == 1


# ---- refusals ----

VERBS = ["claim", "ack", "nack", "extend"]


def body_of(verb, **members):
    body = {"node": "w", **members}
    if verb != "claim":
        body.setdefault("seqs", [1])
    if verb == "extend":
        body.setdefault("lease_ms", 1000)
    return body


@pytest.mark.parametrize("verb", VERBS)
def test_there_must_be_such_a_queue(client, topic, name, verb):
    absent = name + "-absent"
    error = refused(client.post(f"/v0/topics/{absent}/{verb}", json=body_of(verb)), 404, "topic_not_found")
    assert error["detail"] == {"topic": absent}
    error = refused(client.post(f"/v0/topics/{topic}/{verb}", json=body_of(verb)), 409, "not_a_queue")
    assert error["detail"] == {"topic": topic}


def test_a_claim_judges_the_queue_before_the_node(client, topic, name):
    refused(client.post(f"/v0/topics/{name}-absent/claim", json={}), 404, "topic_not_found")
    refused(client.post(f"/v0/topics/{topic}/claim", json={"node": ""}), 409, "not_a_queue")
    refused(client.post(f"/v0/topics/{name}-absent/ack", json={"seqs": []}), 400, "invalid_request")


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("node", [None, "", "x" * 129, 7, ["w"], {}], ids=repr)
def test_the_node_must_be_a_short_text(queue, verb, node):
    refused(queue.call(verb, **body_of(verb, node=node)), 400, "invalid_request")


@pytest.mark.parametrize("verb", VERBS)
def test_the_node_must_be_there(queue, verb):
    body = body_of(verb)
    del body["node"]
    refused(queue.call(verb, **body), 400, "invalid_request")


@pytest.mark.parametrize(("verb", "members"), [
    ("claim", {"max": -1}), ("claim", {"max": 1.5}), ("claim", {"max": "2"}), ("claim", {"max": 2**32}),
    ("claim", {"max": None}), ("claim", {"lease_ms": -1}), ("claim", {"lease_ms": "1"}), ("claim", {"lease_ms": 1.5}),
    ("ack", {"seqs": None}), ("ack", {"seqs": 1}), ("ack", {"seqs": [-1]}), ("ack", {"seqs": ["1"]}),
    ("ack", {"seqs": [1.0]}), ("ack", {"seqs": [2**64]}), ("ack", {"lease_ids": [1]}), ("ack", {"lease_ids": "lease_1"}),
    ("ack", {"lease_ids": ["lease_"]}), ("ack", {"lease_ids": ["lease_xyz"]}), ("ack", {"lease_ids": ["1f"]}),
    ("ack", {"lease_ids": ["lease_1", "lease_2"]}), ("ack", {"lease_ids": None}), ("nack", {"delay_ms": -1}),
    ("nack", {"delay_ms": None}), ("extend", {"lease_ms": None}), ("extend", {"lease_ms": -5})], ids=repr)
def test_ill_typed_members_are_refused_and_change_nothing(ten, verb, members):
    ten.claim("w", 1, lease_ms=LONG)
    refused(ten.call(verb, **body_of(verb, **members)), 400, "invalid_request")
    assert ten.counts() == (9, 1)


def test_missing_members_are_refused(ten):
    for verb in ("ack", "nack", "extend"):
        refused(ten.call(verb, node="w", lease_ms=1000), 400, "invalid_request", says="seqs")
    refused(ten.call("extend", node="w", seqs=[1]), 400, "invalid_request", says="lease_ms")


def test_a_null_lease_of_a_claim_is_the_topic_s(ten):
    assert ok(ten.call("claim", node="w", lease_ms=None))["count"] == 1


def test_unknown_members_are_ignored(ten):
    assert ok(ten.call("claim", node="w", other={"a": [1]}))["count"] == 1
    assert ten.ack("w", [1], other=None)["acked"] == 1


@pytest.mark.parametrize("verb", ["ack", "nack", "extend"])
def test_a_thousand_seqs_are_the_most(ten, verb):
    assert ok(ten.call(verb, **body_of(verb, seqs=list(range(1, 1001)))))["skipped"] == list(range(1, 1001))
    error = refused(ten.call(verb, **body_of(verb, seqs=list(range(1, 1003)))), 400, "batch_too_large")
    assert error["detail"] == {"seqs": 1002, "max": 1000}


def test_bodies_are_json(queue):
    refused(queue.client.post(f"{queue.path}/claim"), 400, "invalid_request")
    refused(queue.client.post(f"{queue.path}/ack"), 415, "unsupported_media_type")
    refused(queue.client.post(f"{queue.path}/claim", data="{}", headers={"Content-Type": "text/plain"}), 415,
            "unsupported_media_type")
    refused(queue.client.post(f"{queue.path}/claim", data="{", headers={"Content-Type": "application/json"}), 400,
            "invalid_request")
    refused(queue.client.get(f"{queue.path}/claim"), 405, "method_not_allowed")


def test_a_node_may_be_any_text(ten):
    for number, node in enumerate(("a\u0000b", "ü€😀", "'; DROP TABLE", " "), 1):
        assert ten.seqs(node) == [number]
        assert ten.ack(node, [number])["acked"] == 1


def test_large_jobs_are_given_in_several_answers(queue):
    for _ in range(12):
        queue.put(["x" * 1_000_000])
    first = queue.claim("w", 100)
    assert 1 <= len(first) < 12
    rest = queue.claim("w", 100)
    assert [j["$seq"] for j in first + rest] == list(range(1, 13))


def test_a_long_queue_stays_quick_after_many_acknowledgements(queue):
    """A claim begins where the last one ended, not at the queue's beginning."""
    for start in range(0, 20_000, 1000):
        queue.put(range(start, start + 1000))
    for _ in range(19):
        seqs = queue.seqs("w", 1000, lease_ms=LONG)
        assert queue.ack("w", seqs)["acked"] == 1000
    began = time.monotonic()
    assert queue.seqs("w", 1) == [19_001]
    assert time.monotonic() - began < wait.DEADLINE_S
    assert queue.counts() == (999, 1)


# ---- together with the rest of the dialect ----

def test_a_claim_sees_what_was_written_to_a_router_s_source(gateways, name):
    one, two = gateways(2)
    with one.client() as first, two.client() as second:
        queue = Queue(first, name)
        source = Queue.at(queue, first)
        source.path = f"/v0/topics/{name}-source"
        assert first.request("PUT", source.path).status_code == 201
        ok(first.request("PUT", f"/v0/routers/{name}", json={"source": f"{name}-source", "dest": name}), 201)
        for number in range(1, 11):
            source.put([number])
            assert [j["data"] for j in queue.at(second).claim("w")] == [number]


def test_dead_letters_travel_on_through_routers(client, name):
    queue = Queue(client, name, max_deliveries=1, dead_letter=name + "-dead")
    assert client.request("PUT", f"/v0/topics/{name}-dead").status_code == 201
    ok(client.request("PUT", f"/v0/routers/{name}", json={"source": name + "-dead", "dest": name + "-audit"}), 201)
    queue.put([1])
    queue.claim("w")
    queue.nack("w", [1])
    assert queue.claim("w") == []
    assert [r["meta"]["$dead_letter_from"] for r in queue.records(name + "-audit")] == [name]


def test_metrics_tell_of_queues(ten, client):
    ten.claim("w", 3, lease_ms=LONG)
    text = client.get("/v0/metrics").text
    assert f'topics_topic_queue_ready{{topic="{ten.name}"}} 7' in text
    assert f'topics_topic_queue_in_flight{{topic="{ten.name}"}} 3' in text
    assert ok(client.get("/v0/metrics", headers={"Accept": "application/json"}))["queue_leases_in_flight"] >= 3


@pytest.mark.parametrize("durability", ["ephemeral", "memory", "disk", "fsync"])
def test_every_class_has_queues(client, name, durability):
    queue = Queue(client, name, durability=durability, discard="reject", cap_records=5, max_deliveries=2,
                  dead_letter=name + "-dead", leases_durable=True)
    queue.put(range(5))
    refused(client.post(queue.path, json={"records": [{"data": 0}]}), 422, "topic_full")
    for _ in range(2):
        assert queue.seqs("w", 3) == [1, 2, 3]
        queue.nack("w", [1, 2, 3])
    assert queue.seqs("w", 3) == [4, 5]
    assert queue.state() == {"ready": 0, "in_flight": 2, "dead_lettered": 3}
    assert len(queue.records(name + "-dead")) == 3
    assert queue.ack("w", [4, 5])["acked"] == 2
    assert queue.put([6]) == [6]
    state = ok(client.get(queue.path))
    assert (state["head_seq"], state["earliest_seq"], state["count"]) == (6, 6, 1)


@pytest.mark.tsan
def test_everything_at_once_comes_to_a_clean_end(gateways, name):
    """Writers, workers, deletes by tag, returns and dead letters on two gateways: every job ends in exactly one way."""
    one, two = gateways(2)
    deleted = []
    stop = threading.Event()
    with one.client() as client, two.client() as other:
        queue = Queue(client, name, max_deliveries=2, dead_letter=name + "-dead", durability="fsync")
        crew = Crew(queue, [one.client, two.client], workers=8, batch=4).start()

        def spoil():
            """Returns what it claims, so that some jobs are delivered too often."""
            with one.client() as own:
                while not stop.is_set():
                    seqs = queue.at(own).seqs("spoiler", 5)
                    queue.at(own).nack("spoiler", seqs)

        def delete():
            with two.client() as own:
                while not stop.is_set():
                    for tag in range(7):
                        body = ok(own.post(f"{queue.path}/delete", json={"match": f"drop:{tag}"}))
                        deleted.append(body["deleted"])

        threads = [threading.Thread(target=job) for job in (spoil, delete)]
        for thread in threads:
            thread.start()
        total = 0
        for batch in range(40):
            records = [{"data": i, "tag": f"drop:{i % 7}" if i % 5 == 0 else "keep"} for i in range(20)]
            total += len((queue if batch % 2 else queue.at(other)).write(records))
        wait.until(lambda: ok(client.get(queue.path))["count"] == 0, "the queue is empty", deadline_s=60 * wait.SLOWNESS)
        stop.set()
        for thread in threads:
            thread.join()
        crew.finish()
        dead = ok(client.get(f"/v0/topics/{name}-dead"))["count"] if queue.state()["dead_lettered"] else 0
        assert crew.failures == 0 and crew.twice_acked == []
        assert len(crew.acked) + sum(deleted) + dead == total
        assert queue.state() == {"ready": 0, "in_flight": 0, "dead_lettered": dead}
        assert queue.counts() == (0, 0)


def test_a_queue_that_is_deleted_under_load_ends_its_calls_with_404(client, name):
    queue = Queue(client, name)
    queue.put(range(2000))
    crew = Crew(queue, [lambda: type(client)(client.url)], workers=6, batch=2).start()
    wait.until(lambda: len(crew.acked) > 50, "the crew is at work")
    assert ok(client.request("DELETE", queue.path))["deleted"]
    refused(queue.call("claim", node="w"), 404, "topic_not_found")
    again = Queue(client, name)
    assert again.state() == {"ready": 0, "in_flight": 0, "dead_lettered": 0}
    crew.finish()


@pytest.mark.slow
def test_an_ephemeral_queue_is_empty_after_a_crash_and_so_are_its_leases(own_pg, fleet, name):
    worker = fleet.start(own_pg.create_database("crash"))
    with worker.client() as client:
        queue = Queue(client, name, durability="ephemeral", leases_durable=True)
        queue.put(range(5))
        queue.claim("w", 2, lease_ms=LONG)
        own_pg.kill9()
        own_pg.start()
        wait.until(lambda: queue.call("claim", node="w").status_code == 200, "the gateway is back")
        assert queue.state() == {"ready": 0, "in_flight": 0, "dead_lettered": 0}
        assert queue.put(["new"]) == [6]
        assert queue.seqs("x") == [6]


def test_without_a_database_calls_are_refused_and_come_right_afterwards(own_pg, fleet, name):
    worker = fleet.start(own_pg.create_database("away"))
    with worker.client() as client:
        queue = Queue(client, name, durability="fsync")
        queue.put(range(3))
        queue.claim("w", 1, lease_ms=LONG)
        own_pg.kill9()
        for verb in VERBS:
            answer = queue.call(verb, **body_of(verb))
            assert answer.status_code == 503 and int(answer.headers["Retry-After"]) >= 1, answer.text
        own_pg.start()
        wait.until(lambda: queue.call("ack", node="w", seqs=[]).status_code == 200, "the gateway is back")
        assert queue.seqs("x", 5) in ([2, 3], [1, 2, 3])


def test_nothing_is_left_of_a_deleted_queue(fresh_database, fleet, name):
    with fleet.start(fresh_database, janitor_interval_ms=20).client() as client:
        queue = Queue(client, name, claim_jitter_ms=50)
        queue.put(range(5))
        assert len(queue.claim("w", 3, lease_ms=LONG)) == 3
        assert fresh_database.psql("SELECT count(*) FROM tidegate.lease") == [["3"]]
        ok(client.request("DELETE", queue.path))
        wait.until(lambda: fresh_database.psql("SELECT (SELECT count(*) FROM tidegate.lease) + (SELECT count(*) FROM "
                                               "tidegate.lease_cursor) + (SELECT count(*) FROM tidegate.lease_claim)")
                   == [["0"]], "the janitor has been there")


def test_claims_that_find_nothing_write_nothing(fresh_database, fleet, name):
    with fleet.start(fresh_database).client() as client:
        queue = Queue(client, name)
        queue.put([1])
        queue.claim("w", lease_ms=LONG)
        version = "SELECT xmin FROM tidegate.lease_cursor"
        before = fresh_database.psql(version)
        for _ in range(5):
            assert queue.claim("x") == []
            assert queue.ack("x", [1])["skipped"] == [1]
        assert fresh_database.psql(version) == before
