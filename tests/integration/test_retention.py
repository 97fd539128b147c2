"""Retention by count, bytes and age, and the gaps it leaves (streaming contract, section 4; topics contract, section 6)."""

import pytest

from harness import wait
from harness.client import ok, values

SETTINGS = {"janitor_interval_ms": 50}


def gap(first, beyond, partition=0):
    """What a reader is told when it lost messages `first` … `beyond` - 1."""
    return [{"partition": partition, "from_offset": first, "to_offset": beyond}]


def fill(client, topic, count, size=10, one_by_one=False):
    messages = [{"value": f"{i:0{size}}"} for i in range(count)]
    for request in [[message] for message in messages] if one_by_one else [messages]:
        client.put(topic, request)


@pytest.mark.parametrize("one_by_one", [True, False], ids=["one-by-one", "in-one-request"])
def test_a_cap_on_records_keeps_the_newest_and_announces_the_rest(client, name, one_by_one):
    client.make(name, config={"cap_records": 3})
    fill(client, name, 10, one_by_one=one_by_one)
    body = ok(client.consume(name, offset=0))
    assert [m["offset"] for m in body["messages"]] == [7, 8, 9]
    assert body["gaps"] == gap(0, 7)
    assert ok(client.consume(name, offset=4))["gaps"] == gap(4, 7)
    assert "gaps" not in ok(client.consume(name, offset=7))
    assert "gaps" not in ok(client.consume(name, offset=10))
    [partition] = client.info(name)["partition_info"]
    assert partition == {"partition": 0, "start_offset": 7, "end_offset": 10, "records": 3, "bytes": 30}


def test_a_cap_on_bytes_keeps_as_many_of_the_newest_as_fit(client, name):
    client.make(name, config={"cap_bytes": 350})
    fill(client, name, 10, size=100)
    body = ok(client.consume(name, offset=0))
    assert [m["offset"] for m in body["messages"]] == [7, 8, 9]
    assert body["gaps"] == gap(0, 7)
    assert client.info(name)["partition_info"][0]["bytes"] == 300


def test_a_message_larger_than_the_whole_cap_is_accepted_and_gone(client, name):
    client.make(name, config={"cap_bytes": 50})
    fill(client, name, 2)
    assert client.put(name, [{"value": "x" * 51}]) == [(0, 2)]
    assert ok(client.consume(name, offset=0)) == {"messages": [], "gaps": gap(0, 3), "next_offset": 3, "start_offset": 3,
                                                    "end_offset": 3}
    assert client.put(name, [{"value": "fits"}]) == [(0, 3)]
    assert values(client.take(name, offset=3)) == ["fits"]


def set_ttl(client, topic, ttl_ms):
    ok(client.request("PATCH", f"/topics/{topic}", json={"config": {"ttl_ms": ttl_ms}}))


def test_messages_expire_by_age_and_the_gap_is_announced(client, name):
    client.make(name)
    fill(client, name, 5)
    set_ttl(client, name, 100)
    wait.until(lambda: client.take(name, offset=0) == [], "the messages have expired")
    # A longer life brings nothing back.
    set_ttl(client, name, 600_000)
    client.put(name, [{"value": "fresh"}])
    body = ok(client.consume(name, offset=2))
    assert values(body["messages"]) == ["fresh"]
    assert body["gaps"] == gap(2, 5)
    assert client.info(name)["partition_info"][0]["start_offset"] == 5


def test_expiry_is_judged_when_reading_even_if_nobody_cleans_up(fresh_database, fleet, name):
    client = fleet.start(fresh_database, janitor="false").client()
    client.make(name, config={"ttl_ms": 300})
    fill(client, name, 5)
    wait.until(lambda: client.take(name, offset=0) == [], "the messages have expired")
    partition = client.info(name)["partition_info"][0]
    assert (partition["records"], partition["start_offset"], partition["end_offset"]) == (0, 5, 5)
    assert fresh_database.psql(f"SELECT count(*) FROM tidegate.record WHERE topic = '{name}'") == [["0"]]


def test_a_group_that_fell_behind_is_told_its_gap_and_goes_on(client, name):
    client.make(name, config={"cap_records": 4})
    fill(client, name, 4)
    assert len(client.take(name, group_id="g", max_messages=2)) == 2
    ok(client.commit(name, "g", {0: 2}))
    fill(client, name, 6)  # 4 … 9: only 6 … 9 are kept
    body = ok(client.consume(name, group_id="g"))
    assert [m["offset"] for m in body["messages"]] == [6, 7, 8, 9]
    assert body["gaps"] == gap(2, 6)
    ok(client.commit(name, "g", {0: 10}))
    fill(client, name, 1)
    body = ok(client.consume(name, group_id="g"))
    assert [m["offset"] for m in body["messages"]] == [10]
    assert "gaps" not in body


def test_a_new_group_begins_at_the_earliest_kept_message_without_a_gap(client, name):
    client.make(name, config={"cap_records": 4})
    fill(client, name, 10)
    body = ok(client.consume(name, group_id="g"))
    assert [m["offset"] for m in body["messages"]] == [6, 7, 8, 9]
    assert "gaps" not in body


def test_gaps_name_their_own_partitions(client, name):
    client.make(name, 2)
    client.put(name, [{"value": str(i), "partition": p} for p in (0, 1) for i in range(4 + p)])
    ok(client.commit(name, "g", {0: 0, 1: 1}))
    set_ttl(client, name, 1)
    wait.until(lambda: [p["records"] for p in client.info(name)["partition_info"]] == [0, 0], "all messages have expired")
    set_ttl(client, name, 0)
    client.put(name, [{"value": "new", "partition": 0}, {"value": "new", "partition": 1}])
    body = ok(client.consume(name, group_id="g"))
    assert sorted((m["partition"], m["offset"]) for m in body["messages"]) == [(0, 4), (1, 5)]
    assert sorted(body["gaps"], key=lambda g: g["partition"]) == gap(0, 4) + gap(1, 5, partition=1)


def test_what_was_lost_stays_lost_when_the_cap_is_lifted(client, name):
    client.make(name, config={"cap_records": 2})
    fill(client, name, 6)
    ok(client.request("PATCH", f"/topics/{name}", json={"config": {"cap_records": 0}}))
    fill(client, name, 2)
    body = ok(client.consume(name, offset=0))
    assert [m["offset"] for m in body["messages"]] == [4, 5, 6, 7]
    assert body["gaps"] == gap(0, 4)


def test_offsets_go_on_after_everything_was_lost(client, name):
    client.make(name, config={"ttl_ms": 200})
    fill(client, name, 3)
    wait.until(lambda: client.take(name, offset=0) == [], "the messages have expired")
    assert client.put(name, [{"value": "x"}]) == [(0, 3)]


def test_the_space_of_lost_messages_is_given_back(database, client, name):
    client.make(name, config={"cap_records": 100})
    for _ in range(20):
        fill(client, name, 200)

    def stored():
        [[rows, records]] = database.psql(
            "SELECT count(*), coalesce(sum(records), 0) FROM tidegate.batch b JOIN tidegate.topic t USING (topic_id) "
            f"WHERE t.name = '{name}'")
        return int(rows), int(records)
    wait.until(lambda: stored()[1] <= 200 and stored()[0] <= 2, "old batches are deleted")
    assert len(client.take(name, offset=0, max_messages=1000)) == 100


def test_a_deleted_topic_leaves_no_row_behind(database, client, name):
    client.make(name, 4)
    topic_id = database.psql(f"SELECT topic_id FROM tidegate.topic WHERE name = '{name}'")[0][0]
    for i in range(3):
        client.put(name, [{"value": str(n)} for n in range(1000)], headers={"Idempotency-Key": str(i)})
    client.take(name, group_id="g")
    ok(client.request("DELETE", f"/topics/{name}"))
    tables = [row[0] for row in database.psql(
        "SELECT c.table_name FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name) "
        "WHERE c.table_schema = 'tidegate' AND c.column_name = 'topic_id' AND t.table_type = 'BASE TABLE'")]
    assert {"topic", "head", "batch", "idempotency"} <= set(tables)

    def left():
        return {table for table in tables
                if database.psql(f"SELECT 1 FROM tidegate.{table} WHERE topic_id = {topic_id} LIMIT 1")}
    wait.until(lambda: not left(), "every row of the topic is gone")


def test_idempotency_rows_are_swept(database, client, name):
    client.make(name, config={"idempotency_window_ms": 100})
    for i in range(20):
        ok(client.produce(name, [{"value": "v"}], headers={"Idempotency-Key": str(i)}))
    wait.until(lambda: database.psql(
        "SELECT count(*) FROM tidegate.idempotency JOIN tidegate.topic t USING (topic_id) "
        f"WHERE t.name = '{name}'") == [["0"]], "old keys are swept")
