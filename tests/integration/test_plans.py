"""What a message costs does not grow with the tables, whatever they were like when the statements were planned."""

from harness.httpmq import Mq, done

MESSAGES = 50
TABLES = "relname LIKE 'batch%' OR relname IN ('head', 'topic', 'httpmq_consumer', 'httpmq_pending')"


def whole_reads(database):
    """How often a table that every message goes through was read from end to end."""
    [[count]] = database.psql(f"SELECT sum(seq_scan) FROM pg_stat_user_tables WHERE {TABLES}")
    return int(count)


def test_messages_are_found_by_index_even_if_that_was_planned_when_the_tables_were_empty(fresh_database, fleet):
    gateway = fleet.start(fresh_database)
    fresh_database.psql("VACUUM (ANALYZE)")
    before = whole_reads(fresh_database)
    with Mq(gateway.url) as mq:
        done(mq.make_stream("s"))
        done(mq.make_consumer("s", "c", max_inflight=MESSAGES))
        with mq.subscribe("s", "c", "s") as messages:
            for i in range(MESSAGES):
                mq.send("s", b"one of many")
                messages.deliver()
                done(mq.ack("s", "c", i + 1))
    gateway.stop()  # which makes its connections tell what they have read
    assert whole_reads(fresh_database) - before < MESSAGES
