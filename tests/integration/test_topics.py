"""Topics: create, list, describe, change, delete (streaming contract, sections 1 and 2)."""

import concurrent.futures
import re
import string
import time

import pytest

from harness.client import ok, pairs, refused, values
from harness.gateway import Gateway

# The configuration object of the topics contract, section 3, as the streaming dialect fills it in.
CONFIG = {
    "type": "log", "ttl_ms": 0, "cap_records": 0, "cap_bytes": 0, "discard": "old", "durable": True,
    "durability": "fsync", "priority": None, "auto_priority": True, "auto_create": True, "idempotency_window_ms": 120000,
    "dedupe_node": True, "lease_ms": 30000, "claim_jitter_ms": 0, "max_deliveries": 0, "dead_letter": None,
    "leases_durable": False,
}


def test_create_answers_201_with_the_three_members_and_nothing_else(client, name):
    answer = client.create(name, 3, replication_factor=2)
    assert ok(answer, 201) == {"name": name, "partitions": 3, "replication_factor": 2}


def test_create_needs_only_a_name_and_has_one_partition_then(client, name):
    assert ok(client.create(name), 201) == {"name": name, "partitions": 1, "replication_factor": 1}


def test_answers_are_compact_json(client, name):
    assert client.create(name).text == f'{{"name":"{name}","partitions":1,"replication_factor":1}}'


def test_create_again_with_the_same_shape_answers_200_with_the_same_body(client, name):
    first = ok(client.create(name, 3, replication_factor=2), 201)
    assert ok(client.create(name, 3, replication_factor=2), 200) == first


@pytest.mark.parametrize("other", [{"partitions": 4}, {"partitions": 2}, {"replication_factor": 3},
                                   {"config": {"ttl_ms": 1000}}], ids=str)
def test_create_again_with_another_shape_is_a_conflict_and_changes_nothing(client, name, other):
    client.make(name, 3, replication_factor=2)
    before = client.info(name)
    refused(client.create(name, **{"partitions": 3, "replication_factor": 2, **other}), 409, "topic_exists_incompatible")
    assert client.info(name) == before


def test_of_many_racing_creates_exactly_one_answers_201(gateways, name):
    clients = [gateway.client() for gateway in gateways(2)]
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda i: clients[i % 2].create(name, 4), range(24)))
    codes = sorted(a.status_code for a in answers)
    assert codes == [200] * 23 + [201]
    assert {a.text for a in answers} == {f'{{"name":"{name}","partitions":4,"replication_factor":1}}'}


def test_describe_shows_shape_configuration_and_each_partition(client, name):
    before = int(time.time() * 1000)
    client.make(name, 3, replication_factor=2)
    after = int(time.time() * 1000)
    client.put(name, [{"key": "ab", "value": "cdef", "partition": 1}, {"value": "xyz", "partition": 1},
                      {"value": "ü", "partition": 2}])
    info = client.info(name)
    created_at = info.pop("created_at")
    assert isinstance(created_at, int) and before - 2000 <= created_at <= after + 2000
    assert info == {
        "name": name, "partitions": 3, "replication_factor": 2, "config": CONFIG,
        "partition_info": [
            {"partition": 0, "start_offset": 0, "end_offset": 0, "records": 0, "bytes": 0},
            {"partition": 1, "start_offset": 0, "end_offset": 2, "records": 2, "bytes": 9},
            {"partition": 2, "start_offset": 0, "end_offset": 1, "records": 1, "bytes": 2},
        ]}


def test_configuration_is_kept_and_members_left_out_have_their_defaults(client, name):
    client.make(name, config={"ttl_ms": 60000, "cap_records": 10, "cap_bytes": 1000, "durability": "disk"})
    assert client.info(name)["config"] == {**CONFIG, "ttl_ms": 60000, "cap_records": 10, "cap_bytes": 1000,
                                           "durability": "disk", "durable": False}


@pytest.mark.parametrize("durability", ["ephemeral", "memory", "disk", "fsync"])
def test_every_durability_class_stores_and_delivers(client, name, durability):
    client.make(name, config={"durability": durability})
    assert client.info(name)["config"]["durability"] == durability
    client.put(name, [{"value": str(i)} for i in range(5)])
    assert values(client.read_all(name)) == list("01234")


def test_patch_grows_partitions_and_keeps_what_is_stored(client, name):
    client.make(name, 2)
    client.put(name, [{"value": "old", "partition": 1}])
    body = ok(client.request("PATCH", f"/topics/{name}", json={"partitions": 5}))
    assert (body["name"], body["partitions"], body["replication_factor"]) == (name, 5, 1)
    assert client.put(name, [{"value": "new", "partition": 4}, {"value": "more", "partition": 1}]) == [(4, 0), (1, 1)]
    assert values(client.read_all(name, partition=1)) == ["old", "more"]


def test_patch_never_shrinks_partitions(client, name):
    client.make(name, 4)
    refused(client.request("PATCH", f"/topics/{name}", json={"partitions": 3}), 400, "invalid_request")
    assert client.info(name)["partitions"] == 4


def test_patch_changes_the_configuration(client, name):
    client.make(name)
    ok(client.request("PATCH", f"/topics/{name}", json={"config": {"cap_records": 2}}))
    assert client.info(name)["config"]["cap_records"] == 2
    client.put(name, [{"value": str(i)} for i in range(5)])
    assert values(client.read_all(name)) == ["3", "4"]


def test_a_tighter_cap_acts_at_once_on_stored_messages(client, name):
    client.make(name)
    client.put(name, [{"value": str(i)} for i in range(10)])
    ok(client.request("PATCH", f"/topics/{name}", json={"config": {"cap_records": 4}}))
    assert values(client.read_all(name)) == ["6", "7", "8", "9"]


def test_patched_partitions_are_seen_by_every_worker(gateways, name):
    one, two = (gateway.client() for gateway in gateways(2))
    one.make(name, 1)
    two.put(name, [{"value": "a"}])
    ok(one.request("PATCH", f"/topics/{name}", json={"partitions": 3}))
    # No deadline here: whatever the other worker remembers, it must not refuse what exists.
    assert two.put(name, [{"value": "b", "partition": 2}]) == [(2, 0)]


def test_a_deleted_topic_is_gone_with_everything_in_it(client, name):
    client.make(name, 2)
    client.put(name, [{"value": "x"}, {"value": "y"}])
    client.take(name, group_id="g")
    assert ok(client.request("DELETE", f"/topics/{name}")) == {"name": name, "deleted": True}
    for answer in (client.get(f"/topics/{name}"), client.produce(name, [{"value": "x"}]),
                   client.consume(name, group_id="g"), client.commit(name, "g", {0: 0}),
                   client.get(f"/topics/{name}/groups"), client.request("DELETE", f"/topics/{name}"),
                   client.request("PATCH", f"/topics/{name}", json={"partitions": 3})):
        assert refused(answer, 404, "topic_not_found")["detail"] == {"topic": name}


def test_a_topic_made_again_under_an_old_name_is_new(client, name):
    client.make(name, 2)
    client.put(name, [{"value": "old", "partition": 0}], headers={"Idempotency-Key": "k"})
    ok(client.commit(name, "g", {0: 1}))
    ok(client.request("DELETE", f"/topics/{name}"))
    client.make(name, 1)
    assert client.ends(name) == [0]
    assert client.take(name, group_id="g") == []
    again = ok(client.produce(name, [{"value": "new"}], headers={"Idempotency-Key": "k"}))
    assert again == {"results": [{"partition": 0, "offset": 0}]}
    assert values(client.read_all(name)) == ["new"]
    assert pairs(client.take(name, group_id="g")) == [(0, 0)]


def test_every_worker_knows_at_once_that_a_topic_is_gone_or_new(gateways, name):
    one, two = (gateway.client() for gateway in gateways(2))
    one.make(name, 2)
    assert two.put(name, [{"value": "first", "partition": 1}]) == [(1, 0)]
    assert one.put(name, [{"value": "first", "partition": 1}]) == [(1, 1)]
    ok(one.request("DELETE", f"/topics/{name}"))
    refused(two.produce(name, [{"value": "x"}]), 404, "topic_not_found")
    refused(two.consume(name, offset=0), 404, "topic_not_found")
    one.make(name, 1)
    assert two.put(name, [{"value": "second"}]) == [(0, 0)]
    assert values(one.read_all(name)) == ["second"]


@pytest.mark.parametrize("good", ["a", "7", "user-events", "A.b_c:d-e", "x" * 255])
def test_good_names_are_accepted(client, good):
    assert ok(client.create(good), 201)["name"] == good
    assert client.info(good)["name"] == good
    ok(client.request("DELETE", f"/topics/{good}"))


def test_names_are_matched_decoded_and_by_case(client):
    client.make("Case:Name")
    assert client.info("Case%3AName")["name"] == "Case:Name"
    refused(client.get("/topics/case:name"), 404, "topic_not_found")


# ---- list ----

@pytest.fixture(scope="module")
def listed(database, pg):
    """A gateway of its own: a list shows everything there is."""
    other = pg.create_database(database.name + "_list")
    process = Gateway(other).start()
    try:
        with process.client() as client:
            names = sorted([f"t{i:03}" for i in range(120)] + ["A", "a:b", "a-b", "a.b", "a_b", "Z"], key=str.encode)
            for number, name in enumerate(names):
                client.make(name, number % 3 + 1)
            yield client, names
    finally:
        process.finish()
        other.drop()


def pages(client, **query):
    found = []
    cursor = None
    while True:
        parameters = {**query, **({"cursor": cursor} if cursor is not None else {})}
        body = ok(client.get("/topics", params=parameters))
        assert set(body) <= {"topics", "next_cursor"}
        found.append(body["topics"])
        cursor = body.get("next_cursor")
        if cursor is None:
            return found


def test_the_list_is_in_byte_order_with_100_a_page(listed):
    client, names = listed
    first, second = pages(client)
    assert (len(first), len(second)) == (100, 26)
    assert [t["name"] for t in first + second] == names
    assert first[0] == {"name": names[0], "partitions": 1, "replication_factor": 1}
    assert first[1] == {"name": names[1], "partitions": 2, "replication_factor": 1}


@pytest.mark.parametrize("size", [1, 7, 63, 126, 1000])
def test_paging_gives_every_topic_exactly_once(listed, size):
    client, names = listed
    found = pages(client, page_size=size)
    assert [len(page) for page in found[:-1]] == [size] * (len(found) - 1)
    assert [t["name"] for page in found for t in page] == names


def test_the_cursor_can_be_pasted_into_an_address_as_it_is(listed):
    client, names = listed
    cursor = ok(client.get("/topics?page_size=5"))["next_cursor"]
    assert re.fullmatch("[A-Za-z0-9_-]+", cursor)
    assert [t["name"] for t in ok(client.get(f"/topics?page_size=5&cursor={cursor}"))["topics"]] == names[5:10]


def test_the_last_page_has_no_cursor_even_when_it_is_full(listed):
    client, names = listed
    assert "next_cursor" not in ok(client.get(f"/topics?page_size={len(names)}"))


def test_an_empty_cursor_is_the_start(listed):
    client, names = listed
    assert ok(client.get("/topics?cursor=&page_size=1"))["topics"][0]["name"] == names[0]


@pytest.mark.parametrize("size,expected", [("0", 1), ("", 100), ("1001", 126), ("18446744073709551615", 126)])
def test_page_size_is_clamped(listed, size, expected):
    client, _ = listed
    assert len(ok(client.get(f"/topics?page_size={size}"))["topics"]) == expected


@pytest.mark.parametrize("size", ["x", "1.5", "-5", "99999999999999999999", "%"])
def test_a_page_size_that_is_no_number_is_refused(listed, size):
    client, _ = listed
    refused(client.get(f"/topics?page_size={size}"), 400, "invalid_request")


@pytest.mark.parametrize("cursor", ["!", "%zz", "%", "a", "////", "x" * 3000])
def test_a_cursor_that_is_none_of_ours_is_refused(listed, cursor):
    client, _ = listed
    refused(client.get(f"/topics?cursor={cursor}"), 400, "invalid_request")


def test_topics_made_while_paging_never_repeat_or_hide_others(fresh_database, fleet):
    client = fleet.start(fresh_database).client()
    names = [f"paging-{letter}" for letter in string.ascii_lowercase]
    early, late = names[::2], names[1::2]
    for each in early:
        client.make(each)
    seen = []
    cursor = ""
    while cursor is not None:
        body = ok(client.get(f"/topics?page_size=3&cursor={cursor}"))
        seen += [t["name"] for t in body["topics"]]
        cursor = body.get("next_cursor")
        if len(late) > 1:
            client.make(late.pop(0))
            client.make(late.pop())
    assert set(early) <= set(seen)
    assert seen == sorted(set(seen))
