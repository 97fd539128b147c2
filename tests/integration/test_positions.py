"""Stored positions: what groups have committed, listed over all topics, and deleted one by one."""

import time

import pytest

from harness.client import ok, refused


def listed(client, group, page_size=100):
    """All positions of a group, page by page."""
    found, cursor = [], ""
    while True:
        page = ok(client.get("/positions", params={"group_id": group, "page_size": page_size, "cursor": cursor}))
        assert len(page["positions"]) <= page_size
        found += page["positions"]
        if "next_cursor" not in page:
            return found
        cursor = page["next_cursor"]


def partition_of(client, topic, group, partition=0):
    return client.group(topic, group)["partitions"][partition]


def places(positions):
    return [(p["topic"], p["group_id"], p["partition"], p["offset"]) for p in positions]


@pytest.fixture
def topics(client, name):
    """Two topics of two partitions with five messages in each."""
    made = [client.make(f"{name}-{letter}", 2) for letter in "ba"]
    for topic in made:
        client.put(topic, [{"value": "v", "partition": i % 2} for i in range(10)])
    return sorted(made)


def test_positions_of_all_topics_come_by_topic_group_and_partition(client, topics, name):
    a, b = topics
    ok(client.commit(b, name, {1: 5, 0: 2}))
    ok(client.commit(a, name, {1: 3}))
    ok(client.commit(a, name + "-other", {0: 1}))
    expected = [(a, name, 1, 3), (b, name, 0, 2), (b, name, 1, 5)]
    assert places(listed(client, name)) == expected
    assert places(listed(client, name, page_size=1)) == expected
    everything = ok(client.get("/positions?page_size=1000"))["positions"]
    mine = [p for p in places(everything) if p[0] in topics]
    assert mine == [(a, name, 1, 3), (a, name + "-other", 0, 1), (b, name, 0, 2), (b, name, 1, 5)]


def test_a_position_knows_when_it_was_committed(client, topic, name):
    client.put(topic, [{"value": "a"}, {"value": "b"}])
    before = int(time.time() * 1000) - 2000
    ok(client.commit(topic, name, {0: 1}))
    (position,) = listed(client, name)
    assert position == {"topic": topic, "group_id": name, "partition": 0, "offset": 1,
                        "committed_at": position["committed_at"]}
    assert before <= position["committed_at"] <= time.time() * 1000 + 2000
    assert partition_of(client, topic, name)["committed_at"] == position["committed_at"]
    time.sleep(0.01)
    ok(client.commit(topic, name, {0: 1}))  # says again what stands: it was seen
    assert listed(client, name)[0]["committed_at"] > position["committed_at"]


def test_reading_alone_is_no_commit(client, topic, name):
    client.put(topic, [{"value": "a"}])
    client.take(topic, group_id=name)
    assert listed(client, name) == [{"topic": topic, "group_id": name, "partition": 0, "offset": 0, "committed_at": None}]
    assert partition_of(client, topic, name)["committed_at"] is None


def test_one_position_is_deleted_and_the_others_stay(client, topics, name):
    topic = topics[0]
    ok(client.commit(topic, name, {0: 2, 1: 3}))
    answer = client.request("DELETE", f"/topics/{topic}/groups/{name}/partitions/1")
    assert ok(answer) == {"group_id": name, "partition": 1, "deleted": True}
    assert places(listed(client, name)) == [(topic, name, 0, 2)]
    assert client.committed(topic, name) == {0: 2}
    refused(client.request("DELETE", f"/topics/{topic}/groups/{name}/partitions/1"), 404, "group_not_found")
    # It begins anew.
    ok(client.commit(topic, name, {1: 1}))
    assert client.committed(topic, name) == {0: 2, 1: 1}


@pytest.mark.parametrize("partition", ["x", "-1", "1024", "1.0"])
def test_a_partition_in_the_path_is_a_number(client, topic, partition):
    refused(client.request("DELETE", f"/topics/{topic}/groups/g/partitions/{partition}"), 400, "invalid_request")


def test_positions_go_with_their_group_and_with_their_topic(client, topics, name):
    a, b = topics
    for topic in topics:
        ok(client.commit(topic, name, {0: 1}))
    ok(client.request("DELETE", f"/topics/{a}/groups/{name}"))
    assert places(listed(client, name)) == [(b, name, 0, 1)]
    ok(client.request("DELETE", f"/topics/{b}"))
    assert listed(client, name) == []
    client.make(b)
    assert listed(client, name) == []


@pytest.mark.parametrize("query", ["cursor=%21", "cursor=AAAA", "cursor=YQBiAC0x", "page_size=x", "group_id=", "group_id=%00"])
def test_what_is_wrong_in_the_query_is_refused(client, query):
    refused(client.get(f"/positions?{query}"), 400, "invalid_request")


def test_a_list_that_has_not_changed_is_not_sent_again(client, topic, name):
    ok(client.commit(topic, name, {0: 0}))
    answer = client.get("/positions", params={"group_id": name})
    tag = answer.headers["ETag"]
    assert client.get("/positions", params={"group_id": name}, headers={"If-None-Match": tag}).status_code == 304
