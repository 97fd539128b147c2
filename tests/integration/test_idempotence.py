"""Retried produces: the Idempotency-Key header and the producer triple (streaming contract 3, durable streams 8)."""

import concurrent.futures

import pytest

from harness import wait
from harness.client import ok, refused, values


def keyed(client, topic, key, *texts, **members):
    return client.produce(topic, [{"value": text, **members} for text in texts], headers={"Idempotency-Key": key})


def test_a_retry_answers_with_the_first_results_and_deduped(client, topic4):
    messages = [{"value": str(i), "partition": i % 3} for i in range(9)]
    first = ok(client.produce(topic4, messages, headers={"Idempotency-Key": "k"}))
    assert set(first) == {"results"}
    client.put(topic4, [{"value": "between", "partition": p} for p in range(4)])
    again = ok(client.produce(topic4, messages, headers={"Idempotency-Key": "k"}))
    assert again == {"results": first["results"], "deduped": True}
    assert client.ends(topic4) == [4, 4, 4, 1]


def test_a_retry_is_recognised_by_its_key_alone_whatever_it_carries(client, topic):
    first = ok(keyed(client, topic, "k", "a", "b"))
    assert ok(keyed(client, topic, "k", "other")) == {"results": first["results"], "deduped": True}
    assert values(client.read_all(topic)) == ["a", "b"]


def test_a_retry_gets_the_round_robin_partitions_of_the_first_try(client, topic4):
    messages = [{"value": str(i)} for i in range(7)]
    first = ok(client.produce(topic4, messages, headers={"Idempotency-Key": "k"}))
    for _ in range(3):
        assert ok(client.produce(topic4, messages, headers={"Idempotency-Key": "k"}))["results"] == first["results"]
    assert sum(client.ends(topic4)) == 7


def test_different_keys_and_different_topics_do_not_meet(client, name):
    one, two = client.make(name + "-1"), client.make(name + "-2")
    for topic, key in ((one, "a"), (one, "b"), (two, "a"), (one, "A")):
        assert "deduped" not in ok(keyed(client, topic, key, "v"))
    assert (client.ends(one), client.ends(two)) == ([3], [1])


def test_a_refused_request_does_not_use_up_its_key(client, topic):
    refused(keyed(client, topic, "k", "v", partition=7), 400, "invalid_request")
    assert ok(keyed(client, topic, "k", "v")) == {"results": [{"partition": 0, "offset": 0}]}


@pytest.mark.parametrize("key", ["x", "x" * 256, 'with "quotes" and \\', "a b"], ids=["1", "256", "quotes", "blank"])
def test_keys_of_any_shape_up_to_256_bytes_work(client, topic, key):
    first = ok(keyed(client, topic, key, "v"))
    assert ok(keyed(client, topic, key, "v")) == {**first, "deduped": True}


def test_a_key_over_256_bytes_is_refused(client, topic):
    refused(keyed(client, topic, "x" * 257, "v"), 400, "invalid_request")
    assert client.ends(topic) == [0]


def test_a_key_is_free_again_after_the_window(client, name):
    client.make(name, config={"idempotency_window_ms": 300})
    assert "deduped" not in ok(keyed(client, name, "k", "first"))
    wait.until(lambda: "deduped" not in ok(keyed(client, name, "k", "later")), "the window has passed")
    assert values(client.read_all(name)) == ["first", "later"]


@pytest.mark.tsan
def test_of_many_racing_copies_on_two_workers_exactly_one_is_stored(gateways, name):
    clients = [gateway.client() for gateway in gateways(2)]
    clients[0].make(name, 3)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        for round_ in range(5):
            answers = [ok(a) for a in pool.map(
                lambda i, r=round_: keyed(clients[i % 2], name, f"k{r}", "a", "b", "c"), range(16))]
            assert len({str(a["results"]) for a in answers}) == 1
            assert sum("deduped" not in a for a in answers) == 1
    assert sum(clients[0].ends(name)) == 15


# ---- the producer triple ----

def triple(client, topic, seq, epoch=0, producer="p", messages=None):
    return client.produce(topic, messages or [{"value": f"{epoch}/{seq}"}],
                          headers={"Producer-Id": producer, "Producer-Epoch": str(epoch), "Producer-Seq": str(seq)})


def test_sequences_are_accepted_one_by_one_and_a_retry_is_deduped(client, topic):
    for seq in range(3):
        answer = triple(client, topic, seq)
        assert ok(answer) == {"results": [{"partition": 0, "offset": seq}]}
        assert (answer.headers["Producer-Epoch"], answer.headers["Producer-Seq"]) == ("0", str(seq))
    again = triple(client, topic, 2)
    assert ok(again) == {"results": [{"partition": 0, "offset": 2}], "deduped": True}
    assert (again.headers["Producer-Epoch"], again.headers["Producer-Seq"]) == ("0", "2")
    assert values(client.read_all(topic)) == ["0/0", "0/1", "0/2"]


def test_a_retry_of_a_request_over_several_partitions_has_the_first_results(client, topic4):
    messages = [{"value": str(i), "partition": (i * 3) % 4} for i in range(10)]
    first = ok(triple(client, topic4, 0, messages=messages))
    assert ok(triple(client, topic4, 0, messages=messages)) == {**first, "deduped": True}
    assert sum(client.ends(topic4)) == 10


def test_an_older_sequence_is_a_duplicate_and_shows_the_highest_accepted(client, topic):
    for seq in range(4):
        ok(triple(client, topic, seq))
    answer = triple(client, topic, 1)
    assert ok(answer)["deduped"] is True
    assert answer.headers["Producer-Seq"] == "3"
    assert client.ends(topic) == [4]


def test_a_gap_is_409_and_names_what_is_expected(client, topic):
    ok(triple(client, topic, 0))
    answer = triple(client, topic, 2)
    refused(answer, 409, "producer_sequence_gap")
    assert (answer.headers["Producer-Expected-Seq"], answer.headers["Producer-Received-Seq"]) == ("1", "2")
    assert client.ends(topic) == [1]
    ok(triple(client, topic, 1))


def test_an_unknown_producer_begins_at_0_in_any_epoch(client, topic):
    answer = triple(client, topic, 1, producer="late")
    refused(answer, 409, "producer_sequence_gap")
    assert answer.headers["Producer-Expected-Seq"] == "0"
    ok(triple(client, topic, 0, epoch=2, producer="second"))
    assert client.ends(topic) == [1]


def test_a_lower_epoch_is_fenced_and_a_higher_one_begins_anew(client, topic):
    ok(triple(client, topic, 0, epoch=1))
    ok(triple(client, topic, 1, epoch=1))
    answer = triple(client, topic, 2, epoch=0)
    refused(answer, 403, "producer_fenced")
    assert answer.headers["Producer-Epoch"] == "1"
    refused(triple(client, topic, 1, epoch=2), 400, "invalid_request")
    ok(triple(client, topic, 0, epoch=2))
    refused(triple(client, topic, 2, epoch=1), 403, "producer_fenced")
    assert values(client.read_all(topic)) == ["1/0", "1/1", "2/0"]


def test_producers_do_not_know_of_each_other(client, topic):
    for seq in range(3):
        for producer in ("a", "b"):
            ok(triple(client, topic, seq, producer=producer))
    assert client.ends(topic) == [6]


BIG = 2**53 - 1


@pytest.mark.parametrize("headers", [
    {"Producer-Id": "p"}, {"Producer-Epoch": "0"}, {"Producer-Seq": "0"},
    {"Producer-Id": "p", "Producer-Epoch": "0"}, {"Producer-Id": "p", "Producer-Seq": "0"},
    {"Producer-Epoch": "0", "Producer-Seq": "0"}, {"Producer-Id": "", "Producer-Epoch": "0", "Producer-Seq": "0"},
    *({"Producer-Id": "p", "Producer-Epoch": bad, "Producer-Seq": "0"}
      for bad in ("1abc", "0xyz", "1e3", "-1", "+1", "", "1.0", str(BIG + 1), "9" * 30)),
    *({"Producer-Id": "p", "Producer-Epoch": "0", "Producer-Seq": bad} for bad in ("x", "-0", "", str(BIG + 1))),
], ids=str)
def test_half_a_triple_or_an_ill_written_number_is_refused(client, topic, headers):
    refused(client.produce(topic, [{"value": "v"}], headers=headers), 400, "invalid_request")
    assert client.ends(topic) == [0]


def test_leading_zeros_are_tolerated_and_the_largest_epoch_works(client, topic):
    ok(client.produce(topic, [{"value": "v"}],
                      headers={"Producer-Id": "p", "Producer-Epoch": "007", "Producer-Seq": "000"}))
    ok(triple(client, topic, 0, epoch=BIG))
    refused(triple(client, topic, 1, epoch=7), 403, "producer_fenced")


def test_a_refused_body_does_not_use_up_its_sequence(client, topic):
    refused(triple(client, topic, 0, messages=[{"value": "v", "partition": 9}]), 400, "invalid_request")
    ok(triple(client, topic, 0))
    assert client.ends(topic) == [1]


@pytest.mark.tsan
def test_racing_copies_of_each_sequence_are_stored_once_and_in_order(gateways, name):
    clients = [gateway.client() for gateway in gateways(2)]
    clients[0].make(name)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for seq in range(10):
            answers = list(pool.map(lambda i, s=seq: triple(clients[i % 2], name, s), range(8)))
            assert sum("deduped" not in ok(a) for a in answers) == 1
            assert {a.json()["results"][0]["offset"] for a in answers} == {seq}
    assert values(clients[0].read_all(name)) == [f"0/{seq}" for seq in range(10)]


@pytest.mark.tsan
def test_racing_copies_for_different_partitions_are_stored_once(gateways, name):
    clients = [gateway.client() for gateway in gateways(2)]
    clients[0].make(name, 4)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for seq in range(20):
            answers = list(pool.map(lambda i, s=seq: triple(clients[i % 2], name, s, messages=[
                {"value": "v", "partition": (i + s) % 4}]), range(8)))
            assert sum("deduped" not in ok(a) for a in answers) == 1
            assert len({str(a.json()["results"]) for a in answers}) == 1
    assert sum(clients[0].ends(name)) == 20


@pytest.mark.tsan
def test_producers_and_plain_writers_side_by_side_each_get_their_own_places(gateways, name):
    """They share commits: what a producer's sequence expects goes with what has no condition."""
    clients = [gateway.client() for gateway in gateways(2)]
    clients[0].make(name, 3)
    stored = []

    def produce(number):  # each sequence on both workers at once; producer 0 goes from partition to partition
        with concurrent.futures.ThreadPoolExecutor(2) as both:
            for seq in range(30):
                place = seq % 3 if number == 0 else number % 3
                messages = [{"value": f"{number}/{seq}", "partition": place}] * (1 + seq % 2)
                answers = list(both.map(lambda c, s=seq, m=messages: ok(triple(c, name, s, 0, f"p{number}", m)), clients))
                assert answers[0]["results"] == answers[1]["results"]
                assert sum("deduped" in answer for answer in answers) == 1
                stored.extend((r["partition"], r["offset"], messages[0]["value"]) for r in answers[0]["results"])

    def write(number):
        for turn in range(60):
            value = f"plain {number}/{turn}"
            [(partition, offset)] = clients[turn % 2].put(name, [{"value": value, "partition": turn % 3}])
            stored.append((partition, offset, value))

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for job in [pool.submit(produce, n) for n in range(5)] + [pool.submit(write, n) for n in range(3)]:
            job.result()
    found = [(p, record["offset"], record["value"]) for p in range(3) for record in clients[0].read_all(name, p)]
    assert sorted(stored) == found
    assert [len([f for f in found if f[0] == p]) for p in range(3)] == clients[0].ends(name)
    for number in range(1, 5):
        mine = [value for _, _, value in found if value.startswith(f"{number}/")]
        assert mine == sorted(mine, key=lambda value: int(value.partition("/")[2])) and len(mine) == 45


def test_producer_state_and_keys_survive_a_restart_of_the_gateway(fresh_database, fleet, name):
    first = fleet.start(fresh_database)
    with first.client() as client:
        client.make(name)
        ok(triple(client, name, 0))
        ok(keyed(client, name, "k", "v"))
    first.stop()
    client = fleet.start(fresh_database).client()
    assert ok(triple(client, name, 0)) == {"results": [{"partition": 0, "offset": 0}], "deduped": True}
    assert ok(keyed(client, name, "k", "v")) == {"results": [{"partition": 0, "offset": 1}], "deduped": True}
    assert client.ends(name) == [2]
