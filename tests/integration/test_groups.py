"""Consumer groups: leases, commits, the groups' own calls (streaming contract, sections 4 to 6)."""

import collections
import time

import pytest

from harness import wait
from harness.client import ok, pairs, refused, values

SHORT = 300  # a lease that a test waits out
LONG = 600_000


@pytest.fixture
def thirty(client, topic):
    client.put(topic, [{"value": str(i)} for i in range(30)])
    return topic


@pytest.fixture
def spread(client, topic4):
    """Ten messages in each of four partitions."""
    client.put(topic4, [{"value": f"{i % 4}:{i // 4}", "partition": i % 4} for i in range(40)])
    return topic4


def offsets(messages):
    return [m["offset"] for m in messages]


# ---- where a group begins ----

def test_a_new_group_begins_at_the_earliest_message(client, thirty):
    assert offsets(client.take(thirty, group_id="g")) == list(range(30))


def test_a_new_group_from_latest_gets_only_what_comes_next(client, thirty):
    assert client.take(thirty, group_id="g", **{"from": "latest"}) == []
    client.put(thirty, [{"value": "new"}])
    assert values(client.take(thirty, group_id="g", **{"from": "latest"})) == ["new"]


def test_from_matters_for_a_new_group_only(client, thirty):
    ok(client.commit(thirty, "g", {0: 20}))
    assert offsets(client.take(thirty, group_id="g", **{"from": "latest"})) == list(range(20, 30))
    ok(client.commit(thirty, "h", {0: 20}))
    assert offsets(client.take(thirty, group_id="h", **{"from": "earliest"})) == list(range(20, 30))


def test_groups_do_not_know_of_each_other(client, thirty):
    for group in ("a", "b", "c"):
        assert offsets(client.take(thirty, group_id=group)) == list(range(30))


# ---- leases ----

def test_what_was_handed_out_is_not_handed_out_again_while_the_lease_lasts(client, spread):
    assert len(client.take(spread, group_id="g", lease_ms=LONG)) == 40
    for _ in range(5):
        assert client.take(spread, group_id="g") == []


def test_without_commit_the_rest_of_a_held_partition_waits(client, thirty):
    assert offsets(client.take(thirty, group_id="g", max_messages=10, lease_ms=LONG)) == list(range(10))
    assert client.take(thirty, group_id="g", max_messages=10) == []


def test_a_commit_of_everything_handed_out_frees_the_partition_at_once(client, thirty):
    for start in (0, 10, 20):
        assert offsets(client.take(thirty, group_id="g", max_messages=10, lease_ms=LONG)) == list(range(start, start + 10))
        assert ok(client.commit(thirty, "g", {0: start + 10})) == {"committed": [{"partition": 0, "offset": start + 10}]}
    assert client.take(thirty, group_id="g") == []


def test_a_commit_of_a_part_keeps_the_lease(client, thirty):
    client.take(thirty, group_id="g", max_messages=10, lease_ms=LONG)
    ok(client.commit(thirty, "g", {0: 6}))
    assert client.take(thirty, group_id="g") == []
    ok(client.commit(thirty, "g", {0: 10}))
    assert offsets(client.take(thirty, group_id="g")) == list(range(10, 30))


def test_after_the_lease_uncommitted_messages_come_again_from_the_committed_offset(client, thirty):
    client.take(thirty, group_id="g", max_messages=10, lease_ms=SHORT)
    ok(client.commit(thirty, "g", {0: 4}))
    got = wait.until(lambda: client.take(thirty, group_id="g", max_messages=3, lease_ms=LONG), "the lease has ended")
    assert offsets(got) == [4, 5, 6]


def test_a_lease_lasts_at_least_as_long_as_it_was_asked_for(client, thirty):
    begun = time.monotonic()
    client.take(thirty, group_id="g", lease_ms=1000)
    wait.until(lambda: client.take(thirty, group_id="g", lease_ms=LONG), "the lease has ended")
    assert time.monotonic() - begun > 0.95


def test_several_calls_share_the_partitions_and_never_a_message(client, spread):
    taken = []
    while got := client.take(spread, group_id="g", max_messages=10, lease_ms=LONG):
        taken.append(got)
    everything = [at for got in taken for at in pairs(got)]
    assert len(everything) == len(set(everything))
    holders = collections.defaultdict(set)
    for number, got in enumerate(taken):
        assert len(got) <= 10
        for p, o in pairs(got):
            holders[p].add(number)
    assert set(holders) == {0, 1, 2, 3}
    assert all(len(calls) == 1 for calls in holders.values()), "a partition was handed to two calls"
    for got in taken:
        for p in range(4):
            seen = [o for q, o in pairs(got) if q == p]
            assert seen == list(range(len(seen)))


def test_a_call_of_a_group_for_one_partition_gets_only_that_one(client, spread):
    got = client.take(spread, group_id="g", partition=2, lease_ms=LONG)
    assert pairs(got) == [(2, o) for o in range(10)]
    assert client.take(spread, group_id="g", partition=2) == []
    assert {p for p, _ in pairs(client.take(spread, group_id="g"))} == {0, 1, 3}


def test_no_partition_starves_when_all_are_busy(client, spread):
    """However few messages a call takes, calls that follow each other come to every partition."""
    seen = set()
    for _ in range(12):
        got = client.take(spread, group_id="g", max_messages=1, lease_ms=LONG)
        [(p, o)] = pairs(got)
        seen.add(p)
        ok(client.commit(spread, "g", {p: o + 1}))
    assert seen == {0, 1, 2, 3}


def test_an_answer_with_messages_tells_about_its_lease(client, thirty):
    body = ok(client.consume(thirty, group_id="g", lease_ms=60_000, max_messages=10))
    assert set(body) == {"messages", "lease"}
    deadline = body["lease"].pop("deadline")
    assert abs(deadline - time.time() * 1000 - 60_000) < 30_000
    assert body["lease"] == {"consumer_id": None, "partitions": [{"partition": 0, "from_offset": 0, "next_offset": 10}]}
    body = ok(client.consume(thirty, group_id="h", consumer_id="me"))
    assert body["lease"]["consumer_id"] == "me"


def test_an_answer_without_messages_is_just_that(client, topic):
    assert ok(client.consume(topic, group_id="g")) == {"messages": []}


def test_a_lease_is_known_to_every_worker(gateways, name):
    one, two = (gateway.client() for gateway in gateways(2))
    one.make(name, 2)
    one.put(name, [{"value": str(i)} for i in range(20)])
    first = one.take(name, group_id="g", max_messages=5, lease_ms=LONG)
    second = two.take(name, group_id="g", lease_ms=LONG)
    assert not set(pairs(first)) & set(pairs(second))
    assert one.take(name, group_id="g") == two.take(name, group_id="g") == []
    ok(two.commit(name, "g", {p: max(o for q, o in pairs(first) if q == p) + 1 for p in {p for p, _ in pairs(first)}}))
    third = two.take(name, group_id="g", lease_ms=LONG)
    assert len(first) + len(second) + len(third) == 20
    assert len({*pairs(first), *pairs(second), *pairs(third)}) == 20


# ---- consumers with a name ----

def test_a_named_consumer_reads_on_without_committing(client, thirty):
    for start in (0, 10, 20):
        got = client.take(thirty, group_id="g", consumer_id="a", max_messages=10, lease_ms=LONG)
        assert offsets(got) == list(range(start, start + 10))
    assert client.take(thirty, group_id="g", consumer_id="a") == []
    client.put(thirty, [{"value": "more"}])
    assert offsets(client.take(thirty, group_id="g", consumer_id="a")) == [30]


def test_what_a_named_consumer_holds_is_given_to_nobody_else(client, thirty):
    client.take(thirty, group_id="g", consumer_id="a", max_messages=10, lease_ms=LONG)
    assert client.take(thirty, group_id="g", consumer_id="b") == []
    assert client.take(thirty, group_id="g") == []


def test_the_calls_of_a_named_consumer_renew_its_lease(client, thirty):
    lease_s = 2.0 * wait.SLOWNESS
    taken = []
    begun = renewed = time.monotonic()
    # Twice as long as one lease, with a call well within each.
    while time.monotonic() - begun < 2 * lease_s:
        asked = time.monotonic()
        mine = client.take(thirty, group_id="g", consumer_id="a", max_messages=1, lease_ms=int(lease_s * 1000))
        others = client.take(thirty, group_id="g", consumer_id="b", max_messages=1)
        if time.monotonic() - renewed > lease_s:  # since before the call that renewed it last
            pytest.skip("this machine stood still for longer than the lease")
        assert others == []
        taken += mine
        renewed = asked
        time.sleep(lease_s / 10)
    assert len(taken) > 1
    assert offsets(taken) == list(range(len(taken)))


def test_calls_that_find_nothing_new_renew_the_lease_too(client, thirty):
    """Who has read everything and is still working on it asks for more, and keeps what it has."""
    lease_s = 2.0 * wait.SLOWNESS
    begun = renewed = time.monotonic()
    first = client.take(thirty, group_id="g", consumer_id="a", lease_ms=int(lease_s * 1000))
    assert len(first) == 30
    while time.monotonic() - begun < 2 * lease_s:
        asked = time.monotonic()
        mine = client.take(thirty, group_id="g", consumer_id="a", lease_ms=int(lease_s * 1000))
        others = client.take(thirty, group_id="g", consumer_id="b")
        if time.monotonic() - renewed > lease_s:
            pytest.skip("this machine stood still for longer than the lease")
        assert (mine, others) == ([], [])
        renewed = asked
        time.sleep(lease_s / 10)
    ok(client.commit(thirty, "g", {0: 30}, consumer_id="a"))


def test_a_commit_by_another_consumer_is_refused(client, thirty):
    client.take(thirty, group_id="g", consumer_id="a", max_messages=10, lease_ms=LONG)
    refused(client.commit(thirty, "g", {0: 5}, consumer_id="b"), 409, "not_owner")
    assert client.committed(thirty, "g").get(0, 0) == 0
    ok(client.commit(thirty, "g", {0: 5}, consumer_id="a"))
    assert client.committed(thirty, "g") == {0: 5}


def test_after_the_lease_of_a_named_consumer_another_goes_on_from_the_commit(client, thirty):
    client.take(thirty, group_id="g", consumer_id="a", max_messages=10, lease_ms=SHORT)
    ok(client.commit(thirty, "g", {0: 7}, consumer_id="a"))
    got = wait.until(lambda: client.take(thirty, group_id="g", consumer_id="b", max_messages=5, lease_ms=LONG),
                     "the lease has ended")
    assert offsets(got) == [7, 8, 9, 10, 11]
    refused(client.commit(thirty, "g", {0: 9}, consumer_id="a"), 409, "not_owner")
    ok(client.commit(thirty, "g", {0: 12}, consumer_id="b"))


# ---- commits ----

def test_several_entries_for_one_partition_count_as_the_highest(client, spread):
    client.take(spread, group_id="g", lease_ms=LONG)
    entries = [{"partition": p, "offset": o + 1} for o in (3, 9, 0, 5) for p in (2, 0)]
    body = ok(client.post(f"/topics/{spread}/commit", json={"group_id": "g", "offsets": entries}))
    assert body == {"committed": [{"partition": 0, "offset": 10}, {"partition": 2, "offset": 10}]}


def test_a_commit_never_goes_back_unless_forced(client, thirty):
    ok(client.commit(thirty, "g", {0: 20}))
    assert ok(client.commit(thirty, "g", {0: 5})) == {"committed": [{"partition": 0, "offset": 20}]}
    assert client.committed(thirty, "g") == {0: 20}
    assert ok(client.commit(thirty, "g", {0: 5}, force=True)) == {"committed": [{"partition": 0, "offset": 5}]}
    assert offsets(client.take(thirty, group_id="g")) == list(range(5, 30))


def test_a_commit_beyond_the_end_is_refused_as_a_whole(client, spread):
    refused(client.commit(spread, "g", {0: 5, 1: 11}), 400, "invalid_request")
    ok(client.commit(spread, "g", {0: 0}))
    assert client.committed(spread, "g").get(0) == 0
    ok(client.commit(spread, "g", {1: 10}))


def test_a_commit_makes_the_group_when_there_is_none(client, thirty):
    ok(client.commit(thirty, "g", {0: 12}))
    assert offsets(client.take(thirty, group_id="g")) == list(range(12, 30))


def test_a_commit_survives_a_restart(fresh_database, fleet, name):
    first = fleet.start(fresh_database)
    with first.client() as client:
        client.make(name)
        client.put(name, [{"value": str(i)} for i in range(10)])
        client.take(name, group_id="g", max_messages=4, lease_ms=LONG)
        ok(client.commit(name, "g", {0: 4}))
        client.take(name, group_id="g", max_messages=2, lease_ms=LONG)
    first.stop()
    client = fleet.start(fresh_database).client()
    # The lease of 4 and 5 is not lost with the worker.
    assert client.take(name, group_id="g") == []
    ok(client.commit(name, "g", {0: 6}))
    assert offsets(client.take(name, group_id="g")) == [6, 7, 8, 9]


# ---- the groups' own calls ----

def test_groups_are_listed_with_position_lag_and_holder(client, spread):
    client.take(spread, group_id="b", partition=1, consumer_id="me", lease_ms=LONG, max_messages=4)
    ok(client.commit(spread, "a", {0: 3, 2: 10}))
    body = ok(client.get(f"/topics/{spread}/groups"))
    assert [g["group_id"] for g in body["groups"]] == ["a", "b"]
    a, b = body["groups"]
    assert [(p["partition"], p["committed_offset"], p["end_offset"], p["lag"], p["holder"]) for p in a["partitions"]] == [
        (0, 3, 10, 7, None), (1, None, 10, 10, None), (2, 10, 10, 0, None), (3, None, 10, 10, None)]
    held = b["partitions"][1]
    assert held["holder"] == "me"
    assert abs(held["lease_deadline"] - time.time() * 1000 - LONG) < 60_000
    assert (held["end_offset"], held["lag"]) == (10, 10)
    assert ok(client.get(f"/topics/{spread}/groups/b")) == b


def test_a_topic_without_groups_lists_none(client, topic):
    assert ok(client.get(f"/topics/{topic}/groups"))["groups"] == []
    refused(client.get(f"/topics/{topic}/groups/none"), 404, "group_not_found")


def test_a_deleted_group_begins_again(client, thirty):
    client.take(thirty, group_id="g", lease_ms=LONG)
    ok(client.commit(thirty, "g", {0: 30}))
    assert ok(client.request("DELETE", f"/topics/{thirty}/groups/g")) == {"group_id": "g", "deleted": True}
    refused(client.get(f"/topics/{thirty}/groups/g"), 404, "group_not_found")
    refused(client.request("DELETE", f"/topics/{thirty}/groups/g"), 404, "group_not_found")
    assert offsets(client.take(thirty, group_id="g")) == list(range(30))


def reset(client, topic, **body):
    return client.post(f"/topics/{topic}/groups/g/reset", json=body)


def test_reset_to_earliest_and_latest_moves_every_partition_and_drops_leases(client, spread):
    assert len(client.take(spread, group_id="g", lease_ms=LONG)) == 40
    ok(reset(client, spread, to="earliest"))
    assert len(client.take(spread, group_id="g", lease_ms=LONG)) == 40
    assert ok(reset(client, spread, to="latest")) == {
        "group_id": "g", "committed": [{"partition": p, "offset": 10} for p in range(4)]}
    assert client.committed(spread, "g") == {0: 10, 1: 10, 2: 10, 3: 10}
    assert client.take(spread, group_id="g") == []
    client.put(spread, [{"value": "new", "partition": 3}])
    assert pairs(client.take(spread, group_id="g")) == [(3, 10)]


def test_reset_to_an_offset_of_one_partition_leaves_the_others(client, spread):
    ok(client.commit(spread, "g", {0: 10, 1: 10, 2: 10, 3: 10}))
    ok(reset(client, spread, to="offset", partition=1, offset=6))
    assert client.committed(spread, "g") == {0: 10, 1: 6, 2: 10, 3: 10}
    assert pairs(client.take(spread, group_id="g")) == [(1, o) for o in range(6, 10)]


def test_reset_goes_no_further_than_what_is_kept(client, name):
    client.make(name, config={"cap_records": 4})
    client.put(name, [{"value": str(i)} for i in range(10)])
    ok(client.commit(name, "g", {0: 8}))
    for offset, stands in ((0, 6), (7, 7), (99, 10)):
        ok(reset(client, name, to="offset", offset=offset))
        assert client.committed(name, "g") == {0: stands}


def test_reset_to_a_timestamp_goes_to_the_first_message_of_that_time_or_later(client, topic):
    client.put(topic, [{"value": "old"}, {"value": "old too"}])
    old = client.take(topic, offset=1)[0]["timestamp"]
    wait.until(lambda: int(time.time() * 1000) > old + 20, "the clock has moved on")
    client.put(topic, [{"value": "new"}])
    new = client.take(topic, offset=2)[0]["timestamp"]
    ok(client.commit(topic, "g", {0: 3}))
    ok(reset(client, topic, to="timestamp", timestamp=new))
    assert client.committed(topic, "g") == {0: 2}
    ok(reset(client, topic, to="timestamp", timestamp=old - 1000))
    assert client.committed(topic, "g") == {0: 0}
    ok(reset(client, topic, to="timestamp", timestamp=new + 1_000_000))
    assert client.committed(topic, "g") == {0: 3}


@pytest.mark.parametrize("body", [{}, {"to": "nowhere"}, {"to": "offset"}, {"to": "offset", "offset": -1},
                                  {"to": "offset", "offset": 0, "partition": 4}, {"to": "timestamp"},
                                  {"to": "timestamp", "timestamp": "yesterday"}, {"to": 5}], ids=str)
def test_a_reset_that_says_nothing_sensible_is_refused_and_changes_nothing(client, spread, body):
    ok(client.commit(spread, "g", {0: 4}))
    before = client.group(spread, "g")
    refused(reset(client, spread, **body), 400, "invalid_request")
    assert client.group(spread, "g") == before


def test_reset_of_an_unknown_group_is_404(client, topic):
    refused(reset(client, topic, to="earliest"), 404, "group_not_found")
