"""httpmq while Postgres is away: failures in the dialect's shape that say when to try again, and nothing lost."""

import json

import pytest

from harness import wait
from harness.httpmq import Mq, done, new_name, refused, stored

S = 1_000_000_000


@pytest.fixture
def served(own_pg, fleet):
    """(own_pg, mq) with a stream `s`, its consumers `c` and `p`, and one message."""
    gateway = fleet.start(own_pg.create_database("away"))
    with Mq(gateway.url) as mq:
        done(mq.make_stream("s"))
        done(mq.make_consumer("s", "c", ack_wait=S // 2, max_inflight=9))
        done(mq.make_consumer("s", "p", mode="pull", max_inflight=9))
        mq.send("s", b"before")
        yield own_pg, mq


def post(path, **members):
    return lambda mq: mq.post(path, data=json.dumps(members))


PUBLISHES = {
    "publish": lambda mq: mq.publish("s", b"x"),
    "raw": lambda mq: mq.publish_raw("s", b"x"),
    "batch": lambda mq: mq.publish_batch("s", ("s", b"x")),
}
OTHERS = {
    "ready": lambda mq: mq.get("/v1/data/ready"),
    "streams": lambda mq: mq.streams(),
    "create": lambda mq: mq.make_stream("other"),
    "limits": lambda mq: mq.request("PUT", "/v1/admin/stream/s/limit", data='{"max_msgs":1}'),
    "subjects": lambda mq: mq.request("PUT", "/v1/admin/stream/s/subject", data='{"subjects":["t"]}'),
    "delete": lambda mq: mq.request("DELETE", "/v1/admin/stream/s"),
    "purge": post("/v1/admin/stream/s/purge"),
    "consumer": lambda mq: mq.get("/v1/admin/stream/s/consumer/c"),
    "create consumer": lambda mq: mq.make_consumer("s", "d"),
    "subscribe": lambda mq: mq.get("/v1/data/stream/s/consumer/c?subject_name=s"),
    "ack": lambda mq: mq.ack("s", "c", 1),
    "nack": lambda mq: mq.nack("s", "c", 1, 1),
    "fetch": post("/v1/data/stream/s/consumer/p/fetch", expires=30 * S),
}


def test_every_call_fails_with_retry_after_and_works_again_by_itself(served):
    pg, mq = served
    pg.stop("fast")
    for name, call in {**PUBLISHES, **OTHERS}.items():
        answer = call(mq)
        refused(answer, 400 if name in PUBLISHES else 500, 500)
        assert int(answer.headers["Retry-After"]) >= 1, name
    done(mq.get("/v1/data/alive"))
    pg.start()
    wait.until(lambda: mq.get("/v1/data/ready").status_code == 200, "it is ready again")
    wait.until(lambda: mq.streams().status_code == 200, "the readers are back")
    # What was in flight when the connection broke may have been written; nothing else was.
    last = mq.state("s")["last_seq"]
    assert last <= 1 + len(PUBLISHES)
    assert stored(mq.publish("s", b"after")) == last + 1


@pytest.mark.tsan
def test_a_subscription_goes_on_after_a_restart_of_postgres(served):
    pg, mq = served
    with mq.subscribe("s", "c", "s") as lines:
        assert lines.deliver(1) == [(1, 1, b"before")]
        pg.stop("fast")
        pg.start()
        wait.until(lambda: mq.ack("s", "c", 1).status_code == 200, "the acknowledgement is taken")
        wait.until(lambda: mq.publish("s", b"after").status_code == 200, "the message is taken")
        while lines.deliver(1)[0][2] != b"after":
            pass


def test_an_unknown_name_is_told_apart_from_a_database_that_is_away(served):
    _, mq = served
    answer = mq.get(f"/v1/admin/stream/{new_name()}")
    refused(answer, 500)
    assert "Retry-After" not in answer.headers
