"""httpmq: consumers as they are defined and shown (contract, section 4)."""

import json

import pytest

from harness.httpmq import Mq, done, fine, new_name, refused


@pytest.fixture
def mq(gateway):
    with Mq(gateway.url) as made:
        yield made


@pytest.fixture
def stream(mq):
    """A stream that takes NAME.a, NAME.b."""
    made = new_name()
    done(mq.make_stream(made, subjects=[f"{made}.a", f"{made}.b"]))
    return made


def test_a_new_consumer_is_shown_to_the_last_member(mq, stream):
    done(mq.make_consumer(stream, "billing", max_inflight=4, filter_subject=f"{stream}.b", notes="why \u00e9"))
    shown = mq.consumer(stream, "billing")
    inbox = shown["config"].pop("deliver_subject")
    assert inbox.startswith("_INBOX.") and len(inbox) == len("_INBOX.") + 22
    created = shown.pop("created")
    assert created.endswith("Z")
    zero = {"consumer_seq": 0, "stream_seq": 0}
    assert shown == {"stream_name": stream, "name": "billing", "delivered": zero, "ack_floor": zero, "num_ack_pending": 0,
                     "num_redelivered": 0, "num_waiting": 0, "num_pending": 0,
                     "config": {"notes": "why \u00e9", "deliver_group": "", "max_deliver": -1, "ack_wait": 30_000_000_000,
                                "filter_subject": f"{stream}.b", "max_waiting": 0, "max_ack_pending": 4}}
    done(mq.make_consumer(stream, "puller", mode="pull", max_retry=3, ack_wait=5))
    config = mq.consumer(stream, "puller")["config"]
    assert (config["deliver_subject"], config["max_waiting"], config["max_deliver"], config["ack_wait"]) == ("", 512, 3, 5)
    everyone = fine(mq.get(f"/v1/admin/stream/{stream}/consumer"))["consumers"]
    assert set(everyone) == {"billing", "puller"} and everyone["puller"] == mq.consumer(stream, "puller")
    assert mq.state(stream)["consumer_count"] == 2


def test_what_a_consumer_may_not_be(mq, stream):
    good = {"name": "c", "mode": "push", "max_inflight": 1}
    for change, status in [({"name": "a_b"}, 500), ({"name": None}, 500), ({"mode": "other"}, 500), ({"mode": None}, 500),
                           ({"max_inflight": 0}, 500), ({"max_inflight": None}, 500), ({"max_retry": -2}, 500),
                           ({"ack_wait": -1}, 500), ({"delivery_group": ""}, 500), ({"delivery_group": "a-b"}, 500),
                           ({"mode": "pull", "delivery_group": "g"}, 500), ({"filter_subject": "y"}, 500),
                           ({"max_inflight": "4"}, 400), ({"name": 4}, 400), ({"ack_wait": 1.5}, 400)]:
        refused(mq.post(f"/v1/admin/stream/{stream}/consumer", data=json.dumps({**good, **change})), status)
    refused(mq.make_consumer(new_name(), "c"), 500)
    assert fine(mq.get(f"/v1/admin/stream/{stream}/consumer"))["consumers"] == {}
    assert fine(mq.get(f"/v1/admin/stream/{new_name()}/consumer"))["consumers"] == {}


def test_which_filters_fit(mq):
    name = new_name()
    done(mq.make_stream(name, subjects=[f"x{name}.a", f"x{name}.b"]))
    for number, (text, fits) in enumerate([("x.a", True), ("x.*", True), ("*.a", True), ("x.>", True), (">", True),
                                           ("x", False), ("x.a.b", False), ("y", False), ("x.>.a", False), ("*", False)]):
        answer = mq.make_consumer(name, f"c{number}", filter_subject=text.replace("x", f"x{name}"))
        if fits:
            done(answer)
        else:
            refused(answer, 500)
    wide = new_name()
    done(mq.make_stream(wide, subjects=[f"{wide}.*.z"]))
    done(mq.make_consumer(wide, "one", filter_subject=f"{wide}.q.z"))
    refused(mq.make_consumer(wide, "two", filter_subject=f"{wide}.q"), 500)


def test_creating_again_keeps_replaces_or_refuses(mq, stream):
    done(mq.make_consumer(stream, "c", filter_subject=f"{stream}.a", max_inflight=3, notes="n", ack_wait=7))
    first = mq.consumer(stream, "c")
    done(mq.make_consumer(stream, "c", filter_subject=f"{stream}.a", max_inflight=3, notes="n", ack_wait=7))
    assert mq.consumer(stream, "c") == first
    refused(mq.make_consumer(stream, "c", filter_subject=f"{stream}.b"), 500)
    refused(mq.make_consumer(stream, "c", mode="pull", filter_subject=f"{stream}.a"), 500)
    done(mq.make_consumer(stream, "c", filter_subject=f"{stream}.a", max_inflight=9))
    second = mq.consumer(stream, "c")
    assert (second["config"]["max_ack_pending"], second["config"]["notes"], second["config"]["ack_wait"]) == (9, "", 30_000_000_000)
    assert second["created"] == first["created"] and second["config"]["deliver_subject"] != first["config"]["deliver_subject"]


def test_max_consumers(mq):
    name = new_name()
    done(mq.make_stream(name, max_consumers=2))
    done(mq.make_consumer(name, "a"))
    done(mq.make_consumer(name, "b"))
    refused(mq.make_consumer(name, "c"), 500)
    done(mq.make_consumer(name, "b"))
    done(mq.request("DELETE", f"/v1/admin/stream/{name}/consumer/a"))
    done(mq.make_consumer(name, "c"))


def test_deleting(mq, stream):
    done(mq.make_consumer(stream, "c"))
    done(mq.request("DELETE", f"/v1/admin/stream/{stream}/consumer/c"))
    refused(mq.request("DELETE", f"/v1/admin/stream/{stream}/consumer/c"), 500)
    refused(mq.get(f"/v1/admin/stream/{stream}/consumer/c"), 500)
    refused(mq.get(f"/v1/admin/stream/{new_name()}/consumer/c"), 500)


def test_where_a_fresh_consumer_stands(mq):
    name = new_name()
    done(mq.make_stream(name, subjects=[f"{name}.*"], max_msgs=3))
    mq.send(f"{name}.a", b"1", b"2", b"3")
    mq.send(f"{name}.b", b"4", b"5")
    done(mq.make_consumer(name, "all"))
    assert mq.standing(name, "all") == ((0, 2), (0, 2), 0, 0, 3)
    done(mq.make_consumer(name, "b", filter_subject=f"{name}.b"))
    assert mq.standing(name, "b") == ((0, 3), (0, 3), 0, 0, 2)
    done(mq.make_consumer(name, "none", filter_subject=f"{name}.q"))
    assert mq.standing(name, "none") == ((0, 0), (0, 0), 0, 0, 0)
