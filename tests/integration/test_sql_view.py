"""The log seen by SQL: the view tidegate.record."""

import json
import re

from harness.client import ok


def rows(database, sql):
    return database.psql(sql)


def test_the_documented_query_shows_every_kept_message(database, client):
    client.make("orders", 3)
    client.put("orders", [{"key": f"k{i}", "value": json.dumps({"n": i}), "partition": i % 3} for i in range(30)])
    found = rows(database, "SELECT partition, \"offset\", convert_from(key, 'UTF8'), convert_from(value, 'UTF8')::json->>'n' "
                           "FROM tidegate.record WHERE topic = 'orders' ORDER BY 1, 2")
    assert found == [[str(p), str(o), f"k{o * 3 + p}", str(o * 3 + p)] for p in range(3) for o in range(10)]


def test_the_view_shows_what_consume_shows(database, client, topic):
    client.put(topic, [{"value": "a", "key": "k", "headers": [["h", "1"], ["h", "2"]], "timestamp": 1705334401234},
                       {"value": "b"}, {"value": "/wA=", "encoding": "base64"}])
    first, second, third = client.take(topic, offset=0)
    found = rows(database, "SELECT tenant, partition, \"offset\", encode(key, 'escape'), encode(value, 'hex'), headers, "
                           "(extract(epoch FROM \"timestamp\") * 1000)::bigint, key IS NULL "
                           f"FROM tidegate.record WHERE topic = '{topic}' ORDER BY 2, 3")
    assert found == [
        ["default", "0", "0", "k", b"a".hex(), '[["h","1"],["h","2"]]', "1705334401234", "f"],
        ["default", "0", "1", "", b"b".hex(), "", str(second["timestamp"]), "t"],
        ["default", "0", "2", "", "ff00", "", str(third["timestamp"]), "t"]]
    assert first["timestamp"] == 1705334401234


def test_messages_lost_to_retention_are_not_in_the_view(database, client, name):
    client.make(name, config={"cap_records": 3})
    client.put(name, [{"value": str(i)} for i in range(10)])
    assert rows(database, f"SELECT \"offset\" FROM tidegate.record WHERE topic = '{name}' ORDER BY 1") == [["7"], ["8"], ["9"]]


def test_deleted_topics_are_not_in_the_view(database, client, topic):
    client.put(topic, [{"value": "x"}])
    ok(client.request("DELETE", f"/topics/{topic}"))
    assert rows(database, f"SELECT count(*) FROM tidegate.record WHERE topic = '{topic}'") == [["0"]]


def test_ephemeral_topics_are_in_the_view(database, client, name):
    client.make(name, config={"durability": "ephemeral"})
    client.put(name, [{"value": "x"}])
    assert rows(database, f"SELECT encode(value, 'escape') FROM tidegate.record WHERE topic = '{name}'") == [["x"]]


def test_the_view_joins_and_aggregates(database, client, name):
    client.make(name, 4)
    client.put(name, [{"key": f"u{i % 10}", "value": json.dumps({"amount": i})} for i in range(1000)])
    found = rows(database, "SELECT convert_from(r.key, 'UTF8') AS k, sum((convert_from(r.value, 'UTF8')::json->>'amount')::int) "
                           f"FROM tidegate.record r JOIN generate_series(0, 2) n ON convert_from(r.key, 'UTF8') = 'u' || n "
                           f"WHERE r.topic = '{name}' GROUP BY 1 ORDER BY 1")
    assert found == [[f"u{u}", str(sum(range(u, 1000, 10)))] for u in range(3)]


def test_reading_one_topic_does_not_read_the_others(database, client, name):
    """The plan finds the topic's batches by their key, in the one partition of the log that can hold them."""
    for i in range(5):
        client.make(f"{name}-{i}")
        for _ in range(5):
            client.put(f"{name}-{i}", [{"value": "x" * 100} for _ in range(500)])
    database.psql("ANALYZE")
    # A table of a few rows is read faster from one end to the other: without that way out, the key has to serve.
    plan = [line[0] for line in database.psql("SET enable_seqscan = off; SET enable_bitmapscan = off; EXPLAIN (ANALYZE) "
                                              f"SELECT count(*) FROM tidegate.record WHERE topic = '{name}-1'")]
    scans = [number for number, line in enumerate(plan) if re.search(r"Scan (using \S+ )?on batch_[0-9]", line)
             and "(never executed)" not in line]
    assert len(scans) == 1, "\n".join(plan)
    assert "Index Scan" in plan[scans[0]], plan[scans[0]]
    assert "topic_id = t.topic_id" in plan[scans[0] + 1], plan[scans[0] + 1]
    assert "last_offset >=" in plan[scans[0] + 1], plan[scans[0] + 1]
