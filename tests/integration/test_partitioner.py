"""Key to partition: the table of the clients contract, section 4, through the server."""

import base64
import random

import pytest

from harness.partitioner import COUNTS, VECTORS, partition_of


@pytest.mark.parametrize("partitions", COUNTS)
def test_every_key_of_the_table_lands_on_its_partition(client, name, partitions):
    client.make(name, partitions)
    column = COUNTS.index(partitions)
    where = client.put(name, [{"key": base64.b64encode(key).decode(), "value": "", "encoding": "base64"}
                              for key, _, _ in VECTORS])
    assert [p for p, _ in where] == [expected[column] for _, _, expected in VECTORS]


def test_text_keys_hash_as_their_utf8_bytes(client, name):
    client.make(name, 100)
    texts = [(key.decode(), expected[-1]) for key, _, expected in VECTORS if key != b"\x00\xff\x80\x0a"]
    assert len(texts) == 13
    where = client.put(name, [{"key": text, "value": "v"} for text, _ in texts])
    assert [p for p, _ in where] == [expected for _, expected in texts]


def test_keys_of_every_length_agree_with_an_implementation_of_our_own(client, name):
    client.make(name, 97)
    source = random.Random(44)
    keys = [source.randbytes(length) for length in [*range(1, 66), 127, 128, 255, 256, 1000, 65536]]
    where = client.put(name, [{"key": base64.b64encode(key).decode(), "value": "", "encoding": "base64"} for key in keys])
    assert [p for p, _ in where] == [partition_of(key, 97) for key in keys]


def test_the_divisor_is_the_new_number_after_partitions_were_added(client, name):
    client.make(name, 2)
    assert client.put(name, [{"key": "rafael", "value": "v"}]) == [(0, 0)]
    assert client.request("PATCH", f"/topics/{name}", json={"partitions": 5}).status_code == 200
    assert client.put(name, [{"key": "rafael", "value": "v"}]) == [(3, 0)]
